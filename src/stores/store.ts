/** The port that every store serves. */

import type { Account } from '../core/account.ts';

export type StoreName = 'keychain' | 'file' | 'environment';

/** An account and the text kept for it, as it was stored: usually `id.secret`. */
export interface StoredKey {
  readonly account: Account;
  readonly text: string;
}

/**
 * A place where keys are kept.
 *
 * Absent is `undefined` or `false`; what failed throws a GlmTokenError, most often
 * `ERR_STORE_UNAVAILABLE` or `ERR_STORE_LOCKED`.
 */
export interface Store {
  readonly name: StoreName;
  /** The store as a sentence has it: `the keychain (Secret Service)`. */
  readonly title: string;
  get(account: Account): Promise<string | undefined>;
  set(account: Account, text: string): Promise<void>;
  /** Whether there was a key to delete. */
  delete(account: Account): Promise<boolean>;
  list(): Promise<StoredKey[]>;
  /**
   * Opens a store that has a passphrase of its own with the one given, else with one that it sees to
   * itself; throws `ERR_PASSPHRASE` on a wrong one, or where there is none to be had.
   */
  unlock?(passphrase?: string): Promise<void>;
  /** Forgets what {@link unlock} was given. */
  lock?(): Promise<void>;
  /** What stands against its keys being there after a reboot, if anything is known to. */
  perishes?(): Promise<string | undefined>;
  /** `new`: the next {@link unlock} chooses the passphrase. */
  lockState?(): LockState;
}

export type LockState = 'new' | 'locked' | 'unlocked';
