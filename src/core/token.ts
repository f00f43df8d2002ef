/** The token: its lifetime, its claims and its signature. */

import { SignJWT } from 'jose/jwt/sign';
import { quote } from './account.ts';
import { GlmTokenError } from './errors.ts';
import type { ApiKey } from './key.ts';

/**
 * Header of every token, in the order of the service's own Python sample
 * (https://docs.bigmodel.cn/cn/api/introduction).
 */
export const TOKEN_HEADER = { alg: 'HS256', sign_type: 'SIGN', typ: 'JWT' } as const;

/** Lifetime of a token when nobody asked for another: three minutes, as the official SDKs have it. */
export const DEFAULT_TTL_MS = 180_000;

export const DEFAULT_TTL = '3m';

const UNIT_MS = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const MIN_TTL_MS = 1000;
const MAX_TTL_MS = 365 * UNIT_MS.d;

/** A signed token and the times that it carries, in milliseconds since 1970 (UTC). */
export interface Token {
  readonly token: string;
  readonly issuedAtMs: number;
  readonly expiresAtMs: number;
}

/**
 * A lifetime such as `90s`, `5m`, `2h` or `30d`, in milliseconds.
 *
 * @throws GlmTokenError `ERR_USAGE` when it is not one, or outside one second to 365 days
 */
export function parseTtl(text: string): number {
  const match = /^(\d{1,9})([smhd])$/.exec(text.trim());
  const ttlMs = match ? Number(match[1]) * UNIT_MS[match[2] as keyof typeof UNIT_MS] : Number.NaN;
  if (!(ttlMs >= MIN_TTL_MS && ttlMs <= MAX_TTL_MS)) {
    throw new GlmTokenError(
      'ERR_USAGE',
      `${quote(text)} is not a lifetime`,
      'write a number and a unit such as 90s, 5m, 2h or 30d, from 1s to 365d',
    );
  }
  return ttlMs;
}

/**
 * Signs a token: claims exactly `api_key`, `exp` and `timestamp`, times in milliseconds, HMAC key
 * the bytes of the secret as UTF-8, as the service's Python sample has it.
 *
 * @param nowMs the time, in milliseconds since 1970 (UTC)
 * @param ttlMs the lifetime, in milliseconds
 */
export async function signToken(key: ApiKey, nowMs: number, ttlMs: number): Promise<Token> {
  const expiresAtMs = nowMs + ttlMs;
  const token = await new SignJWT({ api_key: key.id, exp: expiresAtMs, timestamp: nowMs })
    .setProtectedHeader(TOKEN_HEADER)
    .sign(new TextEncoder().encode(key.secret));
  return { token, issuedAtMs: nowMs, expiresAtMs };
}
