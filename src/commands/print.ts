/** `glm-token print`: a fresh token on standard output. The hot path; keep it light. */

import type { Account } from '../core/account.ts';
import { DEFAULT_TTL, type Token } from '../core/token.ts';
import { ACCOUNT_OPTIONS, type Command, STORE_OPTION, storeChoice } from './command.ts';
import { freshToken } from './fresh-token.ts';

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

const DEFAULT_FORMAT = 'token';

export const print: Command<'print'> = {
  name: 'print',
  options: {
    ...ACCOUNT_OPTIONS,
    ttl: { type: 'string', value: 'TIME', default: DEFAULT_TTL },
    format: {
      type: 'string',
      value: 'FORMAT',
      choices: Object.keys(FORMATS),
      default: DEFAULT_FORMAT,
    },
    store: STORE_OPTION,
  },
  async run(context, args) {
    const account = context.account(args);
    const ttl = String(args.ttl ?? DEFAULT_TTL);
    const token = await freshToken(context, account, ttl, storeChoice(args));
    const format = (args.format ?? DEFAULT_FORMAT) as keyof typeof FORMATS;
    context.terminal.print(FORMATS[format](token, account));
    return undefined;
  },
};
