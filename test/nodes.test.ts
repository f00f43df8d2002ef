/** All of the command-line suite on each Node that the program is for, and what an older one says. */

import assert from 'node:assert/strict';
import { mkdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { before, test } from 'node:test';
import { suiteOf, testFiles } from './suites.ts';
import { BARE_ENV, type Env, PROGRAM, ROOT } from './support/environment.ts';
import { run } from './support/program.ts';

const { engines } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
const oldest = engines.node.replace('>=', '');

/** The oldest that will do, what is maintained, and the newest. */
const RELEASES = [`${oldest}.0`, '22', '24', 'latest'];

/** One that will not do; Debian 12 has it. */
const TOO_OLD = '18';

const directory = join(ROOT, 'node_modules/.cache/glm-token/nodes');

/** Without dots: setup warns of a path with a version number, since upgrades change such paths. */
const placeOf = (release: string): string => release.replace(/\..*/, '');

const nodeOf = (release: string): string =>
  join(directory, 'node_modules', placeOf(release), 'bin/node');

/** What the program does by itself: nothing of Emacs, the pages or the package. */
const SUITES = ['core', 'kwallet', 'prompts', 'shells', 'passwords', 'sshd'];
const files = testFiles()
  .filter((file) => SUITES.includes(suiteOf(file)?.name ?? ''))
  .filter((file) => !/^elisp\/|^(docs|package|repository)\./.test(file))
  .map((file) => join('test', file));

/** Our own environment, since tests of the suite are run as npm test runs them. */
function environment(node: string): Env {
  const { NODE_TEST_CONTEXT: _, ...env } = process.env; // Else they would report to this one.
  return { ...(env as Env), PATH: `${dirname(node)}:${env.PATH}` };
}

before(async () => {
  mkdirSync(directory, { recursive: true });
  const source = `npm:node-${process.platform}-${process.arch}`;
  const wanted = [...RELEASES, TOO_OLD].map(
    (release) => `${placeOf(release)}@${source}@${release}`,
  );
  const install = ['npm', 'install', '--silent', '--prefix', directory, ...wanted];
  const { status, stderr } = await run(install, { env: process.env as Env });
  assert.equal(status, 0, stderr);
});

for (const release of RELEASES) {
  test(`Node ${release}`, async (t) => {
    const node = nodeOf(release);
    const { status, stdout, stderr } = await run(
      [node, '--import', 'tsx', 'test/run.ts', ...files],
      { cwd: ROOT, env: environment(node) },
    );
    t.diagnostic((await run([node, '--version'])).stdout.trim());
    assert.equal(status, 0, `${stdout.slice(stdout.indexOf('\nfailures:'))}\n${stderr}`);
    const [, passed] = /^(\d+) passed, 0 failed$/m.exec(stdout) ?? [];
    assert.ok(Number(passed) > files.length, stdout);
  });
}

test(`Node ${TOO_OLD} exits 1 and says which Node is needed`, async () => {
  for (const args of [['print'], ['--version'], ['daemon', '--stdio']]) {
    const env = { ...BARE_ENV, GLM_API_KEY: 'id.secret' };
    const { status, stdout, stderr } = await run([nodeOf(TOO_OLD), PROGRAM, ...args], { env });
    assert.deepEqual([status, stdout], [1, '']);
    assert.match(
      stderr,
      new RegExp(`^glm-token: it needs Node ${oldest} or later, and this is 18`),
    );
  }
});
