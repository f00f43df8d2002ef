/** One contract, run against every adapter; KWallet has it run in kwallet.alone.test.ts. */

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { environmentStore } from '../../src/stores/environment.ts';
import { keychainStore } from '../../src/stores/keychain.ts';
import { idOf } from '../support/claims.ts';
import { glmToken } from '../support/program.ts';
import { ACCOUNTS, assertNoKeyIn, keyText, storeContract } from '../support/store-contract.ts';
import { openFile } from '../support/stores.ts';
import { openSystemKeychain, type SystemKeychain } from '../support/system-keychain.ts';

describe('keychain', () => {
  let keychain: SystemKeychain;
  const open = () => {
    const world = {
      platform: process.platform,
      env: keychain.env,
      promptTimeoutMs: 10_000,
      onWaiting: () => {},
    };
    // Not one that begins like the program's own: Windows looks for what begins with a name.
    return keychainStore(world, `test of glm-token ${process.pid}`);
  };
  before(async () => {
    keychain = await openSystemKeychain();
    // keytar finds its session bus in the environment of this very process.
    const { DBUS_SESSION_BUS_ADDRESS } = keychain.env;
    if (DBUS_SESSION_BUS_ADDRESS) Object.assign(process.env, { DBUS_SESSION_BUS_ADDRESS });
  });
  after(async () => {
    for (const { account } of await open().list()) await open().delete(account);
    await keychain.stop();
  });
  storeContract(open);

  test('the program stores a key in it, signs with it and deletes it', async () => {
    const account = ['--host', `${randomUUID()}.invalid`, '--profile', '测试'];
    const glm = (args: string[], input = '') =>
      glmToken([...args, ...account], { env: keychain.env, input });
    try {
      const stored = await glm(['store'], keyText(1));
      assert.equal(stored.status, 0, stored.stderr);
      const printed = await glm(['print']);
      assert.match(printed.stdout, /^eyJ[\w-]+\.[\w-]+\.[\w-]+\n$/, printed.stderr);
      assert.equal(idOf(printed.stdout), '1123456789abcdef');
    } finally {
      assert.equal((await glm(['delete', '--force'])).status, 0);
    }
    assert.equal((await glm(['print'])).status, 3);
  });
});

describe('file', () => {
  const home = mkdtempSync(join(tmpdir(), 'glm-token-test-'));
  after(() => rmSync(home, { recursive: true }));
  const askPassphrase = async () => 'the passphrase';
  storeContract(() => openFile(join(home, 'keys'), { askPassphrase }));
});

describe('environment', () => {
  const owner = ACCOUNTS[0];
  const store = environmentStore(keyText(0), owner);

  test('its key is for one account alone', async () => {
    assert.equal(await store.get({ ...owner }), keyText(0));
    assert.equal(await store.get({ ...owner, host: 'api.z.ai' }), undefined);
    assert.equal(await store.get({ ...owner, profile: 'work' }), undefined);
  });

  test('list gives its account, with a shortened id and no secret', async () => {
    const stored = await store.list();
    assert.deepEqual(stored, [{ account: owner, id: '0123…cdef' }]);
    assertNoKeyIn(stored);
    assert.deepEqual(await environmentStore('sécrèt', owner).list(), [
      { account: owner, id: undefined },
    ]);
  });

  test('it cannot be written', async () => {
    const refusal = { code: 'ERR_USAGE', reason: 'environmentIsReadOnly' };
    await assert.rejects(store.delete(owner), refusal);
    assert.equal(await store.delete({ ...owner, profile: 'work' }), false);
  });
});
