/** What may be shown, and how: text that came from outside, on a terminal, in JSON and in a shell. */

/** Texts that have nothing unsafe in them, told without Unicode's tables, which take 9 ms to load. */
const PLAIN = /^[ -~]*$/;

/**
 * A run of control characters, of ones that are invisible or turn the text around, or of U+FFFD, which
 * stands for bytes that were no UTF-8: many names become the same one. A string, since a literal would
 * be parsed, tables and all, by every program that loads this file.
 */
const UNSAFE = String.raw`[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\uFFFD]+`;

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
export const MIN_SECRET_CHARACTERS = 12;

/** Whether a text may be a key or a part of one: people paste keys into the wrong place. */
export function mayBeKey(text: string): boolean {
  const isHarmless = (word: string) =>
    /^[a-z-]*$/.test(word) || (word.length < MIN_SECRET_CHARACTERS && !word.includes('.'));
  return text.length > MAX_SHOWN_CHARACTERS || !text.split(/\s/).every(isHarmless);
}

/** Whether a line that another program wrote may hold a key or a part of one. */
export function mayHoldKey(line: string): boolean {
  const isShort = (part: string) => part.length < MIN_SECRET_CHARACTERS;
  const isHarmless = (word: string) => {
    const [first = '', ...rest] = word.split('.');
    return (isShort(first) || /^([a-z_-]*|[A-Z_]*)$/.test(first)) && rest.every(isShort);
  };
  return !line.split(/[\s/\\:;,="'`()[\]{}<>]+/).every(isHarmless);
}

/** What a message has in place of a text that may be a key. */
export const HIDDEN = '…';

/** What a person gave, as a message may repeat it: in quotes, or {@link HIDDEN}. */
export const shown = (given: string): string =>
  mayBeKey(given) ? HIDDEN : `"${printable(given)}"`;

/** What decides how a command is written: POSIX shells, or cmd and PowerShell. */
export type System = 'posix' | 'windows';

/** A word as a shell reads it back; cmd and PowerShell have the double quotes in common. */
export const shellQuote = (word: string, system: System = 'posix'): string => {
  if (system === 'windows') return /^[\w./\\:@+=-]+$/.test(word) ? word : `"${word}"`;
  return /^[\w./:@%+=,-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
};
