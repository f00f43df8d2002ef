/** `glm-token store`: saves a key. */

import { describeAccount } from '../core/account.ts';
import { PRIMARY_STORES, type PrimaryName } from '../stores/stores.ts';
import { ACCOUNT_OPTIONS, type Command } from './command.ts';
import { readKey, storeKey } from './take-key.ts';

export const store: Command = {
  name: 'store',
  summary: 'save the API key, typed in or from standard input',
  options: {
    ...ACCOUNT_OPTIONS,
    store: {
      type: 'string',
      choices: PRIMARY_STORES,
      describe: 'where: the OS keychain, or an encrypted file for a machine without one',
    },
    force: { type: 'boolean', describe: 'replace a stored key without asking' },
  },
  examples: [
    ['glm-token store', 'asks for the key, without echo'],
    ['pass show glm | glm-token store --host api.z.ai', 'takes it from another program'],
  ],
  async run(context, args) {
    const account = context.account(args);
    const stores = context.stores();
    const store = await stores.primary(args.store as PrimaryName | undefined);
    const destination = { account, store, force: args.force === true };
    await store.get(account); // Before a key is typed, so that a store which fails says so first.
    if (context.interactive) {
      context.note(`glm-token: the key for ${describeAccount(account)} goes to ${store.title}`);
    }
    await storeKey(context, await readKey(context, store), destination);
    const inUse = await stores.primary();
    if (inUse.name !== store.name) {
      context.note(
        `glm-token: but keys are read from ${inUse.title}\nhint: to use this one: export GLM_TOKEN_STORE=${store.name}${
          inUse.name === 'file' ? ', or remove that file' : ''
        }`,
      );
    }
    if (await stores.environment?.get(account)) {
      context.note('glm-token: GLM_API_KEY is set too, and wins while it is');
    }
  },
};
