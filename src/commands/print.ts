/** `glm-token print`: a fresh token on standard output. The hot path; keep it light. */

import type { Account } from '../core/account.ts';
import { parseDuration } from '../core/duration.ts';
import { DEFAULT_TTL, type Token } from '../core/token.ts';
import { freshToken } from './fresh-token.ts';
import {
  ACCOUNT_OPTIONS,
  choice,
  option,
  STORE_OPTION,
  subcommand,
  withDefault,
} from './subcommand.ts';

const FORMATS = {
  token: ({ token }: Token) => token,
  header: ({ token }: Token) => `Authorization: Bearer ${token}`,
  json: ({ token, issuedAtMs, expiresAtMs }: Token, { host, profile }: Account) =>
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
} as const;

export const print = subcommand({
  name: 'print',
  options: {
    ...ACCOUNT_OPTIONS,
    ttl: withDefault(option('TIME', parseDuration), DEFAULT_TTL),
    format: withDefault(
      choice('FORMAT', Object.keys(FORMATS) as (keyof typeof FORMATS)[]),
      'token',
    ),
    store: STORE_OPTION,
  },
  async run(context, args) {
    const account = context.account(args);
    const token = await freshToken(context, account, args.ttl, args.store);
    context.terminal.print(FORMATS[args.format](token, account));
    return undefined;
  },
});
