import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EXIT_STATUS, GlmTokenError } from '../../src/core/errors.ts';
import { accountFlags, oneHint } from '../../src/messages/common.ts';
import { duration, english } from '../../src/messages/en.ts';
import { chinese } from '../../src/messages/zh.ts';
import { FAILURE_SAMPLES } from '../support/failures.ts';

/** Failures whose message says it all. */
const WITHOUT_HINT = ['parameterInvalid', 'parameterNotWords', 'answeredNo'];

test('every failure is one line in lower case without a full stop, and a hint with the cure', () => {
  const { describe } = english('glm-token');
  for (const error of FAILURE_SAMPLES) {
    assert.ok(Object.hasOwn(EXIT_STATUS, error.code));
    const text = describe(error);
    const { message } = text;
    const hint = oneHint(text);
    assert.equal(hint === undefined, WITHOUT_HINT.includes(error.reason), error.reason);
    for (const line of [message, hint ?? 'none']) {
      assert.doesNotMatch(line, /\n|undefined|\[object|[^.]\.$/, error.reason);
      assert.match(line, /^([^A-Z]|GLM_|HOME|XDG_|M-x)/, error.reason);
    }
  }
});

test('a hint calls the program as it was called', () => {
  const { describe } = english('node /opt/glm-token/dist/cli.cjs');
  for (const error of FAILURE_SAMPLES) {
    const hint = oneHint(describe(error)) ?? '';
    assert.doesNotMatch(hint, /(?<!\/)glm-token (store|print|list|delete|doctor|inspect|exec)\b/);
  }
});

test('the flags for an account can be pasted into a shell', () => {
  assert.equal(accountFlags({ host: 'open.bigmodel.cn', profile: 'default' }), '');
  assert.equal(
    accountFlags({ host: 'api.z.ai', profile: "it's mine" }),
    " --host api.z.ai --profile 'it'\\''s mine'",
  );
});

test('on Windows, commands in hints are for cmd and PowerShell', () => {
  const account = { host: 'api.z.ai', profile: 'my work' };
  const problem = new GlmTokenError('keychainLocked');
  const errors = [
    new GlmTokenError('keyNotKept', { account, problem }),
    new GlmTokenError('keyExists', { account, existing: undefined }),
  ];
  for (const messages of [english('glm-token', 'windows'), chinese('glm-token', 'windows')]) {
    const hints = errors.map((error) => oneHint(messages.describe(error)) ?? '');
    assert.doesNotMatch(hints.join('\n'), /export |XDG_|<|\$\(|'/);
    assert.match(
      hints[0] ?? '',
      /type KEYFILE \| glm-token setup --host api\.z\.ai --profile "my work"/,
    );
    assert.match(hints[1] ?? '', /glm-token store --force --host api\.z\.ai --profile "my work"$/);
    const store = { name: 'keychain', place: 'x' } as const;
    const { hint } = messages.store.readElsewhere(account, store, { name: 'file', place: 'y' });
    assert.match(String(hint), /setx GLM_TOKEN_STORE keychain$/);
  }
});

test('a duration is written in its two largest units', () => {
  const cases: [ms: number, text: string][] = [
    [0, '0 s'],
    [999, '1 s'],
    [175_000, '2 min 55 s'],
    [180_000, '3 min'],
    [3_599_600, '1 h'],
    [90_061_000, '1 d 1 h'],
    [86_460_000, '1 d'],
  ];
  for (const [ms, text] of cases) assert.equal(duration(ms), text);
});
