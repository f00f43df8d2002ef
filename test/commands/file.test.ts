/** The encrypted file as people use it: setup, prompts, and which store is in use. */

import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { BARE_ENV, type Env, PROGRAM } from '../support/environment.ts';
import { KeychainSession } from '../support/keychain.ts';
import { type Answers, glmToken, run, runOnTerminal } from '../support/program.ts';

const KEY = '0123456789abcdef0123456789abcdef.TopSecretSecret1';
const TOKEN = /^eyJ[\w-]+\.[\w-]+\.[\w-]+\r?$/m;
const LINES = /^\(add-to-list 'load-path "/m;
const PASSPHRASE = 'correct horse 电池';

let home: string;
let directory: string;
let env: Env;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'glm-token-test-'));
  directory = join(home, '.local/share/glm-token');
  env = { ...BARE_ENV, HOME: home };
});
afterEach(() => rmSync(home, { recursive: true }));

const withPassphrase = () => {
  const file = join(home, 'passphrase');
  writeFileSync(file, `${PASSPHRASE}\n`, { mode: 0o600 });
  return { ...env, GLM_TOKEN_PASSPHRASE_FILE: file };
};

const onTerminal = (args: string[], answers: Answers, more: Env = {}) =>
  runOnTerminal([process.execPath, PROGRAM, ...args], answers, { ...env, ...more });

describe('setup without a keychain', () => {
  test('takes the key from standard input and the passphrase from a file, and uses the file from then on', async () => {
    const env = withPassphrase();
    const { status, stdout, stderr } = await glmToken(['setup'], { env, input: KEY });
    assert.equal(status, 0, stderr);
    assert.match(stdout, LINES);
    assert.match(stderr, /^glm-token: there is no keychain: .*D-Bus/);
    assert.ok(
      stderr.includes(`the key will be kept in the encrypted file (${directory}/keys.jwe)`),
    );
    assert.doesNotMatch(stdout + stderr, /TopSecret|correct/);
    assert.match((await glmToken(['print'], { env })).stdout, TOKEN);
    assert.match((await glmToken(['list'], { env })).stdout, / 0123…cdef {2}file\n/);
  });

  test('takes the passphrase from a file descriptor, which no other process can open', async () => {
    const script = 'printf %s "$KEY" | "$0" "$@" 3<"$PASSPHRASE"';
    const { GLM_TOKEN_PASSPHRASE_FILE: file } = withPassphrase();
    const { stdout } = await run(['sh', '-c', script, process.execPath, PROGRAM, 'setup'], {
      env: { ...env, KEY, PASSPHRASE: file, GLM_TOKEN_PASSPHRASE_FILE: '/dev/fd/3' },
    });
    assert.match(stdout, LINES);
  });

  test('keeps nothing without a yes, and exits 5 with the cure', async () => {
    const { status, stderr } = await glmToken(['setup'], { env, input: KEY });
    assert.equal(status, 5);
    assert.match(stderr, /^hint: with a passphrase in a file: GLM_TOKEN_PASSPHRASE_FILE=FILE /m);
    assert.equal(stderr.match(/there is no keychain/g)?.length, 1);
    assert.equal(existsSync(directory), false);
  });

  test('asks on a terminal, and then asks for a passphrase twice', async () => {
    const question = `Keep the key in the encrypted file (${directory}/keys.jwe) instead? [Y/n] `;
    const setup = ['setup', '--host=open.bigmodel.cn', '--plan=coding'];
    const no = await onTerminal(setup, [[question, 'n']]);
    assert.equal(no.status, 5, no.stdout);
    assert.match(no.stdout, /nothing was stored\r\nhint: once the keychain /);
    assert.equal(no.stdout.match(/there is no keychain/g)?.length, 1);
    assert.equal(existsSync(directory), false);

    const yes = await onTerminal(setup, [
      [question, ''],
      ['not shown): ', KEY],
      ['New passphrase for the encrypted file: ', PASSPHRASE],
      ['Repeat passphrase: ', PASSPHRASE],
      ['[Y/n] ', 'n'],
    ]);
    assert.equal(yes.status, 0, yes.stdout);
    assert.match(yes.stdout, LINES);
    assert.doesNotMatch(yes.stdout, /TopSecret|correct/, 'nothing is echoed');
    const again = await onTerminal(['print'], [['Passphrase of the encrypted file: ', PASSPHRASE]]);
    assert.match(again.stdout, TOKEN);
  });

  test('treats a keychain without a keyring as no keychain', async () => {
    const session = await KeychainSession.start({ keyring: false });
    try {
      const env = { ...withPassphrase(), ...session.env };
      const { status, stdout, stderr } = await glmToken(['setup'], { env, input: KEY });
      assert.equal(status, 0, stderr);
      assert.match(stdout, LINES);
      assert.match(
        stderr,
        /the keychain has no default keyring to keep a key in\n.*kept in the encrypted file.*\n.*stored key .* in the encrypted file/,
      );
    } finally {
      await session.stop();
    }
  });

  test('does not replace a keychain that was chosen or is locked', async () => {
    const chosen = { ...withPassphrase(), GLM_TOKEN_STORE: 'keychain' };
    assert.equal((await glmToken(['setup'], { env: chosen, input: KEY })).status, 5);
    const session = await KeychainSession.start();
    try {
      const env = { ...withPassphrase(), ...session.env, GLM_TOKEN_PROMPT_TIMEOUT: '1s' };
      await session.lock();
      assert.equal((await glmToken(['setup'], { env, input: KEY })).status, 6);
    } finally {
      await session.stop();
    }
    assert.equal(existsSync(directory), false);
  });
});

describe('prompts', () => {
  test('two different passphrases, or empty ones, store nothing after three tries', async () => {
    const twice = (first: string, second: string): Answers => [
      ['New passphrase for the encrypted file: ', first],
      ['Repeat passphrase: ', second],
    ];
    const empty: Answers = [['New passphrase for the encrypted file: ', '']];
    for (const [answers, message] of [
      [twice('one', 'two'), 'the passphrases do not match'],
      [empty, 'an empty passphrase protects nothing'],
    ] as const) {
      const { status, stdout } = await onTerminal(
        ['store', '--store', 'file'],
        [['not shown): ', KEY], ...answers, ...answers, ...answers],
      );
      assert.equal(status, 7, stdout);
      assert.equal(stdout.split(`glm-token: ${message}`).length, 4, stdout);
      assert.match(stdout, /hint: try again.*; nothing was stored/);
      assert.equal(existsSync(directory), false);
    }
  });

  test('a mistyped passphrase can be typed again', async () => {
    const { status, stdout } = await onTerminal(
      ['store', '--store', 'file'],
      [
        ['not shown): ', KEY],
        ['New passphrase for the encrypted file: ', 'one'],
        ['Repeat passphrase: ', 'two'],
        ['New passphrase for the encrypted file: ', PASSPHRASE],
        ['Repeat passphrase: ', PASSPHRASE],
      ],
    );
    assert.equal(status, 0, stdout);
    assert.match((await glmToken(['print'], { env: withPassphrase() })).stdout, TOKEN);
  });

  test('the passphrase is asked for at the terminal even when the key is piped in', async () => {
    const script = 'printf %s "$KEY" | "$0" "$@"';
    const { status, stdout } = await runOnTerminal(
      ['sh', '-c', script, process.execPath, PROGRAM, 'store', '--store', 'file'],
      [
        ['New passphrase for the encrypted file: ', PASSPHRASE],
        ['Repeat passphrase: ', PASSPHRASE],
      ],
      { ...env, KEY },
    );
    assert.equal(status, 0, stdout);
    assert.match((await glmToken(['print'], { env: withPassphrase() })).stdout, TOKEN);
  });

  test('a wrong passphrase is asked for again, the third exits 7, and Ctrl-C exits 130', async () => {
    await glmToken(['store', '--store', 'file'], { env: withPassphrase(), input: KEY });
    const prompt = 'Passphrase of the encrypted file: ';
    const again = 'Wrong passphrase. Try again: ';
    const { status, stdout } = await onTerminal(
      ['print'],
      [
        [prompt, 'wrong'],
        [again, 'wrong too'],
        [again, 'wrong as well'],
      ],
    );
    assert.equal(status, 7);
    assert.match(stdout, /wrong passphrase for the encrypted file .*\r\nhint: try again/);
    const right = await onTerminal(
      ['print'],
      [
        [prompt, 'wrong'],
        [again, PASSPHRASE],
      ],
    );
    assert.match(right.stdout, TOKEN);
    assert.equal((await onTerminal(['print'], [[prompt, '^C']])).status, 130);
  });

  test('nothing waits for a passphrase without a terminal', async () => {
    await glmToken(['store', '--store', 'file'], { env: withPassphrase(), input: KEY });
    const { status, stdout, stderr } = await glmToken(['print'], { env });
    assert.deepEqual([status, stdout], [7, '']);
    assert.match(
      stderr,
      /^glm-token: the encrypted file needs its passphrase\nhint: .*PASSPHRASE_FILE/,
    );
  });
});

describe('which store is in use', () => {
  test('is the file once there is one, unless GLM_TOKEN_STORE names the other', async () => {
    const session = await KeychainSession.start();
    try {
      const env = {
        ...session.env,
        GLM_TOKEN_PASSPHRASE_FILE: withPassphrase().GLM_TOKEN_PASSPHRASE_FILE,
      };
      const glm = (args: string[], more: Env = {}, input = '') =>
        glmToken(args, { env: { ...env, ...more }, input });
      const storesOf = async (more: Env = {}) =>
        JSON.parse((await glm(['list', '--json'], more)).stdout).accounts.map(
          ({ store }: { store: string }) => store,
        );
      await glm(['store'], {}, 'inkeychain.secret');
      assert.deepEqual(await storesOf(), ['keychain']);
      await glm(['store', '--store', 'file'], {}, 'infile.secret');
      assert.deepEqual(await storesOf(), ['file']);
      assert.deepEqual(await storesOf({ GLM_TOKEN_STORE: 'keychain' }), ['keychain']);
      const { status, stderr } = await glm(['store', '--store', 'keychain', '--force'], {}, 'x.y');
      assert.equal(status, 0);
      assert.match(
        stderr,
        /^glm-token: warning: keys are currently read from the encrypted file .*\nhint: to use the keychain .*: export GLM_TOKEN_STORE=keychain$/m,
      );
    } finally {
      await session.stop();
    }
  });

  test('is the keychain again after the last key in the file was deleted', async () => {
    const session = await KeychainSession.start();
    try {
      const env = {
        ...session.env,
        GLM_TOKEN_PASSPHRASE_FILE: withPassphrase().GLM_TOKEN_PASSPHRASE_FILE,
      };
      const glm = (args: string[], input = '') => glmToken(args, { env, input });
      const files = () => readdirSync(join(session.home, '.local/share/glm-token'));
      await glm(['store'], 'inkeychain.secret');
      await glm(['store', '--store=file'], 'infile.secret');
      await glm(['store', '--profile=work'], 'work.secret');
      const first = await glm(['delete', '--force', '--profile=work']);
      assert.equal(first.status, 0);
      assert.doesNotMatch(first.stderr, /last key/);
      assert.deepEqual(files(), ['keys.jwe']);

      const last = await glm(['delete', '--force']);
      assert.equal(last.status, 0);
      assert.deepEqual(last.stderr.split('\n').slice(1), [
        'glm-token: that was its last key, so the file was removed; keys go to the keychain (Secret Service) from now on',
        '',
      ]);
      assert.deepEqual(files(), []);
      const { accounts } = JSON.parse((await glm(['list', '--json'])).stdout);
      assert.deepEqual(
        accounts.map(({ store, id }: { store: string; id: string }) => [store, id]),
        [['keychain', 'in…']],
      );
      assert.equal((await glm(['print'])).status, 0);
    } finally {
      await session.stop();
    }
  });

  test('is never the file in silence because the keychain fails', async () => {
    const { status } = await glmToken(['print'], { env: withPassphrase() });
    assert.equal(status, 5);
  });

  test('exits 2 for a store that does not exist', async () => {
    const { status, stderr } = await glmToken(['print'], { env: { ...env, GLM_TOKEN_STORE: 'x' } });
    assert.equal(status, 2);
    assert.match(
      stderr,
      /^glm-token: GLM_TOKEN_STORE: "x" is not a store\nhint: use one of: keychain, file/,
    );
    assert.equal((await glmToken(['store', '--store', 'x'], { env })).status, 2);
  });
});
