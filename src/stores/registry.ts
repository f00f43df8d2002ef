/** Which store holds which key: `GLM_API_KEY` first, then the one store in use. */

import type { Account } from '../core/account.ts';
import { GlmTokenError } from '../core/errors.ts';
import { type ApiKey, formatKey, parseKey, shortenedIdOf } from '../core/key.ts';
import { environmentStore } from './environment.ts';
import { accountsInSecretService, keychainStore } from './keychain.ts';
import type { AskPassphrase } from './passphrase.ts';
import { KEY_FILE, type Store, type StoredAccount } from './port.ts';
import type { PrivateDirectory } from './private-directory.ts';

/** The stores that keys can be written to. */
export const WRITABLE_STORES = ['keychain', 'file'] as const;

export type WritableStoreName = (typeof WRITABLE_STORES)[number];

/** What the stores need of the world. */
export interface StoresOptions {
  readonly platform: NodeJS.Platform;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly settings: {
    readonly account: Account;
    readonly apiKey: string | undefined;
    readonly store: WritableStoreName | undefined;
    readonly passphraseFile: string | undefined;
    readonly keychainTimeoutMs: number;
  };
  /** The user's directory for data of ours. */
  directory(): PrivateDirectory;
  /** Called when the keychain seems to wait for a person. */
  readonly onWaiting?: () => void;
  /** Omitted when there is no one to prompt. */
  readonly askPassphrase?: AskPassphrase;
  /** Idle time after which the key file is locked, in milliseconds. */
  readonly lockAfterMs?: number | undefined;
  /** The time, in milliseconds since 1970 (UTC). */
  now(): number;
}

export interface Stores {
  /** The key in the environment, which takes precedence for the account that it is for. */
  readonly environment: Store | undefined;
  /**
   * The store that keys are written to: the one asked for, else the one in use. That is the one
   * which `GLM_TOKEN_STORE` names, else the key file when there is one (it is there because the user
   * chose it), else the keychain; found out anew each time, since it can change under the helper.
   */
  primary(choice?: WritableStoreName): Promise<Store>;
  /** The writable store that is not {@link primary}. */
  other(): Promise<Store>;
  /** Locks every store that can be locked. */
  lock(): Promise<void>;
  /** Whether a call that was given up still keeps the process from ending by itself. */
  isStuck(): Promise<boolean>;
}

export function openStores(options: StoresOptions): Stores {
  const { settings } = options;
  const opened = new Map<WritableStoreName, Promise<Store>>();

  const open: Record<WritableStoreName, () => Promise<Store>> = {
    keychain: async () => keychainStore({ ...options, timeoutMs: settings.keychainTimeoutMs }),
    file: async () => {
      const { fileStore } = await import('./file.ts');
      return fileStore({
        ...options,
        directory: options.directory(),
        passphraseFile: settings.passphraseFile,
      });
    },
  };
  const inUse = (): WritableStoreName =>
    settings.store ?? (options.directory().has(KEY_FILE) ? 'file' : 'keychain');
  const openedStores = async () =>
    (await Promise.allSettled(opened.values())).flatMap((store) =>
      store.status === 'fulfilled' ? [store.value] : [],
    );

  const stores: Stores = {
    environment:
      settings.apiKey === undefined
        ? undefined
        : environmentStore(settings.apiKey, settings.account),
    primary(choice = inUse()) {
      const store = opened.get(choice) ?? open[choice]();
      opened.set(choice, store);
      return store;
    },
    other() {
      return stores.primary(inUse() === 'file' ? 'keychain' : 'file');
    },
    async lock() {
      for (const store of await openedStores()) await store.lockable?.lock();
    },
    async isStuck() {
      return (await openedStores()).some((store) => store.isStuck?.());
    },
  };
  return stores;
}

/**
 * The key for an account, from the store named, else from the environment or the store in use.
 *
 * @throws GlmTokenError `ERR_KEY_NOT_FOUND` when there is none, `ERR_KEY_MALFORMED` when what is
 *   stored is no key, or what the store throws
 */
export async function findKey(
  stores: Stores,
  account: Account,
  choice?: WritableStoreName,
): Promise<ApiKey> {
  const store = await storeFor(stores, account, choice);
  const text = await store.get(account);
  if (text === undefined) throw await notFound(stores, account, choice);
  try {
    return parseKey(text);
  } catch (error) {
    const { name, place } = store;
    throw new GlmTokenError('storedKeyInvalid', { account, store: { name, place } }, error);
  }
}

/** The store that the key of an account is read from. */
export async function storeFor(
  stores: Stores,
  account: Account,
  choice?: WritableStoreName,
): Promise<Store> {
  const { environment } = stores;
  const isGiven = !choice && (await environment?.get(account)) !== undefined;
  return isGiven && environment ? environment : stores.primary(choice);
}

/** How many other accounts are named where a key is missing. */
const MAX_OTHERS = 3;

/** That there is no key for an account, with what there is instead. */
export async function notFound(
  stores: Stores,
  account: Account,
  choice?: WritableStoreName,
): Promise<GlmTokenError> {
  const { accounts } = await surveyAccounts(stores, choice);
  const isGiven = ({ store }: ListedAccount) => store === stores.environment;
  return new GlmTokenError('keyNotFound', {
    account,
    others: accounts
      .filter((listed) => !isGiven(listed))
      .slice(0, MAX_OTHERS)
      .map((listed) => listed.account),
    inEnvironment: accounts.find(isGiven)?.account,
  });
}

/** An account that has a key, and the store that holds it. */
export type ListedAccount = StoredAccount & { readonly store: Store };

/**
 * The accounts that can be listed, the environment's first, and what kept the others from it. Of the
 * store named alone, when one is.
 */
export async function surveyAccounts(
  stores: Stores,
  choice?: WritableStoreName,
): Promise<{ accounts: readonly ListedAccount[]; error?: unknown }> {
  const listed = async (store: Store) =>
    (await store.list()).map((stored): ListedAccount => ({ ...stored, store }));
  const given = stores.environment && !choice ? await listed(stores.environment) : [];
  try {
    return { accounts: [...given, ...(await listed(await stores.primary(choice)))] };
  } catch (error) {
    return { accounts: given, error };
  }
}

/** Every account that has a key, the environment's first. */
export async function listAccounts(
  stores: Stores,
  choice?: WritableStoreName,
): Promise<readonly ListedAccount[]> {
  const { accounts, error } = await surveyAccounts(stores, choice);
  if (error !== undefined) throw error;
  return accounts;
}

/**
 * What the store that is not in use holds, found out without asking anybody: `undefined` when that
 * cannot be known.
 */
export async function lookIntoOther(stores: Stores): Promise<readonly Account[] | undefined> {
  const other = await stores.other();
  if (other.lockable?.state() === 'new') return [];
  if (other.lockable?.state() === 'locked') return undefined;
  try {
    return (await other.list()).map(({ account }) => account);
  } catch {
    return undefined;
  }
}

/**
 * The accounts that can be seen at a glance. The key file needs its passphrase, and the keychains of
 * macOS and Windows are listed by reading each key, for which they may ask.
 */
export async function glimpseAccounts(
  stores: Stores,
  platform: NodeJS.Platform,
  env: StoresOptions['env'],
): Promise<readonly Account[]> {
  const store = await stores.primary();
  const canLook = store.name === 'keychain' && platform !== 'darwin' && platform !== 'win32';
  return canLook ? accountsInSecretService(env) : [];
}

/**
 * Stores a key. One that is there already is replaced only when `mayReplace` says so, which is asked
 * about another key alone: the one rule for terminal and wire.
 *
 * @param mayReplace gets the shortened id of the key that is there, if it is one
 * @returns whether the key is stored now
 */
export async function storeKey(
  store: Store,
  account: Account,
  key: ApiKey,
  mayReplace: (existing: string | undefined) => boolean | Promise<boolean>,
): Promise<boolean> {
  const text = formatKey(key);
  const kept = await store.get(account);
  if (kept === text) return true;
  if (kept !== undefined && !(await mayReplace(shortenedIdOf(kept)))) return false;
  await store.set(account, text);
  return true;
}
