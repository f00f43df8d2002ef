/** `glm-token store`: saves a key. */

import {
  ACCOUNT_OPTIONS,
  type Command,
  type Context,
  STORE_OPTION,
  storeChoice,
} from '../command.ts';
import type { Account } from '../core/account.ts';
import { GlmTokenError } from '../core/errors.ts';
import { type ApiKey, MAX_KEY_BYTES, parseKey, shortenId } from '../core/key.ts';
import type { Store } from '../stores/port.ts';
import { lookIntoOther, storeKey } from '../stores/registry.ts';

export const store: Command<'store'> = {
  name: 'store',
  options: {
    ...ACCOUNT_OPTIONS,
    store: STORE_OPTION,
    force: { type: 'boolean' },
  },
  async run(context, args) {
    const { terminal, messages, stores } = context;
    const account = context.account(args);
    const before = await stores.primary();
    const store = await stores.primary(storeChoice(args));
    // Before a key is typed, so that a store which fails says so first; a new file has no keys yet.
    if (store.lockable?.state() !== 'new') await store.get(account);
    if (terminal.isInteractive) terminal.note(messages.store.destination(account, store));
    const key = await readKey(context);
    await saveKey(context, { account, key, store, force: args.force === true });

    await warnOfOtherStore(context, before, store);
    if (await stores.environment?.get(account)) terminal.note(messages.store.environmentPrecedes);
    const { socket } = context.settings;
    if (socket !== undefined) terminal.note(messages.store.socketPrecedes(socket));
    return undefined;
  },
};

/** Warns when the key went to a store that is not in use, or when it put others out of sight. */
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
  { terminal, messages }: Context,
  { account, key, store, force }: Destination,
): Promise<void> {
  await store.lockable?.unlock();
  await storeKey(store, account, key, async (existing) => {
    if (force) return true;
    if (!terminal.isInteractive) throw new GlmTokenError('keyExists', { account, existing });
    const isConfirmed = await terminal.confirm(messages.askReplace(account, existing));
    if (!isConfirmed) throw new GlmTokenError('answeredNo');
    return true;
  });
  terminal.note(messages.store.stored(account, shortenId(key.id), store));
}
