/** Which store holds which key: `GLM_API_KEY` first, then the one store in use. */

import {
  type Account,
  accountFlags,
  DEFAULT_HOST,
  DEFAULT_PROFILE,
  describeAccount,
  parseAccount,
} from '../core/account.ts';
import { GlmTokenError } from '../core/errors.ts';
import { type ApiKey, parseKey } from '../core/key.ts';
import { parseTtl } from '../core/token.ts';
import { environmentStore } from './environment.ts';
import { keychainStore } from './keychain.ts';
import type { Store, StoredKey } from './store.ts';

/** Where the program runs, as far as stores care. */
export interface Surroundings {
  readonly platform: NodeJS.Platform;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Called when the keychain seems to wait for a person. */
  readonly onWaiting?: () => void;
}

export interface Stores {
  /** The key in the environment, which wins where it applies. */
  readonly environment: Store | undefined;
  /** The store that keys are written to. */
  readonly primary: Store;
}

/** The account to use when none is named: `GLM_TOKEN_HOST` and `GLM_TOKEN_PROFILE`, or ours. */
export function defaultAccount(env: Surroundings['env']): Account {
  return parseAccount(env.GLM_TOKEN_HOST || DEFAULT_HOST, env.GLM_TOKEN_PROFILE || DEFAULT_PROFILE);
}

/** @throws GlmTokenError `ERR_USAGE` when a variable of ours holds what it cannot */
export function openStores(surroundings: Surroundings): Stores {
  const { env, platform, onWaiting } = surroundings;
  const limit = env.GLM_TOKEN_KEYCHAIN_TIMEOUT;
  return {
    environment: env.GLM_API_KEY
      ? environmentStore(env.GLM_API_KEY, defaultAccount(env))
      : undefined,
    primary: keychainStore({
      platform,
      env,
      ...(limit ? { timeoutMs: parseTtl(limit) } : {}),
      ...(onWaiting ? { onWaiting } : {}),
    }),
  };
}

/**
 * The key for an account.
 *
 * @throws GlmTokenError `ERR_KEY_NOT_FOUND` when there is none, `ERR_KEY_MALFORMED` when what is
 *   kept is not one, or what the store throws
 */
export async function findKey(stores: Stores, account: Account): Promise<ApiKey> {
  const { environment, primary } = stores;
  const given = await environment?.get(account);
  const text = given ?? (await primary.get(account));
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
      given === undefined
        ? `what ${primary.title} holds for ${describeAccount(account)} is not an API key`
        : 'GLM_API_KEY does not hold an API key (id.secret)',
      given === undefined
        ? `store it again: glm-token store --force${accountFlags(account)}`
        : 'set it to the key as the GLM console shows it, or unset it',
      error,
    );
  }
}

/** Every key there is, the environment's first, and the store that each is in. */
export async function listKeys({
  environment,
  primary,
}: Stores): Promise<(StoredKey & { store: Store })[]> {
  const stores = environment ? [environment, primary] : [primary];
  const lists = [];
  for (const store of stores) {
    lists.push((await store.list()).map((key) => ({ ...key, store })));
  }
  return lists.flat();
}
