import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseDuration } from '../../src/core/duration.ts';
import { parseKey } from '../../src/core/key.ts';
import { DEFAULT_TTL, DEFAULT_TTL_MS, signToken } from '../../src/core/token.ts';
import { found, only, ROOT } from '../support/environment.ts';
import { run } from '../support/program.ts';

const NOW_MS = 1_795_369_195_563;

const KEYS = [
  '0123456789abcdef0123456789abcdef.AbCdEfGhIjKlMnOp',
  `0123456789abcdef0123456789abcdef.${'x'.repeat(900)}`,
  'id.with_-chars_-_',
  'ID.1234567890',
  '42.7',
  'id.sécrèt密钥🔑',
  'i.s',
];

async function askPyJwt(tokens: string[]) {
  const input = JSON.stringify({ keys: KEYS, tokens, nowMs: NOW_MS, ttlSeconds: 180 });
  const { stdout, stderr } = await run([found.python, `${ROOT}/test/support/pyjwt.py`], { input });
  assert.equal(stderr, '');
  return JSON.parse(stdout) as { signed: string[]; accepted: Record<string, unknown>[] };
}

test(
  "a token is, byte for byte, the one that the service's own Python sample makes",
  only('linux', 'darwin'),
  async () => {
    const ours = await Promise.all(KEYS.map((key) => signToken(parseKey(key), NOW_MS, 180_000)));
    const tokens = ours.map(({ token }) => token);
    const { signed, accepted } = await askPyJwt(tokens);
    assert.deepEqual(tokens, signed);
    assert.deepEqual(
      accepted,
      KEYS.map((key) => ({
        api_key: key.split('.')[0],
        exp: NOW_MS + 180_000,
        timestamp: NOW_MS,
      })),
    );
  },
);

test('a token that PyJWT made is made here too', async () => {
  const { token, issuedAtMs, expiresAtMs } = await signToken(parseKey('id.secret'), 1e12, 1000);
  assert.equal(
    token,
    'eyJhbGciOiJIUzI1NiIsInNpZ25fdHlwZSI6IlNJR04iLCJ0eXAiOiJKV1QifQ' +
      '.eyJhcGlfa2V5IjoiaWQiLCJleHAiOjEwMDAwMDAwMDEwMDAsInRpbWVzdGFtcCI6MTAwMDAwMDAwMDAwMH0' +
      '.Xc5kyJYynXff8nzBfdEWUin2TdDLAjAaKhObkB8PRfE',
  );
  assert.deepEqual([issuedAtMs, expiresAtMs], [1e12, 1e12 + 1000]);
});

test(
  'PyJWT refuses a token of ours that was changed afterwards',
  only('linux', 'darwin'),
  async () => {
    const { token } = await signToken(parseKey(KEYS[0] ?? ''), NOW_MS, 180_000);
    const [head, , signature] = token.split('.');
    const payload = Buffer.from('{"api_key":"other","exp":1,"timestamp":1}').toString('base64url');
    const { accepted } = await askPyJwt([`${head}.${payload}.${signature}`]);
    assert.deepEqual(accepted, ['Signature verification failed']);
  },
);

test('the default lifetime is three minutes', () => {
  assert.equal(DEFAULT_TTL_MS, 180_000);
  assert.equal(parseDuration(DEFAULT_TTL), DEFAULT_TTL_MS);
});
