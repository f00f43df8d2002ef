/** What a token says, and what is wrong with it. */

import { compactVerify } from 'jose/jws/compact/verify';
import { GlmTokenError } from './errors.ts';
import type { ApiKey } from './key.ts';
import { TOKEN_HEADER } from './token.ts';

/** How far a clock may be off before the service minds, in milliseconds. */
export const CLOCK_TOLERANCE_MS = 30_000;

type Json = Record<string, unknown>;

/** A token as it was found in a text, decoded and not verified. */
export interface ParsedToken {
  readonly token: string;
  readonly header: Json;
  readonly claims: Json;
  readonly signature: string;
}

export interface Problem {
  /** What is wrong, as a sentence has it. */
  readonly what: string;
  readonly cure: string;
}

/**
 * The token in a text: by itself, after `Bearer`, or in a whole header line, as pasted.
 *
 * @throws GlmTokenError `ERR_USAGE` when there is none; nothing of the text is repeated
 */
export function parseToken(text: string): ParsedToken {
  for (const [token, head = '', payload = '', signature = ''] of text.matchAll(
    /([\w-]+)\.([\w-]+)\.([\w-]*)/g,
  )) {
    const header = decode(head);
    const claims = decode(payload);
    if (header && claims) return { token, header, claims, signature };
  }
  const looksLikeKey = /^[^\s.]+\.[^\s.]+$/.test(text.trim());
  throw new GlmTokenError(
    'ERR_USAGE',
    looksLikeKey ? 'that is an API key, not a token (JWT)' : 'there is no token (JWT) in that',
    looksLikeKey
      ? 'if it was an argument, it is in your shell history now; save it with: glm-token store'
      : 'give it a token, which is three parts with dots between, as glm-token print makes them',
  );
}

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

const unitOf = (time: number) => UNITS.find(({ below }) => Math.abs(time) < below) ?? UNITS[3];

/** A time of a claim in milliseconds since 1970 (UTC), whatever unit it is in. */
export function claimedTimeMs(claim: unknown): number | undefined {
  if (typeof claim !== 'number' || !Number.isFinite(claim)) return undefined;
  const timeMs = Math.round(claim * unitOf(claim).ms);
  return Number.isNaN(new Date(timeMs).getTime()) ? undefined : timeMs;
}

/** JSON for a terminal: what could move its cursor or turn its text around is escaped. */
export const showJson = (value: unknown): string =>
  JSON.stringify(value).replace(
    /[\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );

/** The claims as they may be shown: without the secret of a key that was put in whole. */
export function shownClaims({ claims }: ParsedToken): Json {
  const { api_key } = claims;
  if (typeof api_key !== 'string' || !api_key.includes('.')) return claims;
  return { ...claims, api_key: `${api_key.slice(0, api_key.indexOf('.'))}.…` };
}

/**
 * Everything that the service would mind, by its own description of a token
 * (https://docs.bigmodel.cn/cn/api/introduction), but for the signature.
 *
 * @param nowMs the time, in milliseconds since 1970 (UTC)
 */
export function findProblems({ header, claims }: ParsedToken, nowMs: number): Problem[] {
  return [...headerProblems(header), ...keyProblems(claims), ...timeProblems(claims, nowMs)];
}

function* headerProblems({ alg, sign_type }: Json): Generator<Problem> {
  if (alg !== TOKEN_HEADER.alg) {
    yield {
      what: `alg is ${alg === undefined ? 'missing' : showJson(alg)}, and the service takes HS256 alone`,
      cure: 'sign it with HMAC and SHA-256',
    };
  }
  if (sign_type !== TOKEN_HEADER.sign_type) {
    yield {
      what: `sign_type is ${sign_type === undefined ? 'missing' : showJson(sign_type)} in the header`,
      cure: 'add "sign_type": "SIGN" to the header',
    };
  }
}

function* keyProblems({ api_key }: Json): Generator<Problem> {
  if (typeof api_key !== 'string' || api_key === '') {
    yield {
      what: 'api_key is missing',
      cure: 'put the id of the key there, its part before the dot',
    };
  } else if (api_key.includes('.')) {
    yield {
      what: 'api_key holds the whole key, its secret included, for all to read',
      cure: 'put the id alone there, and replace the key in the console: it has leaked',
    };
  }
}

function* timeProblems(claims: Json, nowMs: number): Generator<Problem> {
  for (const name of ['exp', 'timestamp']) {
    const time = claims[name];
    if (time === undefined) {
      yield { what: `${name} is missing`, cure: 'add it, in milliseconds since 1970' };
    } else if (!Number.isInteger(time)) {
      yield { what: `${name} is no whole number`, cure: 'write milliseconds since 1970' };
    } else if (unitOf(Number(time)).name !== 'milliseconds') {
      yield {
        what: `${name} is in ${unitOf(Number(time)).name}, and the service takes milliseconds`,
        cure: 'make it milliseconds since 1970, a number of 13 digits',
      };
    }
  }
  const expiresAtMs = claimedTimeMs(claims.exp);
  const issuedAtMs = claimedTimeMs(claims.timestamp);
  if (expiresAtMs !== undefined && issuedAtMs !== undefined && expiresAtMs <= issuedAtMs) {
    yield { what: 'exp is not after timestamp', cure: 'add the lifetime to timestamp for exp' };
  }
  if (issuedAtMs !== undefined && issuedAtMs - nowMs > CLOCK_TOLERANCE_MS) {
    yield {
      what: `it was made ${describeDuration(issuedAtMs - nowMs)} in the future: one of the clocks is off`,
      cure: 'compare this one with the service: glm-token doctor',
    };
  }
  if (expiresAtMs !== undefined && expiresAtMs <= nowMs) {
    yield {
      what: `it expired ${describeDuration(nowMs - expiresAtMs)} ago`,
      cure: 'make a new one: glm-token print',
    };
  }
}

/** Whether a key signed it. */
export async function isSignedBy({ token }: ParsedToken, { secret }: ApiKey): Promise<boolean> {
  const key = new TextEncoder().encode(secret);
  return compactVerify(token, key, { algorithms: [TOKEN_HEADER.alg] }).then(
    () => true,
    () => false,
  );
}

const STEPS = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['min', 60_000],
  ['s', 1000],
] as const;

/** A duration in its two largest units: `2 min 55 s`. */
export function describeDuration(ms: number): string {
  let rest = Math.round(ms / 1000) * 1000;
  const first = Math.max(
    0,
    STEPS.findIndex(([, size]) => rest >= size),
  );
  const parts = STEPS.slice(rest < 1000 ? 3 : first).map(([unit, size]) => {
    const count = Math.floor(rest / size);
    rest -= count * size;
    return { unit, count };
  });
  return parts
    .slice(0, 2)
    .filter(({ count }, n) => n === 0 || count > 0)
    .map(({ unit, count }) => `${count} ${unit}`)
    .join(' ');
}
