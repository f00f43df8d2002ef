/** The environment as a store: one key in `GLM_API_KEY`, for CI and for a first try. */

import { type Account, sameAccount } from '../core/account.ts';
import { GlmTokenError } from '../core/errors.ts';
import { shortenedIdOf } from '../core/key.ts';
import type { Store } from './port.ts';

/** Variables that hold a key, or lead to one. */
const KEY_VARIABLES = ['GLM_API_KEY', 'GLM_TOKEN_PASSPHRASE_FILE'];

/**
 * The environment for another program: without the variables that hold a key, or lead to one. They may
 * be in any case, as on Windows.
 */
export const withoutKeys = (env: NodeJS.ProcessEnv): Record<string, string | undefined> =>
  Object.fromEntries(
    Object.entries(env).filter(([name]) => !KEY_VARIABLES.includes(name.toUpperCase())),
  );

/** A store that holds the text of `GLM_API_KEY` for one account, and that cannot be written. */
export function environmentStore(text: string, owner: Account): Store {
  const owns = (account: Account) => sameAccount(account, owner);
  const refuse = (): never => {
    throw new GlmTokenError('environmentIsReadOnly');
  };
  return {
    name: 'environment',
    place: 'GLM_API_KEY',
    get: async (account) => (owns(account) ? text : undefined),
    set: async () => refuse(),
    delete: async (account) => (owns(account) ? refuse() : false),
    list: async () => [{ account: owner, id: shortenedIdOf(text) }],
  };
}
