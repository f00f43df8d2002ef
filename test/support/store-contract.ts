/** The contract that every store keeps. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StoredAccount, WritableStore } from '../../src/stores/port.ts';

export const ACCOUNTS = [
  { host: 'open.bigmodel.cn', profile: 'default' },
  { host: 'open.bigmodel.cn', profile: 'work' },
  { host: 'api.z.ai', profile: '我的 a/b@c' },
] as const;

export const keyText = (n: number) => `${n}123456789abcdef.sécrèt${n}`;

/** What `list` gives for {@link keyText}, in the order of accounts. */
const listing = (stored: readonly StoredAccount[]) =>
  stored.map((entry) => JSON.stringify(entry, ['account', 'host', 'profile', 'id'])).sort();

/** Checks that a listing has shortened ids and nothing else of a key. */
export function assertNoKeyIn(stored: readonly StoredAccount[]) {
  assert.doesNotMatch(JSON.stringify(stored), /crèt|123456789abcdef/);
  for (const entry of stored) assert.deepEqual(Object.keys(entry), ['account', 'id']);
}

/**
 * Tests a store that is empty, and leaves two keys in it.
 *
 * @param open opens the store; called anew for each test
 */
export function storeContract(open: () => WritableStore) {
  const [first, second, third] = ACCOUNTS;

  test('a key that is not stored is undefined, cannot be deleted and is not listed', async () => {
    const store = open();
    assert.equal(await store.get(first), undefined);
    assert.equal(await store.delete(first), false);
    assert.deepEqual(await store.list(), []);
  });

  test('a key comes back as it was stored, for its account alone', async () => {
    const store = open();
    for (const [n, account] of ACCOUNTS.entries()) await store.set(account, keyText(n));
    for (const [n, account] of ACCOUNTS.entries()) {
      assert.equal(await store.get(account), keyText(n));
    }
    assert.equal(await store.get({ ...first, host: 'api.z.ai' }), undefined);
  });

  test('another opening of the store sees the same keys', async () => {
    assert.equal(await open().get(second), keyText(1));
  });

  test('list gives each account once, with a shortened id and no secret', async () => {
    const stored = await open().list();
    const expected = ACCOUNTS.map((account, n) => ({ account, id: `${n}123…cdef` }));
    assert.deepEqual(listing(stored), listing(expected));
    assertNoKeyIn(stored);
  });

  test('list gives no id for what is not a key', async () => {
    const store = open();
    await store.set(third, 'sécrèt');
    const stored = (await store.list()).filter(({ account }) => account.host === third.host);
    assert.deepEqual(stored, [{ account: third, id: undefined }]);
  });

  test('set replaces a key, and delete removes one', async () => {
    const store = open();
    await store.set(first, 'new.key');
    assert.equal(await store.get(first), 'new.key');
    assert.equal(await store.delete(third), true);
    assert.equal(await store.delete(third), false);
    assert.equal(await store.get(third), undefined);
    assert.equal((await store.list()).length, 2);
  });
}
