/** The token: its claims, its signature and its default lifetime. */

import { SignJWT } from 'jose/jwt/sign';
import { parseDuration } from './duration.ts';
import type { ApiKey } from './key.ts';

/**
 * Header of every token, in the order of the service's own Python sample
 * (https://docs.bigmodel.cn/cn/api/introduction).
 */
export const TOKEN_HEADER = { alg: 'HS256', sign_type: 'SIGN', typ: 'JWT' } as const;

/** Lifetime of a token by default: three minutes, as in the service's own SDKs. */
export const DEFAULT_TTL = '3m';
export const DEFAULT_TTL_MS = parseDuration(DEFAULT_TTL);

/** Lifetime where another token may not be had, such as for a command that `exec` runs. */
export const LONG_TTL = '1h';

/** A signed token and the times that it carries, in milliseconds since 1970 (UTC). */
export interface Token {
  readonly token: string;
  readonly issuedAtMs: number;
  readonly expiresAtMs: number;
}

/**
 * Signs a token: claims exactly `api_key`, `exp` and `timestamp`, times in milliseconds, HMAC key
 * the bytes of the secret as UTF-8, as in the service's Python sample.
 *
 * @param nowMs the time, in milliseconds since 1970 (UTC)
 * @param ttlMs the lifetime, in milliseconds
 */
export async function signToken(key: ApiKey, nowMs: number, ttlMs: number): Promise<Token> {
  const expiresAtMs = nowMs + ttlMs;
  const secret = new TextEncoder().encode(key.secret);
  try {
    const token = await new SignJWT({ api_key: key.id, exp: expiresAtMs, timestamp: nowMs })
      .setProtectedHeader(TOKEN_HEADER)
      .sign(secret);
    return { token, issuedAtMs: nowMs, expiresAtMs };
  } finally {
    secret.fill(0);
  }
}
