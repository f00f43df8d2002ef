/** Which failures a client can cure itself, by one of three actions; it is told where to offer one. */

import { type GlmTokenError, hasReason } from '../core/errors.ts';

/** To store a key, to give the passphrase of the encrypted file, or to begin such a file. */
export const CURES = ['store', 'unlock', 'file'] as const;

export type Cure = (typeof CURES)[number];

/** What is allowed to whom the failure is told. */
export interface Allowed {
  readonly mayWrite: boolean;
  /** Whether keys would go to the encrypted file, once there is one. */
  mayBeginFile(): boolean;
}

/** The action that cures a failure and is allowed; null where the hint alone is the cure. */
export function cureFor(error: GlmTokenError, { mayWrite, mayBeginFile }: Allowed): Cure | null {
  if (hasReason(error, 'helperReported')) return error.params.action;
  if (hasReason(error, 'passphraseNeeded', 'passphraseWrong')) return 'unlock';
  if (!mayWrite) return null;
  if (hasReason(error, 'keyNotFound', 'noKeyYet')) return 'store';
  return isMissingKeychain(error) && mayBeginFile() ? 'file' : null;
}

/** Whether there is no keychain, and not one that is locked, silent or broken, which may have keys in it. */
export const isMissingKeychain = (error: unknown): error is GlmTokenError =>
  hasReason(error, 'keychainMissing', 'keychainLibraryMissing', 'keyringMissing');
