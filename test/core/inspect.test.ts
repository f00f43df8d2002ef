/** What is said of a token: found in what was pasted, its times in any unit, each thing that is wrong. */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  claimedTimeMs,
  describeDuration,
  findProblems,
  isSignedBy,
  parseToken,
  showJson,
  shownClaims,
} from '../../src/core/inspect.ts';
import { signToken } from '../../src/core/token.ts';

const NOW_MS = 1_795_000_000_000;
const KEY = { id: 'id', secret: 'secret' };
const { token } = await signToken(KEY, NOW_MS, 180_000);

const encode = (json: unknown) => Buffer.from(JSON.stringify(json)).toString('base64url');
const HEADER = { alg: 'HS256', sign_type: 'SIGN', typ: 'JWT' };
const CLAIMS = { api_key: 'id', exp: NOW_MS + 180_000, timestamp: NOW_MS };
const make = (header: object, claims: object) =>
  parseToken(`${encode(header)}.${encode(claims)}.c2lnbmF0dXJl`);
const problemsOf = (header: object, claims: object, nowMs = NOW_MS) =>
  findProblems(make(header, claims), nowMs).map(({ what }) => what);

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

test('what has no token in it is refused, and not repeated', () => {
  for (const text of ['', 'a.b.c', 'open.bigmodel.cn.', 'e30.MQ.x', 'eyJh', 'id0123.SuperSecret']) {
    assert.throws(
      () => parseToken(text),
      ({ code, message, hint }) => {
        assert.equal(code, 'ERR_USAGE');
        assert.doesNotMatch(`${message}${hint}`, /SuperSecret/);
        return true;
      },
      text,
    );
  }
  assert.throws(() => parseToken('id0123.SuperSecret'), { message: /^that is an API key, not/ });
});

test('a token of ours has nothing wrong with it, and its key signed it', async () => {
  const parsed = parseToken(token);
  assert.deepEqual(findProblems(parsed, NOW_MS), []);
  assert.equal(await isSignedBy(parsed, KEY), true);
  assert.equal(await isSignedBy(parsed, { id: 'id', secret: 'other' }), false);
});

describe('each thing that is wrong', () => {
  const cases: [name: string, header: object, claims: object, problems: RegExp[]][] = [
    ['another alg', { ...HEADER, alg: 'HS512' }, CLAIMS, [/alg is "HS512"/]],
    ['no alg', { sign_type: 'SIGN' }, CLAIMS, [/alg is missing/]],
    ['no sign_type', { alg: 'HS256', typ: 'JWT' }, CLAIMS, [/sign_type is missing/]],
    ['another sign_type', { ...HEADER, sign_type: 'sign' }, CLAIMS, [/sign_type is "sign"/]],
    ['no api_key', HEADER, { ...CLAIMS, api_key: undefined }, [/api_key is missing/]],
    ['the whole key', HEADER, { ...CLAIMS, api_key: 'id.sec' }, [/holds the whole key/]],
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
    ['one of them', HEADER, { ...CLAIMS, timestamp: NOW_MS / 1000 }, [/^timestamp is in seconds/]],
    ['a string', HEADER, { ...CLAIMS, exp: String(NOW_MS) }, [/^exp is no whole number/]],
    ['no exp', HEADER, { ...CLAIMS, exp: undefined }, [/^exp is missing/]],
    [
      'exp first',
      HEADER,
      { ...CLAIMS, exp: NOW_MS - 1, timestamp: NOW_MS },
      [/not after/, /expired/],
    ],
  ];
  for (const [name, header, claims, problems] of cases) {
    test(name, () => {
      const found = problemsOf(header, claims);
      assert.equal(found.length, problems.length, found.join('; '));
      for (const [n, problem] of problems.entries()) assert.match(found[n] ?? '', problem);
    });
  }

  test('expired, or from the future', () => {
    assert.deepEqual(problemsOf(HEADER, CLAIMS, NOW_MS + 240_000), ['it expired 1 min ago']);
    assert.match(
      problemsOf(HEADER, CLAIMS, NOW_MS - 3_600_000)[0] ?? '',
      /^it was made 1 h in the/,
    );
    assert.deepEqual(
      problemsOf(HEADER, CLAIMS, NOW_MS - 20_000),
      [],
      'clocks are never quite equal',
    );
  });
});

test('the secret of a key that was put in whole is not shown', () => {
  assert.deepEqual(shownClaims(make(HEADER, { ...CLAIMS, api_key: 'id.sec' })), {
    ...CLAIMS,
    api_key: 'id.…',
  });
});

test('what is shown cannot move the cursor, and is the same JSON', () => {
  const claims = { a: 'x\u001b[2J\u009b1A\u202ey\u2028', 工: '作' };
  const shown = showJson(claims);
  assert.doesNotMatch(shown, /[\p{Cc}\p{Cf}\p{Zl}]/u);
  assert.ok(shown.includes('"工":"作"'));
  assert.deepEqual(JSON.parse(shown), claims);
});

test('times in any unit are the same time', () => {
  for (const time of [NOW_MS / 1000, NOW_MS, NOW_MS * 1000, NOW_MS * 1e6]) {
    assert.equal(claimedTimeMs(time), NOW_MS);
  }
  for (const claim of ['1', null, Number.NaN, 1e300]) assert.equal(claimedTimeMs(claim), undefined);
});

test('durations are said in their two largest units', () => {
  const cases: [number, string][] = [
    [0, '0 s'],
    [999, '1 s'],
    [175_000, '2 min 55 s'],
    [180_000, '3 min'],
    [3_599_600, '1 h'],
    [90_061_000, '1 d 1 h'],
    [86_460_000, '1 d'],
  ];
  for (const [ms, text] of cases) assert.equal(describeDuration(ms), text);
});
