/** One contract, run against every adapter; KWallet has it run in kwallet.window.test.ts. */

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { environmentStore } from '../../src/stores/environment.ts';
import { fileStore } from '../../src/stores/file.ts';
import { keychainStore } from '../../src/stores/keychain.ts';
import { privateDirectory } from '../../src/stores/private-directory.ts';
import { KeychainSession } from '../support/keychain.ts';
import { ACCOUNTS, assertNoKeyIn, keyText, storeContract } from '../support/store-contract.ts';

describe('keychain', () => {
  let session: KeychainSession;
  before(async () => {
    session = await KeychainSession.start();
    // keytar finds its session bus in the environment of this very process.
    process.env.DBUS_SESSION_BUS_ADDRESS = session.env.DBUS_SESSION_BUS_ADDRESS;
  });
  after(() => session.stop());
  storeContract(() => keychainStore({ platform: 'linux', env: session.env, timeoutMs: 10_000 }));
});

describe('file', () => {
  const home = mkdtempSync(join(tmpdir(), 'glm-token-test-'));
  after(() => rmSync(home, { recursive: true }));
  const directory = privateDirectory({
    path: join(home, 'keys'),
    uid: process.getuid?.(),
    onMended: (path) => assert.fail(path),
  });
  const askPassphrase = async () => 'the passphrase';
  storeContract(() => fileStore({ directory, askPassphrase, rounds: 1000, now: Date.now }));
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
    await assert.rejects(store.set(owner, 'a.b'), refusal);
    await assert.rejects(store.delete(owner), refusal);
    assert.equal(await store.delete({ ...owner, profile: 'work' }), false);
  });
});
