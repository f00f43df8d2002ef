/** The port that every store serves, and what only some of them can do. */

import type { Account } from '../core/account.ts';
import type { StoreLabel } from '../core/errors.ts';

export type StoreName = StoreLabel['name'];

/** An account that has a key, and the key's shortened id: never its secret. */
export interface StoredAccount {
  readonly account: Account;
  /** `undefined` when what is stored is no key, or a command that was not run. */
  readonly id: string | undefined;
  /** The program of the command that prints the key, in the store that keeps commands. */
  readonly program?: string;
}

export interface ReadOptions {
  /** When false, a read only looks: what would ask a person, or run a command, fails at once. */
  readonly mayAsk?: boolean;
}

/**
 * A place where keys are kept, each as the text that was stored: usually `id.secret`.
 *
 * Absent is `undefined` or `false`; what failed throws a GlmTokenError, most often
 * `ERR_STORE_UNAVAILABLE` or `ERR_STORE_LOCKED`.
 */
export interface Store extends StoreLabel {
  get(account: Account, options?: ReadOptions): Promise<string | undefined>;
  set(account: Account, text: string): Promise<void>;
  /** Whether there was a key to delete. */
  delete(account: Account): Promise<boolean>;
  list(): Promise<StoredAccount[]>;

  /** Whether there is a key, where that can be told without reading it. */
  has?(account: Account): boolean;
  /** Forgets the keys and the passphrase that it holds. */
  forget?(): Promise<void>;
  /** For a store that has a passphrase of its own. */
  readonly lockable?: Lockable;
  /** Why its keys will not last, as far as that can be told. */
  perishesWith?(): Promise<Peril | undefined>;
  /** Whether a call that was given up still keeps the process from ending by itself. */
  isStuck?(): boolean;
}

/** Why keys will not last: they are in memory, in a container, or in the keyring of a session. */
export type Peril = 'memory' | 'container' | 'session';

/** The stores that keys can be written to. */
export const WRITABLE_STORES = ['keychain', 'file'] as const;

export type WritableStoreName = (typeof WRITABLE_STORES)[number];

/** The stores that can be named where a key is read, listed or deleted. */
export const KEPT_STORES = [...WRITABLE_STORES, 'command'] as const;

export type KeptStoreName = (typeof KEPT_STORES)[number];

export interface Lockable {
  /**
   * Unlocks with the given passphrase, or with one that the store obtains itself.
   *
   * @throws GlmTokenError `ERR_PASSPHRASE` when it is wrong, or when there is none
   */
  unlock(passphrase?: string): Promise<void>;
  /** `new`: the next {@link unlock} chooses the passphrase. */
  state(): LockState;
  /**
   * Seals the keys with another passphrase.
   *
   * @throws GlmTokenError `ERR_PASSPHRASE` when that is empty, or when the current one is wrong
   */
  changePassphrase(passphrase: string): Promise<void>;
}

export type LockState = 'new' | 'locked' | 'unlocked';

/** Called when a store seems to wait for a person: its keychain, or the program of a command. */
export type OnWaiting = (program?: string) => void;

/** Name of the file of commands, which is there when an account has one. */
export const COMMAND_FILE = 'commands.json';

/** Name of the key file in our directory; that there is one means that its store was chosen. */
export const KEY_FILE = 'keys.jwe';
