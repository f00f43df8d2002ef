/** What prepare.sh found: the Emacsen, gptel's folders, a Python that has PyJWT, and sshd. */

import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

export const ROOT = resolve(import.meta.dirname, '../..');

export const found: { emacs: string[]; elpa: string[]; python: string; sshd: string } = JSON.parse(
  readFileSync(join(ROOT, 'node_modules/.cache/glm-token/test-env.json'), 'utf8'),
);

/** The built program, as users run it. */
export const PROGRAM = join(ROOT, 'dist/cli.cjs');

export type Env = Record<string, string>;

/** The little of our own environment that programs under test get, so that nothing leaks in. */
export const BARE_ENV: Env = {
  PATH: process.env.PATH ?? '',
  HOME: '/nonexistent',
  LANG: 'C.UTF-8',
  TZ: 'UTC',
};
