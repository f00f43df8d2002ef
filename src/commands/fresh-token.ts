/** Where a command gets a token: from a key in the stores, or from the helper at `GLM_TOKEN_SOCKET`. */

import type { Account } from '../core/account.ts';
import { GlmTokenError } from '../core/errors.ts';
import type { ApiKey } from '../core/key.ts';
import { DEFAULT_TTL_MS, signToken, type Token } from '../core/token.ts';
import type { KeptStoreName } from '../stores/port.ts';
import { findKey } from '../stores/registry.ts';
import type { Context } from './subcommand.ts';

export interface FreshToken extends Token {
  /** The key that signed it; `undefined` when a helper did, which keeps the key to itself. */
  readonly key: ApiKey | undefined;
}

/**
 * @param ttlMs the lifetime, in milliseconds
 * @param choice the store to read the key from
 * @throws GlmTokenError when there is no key, or the store or the helper fails
 */
export async function freshToken(
  context: Context,
  account: Account,
  ttlMs: number,
  choice?: KeptStoreName,
): Promise<FreshToken> {
  const { askHelper, settings, terminal, messages } = context;
  if (ttlMs < DEFAULT_TTL_MS) terminal.remark(messages.shortLifetime);
  if (!askHelper) {
    const key = await findKey(context.stores, account, { store: choice });
    return { ...(await signToken(key, context.now(), ttlMs)), key };
  }
  const path = settings.socket ?? '';
  if (choice) throw new GlmTokenError('storeIsElsewhere', { path });
  const { token, expiresAt } = await askHelper('token', { ...account, ttl: `${ttlMs / 1000}s` });
  if (!/^[\w-]+\.[\w-]+\.[\w-]+$/.test(token) || !Number.isSafeInteger(expiresAt)) {
    throw new GlmTokenError('socketUnanswered', { path, fault: 'unintelligible' });
  }
  return { token, issuedAtMs: expiresAt - ttlMs, expiresAtMs: expiresAt, key: undefined };
}
