/** The package as it is packed. */

import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { type Env, ROOT } from './support/environment.ts';
import { run } from './support/program.ts';

let directory: string;
/** What is packed, as tar lists it, and where it was unpacked. */
let files: { mode: string; name: string }[];
let unpacked: string;

before(async () => {
  directory = mkdtempSync(join(tmpdir(), 'glm-token-pack-'));
  const { status, stderr } = await run(
    // What npm test has built: a build now would take it away from the tests beside this one.
    ['npm', 'pack', '--ignore-scripts', '--pack-destination', directory],
    { cwd: ROOT, env: { ...(process.env as Env) } },
  );
  assert.equal(status, 0, stderr);
  const tarball = join(directory, readdirSync(directory)[0] ?? '');
  unpacked = join(directory, 'package');
  await run(['tar', '-xzf', tarball, '-C', directory]);
  const listed = await run(['tar', '-tvzf', tarball]);
  files = listed.stdout
    .trim()
    .split('\n')
    .map((line) => ({ mode: line.slice(0, 10), name: line.replace(/^.* package\//, '') }));
});
after(() => rmSync(directory, { recursive: true, force: true }));

test('the tarball has the program, the Emacs package and the texts, and nothing else', async () => {
  const names = files.map(({ name }) => name);
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
    'elisp/glm-gptel-auth-install.el',
    'elisp/glm-gptel-auth-setup.el',
    'elisp/glm-gptel-auth-source.el',
    'elisp/glm-gptel-auth-zh.el',
    'elisp/glm-gptel-auth.el',
    'package.json',
  ]);
  assert.ok(names.includes('dist/cli.cjs'));
});

test('the program alone is executable, and nobody but the owner may write', () => {
  for (const { mode, name } of files) {
    assert.equal(mode, name === 'dist/cli.cjs' ? '-rwxr-xr-x' : '-rw-r--r--', name);
  }
  assert.match(readFileSync(join(unpacked, 'dist/cli.cjs'), 'utf8'), /^#!\/usr\/bin\/env node\n/);
});

test('the program loads nothing but Node, keytar and what is packed, and all of that', () => {
  const { dependencies } = JSON.parse(readFileSync(join(unpacked, 'package.json'), 'utf8'));
  assert.deepEqual(Object.keys(dependencies), ['keytar']);
  const loaded = new Set(['dist/cli.cjs']);
  for (const name of loaded) {
    const code = readFileSync(join(unpacked, name), 'utf8');
    for (const [, wanted = ''] of code.matchAll(/\brequire\("([^"]+)"\)/g)) {
      if (wanted.startsWith('./')) loaded.add(join('dist', wanted));
      else assert.ok(isBuiltin(wanted) || wanted === 'keytar', `${name} loads ${wanted}`);
    }
  }
  const packed = files.map(({ name }) => name).filter((name) => name.endsWith('.cjs'));
  assert.deepEqual([...loaded].sort(), packed.sort());
});

test('nothing that is packed has a path of the machine that it was packed on', () => {
  for (const { name } of files) {
    assert.ok(!readFileSync(join(unpacked, name), 'utf8').includes(ROOT), name);
  }
});

test('a link in a packed page leads to a packed file, or to the page for contributors', () => {
  for (const { name } of files.filter((file) => file.name.endsWith('.md'))) {
    const text = readFileSync(join(unpacked, name), 'utf8');
    for (const [, link = ''] of text.matchAll(/\]\((?!https?:)([^)#\s]+)[^)\s]*\)/g)) {
      const target = join(dirname(name), link);
      const isThere = files.some((file) => file.name === target) || target === 'CONTRIBUTING.md';
      assert.ok(isThere, `${name}: ${link}`);
    }
  }
});

test('the program is packed in a form that people can read', () => {
  const lines = readFileSync(join(ROOT, 'dist/cli.cjs'), 'utf8').split('\n');
  assert.ok(lines.length > 500, `${lines.length} lines`);
  assert.ok(lines.some((line) => line.startsWith('async function run(')));
});
