import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  accountName,
  parseAccountName,
  parseHost,
  parseProfile,
  sameAccount,
  shownAccount,
} from '../../src/core/account.ts';

const KEY = '0123456789abcdef0123456789abcdef.AbCdEfGhIjKlMnOp';

test('a host is taken from whatever a person pastes, and read the same a second time', () => {
  const cases: Record<string, string> = {
    'open.bigmodel.cn': 'open.bigmodel.cn',
    ' Open.BigModel.CN ': 'open.bigmodel.cn',
    'https://api.z.ai/api/paas/v4/chat/completions': 'api.z.ai',
    'HTTPS://API.Z.AI': 'api.z.ai',
    'api.z.ai:443': 'api.z.ai',
    'localhost:8080': 'localhost:8080',
    'http://127.0.0.1:8080/x': '127.0.0.1:8080',
    'http://localhost:80': 'localhost:80',
    'http://localhost:443': 'localhost',
    '[::1]:9000': '[::1]:9000',
    'bücher.example': 'xn--bcher-kva.example',
  };
  for (const [text, host] of Object.entries(cases)) {
    assert.equal(parseHost(text), host, text);
    assert.equal(parseHost(host), host, `${text}, twice`);
  }
});

test('text that is not a host is refused', () => {
  const texts = [
    ...[
      '',
      ' ',
      'two words',
      'https://',
      'a:b:c',
      'user:pw@host',
      'user@host',
      'x\0y',
      ':80',
      'a\ufffdb',
    ],
    ...['foo://Host', 'ftp://api.z.ai', 'https://https://api.z.ai', 'api.z.ai/https://other'],
    ...['a\u200bb', 'a\u202eb', 'a\ud800b', 'a\u00adb', 'a\nb', `${'x'.repeat(3000)}.cn`],
    ` ${'x'.repeat(3000)}`,
    ...[KEY, `https://${KEY}`, ` ${KEY}\n`, `"${KEY}"`, `${KEY}:443`, `${KEY}.`],
  ];
  for (const text of texts) {
    const isRefused = { reason: 'hostInvalid', code: 'ERR_USAGE' };
    assert.throws(() => parseHost(text), isRefused, JSON.stringify(text));
  }
});

test('a profile may have spaces, slashes, Chinese and an @ in its name', () => {
  for (const profile of ['default', 'my work', 'a/b\\c', '工作', 'me@home', '..', '-x']) {
    const account = { host: 'api.z.ai', profile: parseProfile(profile) };
    assert.deepEqual(parseAccountName(accountName(account)), account);
  }
});

test('a profile is one name however it was typed', () => {
  assert.equal(parseProfile(' e\u0301 '), '\u00e9');
  assert.equal(parseProfile('x'.repeat(64)), 'x'.repeat(64));
  assert.equal(parseProfile('𠀀'.repeat(64)), '𠀀'.repeat(64));
});

test('a profile that is empty, too long, hidden or has invisible characters is refused', () => {
  const texts = [
    ...['', '  ', 'x'.repeat(65), '𠀀'.repeat(65), 'x'.repeat(1_000_000)],
    ...['a\nb', 'a\0b', 'a\u001bb', 'a\u200bb', 'a\u202eb', 'a\u2028b', 'a\ufeffb'],
    ...['a\ud800b', '\udc00', '\ufffd\ufffd', 'a\u{e0041}b', KEY, `"${KEY}"`],
    ...[`key${KEY}`, `${KEY}s`, '…'],
  ];
  for (const text of texts) {
    const isRefused = { reason: 'profileInvalid', code: 'ERR_USAGE' };
    assert.throws(() => parseProfile(text), isRefused, JSON.stringify(text.slice(0, 80)));
  }
});

test('a name in a store that is not one of ours is no account', () => {
  for (const name of ['', 'nobody', '@host']) assert.equal(parseAccountName(name), undefined);
});

test('two accounts are the same when both host and profile are', () => {
  const account = { host: 'api.z.ai', profile: 'work' };
  assert.equal(sameAccount(account, { ...account }), true);
  assert.equal(sameAccount(account, { ...account, host: 'open.bigmodel.cn' }), false);
  assert.equal(sameAccount(account, { ...account, profile: 'default' }), false);
});

test('an account is shown as it is, unless its host or profile may be half a key', () => {
  const hosts = ['api.z.ai', 'open.bigmodl.cn', 'localhost:8080', '127.0.0.1:8080', '[::1]:9000'];
  for (const host of [...hosts, 'my-llm-gateway.internal-network']) {
    for (const profile of ['default', 'work', '我的 key']) {
      assert.deepEqual(shownAccount({ host, profile }), { host, profile });
    }
  }
  const [, secret = ''] = KEY.split('.');
  for (const text of [secret, `https://${secret}/v4`, `${secret}:8080`, `api.${secret}`]) {
    assert.equal(shownAccount({ host: parseHost(text), profile: 'work' }).host, '…', text);
  }
  for (const profile of [secret, `my ${secret}`]) {
    assert.equal(shownAccount({ host: 'api.z.ai', profile }).profile, '…', profile);
  }
});
