/** A keychain that is locked, gone, silent, restarted or missing: a real gnome-keyring each time. */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { isStuck, keychainStore, saysLocked } from '../../src/stores/keychain.ts';
import { SecretService } from '../../src/stores/secret-service.ts';
import { idOf } from '../support/claims.ts';
import { BARE_ENV, type Env, found, PROGRAM } from '../support/environment.ts';
import { KeychainSession } from '../support/keychain.ts';
import { CALL, glmToken, run } from '../support/program.ts';

const UNLOCK_HINT =
  'hint: unlock it (log in to the desktop, or open it in its own program) and try again\n';

/**
 * How the program ends while a call to the keychain is pending: before Node 22.15 it cannot end with
 * a status then.
 */
const stuck = (status: number) => ('execve' in process ? [status, null] : [null, 'SIGKILL']);

describe('the program', () => {
  let session: KeychainSession;
  let env: Env;
  before(async () => {
    session = await KeychainSession.start();
    env = { ...session.env, GLM_TOKEN_PROMPT_TIMEOUT: '1s' };
    assert.equal((await glmToken(['store'], { env, input: 'id.verysecret' })).status, 0);
  });
  after(() => session.stop());

  const commands = [
    ['print'],
    ['print', '--profile=other'],
    ['list'],
    ['store', '--force'],
    ['delete', '--force'],
  ];

  test('with a locked keychain exits 6, never 3, and prints no key', async () => {
    await session.lock();
    for (const command of commands) {
      const { status, stdout, stderr } = await glmToken(command, { env, input: 'x.otherkey' });
      assert.equal(status, 6, `${command}: ${stderr}`);
      assert.equal(stdout, '');
      assert.equal(stderr, `glm-token: the keychain is locked\n${UNLOCK_HINT}`);
    }
  });

  test('gives up a prompt that no one answers, and exits 6', async () => {
    await session.askNobody();
    for (const command of [['print'], ['store', '--force']]) {
      const outcome = await glmToken(command, { env, input: 'x.otherkey' });
      assert.deepEqual([outcome.status, outcome.signal, outcome.stdout], [...stuck(6), '']);
      assert.equal(
        outcome.stderr,
        'glm-token: waiting for the keychain; unlock it if it prompts you\n' +
          "glm-token: the keychain's prompt was not answered within 1 s\n" +
          UNLOCK_HINT,
      );
    }
  });

  test('finds the key as it was once the keychain is unlocked', async () => {
    await session.unlock();
    const { status, stdout } = await glmToken(['print'], { env });
    assert.equal(status, 0);
    assert.match(stdout, /^eyJ[\w-]+\.[\w-]+\.[\w-]+\n$/);
    assert.match((await glmToken(['list'], { env })).stdout, /id…/);
  });

  test('gives up a keychain that does not answer, says so, and exits 5', async () => {
    session.signal('SIGSTOP');
    const startedAt = performance.now();
    const { status, signal, stdout, stderr } = await glmToken(['print'], { env });
    assert.deepEqual([status, signal, stdout], [...stuck(5), '']);
    assert.equal(
      stderr,
      'glm-token: waiting for the keychain; unlock it if it prompts you\n' +
        'glm-token: the keychain service does not answer\n' +
        'hint: restart it, for example by logging out and in again\n',
    );
    assert.ok(performance.now() - startedAt < 20_000);
    session.signal('SIGCONT');
    assert.equal((await glmToken(['print'], { env })).status, 0);
  });

  test('exits 5 when the keychain service was killed, and works once it is back', async () => {
    session.signal('SIGKILL');
    for (const command of commands) {
      const { status, stderr } = await glmToken(command, { env, input: 'x.otherkey' });
      assert.equal(status, 5, stderr);
      assert.match(
        stderr,
        /^glm-token: there is no keychain: .*\nhint: .* store --store file( --profile other)?\n$/,
      );
    }
    await session.startService();
    assert.equal((await glmToken(['print'], { env })).status, 0);
  });

  test('without D-Bus exits 5 with a cure', async () => {
    const { status, stdout, stderr } = await glmToken(['print'], { env: BARE_ENV });
    assert.equal(status, 5);
    assert.equal(stdout, '');
    assert.match(stderr, /^glm-token: there is no keychain: .*D-Bus.*\nhint: log in to a desktop/);
    assert.ok(stderr.endsWith(`keep the key in an encrypted file: ${CALL} store --store file\n`));
  });

  test('without libsecret exits 5 and says what to install', async () => {
    // A library path with a file that is not a library: as good as none.
    const directory = mkdtempSync(join(tmpdir(), 'glm-token-test-'));
    writeFileSync(join(directory, 'libsecret-1.so.0'), 'no');
    const env = { ...BARE_ENV, LD_LIBRARY_PATH: directory };
    const { status, stderr } = await run([process.execPath, PROGRAM, 'print'], { env });
    rmSync(directory, { recursive: true });
    assert.equal(status, 5);
    assert.match(
      stderr,
      /^glm-token: the keychain cannot be used: its native library does not load\nhint: install libsecret/,
    );
  });
});

test('with two keyrings, the key that was stored signs, or a sentence says why not', async () => {
  const session = await KeychainSession.start();
  const { env } = session;
  // Which of two items gnome-keyring hands out first, it does not promise.
  const store = async (key: string) => {
    const { status, stderr } = await glmToken(['store', '--force'], { env, input: key });
    const printed = idOf((await glmToken(['print'], { env })).stdout);
    if (status === 0) assert.equal(printed, key.split('.')[0]);
    else {
      assert.equal(status, 5, stderr);
      assert.match(stderr, /another keyring has another key for this account/);
      assert.notEqual(printed, key.split('.')[0]);
    }
    const { stdout } = await glmToken(['list', '--json'], { env });
    assert.equal(JSON.parse(stdout).accounts.length, 1);
  };
  try {
    await store('first.secret');
    await session.addKeyring('another');
    await store('second.secret');
    await session.useFirstKeyring();
    await store('third.secret');
    assert.equal((await glmToken(['delete', '--force'], { env })).status, 0);
    assert.equal((await glmToken(['print'], { env })).status, 3, 'it is gone from both');
  } finally {
    await session.stop();
  }
});

describe('a session bus', () => {
  let session: KeychainSession;
  before(async () => {
    session = await KeychainSession.start();
    assert.equal((await glmToken(['store'], { env: session.env, input: 'id.secret' })).status, 0);
  });
  after(() => session.stop());

  test('that is gone is named, and so is one that answers', async () => {
    const { DBUS_SESSION_BUS_ADDRESS: alive = '', XDG_RUNTIME_DIR = '' } = session.env;
    const gone = { ...session.env, DBUS_SESSION_BUS_ADDRESS: 'unix:path=/tmp/dbus-gone' };
    const hintOf = async () => {
      const { status, stderr } = await glmToken(['print'], { env: gone });
      const [failure, hint = ''] = stderr.split('\n');
      assert.deepEqual(
        [status, failure],
        [
          5,
          'glm-token: the keychain cannot be asked: nothing answers at the address in DBUS_SESSION_BUS_ADDRESS',
        ],
      );
      return hint;
    };
    assert.equal(await hintOf(), 'hint: log in again if that session is over');
    symlinkSync(alive.replace(/^unix:path=|,.*/g, ''), join(XDG_RUNTIME_DIR, 'bus'));
    assert.match(
      await hintOf(),
      /^hint: set DBUS_SESSION_BUS_ADDRESS to unix:path=\/.*\/run\/bus, where a session bus answers; /,
    );
  });

  test('on an abstract address serves what keytar reads; where Node cannot ask it, the rest fails', async () => {
    const name = `glm-token-test-${process.pid}`;
    const { DBUS_SESSION_BUS_ADDRESS: alive = '' } = session.env;
    const relay = spawn(found.python, ['-c', RELAY, name, alive.replace(/^unix:path=|,.*/g, '')], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    try {
      await once(relay.stdout, 'data');
      const env = { ...session.env, DBUS_SESSION_BUS_ADDRESS: `unix:abstract=${name}` };
      assert.equal(idOf((await glmToken(['print'], { env })).stdout), 'id');
      const canAsk = Number(process.versions.node.split('.')[0]) >= 22;
      for (const command of [['print', '--profile=none'], ['list'], ['store', '--force']]) {
        const { status, stderr } = await glmToken(command, { env, input: 'id.other' });
        if (canAsk) assert.equal(status, command[0] === 'print' ? 3 : 0, stderr);
        else {
          assert.equal(status, 5, stderr);
          assert.match(stderr, /DBUS_SESSION_BUS_ADDRESS\nhint: .*use Node 22 or later, which /);
        }
      }
    } finally {
      relay.kill();
    }
  });
});

/** Passes connections to an abstract socket on to another; D-Bus sees who connected to it: this user. */
const RELAY = `
import socket, sys, threading
def pump(a, b):
    while (data := a.recv(65536)): b.sendall(data)
    b.shutdown(socket.SHUT_WR)
server = socket.socket(socket.AF_UNIX)
server.bind("\\0" + sys.argv[1])
server.listen()
print("ready", flush=True)
while True:
    client, _ = server.accept()
    bus = socket.socket(socket.AF_UNIX)
    bus.connect(sys.argv[2])
    for pair in ((client, bus), (bus, client)):
        threading.Thread(target=pump, args=pair, daemon=True).start()
`;

describe('the adapter', () => {
  const account = { host: 'open.bigmodel.cn', profile: 'default' };
  let session: KeychainSession;
  before(async () => {
    session = await KeychainSession.start();
    // keytar finds its session bus in the environment of this very process.
    process.env.DBUS_SESSION_BUS_ADDRESS = session.env.DBUS_SESSION_BUS_ADDRESS;
  });
  after(() => session.stop());

  const open = () =>
    keychainStore({
      platform: 'linux',
      env: session.env,
      promptTimeoutMs: 1000,
      onWaiting: () => {},
    });
  const look = (env = session.env) => new SecretService(env).look({ service: 'glm-token' });

  /** Has each method fail in the same way. */
  async function eachRejects(store: ReturnType<typeof open>, expected: object) {
    for (const act of [
      () => store.get(account),
      () => store.get(account, { mayAsk: false }),
      () => store.set(account, 'x.y'),
      () => store.delete(account),
      () => store.list(),
    ]) {
      await assert.rejects(act, expected);
    }
  }

  test('throws ERR_STORE_LOCKED for a locked keychain, for items that are not there too', async () => {
    const store = open();
    await store.set(account, 'id.secret');
    assert.equal((await look()).target?.isLocked, false);
    await session.lock();
    assert.equal((await look()).target?.isLocked, true);
    const expected = { code: 'ERR_STORE_LOCKED', reason: 'keychainLocked' };
    await eachRejects(store, expected);
    await assert.rejects(store.get({ ...account, profile: 'other' }), expected);
    assert.deepEqual(await store.list({ mayAsk: false }), [{ account, id: undefined }]);
    await session.unlock();
    assert.equal(await store.get(account), 'id.secret');
    assert.equal(isStuck(), false);
  });

  test('knows a keyring that ends with the session', async () => {
    assert.equal(await open().perishesWith(), undefined);
    await session.keepForSession();
    assert.equal(await open().perishesWith(), 'session');
  });

  test('is stuck while a service that was given up has not answered', async () => {
    const store = open();
    session.signal('SIGSTOP');
    try {
      const silent = { code: 'ERR_STORE_UNAVAILABLE', reason: 'keychainSilent' };
      await assert.rejects(store.get(account), silent);
      assert.equal(isStuck(), true);
      await assert.rejects(look(), silent);
    } finally {
      session.signal('SIGCONT');
    }
    for (let tries = 0; isStuck() && tries < 100; tries += 1) await delay(20);
    assert.equal(isStuck(), false);
  });

  test('throws ERR_STORE_UNAVAILABLE while a killed service is gone; once it is back, reads, and cannot write', async () => {
    const store = open();
    assert.equal(await store.get(account), 'id.secret');
    session.signal('SIGKILL');
    await untilGone();
    await assert.rejects(store.get(account), {
      code: 'ERR_STORE_UNAVAILABLE',
      reason: 'keychainMissing',
    });
    await session.startService();
    assert.equal(await store.get(account), 'id.secret');
    assert.equal(await store.get({ ...account, profile: 'other' }), undefined);
    // keytar still talks to the old one: libsecret keeps its address.
    const restarted = { code: 'ERR_DAEMON', reason: 'keychainRestarted' };
    await assert.rejects(store.set(account, 'x.y'), restarted);
    await assert.rejects(store.delete(account), restarted);
  });

  /** Waits until the bus has seen that the service is gone. */
  async function untilGone() {
    const isThere = () => look().then(Boolean, () => false);
    for (let tries = 0; await isThere(); tries += 1) {
      assert.ok(tries < 100, 'the service is still there');
      await delay(20);
    }
  }

  test('does not take a service without a keyring, or no bus at all, for a locked one', async () => {
    const bare = await KeychainSession.start({ keyring: false });
    try {
      assert.equal((await look(bare.env)).target, undefined);
      const { status, stderr } = await glmToken(['store'], { env: bare.env, input: 'id.secret' });
      assert.equal(status, 5);
      assert.match(
        stderr,
        /^glm-token: the keychain has no default keyring to keep a key in\nhint: create one/,
      );
    } finally {
      await bare.stop();
    }
    await assert.rejects(look(BARE_ENV), { reason: 'keychainMissing' });
    const nowhere = { DBUS_SESSION_BUS_ADDRESS: 'unix:path=/nonexistent' };
    await assert.rejects(look(nowhere), { reason: 'busOutOfReach' });
  });
});

test('what macOS and Windows say of a locked keychain is known as that, and nothing else is', () => {
  const texts: Record<string, boolean> = {
    'User interaction is not allowed.': true, // macOS -25308, from Apple's list
    'User canceled the operation.': true, // macOS -128, from Apple's list
    'The user name or passphrase you entered is not correct.': true, // macOS -25293
    'A specified logon session does not exist. It may already have been terminated.': true, // Windows 1312, from Microsoft's list
    'The connection is closed': false,
    'The specified item could not be found in the keychain.': false,
    'The name org.freedesktop.secrets was not provided by any .service files': false,
  };
  for (const [text, isLocked] of Object.entries(texts)) assert.equal(saysLocked(text), isLocked);
});
