/** Which store holds which key: `GLM_API_KEY` first, then a command, then the one store in use. */

import { type Account, sameAccount } from '../core/account.ts';
import { GlmTokenError, type KeyOrigin } from '../core/errors.ts';
import { type ApiKey, formatKey, parseKey, shortenedIdOf } from '../core/key.ts';
import { environmentStore } from './environment.ts';
import type { KeyCommandStore, Words } from './key-commands.ts';
import { accountsInSecretService, keychainStore } from './keychain.ts';
import type { AskPassphrase } from './passphrase.ts';
import {
  COMMAND_FILE,
  KEY_FILE,
  type KeptStoreName,
  type OnWaiting,
  type ReadOptions,
  type Store,
  type StoredAccount,
  type WritableStoreName,
} from './port.ts';
import type { PrivateDirectory } from './private-directory.ts';

/** What the stores need of the world. */
export interface StoresOptions {
  readonly platform: NodeJS.Platform;
  readonly env: NodeJS.ProcessEnv;
  readonly settings: {
    readonly account: Account;
    readonly apiKey: string | undefined;
    readonly store: WritableStoreName | undefined;
    readonly passphraseFile: string | undefined;
    readonly promptTimeoutMs: number;
  };
  /** The user's directory for data of ours. */
  directory(): PrivateDirectory;
  /** The user's directory for settings of ours. */
  configDirectory(): PrivateDirectory;
  /** Whether a person can answer a command on the terminal that this process has. */
  hasTerminal(): Promise<boolean>;
  readonly onWaiting?: OnWaiting;
  /** Omitted when there is no one to prompt. */
  readonly askPassphrase?: AskPassphrase;
  /** Idle time after which the key file is locked and keys from commands are forgotten, in milliseconds. */
  readonly lockAfterMs?: number | undefined;
  /** The time, in milliseconds since 1970 (UTC). */
  now(): number;
}

export interface Stores {
  /** The key in the environment, which takes precedence for the account that it is for. */
  readonly environment: Store | undefined;
  /** The commands that print keys, which take precedence over the store in use. */
  commands(): Promise<KeyCommandStore>;
  /** Those, or `undefined` when there are none: `print` then does not load their code (3 ms). */
  commandsInUse(): Promise<KeyCommandStore | undefined>;
  /**
   * The store that keys are written to: the one asked for, else the one in use. That is the one
   * which `GLM_TOKEN_STORE` names, else the key file when there is one (it is there because the user
   * chose it), else the keychain; found out anew each time, since it can change under the helper.
   */
  primary(choice?: WritableStoreName): Promise<Store>;
  /** The writable store that is not {@link primary}. */
  other(): Promise<Store>;
  /** Has every store forget the keys that it holds. */
  lock(): Promise<void>;
  /** Whether a call that was given up still keeps the process from ending by itself. */
  isStuck(): Promise<boolean>;
}

export function openStores(options: StoresOptions): Stores {
  const { settings } = options;
  const opened = new Map<WritableStoreName, Promise<Store>>();
  let commands: Promise<KeyCommandStore> | undefined;

  const open: Record<WritableStoreName, () => Promise<Store>> = {
    keychain: async () => keychainStore({ ...options, timeoutMs: settings.promptTimeoutMs }),
    file: async () => {
      const { fileStore } = await import('./file.ts');
      return fileStore({
        ...options,
        directory: options.directory(),
        passphraseFile: settings.passphraseFile,
      });
    },
  };
  const openCommands = async (): Promise<KeyCommandStore> => {
    const { keyCommandStore } = await import('./key-commands.ts');
    return keyCommandStore({
      ...options,
      directory: options.configDirectory(),
      timeoutMs: settings.promptTimeoutMs,
      hasTerminal: await options.hasTerminal(),
    });
  };
  const inUse = (): WritableStoreName =>
    settings.store ?? (options.directory().has(KEY_FILE) ? 'file' : 'keychain');
  const openedStores = async () =>
    (
      await Promise.allSettled<Store>([...opened.values(), ...(commands ? [commands] : [])])
    ).flatMap((store) => (store.status === 'fulfilled' ? [store.value] : []));

  const stores: Stores = {
    environment:
      settings.apiKey === undefined
        ? undefined
        : environmentStore(settings.apiKey, settings.account),
    commands() {
      commands ??= openCommands();
      return commands;
    },
    async commandsInUse() {
      return options.configDirectory().has(COMMAND_FILE) ? stores.commands() : undefined;
    },
    primary(choice = inUse()) {
      const store = opened.get(choice) ?? open[choice]();
      opened.set(choice, store);
      return store;
    },
    other() {
      return stores.primary(inUse() === 'file' ? 'keychain' : 'file');
    },
    async lock() {
      for (const store of await openedStores()) await store.forget?.();
    },
    async isStuck() {
      return (await openedStores()).some((store) => store.isStuck?.());
    },
  };
  return stores;
}

/**
 * The key for an account, from the store named, else from the first that has one: the environment,
 * a command, the store in use.
 *
 * @throws GlmTokenError `ERR_KEY_NOT_FOUND` when there is none, `ERR_KEY_MALFORMED` when what is
 *   stored is no key, or what the store throws
 */
export async function findKey(
  stores: Stores,
  account: Account,
  choice?: KeptStoreName,
  options?: ReadOptions,
): Promise<ApiKey> {
  const store = await storeFor(stores, account, choice);
  const text = await store.get(account, options);
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
  choice?: KeptStoreName,
): Promise<Store> {
  if (choice) return storeNamed(stores, choice);
  const { environment } = stores;
  if ((await environment?.get(account)) !== undefined && environment) return environment;
  return keeperOf(stores, account);
}

/** The store that keeps the key of an account, or the command that prints it. */
export async function keeperOf(
  stores: Stores,
  account: Account,
  choice?: KeptStoreName,
): Promise<Store> {
  if (choice) return storeNamed(stores, choice);
  const commands = await stores.commandsInUse();
  return commands?.has(account) ? commands : stores.primary();
}

/** Where the key of an account comes from; nobody is asked, and nothing is run. */
export async function originOf(stores: Stores, account: Account): Promise<KeyOrigin> {
  const { name, place } = await storeFor(stores, account);
  if (name !== 'command') return { name, place };
  const listed = await (await stores.commands()).list();
  const program = listed.find((entry) => sameAccount(entry.account, account))?.program;
  return { name, place, program };
}

const storeNamed = (stores: Stores, choice: KeptStoreName): Promise<Store> =>
  choice === 'command' ? stores.commands() : stores.primary(choice);

/** How many other accounts are named where a key is missing. */
const MAX_OTHERS = 3;

/** That there is no key for an account, with what there is instead. */
export async function notFound(
  stores: Stores,
  account: Account,
  choice?: KeptStoreName,
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
 * The accounts that can be listed, in the order in which their stores take precedence, and what kept
 * the others from it. Of the store named alone, when one is.
 */
export async function surveyAccounts(
  stores: Stores,
  choice?: KeptStoreName,
): Promise<{ accounts: readonly ListedAccount[]; error?: unknown }> {
  const accounts: ListedAccount[] = [];
  const take = async (store: Store) => {
    accounts.push(...(await store.list()).map((stored) => ({ ...stored, store })));
  };
  try {
    if (choice) {
      await take(await storeNamed(stores, choice));
    } else {
      const first = [stores.environment, await stores.commandsInUse()];
      for (const store of first) if (store) await take(store);
      await take(await stores.primary());
    }
    return { accounts };
  } catch (error) {
    return { accounts, error };
  }
}

/** An account that has a key, as JSON and the wire have it. */
const accountEntry = ({ account, id, program, store }: ListedAccount) => ({
  ...account,
  id: id ?? null,
  store: store.name,
  ...(program !== undefined && { program }),
});

/**
 * The accounts that can be listed, as {@link surveyAccounts} has them, and what kept others from it.
 *
 * @throws GlmTokenError when there are none, since a store failed
 */
export async function listAccounts(
  stores: Stores,
  choice?: KeptStoreName,
): Promise<{ accounts: readonly ReturnType<typeof accountEntry>[]; error?: unknown }> {
  const { accounts, error } = await surveyAccounts(stores, choice);
  if (error !== undefined && accounts.length === 0) throw error;
  return { accounts: accounts.map(accountEntry), error };
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
  env: NodeJS.ProcessEnv,
): Promise<readonly Account[]> {
  const commands = (await (await stores.commandsInUse())?.list()) ?? [];
  const store = await stores.primary();
  const canLook = store.name === 'keychain' && platform !== 'darwin' && platform !== 'win32';
  const stored = canLook ? await accountsInSecretService(env) : [];
  return [...commands.map(({ account }) => account), ...stored];
}

/**
 * Keeps a command for an account. Another one that is there already is replaced only when
 * `mayReplace` says so.
 *
 * @param mayReplace gets the command that is there
 * @returns the key that the command printed; `undefined` when it was not kept
 */
export async function storeCommand(
  store: KeyCommandStore,
  account: Account,
  words: Words,
  mayReplace: (existing: Words) => boolean | Promise<boolean>,
): Promise<ApiKey | undefined> {
  const kept = store.commandOf(account);
  const isOther = kept !== undefined && kept.join('\0') !== words.join('\0');
  if (isOther && !(await mayReplace(kept))) return undefined;
  return store.setCommand(account, words);
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
