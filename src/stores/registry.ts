/** Which store holds which key: `GLM_API_KEY` first, then a command, then the one store in use. */

import {
  type Account,
  DEFAULT_HOST,
  INTERNATIONAL_HOST,
  includesAccount,
} from '../core/account.ts';
import { GlmTokenError } from '../core/errors.ts';
import { type ApiKey, formatKey, parseKey, shortenedIdOf } from '../core/key.ts';
import { isMissingKeychain } from './cure.ts';
import { environmentStore } from './environment.ts';
import type { FileStore } from './file.ts';
import { KeyCommandStore, programOf, type Words } from './key-commands.ts';
import { keychainStore } from './keychain.ts';
import {
  KEY_FILE,
  type KeptStoreName,
  type KeyOrigin,
  type ReadOptions,
  type Store,
  type StoredAccount,
  type StoreName,
  type StoresWorld,
  type WritableStore,
  type WritableStoreName,
} from './port.ts';

/** The stores by their names. */
export interface StoreTypes {
  readonly environment: Store;
  readonly command: KeyCommandStore;
  readonly keychain: WritableStore;
  readonly file: FileStore;
}

export interface Stores {
  /**
   * The store that keys are written to, unless another is named: the one that `GLM_TOKEN_STORE` names,
   * else the encrypted file when there is one (it is there because the user chose it), else the
   * keychain; found out anew each time, since it can change under the helper.
   */
  inUse(): WritableStoreName;
  open<Name extends StoreName>(name: Name): Promise<StoreTypes[Name]>;
  /** Has every store forget the keys that it holds. */
  lock(): Promise<void>;
}

export function openStores(world: StoresWorld): Stores {
  const { accounts } = world;
  const openers: { readonly [Name in StoreName]: () => Promise<StoreTypes[Name]> } = {
    environment: async () => environmentStore(world.apiKey, world.account),
    command: async () => new KeyCommandStore(world),
    keychain: async () => keychainStore(world),
    file: async () => new (await import('./file.ts')).FileStore(world),
  };
  /** Every store passes here, so that no other account comes out of any. */
  const limited = <S extends Store>(store: S): S => {
    const list = store.list.bind(store);
    if (accounts) {
      store.list = async (options) =>
        (await list(options)).filter(({ account }) => includesAccount(accounts, account));
    }
    return store;
  };
  const opened: { [Name in StoreName]?: Promise<StoreTypes[Name]> } = {};
  return {
    inUse: () => world.store ?? (world.directory().has(KEY_FILE) ? 'file' : 'keychain'),
    open(name) {
      opened[name] ??= openers[name]().then(limited) as (typeof opened)[typeof name];
      return opened[name] as Promise<StoreTypes[typeof name]>;
    },
    async lock() {
      await (await opened.file)?.forget();
      await (await opened.command)?.forget();
    },
  };
}

/** The store that is not the given one. */
export const otherThan = (name: WritableStoreName): WritableStoreName =>
  name === 'file' ? 'keychain' : 'file';

/** The store that the key of an account is read from, unless one is named: the first that has it. */
export async function storeOf(
  stores: Stores,
  account: Account,
  choice?: KeptStoreName,
): Promise<Store> {
  if (choice) return stores.open(choice);
  const environment = await stores.open('environment');
  if ((await environment.get(account)) !== undefined) return environment;
  const commands = await stores.open('command');
  return commands.commandOf(account) ? commands : stores.open(stores.inUse());
}

/** Where the key of an account comes from; nobody is asked, and nothing is run. */
export async function originOf(
  stores: Stores,
  account: Account,
  choice?: KeptStoreName,
): Promise<KeyOrigin> {
  const { name, place } = await storeOf(stores, account, choice);
  const words = name === 'command' && (await stores.open(name)).commandOf(account);
  return { name, place, program: words ? programOf(words) : undefined };
}

/** Which store is meant, where not the first that has a key; and whether a person may be asked. */
export interface FindOptions extends ReadOptions {
  readonly store?: KeptStoreName | undefined;
}

/**
 * The key for an account.
 *
 * @throws GlmTokenError `ERR_KEY_NOT_FOUND`, `ERR_KEY_MALFORMED` when what is stored is no key, or what the
 *   store throws
 */
export async function findKey(
  stores: Stores,
  account: Account,
  options: FindOptions = {},
): Promise<ApiKey> {
  const store = await storeOf(stores, account, options.store);
  const text = await store.get(account, options).catch(async (error) => {
    throw (isMissingKeychain(error) && (await mistyped(stores, account))) || error;
  });
  if (text === undefined) throw await notFound(stores, account, options.store);
  try {
    return parseKey(text);
  } catch (error) {
    const { name, place } = store;
    throw new GlmTokenError('storedKeyInvalid', { account, store: { name, place } }, error);
  }
}

/** How many other accounts are named where a key is missing. */
const MAX_OTHERS = 3;

/** How many letters of a host may be wrong, missing or too many where it is taken for another one. */
const MAX_TYPOS = 2;

/** That a host was mistyped, if there is a key for one that is almost the same, and none for it. */
export async function mistyped(
  stores: Stores,
  account: Account,
  choice?: KeptStoreName,
): Promise<GlmTokenError | undefined> {
  const isName = (host: string) => /^[a-z.-]+$/.test(host);
  const { host } = account;
  if (!isName(host) || host === DEFAULT_HOST || host === INTERNATIONAL_HOST) return undefined;
  const { accounts } = await listAccounts(stores, { store: choice, mayAsk: false });
  const others = accounts.map((listed) => listed.account);
  if (others.some((other) => other.host === host)) return undefined;
  const { default: leven } = await import('leven');
  const meant = others.find((other) => isName(other.host) && leven(other.host, host) <= MAX_TYPOS);
  return meant && new GlmTokenError('hostMistyped', { account, meant });
}

/** That there is no key for an account, with what there is instead. */
export async function notFound(
  stores: Stores,
  account: Account,
  choice?: KeptStoreName,
): Promise<GlmTokenError> {
  const problem = await mistyped(stores, account, choice);
  if (problem) return problem;
  const { accounts } = await listAccounts(stores, { store: choice, mayAsk: false });
  const isGiven = ({ store }: ListedAccount) => store.name === 'environment';
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
 * The accounts that have a key, in the order in which their stores take precedence, and what kept the
 * others from being listed.
 */
export async function listAccounts(
  stores: Stores,
  { store: choice, ...options }: FindOptions = {},
): Promise<{ accounts: readonly ListedAccount[]; error?: unknown }> {
  const names = choice ? [choice] : (['environment', 'command', stores.inUse()] as const);
  const accounts: ListedAccount[] = [];
  try {
    for (const name of names) {
      const store: Store = await stores.open(name);
      accounts.push(...(await store.list(options)).map((stored) => ({ ...stored, store })));
    }
    return { accounts };
  } catch (error) {
    return { accounts, error };
  }
}

/** An account that has a key, as JSON and the wire have it. */
export const accountEntry = ({ account, id, isLocked, program, store }: ListedAccount) => ({
  ...account,
  id: id ?? null,
  store: store.name,
  ...(isLocked && { locked: true }),
  ...(program !== undefined && { program }),
});

/**
 * Whether what is there already may be replaced: asked about another key or command alone, the one
 * rule for terminal and wire.
 *
 * @param existing the shortened id of the key, or the program of the command
 */
type MayReplace = (existing: string | undefined) => boolean | Promise<boolean>;

/**
 * Keeps a command for an account.
 *
 * @returns the key that the command printed; `undefined` when it was not kept
 */
export async function storeCommand(
  store: KeyCommandStore,
  account: Account,
  words: Words,
  mayReplace: MayReplace,
): Promise<ApiKey | undefined> {
  const kept = store.commandOf(account);
  const isOther = kept !== undefined && kept.join('\0') !== words.join('\0');
  if (isOther && !(await mayReplace(programOf(kept)))) return undefined;
  return store.setCommand(account, words);
}

/** Stores a key; returns whether it is stored now. */
export async function storeKey(
  store: WritableStore,
  account: Account,
  key: ApiKey,
  mayReplace: MayReplace,
): Promise<boolean> {
  const text = formatKey(key);
  const kept = await store.get(account);
  if (kept === text) return true;
  if (kept !== undefined && !(await mayReplace(shortenedIdOf(kept)))) return false;
  await store.set(account, text);
  return true;
}
