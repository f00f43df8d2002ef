/**
 * Sees to what suites need from the system. On Debian and its like, as root or with a sudo that asks
 * for no password, it installs what is missing; elsewhere it says what to install. What it found is
 * written to node_modules/.cache/glm-token/test-env.json.
 *
 * As a program: node --import tsx test/support/prepare.ts [SUITE…]; core by default.
 */

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CACHE_DIRECTORY, type Need, type Suite, suiteNamed } from '../suites.ts';

const ROOT = join(import.meta.dirname, '../..');

/** What one runs to become root; `undefined` where that is not possible. */
const SUDO: readonly string[] | undefined =
  process.getuid?.() === 0
    ? []
    : spawnSync('sudo', ['-n', 'true']).status === 0
      ? ['sudo', '-n']
      : undefined;

const mayInstall = existsSync('/etc/debian_version') && SUDO !== undefined;

const say = (text: string): void => console.log(text);

/** What a line of shell prints on standard output; `undefined` where it fails. */
function shell(line: string): string | undefined {
  const { status, stdout } = spawnSync('sh', ['-c', line], { cwd: ROOT, encoding: 'utf8' });
  return status === 0 ? stdout.trim() : undefined;
}

const isThere = ({ check }: Need): boolean => shell(check) !== undefined;

function asRoot(command: readonly string[], stdio: 'inherit' | 'pipe' = 'pipe') {
  const [file = '', ...args] = [
    ...(SUDO ?? []),
    ...['env', 'DEBIAN_FRONTEND=noninteractive', 'LC_ALL=C.UTF-8'],
    ...command,
  ];
  return spawnSync(file, args, { encoding: 'utf8', stdio: ['ignore', stdio, 'inherit'] });
}

/** The Debian packages of needs, of which this Debian knows one each. */
const packagesOf = (needs: readonly Need[]): string[] =>
  needs.flatMap(({ debian = [] }) => {
    const known = debian.find((name) => shell(`apt-cache show ${name} 2>/dev/null | grep .`));
    return known ?? debian.slice(0, 1);
  });

/** What apt says about the size of packages. */
function sizeOf(packages: readonly string[]): string {
  const install = ['apt-get', 'install', '--assume-no', '--no-install-recommends', ...packages];
  const lines = asRoot(install).stdout.match(/^(.*newly installed|Need to get|After this).*/gm);
  return (lines ?? []).map((line) => `  ${line}\n`).join('');
}

function installPackages(needs: readonly Need[], dryRun: boolean): void {
  const wanted = needs.filter(({ debian }) => debian);
  if (wanted.length === 0) return;
  asRoot(['apt-get', 'update', '-qq']);
  const packages = [...new Set(packagesOf(wanted))];
  say(`${dryRun ? 'would install' : 'installing'} with apt: ${packages.join(' ')}`);
  process.stdout.write(sizeOf(packages));
  if (dryRun) return;
  const install = ['apt-get', 'install', '-y', '-qq', '--no-install-recommends', ...packages];
  asRoot(install);
}

function fetchAll(needs: readonly Need[], dryRun: boolean): void {
  for (const { what, fetch } of needs) {
    if (!fetch) continue;
    say(
      `${dryRun ? 'would fetch' : 'fetching'} ${what} (${fetch.size}, on disk, below node_modules/.cache)`,
    );
    if (dryRun) continue;
    const args = ['test/support/fetch.sh', fetch.name];
    spawnSync('bash', args, { cwd: ROOT, stdio: ['ignore', 'ignore', 'inherit'] });
  }
}

const needsOf = (suites: readonly Suite[]): Need[] => [
  ...new Map(suites.flatMap(({ needs }) => needs).map((need) => [need.what, need])).values(),
];

/** What of a suite's needs is not there. */
export const missingOf = (suite: Suite): Need[] => suite.needs.filter((need) => !isThere(need));

/**
 * Installs what suites need, where that can be done, and says so before, with its size.
 *
 * @param dryRun whether it says only what it would install
 */
export function prepare(suites: readonly Suite[], { dryRun = false } = {}): void {
  const missing = needsOf(suites).filter((need) => !isThere(need));
  if (mayInstall) installPackages(missing, dryRun);
  fetchAll(
    missing.filter((need) => dryRun || !isThere(need)),
    dryRun,
  );
  if (dryRun && missing.length === 0) say('nothing is missing');
  if (dryRun && !mayInstall) for (const need of missing) say(`to install: ${sayHow(need)}`);
  if (!dryRun && process.platform !== 'win32') writeSettings();
}

/** What to install for a need, for a person. */
export const sayHow = ({ what, mac }: Need): string =>
  process.platform === 'darwin' && mac ? `${what} (${mac})` : what;

function writeSettings(): void {
  const inCache = (...names: string[]): string => join(CACHE_DIRECTORY, ...names);
  const first = shell('command -v emacs');
  const fetched = existsSync(inCache('second-emacs/done')) && inCache('second-emacs/emacs');
  const second = process.env.GLM_TEST_SECOND_EMACS ?? fetched;
  const elpa = existsSync(inCache('elpa/done'))
    ? readdirSync(inCache('elpa'), { withFileTypes: true })
        .filter((entry) => entry.isDirectory())
        .map(({ name }) => `${inCache('elpa', name)}/`)
    : [];
  const settings = {
    emacs: [...new Set([first, second])].filter(Boolean),
    elpa,
    python: shell(
      'for it in python3 /usr/bin/python3; do "$it" -c "import jwt" && command -v "$it" && break; done',
    ),
    sshd: shell('PATH=$PATH:/usr/sbin command -v sshd') ?? inCache('sshd/usr/sbin/sshd'),
  };
  mkdirSync(CACHE_DIRECTORY, { recursive: true });
  writeFileSync(inCache('test-env.json'), `${JSON.stringify(settings, null, 2)}\n`);
}

if (process.argv[1] === import.meta.filename) {
  const [...names] = process.argv.slice(2);
  const suites = (names.length > 0 ? names : ['core']).map((name) => {
    const suite = suiteNamed(name);
    if (!suite) throw new Error(`no suite is called ${name}`);
    return suite;
  });
  prepare(suites);
  const missing = new Set(suites.flatMap(missingOf).map(sayHow));
  for (const what of missing) say(`missing: ${what}`);
  process.exitCode = missing.size > 0 ? 1 : 0;
}
