/** What the helper does for its clients, whatever carries the messages. */

import { type Account, accountName, parseAccount } from '../core/account.ts';
import { GlmTokenError } from '../core/errors.ts';
import { type ApiKey, formatKey, parseKey } from '../core/key.ts';
import { DEFAULT_TTL, parseTtl, signToken } from '../core/token.ts';
import type { Clock } from '../stores/clock.ts';
import { isStale } from '../stores/keychain.ts';
import { defaultAccount, findKey, listKeys, type Stores } from '../stores/stores.ts';
import {
  type AccountsResult,
  type InitializeResult,
  PROTOCOL,
  type StatusResult,
  stringParam,
  type TokenResult,
} from './protocol.ts';

/**
 * After so many tokens the helper asks to be replaced. A read of the keychain leaks 1.2 kB inside
 * libsecret (measured, 0.20, in a process that does nothing else), so that a helper which lived for
 * ever would grow for ever.
 */
export const RETIRE_AFTER_TOKENS = 2000;

export interface HelperOptions {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stores: Stores;
  readonly version: string;
  readonly pid: number;
  readonly clock: Clock;
  /** Called once, after {@link RETIRE_AFTER_TOKENS}; the helper goes on until its client lets it go. */
  readonly onRetire?: () => void;
}

/** Every method by its name on the wire. Parameters are checked here; failures are thrown. */
export type Methods = Readonly<Record<string, (params: unknown) => Promise<object>>>;

export function helperMethods(options: HelperOptions): Methods {
  const { env, stores, version, pid, clock } = options;
  const startedAtMs = clock.uncorrected();
  const reads = new Map<string, Promise<ApiKey>>();
  let tokens = 0;

  /** Runs a method; a helper that lost its keychain says so, and its client starts another. */
  const guarded =
    (method: (params: unknown) => Promise<object>) =>
    async (params: unknown): Promise<object> => {
      try {
        return await method(params);
      } catch (error) {
        if (!(error instanceof GlmTokenError && isStale(error))) throw error;
        throw new GlmTokenError(
          'ERR_DAEMON',
          'the keychain service was restarted, and this helper cannot reach the new one',
          'start another helper',
          error,
        );
      }
    };

  const accountOf = (params: unknown): Account => {
    const { host, profile } = defaultAccount(env);
    return parseAccount(stringParam(params, 'host', host), stringParam(params, 'profile', profile));
  };

  /**
   * Requests that come while the same key is being read share that read, so that a keychain which
   * waits for its person is asked once and holds one thread. Nothing is kept after it.
   */
  const readKey = (account: Account): Promise<ApiKey> => {
    const name = accountName(account);
    const shared = reads.get(name);
    if (shared) return shared;
    const read = findKey(stores, account).finally(() => reads.delete(name));
    reads.set(name, read);
    return read;
  };

  const identity = (): InitializeResult => ({ protocol: PROTOCOL, version, pid });

  const methods: Methods = {
    async initialize(params) {
      const asked = (params as { protocol?: unknown } | null)?.protocol;
      if (asked !== PROTOCOL) {
        throw new GlmTokenError(
          'ERR_DAEMON',
          `the helper (glm-token ${version}) speaks protocol ${PROTOCOL}, its client another`,
          'update glm-token and glm-gptel-auth.el together, then restart Emacs',
        );
      }
      return identity();
    },
    async token(params): Promise<TokenResult> {
      const account = accountOf(params);
      const ttlMs = parseTtl(stringParam(params, 'ttl', DEFAULT_TTL));
      const { token, expiresAtMs } = await signToken(await readKey(account), clock.now(), ttlMs);
      tokens += 1;
      if (tokens === RETIRE_AFTER_TOKENS && (await stores.primary()).name === 'keychain') {
        options.onRetire?.();
      }
      return { token, expiresAt: expiresAtMs };
    },
    async accounts(): Promise<AccountsResult> {
      const keys = await listKeys(stores);
      return { accounts: keys.map(({ account, store }) => ({ ...account, store: store.name })) };
    },
    async store(params) {
      const account = accountOf(params);
      const key = parseKey(stringParam(params, 'key'));
      const primary = await stores.primary();
      await primary.unlock?.();
      await primary.set(account, formatKey(key));
      return { store: primary.title };
    },
    async delete(params) {
      const primary = await stores.primary();
      return { deleted: await primary.delete(accountOf(params)) };
    },
    async unlock(params) {
      const passphrase = stringParam(params, 'passphrase');
      await (await stores.primary()).unlock?.(passphrase);
      return {};
    },
    async lock() {
      await (await stores.primary('file')).lock?.();
      return {};
    },
    async status(): Promise<StatusResult> {
      const primary = await stores.primary();
      const saved = clock.saved();
      return {
        ...identity(),
        uptime: clock.uncorrected() - startedAtMs,
        tokens,
        store: primary.title,
        lock: primary.lockState?.() ?? null,
        environment: stores.environment !== undefined,
        clock: saved ? { offset: saved.offsetMs, until: saved.untilMs, host: saved.host } : null,
      };
    },
  };
  return Object.fromEntries(
    Object.entries(methods).map(([name, method]) => [name, guarded(method)]),
  );
}
