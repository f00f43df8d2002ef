/** Where the encrypted file's passphrase comes from: a file or descriptor that is named, or a person. */

import { statSync } from 'node:fs';
import { isAbsolute } from 'node:path';
import { errnoOf, GlmTokenError } from '../core/errors.ts';
import { readDescriptor, readRegularFile } from './regular-file.ts';

export interface PassphraseQuestion {
  readonly isNew: boolean;
  /** Whether the last answer was wrong. */
  readonly wasWrong: boolean;
}

/** Asks a person for the passphrase; `undefined` where there is no one to ask. */
export type AskPassphrase = (question: PassphraseQuestion) => Promise<string | undefined>;

/** Longest text that a passphrase is read from, in bytes. */
export const MAX_PASSPHRASE_BYTES = 1 << 16;

/**
 * The bytes that a passphrase stands for: UTF-8 of its composed form (NFC, as RFC 8265 has it for
 * passwords), so that it is one passphrase however it was typed.
 */
export const passphraseBytes = (text: string): Uint8Array =>
  new TextEncoder().encode(text.normalize('NFC'));

/** The passphrase in a text: its first line, without the mark that Windows' programs put before it. */
export const passphraseIn = (text: string): string =>
  text.replace(/^\uFEFF/, '').split(/\r?\n/, 1)[0] ?? '';

/**
 * The passphrase in a file. `/dev/fd/N` is the descriptor N on every system, and
 * may be a pipe; anything else has to be a regular file.
 *
 * @throws GlmTokenError `ERR_PASSPHRASE` when there is none in it
 */
export function readPassphraseFile(path: string): string {
  const descriptor = /^\/dev\/fd\/(\d+)$/.exec(path)?.[1];
  let text: string;
  try {
    text = descriptor
      ? readDescriptor(Number(descriptor), MAX_PASSPHRASE_BYTES)
      : readRegularFile(path, MAX_PASSPHRASE_BYTES, { followLinks: true });
  } catch (error) {
    const errno = errnoOf(error);
    // It may be the passphrase itself, from someone who took the variable for that.
    const passphraseFile = isAbsolute(path) ? path : 'GLM_TOKEN_PASSPHRASE_FILE';
    throw new GlmTokenError('passphraseFileUnreadable', { passphraseFile, errno }, error);
  }
  const line = passphraseIn(text);
  if (line !== '') return line;
  throw new GlmTokenError('passphraseFileEmpty', { passphraseFile: path });
}

/** Whether a passphrase file is one that other users of the machine can read. */
export function othersCanRead(path: string): boolean {
  const stats = statSync(path, { throwIfNoEntry: false });
  return stats?.isFile() === true && (stats.mode & 0o077) !== 0;
}
