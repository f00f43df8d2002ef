/** A keychain that is locked, gone, silent or missing, through the real program. */

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { keychainError } from '../../src/stores/keychain.ts';
import { BARE_ENV, type Env, PROGRAM } from '../support/environment.ts';
import { KeychainSession } from '../support/keychain.ts';
import { glmToken, run } from '../support/program.ts';

describe('a keychain in trouble', () => {
  let session: KeychainSession;
  let env: Env;
  before(async () => {
    session = await KeychainSession.start();
    env = { ...session.env, GLM_TOKEN_KEYCHAIN_TIMEOUT: '1s' };
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

  test('a locked keychain exits 6, never 3, and prints no key', async () => {
    await session.lock();
    for (const command of commands) {
      const { status, stdout, stderr } = await glmToken(command, { env, input: 'x.otherkey' });
      assert.equal(status, 6, `${command}: ${stderr}`);
      assert.equal(stdout, '');
      assert.match(stderr, /^glm-token: the keychain is locked\nhint: unlock it /);
    }
  });

  test('a prompt that nobody answers is given up in time, and exits 6', async () => {
    await session.askNobody();
    for (const command of [['print'], ['store', '--force']]) {
      const outcome = await glmToken(command, { env, input: 'x.otherkey' });
      // Before Node 22.15 a process cannot end with a status while libsecret holds a thread of it.
      const [status, signal] = 'execve' in process ? [6, null] : [null, 'SIGKILL'];
      assert.deepEqual([outcome.status, outcome.signal, outcome.stdout], [status, signal, '']);
      assert.match(
        outcome.stderr,
        /waiting for the keychain.*\nglm-token: the keychain is locked, and nobody answered its prompt within 1 s\nhint: unlock it /,
      );
    }
  });

  test('unlocked again, the key is there, as it was', async () => {
    await session.unlock();
    const { status, stdout } = await glmToken(['print'], { env });
    assert.equal(status, 0);
    assert.match(stdout, /^eyJ[\w-]+\.[\w-]+\.[\w-]+\n$/);
    assert.match((await glmToken(['list'], { env })).stdout, /id…/);
  });

  test('a keychain that does not answer is given up in time, and exits 5', async () => {
    session.signal('SIGSTOP');
    const startedAt = performance.now();
    const { status, signal, stderr } = await glmToken(['print'], { env });
    assert.deepEqual([status, signal], [5, null]);
    assert.match(stderr, /waiting for the keychain/);
    assert.match(stderr, /the keychain service does not answer \(waited 1 s\)\nhint: /);
    assert.ok(performance.now() - startedAt < 20_000);
    session.signal('SIGCONT');
    assert.equal((await glmToken(['print'], { env })).status, 0);
  });

  test('a keychain service that was killed exits 5, and works once it is back', async () => {
    session.signal('SIGKILL');
    for (const command of commands) {
      const { status, stderr } = await glmToken(command, { env, input: 'x.otherkey' });
      assert.equal(status, 5, stderr);
      assert.match(stderr, /there is no keychain to talk to: .*\nhint: /);
    }
    await session.startService();
    assert.equal((await glmToken(['print'], { env })).status, 0);
  });
});

test('without D-Bus there is no keychain: exit 5 with a cure', async () => {
  const { status, stdout, stderr } = await glmToken(['print'], { env: BARE_ENV });
  assert.equal(status, 5);
  assert.equal(stdout, '');
  assert.match(
    stderr,
    /^glm-token: there is no keychain to talk to: .*D-Bus.*\nhint: .*glm-token store --store file/,
  );
});

test('without libsecret the keychain cannot be used: exit 5 and what to install', async () => {
  // A library path whose libsecret is not one, as good as none.
  const folder = (await run(['mktemp', '-d'])).stdout.trim();
  await run(['sh', '-c', `echo no > ${folder}/libsecret-1.so.0`]);
  const env = { ...BARE_ENV, LD_LIBRARY_PATH: folder };
  const { status, stderr } = await run([process.execPath, PROGRAM, 'print'], { env });
  await run(['rm', '-r', folder]);
  assert.equal(status, 5);
  assert.match(stderr, /its native library does not load\nhint: install libsecret/);
});

test('what systems say of a closed keychain is "locked"; the rest is "unavailable"', () => {
  const texts: Record<string, string> = {
    'Cannot create an item in a locked collection': 'ERR_STORE_LOCKED',
    'User interaction is not allowed.': 'ERR_STORE_LOCKED', // macOS -25308, from Apple's list
    'User canceled the operation.': 'ERR_STORE_LOCKED', // macOS -128, from Apple's list
    'A specified logon session does not exist. It may already have been terminated.':
      'ERR_STORE_LOCKED', // Windows 1312, from Microsoft's list
    'The connection is closed': 'ERR_STORE_UNAVAILABLE',
    'Object does not exist at path “/org/freedesktop/secrets/collection/login”':
      'ERR_STORE_UNAVAILABLE',
    'The name org.freedesktop.secrets was not provided by any .service files':
      'ERR_STORE_UNAVAILABLE',
  };
  for (const [text, code] of Object.entries(texts)) assert.equal(keychainError(text).code, code);
});
