/** KWallet as the keychain: the first use of a session, an open wallet, a closed one, a crippled one. */

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { isStuck, keychainStore } from '../../src/stores/keychain.ts';
import { SecretService } from '../../src/stores/secret-service.ts';
import { Display } from '../support/display.ts';
import type { Env } from '../support/environment.ts';
import { KWALLET, KWalletSession } from '../support/kwallet.ts';
import { glmToken, type Outcome } from '../support/program.ts';
import { ACCOUNTS, storeContract } from '../support/store-contract.ts';

const [account] = ACCOUNTS;
const TOKEN = /^eyJ[\w-]+\.[\w-]+\.[\w-]+\n$/;

/** The program's texts, with no other process's in them. */
const said = ({ status, stdout, stderr }: Outcome) => ({ status, stdout, stderr });

describe('the store', () => {
  let session: KWalletSession;
  before(async () => {
    session = await KWalletSession.start();
    // keytar finds its session bus in the environment of this very process.
    process.env.DBUS_SESSION_BUS_ADDRESS = session.env.DBUS_SESSION_BUS_ADDRESS;
  });
  after(() => session.stop());
  const open = (promptTimeoutMs = 10_000) =>
    keychainStore({
      platform: 'linux',
      env: session.env,
      promptTimeoutMs,
      onWaiting: () => {},
    });

  const look = (attributes = {}) =>
    new SecretService(session.env).look({ service: 'glm-token', ...attributes });

  describe('of a wallet that is called locked until someone asks for it', () => {
    before(async () => assert.equal((await look()).target?.isLocked, true));
    storeContract(open);
  });

  describe('of an open wallet', () => {
    before(async () => {
      assert.equal((await look()).target?.isLocked, false);
      for (const stored of await open().list()) await open().delete(stored.account);
    });
    storeContract(open);
  });

  test('is read over D-Bus as keytar wrote it', async () => {
    await open().set({ host: 'api.z.ai', profile: 'plain' }, 'id.sécrèt');
    const { items } = await look({ account: 'plain@api.z.ai' });
    assert.equal(items.length, 1);
    assert.equal(items[0] && (await new SecretService(session.env).read(items[0])), 'id.sécrèt');
    assert.equal(await open().delete({ host: 'api.z.ai', profile: 'plain' }), true);
  });

  test('of a closed wallet is locked, and what only looks asks nobody to open it', async () => {
    await session.close();
    const store = open(300);
    const unanswered = { code: 'ERR_STORE_LOCKED', reason: 'keychainPromptUnanswered' };
    const asksLater = { code: 'ERR_STORE_LOCKED', reason: 'keychainAsksLater' };
    await assert.rejects(store.list(), asksLater);
    await assert.rejects(store.get(account, { mayAsk: false }), asksLater);
    await assert.rejects(store.set(account, 'x.y'), unanswered);
    await assert.rejects(store.delete(account), unanswered);
    await assert.rejects(store.get({ ...account, profile: 'none' }), unanswered);
    assert.equal(isStuck(), false);
  });
});

describe('the program', () => {
  let display: Display;
  let session: KWalletSession;
  let env: Env;
  before(async () => {
    display = await Display.start();
    session = await KWalletSession.start(display);
    env = { ...session.env, GLM_TOKEN_PROMPT_TIMEOUT: '10s' };
  });
  after(async () => {
    await session.stop();
    await display.stop();
  });

  const store = () => glmToken(['store'], { env, input: 'id.verysecret' });

  test('stores, prints, lists and deletes, each as the first use of a session', async () => {
    assert.equal((await store()).status, 0);
    await session.logIn();
    assert.match((await glmToken(['print'], { env })).stdout, TOKEN);
    await session.logIn();
    assert.match((await glmToken(['list'], { env })).stdout, /default +id… +keychain\n$/);
    await session.logIn();
    assert.match((await glmToken(['print', '--profile=none'], { env })).stderr, /no key is stored/);
    await session.logIn();
    assert.equal((await glmToken(['delete', '--force'], { env })).status, 0);
    assert.equal((await glmToken(['print'], { env })).status, 3);
  });

  test('with a closed wallet looks without a window, and asks when a key is needed', async () => {
    assert.equal((await store()).status, 0);
    await session.close();
    const { status, stderr } = await glmToken(['list'], { env });
    assert.equal(status, 6);
    assert.match(
      stderr,
      /^glm-token: the keychain is locked; the next request asks to unlock it\n/,
    );
    assert.equal(await display.shows(KWALLET), false);

    const [printed] = await Promise.all([glmToken(['print'], { env }), session.answer()]);
    assert.match(printed.stdout, TOKEN);
    await session.close();
    const stored = { env, input: 'id.verysecret' };
    const [saved] = await Promise.all([
      glmToken(['store', '--profile=new'], stored),
      session.answer(),
    ]);
    assert.equal(saved.status, 0, saved.stderr);
    assert.match((await glmToken(['list'], { env })).stdout, /new +id… /);
  });

  test('says of a KWallet without its plugin for cryptography that it hands out no keys', async () => {
    await session.logIn({ withoutCrypto: true });
    for (const command of [['list'], ['print'], ['store'], ['delete', '--force']]) {
      const outcome = said(await glmToken(command, { env, input: 'id.verysecret' }));
      assert.equal(outcome.status, 5);
      assert.match(
        outcome.stderr,
        /^glm-token: the keychain service answers, but does not hand out keys: createDLGroup failed.*\nhint: on KDE, install the OpenSSL plugin of QCA .*libqca-qt/,
      );
    }
    const { status, stdout } = await glmToken(['doctor'], { env });
    assert.equal(status, 5);
    assert.match(
      stdout,
      /^failure +store +the keychain service answers, but does not hand out keys/m,
    );
  });
});
