/** What cures a failure: for every failure that there is, and for each that a client may do. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GlmTokenError, ReportedError } from '../../src/core/errors.ts';
import { meaningOf } from '../../src/service/error-codes.ts';
import { type Allowed, cureFor } from '../../src/stores/cure.ts';
import type { KeyOrigin } from '../../src/stores/port.ts';
import { FAILURE_SAMPLES } from '../support/failures.ts';

const cures = (allowed: Allowed) =>
  Object.fromEntries(
    FAILURE_SAMPLES.map((error) => [error.reason, cureFor(error, allowed)]).filter(
      ([, cure]) => cure !== null,
    ),
  );

const TO_UNLOCK = { passphraseNeeded: 'unlock', passphraseWrong: 'unlock' };

test('a key is stored, a file unlocked or begun, and nothing else is offered', () => {
  assert.deepEqual(cures({ mayWrite: true, mayBeginFile: () => true }), {
    ...TO_UNLOCK,
    keyNotFound: 'store',
    noKeyYet: 'store',
    tokenRefused: 'store',
    keychainMissing: 'file',
    keychainLibraryMissing: 'file',
    keyringMissing: 'file',
  });
});

test('no encrypted file is begun where the keychain is not in use', () => {
  const found = cures({ mayWrite: true, mayBeginFile: () => false });
  assert.deepEqual(found, {
    ...TO_UNLOCK,
    keyNotFound: 'store',
    noKeyYet: 'store',
    tokenRefused: 'store',
  });
});

test('where nothing may be written, only what is there can be unlocked', () => {
  assert.deepEqual(cures({ mayWrite: false, mayBeginFile: () => true }), TO_UNLOCK);
});

test('a helper on a socket has decided already', () => {
  const reported = { code: 'ERR_KEY_NOT_FOUND', message: 'no key', hint: undefined } as const;
  const all = { mayWrite: true, mayBeginFile: () => true };
  for (const action of ['store', null] as const) {
    assert.equal(cureFor(new ReportedError({ ...reported, action }), all), action);
  }
  const wrapped = new GlmTokenError('keyNotKept', {
    account: { host: 'api.z.ai', profile: 'default' },
    problem: new GlmTokenError('keychainMissing', { hasBus: false }),
  });
  assert.equal(cureFor(wrapped, all), null);
});

test('storing the key again cures that it was refused, where it is in a store', () => {
  const cureOf = (serviceCode: string, origin: KeyOrigin) => {
    const account = { host: 'api.z.ai', profile: 'default' };
    const fault = meaningOf(serviceCode)?.fault;
    const params = { account, origin, status: 401, serviceCode, fault };
    const allowed = { mayWrite: true, mayBeginFile: () => true };
    return cureFor(new GlmTokenError('tokenRefused', params), allowed);
  };
  const codes = ['1000', '1001', '1002', '1003', '1004', '401', '1113', '1301', '1302', '1309'];
  const curedBy = (name: 'store' | 'doctor', origin: KeyOrigin) =>
    codes.filter((code) => cureOf(code, origin) === name);
  const keychain = { name: 'keychain', place: 'Secret Service' } as const;
  assert.deepEqual(curedBy('store', keychain), ['1000', '1004', '401']);
  assert.deepEqual(curedBy('doctor', keychain), ['1003']);
  assert.deepEqual(curedBy('store', { name: 'environment', place: '' }), []);
});
