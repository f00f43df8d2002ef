/** What a key belongs to: a host and a profile. */

import { GlmTokenError } from './errors.ts';
import { holdsKey } from './key.ts';
import { HIDDEN, hasUnsafeCharacters, MIN_SECRET_CHARACTERS, mayBeKey } from './text.ts';

/** A host and a profile together; each account has at most one key. */
export interface Account {
  /** API host in its normal form, for example `open.bigmodel.cn` or `localhost:8080`. */
  readonly host: string;
  /** Which of several keys for that host. */
  readonly profile: string;
}

export const DEFAULT_HOST = 'open.bigmodel.cn';
export const INTERNATIONAL_HOST = 'api.z.ai';
export const DEFAULT_PROFILE = 'default';

const MAX_PROFILE_CHARACTERS = 64;

/** Longest host taken, with a URL around it, in characters; a DNS name has at most 253. */
const MAX_HOST_CHARACTERS = 2048;

/**
 * The host in its normal form: lower case, IDNA, without port 443.
 *
 * @param text a host, a host with a port, or an http or https URL, of which the host is taken
 * @throws GlmTokenError `ERR_USAGE` when there is no host in it
 */
export function parseHost(text: string): string {
  const given = text.trim();
  const rest = given.replace(/^https?:\/\//i, '');
  const url = `https://${rest}`;
  const isHost = given.length <= MAX_HOST_CHARACTERS && !/\s|:\/\//.test(rest) && isName(rest);
  const parsed = isHost && URL.canParse(url) ? new URL(url) : undefined;
  if (parsed?.host && !parsed.username && !parsed.password) {
    // A host of plain http keeps port 80, which is not the one that https implies.
    return parsed.host;
  }
  throw new GlmTokenError('hostInvalid', { given });
}

/** Whether a text may name an account, which is stored and shown: it has no key in it, and none was hidden. */
const isName = (text: string): boolean =>
  text !== HIDDEN && !hasUnsafeCharacters(text) && !holdsKey(text);

/**
 * The profile's name, trimmed and in Unicode's composed form (NFC), so that it is one name however
 * it was typed.
 *
 * @throws GlmTokenError `ERR_USAGE` when it is empty, too long or has invisible characters
 */
export function parseProfile(text: string): string {
  // Normalizing can make a text three times as long, so the length is looked at before it too.
  const profile = text.length > 4 * MAX_PROFILE_CHARACTERS ? '' : text.trim().normalize('NFC');
  const isShort = [...profile].length <= MAX_PROFILE_CHARACTERS;
  if (profile && isShort && isName(profile)) return profile;
  throw new GlmTokenError('profileInvalid', {
    given: text,
    maxCharacters: MAX_PROFILE_CHARACTERS,
  });
}

/** `PROFILE@HOST`, the account's name inside a store. */
export function accountName({ host, profile }: Account): string {
  return `${profile}@${host}`;
}

/** The account that {@link accountName} names, or `undefined` when it names none. */
export function parseAccountName(name: string): Account | undefined {
  const at = name.lastIndexOf('@');
  if (at < 1) return undefined;
  return { host: name.slice(at + 1), profile: name.slice(0, at) };
}

/** Whether two are the same account. */
export const sameAccount = (a: Account, b: Account): boolean =>
  a.host === b.host && a.profile === b.profile;

export const includesAccount = (accounts: readonly Account[], account: Account): boolean =>
  accounts.some((one) => sameAccount(one, account));

/**
 * A host as a message may name it. Half a key may have been given in its place, and the secret is then
 * where a host has a top-level domain.
 */
export function shownHost(host: string): string {
  const topLevel =
    host
      .replace(/\.?(:\d+)?$/, '')
      .split('.')
      .at(-1) ?? '';
  const isWord = topLevel.length < MIN_SECRET_CHARACTERS || topLevel.includes('-');
  return host.startsWith('[') || (isWord && !mayBeKey(topLevel)) ? host : HIDDEN;
}

/** An account as a message may name it. */
export const shownAccount = ({ host, profile }: Account): Account => ({
  host: shownHost(host),
  profile: mayBeKey(profile) ? HIDDEN : profile,
});
