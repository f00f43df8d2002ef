import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { GlmTokenError } from '../../src/core/errors.ts';
import {
  claimedTimeMs,
  findProblems,
  isSignedBy,
  parseToken,
  withoutSecrets,
} from '../../src/core/parsed-token.ts';
import { signToken } from '../../src/core/token.ts';
import { english } from '../../src/messages/en.ts';

const NOW_MS = 1_795_000_000_000;
const KEY = { id: 'id', secret: 'secret' };
const { token } = await signToken(KEY, NOW_MS, 180_000);

const encode = (json: unknown) => Buffer.from(JSON.stringify(json)).toString('base64url');
const HEADER = { alg: 'HS256', sign_type: 'SIGN', typ: 'JWT' };
const CLAIMS = { api_key: 'id', exp: NOW_MS + 180_000, timestamp: NOW_MS };
const make = (header: object, claims: object) =>
  parseToken(`${encode(header)}.${encode(claims)}.c2lnbmF0dXJl`);

const { inspect, describe: describeError } = english('glm-token');
const problemsOf = (header: object, claims: object, nowMs = NOW_MS) =>
  findProblems(make(header, claims), nowMs).map((problem) => inspect.problem(problem).message);

test('a token is found in whatever it was pasted with', () => {
  for (const text of [
    token,
    `  ${token}\r\n`,
    `Bearer ${token}`,
    `Authorization: Bearer ${token}`,
    `curl -H 'Authorization: Bearer ${token}' https://open.bigmodel.cn/api/paas/v4/models`,
    `(("Authorization" . "Bearer ${token}"))`,
    `{"token":"${token}","host":"open.bigmodel.cn"}`,
  ]) {
    assert.equal(parseToken(text).token, token, text);
  }
});

test('text without a token is refused, and none of it is repeated', () => {
  const noise = Array.from({ length: 100_000 }, (_, n) => `eyJ${n}.`).join('');
  const texts: [text: string, isKey: boolean][] = [
    ...['', 'a.b.c', 'open.bigmodel.cn.', 'e30.MQ.x', 'eyJh'].map((text): [string, boolean] => [
      text,
      false,
    ]),
    ['id0123.SuperSecret', true],
    ['.'.repeat(1_000_000), false],
    ['x'.repeat(1_000_000), false],
    [noise, false],
  ];
  for (const [text, isKey] of texts) {
    assert.throws(
      () => parseToken(text),
      (error: GlmTokenError) => {
        assert.equal(error.code, 'ERR_USAGE');
        assert.deepEqual([error.reason, error.params], ['tokenMissing', { isKey }]);
        const { message, hint } = describeError(error);
        assert.match(message, isKey ? /^that is an API key, not a token/ : /^no token/);
        assert.doesNotMatch(`${message}${hint}`, /SuperSecret/);
        return true;
      },
      text.slice(0, 80),
    );
  }
});

test('a token of ours has nothing wrong with it, and its key signed it', async () => {
  const parsed = parseToken(token);
  assert.deepEqual(findProblems(parsed, NOW_MS), []);
  assert.equal(await isSignedBy(parsed, KEY), true);
  assert.equal(await isSignedBy(parsed, { id: 'id', secret: 'other' }), false);
});

describe('each problem of a token is named', () => {
  const cases: [name: string, header: object, claims: object, problems: RegExp[]][] = [
    ['another alg', { ...HEADER, alg: 'HS512' }, CLAIMS, [/^alg is "HS512"/]],
    ['no alg', { sign_type: 'SIGN' }, CLAIMS, [/^alg is missing/]],
    ['no sign_type', { alg: 'HS256', typ: 'JWT' }, CLAIMS, [/^sign_type is missing/]],
    ['another sign_type', { ...HEADER, sign_type: 'sign' }, CLAIMS, [/^sign_type is "sign"/]],
    ['no api_key', HEADER, { ...CLAIMS, api_key: undefined }, [/^api_key is missing/]],
    ['an empty api_key', HEADER, { ...CLAIMS, api_key: '' }, [/^api_key is missing/]],
    [
      'a whole key',
      HEADER,
      { ...CLAIMS, api_key: 'id.sec' },
      [/^api_key holds a whole key, with its secret/],
    ],
    [
      'a whole key in another claim',
      HEADER,
      { ...CLAIMS, sub: { of: ['me', 'id.sec'] } },
      [/^sub holds a whole key, with its secret/],
    ],
    [
      'seconds',
      HEADER,
      { ...CLAIMS, exp: NOW_MS / 1000 + 180, timestamp: NOW_MS / 1000 },
      [/^exp is in seconds/, /^timestamp is in seconds/],
    ],
    [
      'microseconds',
      HEADER,
      { ...CLAIMS, exp: (NOW_MS + 180_000) * 1000, timestamp: NOW_MS * 1000 },
      [/^exp is in microseconds/, /^timestamp is in microseconds/],
    ],
    [
      'only one of them in seconds',
      HEADER,
      { ...CLAIMS, timestamp: NOW_MS / 1000 },
      [/^timestamp is in seconds/],
    ],
    [
      'a time as a string',
      HEADER,
      { ...CLAIMS, exp: String(NOW_MS) },
      [/^exp is not a whole number/],
    ],
    ['no exp', HEADER, { ...CLAIMS, exp: undefined }, [/^exp is missing/]],
    [
      'exp before timestamp',
      HEADER,
      { ...CLAIMS, exp: NOW_MS - 1, timestamp: NOW_MS },
      [/^exp is not after timestamp/, /expired/],
    ],
  ];
  for (const [name, header, claims, problems] of cases) {
    test(name, () => {
      const found = problemsOf(header, claims);
      assert.equal(found.length, problems.length, found.join('; '));
      for (const [n, problem] of problems.entries()) assert.match(found[n] ?? '', problem);
    });
  }

  test('expired, or signed in the future', () => {
    assert.deepEqual(problemsOf(HEADER, CLAIMS, NOW_MS + 240_000), ['it expired 1 min ago']);
    assert.match(
      problemsOf(HEADER, CLAIMS, NOW_MS - 3_600_000)[0] ?? '',
      /^it was signed 1 h in the future/,
    );
    assert.deepEqual(
      problemsOf(HEADER, CLAIMS, NOW_MS - 20_000),
      [],
      'clocks are never quite equal',
    );
  });
});

test('the secret of a whole key is not shown, wherever in the token the key stands', () => {
  const secret = 'AbCdEfGhIjKlMnOp';
  const key = `0123456789abcdef0123456789abcdef.${secret}`;
  const places: unknown[] = [
    ...[key, ` ${key}\n`, `"${key}"`, `Bearer ${key}`, `the key is ${key}, I think`],
    ...[{ deep: [key] }, { [key]: 1 }, `(${key})`, `api_key=${key}`, JSON.stringify({ key })],
    ...[`${key}.`, `https://open.bigmodel.cn/?key=${key}`, `open.bigmodel.cn:${key}`],
  ];
  for (const place of places) {
    const text = JSON.stringify(withoutSecrets({ place }));
    assert.ok(!text.includes(secret), JSON.stringify(place));
    assert.ok(text.includes('0123456789abcdef0123456789abcdef.…'), JSON.stringify(place));
    const problems = problemsOf(HEADER, { ...CLAIMS, place });
    assert.match(problems.join(), /^place holds a whole key/, JSON.stringify(place));
    assert.ok(
      !problemsOf({ ...HEADER, sign_type: place }, CLAIMS)
        .join()
        .includes(secret),
    );
  }
  assert.deepEqual(withoutSecrets({ ...CLAIMS, api_key: 'id.sec' }), {
    ...CLAIMS,
    api_key: 'id.…',
  });
});

test('what holds no key is shown as it is', () => {
  const claims = { ...CLAIMS, iss: 'me', n: null, list: [1, true, 'two words'], 工: '作' };
  assert.deepEqual(withoutSecrets(claims), claims);
});

test('a time in any unit is the same time', () => {
  for (const time of [NOW_MS / 1000, NOW_MS, NOW_MS * 1000, NOW_MS * 1e6]) {
    assert.equal(claimedTimeMs(time), NOW_MS);
  }
  for (const claim of ['1', null, Number.NaN, 1e300]) assert.equal(claimedTimeMs(claim), undefined);
});
