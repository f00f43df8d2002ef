/** Takes a key from a person or from standard input and puts it into a store. */

import { type Account, accountFlags, describeAccount } from '../core/account.ts';
import { GlmTokenError } from '../core/errors.ts';
import { formatKey, MAX_KEY_CHARACTERS, parseKey, shortenId } from '../core/key.ts';
import type { Store } from '../stores/store.ts';
import type { Context } from './command.ts';

/** Room for a key in UTF-8 with what a paste brings along, in bytes. */
export const MAX_INPUT_BYTES = 4 * MAX_KEY_CHARACTERS + 1024;

/** What a key is taken for. */
export interface Destination {
  readonly account: Account;
  readonly store: Store;
  /** Replace a key that is there without asking. */
  readonly force: boolean;
}

/** Reads a key that is to be stored, after the store was opened for it. */
export async function readKey(context: Context, store: Store): Promise<string> {
  await store.unlock?.();
  return context.interactive
    ? context.ask('API key (id.secret, not shown): ', { secret: true })
    : context.readInput(MAX_INPUT_BYTES);
}

/**
 * Checks the shape of a key and stores it.
 *
 * @throws GlmTokenError `ERR_KEY_MALFORMED`, `ERR_USAGE` when it may not replace the key that is
 *   there, or what the store throws; nothing is stored or lost then
 */
export async function storeKey(
  context: Context,
  text: string,
  { account, store, force }: Destination,
): Promise<void> {
  const key = parseKey(text);
  const owner = describeAccount(account);
  const kept = await store.get(account);
  if (kept !== undefined && kept !== formatKey(key) && !force) {
    await confirm(
      context,
      `a key is stored for ${owner} already; replace it?`,
      new GlmTokenError(
        'ERR_USAGE',
        `a key is stored for ${owner} already, and was left as it is`,
        `to replace it: glm-token store --force${accountFlags(account)}`,
      ),
    );
  }
  await store.set(account, formatKey(key));
  context.note(`glm-token: stored the key ${shortenId(key.id)} for ${owner} in ${store.title}`);
}

/** Asks a yes-or-no question; without a person there, or on no, throws what `refusal` is. */
export async function confirm(
  context: Context,
  question: string,
  refusal: GlmTokenError,
): Promise<void> {
  if (!context.interactive) throw refusal;
  const answer = await context.ask(`glm-token: ${question} [y/N] `);
  if (!/^y(es)?$/i.test(answer.trim())) {
    throw new GlmTokenError('ERR_USAGE', 'nothing was changed');
  }
}
