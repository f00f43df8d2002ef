import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  asGlmTokenError,
  EXIT_STATUS,
  FAILURES,
  GlmTokenError,
  hasCode,
} from '../../src/core/errors.ts';
import { toResponseError } from '../../src/daemon/protocol.ts';
import { oneHint } from '../../src/messages/common.ts';
import { english } from '../../src/messages/en.ts';
import { CURES } from '../../src/stores/cure.ts';
import { emacsCommand } from '../support/emacs.ts';
import { found, only } from '../support/environment.ts';
import { FAILURE_SAMPLES } from '../support/failures.ts';
import { run } from '../support/program.ts';

const messages = english('glm-token');

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

test('every code has a failure that carries it', () => {
  const codes = new Set(Object.values(FAILURES).map(({ code }) => code));
  assert.deepEqual([...codes].sort(), Object.keys(EXIT_STATUS).sort());
});

test('Emacs has a command for each action, and for no code', only('linux', 'darwin'), async () => {
  const form = '(princ (mapconcat #\'car glm-gptel-auth--commands " "))';
  for (const emacs of found.emacs) {
    const command = [...emacsCommand(emacs), '-l', 'glm-gptel-auth', '--eval', form];
    const { stdout, stderr } = await run(command);
    assert.deepEqual(stdout.split(' ').sort(), [...CURES].sort(), stderr);
  }
});

test('the wire carries code, message, hint and action, and a number in the range of servers', () => {
  for (const error of FAILURE_SAMPLES) {
    const text = messages.describe(error);
    const { message } = text;
    const hint = oneHint(text) ?? null;
    const sent = toResponseError(error, null, messages, undefined);
    const { code: number, data } = sent;
    assert.deepEqual([sent.message, data], [message, { code: error.code, hint, action: null }]);
    const usage = error.reason === 'methodUnknown' ? -32601 : -32602;
    assert.equal(number, error.code === 'ERR_USAGE' ? usage : -32000 - EXIT_STATUS[error.code]);
  }
});

test('an unexpected error is a bug and says so', () => {
  const error = asGlmTokenError(new TypeError('x is not a function'));
  assert.equal(error.code, 'ERR_INTERNAL');
  assert.deepEqual(messages.describe(error), {
    message: 'unexpected error: x is not a function',
    hint: 'this is a bug in glm-token; please report it with the output of: glm-token doctor --json',
  });
  assert.equal(asGlmTokenError('thrown text').code, 'ERR_INTERNAL');
});

test('an error of ours stays the same, and keeps its cause', () => {
  const cause = new Error('why');
  const error = new GlmTokenError('keychainLocked', undefined, cause);
  assert.equal(asGlmTokenError(error), error);
  assert.equal(error.cause, cause);
  assert.equal(hasCode(error, 'ERR_STORE_LOCKED'), true);
  assert.equal(hasCode(error, 'ERR_USAGE'), false);
  assert.equal(hasCode(cause, 'ERR_INTERNAL'), false);
});
