/** Which failures a client can cure itself, by one of four actions; it is told where to offer one. */

import { type GlmTokenError, hasReason, type ServiceFault } from '../core/errors.ts';
import { WRITABLE_STORES } from './port.ts';

/** To store a key, to give the passphrase of the encrypted file, to begin such a file, or to look what is wrong. */
export const CURES = ['store', 'unlock', 'file', 'doctor'] as const;

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
  if (hasReason(error, 'tokenRefused') && error.params.fault === 'expiredToken') return 'doctor';
  if (!mayWrite) return null;
  if (hasReason(error, 'keyNotFound', 'noKeyYet')) return 'store';
  if (hasReason(error, 'tokenRefused')) {
    const { fault, origin } = error.params;
    const isInStore = WRITABLE_STORES.some((name) => name === origin?.name);
    return isKeyRefused(fault) && isInStore ? 'store' : null;
  }
  return isMissingKeychain(error) && mayBeginFile() ? 'file' : null;
}

/** Whether the service did not know the key, or did not believe who has it. */
export const isKeyRefused = (fault: ServiceFault | undefined): boolean =>
  fault === 'refusedKey' || fault === 'unauthenticated';

/** Whether there is no keychain, and not one that is locked, silent or broken, which may have keys in it. */
export const isMissingKeychain = (error: unknown): error is GlmTokenError =>
  hasReason(error, 'keychainMissing', 'keychainLibraryMissing', 'keyringMissing');
