/** What prepare.ts found: the Emacsen, gptel's folders, a Python that has PyJWT, and sshd. */

import { readFileSync, statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

export const ROOT = resolve(import.meta.dirname, '../..');

const isWindows = process.platform === 'win32';

interface Found {
  readonly emacs: readonly string[];
  readonly elpa: readonly string[];
  readonly python: string;
  readonly sshd: string;
}

/** On Windows, where nothing is prepared, nothing. */
export const found: Found = isWindows
  ? { emacs: [], elpa: [], python: '', sshd: '' }
  : withChosenEmacs(
      JSON.parse(readFileSync(join(ROOT, 'node_modules/.cache/glm-token/test-env.json'), 'utf8')),
    );

/** A suite runs with one Emacs, which run.ts chooses; what is run by hand, with all there are. */
function withChosenEmacs(all: Found): Found {
  const chosen = { first: 0, second: 1 }[process.env.GLM_TEST_EMACS ?? ''];
  return chosen === undefined ? all : { ...all, emacs: all.emacs.slice(chosen, chosen + 1) };
}

/** The numbers of tmpfs and ramfs in statfs(2). */
const IN_MEMORY = [0x01021994, 0x858458f6];

// Keys are kept on disk, and doctor warns of a key file that is not; /tmp is in memory on many systems.
if (process.platform === 'linux' && IN_MEMORY.includes(statfsSync(tmpdir()).type)) {
  process.env.TMPDIR = '/var/tmp';
}

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
