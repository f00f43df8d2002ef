import assert from 'node:assert/strict';
import { test } from 'node:test';
import { asGlmTokenError, EXIT_STATUS, GlmTokenError } from '../../src/core/errors.ts';
import { toResponseError } from '../../src/daemon/protocol.ts';
import { found, ROOT } from '../support/environment.ts';
import { run } from '../support/program.ts';

test('exit statuses are part of the contract and never renumbered', () => {
  assert.deepEqual(EXIT_STATUS, {
    ERR_INTERNAL: 1,
    ERR_USAGE: 2,
    ERR_KEY_NOT_FOUND: 3,
    ERR_KEY_MALFORMED: 4,
    ERR_STORE_UNAVAILABLE: 5,
    ERR_STORE_LOCKED: 6,
    ERR_PASSPHRASE: 7,
    ERR_STORE_CORRUPT: 8,
    ERR_DAEMON: 9,
    ERR_NETWORK: 10,
  });
});

test('Emacs knows every code, in the order of its exit status', async () => {
  const form = '(princ (mapconcat #\'car glm-gptel-auth--cures " "))';
  for (const emacs of found.emacs) {
    const { stdout } = await run([
      ...[emacs, '-Q', '--batch', '-L', `${ROOT}/elisp`],
      ...['-l', 'glm-gptel-auth', '--eval', form],
    ]);
    assert.equal(stdout, Object.keys(EXIT_STATUS).join(' '));
  }
});

test('the wire carries code and hint, and a number in the range of servers', () => {
  for (const [code, status] of Object.entries(EXIT_STATUS)) {
    const error = new GlmTokenError(code as keyof typeof EXIT_STATUS, 'what', 'cure');
    const { code: number, message, data } = toResponseError(error);
    assert.deepEqual([message, data], ['what', { code, hint: 'cure' }]);
    assert.equal(number, code === 'ERR_USAGE' ? -32602 : -32000 - status);
  }
});

test('an unexpected error is a bug and says so', () => {
  const { code, message, hint } = asGlmTokenError(new TypeError('x is not a function'));
  assert.equal(code, 'ERR_INTERNAL');
  assert.equal(message, 'unexpected error: x is not a function');
  assert.match(hint ?? '', /report/);
});
