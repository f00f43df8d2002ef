/** What may be shown, and how: text that came from outside, on a terminal, in JSON and in a shell. */

/** Texts that have nothing unsafe in them, told without Unicode's tables, which take 9 ms to load. */
const PLAIN = /^[ -~]*$/;

/**
 * A run of control characters, or of ones that are invisible or turn the text around. A string, since
 * a literal would be parsed, tables and all, by every program that loads this file.
 */
const UNSAFE = String.raw`[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]+`;

const unsafe = () => new RegExp(UNSAFE, 'gu');

/** Whether a text has characters that no reader could see. */
export const hasUnsafeCharacters = (text: string): boolean =>
  !PLAIN.test(text) && unsafe().test(text);

/**
 * A text without anything that could move a cursor, forge a line or turn it around: such characters
 * are escaped as JSON escapes them, so that JSON stays the same JSON.
 */
export const printable = (text: string): string =>
  PLAIN.test(text) ? text : text.replace(unsafe(), escapeAll);

/** Every UTF-16 code unit as `\uXXXX`. */
const escapeAll = (characters: string): string =>
  Array.from({ length: characters.length }, (_, at) => characters.charCodeAt(at))
    .map((code) => `\\u${code.toString(16).padStart(4, '0')}`)
    .join('');

const MAX_SHOWN_CHARACTERS = 40;

/** The shortest word that may be a secret or an id, in characters. Real secrets have 16. */
const MIN_SECRET_CHARACTERS = 12;

/** Whether a text may be a key or a part of one. The one place that decides this. */
export function mayBeKey(text: string): boolean {
  const isHarmless = (word: string) =>
    /^[a-z-]*$/.test(word) || (word.length < MIN_SECRET_CHARACTERS && !word.includes('.'));
  return text.length > MAX_SHOWN_CHARACTERS || !text.split(/\s/).every(isHarmless);
}

/**
 * What a person gave, in quotes, as a message may repeat it; `undefined` when it may be a key or a
 * part of one.
 */
export const shown = (given: string): string | undefined =>
  mayBeKey(given) ? undefined : `"${printable(given)}"`;

/** A profile as a message may name it; `undefined` when a key may have been given in its place. */
export const shownProfile = (profile: string): string | undefined =>
  mayBeKey(profile) ? undefined : profile;

/**
 * A host as a message may name it; `undefined` when a key may have been given in its place, whose
 * secret is where a host has a top-level domain. It may be letters alone, of which a host has no
 * capitals left.
 */
export function shownHost(host: string): string | undefined {
  const topLevel =
    host
      .replace(/\.?(:\d+)?$/, '')
      .split('.')
      .at(-1) ?? '';
  const isWord = topLevel.length < MIN_SECRET_CHARACTERS || topLevel.includes('-');
  return host.startsWith('[') || (isWord && !mayBeKey(topLevel)) ? host : undefined;
}

/** What decides how a command is written: POSIX shells, or cmd and PowerShell. */
export type System = 'posix' | 'windows';

/** A word as a shell reads it back; cmd and PowerShell have the double quotes in common. */
export const shellQuote = (word: string, system: System = 'posix'): string => {
  if (system === 'windows') return /^[\w./\\:@+=-]+$/.test(word) ? word : `"${word}"`;
  return /^[\w./:@%+=,-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
};
