/** KeePassXC as the keychain, with the settings that it has when its Secret Service is switched on. */

import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { idOf } from '../support/claims.ts';
import { Display } from '../support/display.ts';
import type { Env } from '../support/environment.ts';
import { Helper } from '../support/helper.ts';
import { ACCESS, KeePassSession } from '../support/keepassxc.ts';
import { glmToken } from '../support/program.ts';

const WAITING = /^glm-token: waiting for the keychain; unlock it if it prompts you\n/;

let display: Display;
let session: KeePassSession;
let env: Env;
before(async () => {
  display = await Display.start();
});
after(() => display.stop());
afterEach(() => session.stop());

async function start(
  databases?: Parameters<typeof KeePassSession.start>[1],
  limit = '20s',
): Promise<void> {
  session = await KeePassSession.start(display, databases);
  env = { ...session.env, GLM_TOKEN_PROMPT_TIMEOUT: limit };
}

const glm = async (args: string[], input = '') => {
  const { status, stdout, stderr } = await glmToken(args, { env, input });
  return { status, stdout, stderr: stderr.replace(WAITING, '') };
};

async function store(key = 'id.verysecret'): Promise<void> {
  const { status, stderr } = await glm(['store', '--force'], key);
  assert.equal(status, 0, stderr);
}

test('what only looks opens no window, and tells the account of a key that it may not read', async () => {
  await start();
  await store();
  const listed = await glm(['list']);
  assert.equal(listed.status, 0, listed.stderr);
  assert.match(listed.stdout, /\nopen\.bigmodel\.cn +default +\(not allowed yet\) +keychain\n$/);
  const { stdout } = await glm(['doctor', '--json']);
  const { findings } = JSON.parse(stdout) as { findings: { check: string; level: string }[] };
  const levels = findings.flatMap(({ check, level }) =>
    check === 'store' || check === 'key' ? [[check, level]] : [],
  );
  assert.deepEqual(levels, [
    ['store', 'ok'],
    ['key', 'warning'],
  ]);
  assert.deepEqual(await session.windows(), []);
});

test('a key is printed once its user allows it, and a refusal is called one', async () => {
  await start();
  await store();
  const [allowed] = await Promise.all([glm(['print']), display.press(ACCESS, 'Return')]);
  assert.equal(idOf(allowed.stdout), 'id');
  const [denied] = await Promise.all([glm(['print']), display.press(ACCESS, 'Escape')]);
  assert.equal(denied.status, 6);
  assert.match(
    denied.stderr,
    /^glm-token: the keychain's program did not allow it\nhint: try again/,
  );
  assert.deepEqual(await session.windows(), []);
});

test('a helper is allowed a key once, and what only looks then knows that', async () => {
  await start();
  await store();
  const helper = new Helper(env);
  try {
    const ask = (params = {}) => helper.request('token', params);
    const looked = await ask({ ask: false });
    assert.equal(looked.error?.data.code, 'ERR_STORE_LOCKED');
    const [first] = await Promise.all([ask(), display.press(ACCESS, 'Return')]);
    assert.ok(first.result, first.error?.message);
    assert.ok((await ask()).result);
    assert.ok((await ask({ ask: false })).result);
    assert.deepEqual(await session.windows(), []);
  } finally {
    await helper.stop();
  }
});

test('delete asks once', async () => {
  await start();
  await store();
  const [deleted] = await Promise.all([
    glm(['delete', '--force']),
    display.press(ACCESS, 'Return'),
  ]);
  assert.equal(deleted.status, 0, deleted.stderr);
  assert.equal((await glm(['print'])).status, 3);
});

test('with another database in front, a sentence says why the new key does not sign', async () => {
  await start({ first: { exposed: true }, second: { exposed: true } });
  await session.switchDatabase();
  await store('old.secret');
  await session.switchDatabase();
  const [stored] = await Promise.all([
    glm(['store', '--force'], 'new.secret'),
    display.press(ACCESS, 'Return'),
  ]);
  assert.equal(stored.status, 5);
  assert.match(
    stored.stderr,
    /^glm-token: the key was stored, but another keyring has another key/,
  );
  const listed = await glm(['list', '--json']);
  assert.equal(JSON.parse(listed.stdout).accounts.length, 1);
});

describe('a locked database', () => {
  test('opens no window for what only looks, and is unlocked when a key is needed', async () => {
    await start();
    await store();
    await session.lock();
    for (const command of ['list', 'doctor']) {
      const { status, stdout, stderr } = await glm([command]);
      assert.notEqual(status, 0);
      assert.match(stdout + stderr, /the keychain is locked; the next request asks to unlock it/);
    }
    assert.deepEqual(await session.windows(), []);
    const [printed] = await Promise.all([
      glm(['print']),
      (async () => {
        await session.answer();
        await display.press(ACCESS, 'Return');
      })(),
    ]);
    assert.equal(idOf(printed.stdout), 'id', printed.stderr);
  });

  test('whose window waits is a prompt that was not answered, not a service that is dead', async () => {
    await start(undefined, '2s');
    await store();
    await session.lock();
    const { stderr } = await glm(['print']);
    assert.match(stderr, /^glm-token: the keychain's prompt was not answered within 2 s\n/);
  });
});

test('a database that exposes nothing is no keyring: no wizard opens, and the cure is its setting', async () => {
  await start({ keys: { exposed: false } }, '2s');
  for (const command of [['store'], ['list'], ['doctor']]) {
    const { status, stdout, stderr } = await glm(command, 'id.secret');
    assert.equal(status, 5);
    assert.match(stdout + stderr, /no default keyring(.|\n)*"Expose entries under this group"/);
  }
  assert.deepEqual(await session.windows(), []);
  // A search does open its window, which leads nowhere.
  const { stderr } = await glm(['print']);
  assert.match(stderr, /^glm-token: .*no default keyring(.|\n)*"Expose entries under this group"/);
});
