/** `glm-token store`: saves a key. */

import { ACCOUNT_OPTIONS, type Command } from './command.ts';
import { takeKey } from './take-key.ts';

export const store: Command = {
  name: 'store',
  summary: 'save the API key, typed in or from standard input',
  options: {
    ...ACCOUNT_OPTIONS,
    force: { type: 'boolean', describe: 'replace a stored key without asking' },
  },
  examples: [
    ['glm-token store', 'asks for the key, without echo'],
    ['pass show glm | glm-token store --host api.z.ai', 'takes it from another program'],
  ],
  async run(context, args) {
    const account = context.account(args);
    await takeKey(context, account, args.force === true);
    if (await context.stores().environment?.get(account)) {
      context.note('glm-token: GLM_API_KEY is set too, and wins while it is');
    }
  },
};
