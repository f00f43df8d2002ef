/** One contract, run against every adapter; the keychain is a real gnome-keyring. */

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { parseAccount } from '../../src/core/account.ts';
import { environmentStore } from '../../src/stores/environment.ts';
import { fileStore } from '../../src/stores/file.ts';
import { privateFolder } from '../../src/stores/folder.ts';
import { keychainStore } from '../../src/stores/keychain.ts';
import type { Store } from '../../src/stores/store.ts';
import { KeychainSession } from '../support/keychain.ts';

const ACCOUNTS = [
  parseAccount('open.bigmodel.cn', 'default'),
  parseAccount('open.bigmodel.cn', 'work'),
  parseAccount('api.z.ai', '我的 a/b@c'),
] as const;

function storeContract(open: () => Store) {
  const [first, second, third] = ACCOUNTS;

  test('what is not there is undefined, false, and not listed', async () => {
    const store = open();
    assert.equal(await store.get(first), undefined);
    assert.equal(await store.delete(first), false);
    assert.deepEqual(await store.list(), []);
  });

  test('a key comes back as it was stored, for its account alone', async () => {
    const store = open();
    for (const [n, account] of ACCOUNTS.entries()) await store.set(account, `id${n}.sécrèt${n}`);
    for (const [n, account] of ACCOUNTS.entries()) {
      assert.equal(await store.get(account), `id${n}.sécrèt${n}`);
    }
    assert.equal(await store.get({ ...first, host: 'api.z.ai' }), undefined);
  });

  test('another opening of the store sees the same keys', async () => {
    assert.equal(await open().get(second), 'id1.sécrèt1');
  });

  test('list has each account once', async () => {
    const listed = await open().list();
    assert.deepEqual(
      new Set(listed.map(({ account, text }) => JSON.stringify({ ...account, text }))),
      new Set(
        ACCOUNTS.map((account, n) => JSON.stringify({ ...account, text: `id${n}.sécrèt${n}` })),
      ),
    );
    assert.equal(listed.length, ACCOUNTS.length);
  });

  test('set replaces, and delete removes one', async () => {
    const store = open();
    await store.set(first, 'new.key');
    assert.equal(await store.get(first), 'new.key');
    assert.equal(await store.delete(third), true);
    assert.equal(await store.delete(third), false);
    assert.equal(await store.get(third), undefined);
    assert.equal((await store.list()).length, 2);
  });
}

describe('keychain', () => {
  let session: KeychainSession;
  before(async () => {
    session = await KeychainSession.start();
    // keytar finds its session bus in the environment of this very process.
    process.env.DBUS_SESSION_BUS_ADDRESS = session.env.DBUS_SESSION_BUS_ADDRESS;
  });
  after(() => session.stop());
  storeContract(() => keychainStore({ platform: 'linux', env: session.env }));
});

describe('file', () => {
  const home = mkdtempSync(join(tmpdir(), 'glm-token-test-'));
  after(() => rmSync(home, { recursive: true }));
  const note = (line: string) => assert.fail(line);
  const folder = privateFolder({ path: join(home, 'keys'), uid: process.getuid?.(), note });
  const askPassphrase = async () => 'the passphrase';
  storeContract(() => fileStore({ folder, askPassphrase, now: Date.now }));
});

describe('environment', () => {
  const owner = ACCOUNTS[0];
  const store = environmentStore('id.secret', owner);

  test('its key is for one account alone', async () => {
    assert.equal(await store.get({ ...owner }), 'id.secret');
    assert.equal(await store.get({ ...owner, host: 'api.z.ai' }), undefined);
    assert.equal(await store.get({ ...owner, profile: 'work' }), undefined);
    assert.deepEqual(await store.list(), [{ account: owner, text: 'id.secret' }]);
  });

  test('it cannot be written, and says what to do', async () => {
    await assert.rejects(store.set(owner, 'a.b'), { code: 'ERR_USAGE', hint: /unset GLM_API_KEY/ });
    await assert.rejects(store.delete(owner), { code: 'ERR_USAGE' });
    assert.equal(await store.delete({ ...owner, profile: 'work' }), false);
  });
});
