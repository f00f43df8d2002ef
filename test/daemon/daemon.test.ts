/** The helper, with a real keychain: what it answers, what it survives, and how it ends. */

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { type Env, PROGRAM, ROOT } from '../support/environment.ts';
import { Helper, hasEnded } from '../support/helper.ts';
import { KeychainSession } from '../support/keychain.ts';
import { glmToken, run } from '../support/program.ts';

const { version } = JSON.parse(readFileSync(`${ROOT}/package.json`, 'utf8'));

let session: KeychainSession;
let env: Env;
let helper: Helper;
before(async () => {
  session = await KeychainSession.start();
  env = { ...session.env, GLM_TOKEN_KEYCHAIN_TIMEOUT: '2s' };
  await glmToken(['store'], { env, input: 'id.secretsecret' });
});
after(() => session.stop());
beforeEach(() => {
  helper = new Helper(env);
});
afterEach(async () => {
  helper.child.kill('SIGKILL');
  await helper.ended();
});

const codeOf = async (method: string, params: unknown) =>
  (await helper.request(method, params)).error?.data.code;

describe('methods', () => {
  test('initialize tells protocol, version and process', async () => {
    const { result } = await helper.request('initialize', { protocol: 1 });
    assert.deepEqual(result, { protocol: 1, version, pid: helper.pid });
  });

  test('another protocol is refused with ERR_DAEMON and a cure', async () => {
    for (const params of [{ protocol: 2 }, { protocol: '1' }, {}, [], null]) {
      const { error } = await helper.request('initialize', params);
      assert.equal(error?.data.code, 'ERR_DAEMON', JSON.stringify(params));
      assert.match(error?.data.hint ?? '', /update/);
    }
  });

  test('token: a fresh one each time, for the account and lifetime asked for', async () => {
    const first = await helper.request('token', {});
    await delay(2);
    const second = await helper.request('token', { host: 'https://OPEN.bigmodel.cn', ttl: '1h' });
    assert.notEqual(first.result?.token, second.result?.token);
    const [, payload = ''] = String(second.result?.token).split('.');
    const claims = JSON.parse(Buffer.from(payload, 'base64url').toString());
    assert.equal(claims.api_key, 'id');
    assert.equal(claims.exp - claims.timestamp, 3_600_000);
    assert.equal(second.result?.expiresAt, claims.exp);
  });

  test('errors carry the code and the hint of the one table', async () => {
    const { error } = await helper.request('token', { profile: 'none' });
    assert.deepEqual(error, {
      code: -32003,
      message: 'no key is stored for open.bigmodel.cn (profile none)',
      data: { code: 'ERR_KEY_NOT_FOUND', hint: 'run: glm-token store --profile none' },
    });
    assert.equal(await codeOf('token', { ttl: '1e9' }), 'ERR_USAGE');
    assert.equal(await codeOf('token', { host: 'two words' }), 'ERR_USAGE');
  });

  test('store, accounts and delete; no answer has a secret in it', async () => {
    const account = { host: 'api.z.ai', profile: '工作' };
    assert.ok((await helper.request('store', { ...account, key: ' zai.hushhush\n' })).result);
    const { result } = await helper.request('accounts');
    const accounts = (result?.accounts ?? []) as { host: string }[];
    assert.deepEqual(
      accounts.filter(({ host }) => host === 'api.z.ai'),
      [{ ...account, store: 'keychain' }],
    );
    assert.ok((await helper.request('token', account)).result?.token);
    assert.deepEqual((await helper.request('delete', account)).result, { deleted: true });
    assert.deepEqual((await helper.request('delete', account)).result, { deleted: false });
    assert.equal(await codeOf('token', account), 'ERR_KEY_NOT_FOUND');
    const { error } = await helper.request('store', { ...account, key: 'nodotHUSH' });
    assert.equal(error?.data.code, 'ERR_KEY_MALFORMED');
    assert.doesNotMatch(JSON.stringify(error), /HUSH/);
  });

  test('status, lock and unlock', async () => {
    await helper.request('token');
    const { result } = await helper.request('status');
    const { uptime, ...rest } = result ?? {};
    assert.ok(Number(uptime) >= 0);
    assert.deepEqual(rest, {
      protocol: 1,
      version,
      pid: helper.pid,
      tokens: 1,
      store: 'the keychain (Secret Service)',
      lock: null,
      environment: false,
      clock: null,
    });
    assert.ok((await helper.request('lock')).result);
    assert.equal(await codeOf('unlock', {}), 'ERR_USAGE');
  });

  test('wrong parameter types are refused, and the value is not repeated', async () => {
    for (const params of [{ host: 1 }, { profile: ['x'] }, { ttl: {} }, { ttl: 180 }]) {
      assert.equal(await codeOf('token', params), 'ERR_USAGE', JSON.stringify(params));
    }
    assert.equal(await codeOf('store', { key: { secret: 'x' } }), 'ERR_USAGE');
    assert.equal(await codeOf('store', ['positional']), 'ERR_USAGE');
    assert.ok((await helper.request('token', null)).result);
  });

  test('unknown methods are refused as JSON-RPC has it', async () => {
    assert.equal((await helper.request('frobnicate')).error?.code, -32601);
    assert.ok((await helper.request('token')).result);
  });
});

describe('input that makes no sense ends it with 9, and says so', () => {
  const cases: Record<string, string | Buffer> = {
    'a message that is not JSON': 'Content-Length: 9\r\n\r\n{"jsonrpc',
    'a header without a length': 'Content-Type: text/plain\r\n\r\n{}',
    'a length that is no number': 'Content-Length: many\r\n\r\n{}',
    'a giant frame': Buffer.concat([
      Buffer.from('Content-Length: 99999999\r\n\r\n'),
      Buffer.alloc(3_000_000, 'x'),
    ]),
    'noise without an end': Buffer.alloc(3_000_000, 'noise '),
  };
  for (const [what, input] of Object.entries(cases)) {
    test(what, async () => {
      helper.write(input);
      assert.equal(await helper.ended(), 9);
      assert.match(helper.stderr, /^glm-token: the client .*\nhint: /);
      assert.doesNotMatch(helper.stderr, /noise|xxx/);
    });
  }

  test('half a frame is waited for, and end of input in it is an end', async () => {
    const frame = Helper.frame({ id: 77, method: 'token' });
    helper.write(frame.slice(0, 30));
    assert.ok((await Promise.race([helper.ended(), delay(300, 'alive')])) === 'alive');
    helper.child.stdin.end();
    assert.equal(await helper.ended(), 0);
  });

  test('a request in pieces is one request', async () => {
    const reply = helper.request('status');
    const frame = Helper.frame({ id: 500, method: 'token' });
    for (const byte of frame) {
      helper.write(byte);
      await delay(1);
    }
    assert.ok((await reply).result);
    assert.ok((await helper.request('token')).result);
  });
});

describe('the keychain behind it', () => {
  test('a key changed elsewhere takes effect at once', async () => {
    const idIn = async () => {
      const { result } = await helper.request('token', { profile: 'changing' });
      const [, payload = ''] = String(result?.token).split('.');
      return JSON.parse(Buffer.from(payload, 'base64url').toString()).api_key;
    };
    for (const id of ['first', 'second']) {
      await glmToken(['store', '--force', '--profile=changing'], { env, input: `${id}.secret` });
      assert.equal(await idIn(), id);
    }
    await glmToken(['delete', '--force', '--profile=changing'], { env });
    assert.equal(await codeOf('token', { profile: 'changing' }), 'ERR_KEY_NOT_FOUND');
  });

  test('locked elsewhere, and unlocked again', async () => {
    assert.ok((await helper.request('token')).result);
    await session.lock();
    assert.equal(await codeOf('token', {}), 'ERR_STORE_LOCKED');
    assert.equal(await codeOf('accounts', {}), 'ERR_STORE_LOCKED');
    await session.unlock();
    assert.ok((await helper.request('token')).result);
  });

  test('its service killed and started again: it asks for another helper', async () => {
    assert.ok((await helper.request('token')).result);
    session.signal('SIGKILL');
    const refuses = async () => {
      const { error } = await helper.request('token');
      assert.equal(error?.data.code, 'ERR_DAEMON', error?.message);
    };
    await refuses();
    const other = new Helper(env);
    const { error } = await other.request('token');
    assert.equal(error?.data.code, 'ERR_STORE_UNAVAILABLE');
    await session.startService();
    await refuses();
    assert.ok((await other.request('token')).result, 'one that never reached the old one');
    await other.stop();
  });

  test('its service killed while it is asked: the same', async () => {
    assert.ok((await helper.request('token')).result);
    session.signal('SIGSTOP');
    const asked = helper.request('token');
    await delay(200);
    session.signal('SIGKILL');
    const { error } = await asked;
    assert.equal(error?.data.code, 'ERR_DAEMON', error?.message);
    await session.startService();
  });

  test('while it does not answer, the client is told to wait, and requests share one call', async () => {
    session.signal('SIGSTOP');
    const replies = Array.from({ length: 20 }, () => helper.request('token'));
    await delay(1500);
    assert.deepEqual(helper.notifications, ['waiting']);
    assert.ok((await helper.request('status')).result, 'it answers other requests meanwhile');
    session.signal('SIGCONT');
    for (const reply of replies) assert.ok((await reply).result);
  });

  test('even then it ends at end of input', async () => {
    await helper.request('token');
    session.signal('SIGSTOP');
    void helper.request('token');
    await delay(200);
    helper.child.stdin.end();
    const ended = await Promise.race([helper.ended(), delay(2000, 'alive')]);
    session.signal('SIGCONT');
    assert.equal(ended, 0);
  });
});

describe('the end', () => {
  test('at end of input, status 0', async () => {
    await helper.request('token');
    helper.child.stdin.end();
    assert.equal(await helper.ended(), 0);
    assert.equal(helper.stderr, '');
  });

  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    test(`on ${signal}, status 0`, async () => {
      await helper.request('token');
      helper.child.kill(signal);
      assert.equal(await helper.ended(), 0);
    });
  }

  test('when its output is closed', async () => {
    await helper.request('token');
    helper.child.stdout.destroy();
    void helper.request('token');
    assert.equal(await Promise.race([helper.ended(), delay(3000, 'alive')]), 0);
  });

  test('when its parent dies of -9: no orphan and no zombie', async () => {
    const parent = [
      'const { spawn } = require("node:child_process");',
      `const child = spawn(process.execPath, [${JSON.stringify(PROGRAM)}, "daemon", "--stdio"]);`,
      'console.log(child.pid); setTimeout(() => process.kill(process.pid, "SIGKILL"), 500);',
    ].join('\n');
    const { stdout, signal } = await run([process.execPath, '-e', parent], { env });
    assert.equal(signal, 'SIGKILL');
    await delay(1000);
    assert.ok(hasEnded(Number(stdout)));
  });
});

describe('many requests', () => {
  test('thousands at once are all answered, each with its own', async () => {
    const replies = await Promise.all(Array.from({ length: 5000 }, () => helper.request('token')));
    for (const { result } of replies) assert.ok(result?.token);
    assert.equal(replies[4999]?.id, 5000);
  });

  test('10 000 in a row leave the file descriptors as they were; it asks to retire once', async () => {
    const descriptors = () => readdirSync(`/proc/${helper.pid}/fd`).length;
    await helper.request('token');
    const start = descriptors();
    for (let n = 1; n < 10_000; n += 1) assert.ok((await helper.request('token')).result);
    assert.equal(descriptors(), start);
    assert.deepEqual(helper.notifications, ['retire']);
  });
});
