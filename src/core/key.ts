/** The API key, `id.secret`. */

import { GlmTokenError, type KeyFault } from './errors.ts';
import { hasUnsafeCharacters } from './text.ts';

export interface ApiKey {
  /** The public half; travels in every token as `api_key`. */
  readonly id: string;
  /** The private half; signs, and never leaves the program. */
  readonly secret: string;
}

/** Longest key accepted, in characters. Real ones have 49; the rest is room for what may come. */
const MAX_KEY_CHARACTERS = 1024;

/** Room for white space and quotes that a paste brings along, in characters. */
const MAX_TEXT_CHARACTERS = MAX_KEY_CHARACTERS + 1024;

/** The longest text that is worth reading as a key, in bytes of UTF-8. */
export const MAX_KEY_BYTES = 4 * MAX_TEXT_CHARACTERS;

/** What a paste brings along: white space, a byte order mark, quotes, what ends a line of code. */
const isAround = (character: string | undefined): boolean =>
  character !== undefined && /[\s\uFEFF"'`“”‘’,;]/.test(character);

/**
 * The key in `text`, without what a paste brings along at its ends.
 *
 * The id is printable ASCII, since it goes into the token's claims as it is, and has none of the
 * punctuation of code; the secret is any text without white space, invisible characters and dots.
 *
 * @throws GlmTokenError `ERR_KEY_MALFORMED`; the message says what is wrong and repeats none of it
 */
export function parseKey(text: string): ApiKey {
  const key = trim(text);
  const fault = faultOf(key);
  if (fault) throw new GlmTokenError('keyInvalid', { fault });
  const dot = key.indexOf('.');
  return { id: key.slice(0, dot), secret: key.slice(dot + 1) };
}

/** The key in `text`, or `undefined` when there is none. */
export function tryParseKey(text: string): ApiKey | undefined {
  try {
    return parseKey(text);
  } catch {
    return undefined;
  }
}

function trim(text: string): string {
  if (text.length > MAX_TEXT_CHARACTERS) return text; // Too long in any case.
  let [start, end] = [0, text.length];
  while (isAround(text[start])) start += 1;
  while (end > start && isAround(text[end - 1])) end -= 1;
  return text.slice(start, end);
}

function faultOf(key: string): KeyFault | undefined {
  if (key === '') return 'empty';
  if (key.length > MAX_KEY_CHARACTERS) return 'long';
  if (/^[a-z][a-z0-9+.-]{0,20}:\/\//i.test(key)) return 'url';
  if (/^(Bearer\s+)?eyJ[\w-]+\.[\w-]+\.[\w-]*$/.test(key)) return 'token';
  if (/\s/.test(key) || hasUnsafeCharacters(key)) return 'unprintable';
  const [id = '', secret, ...rest] = key.split('.');
  if (secret === undefined) return 'no-dot';
  if (rest.length > 0) return 'dots';
  if (!id) return 'no-id';
  if (!secret) return 'no-secret';
  if (!/^[\x21-\x7e]+$/.test(id)) return 'id-not-ascii';
  if (/[={}()[\]<>:;,"'`\\]/.test(id)) return 'more-than-id'; // A line of .env, JSON or init.el.
  return undefined;
}

/** A key as the service issues them, wherever in a text it stands; its id is the first group. */
export const SERVICE_KEY = /([0-9a-f]{32})\.\w{16}/gi;

/** Whether a text has such a key in it. */
export const holdsKey = (text: string): boolean => text.search(SERVICE_KEY) >= 0;

/** `id.secret`, as stores keep it. */
export function formatKey({ id, secret }: ApiKey): string {
  return `${id}.${secret}`;
}

/** Enough of the id to tell two keys apart, and not the whole of it: `1a2b…9f0e`. */
export function shortenId(id: string): string {
  return id.length < 12 ? `${id.slice(0, 2)}…` : `${id.slice(0, 4)}…${id.slice(-4)}`;
}

/** The shortened id of a key as it was stored; `undefined` when what was stored is no key. */
export function shortenedIdOf(text: string): string | undefined {
  const key = tryParseKey(text);
  return key && shortenId(key.id);
}
