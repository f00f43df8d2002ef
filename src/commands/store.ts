/** `glm-token store`: saves a key, or the command that prints it. */

import {
  ACCOUNT_OPTIONS,
  type Args,
  type Command,
  type Context,
  WRITABLE_STORE_OPTION,
  writableStoreChoice,
} from '../command.ts';
import type { Account } from '../core/account.ts';
import { GlmTokenError } from '../core/errors.ts';
import { type ApiKey, MAX_KEY_BYTES, parseKey, shortenId } from '../core/key.ts';
import { isWords, programOf } from '../stores/command.ts';
import type { Store } from '../stores/port.ts';
import { lookIntoOther, storeCommand, storeKey } from '../stores/registry.ts';

export const store: Command<'store'> = {
  name: 'store',
  options: {
    ...ACCOUNT_OPTIONS,
    store: WRITABLE_STORE_OPTION,
    'from-command': { type: 'boolean' },
    force: { type: 'boolean' },
  },
  operands: { usage: '[-- COMMAND ...]', verbatim: true },
  async run(context, args, words) {
    const { terminal, messages, stores } = context;
    const account = context.account(args);
    if (args['from-command'] === true) await saveCommand(context, account, args, words);
    else await saveKeyOf(context, account, args, words);

    if (await stores.environment?.get(account)) terminal.note(messages.store.environmentPrecedes);
    const { socket } = context.settings;
    if (socket !== undefined) terminal.note(messages.store.socketPrecedes(socket));
    return undefined;
  },
};

async function saveCommand(
  context: Context,
  account: Account,
  args: Args,
  words: readonly string[],
): Promise<void> {
  const { terminal, messages, stores } = context;
  if (args.store !== undefined) throw new GlmTokenError('commandAndStore');
  if (!isWords(words)) throw new GlmTokenError('storeWithoutCommand');
  const store = await stores.commands();
  const key = await storeCommand(store, account, words, (existing) =>
    mayReplace(context, account, programOf(existing), args.force === true),
  );
  if (key)
    terminal.note(messages.store.commandStored(account, shortenId(key.id), programOf(words)));
}

async function saveKeyOf(
  context: Context,
  account: Account,
  args: Args,
  words: readonly string[],
): Promise<void> {
  const { terminal, messages, stores } = context;
  if (words.length > 0) {
    const maybeKey = words.some((word) => word.includes('.'));
    throw new GlmTokenError('argumentUnexpected', { command: 'store', maybeKey });
  }
  const before = await stores.primary();
  const store = await stores.primary(writableStoreChoice(args));
  // Before a key is typed, so that a store which fails says so first; a new file has no keys yet.
  if (store.lockable?.state() !== 'new') await store.get(account);
  if (terminal.isInteractive) terminal.note(messages.store.destination(account, store));
  const key = await readKey(context);
  await saveKey(context, { account, key, store, force: args.force === true });
  await warnOfOtherStore(context, before, store);
  await warnOfCommand(context, account);
}

/** Warns when a command takes precedence over the key that was stored. */
export async function warnOfCommand(
  { terminal, messages, stores }: Context,
  account: Account,
): Promise<void> {
  const commands = await stores.commandsInUse();
  if (commands?.has(account)) terminal.note(messages.store.commandPrecedes(account));
}

/**
 * Whether what is stored for an account may be replaced: a person is asked, unless it is forced.
 *
 * @param existing the shortened id of the key, or the program of the command, that is there
 * @throws GlmTokenError `ERR_USAGE` when there is no one to ask, or the answer is no
 */
async function mayReplace(
  { terminal, messages }: Context,
  account: Account,
  existing: string | undefined,
  force: boolean,
): Promise<true> {
  if (force) return true;
  if (!terminal.isInteractive) throw new GlmTokenError('keyExists', { account, existing });
  const isConfirmed = await terminal.confirm(messages.askReplace(account, existing));
  if (!isConfirmed) throw new GlmTokenError('answeredNo');
  return true;
}

/** Warns when the key went to a store that is not in use, or when keys in the other one no longer are. */
export async function warnOfOtherStore(
  { terminal, messages, stores }: Context,
  before: Store,
  store: Store,
): Promise<void> {
  const inUse = await stores.primary();
  if (inUse.name !== store.name) {
    terminal.note(messages.store.readElsewhere(store, inUse));
  } else if (before.name !== store.name) {
    const accounts = await lookIntoOther(stores);
    if (!accounts || accounts.length === 0) return;
    terminal.note(messages.store.outOfSight(accounts, before, inUse));
  }
}

/**
 * Reads a key: at the prompt, where a person may try again, else from standard input.
 *
 * @throws GlmTokenError `ERR_KEY_MALFORMED`
 */
export async function readKey({ terminal, messages }: Context): Promise<ApiKey> {
  if (!terminal.isInteractive) return parseKey(await terminal.readInput(MAX_KEY_BYTES));
  return terminal.askUntil(() => terminal.askSecret(messages.askKey), parseKey);
}

export interface Destination {
  readonly account: Account;
  readonly key: ApiKey;
  readonly store: Store;
  /** Whether to replace another key without asking. */
  readonly force: boolean;
}

/**
 * Stores a key and says so. A store with a passphrase asks for it first.
 *
 * @throws GlmTokenError `ERR_USAGE` when it may not replace the key that is there, or what the store
 *   throws; nothing is stored or lost then
 */
export async function saveKey(
  context: Context,
  { account, key, store, force }: Destination,
): Promise<void> {
  const { terminal, messages } = context;
  await store.lockable?.unlock();
  await storeKey(store, account, key, (existing) => mayReplace(context, account, existing, force));
  terminal.note(messages.store.stored(account, shortenId(key.id), store));
}
