/** `glm-token delete`: removes a key. */

import { accountFlags, describeAccount } from '../core/account.ts';
import { GlmTokenError } from '../core/errors.ts';
import { ACCOUNT_OPTIONS, type Command } from './command.ts';
import { confirm } from './take-key.ts';

export const deleteCommand: Command = {
  name: 'delete',
  summary: 'remove a stored key',
  options: {
    ...ACCOUNT_OPTIONS,
    force: { type: 'boolean', describe: 'remove it without asking' },
  },
  async run(context, args) {
    const account = context.account(args);
    const owner = describeAccount(account);
    const primary = await context.stores().primary();
    const missing = new GlmTokenError(
      'ERR_KEY_NOT_FOUND',
      `no key is stored for ${owner}`,
      'glm-token list shows what is stored',
    );
    if ((await primary.get(account)) === undefined) throw missing;
    if (args.force !== true) {
      await confirm(
        context,
        `delete the key for ${owner} from ${primary.title}?`,
        new GlmTokenError(
          'ERR_USAGE',
          'there is no terminal to ask at, and nothing was deleted',
          `to delete it without a question: glm-token delete --force${accountFlags(account)}`,
        ),
      );
    }
    if (!(await primary.delete(account))) throw missing;
    context.note(`glm-token: deleted the key for ${owner} from ${primary.title}`);
  },
};
