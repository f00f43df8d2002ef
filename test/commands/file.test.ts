/** The encrypted file as people meet it: setup, prompts, and which store is in use. */

import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { BARE_ENV, type Env, PROGRAM } from '../support/environment.ts';
import { KeychainSession } from '../support/keychain.ts';
import { type Answers, glmToken, run, runOnTerminal } from '../support/program.ts';

const KEY = '0123456789abcdef0123456789abcdef.TopSecretSecret1';
const TOKEN = /^eyJ[\w-]+\.[\w-]+\.[\w-]+\r?$/m;
const PASSPHRASE = 'correct horse 电池';

let home: string;
let folder: string;
let env: Env;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'glm-token-test-'));
  folder = join(home, '.local/share/glm-token');
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

describe('setup where no keychain answers', () => {
  test('key on standard input, passphrase from a file: a token, and the file from then on', async () => {
    const env = withPassphrase();
    const { status, stdout, stderr } = await glmToken(['setup'], { env, input: KEY });
    assert.equal(status, 0, stderr);
    assert.match(stdout, TOKEN);
    assert.match(stderr, /there is no keychain to talk to: .*D-Bus/);
    assert.ok(stderr.includes(`the key will be kept in the encrypted file (${folder})`));
    assert.doesNotMatch(stdout + stderr, /TopSecret|correct/);
    assert.match((await glmToken(['print'], { env })).stdout, TOKEN);
    assert.match((await glmToken(['list'], { env })).stdout, / 0123…cdef {2}file\n/);
  });

  test('from a file descriptor, which no other process can open', async () => {
    const script = 'printf %s "$KEY" | "$0" "$@" 3<"$PASSPHRASE"';
    const { GLM_TOKEN_PASSPHRASE_FILE: file } = withPassphrase();
    const { stdout } = await run(['sh', '-c', script, process.execPath, PROGRAM, 'setup'], {
      env: { ...env, KEY, PASSPHRASE: file, GLM_TOKEN_PASSPHRASE_FILE: '/dev/fd/3' },
    });
    assert.match(stdout, TOKEN);
  });

  test('without a yes nothing is kept: exit 5 and the cure', async () => {
    const { status, stderr } = await glmToken(['setup'], { env, input: KEY });
    assert.equal(status, 5);
    assert.match(stderr, /hint: .*glm-token store --store file\n$/);
    assert.equal(stderr.match(/no keychain to talk to/g)?.length, 1);
    assert.equal(existsSync(folder), false);
  });

  test('on a terminal it asks, and then for a passphrase twice', async () => {
    const question = `keep the key in the encrypted file (${folder}) instead? [y/N] `;
    const no = await onTerminal(['setup'], [[question, '']]);
    assert.equal(no.status, 2, no.stdout);
    assert.equal(existsSync(folder), false);

    const yes = await onTerminal(
      ['setup'],
      [
        [question, 'y'],
        ['New passphrase for the key file: ', PASSPHRASE],
        ['The same again: ', PASSPHRASE],
        ['not shown): ', KEY],
      ],
    );
    assert.equal(yes.status, 0, yes.stdout);
    assert.match(yes.stdout, TOKEN);
    assert.doesNotMatch(yes.stdout, /TopSecret|correct/, 'nothing is echoed');
    const again = await onTerminal(['print'], [['Passphrase of the key file: ', PASSPHRASE]]);
    assert.match(again.stdout, TOKEN);
  });

  test('a keychain with no keyring to keep a key in is as good as none', async () => {
    const session = await KeychainSession.start({ keyring: false });
    try {
      const env = { ...withPassphrase(), ...session.env };
      const { status, stdout, stderr } = await glmToken(['setup'], { env, input: KEY });
      assert.equal(status, 0, stderr);
      assert.match(stdout, TOKEN);
      assert.match(stderr, /there is no default keyring to keep a key in: .*\n.*encrypted file/);
    } finally {
      await session.stop();
    }
  });

  test('a keychain that was chosen, or is locked, is not replaced', async () => {
    const chosen = { ...withPassphrase(), GLM_TOKEN_STORE: 'keychain' };
    assert.equal((await glmToken(['setup'], { env: chosen, input: KEY })).status, 5);
    const session = await KeychainSession.start();
    try {
      const env = { ...withPassphrase(), ...session.env, GLM_TOKEN_KEYCHAIN_TIMEOUT: '1s' };
      await session.lock();
      assert.equal((await glmToken(['setup'], { env, input: KEY })).status, 6);
    } finally {
      await session.stop();
    }
    assert.equal(existsSync(folder), false);
  });
});

describe('prompts', () => {
  test('two different passphrases, or none, store nothing', async () => {
    for (const [first, second] of [
      ['one', 'two'],
      ['', ''],
    ] as const) {
      const { status, stdout } = await onTerminal(
        ['store', '--store', 'file'],
        [
          ['New passphrase for the key file: ', first],
          ['The same again: ', second],
        ],
      );
      assert.equal(status, 7, stdout);
      assert.match(stdout, /hint: try again.*; nothing was stored/);
      assert.equal(existsSync(folder), false);
    }
  });

  test('with the key piped in, the passphrase is asked for at the terminal all the same', async () => {
    const script = 'printf %s "$KEY" | "$0" "$@"';
    const { status, stdout } = await runOnTerminal(
      ['sh', '-c', script, process.execPath, PROGRAM, 'store', '--store', 'file'],
      [
        ['New passphrase for the key file: ', PASSPHRASE],
        ['The same again: ', PASSPHRASE],
      ],
      { ...env, KEY },
    );
    assert.equal(status, 0, stdout);
    assert.match((await glmToken(['print'], { env: withPassphrase() })).stdout, TOKEN);
  });

  test('a wrong passphrase exits 7, and Ctrl-C exits 130', async () => {
    await glmToken(['store', '--store', 'file'], { env: withPassphrase(), input: KEY });
    const prompt = 'Passphrase of the key file: ';
    const { status, stdout } = await onTerminal(['print'], [[prompt, 'wrong']]);
    assert.equal(status, 7);
    assert.match(stdout, /that is not the passphrase of the key file .*\r\nhint: try again/);
    assert.equal((await onTerminal(['print'], [[prompt, '^C']])).status, 130);
  });

  test('where there is no terminal, nothing waits for one', async () => {
    await glmToken(['store', '--store', 'file'], { env: withPassphrase(), input: KEY });
    const { status, stdout, stderr } = await glmToken(['print'], { env });
    assert.deepEqual([status, stdout], [7, '']);
    assert.match(stderr, /^glm-token: the key file needs its passphrase\nhint: .*PASSPHRASE_FILE/);
  });
});

describe('which store is in use', () => {
  test('the file, once there is one; GLM_TOKEN_STORE says otherwise', async () => {
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
        /but keys are read from the encrypted file .*\nhint: .*GLM_TOKEN_STORE=keychain/,
      );
    } finally {
      await session.stop();
    }
  });

  test('a keychain that fails is never replaced by the file in silence', async () => {
    const { status } = await glmToken(['print'], { env: withPassphrase() });
    assert.equal(status, 5);
  });

  test('a store that there is not: exit 2', async () => {
    const { status, stderr } = await glmToken(['print'], { env: { ...env, GLM_TOKEN_STORE: 'x' } });
    assert.equal(status, 2);
    assert.match(stderr, /GLM_TOKEN_STORE cannot be "x"\nhint: set it to one of: keychain, file/);
    assert.equal((await glmToken(['store', '--store', 'x'], { env })).status, 2);
  });
});
