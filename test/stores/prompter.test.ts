/** gnome-keyring and the windows in which it asks its user, answered as a person would. */

import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { Display } from '../support/display.ts';
import type { Env } from '../support/environment.ts';
import { Helper } from '../support/helper.ts';
import { KeychainSession, PASSWORD } from '../support/keychain.ts';
import { glmToken, type Outcome } from '../support/program.ts';

/** The program that shows gnome-keyring's prompts. */
const PROMPTER = 'gcr-prompter';

const TOKEN = /^eyJ[\w-]+\.[\w-]+\.[\w-]+\n$/;
const WAITING = 'glm-token: waiting for the keychain; unlock it if it prompts you\n';

let display: Display;
let session: KeychainSession;
let env: Env;
before(async () => {
  display = await Display.start();
});
after(() => display.stop());
afterEach(() => session.stop());

/** Starts a session in which the program waits so long for an answer. */
async function start(limit: string, options: { keyring?: boolean } = {}): Promise<void> {
  session = await KeychainSession.start({ ...options, display });
  env = { ...session.env, GLM_TOKEN_PROMPT_TIMEOUT: limit };
}

const store = (profile: string) =>
  glmToken(['store', `--profile=${profile}`], { env, input: 'id.verysecret' });

/** Runs the program, and meanwhile does something with its window. */
async function meanwhile(program: Promise<Outcome>, act: Promise<void>): Promise<Outcome> {
  const [outcome] = await Promise.all([program, act]);
  return outcome;
}

describe('where there is no keyring', () => {
  beforeEach(() => start('10s', { keyring: false }));

  test('store has one made, and the key is in it', async () => {
    const { status, stderr } = await meanwhile(
      store('a'),
      display.answer(PROMPTER, PASSWORD, PASSWORD),
    );
    assert.equal(status, 0, stderr);
    assert.match((await glmToken(['print', '--profile=a'], { env })).stdout, TOKEN);
  });

  test('store exits 5 when its user wants none, and names the ways out', async () => {
    const { status, stderr } = await meanwhile(store('a'), display.cancel(PROMPTER));
    assert.equal(status, 5);
    assert.match(
      stderr.replace(WAITING, ''),
      /^glm-token: the keychain has no default keyring to keep a key in\nhint: create one .*--store file --profile a\n$/,
    );
  });
});

describe('with a locked keyring', () => {
  beforeEach(async () => {
    await start('10s');
    assert.equal((await store('a')).status, 0);
    await session.lock();
  });

  test('print, store and delete each have it unlocked', async () => {
    for (const command of [
      ['print', '--profile=a'],
      ['store', '--profile=b'],
      ['delete', '--profile=b', '--force'],
    ]) {
      const { status, stderr } = await meanwhile(
        glmToken(command, { env, input: 'id.verysecret' }),
        display.answer(PROMPTER, PASSWORD),
      );
      assert.equal(status, 0, `${command}: ${stderr}`);
      await session.lock();
    }
  });

  test('six requests to the helper at once are one prompt, whether it is cancelled or answered', async () => {
    const helper = new Helper(env);
    try {
      for (const act of ['cancel', 'answer'] as const) {
        const asked = Array.from({ length: 6 }, () => helper.request('token', { profile: 'a' }));
        await display[act](PROMPTER, PASSWORD);
        const startedAt = performance.now();
        const replies = await Promise.all(asked);
        assert.ok(performance.now() - startedAt < 5000, 'each was answered with the first');
        assert.equal(new Set(replies.map(({ error }) => error?.data.code)).size, 1);
        assert.equal(await display.shows(PROMPTER), false);
      }
    } finally {
      await helper.stop();
    }
  });

  test('a prompt that is cancelled is not shown again, and the exit status is 6', async () => {
    for (const command of [
      ['print', '--profile=a'],
      ['print', '--profile=none'],
      ['store', '--profile=b'],
    ]) {
      const { status, signal, stdout, stderr } = await meanwhile(
        glmToken(command, { env, input: 'id.verysecret' }),
        display.cancel(PROMPTER),
      );
      assert.deepEqual([status, signal, stdout], [6, null, ''], `${command}: ${stderr}`);
      assert.match(stderr.replace(WAITING, ''), /^glm-token: the keychain is locked\nhint: unlock/);
      assert.equal(await display.shows(PROMPTER), false);
    }
  });

  test('what only looks shows no window, and says that a request will ask', async () => {
    const listed = await glmToken(['list'], { env });
    assert.equal(listed.status, 6);
    assert.match(
      listed.stderr,
      /^glm-token: the keychain is locked; the next request asks to unlock it\nhint: .* print\n$/,
    );
    const { stdout } = await glmToken(['doctor', '--json'], { env });
    const findings: { check: string }[] = JSON.parse(stdout).findings;
    const found = findings.filter(({ check }) => check === 'store' || check === 'key');
    assert.deepEqual(found, [
      {
        check: 'store',
        level: 'warning',
        message: 'the keychain is locked; the next request asks to unlock it',
        hint: found[0] && 'hint' in found[0] ? found[0].hint : undefined,
        code: 'ERR_STORE_LOCKED',
      },
    ]);
    assert.equal(await display.shows(PROMPTER), false);
  });
});

describe('a prompt that is left alone', () => {
  beforeEach(async () => {
    await start('2s');
    assert.equal((await store('a')).status, 0);
    await session.lock();
  });

  test('is given up in time, and the process ends with status 6', async () => {
    const { status, signal, stdout, stderr } = await store('b');
    assert.deepEqual([status, signal, stdout], [6, null, '']);
    assert.match(
      stderr,
      new RegExp(`^${WAITING}glm-token: the keychain's prompt was not answered within 2 s\n`),
    );
    // Its window stays, and an answer to it is not lost.
    const { status: later } = await meanwhile(store('b'), display.answer(PROMPTER, PASSWORD));
    assert.equal(later, 0);
  });

  test('is given up by the helper again and again, and works once it is answered', async () => {
    const helper = new Helper(env);
    try {
      const code = async (method: string) =>
        (await helper.request(method, { profile: 'a' })).error?.data.code;
      assert.equal(await code('accounts'), 'ERR_STORE_LOCKED');
      assert.equal(await display.shows(PROMPTER), false);
      // keytar's call first, which cannot be called off; then one over D-Bus, which can.
      for (let n = 0; n < 2; n += 1) assert.equal(await code('token'), 'ERR_STORE_LOCKED');
      const [{ result }] = await Promise.all([
        helper.request('token', { profile: 'a' }),
        display.answer(PROMPTER, PASSWORD),
      ]);
      assert.match(`${result?.token}\n`, TOKEN);
    } finally {
      await helper.stop();
    }
  });
});

test('a prompter that has no screen counts as nobody: exit 6 at once', async () => {
  session = await KeychainSession.start({ prompter: true });
  env = session.env; // With the limit that users have, a minute.
  assert.equal((await store('a')).status, 0);
  await session.lock();
  const startedAt = performance.now();
  for (const command of [['print', '--profile=a'], ['print', '--profile=none'], ['store']]) {
    const { status, stderr } = await glmToken(command, { env, input: 'id.verysecret' });
    assert.equal(status, 6);
    assert.match(stderr, /^glm-token: the keychain is locked\nhint: unlock it /);
  }
  assert.ok(performance.now() - startedAt < 20_000);
});
