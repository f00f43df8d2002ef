/** The encrypted file on Windows, where a file that somebody has open cannot be replaced. */

import assert from 'node:assert/strict';
import {
  closeSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { BARE_ENV } from '../support/environment.ts';
import { glmToken } from '../support/program.ts';

const home = mkdtempSync(join(tmpdir(), '我的 文件 '));
after(() => rmSync(home, { recursive: true, maxRetries: 5 }));

const passphraseFile = join(home, 'passphrase');
writeFileSync(passphraseFile, '\uFEFFcorrect horse 电池\r\n');
const path = join(home, 'glm-token', 'Data');
const env = {
  ...BARE_ENV,
  LOCALAPPDATA: home,
  GLM_TOKEN_STORE: 'file',
  GLM_TOKEN_PASSPHRASE_FILE: passphraseFile,
};
const store = (profile: string) =>
  glmToken(['store', `--profile=${profile}`], { env, input: `${profile}.secret` });
const profiles = async () => {
  const { accounts } = JSON.parse((await glmToken(['list', '--json'], { env })).stdout);
  return accounts.map(({ profile }: { profile: string }) => profile).sort();
};

test('three writers at once lose nothing', async () => {
  for (const { status, stderr } of await Promise.all(['a', 'b', 'c'].map(store))) {
    assert.equal(status, 0, stderr);
  }
  assert.deepEqual(await profiles(), ['a', 'b', 'c']);
  assert.deepEqual(readdirSync(path), ['keys.jwe']);
});

test('a writer waits for one who has the file open', async () => {
  const fd = openSync(join(path, 'keys.jwe'), 'r');
  const storing = store('d');
  while (!readdirSync(path).some((name) => name.endsWith('.tmp'))) await delay(5);
  await delay(300);
  closeSync(fd);
  const { status, stderr } = await storing;
  assert.equal(status, 0, stderr);
  assert.deepEqual(await profiles(), ['a', 'b', 'c', 'd']);
});

test('a file that stays open is left as it was: exit 5', async () => {
  const before = readFileSync(join(path, 'keys.jwe'), 'utf8');
  const fd = openSync(join(path, 'keys.jwe'), 'r');
  const { status, stderr } = await store('e');
  closeSync(fd);
  assert.equal(status, 5);
  assert.ok(
    stderr.startsWith(`glm-token: cannot write ${join(path, 'keys.jwe')}: EPERM\n`),
    stderr,
  );
  assert.equal(readFileSync(join(path, 'keys.jwe'), 'utf8'), before);
  assert.deepEqual(readdirSync(path), ['keys.jwe']);
});
