/** `glm-token store`: saves a key, or the command that prints it. */

import type { Account } from '../core/account.ts';
import { GlmTokenError, hasCode } from '../core/errors.ts';
import { shortenId } from '../core/key.ts';
import { isWords, programOf } from '../stores/key-commands.ts';
import { storeCommand } from '../stores/registry.ts';
import { confirmHost, mayReplace, readKey, saveKey, warnOfOrigin } from './keep-key.ts';
import {
  ACCOUNT_OPTIONS,
  type ArgsOf,
  type Context,
  FLAG,
  subcommand,
  WRITABLE_STORE_OPTION,
} from './subcommand.ts';

const OPTIONS = {
  ...ACCOUNT_OPTIONS,
  store: WRITABLE_STORE_OPTION,
  'from-command': FLAG,
  force: FLAG,
};

type Args = ArgsOf<typeof OPTIONS>;

export const store = subcommand({
  name: 'store',
  options: OPTIONS,
  operands: { usage: '[-- COMMAND ...]', takes: 'program' },
  async run(context, args, words) {
    const save = args['from-command'] ? saveCommand : saveKeyOf;
    const account = context.account(args);
    await confirmHost(context, account, args.force);
    await save(context, account, args, words);
    return undefined;
  },
});

async function saveCommand(
  context: Context,
  account: Account,
  args: Args,
  words: readonly string[],
): Promise<void> {
  const { terminal, messages, stores } = context;
  if (args.store !== undefined) throw new GlmTokenError('commandAndStore');
  if (!isWords(words)) throw new GlmTokenError('storeWithoutCommand');
  const store = await stores.open('command');
  const key = await storeCommand(store, account, words, (existing) =>
    mayReplace(context, account, existing, args.force),
  );
  if (!key) return;
  terminal.note(messages.store.commandStored(account, shortenId(key.id), programOf(words)));
  await warnOfOrigin(context, account, store);
}

async function saveKeyOf(
  context: Context,
  account: Account,
  args: Args,
  words: readonly string[],
): Promise<void> {
  const { terminal, messages, stores } = context;
  if (words.length > 0) {
    throw new GlmTokenError('argumentUnexpected', { command: 'store', given: words.join(' ') });
  }
  const store = await stores.open(args.store ?? stores.inUse());
  // Before a key is typed, so that a store which fails says so first. It looks before it asks, since
  // KeePassXC opens a window for a read even where it has no place to keep a key.
  await store.get(account, { mayAsk: false }).catch((error) => {
    if (!hasCode(error, 'ERR_STORE_LOCKED') && !hasCode(error, 'ERR_PASSPHRASE')) throw error;
  });
  await store.get(account);
  if (terminal.isInteractive) terminal.note(messages.store.destination(account, store));
  const key = await readKey(context);
  await saveKey(context, { account, key, store, force: args.force });
}
