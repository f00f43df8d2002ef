/** What the helper answers: each method, with a real keychain and with an encrypted file behind it. */

import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { claimsOf, idOf } from '../support/claims.ts';
import { BARE_ENV, type Env, ROOT } from '../support/environment.ts';
import { Helper } from '../support/helper.ts';
import { KeychainSession } from '../support/keychain.ts';
import { CALL, glmToken } from '../support/program.ts';

const { version } = JSON.parse(readFileSync(`${ROOT}/package.json`, 'utf8'));

const DEFAULT_ACCOUNT = { host: 'open.bigmodel.cn', profile: 'default' };
const TITLE = 'the keychain (Secret Service)';

let session: KeychainSession;
let env: Env;
let helper: Helper;
before(async () => {
  session = await KeychainSession.start();
  env = { ...session.env, GLM_TOKEN_PROMPT_TIMEOUT: '2s' };
  await glmToken(['store'], { env, input: '0123456789abcdef.secretsecret' });
});
after(() => session.stop());
beforeEach(() => {
  helper = new Helper(env);
});
afterEach(async () => {
  helper.child.kill('SIGKILL');
  await helper.ended();
});

/** Has the test use a helper with more in its environment. */
async function restartHelper(more: Env): Promise<void> {
  helper.child.kill('SIGKILL');
  await helper.ended();
  helper = new Helper({ ...env, ...more });
}

const resultOf = async (method: string, params: unknown = {}) => {
  const { result, error } = await helper.request(method, params);
  assert.equal(error, undefined);
  return result ?? assert.fail('there is no result');
};

const codeOf = async (method: string, params: unknown = {}) =>
  (await helper.request(method, params)).error?.data.code;

describe('initialize', () => {
  test('answers protocol, version and process', async () => {
    const identity = { protocol: 1, version, pid: helper.pid };
    assert.deepEqual(await resultOf('initialize', { protocol: 1 }), identity);
    assert.deepEqual(await resultOf('initialize', { protocol: 1, locale: 'en' }), identity);
  });

  test('refuses another protocol with ERR_DAEMON and a cure', async () => {
    for (const params of [{ protocol: 2 }, { protocol: '1' }, {}, [], null]) {
      const { error } = await helper.request('initialize', params);
      assert.equal(error?.data.code, 'ERR_DAEMON', JSON.stringify(params));
      assert.equal(
        error?.message,
        `the helper (glm-token ${version}) uses protocol 1, but its client uses another`,
      );
      assert.match(error?.data.hint ?? '', /^update glm-token and glm-gptel-auth\.el together/);
    }
  });

  test('sets the language of the connection', async () => {
    const explained = async () => (await resultOf('explain', { code: '1113' })).message;
    assert.equal(await explained(), 'the account has no balance left');
    await resultOf('initialize', { protocol: 1, locale: 'zh' });
    assert.equal(await explained(), '账户余额不足');
    await resultOf('initialize', { protocol: 1, locale: 'en' });
    assert.equal(await explained(), 'the account has no balance left');
  });

  test('takes any locale, and refuses one that is not a string', async () => {
    for (const locale of ['xx', '', null, 'constructor', 'e'.repeat(5000)]) {
      assert.ok(await resultOf('initialize', { protocol: 1, locale }));
    }
    assert.equal(await codeOf('initialize', { protocol: 1, locale: ['zh'] }), 'ERR_USAGE');
  });
});

describe('token', () => {
  test('answers a fresh one each time, for the account and lifetime in question', async () => {
    const first = await resultOf('token');
    await delay(2);
    const second = await resultOf('token', { host: 'https://OPEN.bigmodel.cn', ttl: '1h' });
    assert.notEqual(first.token, second.token);
    const claims = claimsOf(second.token);
    assert.equal(claims.api_key, '0123456789abcdef');
    assert.equal(claims.exp - claims.timestamp, 3_600_000);
    assert.equal(second.expiresAt, claims.exp);
    assert.deepEqual(Object.keys(second), ['token', 'expiresAt']);
  });

  test('fails with the code and the hint of the one table', async () => {
    const { error } = await helper.request('token', { profile: 'none' });
    assert.deepEqual(error, {
      code: -32003,
      message: 'no key is stored for open.bigmodel.cn (profile none)',
      data: {
        code: 'ERR_KEY_NOT_FOUND',
        hint: `run: ${CALL} store --profile none; there is a key for: open.bigmodel.cn`,
        action: 'store',
      },
    });
    const mistyped = await helper.request('token', { host: 'open.bigmodl.cn' });
    assert.deepEqual(mistyped.error, {
      code: -32602,
      message: 'no key is stored for open.bigmodl.cn, but there is a key for open.bigmodel.cn',
      data: { code: 'ERR_USAGE', hint: 'check the host', action: null },
    });
    assert.equal(await codeOf('token', { ttl: '1e9' }), 'ERR_USAGE');
    assert.equal(await codeOf('token', { host: 'two words' }), 'ERR_USAGE');
  });

  test('uses the account of the environment where a request names none', async () => {
    const account = { host: 'api.z.ai', profile: 'work' };
    await restartHelper({ GLM_TOKEN_HOST: account.host, GLM_TOKEN_PROFILE: account.profile });
    assert.equal(await codeOf('token'), 'ERR_KEY_NOT_FOUND');
    await resultOf('store', { key: 'idOfWork123456.hushhush' });
    assert.equal(idOf((await resultOf('token')).token), 'idOfWork123456');
    const { token } = await resultOf('token', DEFAULT_ACCOUNT);
    assert.equal(idOf(token), '0123456789abcdef');
    assert.deepEqual((await resultOf('status')).default, account);
    assert.deepEqual(await resultOf('delete'), { ...account, deleted: true });
  });
});

describe('token that may ask nobody', () => {
  const look = { ask: false };

  test('is given where the keychain is open, and else says at once that it is locked', async () => {
    assert.ok((await resultOf('token', look)).token);
    await session.lock();
    try {
      const { error } = await helper.request('token', look);
      assert.equal(error?.data.code, 'ERR_STORE_LOCKED');
      assert.deepEqual(helper.notifications, []);
    } finally {
      await session.unlock();
    }
    assert.equal(await codeOf('token', { ...look, profile: 'none' }), 'ERR_KEY_NOT_FOUND');
  });

  test('is given where the encrypted file is unlocked, and else needs its passphrase', async () => {
    const home = mkdtempSync(join(tmpdir(), 'glm-token-test-'));
    try {
      await restartHelper({ ...BARE_ENV, HOME: home, GLM_TOKEN_STORE: 'file' });
      await resultOf('unlock', { passphrase: 'correct horse' });
      await resultOf('store', { key: 'id.hushhush' });
      assert.ok((await resultOf('token', look)).token);
      await resultOf('lock');
      assert.equal(await codeOf('token', look), 'ERR_PASSPHRASE');
    } finally {
      rmSync(home, { recursive: true });
    }
  });
});

describe('store, accounts and delete', () => {
  const account = { host: 'api.z.ai', profile: '工作' };
  const accounts = async () => (await resultOf('accounts')).accounts;
  const own = { ...DEFAULT_ACCOUNT, id: '0123…cdef', store: 'keychain' };

  test('answer the account and where its key is, and never a secret', async () => {
    assert.deepEqual(await accounts(), [own]);
    assert.deepEqual((await resultOf('status')).default, DEFAULT_ACCOUNT);
    const stored = await resultOf('store', { ...account, key: ' zaizaizaizai.hushhush\n' });
    assert.deepEqual(stored, { ...account, stored: true, store: 'keychain', title: TITLE });
    const listed = (await accounts()) as { host: string }[];
    assert.deepEqual(
      listed.filter(({ host }) => host === 'api.z.ai'),
      [{ ...account, id: 'zaiz…izai', store: 'keychain' }],
    );
    assert.doesNotMatch(JSON.stringify([stored, listed]), /hush|secretsecret/);
    assert.ok((await resultOf('token', account)).token);
    assert.deepEqual(await resultOf('delete', account), { ...account, deleted: true });
    assert.deepEqual(await resultOf('delete', account), { ...account, deleted: false });
    assert.equal(await codeOf('token', account), 'ERR_KEY_NOT_FOUND');
  });

  test('keep another key unless it may be replaced', async () => {
    const store = (key: string, more: object = {}) =>
      resultOf('store', { ...account, key, ...more });
    const idNow = async () => idOf((await resultOf('token', account)).token);
    assert.equal((await store('oneoneoneone.hushhush')).stored, true);
    assert.equal((await store('oneoneoneone.hushhush')).stored, true, 'the same key is stored');
    for (const more of [{}, { replace: false }, { replace: null }, { replace: 'true' }]) {
      assert.deepEqual(await store('twotwotwotwo.hushhush', more), {
        ...account,
        stored: false,
        store: 'keychain',
        title: TITLE,
        existing: 'oneo…eone',
      });
      assert.equal(await idNow(), 'oneoneoneone');
    }
    const near = { host: 'open.bigmodl.cn', profile: 'default' };
    assert.deepEqual(await store('twotwotwotwo.hushhush', near), {
      ...near,
      stored: false,
      problem: 'no key is stored for open.bigmodl.cn, but there is a key for open.bigmodel.cn',
    });
    assert.equal((await store('twotwotwotwo.hushhush', { replace: true })).stored, true);
    assert.equal(await idNow(), 'twotwotwotwo');
    await resultOf('delete', account);
  });

  test('refuse what is not a key, and do not repeat it', async () => {
    const { error } = await helper.request('store', { ...account, key: 'nodotHUSH' });
    assert.equal(error?.data.code, 'ERR_KEY_MALFORMED');
    assert.doesNotMatch(JSON.stringify(error), /HUSH/);
    assert.equal(await codeOf('store', { ...account, key: '' }), 'ERR_KEY_MALFORMED');
    assert.equal(await codeOf('store', account), 'ERR_USAGE');
    assert.deepEqual(await accounts(), [own]);
  });

  test('show the key of the environment first, and cannot change it', async () => {
    await restartHelper({ GLM_API_KEY: 'envenvenvenv.hushhush' });
    assert.deepEqual(await accounts(), [
      { ...DEFAULT_ACCOUNT, id: 'enve…venv', store: 'environment' },
      own,
    ]);
    assert.equal((await resultOf('status')).environment, true);
    assert.equal(idOf((await resultOf('token')).token), 'envenvenvenv');
    await restartHelper({ GLM_API_KEY: 'noKeyHUSH' });
    const [first] = (await accounts()) as object[];
    assert.deepEqual(first, { ...DEFAULT_ACCOUNT, id: null, store: 'environment' });
    const { error } = await helper.request('token');
    assert.equal(error?.data.code, 'ERR_KEY_MALFORMED');
    assert.doesNotMatch(JSON.stringify(error), /HUSH/);
  });
});

describe('status, lock and unlock', () => {
  test('with a keychain there is nothing to unlock', async () => {
    await resultOf('token');
    assert.deepEqual(await resultOf('status'), {
      protocol: 1,
      version,
      pid: helper.pid,
      tokens: 1,
      store: 'keychain',
      title: TITLE,
      lock: null,
      environment: false,
      default: DEFAULT_ACCOUNT,
    });
    assert.deepEqual(await resultOf('lock'), {});
    assert.deepEqual(await resultOf('unlock', { passphrase: 'any' }), {});
    assert.equal(await codeOf('unlock'), 'ERR_USAGE');
  });

  test('with an encrypted file they tell new, locked and unlocked apart', async () => {
    const home = mkdtempSync(join(tmpdir(), 'glm-token-test-'));
    try {
      await restartHelper({ ...BARE_ENV, HOME: home, GLM_TOKEN_STORE: 'file' });
      const lockNow = async () => (await resultOf('status')).lock;
      assert.equal(await lockNow(), 'new');
      const { error } = await helper.request('store', { key: 'id.hushhush' });
      assert.deepEqual(
        [error?.data.code, error?.message, error?.data.action],
        ['ERR_PASSPHRASE', 'the new encrypted file needs a passphrase', 'unlock'],
      );
      assert.equal(await codeOf('unlock', { passphrase: '' }), 'ERR_PASSPHRASE');
      await resultOf('unlock', { passphrase: 'correct horse' });
      const { title } = await resultOf('store', { key: 'id.hushhush' });
      assert.equal(title, `the encrypted file (${home}/.local/share/glm-token/keys.jwe)`);
      assert.equal(await lockNow(), 'unlocked');
      await resultOf('lock');
      assert.equal(await lockNow(), 'locked');
      for (const [method, params] of [
        ['token', {}],
        ['accounts', {}],
        ['unlock', { passphrase: 'wrong' }],
      ] as const) {
        const { error } = await helper.request(method, params);
        assert.deepEqual([error?.data.code, error?.data.action], ['ERR_PASSPHRASE', 'unlock']);
      }
      assert.equal(await lockNow(), 'locked');
      await resultOf('unlock', { passphrase: 'correct horse' });
      assert.ok((await resultOf('token')).token);
      await resultOf('delete');
      assert.deepEqual(
        [(await resultOf('status')).store, await lockNow()],
        ['file', 'new'],
        'its last key was deleted',
      );
    } finally {
      rmSync(home, { recursive: true });
    }
  });

  test('an encrypted file that is odd is an error, and the helper lives on', async () => {
    const home = mkdtempSync(join(tmpdir(), 'glm-token-test-'));
    try {
      writeFileSync(join(home, 'passphrase'), 'correct horse\n', { mode: 0o600 });
      await restartHelper({
        ...BARE_ENV,
        HOME: home,
        GLM_TOKEN_STORE: 'file',
        GLM_TOKEN_PASSPHRASE_FILE: join(home, 'passphrase'),
      });
      await resultOf('store', { key: 'id.hushhush' });
      writeFileSync(join(home, '.local/share/glm-token/keys.jwe'), 'garbage');
      assert.equal(await codeOf('token'), 'ERR_STORE_CORRUPT');
      assert.equal(await codeOf('accounts'), 'ERR_STORE_CORRUPT');
      assert.equal((await resultOf('status')).store, 'file');
    } finally {
      rmSync(home, { recursive: true });
    }
  });
});

describe('explain', () => {
  test('answers what an error code of the service means, its cure, and what Emacs can do', async () => {
    assert.deepEqual(await resultOf('explain', { code: '1004' }), {
      message: 'the service refuses the key: it was revoked or mistyped',
      hint: `the key is in ${TITLE}: check it in the console, and store it again: ${CALL} store --force`,
      action: 'store',
    });
    const other = await resultOf('explain', { code: '1004', host: 'api.z.ai', profile: 'work' });
    assert.match(String(other.hint), /store --force --host api\.z\.ai --profile work$/);
    assert.deepEqual(await resultOf('explain', { code: '1302' }), {
      message: 'too many requests, or the model is busy',
      hint: 'wait a little and try again',
      action: null,
    });
    assert.equal((await resultOf('explain', { code: '401' })).action, 'store');
  });

  test('names clock and lifetime where a token has expired', async () => {
    assert.deepEqual(await resultOf('explain', { code: '1003' }), {
      message: 'the service says that the token has expired',
      hint: `this machine's clock may be behind (to check it: ${CALL} doctor), or the token's lifetime too short: use 3m or more`,
      action: 'doctor',
    });
  });

  test('offers to store nothing where the key comes from GLM_API_KEY', async () => {
    await restartHelper({ GLM_API_KEY: 'envenvenvenv.hushhush' });
    assert.deepEqual(await resultOf('explain', { code: '1004' }), {
      message: 'the service refuses the key: it was revoked or mistyped',
      hint: 'the key comes from GLM_API_KEY: check it in the console, set the variable again, and restart what inherited it',
      action: null,
    });
    const other = await resultOf('explain', { code: '1004', profile: 'work' });
    assert.equal(other.action, 'store');
  });

  test('answers nothing for a code that is not known', async () => {
    for (const code of ['9999', '', 'eyJhbGci', '1004 ']) {
      const nothing = { message: null, hint: null, action: null };
      assert.deepEqual(await resultOf('explain', { code }), nothing, code);
    }
    assert.equal(await codeOf('explain'), 'ERR_USAGE');
    assert.equal(await codeOf('explain', { code: 1004 }), 'ERR_USAGE');
  });
});

describe('parameters', () => {
  test('of a wrong type are refused, and not repeated', async () => {
    for (const params of [
      { host: 1 },
      { host: 0 },
      { host: false },
      { host: '' },
      { profile: ['x'] },
      { profile: '' },
      { ttl: {} },
      { ttl: 180 },
    ]) {
      assert.equal(await codeOf('token', params), 'ERR_USAGE', JSON.stringify(params));
    }
    const { error } = await helper.request('store', { key: { secret: 'HUSH' } });
    assert.deepEqual(
      [error?.code, error?.message, error?.data],
      [
        -32602,
        'the parameter key must be a string',
        { code: 'ERR_USAGE', hint: null, action: null },
      ],
    );
    assert.equal(await codeOf('store', ['positional']), 'ERR_USAGE');
    assert.equal(await codeOf('store', []), 'ERR_USAGE');
  });

  test('that are null or missing are the defaults', async () => {
    assert.ok((await resultOf('token', null)).token);
    assert.ok((await resultOf('token', { host: null, profile: null, ttl: null })).token);
    assert.ok((await resultOf('token', { __proto__: { host: 1 } })).token);
  });

  test('to a method that does not exist are refused as JSON-RPC has it', async () => {
    for (const method of ['frobnicate', 'retire', 'constructor', 'toString']) {
      assert.equal((await helper.request(method)).error?.code, -32601, method);
    }
    assert.ok((await resultOf('token')).token);
  });
});

describe('the keychain behind the helper', () => {
  test('is read for each token, so that a change takes effect at once', async () => {
    const idNow = async () => idOf((await resultOf('token', { profile: 'changing' })).token);
    for (const id of ['first', 'second']) {
      await glmToken(['store', '--force', '--profile=changing'], { env, input: `${id}.secret` });
      assert.equal(await idNow(), id);
    }
    await glmToken(['delete', '--force', '--profile=changing'], { env });
    assert.equal(await codeOf('token', { profile: 'changing' }), 'ERR_KEY_NOT_FOUND');
  });

  test('is ERR_STORE_LOCKED while it is locked, and works again once it is not', async () => {
    await resultOf('token');
    await session.lock();
    assert.equal(await codeOf('token'), 'ERR_STORE_LOCKED');
    assert.equal(await codeOf('accounts'), 'ERR_STORE_LOCKED');
    await session.unlock();
    assert.ok((await resultOf('token')).token);
  });

  test('is ERR_STORE_UNAVAILABLE while its service is gone; once it is back, it is read, and not written', async () => {
    await resultOf('token');
    session.signal('SIGKILL');
    assert.equal(await codeOf('token'), 'ERR_STORE_UNAVAILABLE');
    const other = new Helper(env);
    const { error } = await other.request('token');
    assert.equal(error?.data.code, 'ERR_STORE_UNAVAILABLE');
    await session.startService();
    assert.ok((await resultOf('token')).token);
    const key = 'id.secret';
    const stale = await helper.request('store', { key, store: 'keychain', profile: 'stale' });
    assert.deepEqual(stale.error, {
      code: -32009,
      message: 'the keychain service was restarted, and this process cannot reach the new one',
      data: { code: 'ERR_DAEMON', hint: 'restart the helper', action: null },
    });
    assert.ok((await other.request('token')).result, 'this one never reached the old service');
    await other.stop();
  });

  test('is an error at once when its service is killed while it is asked', async () => {
    await resultOf('token');
    session.signal('SIGSTOP');
    const asked = helper.request('token');
    await delay(100);
    session.signal('SIGKILL');
    const { error } = await asked;
    assert.equal(error?.data.code, 'ERR_STORE_UNAVAILABLE', error?.message);
    await session.startService();
    assert.ok((await resultOf('token')).token);
  });

  test('is waited for: the client is told, and requests share one call', async () => {
    session.signal('SIGSTOP');
    try {
      const replies = Array.from({ length: 20 }, () => helper.request('token'));
      for (let tries = 0; helper.notifications.length === 0 && tries < 100; tries += 1) {
        await delay(20);
      }
      assert.ok(await resultOf('status'), 'it answers other requests meanwhile');
      session.signal('SIGCONT');
      for (const reply of replies) assert.ok((await reply).result);
      assert.deepEqual(helper.notifications, ['waiting']);
    } finally {
      session.signal('SIGCONT');
    }
  });

  test('does not keep the helper from its end while it does not answer', async () => {
    await resultOf('token');
    session.signal('SIGSTOP');
    void helper.request('token');
    await delay(100);
    helper.child.stdin.end();
    const ended = await Promise.race([helper.ended(), delay(3000, 'alive')]);
    session.signal('SIGCONT');
    assert.equal(ended, 'execve' in process ? 0 : 'SIGKILL');
  });
});
