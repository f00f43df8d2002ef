/** What the service's own error codes mean. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { errorCodeIn, meaningOf } from '../../src/service/error-codes.ts';

test('each code of the service has its meaning', () => {
  const table: Record<string, readonly string[]> = {
    unauthenticated: ['1000', '401'],
    noToken: ['1001'],
    unreadableToken: ['1002'],
    expiredToken: ['1003'],
    refusedKey: ['1004'],
    noBalance: ['1113'],
    accountUnusable: ['1100', '1110', '1111', '1112', '1120', '1121'],
    badRequest: ['1210', '1212', '1213', '1214', '1215'],
    noSuchModel: ['1211'],
    noSuchApi: ['1220', '1221', '1222'],
    duplicate: ['1231'],
    promptTooLong: ['1261'],
    internal: ['500', '502', '503', '504', '1200', '1230', '1234'],
    unsafe: ['1301'],
    busy: ['429', '1302', '1303', '1305', '1312'],
    quotaUsedUp: ['1304', '1308', '1310'],
    planExpired: ['1309'],
    modelNotInPlan: ['1311'],
    policy: ['1300', '1306', '1313', '1399'],
  };
  for (const [fault, codes] of Object.entries(table)) {
    for (const code of codes) assert.equal(meaningOf(code)?.fault, fault, code);
  }
});

test('an unknown code has no meaning', () => {
  for (const code of ['', '200', '404', '501', '1005', '1114', '1400', '13000', '11001']) {
    assert.equal(meaningOf(code), undefined, code);
  }
  for (const code of ['1004 ', 'x1004', '1004\n1', 'constructor', '__proto__']) {
    assert.equal(meaningOf(code), undefined, code);
  }
});

test('a service that is busy, and an error of the request itself, say nothing of the key', () => {
  const says = (code: string) => meaningOf(code)?.says;
  for (const code of ['401', '1000', '1002', '1003', '1004', '1110', '1113', '1220', '1309']) {
    assert.equal(says(code), 'refused', code);
  }
  for (const code of [
    '429',
    '500',
    '503',
    '1001',
    '1211',
    '1230',
    '1301',
    '1302',
    '1305',
    '1308',
  ]) {
    assert.equal(says(code), 'unchecked', code);
  }
});

test('the code is found in the body of an answer, whatever its type', () => {
  assert.equal(errorCodeIn('{"error":{"code":"1004","message":"x"}}'), '1004');
  assert.equal(errorCodeIn('{"error":{"code":1113}}'), '1113');
  assert.equal(errorCodeIn('{"code":1004,"success":false}'), '1004');
  assert.equal(errorCodeIn('{"code":"1305","msg":"x"}'), '1305');
});

test('a body without a code, or with anything else in its place, has none', () => {
  for (const body of [
    '',
    'null',
    '[]',
    '<html>1004</html>',
    '{}',
    '{"error":null}',
    '{"error":{"code":"eyJx.secret"}}',
    '{"error":{"code":"123456"}}',
    '{"error":{"code":{}}}',
    '{"code":200,"success":true,"data":[]}',
    '{"choices":[]}',
  ]) {
    assert.equal(errorCodeIn(body), undefined, body);
  }
});
