/** `glm-token print`: a fresh token on standard output. The hot path; keep it light. */

import type { Account } from '../core/account.ts';
import { DEFAULT_TTL, parseTtl, signToken, type Token } from '../core/token.ts';
import { findKey } from '../stores/stores.ts';
import { ACCOUNT_OPTIONS, type Command } from './command.ts';

const FORMATS: Record<string, (token: Token, account: Account) => string> = {
  token: ({ token }) => token,
  header: ({ token }) => `Authorization: Bearer ${token}`,
  json: ({ token, issuedAtMs, expiresAtMs }, { host, profile }) =>
    JSON.stringify({
      schemaVersion: 1,
      token,
      host,
      profile,
      issuedAt: new Date(issuedAtMs).toISOString(),
      issuedAtMs,
      expiresAt: new Date(expiresAtMs).toISOString(),
      expiresAtMs,
    }),
};

/** Has Node load and compile what signing takes: 5 ms that would else come after the keychain's. */
const warmUp = () => void signToken({ id: 'warm', secret: 'up' }, 0, 1);

export const print: Command = {
  name: 'print',
  summary: 'print a fresh token',
  options: {
    ...ACCOUNT_OPTIONS,
    ttl: {
      type: 'string',
      value: 'TIME',
      describe: `how long it lives: 90s, 5m, 2h, 30d [${DEFAULT_TTL}]`,
    },
    format: {
      type: 'string',
      choices: Object.keys(FORMATS),
      describe: 'what to print [token]',
    },
  },
  examples: [
    ['glm-token print --ttl 1h', 'a token that lives for an hour'],
    ['glm-token print --format header | curl -H @- URL', 'a header for curl'],
  ],
  async run(context, args) {
    const account = context.account(args);
    const ttlMs = parseTtl(String(args.ttl ?? DEFAULT_TTL));
    const format = FORMATS[String(args.format ?? 'token')];
    const pendingKey = findKey(context.stores(), account);
    setImmediate(warmUp); // After the keychain was asked, and while it answers.
    const token = await signToken(await pendingKey, context.clock.now(), ttlMs);
    if (format) context.print(format(token, account));
  },
};
