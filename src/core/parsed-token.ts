/** What a token says, and what is wrong with it. */

import { compactVerify } from 'jose/jws/compact/verify';
import { GlmTokenError } from './errors.ts';
import { type ApiKey, SERVICE_KEY, tryParseKey } from './key.ts';
import { TOKEN_HEADER } from './token.ts';

/** How far a clock may be off before the service minds, in milliseconds. */
export const CLOCK_TOLERANCE_MS = 30_000;

/** Far more than a token with a header line around it, in characters. */
export const MAX_TOKEN_TEXT_CHARACTERS = 1 << 16;

type Json = Record<string, unknown>;

/** A token as it was found in a text, decoded and not verified. */
export interface ParsedToken {
  readonly token: string;
  readonly header: Json;
  readonly claims: Json;
  readonly signature: string;
}

export type TimeClaim = 'exp' | 'timestamp';

/** Something that the service would mind; the messages are in src/messages. */
export type Problem =
  | { readonly what: 'alg' | 'sign_type'; readonly found: string | undefined }
  | { readonly what: 'api_key missing' }
  | { readonly what: 'whole key'; readonly claim: string }
  | { readonly what: 'time missing' | 'time fractional'; readonly claim: TimeClaim }
  | { readonly what: 'time unit'; readonly claim: TimeClaim; readonly unit: TimeUnit }
  | { readonly what: 'exp before timestamp' }
  | { readonly what: 'from the future' | 'expired'; readonly byMs: number }
  | { readonly what: 'signature' };

/**
 * The token in a text: by itself, after `Bearer`, or in a whole header line, as pasted.
 *
 * @throws GlmTokenError `ERR_USAGE` when there is none; nothing of the text is repeated
 */
export function parseToken(text: string): ParsedToken {
  for (const word of text.slice(0, MAX_TOKEN_TEXT_CHARACTERS).split(/[^\w.-]+/)) {
    const parts = word.split('.');
    for (let at = 0; at + 2 < parts.length; at += 1) {
      const [head = '', payload = '', signature = ''] = parts.slice(at, at + 3);
      const header = decode(head);
      const claims = header && decode(payload);
      if (header && claims) {
        return { token: `${head}.${payload}.${signature}`, header, claims, signature };
      }
    }
  }
  throw new GlmTokenError('tokenMissing', { isKey: tryParseKey(text) !== undefined });
}

/** A JSON object in base64url; one begins with `{"`, which is `eyJ`, or with `{}` or white space. */
function decode(part: string): Json | undefined {
  try {
    const json: unknown = JSON.parse(Buffer.from(part, 'base64url').toString());
    return json && typeof json === 'object' && !Array.isArray(json) ? (json as Json) : undefined;
  } catch {
    return undefined;
  }
}

/** Units of time by the size of a number that stands for one of our years. */
const UNITS = [
  { name: 'seconds', below: 1e11, ms: 1000 },
  { name: 'milliseconds', below: 1e14, ms: 1 },
  { name: 'microseconds', below: 1e17, ms: 1e-3 },
  { name: 'nanoseconds', below: Number.POSITIVE_INFINITY, ms: 1e-6 },
] as const;

export type TimeUnit = (typeof UNITS)[number]['name'];

const unitOf = (time: number) => UNITS.find(({ below }) => Math.abs(time) < below) ?? UNITS[3];

/** A time of a claim in milliseconds since 1970 (UTC), whatever its unit. */
export function claimedTimeMs(claim: unknown): number | undefined {
  if (typeof claim !== 'number' || !Number.isFinite(claim)) return undefined;
  const timeMs = Math.round(claim * unitOf(claim).ms);
  return Number.isNaN(new Date(timeMs).getTime()) ? undefined : timeMs;
}

/**
 * A value of the token as it may be shown: in every text that is, or holds, a whole key, the secret
 * is replaced.
 */
export function withoutSecrets(value: unknown): unknown {
  if (typeof value === 'string') {
    return value
      .split(/(\s+)/)
      .map((word) => {
        const key = tryParseKey(word);
        return key ? `${key.id}.…` : word.replace(SERVICE_KEY, '$1.…');
      })
      .join('');
  }
  if (Array.isArray(value)) return value.map(withoutSecrets);
  if (!value || typeof value !== 'object') return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, item]) => [
      String(withoutSecrets(name)),
      withoutSecrets(item),
    ]),
  );
}

/**
 * Everything that the service would mind, by its own description of a token
 * (https://docs.bigmodel.cn/cn/api/introduction), except for the signature.
 *
 * @param nowMs the time, in milliseconds since 1970 (UTC)
 */
export function findProblems({ header, claims }: ParsedToken, nowMs: number): Problem[] {
  return [...headerProblems(header), ...keyProblems(claims), ...timeProblems(claims, nowMs)];
}

function* headerProblems(header: Json): Generator<Problem> {
  for (const what of ['alg', 'sign_type'] as const) {
    const found = header[what];
    if (found === TOKEN_HEADER[what]) continue;
    yield { what, found: found === undefined ? undefined : JSON.stringify(withoutSecrets(found)) };
  }
}

function* keyProblems(claims: Json): Generator<Problem> {
  if (typeof claims.api_key !== 'string' || claims.api_key === '') {
    yield { what: 'api_key missing' };
  }
  for (const [claim, value] of Object.entries(claims)) {
    if (JSON.stringify(withoutSecrets(value)) !== JSON.stringify(value)) {
      yield { what: 'whole key', claim: String(withoutSecrets(claim)) };
    }
  }
}

function* timeProblems(claims: Json, nowMs: number): Generator<Problem> {
  for (const claim of ['exp', 'timestamp'] as const) {
    const time = claims[claim];
    if (time === undefined) yield { what: 'time missing', claim };
    else if (!Number.isInteger(time)) yield { what: 'time fractional', claim };
    else if (unitOf(Number(time)).name !== 'milliseconds') {
      yield { what: 'time unit', claim, unit: unitOf(Number(time)).name };
    }
  }
  const expiresAtMs = claimedTimeMs(claims.exp);
  const issuedAtMs = claimedTimeMs(claims.timestamp);
  if (expiresAtMs !== undefined && issuedAtMs !== undefined && expiresAtMs <= issuedAtMs) {
    yield { what: 'exp before timestamp' };
  }
  if (issuedAtMs !== undefined && issuedAtMs - nowMs > CLOCK_TOLERANCE_MS) {
    yield { what: 'from the future', byMs: issuedAtMs - nowMs };
  }
  if (expiresAtMs !== undefined && expiresAtMs <= nowMs) {
    yield { what: 'expired', byMs: nowMs - expiresAtMs };
  }
}

/** Whether a key signed it. */
export async function isSignedBy({ token }: ParsedToken, { secret }: ApiKey): Promise<boolean> {
  const key = new TextEncoder().encode(secret);
  return compactVerify(token, key, { algorithms: [TOKEN_HEADER.alg] })
    .then(
      () => true,
      () => false,
    )
    .finally(() => key.fill(0));
}
