/** The package as it is packed. */

import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { BARE_ENV, found, ROOT } from './support/environment.ts';
import { run } from './support/program.ts';

let directory: string;
let tarball: string;

const npm = (args: string[], cwd: string) =>
  // npm's own settings stay, since they say where its registry is.
  run(['npm', ...args], { cwd, env: { ...(process.env as Record<string, string>) } });

before(async () => {
  directory = mkdtempSync(join(tmpdir(), 'glm-token-pack-'));
  const { status, stdout, stderr } = await npm(
    // What npm test has built: a build now would take it away from the tests beside this one.
    ['pack', '--json', '--ignore-scripts', '--pack-destination', directory],
    ROOT,
  );
  assert.equal(status, 0, stderr);
  assert.ok(stdout);
  tarball = join(directory, readdirSync(directory).find((name) => name.endsWith('.tgz')) ?? '');
});
after(() => rmSync(directory, { recursive: true, force: true }));

test('the tarball has the program, the Emacs package and the texts, and nothing else', async () => {
  const { stdout } = await run(['tar', '-tzf', tarball]);
  const names = stdout
    .trim()
    .split('\n')
    .map((name) => name.replace(/^package\//, ''));
  assert.deepEqual(names.filter((name) => !/^dist\/[\w-]+\.cjs$/.test(name)).sort(), [
    'CHANGELOG.md',
    'LICENSE',
    'README.md',
    'README.zh-CN.md',
    'SECURITY.md',
    'dist/THIRD-PARTY-LICENSES.txt',
    'dist/glm-token.1',
    'docs/design.md',
    'docs/emacs.md',
    'docs/emacs.zh-CN.md',
    'docs/integrations.md',
    'docs/integrations.zh-CN.md',
    'docs/pictures/chat.svg',
    'docs/pictures/chat.zh-CN.svg',
    'docs/pictures/clock.svg',
    'docs/pictures/clock.zh-CN.svg',
    'docs/pictures/setup.svg',
    'docs/pictures/setup.zh-CN.svg',
    'docs/pictures/speed.svg',
    'docs/pictures/speed.zh-CN.svg',
    'docs/reference.md',
    'docs/reference.zh-CN.md',
    'docs/troubleshooting.md',
    'docs/troubleshooting.zh-CN.md',
    'elisp/glm-gptel-auth-commands.el',
    'elisp/glm-gptel-auth-doctor.el',
    'elisp/glm-gptel-auth-helper.el',
    'elisp/glm-gptel-auth-setup.el',
    'elisp/glm-gptel-auth-source.el',
    'elisp/glm-gptel-auth.el',
    'package.json',
  ]);
  assert.ok(names.includes('dist/cli.cjs'));
});

test('the program is packed in a form that people can read', () => {
  const lines = readFileSync(join(ROOT, 'dist/cli.cjs'), 'utf8').split('\n');
  assert.ok(lines.length > 500, `${lines.length} lines`);
  assert.ok(lines.some((line) => line.startsWith('async function run(')));
});

describe('installed with npm install -g into an empty prefix', () => {
  for (const flags of [[], ['--ignore-scripts']]) {
    test(`npm install -g ${flags.join(' ')}`, async () => {
      const prefix = mkdtempSync(join(directory, 'prefix-'));
      const installed = await npm(
        ['install', '-g', '--prefix', prefix, ...flags, tarball],
        directory,
      );
      assert.equal(installed.status, 0, installed.stderr);

      const path = `${dirname(process.execPath)}:${BARE_ENV.PATH}`;
      const env = { ...BARE_ENV, PATH: path, GLM_API_KEY: 'id.secret' };
      const command = join(prefix, 'bin/glm-token');
      assert.match((await run([command, 'print'], { env })).stdout, /^eyJ/);

      const manuals = await run(['man', '-M', join(prefix, 'share/man'), '-w', 'glm-token']);
      const page = `${prefix}/lib/node_modules/glm-token/dist/glm-token.1\n`;
      assert.equal(manuals.stdout, page, manuals.stderr);

      // The keychain's library is there and loads: it gets as far as asking for a bus.
      const { stderr } = await run([command, 'print', '--host', 'api.z.ai'], { env });
      assert.match(
        stderr,
        /there is no keychain: .*D-Bus.*\nhint: .*: glm-token store --store file --host api\.z\.ai\n/,
      );

      const block = (await run([command, 'setup'], { env })).stdout.split('\n').slice(1).join('\n');
      for (const emacs of found.emacs) {
        const form = '(princ (cdar (glm-gptel-auth-header)))';
        const elpa = found.elpa.flatMap((dir) => ['-L', dir]);
        const printed = await run(
          [emacs, '-Q', '--batch', ...elpa, '--eval', `(progn ${block}\n)`, '--eval', form],
          { env: { ...env, HOME: directory } },
        );
        assert.match(printed.stdout, /^Bearer eyJ/, printed.stderr);
      }

      const byPath = await run(
        [
          ...[
            found.emacs[0] ?? '',
            '-Q',
            '--batch',
            '-L',
            `${ROOT}/elisp`,
            '-l',
            'glm-gptel-auth-helper',
          ],
          ...[
            '--eval',
            '(let ((glm-gptel-auth--directory "/nowhere/")) (prin1 (glm-gptel-auth--program)))',
          ],
        ],
        { env: { ...env, PATH: `${prefix}/bin:${path}` } },
      );
      assert.match(byPath.stdout, /^\("\/.*\/node" "\/.*\/glm-token\/dist\/cli\.cjs"\)$/);
    });
  }
});
