/** The helper on a socket, with a real keychain: whom it serves, what it survives, how it ends. */

import assert from 'node:assert/strict';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { claimsOf } from '../support/claims.ts';
import { type Env, found, PROGRAM, ROOT } from '../support/environment.ts';
import { Helper } from '../support/helper.ts';
import { KeychainSession } from '../support/keychain.ts';
import { CALL, glmToken, run, runOnTerminal } from '../support/program.ts';
import { SocketClient, SocketHelper } from '../support/socket-helper.ts';

const KEY = '0123456789abcdef0123456789abcdef.TopSecretSecret1';
const WORK_KEY = 'fedcba9876543210fedcba9876543210.OtherSecretSecr2';
const TOKEN = /^eyJ[\w-]+\.[\w-]+\.[\w-]+\n$/;

let session: KeychainSession;
let env: Env;
let directory: string;
let path: string;
const helpers: SocketHelper[] = [];
const clients: SocketClient[] = [];
before(async () => {
  session = await KeychainSession.start();
  env = { ...session.env, GLM_TOKEN_PROMPT_TIMEOUT: '5s' };
  await glmToken(['store'], { env, input: KEY });
  await glmToken(['store', '--host=api.z.ai', '--profile=work'], { env, input: WORK_KEY });
});
after(() => session.stop());
beforeEach(() => {
  directory = mkdtempSync(join(session.home, 'd-'));
  path = join(directory, 'agent.sock');
});
afterEach(async () => {
  for (const client of clients.splice(0)) client.close();
  for (const helper of helpers.splice(0)) {
    helper.child.kill('SIGKILL');
    await helper.ended();
  }
});

async function start(args: readonly string[] = [], wrapper: readonly string[] = []) {
  const helper = await SocketHelper.start(path, args, env, wrapper);
  helpers.push(helper);
  return helper;
}

async function connect(): Promise<SocketClient> {
  const client = await SocketClient.connect(path);
  clients.push(client);
  return client;
}

const asked = (args: readonly string[], more: Env = {}) =>
  glmToken(args, { env: { ...env, GLM_TOKEN_SOCKET: path, ...more } });

/** What a flood may cost in memory: garbage that Node has not collected yet. */
const MAX_GROWTH_MB = 100;

/**
 * What 20 000 answers may cost: 60 MB with Node 20, 140 with Node 24, which collects later. The next
 * 20 000 cost some 10 (measured).
 */
const MAX_GROWTH_OF_ANSWERS_MB = 200;

const residentMb = (pid: number): number =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;

/** Connects without a pause, until that succeeds. */
async function firstClient(path: string): Promise<SocketClient> {
  for (const endsAt = Date.now() + 20_000; ; ) {
    try {
      return await SocketClient.connect(path);
    } catch (error) {
      if (Date.now() > endsAt) throw error;
      await new Promise(setImmediate);
    }
  }
}

describe('where it listens', () => {
  test('in a directory of mode 0700, on a socket of mode 0600, whatever the umask', async () => {
    path = join(directory, 'new', 'agent.sock');
    await start([], ['sh', '-c', 'umask 0; exec "$0" "$@"']);
    assert.equal(statSync(join(directory, 'new')).mode & 0o777, 0o700);
    assert.equal(statSync(path).mode & 0o777, 0o600);
  });

  test('a client that connects as soon as there is a socket is answered', async () => {
    for (let n = 0; n < 5; n += 1) {
      path = join(directory, `early-${n}.sock`);
      const starting = start();
      const client = await firstClient(path);
      assert.ok((await client.request('accounts')).result);
      client.socket.destroy();
      await starting;
    }
  });

  test('by default below XDG_RUNTIME_DIR; without one it asks for a path', async () => {
    const { XDG_RUNTIME_DIR = '', ...others } = env;
    const end = ['timeout', '--signal=TERM', '2', process.execPath, PROGRAM, 'daemon', '--socket'];
    const { stderr } = await run(end, { env });
    assert.ok(stderr.includes(`listening at ${XDG_RUNTIME_DIR}/glm-token/agent.sock\n`), stderr);
    const without = await run(end, { env: others });
    assert.equal(without.status, 9);
    assert.match(without.stderr, /XDG_RUNTIME_DIR is not set.*\nhint: .* daemon --socket PATH/);
  });

  test('not in a directory that others may write to', async () => {
    chmodSync(directory, 0o770);
    const helper = await start();
    assert.equal(await helper.ended(), 9);
    assert.match(helper.stderr, /others may write to .*\nhint: run: chmod 700 /);
    assert.equal(existsSync(path), false);
  });

  test("not in somebody else's directory", async (t) => {
    if (process.getuid?.() !== 0)
      return t.skip('only root can make a directory that is not its own');
    chownSync(directory, 65534, 65534);
    const helper = await start();
    assert.equal(await helper.ended(), 9);
    assert.match(helper.stderr, /is not your own directory/);
  });

  test('not in place of what is no socket', async () => {
    writeFileSync(path, 'precious');
    assert.equal(await (await start()).ended(), 9);
    assert.equal(readFileSync(path, 'utf8'), 'precious');
  });

  test('in place of a helper that was killed', async () => {
    const killed = await start();
    killed.child.kill('SIGKILL');
    await killed.ended();
    assert.ok(existsSync(path));
    const { pid } = await start();
    assert.equal((await (await connect()).request('status')).result?.pid, pid);
  });

  test('not in place of one that runs: it says so, and the first is not disturbed', async () => {
    const first = await start();
    const second = await start();
    assert.equal(await second.ended(), 9);
    assert.match(second.stderr, /a helper is running at .*\nhint: .*GLM_TOKEN_SOCKET=/);
    assert.equal((await (await connect()).request('status')).result?.pid, first.pid);
  });

  test('of several that start at once, one', async () => {
    const killed = await start();
    killed.child.kill('SIGKILL');
    await killed.ended();
    const started = await Promise.all(Array.from({ length: 4 }, () => start()));
    const running = started.filter(({ child }) => child.exitCode === null);
    assert.equal(running.length, 1);
    assert.equal((await (await connect()).request('status')).result?.pid, running[0]?.pid);
  });
});

describe('how it ends', () => {
  test('on SIGTERM with status 0, and its socket is gone, with clients connected', async () => {
    const helper = await start();
    await (await connect()).request('token');
    await helper.stop();
    assert.equal(helper.child.exitCode, 0);
    assert.equal(existsSync(path), false);
  });

  test('it leaves alone what it did not make', async () => {
    const helper = await start();
    rmSync(path);
    writeFileSync(path, 'precious');
    await helper.stop();
    assert.equal(readFileSync(path, 'utf8'), 'precious');
  });

  test('by itself after --exit-after without a request, though a client is connected', async () => {
    const helper = await start(['--exit-after=1s']);
    const client = await connect();
    for (let n = 0; n < 5; n += 1) {
      assert.ok((await client.request('token')).result);
      await delay(400);
    }
    assert.equal(helper.child.exitCode, null, 'it was in use');
    assert.equal(await Promise.race([helper.ended(), delay(3000, 'alive')]), 0);
    assert.equal(existsSync(path), false);
  });

  test('a terminal that it was started from stays as an editor there has set it', async () => {
    const command = [process.execPath, PROGRAM, 'daemon', `--socket=${path}`, '--exit-after=2s'];
    for (const how of ['end', 'wait']) {
      const trial = [found.python, `${ROOT}/test/support/background.py`, how, path, ...command];
      const { status, stdout, stderr } = await run(trial, { env });
      assert.equal(status, 0, `${how}: ${stderr}`);
      assert.match(stdout, /listening at/);
    }
  });

  test('not by itself while a request waits for the keychain', async () => {
    const helper = await start(['--exit-after=1s']);
    const client = await connect();
    session.signal('SIGSTOP');
    try {
      const reply = client.request('token');
      await delay(2500);
      assert.equal(helper.child.exitCode, null);
      assert.deepEqual(client.notifications, ['waiting']);
      session.signal('SIGCONT');
      assert.ok((await reply).result);
    } finally {
      session.signal('SIGCONT');
    }
  });
});

describe('what its clients may do', () => {
  test('several get tokens at once, each its own', async () => {
    const { pid } = await start();
    const several = await Promise.all(Array.from({ length: 5 }, connect));
    const replies = await Promise.all(several.map((client) => client.request('token')));
    for (const { result } of replies) assert.match(`${result?.token}\n`, TOKEN);
    const { result } = await (await connect()).request('status');
    assert.equal(result?.tokens, 5);
    assert.equal(result?.pid, pid);
  });

  test('storing and deleting need --allow-write; unlock and lock do not', async () => {
    await start();
    const client = await connect();
    for (const method of ['store', 'delete']) {
      const { error } = await client.request(method, { profile: 'new', key: KEY });
      assert.equal(error?.data.code, 'ERR_USAGE');
      assert.match(error?.data.hint ?? '', /--allow-write/);
    }
    assert.ok((await client.request('lock')).result);
    assert.ok((await client.request('unlock', { passphrase: 'x' })).result);
    assert.equal((await asked(['print', '--profile=new'])).status, 3);
  });

  test('where no key may be stored, no hint says to store one', async () => {
    const isReadOnly = 'use glm-token where the helper runs, or start it with --allow-write';
    await start();
    const client = await connect();
    const account = { profile: 'none' };
    const { error } = await client.request('token', account);
    assert.equal(error?.message, 'no key is stored for open.bigmodel.cn (profile none)');
    assert.deepEqual(error?.data, { code: 'ERR_KEY_NOT_FOUND', hint: isReadOnly, action: null });
    const { result } = await client.request('doctor', { ...account, host: '127.0.0.1:1' });
    const findings = result?.findings as { check: string; hint: string }[];
    assert.equal(findings.find(({ check }) => check === 'key')?.hint, isReadOnly);
    const { stderr } = await asked(['print', '--profile=none', '--format=json']);
    assert.equal(JSON.parse(stderr).error.action, null);
  });

  test('with --allow-write they can', async () => {
    await start(['--allow-write']);
    const client = await connect();
    const account = { profile: 'written' };
    assert.equal((await client.request('token', account)).error?.data.action, 'store');
    const { stderr } = await asked(['print', '--profile=written', '--format=json']);
    assert.equal(JSON.parse(stderr).error.action, 'store');
    assert.equal((await client.request('store', { ...account, key: KEY })).result?.stored, true);
    assert.ok((await client.request('token', account)).result?.token);
    assert.equal((await client.request('delete', account)).result?.deleted, true);
  });

  test('a command is never set over a socket', async () => {
    await start(['--allow-write']);
    const params = { profile: 'command', command: ['echo', KEY] };
    const { error } = await (await connect()).request('store', params);
    assert.equal(error?.data.code, 'ERR_USAGE');
    assert.equal((await asked(['print', '--profile=command'])).status, 3);
  });

  test('--accounts serves these alone, names no others, and is read-only', async () => {
    await start(['--accounts=work@api.z.ai']);
    const client = await connect();
    const account = { host: 'api.z.ai', profile: 'work' };
    assert.ok((await client.request('token', account)).result?.token);
    const answers = [
      await client.request('token'),
      await client.request('token', { host: 'api.z.ai' }),
      await client.request('accounts'),
      await client.request('doctor', { host: '127.0.0.1:1' }),
      await client.request('doctor'),
      await client.request('store', { key: KEY }),
      await client.request('delete', account),
      await client.request('status'),
    ];
    const codes = answers.map(({ error }) => error?.data.code);
    assert.deepEqual(codes, [
      ...['ERR_USAGE', 'ERR_USAGE', undefined, 'ERR_USAGE', undefined],
      ...['ERR_USAGE', 'ERR_USAGE', undefined],
    ]);
    const accounts = answers[2]?.result?.accounts as object[];
    assert.deepEqual(accounts, [{ ...account, id: 'fedc…3210', store: 'keychain' }]);
    assert.doesNotMatch(JSON.stringify(answers), /0123…cdef|SecretSecr/);
  });

  test('--accounts does not name the account of the variables here, if it is another one', async () => {
    const variables = { GLM_TOKEN_HOST: 'api.z.ai', GLM_TOKEN_PROFILE: 'private' };
    helpers.push(await SocketHelper.start(path, ['--accounts=api.z.ai'], { ...env, ...variables }));
    const client = await connect();
    const answers = [
      await client.request('status'),
      await client.request('token'),
      await client.request('doctor'),
      await client.request('accounts'),
    ];
    const account = { host: 'open.bigmodel.cn', profile: 'default' };
    assert.deepEqual(answers[0]?.result?.default, account);
    assert.equal(answers[1]?.error?.data.code, 'ERR_USAGE');
    assert.doesNotMatch(JSON.stringify(answers), /private/);
  });

  test('--accounts signs for an hour at most', async () => {
    await start(['--accounts=open.bigmodel.cn,work@api.z.ai']);
    const client = await connect();
    assert.ok((await client.request('token', { ttl: '1h' })).result);
    const { error } = await client.request('token', { ttl: '61m' });
    assert.equal(error?.data.code, 'ERR_USAGE');
    assert.match(error?.message ?? '', /for at most 1 h/);
  });

  test('what contradicts itself is refused', async () => {
    const cases: [args: string[], says: RegExp][] = [
      [['--accounts=api.z.ai', '--allow-write'], /--accounts is read-only/],
      [['--accounts=two words'], /is not a host/],
      [['--stdio'], /either --stdio or --socket/],
      [['--exit-after=never'], /is not a duration/],
    ];
    for (const [args, says] of cases) {
      const { status, stderr } = await glmToken(['daemon', `--socket=${path}`, ...args], { env });
      assert.equal(status, 2, stderr);
      assert.match(stderr, says);
    }
    const { status, stderr } = await glmToken(['daemon', '--stdio', '--allow-write'], { env });
    assert.equal(status, 2);
    assert.match(stderr, /--allow-write belongs with --socket/);
  });
});

describe('a client that misbehaves is cut off, and nobody else notices', () => {
  /** The longest that a well-behaved client waits for a token, in milliseconds, for a while. */
  async function slowest(client: SocketClient, times: number): Promise<number> {
    let most = 0;
    for (let n = 0; n < times; n += 1) {
      const startedAt = performance.now();
      assert.ok((await client.request('token')).result);
      most = Math.max(most, performance.now() - startedAt);
      await delay(10);
    }
    return most;
  }

  test('half a frame, and a byte now and then: after ten seconds', async () => {
    await start();
    const good = await connect();
    const half = await connect();
    half.socket.write(Helper.frame({ id: 1, method: 'token' }).slice(0, 30));
    const slow = await connect();
    slow.socket.write('Content-Length: 1000\r\n\r\n');
    const drip = setInterval(() => slow.socket.write('x'), 300);
    const [afterMs, slowMs] = await Promise.all([half.closed(), slow.closed(), slowest(good, 50)]);
    clearInterval(drip);
    for (const ms of [afterMs, slowMs]) assert.ok(ms > 9000 && ms < 13_000, `${ms} ms`);
    assert.ok((await good.request('token')).result);
  });

  test('what is no frame, at once', async () => {
    await start();
    const good = await connect();
    const bad = [
      'GET / HTTP/1.1\r\n\r\n',
      'Content-Length: 99999999\r\n\r\n',
      'noise '.repeat(500),
    ];
    for (const text of [...bad, 'Content-Length: 9\r\n\r\n{"jsonrpc']) {
      const client = await connect();
      client.socket.write(text);
      assert.ok((await client.closed()) < 2000, text.slice(0, 30));
    }
    assert.ok((await good.request('token')).result);
  });

  test('a flood whose answers are never read: after ten seconds, in bounded memory', async () => {
    const helper = await start();
    const good = await connect();
    await slowest(good, 20);
    const before = residentMb(helper.pid);
    const flood = await connect();
    flood.socket.pause();
    const frame = Helper.frame({ id: 1, method: 'status' });
    const frames = Array.from({ length: 20_000 }, (_, id) => frame.replace('"id":1', `"id":${id}`));
    const text = frames.map((one) => {
      const body = one.slice(one.indexOf('{'));
      return `Content-Length: ${body.length}\r\n\r\n${body}`;
    });
    // Some 150 MB, which would be in memory if nothing held them back.
    const all = Buffer.from(text.join('').repeat(5));
    for (let n = 0; n < 20; n += 1) flood.socket.write(all);
    const [ms] = await Promise.all([cutOff(flood), slowest(good, 200)]);
    assert.ok(ms < 60_000, `${ms} ms`);
    const grown = residentMb(helper.pid) - before;
    assert.ok(grown < MAX_GROWTH_MB, `grew by ${grown} MB`);
    assert.ok((await good.request('token')).result);
  });

  test('a flood whose answers are read: others get theirs between, in bounded memory', async () => {
    const helper = await start();
    const good = await connect();
    await slowest(good, 20);
    const before = residentMb(helper.pid);
    const flood = await connect();
    let isFloodOver = false;
    const answers = Promise.all(Array.from({ length: 20_000 }, () => flood.request('token')));
    void answers.then(() => {
      isFloodOver = true;
    });
    await slowest(good, 50);
    assert.equal(isFloodOver, false, 'the others did not have to wait for the flood to end');
    for (const { result } of await answers) assert.ok(result?.token);
    const grown = residentMb(helper.pid) - before;
    assert.ok(grown < MAX_GROWTH_OF_ANSWERS_MB, `grew by ${grown} MB`);
  });

  test('notifications without end cost no memory', async () => {
    const helper = await start();
    const good = await connect();
    await slowest(good, 20);
    const before = residentMb(helper.pid);
    const flood = await connect();
    const text = Buffer.from(
      Helper.frame({ method: 'token', params: { ttl: 'x'.repeat(900) } }).repeat(10_000),
    );
    for (let n = 0; n < 15; n += 1) {
      if (!flood.socket.write(text))
        await new Promise((resume) => flood.socket.once('drain', resume));
    }
    assert.ok((await flood.request('token')).result);
    const grown = residentMb(helper.pid) - before;
    assert.ok(grown < MAX_GROWTH_MB, `grew by ${grown} MB`);
  });

  test('more connections than it keeps: the ones that ask go on', async () => {
    await start();
    const good = await connect();
    assert.ok((await good.request('token')).result);
    for (let n = 0; n < 300; n += 1) {
      await connect();
      if (n % 50 === 0) assert.ok((await good.request('token')).result, `${n}`);
    }
    assert.ok((await good.request('token')).result);
  });

  test('one that goes away in the middle of a request', async () => {
    const helper = await start();
    session.signal('SIGSTOP');
    const gone = await connect();
    void gone.request('token');
    await delay(200);
    gone.close();
    await delay(200);
    session.signal('SIGCONT');
    assert.ok((await (await connect()).request('token')).result);
    assert.equal(helper.child.exitCode, null);
  });

  /** When a client that reads nothing is cut off: it learns that by writing. */
  async function cutOff({ socket }: SocketClient): Promise<number> {
    const startedAt = performance.now();
    for (let tries = 0; tries < 400 && !socket.destroyed; tries += 1) {
      await delay(50);
      socket.write('x');
    }
    return performance.now() - startedAt;
  }
});

describe('started by systemd with a socket', () => {
  const activate = async (address: string, more: string[] = []) => {
    const passed = Object.keys(env).flatMap((name) => ['-E', name]);
    const wrapper = ['systemd-socket-activate', ...passed, '-l', address];
    const command = [...wrapper, process.execPath, PROGRAM, 'daemon', `--socket=${path}`, ...more];
    let stderr = '';
    let stop = () => {};
    const outcome = run(command, {
      env,
      onSpawn: (child) => {
        stop = () => child.kill('SIGKILL');
        child.stderr?.on('data', (chunk) => {
          stderr += chunk;
        });
      },
    });
    for (let tries = 0; tries < 200 && !stderr.includes('Listening on'); tries += 1)
      await delay(25);
    return { outcome, stop: () => stop() };
  };

  test('it starts on first use, ends when idle, and leaves the socket to systemd', async () => {
    const { outcome, stop } = await activate(path, ['--exit-after=2s']);
    try {
      const { stdout, stderr } = await asked(['print']);
      assert.match(stdout, TOKEN, stderr);
      assert.match((await asked(['print'])).stdout, TOKEN);
      assert.equal((await outcome).status, 0);
      assert.ok(existsSync(path));
    } finally {
      stop();
    }
  });

  test('a port of the network is refused', async () => {
    const probe = createServer();
    await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve));
    const { port } = probe.address() as { port: number };
    await new Promise((resolve) => probe.close(resolve));
    // A socket that is as it should be stands where the unit says.
    const decoy = createServer().listen(path);
    chmodSync(path, 0o600);
    const { outcome, stop } = await activate(`127.0.0.1:${port}`);
    try {
      const { connect: connectTcp } = await import('node:net');
      connectTcp(port, '127.0.0.1').on('error', () => {});
      const { status, stderr } = await outcome;
      assert.equal(status, 9, stderr);
      assert.match(stderr, /the socket from systemd is not private to you/);
    } finally {
      stop();
      decoy.close();
    }
  });

  test('a socket that is open to others is refused', async () => {
    const { outcome, stop } = await activate(path);
    try {
      chmodSync(path, 0o666);
      clients.push(await SocketClient.connect(path));
      assert.equal((await outcome).status, 9);
    } finally {
      stop();
    }
  });

  test('variables of another process are not taken for ours', async () => {
    const helper = await SocketHelper.start(path, [], { ...env, LISTEN_PID: '1', LISTEN_FDS: '1' });
    helpers.push(helper);
    assert.ok((await (await connect()).request('token')).result);
  });
});

describe('print, exec, list and doctor ask the socket', () => {
  test('a token, in every format, for the account and the lifetime asked for', async () => {
    await start();
    assert.match((await asked(['print'])).stdout, TOKEN);
    const { stdout } = await asked([
      ...['print', '--format=json', '--host=api.z.ai', '--profile=work', '--ttl=1h'],
    ]);
    const { issuedAtMs, expiresAtMs, token, ...rest } = JSON.parse(stdout);
    const { issuedAt, expiresAt, ...account } = rest;
    assert.deepEqual(account, { schemaVersion: 1, host: 'api.z.ai', profile: 'work' });
    assert.equal(expiresAtMs - issuedAtMs, 3_600_000);
    const claims = claimsOf(token);
    assert.deepEqual([claims.timestamp, claims.exp], [issuedAtMs, expiresAtMs]);
    assert.equal(claims.api_key, WORK_KEY.split('.')[0]);
  });

  test('exec gives a token, and list the accounts of the helper', async () => {
    await start();
    const { stdout } = await asked(['exec', '--', 'sh', '-c', 'echo "$OPENAI_API_KEY"']);
    assert.match(stdout, TOKEN);
    const listed = await asked(['list', '--json']);
    assert.equal(JSON.parse(listed.stdout).accounts.length, 2);
    const people = await asked(['list']);
    assert.match(people.stdout, /^api\.z\.ai +work +fedc…3210 +keychain$/m);
    assert.ok(people.stderr.includes(`the accounts of the helper at ${path}`));
  });

  test('nothing here is needed: no keychain, no key, no library of it', async () => {
    await start();
    const bare = { GLM_TOKEN_SOCKET: path, HOME: directory, PATH: env.PATH ?? '' };
    const { stdout, stderr } = await glmToken(['print'], { env: bare });
    assert.match(stdout, TOKEN, stderr);
  });

  test('a failure there has its code and its sentence here', async () => {
    await start(['--accounts=api.z.ai']);
    const missing = await asked(['print', '--host=api.z.ai']);
    assert.equal(missing.status, 3);
    assert.match(
      missing.stderr,
      /no key is stored for api\.z\.ai\nhint: .* \(on the machine of the helper\)/,
    );
    const other = await asked(['print', '--format=json']);
    assert.equal(other.status, 2);
    const { error } = JSON.parse(other.stderr);
    assert.equal(error.code, 'ERR_USAGE');
    assert.match(error.message, /gives no tokens for open\.bigmodel\.cn/);
    assert.match((await asked(['print', '--ttl=1e9'])).stderr, /is not a duration/);
  });

  test('a socket that does not answer is an error with its cure, and no way round it', async () => {
    const dead = await asked(['print']);
    assert.deepEqual([dead.status, dead.stdout], [9, '']);
    assert.match(dead.stderr, /there is no socket at .*\nhint: start the helper .*ssh -R/);

    const killed = await start();
    killed.child.kill('SIGKILL');
    await killed.ended();
    const refused = await asked(['print']);
    assert.equal(refused.status, 9);
    assert.match(refused.stderr, /nothing answers at .*ssh login .* has ended\nhint: /);
    rmSync(path);

    for (const [answer, says] of [
      ['', /was closed without an answer/],
      ['SSH-2.0-x\r\n'.repeat(300), /is not a helper of glm-token/],
      ['Content-Length: 4\r\n\r\nnull', /was closed without an answer|is not a helper/],
    ] as const) {
      const server = createServer((socket) =>
        socket
          .on('error', () => {})
          .resume()
          .end(answer),
      );
      await new Promise<void>((resolve) => server.listen(path, resolve));
      const { status, stdout, stderr } = await asked(['print']);
      assert.deepEqual([status, stdout], [9, ''], stderr);
      assert.match(stderr, says);
      await new Promise((resolve) => server.close(resolve));
    }
  });

  test('one that never answers is given up after ten seconds', async () => {
    const server = createServer((socket) => socket.on('error', () => {}).resume());
    await new Promise<void>((resolve) => server.listen(path, resolve));
    const startedAt = performance.now();
    const { status, stderr } = await asked(['print']);
    server.close();
    assert.equal(status, 9);
    assert.match(stderr, /did not answer in time/);
    assert.ok(performance.now() - startedAt < 60_000);
  });

  test('a relative path, and --store, are refused', async () => {
    await start();
    assert.equal((await asked(['print'], { GLM_TOKEN_SOCKET: 'agent.sock' })).status, 2);
    const { status, stderr } = await asked(['print', '--store=keychain']);
    assert.equal(status, 2);
    assert.match(stderr, /GLM_TOKEN_SOCKET is set, so the helper at .* decides/);
  });

  test("somebody else's socket is not trusted", async (t) => {
    if (process.getuid?.() !== 0) return t.skip('only root can give a socket away');
    // Root is trusted by everybody, so the client is somebody else too.
    await start();
    chownSync(path, 1, 1);
    chmodSync(path, 0o666);
    const { status, stderr } = await asked(['print']);
    assert.equal(status, 9);
    assert.match(stderr, /belongs to another user and is not trusted/);
  });

  test('without the variable nothing looks for a socket', async () => {
    const home = join(directory, 'home');
    mkdirSync(join(home, 'glm-token'), { recursive: true, mode: 0o700 });
    path = join(home, 'glm-token', 'agent.sock');
    await start();
    const bare = { HOME: home, XDG_RUNTIME_DIR: home, PATH: env.PATH ?? '' };
    const { status, stdout } = await glmToken(['print'], { env: bare });
    assert.deepEqual([status, stdout], [5, '']);
  });

  test('doctor tells which way is in use, and tries one token', async () => {
    await start();
    const args = ['doctor', '--json', '--host=127.0.0.1:1'];
    const { stdout } = await asked(args, { GLM_API_KEY: KEY });
    const { findings } = JSON.parse(stdout);
    const of = (check: string) => findings.find((one: { check: string }) => one.check === check);
    assert.equal(of('helper').level, 'ok');
    assert.ok(of('helper').message.includes(`answers at ${path}, with keys from the keychain`));
    assert.equal(of('token').code, 'ERR_KEY_NOT_FOUND');
    assert.equal(of('store'), undefined);
    assert.match(of('environment').message, /GLM_TOKEN_SOCKET takes precedence/);
    const good = JSON.parse((await asked(['doctor', '--json'])).stdout).findings;
    const token = good.find((one: { check: string }) => one.check === 'token');
    assert.equal(token.level, 'ok', token.message);
    await helpers[0]?.stop();
    const gone = await asked(args);
    assert.equal(gone.status, 9);
  });
});

describe('with the encrypted file', () => {
  const PASSPHRASE = 'correct horse 电池';
  let home: string;
  beforeEach(async () => {
    home = mkdtempSync(join(session.home, 'h-'));
    const file = join(home, 'passphrase');
    writeFileSync(file, PASSPHRASE, { mode: 0o600 });
    const own = { PATH: env.PATH ?? '', HOME: home };
    const store = { ...own, GLM_TOKEN_PASSPHRASE_FILE: file };
    const { status } = await glmToken(['store', '--store=file'], { env: store, input: KEY });
    assert.equal(status, 0);
    helpers.push(await SocketHelper.start(path, [], own));
  });

  test('a terminal asks for the passphrase, the helper stays unlocked for all, until lock', async () => {
    const locked = await asked(['print']);
    assert.equal(locked.status, 7);
    const own = { ...env, GLM_TOKEN_SOCKET: path };
    const first = await runOnTerminal(
      [process.execPath, PROGRAM, 'print'],
      [
        ['Passphrase of the encrypted file: ', 'wrong'],
        ['Wrong passphrase. Try again: ', PASSPHRASE],
      ],
      own,
    );
    assert.match(first.stdout, /^eyJ/m, first.stdout);
    assert.match((await asked(['print'])).stdout, TOKEN);
    await (await connect()).request('lock');
    assert.equal((await asked(['print'])).status, 7);
  });
});

test('the cure names the program as it was called', async () => {
  const { stderr } = await asked(['print']);
  assert.ok(stderr.includes(`${CALL} daemon --socket`), stderr);
});
