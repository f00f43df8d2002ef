/** The port that every store serves, and what a store is called. */

import type { Account } from '../core/account.ts';
import type { Settings } from '../settings.ts';
import type { AskPassphrase } from './passphrase.ts';
import type { PrivateDirectory } from './private-directory.ts';

/** The stores that keys can be written to. */
export const WRITABLE_STORES = ['keychain', 'file'] as const;

export type WritableStoreName = (typeof WRITABLE_STORES)[number];

/** The stores that can be named where a key is read, listed or deleted. */
export const KEPT_STORES = [...WRITABLE_STORES, 'command'] as const;

export type KeptStoreName = (typeof KEPT_STORES)[number];

export type StoreName = KeptStoreName | 'environment';

/** A store as a message names it. */
export interface StoreLabel {
  readonly name: StoreName;
  readonly place: string;
}

/** An account that has a key, and the key's shortened id: never its secret. */
export interface StoredAccount {
  readonly account: Account;
  /** `undefined` when what is stored is no key, or a command that was not run, or was not read. */
  readonly id: string | undefined;
  /** Whether the keychain's program has not allowed the key to be read, so far. */
  readonly isLocked?: true;
  /** The program of the command that prints the key, in the store that keeps commands. */
  readonly program?: string;
}

/** Where the key of an account comes from. */
export interface KeyOrigin extends StoreLabel {
  /** The program of the command that prints it, where one does. */
  readonly program?: string | undefined;
}

export interface ReadOptions {
  /** When false, a store only looks: what would ask a person, or run a command, fails at once. */
  readonly mayAsk?: boolean;
  /** Whether a command that fails is to say why, as far as that holds no key. */
  readonly tellsWhy?: boolean;
}

/**
 * A place where keys are kept, each as the text that was stored: usually `id.secret`.
 *
 * Absent is `undefined` or `false`; what failed throws a GlmTokenError, most often
 * `ERR_STORE_UNAVAILABLE` or `ERR_STORE_LOCKED`.
 */
export interface Store extends StoreLabel {
  get(account: Account, options?: ReadOptions): Promise<string | undefined>;
  list(options?: ReadOptions): Promise<StoredAccount[]>;
  /** Whether there was a key to delete. */
  delete(account: Account): Promise<boolean>;
}

export interface WritableStore extends Store {
  set(account: Account, text: string): Promise<void>;
  /** Why its keys will not last, as far as that can be told. */
  perishesWith(): Promise<Peril | undefined>;
}

/** What the stores need of the world. */
export interface StoresWorld extends Omit<Settings, 'socket'> {
  readonly platform: NodeJS.Platform;
  readonly env: NodeJS.ProcessEnv;
  /** The user's directory for data of ours. */
  directory(): PrivateDirectory;
  /** The user's directory for settings of ours. */
  configDirectory(): PrivateDirectory;
  /** The only accounts that are listed; `undefined` for all of them. */
  readonly accounts: readonly Account[] | undefined;
  /** Whether a person can answer a command on the terminal that this process has. */
  hasTerminal(): boolean;
  readonly onWaiting: OnWaiting;
  readonly askPassphrase: AskPassphrase;
  /**
   * Idle time after which the encrypted file is locked and keys from commands are forgotten, in
   * milliseconds; `Infinity` for never.
   */
  readonly lockAfterMs: number;
  /** The time, in milliseconds since 1970 (UTC). */
  now(): number;
}

/** Why keys will not last: they are in memory, in a container, or in the keyring of a session. */
export type Peril = 'memory' | 'container' | 'session';

/** Called when a store seems to wait for a person: its keychain, or the program of a command. */
export type OnWaiting = (program?: string) => void;

/** Name of the encrypted file in our directory; that there is one means that its store was chosen. */
export const KEY_FILE = 'keys.jwe';
