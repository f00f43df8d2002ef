/**
 * What `npm test` runs: it prepares and builds, then runs the test files, and those that need
 * the machine for themselves alone at the end; with `everywhere`, it runs those that take too long for CI instead. On
 * macOS and Windows, some of them.
 */

import { spawnSync } from 'node:child_process';
import { ANYWHERE, kindOf, testFiles } from './support/suite.ts';

/** Where keychains of the tests' own can be started; elsewhere the program would find the user's. */
const isLinux = process.platform === 'linux';

/** What runs on macOS as well. */
const ON_MACOS = ['elisp/install.', 'stores/private-directory.'];

const runsHere = (file: string): boolean =>
  isLinux ||
  [...ANYWHERE, ...(process.platform === 'darwin' ? ON_MACOS : [])].some((start) =>
    file.startsWith(start),
  );

function run(command: string, ...args: string[]): void {
  const { status, error } = spawnSync(command, args, { stdio: 'inherit' });
  if (error) throw error;
  if (status !== 0) process.exit(status ?? 1);
}

function runTests(files: readonly string[], atOnce: number): void {
  if (files.length === 0) return;
  const paths = files.map((file) => `test/${file}`);
  run(process.execPath, '--import', 'tsx', '--test', `--test-concurrency=${atOnce}`, ...paths);
}

const kinds = process.argv[2] === 'everywhere' ? ['everywhere'] : ['', 'alone'];
const files = testFiles(kinds);
const here = files.filter(runsHere);

// On Windows there is nothing to prepare, and bash may be that of a Linux beside it.
if (process.platform !== 'win32') run('bash', 'test/support/prepare.sh');
run(process.execPath, 'esbuild.config.mjs');
if (here.length < files.length) {
  const left = files.filter((file) => !here.includes(file));
  console.log(`These tests do not run on this system: ${left.join(', ')}`);
}
for (const kind of kinds) {
  const ofKind = here.filter((file) => kindOf(file) === kind);
  runTests(ofKind, kind === '' ? 3 : 1);
}
