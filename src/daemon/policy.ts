/** What the clients of a helper may do, and how its methods and stores are held to that. */

import {
  type Account,
  DEFAULT_HOST,
  DEFAULT_PROFILE,
  includesAccount,
  parseAccountName,
  parseHost,
  parseProfile,
} from '../core/account.ts';
import { parseDuration } from '../core/duration.ts';
import { GlmTokenError, hasReason } from '../core/errors.ts';
import { LONG_TTL } from '../core/token.ts';
import type { Messages } from '../messages/en.ts';

export interface Policy {
  /** Whether keys may be stored and deleted. */
  readonly mayWrite: boolean;
  /** Whether a command that prints a key may be kept in its place, which is to run code here. */
  readonly maySetCommand: boolean;
  /** The only accounts that are served; `undefined` for all of them. */
  readonly accounts: readonly Account[] | undefined;
}

/** For the program that started the helper, and could do all of it itself. */
export const FULL_ACCESS: Policy = {
  mayWrite: true,
  maySetCommand: true,
  accounts: undefined,
};

/**
 * Lifetime of a token at most where only some accounts are served, in milliseconds: that of `exec`,
 * so that another machine is left with little when its connection ends.
 */
const SHARED_MAX_TTL_MS = parseDuration(LONG_TTL);

/**
 * Accounts as an option names them: `PROFILE@HOST`, or `HOST` for the profile that is used when none
 * is named, separated by commas.
 *
 * @throws GlmTokenError `ERR_USAGE`
 */
export function parseAccounts(text: string): readonly Account[] {
  return text.split(',').map((name) => {
    const named = parseAccountName(name.trim());
    return {
      host: parseHost(named?.host ?? name),
      profile: parseProfile(named?.profile ?? DEFAULT_PROFILE),
    };
  });
}

/** Methods that change nothing which is stored; any other is refused to a read-only client. */
const READS: readonly string[] = [
  'initialize',
  'token',
  'accounts',
  'status',
  'explain',
  'verify',
  'doctor',
  'setup',
  'lock',
  'unlock',
];

/** @throws GlmTokenError `ERR_USAGE` when the clients may not use a method */
export function checkMethod({ mayWrite }: Policy, method: string): void {
  if (!mayWrite && !READS.includes(method)) throw new GlmTokenError('writingNotAllowed');
}

/** @throws GlmTokenError `ERR_USAGE` when the clients may not know of an account */
export function checkAccount({ accounts }: Policy, account: Account): void {
  if (accounts && !includesAccount(accounts, account)) {
    throw new GlmTokenError('accountNotServed', { account, accounts });
  }
}

/** @throws GlmTokenError `ERR_USAGE` when a token would live for longer than the clients may ask */
export function checkLifetime({ accounts }: Policy, ttlMs: number): void {
  if (!accounts || ttlMs <= SHARED_MAX_TTL_MS) return;
  throw new GlmTokenError('lifetimeTooLong', { maxTtlMs: SHARED_MAX_TTL_MS });
}

/** The account that is meant where none is named: that of the settings, if the clients may know it. */
export const visibleDefault = (account: Account, { accounts = [account] }: Policy): Account =>
  includesAccount(accounts, account) ? account : { host: DEFAULT_HOST, profile: DEFAULT_PROFILE };

/** What the clients are told: those that may store no key are not told to store one. */
export function messagesFor({ mayWrite }: Policy, messages: Messages): Messages {
  if (mayWrite) return messages;
  return {
    ...messages,
    describe(error, about) {
      const text = messages.describe(error, about);
      if (!hasReason(error, 'keyNotFound', 'noKeyYet')) return text;
      const { hint } = messages.describe(new GlmTokenError('writingNotAllowed'));
      return { message: text.message, hint };
    },
  };
}
