/** Questions on a real terminal: how they are answered, refused, asked again, and when they are not asked. */

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { idOf } from '../support/claims.ts';
import { BARE_ENV, type Env, PROGRAM } from '../support/environment.ts';
import { KeychainSession } from '../support/keychain.ts';
import { type Answers, glmToken, run, runOnTerminal, SIDE_BY_SIDE } from '../support/program.ts';

const ID = '0123456789abcdef0123456789abcdef';
const KEY = `${ID}.TopSecretSecret1`;
const OTHER = 'fedcba9876543210fedcba9876543210.OtherSecretSecret';
const PASSPHRASE = 'correct horse';

/** What Emacs sets in its shell buffers. */
const IN_EMACS = { INSIDE_EMACS: '30.1,comint', TERM: 'dumb' };

let session: KeychainSession;
let home: string;
/** The environment of a user who has an encrypted file. */
let fileEnv: Env;
before(async () => {
  session = await KeychainSession.start();
  home = mkdtempSync(join(tmpdir(), 'glm-token-test-'));
  fileEnv = { ...BARE_ENV, HOME: home, XDG_DATA_HOME: join(home, 'data') };
  const store = `printf %s "$KEY" | "$0" "$1" store --store file 3<<<"${PASSPHRASE}"`;
  const stored = await run(['bash', '-c', store, process.execPath, PROGRAM], {
    env: { ...fileEnv, KEY, GLM_TOKEN_PASSPHRASE_FILE: '/dev/fd/3' },
  });
  assert.equal(stored.status, 0, stored.stderr);
});
after(async () => {
  await session.stop();
  rmSync(home, { recursive: true });
});

let users = 0;

/** A user of the keychain with a profile, and so a key, of their own: tests run side by side. */
function newUser() {
  users += 1;
  const env = { ...session.env, GLM_TOKEN_PROFILE: `user ${users}` };
  return {
    env,
    storeKey: () => glmToken(['store'], { env, input: KEY }),
    /** The id of the key that is stored, if any. */
    async storedId(): Promise<string | undefined> {
      const { status, stdout } = await glmToken(['print'], { env });
      return status === 3 ? undefined : idOf(stdout);
    },
  };
}

const onTerminal = (env: Env, args: string[], answers: Answers) =>
  runOnTerminal([process.execPath, PROGRAM, ...args], answers, env);

describe('Ctrl-C and Ctrl-D at a prompt exit 130, and nothing is changed', SIDE_BY_SIDE, () => {
  const askKey = 'API key (id.secret, not shown): ';
  const prompts: [name: string, args: string[], answers: Answers, question: string][] = [
    ['store, the key', ['store'], [], askKey],
    ['store, a key that was refused', ['store'], [[askKey, 'nodot']], askKey],
    ['setup, the key', ['setup', '--host=api.z.ai', '--plan=coding'], [], askKey],
    ['inspect', ['inspect'], [], 'Token (not shown): '],
  ];
  for (const key of ['^C', '^D']) {
    for (const [name, args, answers, question] of prompts) {
      test(`${name}: ${key}`, async () => {
        const { env, storedId } = newUser();
        const { status, stdout } = await onTerminal(env, args, [...answers, [question, key]]);
        assert.equal(status, 130, stdout);
        assert.ok(stdout.endsWith(`${question}\r\n`), stdout);
        assert.equal(await storedId(), undefined);
      });
    }

    test(`store, whether to replace a key: ${key}`, async () => {
      const { env, storeKey, storedId } = newUser();
      await storeKey();
      const { status, stdout } = await onTerminal(
        env,
        ['store'],
        [
          [askKey, OTHER],
          ['Replace it? [y/N] ', key],
        ],
      );
      assert.equal(status, 130, stdout);
      assert.match(stdout, /Replace it\? \[y\/N\] (\^C)?\r\n$/);
      assert.equal(await storedId(), ID);
    });

    test(`delete: ${key}`, async () => {
      const { env, storeKey, storedId } = newUser();
      await storeKey();
      const { status, stdout } = await onTerminal(env, ['delete'], [['? [y/N] ', key]]);
      assert.equal(status, 130, stdout);
      assert.match(stdout, /\? \[y\/N\] (\^C)?\r\n$/);
      assert.equal(await storedId(), ID);
    });

    test(`print, the passphrase of the encrypted file: ${key}`, async () => {
      const question = 'Passphrase of the encrypted file: ';
      const { status, stdout } = await onTerminal(fileEnv, ['print'], [[question, key]]);
      assert.equal(status, 130, stdout);
      assert.equal(stdout, `${question}\r\n`);
    });

    test(`store, a new passphrase and its repetition: ${key}`, async () => {
      const newEnv = { ...BARE_ENV, HOME: mkdtempSync(join(home, 'new-')) };
      const [first, second] = ['New passphrase for the encrypted file: ', 'Repeat passphrase: '];
      for (const refused of [first, second]) {
        const answers: Answers = [
          [askKey, KEY],
          [first, refused === first ? key : PASSPHRASE],
          [second, key],
        ];
        const { status, stdout } = await onTerminal(newEnv, ['store', '--store=file'], answers);
        assert.equal(status, 130, stdout);
        assert.ok(stdout.endsWith(`${refused}\r\n`), stdout);
        const listed = await glmToken(['list'], { env: { ...newEnv, GLM_TOKEN_STORE: 'file' } });
        assert.match(listed.stderr, /no key is stored yet/);
      }
    });

    test(`setup, whether to keep the key in a file instead: ${key}`, async () => {
      const question = 'instead? [Y/n] ';
      const noKeychain = { ...BARE_ENV, HOME: home };
      const args = ['setup', '--host=api.z.ai', '--plan=coding'];
      const { status, stdout } = await onTerminal(noKeychain, args, [[question, key]]);
      assert.equal(status, 130, stdout);
    });
  }
});

describe('a malformed key is asked for again, up to three times', SIDE_BY_SIDE, () => {
  const question = 'not shown): ';

  test('the third answer is stored', async () => {
    const answers: Answers = [
      [question, 'nodot'],
      [question, 'one.two.three'],
      [question, KEY],
    ];
    const setup = ['setup', '--host=open.bigmodel.cn', '--plan=coding'];
    for (const args of [['store'], setup]) {
      const { env, storedId } = newUser();
      const { status, stdout } = await onTerminal(env, args, [...answers, ['[Y/n] ', 'n']]);
      assert.equal(status, 0, stdout);
      assert.match(stdout, /^glm-token: this is not an API key \(id\.secret\): it has no dot\r$/m);
      assert.match(stdout, /^glm-token: this is not .*: it has more than one dot\r$/m);
      assert.doesNotMatch(stdout, /nodot|one\.two|TopSecret/);
      assert.equal(await storedId(), ID);
    }
  });

  test('after the third, the program gives up and exits 4', async () => {
    const answers: Answers = [
      [question, 'nodot'],
      [question, ''],
      [question, `${KEY}.`],
      [question, KEY],
    ];
    const { env, storedId } = newUser();
    const { status, stdout } = await onTerminal(env, ['store'], answers);
    assert.equal(status, 4, stdout);
    assert.match(stdout, /more than one dot\r\nhint: copy the whole key from .*\r\n$/);
    assert.equal(stdout.split('API key (id.secret, not shown): ').length, 4);
    assert.doesNotMatch(stdout, /TopSecret/);
    assert.equal(await storedId(), undefined);
  });
});

describe(
  'in a shell buffer of Emacs, which would show it, no secret is asked for',
  SIDE_BY_SIDE,
  () => {
    const prompts: [args: string[], env: () => Env][] = [
      [['store'], () => newUser().env],
      [['setup', '--host=api.z.ai', '--plan=coding'], () => newUser().env],
      [['inspect'], () => newUser().env],
      [['print'], () => fileEnv],
    ];
    for (const [args, envOf] of prompts) {
      test(`${args.join(' ')} exits 2`, async () => {
        const { status, stdout } = await onTerminal({ ...envOf(), ...IN_EMACS }, args, []);
        assert.match(
          stdout,
          /glm-token: this terminal, in Emacs, would show what you type\r\nhint: use M-x glm-gptel-auth-store, or another terminal\r\n$/,
        );
        assert.doesNotMatch(stdout, /not shown|Passphrase/);
        assert.equal(status, 2);
      });
    }

    test('a key from standard input is taken there all the same', async () => {
      const { status, stderr } = await glmToken(['store'], {
        env: { ...newUser().env, ...IN_EMACS },
        input: KEY,
      });
      assert.equal(status, 0, stderr);
    });

    test('a terminal emulator in Emacs is a terminal', async () => {
      const inTerm = { ...newUser().env, INSIDE_EMACS: '30.1,vterm', TERM: 'xterm-256color' };
      const { status, stdout } = await onTerminal(inTerm, ['store'], [['not shown): ', KEY]]);
      assert.equal(status, 0, stdout);
      assert.doesNotMatch(stdout, /TopSecret/);
    });
  },
);

test('an error and its hint have colours on a terminal, unless NO_COLOR says otherwise', async () => {
  const { env } = newUser();
  const coloured = await onTerminal({ ...env, NO_COLOR: '' }, ['print'], []);
  assert.equal(coloured.status, 3);
  const lines = coloured.stdout.split('\r\n');
  assert.ok(lines[0]?.startsWith('\x1b[31mglm-token:\x1b[39m no key '), coloured.stdout);
  assert.ok(lines[1]?.startsWith('\x1b[36mhint: \x1b[39mrun: '), coloured.stdout);
  const plain = await onTerminal({ ...env, NO_COLOR: '1' }, ['print'], []);
  assert.match(plain.stdout, /^glm-token: no key .*\r\nhint: run/);
});
