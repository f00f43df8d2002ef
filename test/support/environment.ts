/** What prepare.sh found: the Emacsen, gptel's folders, a Python that has PyJWT, and sshd. */

import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

export const ROOT = resolve(import.meta.dirname, '../..');

const isWindows = process.platform === 'win32';

/** On Windows, where prepare.sh does not run, nothing. */
export const found: { emacs: string[]; elpa: string[]; python: string; sshd: string } = isWindows
  ? { emacs: [], elpa: [], python: '', sshd: '' }
  : JSON.parse(readFileSync(join(ROOT, 'node_modules/.cache/glm-token/test-env.json'), 'utf8'));

/** Has a test run on these systems; on others the report says why it is left out. */
export const only = (...platforms: NodeJS.Platform[]): { skip: string | false } => ({
  skip: !platforms.includes(process.platform) && `runs on ${platforms.join(' and ')} alone`,
});

/** The built program, as users run it. */
export const PROGRAM = join(ROOT, 'dist/cli.cjs');

export type Env = Record<string, string>;

/** The little of our own environment that programs under test get, so that nothing leaks in. */
export const BARE_ENV: Env = {
  PATH: process.env.PATH ?? '',
  HOME: '/nonexistent',
  LANG: 'C.UTF-8',
  TZ: 'UTC',
  // Elsewhere, the keychain that a program finds is the user's own.
  ...(process.platform === 'linux' ? {} : { GLM_TOKEN_STORE: 'file' }),
  ...(isWindows ? { SystemRoot: process.env.SystemRoot ?? '' } : {}), // Node needs it there.
};

/** What of our own environment says how to reach registries and repositories. */
export const network = (): Env =>
  Object.fromEntries(
    Object.entries(process.env as Env).filter(([name]) =>
      /^(NODE_EXTRA_CA_CERTS|SSL_CERT_(FILE|DIR)|GIT_(CONFIG_GLOBAL|SSL_CAINFO)|(https?|no)_proxy)$/i.test(
        name,
      ),
    ),
  );
