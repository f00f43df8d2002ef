/** Which store holds which key: `GLM_API_KEY` first, then the one store in use. */

import {
  type Account,
  accountFlags,
  DEFAULT_HOST,
  DEFAULT_PROFILE,
  describeAccount,
  parseAccount,
  quote,
} from '../core/account.ts';
import { GlmTokenError } from '../core/errors.ts';
import { type ApiKey, parseKey } from '../core/key.ts';
import { parseTtl } from '../core/token.ts';
import { environmentStore } from './environment.ts';
import type { Folder } from './folder.ts';
import { generationOf } from './key-file-name.ts';
import { keychainStore } from './keychain.ts';
import type { AskPassphrase } from './passphrase.ts';
import type { Store, StoredKey } from './store.ts';

/** The stores that keys can be written to. */
export const PRIMARY_STORES = ['keychain', 'file'] as const;

export type PrimaryName = (typeof PRIMARY_STORES)[number];

/** Where the program runs, as far as stores care. */
export interface Surroundings {
  readonly platform: NodeJS.Platform;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The user's folder for data of ours. */
  readonly folder: Folder;
  /** Called when the keychain seems to wait for a person. */
  readonly onWaiting?: () => void;
  /** Not there where no person is. */
  readonly askPassphrase?: AskPassphrase;
  /** How long the key file stays unlocked when nobody uses it, in milliseconds. */
  readonly lockAfterMs?: number | undefined;
  /** The time, in milliseconds since 1970 (UTC). */
  now(): number;
}

export interface Stores {
  /** The key in the environment, which wins where it applies. */
  readonly environment: Store | undefined;
  /**
   * The store that keys are written to: the one asked for, else the one in use. That is what
   * `GLM_TOKEN_STORE` names, else the encrypted file when there is one (it is there because the user
   * chose it), else the keychain; found out anew each time, since it can change under the helper.
   */
  primary(choice?: PrimaryName): Promise<Store>;
}

/** The account to use when none is named: `GLM_TOKEN_HOST` and `GLM_TOKEN_PROFILE`, or ours. */
export function defaultAccount(env: Surroundings['env']): Account {
  return parseAccount(env.GLM_TOKEN_HOST || DEFAULT_HOST, env.GLM_TOKEN_PROFILE || DEFAULT_PROFILE);
}

/** @throws GlmTokenError `ERR_USAGE` when a variable of ours holds what it cannot */
export function openStores(surroundings: Surroundings): Stores {
  const { env, platform, folder, onWaiting } = surroundings;
  const limit = env.GLM_TOKEN_KEYCHAIN_TIMEOUT;
  const opened: Partial<Record<PrimaryName, Promise<Store>>> = {};

  const open: Record<PrimaryName, () => Promise<Store>> = {
    keychain: async () =>
      keychainStore({
        platform,
        env,
        ...(limit ? { timeoutMs: parseTtl(limit) } : {}),
        ...(onWaiting ? { onWaiting } : {}),
      }),
    file: async () => {
      const { fileStore } = await import('./file.ts');
      const passphraseFile = env.GLM_TOKEN_PASSPHRASE_FILE;
      return fileStore({ ...surroundings, passphraseFile });
    },
  };
  const choose = (): PrimaryName =>
    chosenStore(env) ?? (folder.names().some(generationOf) ? 'file' : 'keychain');

  return {
    environment: env.GLM_API_KEY
      ? environmentStore(env.GLM_API_KEY, defaultAccount(env))
      : undefined,
    async primary(choice = choose()) {
      opened[choice] ??= open[choice]();
      return opened[choice];
    },
  };
}

/** What `GLM_TOKEN_STORE` names, if anything. */
function chosenStore({ GLM_TOKEN_STORE: name }: Surroundings['env']): PrimaryName | undefined {
  const known = PRIMARY_STORES.find((store) => store === name);
  if (known || !name) return known;
  throw new GlmTokenError(
    'ERR_USAGE',
    `GLM_TOKEN_STORE cannot be ${quote(name)}`,
    `set it to one of: ${PRIMARY_STORES.join(', ')}`,
  );
}

/**
 * The key for an account.
 *
 * @throws GlmTokenError `ERR_KEY_NOT_FOUND` when there is none, `ERR_KEY_MALFORMED` when what is
 *   kept is not one, or what the store throws
 */
export async function findKey(stores: Stores, account: Account): Promise<ApiKey> {
  const given = await stores.environment?.get(account);
  const primary = given === undefined ? await stores.primary() : undefined;
  const text = given ?? (await primary?.get(account));
  if (text === undefined) {
    throw new GlmTokenError(
      'ERR_KEY_NOT_FOUND',
      `no key is stored for ${describeAccount(account)}`,
      `run: glm-token store${accountFlags(account)}`,
    );
  }
  try {
    return parseKey(text);
  } catch (error) {
    throw new GlmTokenError(
      'ERR_KEY_MALFORMED',
      primary
        ? `what ${primary.title} holds for ${describeAccount(account)} is not an API key`
        : 'GLM_API_KEY does not hold an API key (id.secret)',
      primary
        ? `store it again: glm-token store --force${accountFlags(account)}`
        : 'set it to the key as the GLM console shows it, or unset it',
      error,
    );
  }
}

/** A key, and the store that it is in. */
export type ListedKey = StoredKey & { readonly store: Store };

/** The keys that can be listed, the environment's first, and what kept the others from it, if so. */
export async function surveyKeys(
  stores: Stores,
): Promise<{ keys: readonly ListedKey[]; error?: unknown }> {
  const listed = async (store: Store) =>
    (await store.list()).map((key): ListedKey => ({ ...key, store }));
  const given = stores.environment ? await listed(stores.environment) : [];
  try {
    return { keys: [...given, ...(await listed(await stores.primary()))] };
  } catch (error) {
    return { keys: given, error };
  }
}

/** Every key there is, the environment's first. */
export async function listKeys(stores: Stores): Promise<readonly ListedKey[]> {
  const { keys, error } = await surveyKeys(stores);
  if (error !== undefined) throw error;
  return keys;
}
