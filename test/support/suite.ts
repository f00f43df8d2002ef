/** The test files, by their kind, and which of them run on every system. */

import { readdirSync } from 'node:fs';
import { join } from 'node:path';

/** What runs on every system: it keeps away from keychains, or uses the system's with care. */
export const ANYWHERE = [
  'core/',
  'messages/',
  'service/error-codes.',
  'service/services.',
  'commands/inspect.',
  'stores/contract.',
  'cli/command-line.',
  'cli/help.',
  'language.',
  'man-page.',
  'settings.',
];

/** `alone` or `everywhere`, as in the name of a file; most have neither. */
export const kindOf = (file: string): string => /\.(\w+)\.test\.ts$/.exec(file)?.[1] ?? '';

/** The files of some kinds, as paths below test/. */
export const testFiles = (kinds: readonly string[]): string[] =>
  readdirSync(join(import.meta.dirname, '..'), { recursive: true, encoding: 'utf8' })
    .map((file) => file.replaceAll('\\', '/'))
    .filter((file) => file.endsWith('.test.ts') && kinds.includes(kindOf(file)))
    .sort();
