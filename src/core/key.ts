/** The API key, `id.secret`. */

import { GlmTokenError } from './errors.ts';

export interface ApiKey {
  /** The public half; travels in every token as `api_key`. */
  readonly id: string;
  /** The private half; signs, and never leaves the program. */
  readonly secret: string;
}

/** Longest key accepted, in characters. Real ones have 49; the rest is room for what may come. */
export const MAX_KEY_CHARACTERS = 1024;

const FIND_YOUR_KEY =
  'copy the key whole from bigmodel.cn/usercenter/proj-mgmt/apikeys or z.ai/manage-apikey/apikey-list';

/**
 * The key in `text`, which may carry what a paste brings along: white space, a byte order mark,
 * quotes around it.
 *
 * The id is printable ASCII, since it goes into the token's claims as it is; the secret is any
 * text without white space, control characters and dots.
 *
 * @throws GlmTokenError `ERR_KEY_MALFORMED`; the message says what is off and repeats none of it
 */
export function parseKey(text: string): ApiKey {
  const key = text.replace(/^[\s\uFEFF"'`“”‘’]+|[\s\uFEFF"'`“”‘’]+$/g, '');
  const complaint = complaintAbout(key);
  if (complaint) throw new GlmTokenError('ERR_KEY_MALFORMED', complaint, FIND_YOUR_KEY);
  const dot = key.indexOf('.');
  return { id: key.slice(0, dot), secret: key.slice(dot + 1) };
}

/** The key in `text`, or `undefined` when that is none. */
export function tryParseKey(text: string): ApiKey | undefined {
  try {
    return parseKey(text);
  } catch {
    return undefined;
  }
}

function complaintAbout(key: string): string | undefined {
  if (key === '') return 'no API key was given';
  if (key.length > MAX_KEY_CHARACTERS) return 'that is too long for an API key (id.secret)';
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(key)) return 'that is a URL, not an API key (id.secret)';
  if (/^(Bearer\s+)?eyJ[\w-]+\.[\w-]+\.[\w-]*$/.test(key)) {
    return 'that is a token (JWT), not the API key (id.secret) that signs one';
  }
  if (/[\s\p{Cc}\uFFFD]/u.test(key)) {
    return 'that is not an API key (id.secret): it has spaces or unprintable characters in it';
  }
  const parts = key.split('.');
  if (parts.length === 1) return 'that is not an API key (id.secret): it has no dot';
  if (parts.length > 2) return 'that is not an API key (id.secret): it has more than one dot';
  if (!parts[0]) return 'that is not an API key (id.secret): its id is empty';
  if (!parts[1]) return 'that is not an API key (id.secret): its secret is empty';
  if (!/^[\x21-\x7e]+$/.test(parts[0])) {
    return 'that is not an API key (id.secret): its id has characters other than plain ASCII';
  }
  return undefined;
}

/** `id.secret`, as stores keep it. */
export function formatKey({ id, secret }: ApiKey): string {
  return `${id}.${secret}`;
}

/** Enough of the id to tell two keys apart, and not the whole of it: `1a2b…9f0e`. */
export function shortenId(id: string): string {
  return id.length < 12 ? `${id.slice(0, 2)}…` : `${id.slice(0, 4)}…${id.slice(-4)}`;
}
