/** How a key that a person gives gets into a store. */

import type { Account } from '../core/account.ts';
import { GlmTokenError } from '../core/errors.ts';
import { type ApiKey, MAX_KEY_BYTES, parseKey, shortenId } from '../core/key.ts';
import type { StoreLabel, WritableStore, WritableStoreName } from '../stores/port.ts';
import { listAccounts, mistyped, storeKey, storeOf } from '../stores/registry.ts';
import type { Context } from './subcommand.ts';

/**
 * Reads a key: at the prompt, where a person may try again, else from standard input.
 *
 * @throws GlmTokenError `ERR_KEY_MALFORMED`
 */
export async function readKey({ terminal, messages }: Context): Promise<ApiKey> {
  if (!terminal.isInteractive) return parseKey(await terminal.readInput(MAX_KEY_BYTES));
  return terminal.askUntil(() => terminal.askSecret(messages.askKey), parseKey);
}

/**
 * Says when there is a key for a host that is almost this one; a person is asked whether to go on.
 *
 * @throws GlmTokenError `ERR_USAGE` when the answer is no
 */
export async function confirmHost(
  { stores, terminal, messages }: Context,
  account: Account,
  force: boolean,
): Promise<void> {
  const problem = await mistyped(stores, account);
  if (!problem) return;
  terminal.note(messages.describe(problem));
  if (!terminal.isInteractive || force) return;
  if (!(await terminal.confirm(messages.askHost(account)))) throw new GlmTokenError('answeredNo');
}

export interface Destination {
  readonly account: Account;
  readonly key: ApiKey;
  readonly store: WritableStore;
  /** Whether to replace another key without asking. */
  readonly force: boolean;
}

/**
 * Stores a key, says so, and warns when it is not the one that is going to be used.
 *
 * @throws GlmTokenError `ERR_USAGE` when it may not replace the key that is there, or what the store
 *   throws; nothing is stored or lost then
 */
export async function saveKey(
  context: Context,
  { account, key, store, force }: Destination,
): Promise<void> {
  const { terminal, messages, stores } = context;
  const before = stores.inUse();
  await storeKey(store, account, key, (existing) => mayReplace(context, account, existing, force));
  terminal.note(messages.store.stored(account, shortenId(key.id), store));
  await warnOfOutOfSight(context, before, store);
  await warnOfOrigin(context, account, store);
}

/**
 * Whether what is stored for an account may be replaced: a person is asked, unless it is forced.
 *
 * @param existing the shortened id of the key, or the program of the command, that is there
 * @throws GlmTokenError `ERR_USAGE` when there is no one to ask, or the answer is no
 */
export async function mayReplace(
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

/** Warns when a key was the first of another store, and those in the one used so far no longer are. */
async function warnOfOutOfSight(
  { terminal, messages, stores }: Context,
  before: WritableStoreName,
  store: WritableStore,
): Promise<void> {
  if (before === store.name || stores.inUse() !== store.name) return;
  const { accounts } = await listAccounts(stores, { store: before, mayAsk: false });
  if (accounts.length === 0) return;
  const left = accounts.map(({ account }) => account);
  terminal.note(messages.store.outOfSight(left, await stores.open(before), store));
}

/** Warns when the key of an account is read from elsewhere than the store that it was put into. */
export async function warnOfOrigin(
  { settings, terminal, messages, stores }: Context,
  account: Account,
  store: StoreLabel,
): Promise<void> {
  const origin = await storeOf(stores, account);
  if (origin.name !== store.name) {
    terminal.note(messages.store.readElsewhere(account, store, origin));
  }
  if (settings.socket) terminal.note(messages.store.socketPrecedes(settings.socket));
}
