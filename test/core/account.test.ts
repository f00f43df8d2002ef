import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  accountFlags,
  accountName,
  parseAccount,
  parseAccountName,
  parseHost,
  parseProfile,
} from '../../src/core/account.ts';
import type { GlmTokenError } from '../../src/core/errors.ts';

const isUsageError = (error: GlmTokenError) => error.code === 'ERR_USAGE' && Boolean(error.hint);

test('a host is taken from whatever a person pastes', () => {
  const cases: Record<string, string> = {
    'open.bigmodel.cn': 'open.bigmodel.cn',
    ' Open.BigModel.CN ': 'open.bigmodel.cn',
    'https://api.z.ai/api/paas/v4/chat/completions': 'api.z.ai',
    'HTTPS://API.Z.AI': 'api.z.ai',
    'api.z.ai:443': 'api.z.ai',
    'localhost:8080': 'localhost:8080',
    'http://127.0.0.1:8080/x': '127.0.0.1:8080',
    '[::1]:9000': '[::1]:9000',
    'bücher.example': 'xn--bcher-kva.example',
  };
  for (const [text, host] of Object.entries(cases)) assert.equal(parseHost(text), host, text);
});

test('what is no host is refused', () => {
  for (const text of ['', ' ', 'two words', 'https://', 'a:b:c', 'user:pw@host', 'x\0y', ':80']) {
    assert.throws(() => parseHost(text), isUsageError, JSON.stringify(text));
  }
});

test('a profile may have spaces, slashes, Chinese and an @ in its name', () => {
  for (const profile of ['default', 'my work', 'a/b\\c', '工作', 'me@home', '..', '-x']) {
    const account = parseAccount('api.z.ai', profile);
    assert.deepEqual(parseAccountName(accountName(account)), account);
  }
  assert.equal(parseProfile(' e\u0301 '), '\u00e9');
});

test('what is no profile is refused', () => {
  for (const text of ['', '  ', 'a\nb', 'a\0b', 'x'.repeat(65)]) {
    assert.throws(() => parseProfile(text), isUsageError, JSON.stringify(text));
  }
});

test('names in a store that are not ours name no account', () => {
  for (const name of ['', 'nobody', '@host']) assert.equal(parseAccountName(name), undefined);
});

test('the flags for an account can be pasted into a shell', () => {
  assert.equal(accountFlags(parseAccount('open.bigmodel.cn', 'default')), '');
  assert.equal(
    accountFlags(parseAccount('api.z.ai', "it's mine")),
    " --host api.z.ai --profile 'it'\\''s mine'",
  );
});
