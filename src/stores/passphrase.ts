/** Where the key file's passphrase comes from: a file or descriptor that is named, or a person. */

import { readFileSync, statSync } from 'node:fs';
import { GlmTokenError } from '../core/errors.ts';

/** Asks a person for the passphrase, twice when it is `fresh`; `undefined` where nobody is. */
export type AskPassphrase = (fresh: boolean) => Promise<string | undefined>;

/**
 * The bytes that a passphrase stands for: UTF-8 of its composed form (NFC, as RFC 8265 has it for
 * passwords), so that it is one passphrase however it was typed.
 */
export const passphraseBytes = (text: string): Uint8Array =>
  new TextEncoder().encode(text.normalize('NFC'));

/**
 * The passphrase in a file: its first line. `/dev/fd/N` is the descriptor N on every system.
 *
 * @throws GlmTokenError `ERR_PASSPHRASE` when there is none in it
 */
export function readPassphraseFile(path: string): string {
  const descriptor = /^\/dev\/fd\/(\d+)$/.exec(path)?.[1];
  let text: string;
  try {
    text = readFileSync(descriptor === undefined ? path : Number(descriptor), 'utf8');
  } catch (error) {
    throw new GlmTokenError(
      'ERR_PASSPHRASE',
      `cannot read the passphrase from ${path} (${(error as NodeJS.ErrnoException).code})`,
      'check GLM_TOKEN_PASSPHRASE_FILE, which names that file',
      error,
    );
  }
  const [line = ''] = text.replace(/^\uFEFF/, '').split(/\r?\n/, 1);
  if (line !== '') return line;
  throw new GlmTokenError(
    'ERR_PASSPHRASE',
    `there is no passphrase in ${path}: its first line is empty`,
    'check GLM_TOKEN_PASSPHRASE_FILE, which names that file',
  );
}

/** Whether a passphrase file is one that other users of the machine can read. */
export function othersCanRead(path: string): boolean {
  try {
    const stats = statSync(path);
    return stats.isFile() && (stats.mode & 0o077) !== 0;
  } catch {
    return false;
  }
}
