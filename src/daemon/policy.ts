/** What the clients of a helper may do, and how its methods and stores are held to that. */

import {
  type Account,
  DEFAULT_HOST,
  DEFAULT_PROFILE,
  parseAccountName,
  parseHost,
  parseProfile,
  sameAccount,
} from '../core/account.ts';
import { parseDuration } from '../core/duration.ts';
import { GlmTokenError } from '../core/errors.ts';
import { LONG_TTL } from '../core/token.ts';
import type { Store } from '../stores/port.ts';
import type { Stores } from '../stores/registry.ts';

export interface Policy {
  /** Whether keys may be stored and deleted. */
  readonly mayWrite: boolean;
  /** Whether a command that prints a key may be kept in its place, which is to run code here. */
  readonly maySetCommand: boolean;
  /** The only accounts that are served; all of them by default. */
  readonly accounts?: readonly Account[] | undefined;
  /** The longest lifetime of a token, in milliseconds; any by default. */
  readonly maxTtlMs?: number;
}

/** For the program that started the helper, and could do all of it itself. */
export const FULL_ACCESS: Policy = { mayWrite: true, maySetCommand: true };

/**
 * Lifetime of a token at most where only some accounts are served, in milliseconds: that of `exec`,
 * so that another machine is left with little when its connection ends.
 */
export const SHARED_MAX_TTL_MS = parseDuration(LONG_TTL);

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

/** Methods that change what is stored. */
const WRITES: readonly string[] = ['store', 'delete'];

/** @throws GlmTokenError `ERR_USAGE` when the clients may not use a method */
export function checkMethod({ mayWrite }: Policy, method: string): void {
  if (!mayWrite && WRITES.includes(method)) throw new GlmTokenError('writingNotAllowed');
}

/** @throws GlmTokenError `ERR_USAGE` when a token would live for longer than the clients may ask */
export function checkLifetime(
  { maxTtlMs = Number.POSITIVE_INFINITY }: Policy,
  ttlMs: number,
): void {
  if (ttlMs > maxTtlMs) throw new GlmTokenError('lifetimeTooLong', { maxTtlMs });
}

const isServed = ({ accounts }: Policy, account: Account): boolean =>
  accounts?.some((served) => sameAccount(served, account)) ?? true;

/** The account that is meant where none is named: that of the settings, if the clients may know it. */
export const visibleDefault = (account: Account, policy: Policy): Account =>
  isServed(policy, account) ? account : { host: DEFAULT_HOST, profile: DEFAULT_PROFILE };

/** The stores as the clients may see them: accounts that are not served are not there. */
export function visibleStores(stores: Stores, policy: Policy): Stores {
  const { accounts } = policy;
  if (!accounts) return stores;
  const check = (account: Account): void => {
    if (!isServed(policy, account))
      throw new GlmTokenError('accountNotServed', { account, accounts });
  };
  const visible = <S extends Store>(store: S): S => {
    const limited: Store = {
      name: store.name,
      place: store.place,
      async get(account, options) {
        check(account);
        return store.get(account, options);
      },
      async delete(account) {
        check(account);
        return store.delete(account);
      },
      list: async (options) =>
        (await store.list(options)).filter(({ account }) => isServed(policy, account)),
    };
    return new Proxy(store, {
      get(target, name) {
        const value = Reflect.get(limited, name) ?? Reflect.get(target, name);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
  };
  return { ...stores, open: async (name) => visible(await stores.open(name)) };
}
