/** inspect: what it reads, what it shows, and what it never shows. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BARE_ENV } from '../support/environment.ts';
import { glmToken } from '../support/program.ts';

const KEY = '0123456789abcdef.TopSecretSecret1';
const env = { ...BARE_ENV, GLM_API_KEY: KEY };

test('what a token is, from standard input or as words', async () => {
  const { stdout: token } = await glmToken(['print'], { env });
  const inspect = (args: string[], input = '') => glmToken(['inspect', ...args], { env, input });
  const signature = token.trim().split('.')[2] ?? '';
  const outcomes = [
    await inspect([], token),
    await inspect([token.trim()]),
    await inspect(['Bearer', token.trim()]),
    await inspect([`Authorization: Bearer ${token}`]),
  ];
  for (const { status, stdout, stderr } of outcomes) {
    assert.equal(status, 0, stderr);
    assert.match(stdout, /^header {5}\{"alg":"HS256","sign_type":"SIGN","typ":"JWT"\}$/m);
    assert.match(
      stdout,
      /^claims {5}\{"api_key":"0123456789abcdef","exp":\d{13},"timestamp":\d{13}\}$/m,
    );
    assert.match(stdout, /^expires .* UTC, in (2 min 5\d s|3 min)$/m);
    assert.match(stdout, /^problems {3}none$/m);
    assert.ok(!stdout.includes(signature) && stdout.includes(`${signature.slice(0, 4)}… (43`));
  }
  const json = JSON.parse((await inspect(['--json', token.trim()])).stdout);
  assert.equal(json.schemaVersion, 1);
  assert.deepEqual(json.problems, []);
  assert.ok(!JSON.stringify(json).includes(signature));
});

test('whether the stored key signed it', async () => {
  const { stdout: token } = await glmToken(['print'], { env });
  const inspectWith = (key: string) =>
    glmToken(['inspect', '--json'], { env: { ...BARE_ENV, GLM_API_KEY: key }, input: token });
  const signedWith = async (key: string) => JSON.parse((await inspectWith(key)).stdout);
  assert.equal((await signedWith(KEY)).signedByStoredKey, true);
  const other = await signedWith('0123456789abcdef.Another');
  assert.equal(other.signedByStoredKey, false);
  assert.match(other.problems[0].message, /^the signature is not that of the stored key/);
  // There is no keychain here, so that no more is known.
  assert.equal((await signedWith('otherid.Another')).signedByStoredKey, null);
});

test('what is no token exits 2, and a key is not repeated', async () => {
  for (const [args, input] of [
    [[KEY], ''],
    [[], KEY],
    [['nonsense'], ''],
    [[], ''],
  ] as const) {
    const { status, stdout, stderr } = await glmToken(['inspect', ...args], { env, input });
    assert.deepEqual([status, stdout], [2, '']);
    assert.match(stderr, /^glm-token: .*not? .*token \(JWT\).*\nhint: /);
    assert.doesNotMatch(stderr, /TopSecret/);
  }
});
