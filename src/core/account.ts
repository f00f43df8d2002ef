/** What a key belongs to: a host and a profile. */

import { GlmTokenError } from './errors.ts';

/** A host and a profile together; each account has at most one key. */
export interface Account {
  /** API host in its normal form, for example `open.bigmodel.cn` or `localhost:8080`. */
  readonly host: string;
  /** Which of several keys for that host. */
  readonly profile: string;
}

export const DEFAULT_HOST = 'open.bigmodel.cn';
export const DEFAULT_PROFILE = 'default';

const MAX_PROFILE_CHARACTERS = 64;

/**
 * The host in its normal form: lower case, IDNA, without the scheme's own port.
 *
 * @param text a host, a host with a port, or a URL, of which the host is taken
 * @throws GlmTokenError `ERR_USAGE` when there is no host in it
 */
export function parseHost(text: string): string {
  const trimmed = text.trim();
  const url = /^[a-z][a-z0-9+.-]*:\/\//i.test(trimmed) ? trimmed : `https://${trimmed}`;
  const parsed = !/[\s\p{Cc}]/u.test(trimmed) && URL.canParse(url) ? new URL(url) : undefined;
  if (!parsed?.host || parsed.username || parsed.password) {
    throw new GlmTokenError(
      'ERR_USAGE',
      `${quote(text)} is not a host`,
      `write a host such as ${DEFAULT_HOST} or api.z.ai`,
    );
  }
  return parsed.host;
}

/**
 * The profile's name, trimmed and in Unicode's composed form (NFC), so that it is one name however
 * it was typed.
 *
 * @throws GlmTokenError `ERR_USAGE` when it is empty, too long or has control characters
 */
export function parseProfile(text: string): string {
  const profile = text.trim().normalize('NFC');
  if (!profile || /\p{Cc}/u.test(profile) || [...profile].length > MAX_PROFILE_CHARACTERS) {
    throw new GlmTokenError(
      'ERR_USAGE',
      `${quote(text)} is not a profile name`,
      `write 1 to ${MAX_PROFILE_CHARACTERS} characters, none of them a control character`,
    );
  }
  return profile;
}

/** The account for a host and a profile as a person gave them. */
export function parseAccount(host: string, profile: string): Account {
  return { host: parseHost(host), profile: parseProfile(profile) };
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

/** The account as a sentence has it: `api.z.ai (profile work)`. */
export function describeAccount({ host, profile }: Account): string {
  return profile === DEFAULT_PROFILE ? host : `${host} (profile ${profile})`;
}

/** The options that name the account on the command line, ready to paste; empty for the default. */
export function accountFlags({ host, profile }: Account): string {
  const flags = [];
  if (host !== DEFAULT_HOST) flags.push(`--host ${host}`);
  if (profile !== DEFAULT_PROFILE) flags.push(`--profile ${shellQuote(profile)}`);
  return flags.map((flag) => ` ${flag}`).join('');
}

/** What a person typed, as a message repeats it: in quotes, short, and on one line. */
export function quote(text: string): string {
  const shown = text.length > 40 ? `${text.slice(0, 40)}…` : text;
  return `"${shown.replace(/\p{Cc}/gu, '?')}"`;
}

function shellQuote(text: string): string {
  return /^[\w.-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
