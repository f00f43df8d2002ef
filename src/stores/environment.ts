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

/**
 * A store that holds one key for one account, and that cannot be written.
 *
 * @param text that of `GLM_API_KEY`
 */
export function environmentStore(text: string | undefined, owner: Account): Store {
  const textFor = (account: Account) => (sameAccount(account, owner) ? text : undefined);
  return {
    name: 'environment',
    place: 'GLM_API_KEY',
    get: async (account) => textFor(account),
    list: async () => (text === undefined ? [] : [{ account: owner, id: shortenedIdOf(text) }]),
    async delete(account) {
      if (textFor(account) === undefined) return false;
      throw new GlmTokenError('environmentIsReadOnly');
    },
  };
}
