/** All of the command-line suite on each Node that the program is for, and what an older one says. */

import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { before, describe, test } from 'node:test';
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

/** Those of test/ that are not about Emacs, the pages or the package. */
const suite = readdirSync(join(ROOT, 'test'), { recursive: true })
  .map(String)
  .filter((name) => name.endsWith('.test.ts') && !name.endsWith('.everywhere.test.ts'))
  .filter((name) => !/^(elisp|prove)\/|^(docs|install|package|prove|repository)\./.test(name))
  .map((name) => join('test', name))
  .sort();

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
  describe(`Node ${release}`, () => {
    const node = nodeOf(release);
    for (const [name, isAlone, concurrency] of [
      ['the suite', false, 3],
      ['what runs alone', true, 1],
    ] as const) {
      test(name, async (t) => {
        const files = suite.filter((file) => file.endsWith('.alone.test.ts') === isAlone);
        const options = ['--import', 'tsx', '--test', '--test-reporter=tap'];
        const { status, stdout, stderr } = await run(
          [node, ...options, `--test-concurrency=${concurrency}`, ...files],
          { cwd: ROOT, env: environment(node) },
        );
        const [tests = 0, skipped = 0] = ['tests', 'skipped'].map((what) =>
          Number(new RegExp(`^# ${what} (\\d+)$`, 'm').exec(stdout)?.[1]),
        );
        t.diagnostic(`${(await run([node, '--version'])).stdout.trim()}: ${tests} tests`);
        const failed = stdout.match(/^ *not ok .*?^ *\.\.\.$/gms) ?? [];
        assert.equal(status, 0, `${failed.join('\n')}\n${stderr}`);
        assert.ok(tests > files.length && skipped === 0, `${tests} tests, ${skipped} skipped`);
      });
    }
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
