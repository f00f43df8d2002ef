/** inspect: what it reads, what it shows, and what it never shows. */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { BARE_ENV, only } from '../support/environment.ts';
import { glmToken, SIDE_BY_SIDE } from '../support/program.ts';

const KEY = '0123456789abcdef.TopSecretSecret1';
/** One as the service issues them. */
const SERVICE_KEY = '0123456789abcdef0123456789abcdef.AbCdEfGhIjKlMnOp';
const env = { ...BARE_ENV, GLM_API_KEY: KEY };

test('a token from standard input or from arguments is described', async () => {
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
    assert.match(stdout, /^header {4}\{"alg":"HS256","sign_type":"SIGN","typ":"JWT"\}$/m);
    assert.match(
      stdout,
      /^claims {4}\{"api_key":"0123456789abcdef","exp":\d{13},"timestamp":\d{13}\}$/m,
    );
    assert.match(stdout, /^expires .* UTC, in (2 min 5\d s|3 min)$/m);
    assert.match(stdout, /^problems {2}none$/m);
    assert.ok(!stdout.includes(signature) && stdout.includes(`${signature.slice(0, 4)}… (43`));
  }
  const json = JSON.parse((await inspect(['--json', token.trim()])).stdout);
  assert.equal(json.schemaVersion, 1);
  assert.deepEqual(json.problems, []);
  assert.ok(!JSON.stringify(json).includes(signature));
});

test('it says whether the stored key signed the token', only('linux'), async () => {
  const { stdout: token } = await glmToken(['print'], { env });
  const inspectWith = (key: string) =>
    glmToken(['inspect', '--json'], { env: { ...BARE_ENV, GLM_API_KEY: key }, input: token });
  const signedWith = async (key: string) => JSON.parse((await inspectWith(key)).stdout);
  assert.equal((await signedWith(KEY)).signedByStoredKey, true);
  const other = await signedWith('0123456789abcdef.Another');
  assert.equal(other.signedByStoredKey, false);
  assert.match(other.problems[0].message, /^the signature is not that of the stored key/);
  // There is no keychain here, so the signer is not known.
  assert.equal((await signedWith('otherid.Another')).signedByStoredKey, null);
});

test('a secret in any claim, header or signature is masked', async () => {
  const encode = (json: unknown) => Buffer.from(JSON.stringify(json)).toString('base64url');
  const claims = {
    api_key: KEY,
    sub: `me, with ${SERVICE_KEY}.`,
    nested: { list: [SERVICE_KEY], [SERVICE_KEY]: 1 },
    [KEY]: true,
    forged: 'a\u001b[2Jb\u202ec',
  };
  const token = `${encode({ alg: KEY, kid: SERVICE_KEY })}.${encode(claims)}.c2lnbmF0dXJl`;
  for (const args of [['inspect'], ['inspect', '--json']]) {
    const { status, stdout, stderr } = await glmToken(args, { env, input: token });
    assert.equal(status, 0, stderr);
    assert.doesNotMatch(stdout + stderr, /TopSecret|AbCdEf/);
    assert.doesNotMatch(stdout.replaceAll('\n', ''), /[\p{Cc}\p{Cf}]/u);
    assert.match(stdout, /"api_key":"0123456789abcdef\.…"/);
    assert.match(stdout, /api_key holds a whole key, with its secret, for everyone to read/);
    assert.match(stdout, /sub holds a whole key/);
  }
});

describe('1 MB is answered', SIDE_BY_SIDE, () => {
  for (const text of ['.', 'noise.', 'eyJ.', '"']) {
    test(`of ${text}`, async () => {
      const input = text.repeat(1_000_000 / text.length);
      const { status, stdout, stderr } = await glmToken(['inspect'], { env, input });
      assert.deepEqual([status, stdout], [2, '']);
      assert.ok(stderr.length < 2000);
    });
  }

  test('of empty JSON objects, which are taken for a token', async () => {
    const input = 'e30.'.repeat(250_000);
    const { status, stdout } = await glmToken(['inspect'], { env, input });
    assert.equal(status, 0);
    assert.match(stdout, /^header {4}\{\}\nclaims {4}\{\}\n/);
    assert.ok(stdout.length < 2000);
  });
});

test('text without a token exits 2, and a key is not repeated', async () => {
  const cases: [args: string[], input: string, message: string][] = [
    [[KEY], '', 'that is an API key, not a token (JWT)'],
    [[], KEY, 'that is an API key, not a token (JWT)'],
    [['nonsense'], '', 'no token (JWT) found'],
    [[], '', 'no token (JWT) found'],
  ];
  for (const [args, input, message] of cases) {
    const { status, stdout, stderr } = await glmToken(['inspect', ...args], { env, input });
    assert.deepEqual([status, stdout], [2, '']);
    assert.ok(stderr.startsWith(`glm-token: ${message}\nhint: `), stderr);
    assert.doesNotMatch(stderr, /TopSecret/);
  }
});
