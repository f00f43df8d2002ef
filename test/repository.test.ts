/** The address of the project: it stands in package.json, and everything else takes it from there. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { ROOT } from './support/environment.ts';
import { run } from './support/program.ts';

const { repository, homepage, bugs } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));

/** An address of something that has our name, in the ways that forges and Emacs' package managers write it. */
const ADDRESS =
  /(?:https?:\/\/|ssh:\/\/|git@|git:\/\/|\b(?:github|gitlab|codeberg|sourcehut):)[\w.:/@~#-]+\/(?:glm-token|glm-gptel-auth)\b(?:\.git)?|"[\w.-]+\/glm-token"/g;

const addressesIn = (text: string): string[] => text.match(ADDRESS) ?? [];

test('an address is known as one', () => {
  for (const text of [
    'https://forge.example/someone/glm-token',
    'git@forge.example:someone/glm-token.git',
    'github:someone/glm-token',
    ':repo "someone/glm-token"',
    'https://melpa.example/#/glm-gptel-auth',
  ]) {
    assert.equal(addressesIn(text).length, 1, text);
  }
  for (const text of ['src/glm-token', '"dist/cli.cjs" glm-token', '/path/to/glm-token/elisp']) {
    assert.deepEqual(addressesIn(text), [], text);
  }
});

test('no file but package.json has an address of the project that is not the one there', async () => {
  const git = ['git', '-c', `safe.directory=*`, 'ls-files', '-z'];
  const { stdout, stderr } = await run(git, { cwd: ROOT });
  const files = stdout
    .split('\0')
    .filter((file) => file !== '' && !file.endsWith('repository.test.ts'));
  assert.ok(files.includes('docs/emacs.md'), stderr);
  for (const file of files.filter((name) => name !== 'package.json')) {
    for (const address of addressesIn(readFileSync(join(ROOT, file), 'utf8'))) {
      assert.ok(homepage && address.startsWith(homepage), `${file}: ${address}`);
    }
  }
});

test('the fields of package.json agree, and the Emacs package has the same address', () => {
  const header = readFileSync(join(ROOT, 'elisp/glm-gptel-auth.el'), 'utf8');
  assert.equal(/^;; URL: (.*)$/m.exec(header)?.[1], homepage);
  if (homepage === undefined) {
    assert.deepEqual([repository, bugs], [undefined, undefined]);
    return;
  }
  assert.equal(repository.url, `git+${homepage}.git`);
  assert.ok(bugs.url.startsWith(`${homepage}/`), bugs.url);
});
