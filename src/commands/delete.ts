/** `glm-token delete`: removes a key. */

import { GlmTokenError } from '../core/errors.ts';
import { mistyped, storeOf } from '../stores/registry.ts';
import { ACCOUNT_OPTIONS, FLAG, STORE_OPTION, subcommand } from './subcommand.ts';

export const deleteCommand = subcommand({
  name: 'delete',
  options: { ...ACCOUNT_OPTIONS, store: STORE_OPTION, force: FLAG },
  async run(context, args) {
    const { terminal, messages, stores } = context;
    const account = context.account(args);
    const before = stores.inUse();
    const store = await storeOf(stores, account, args.store);
    if (!args.force) {
      if (!terminal.isInteractive) throw new GlmTokenError('deletionUnconfirmed', { account });
      const isConfirmed = await terminal.confirm(messages.askDelete(account, store));
      if (!isConfirmed) throw new GlmTokenError('answeredNo');
    }
    if (!(await store.delete(account))) {
      throw (await mistyped(stores, account)) ?? new GlmTokenError('nothingToDelete', { account });
    }
    terminal.note(messages.delete.deleted(account, store));
    const inUse = await stores.open(stores.inUse());
    if (inUse.name !== before) terminal.note(messages.delete.fileRemoved(inUse));
    return undefined;
  },
});
