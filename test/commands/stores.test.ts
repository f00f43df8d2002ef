/** Two stores: what is said when keys go out of sight, move, list and passphrase. */

import assert from 'node:assert/strict';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';
import { idOf } from '../support/claims.ts';
import { type Env, PROGRAM } from '../support/environment.ts';
import { KeychainSession } from '../support/keychain.ts';
import { CALL, glmToken, runOnTerminal } from '../support/program.ts';

const KEY = '0123456789abcdef.TopSecretSecret1';
const OTHER = 'fedcba9876543210.OtherSecretSecret';

let session: KeychainSession;
let env: Env;
before(async () => {
  session = await KeychainSession.start();
  const passphrase = join(session.env.HOME ?? '', 'passphrase');
  writeFileSync(passphrase, 'correct horse\n', { mode: 0o600 });
  env = { ...session.env, GLM_TOKEN_PASSPHRASE_FILE: passphrase };
});
after(() => session.stop());
afterEach(async () => {
  await session.deleteKeys();
  rmSync(keyFile(), { force: true });
});

const keyFile = () => join(env.HOME ?? '', '.local/share/glm-token/keys.jwe');
const glm = (args: string[], input = '', more: Env = {}) =>
  glmToken(args, { env: { ...env, ...more }, input });
const accountsIn = async (store: string) =>
  JSON.parse((await glm(['list', '--json', '--store', store])).stdout).accounts.map(
    ({ host, profile, id }: Record<string, string>) => `${profile}@${host} ${id}`,
  );

describe('keys that go out of sight', () => {
  test('store --store file beside a filled keychain says so, and what to do', async () => {
    await glm(['store', '--profile=work'], KEY);
    const { status, stderr } = await glm(['store', '--store=file'], OTHER);
    assert.equal(status, 0);
    assert.match(
      stderr,
      /warning: keys are read from the encrypted file \(.*\) from now on; those in the keychain \(Secret Service\) are not used \(open\.bigmodel\.cn \(profile work\)\)\n/,
    );
    assert.ok(stderr.includes(`hint: to move them: ${CALL} move --to file\n`), stderr);
    assert.match(stderr, /hint: to use the keychain .*: export GLM_TOKEN_STORE=keychain\n/);
  });

  test('beside an empty keychain there is nothing to say', async () => {
    const { stderr } = await glm(['store', '--store=file'], KEY);
    assert.doesNotMatch(stderr, /warning/);
  });

  test('a missing key: the hint names the accounts that have one', async () => {
    await glm(['store', '--host=api.z.ai'], KEY);
    const { status, stderr } = await glm(['print']);
    assert.equal(status, 3);
    assert.equal(
      stderr,
      `glm-token: no key is stored for open.bigmodel.cn\nhint: run: ${CALL} store; there is a key for: api.z.ai\n`,
    );
    assert.deepEqual(await glm(['print', '--host=api.z.io']), {
      status: 2,
      signal: null,
      stdout: '',
      stderr:
        'glm-token: no key is stored for api.z.io, but there is a key for api.z.ai\nhint: check the host\n',
    });
    const given = await glm(['print', '--host=example.org'], '', { GLM_API_KEY: KEY });
    assert.match(given.stderr, /example\.org \(GLM_API_KEY is for open\.bigmodel\.cn\)\n/);
  });
});

describe('list', () => {
  test('says which store is in use, and what the other one has', async () => {
    await glm(['store'], KEY);
    await glm(['store', '--store=file', '--profile=infile'], OTHER);
    const { stdout, stderr } = await glm(['list']);
    assert.match(stdout, /infile +fedc…3210 +file\n$/);
    assert.match(stderr, /keys are read from the encrypted file/);
    assert.match(stderr, /the keychain .* has keys that are not used: open\.bigmodel\.cn\n/);
  });

  test('asks nobody about a locked file that is not in use', async () => {
    await glm(['store', '--store=file'], KEY);
    const more = { GLM_TOKEN_STORE: 'keychain', GLM_TOKEN_PASSPHRASE_FILE: '' };
    const { status, stderr } = await glm(['list'], '', more);
    assert.equal(status, 0);
    assert.match(stderr, /the encrypted file .* is locked, so its keys are not listed/);
  });

  test('--store lists, prints and deletes in that store', async () => {
    await glm(['store'], KEY);
    await glm(['store', '--store=file'], OTHER);
    assert.deepEqual(await accountsIn('keychain'), ['default@open.bigmodel.cn 0123…cdef']);
    assert.deepEqual(await accountsIn('file'), ['default@open.bigmodel.cn fedc…3210']);
    const { stdout } = await glm(['print', '--store=keychain']);
    assert.equal(idOf(stdout), '0123456789abcdef');
    await glm(['delete', '--force', '--store=keychain']);
    assert.deepEqual(await accountsIn('keychain'), []);
    assert.equal((await accountsIn('file')).length, 1);
  });
});

describe('move', () => {
  test('brings all keys to the other store and back', async () => {
    await glm(['store'], KEY);
    await glm(['store', '--host=api.z.ai', '--profile=工作'], OTHER);
    const there = await glm(['move', '--to=file']);
    assert.equal(there.status, 0, there.stderr);
    assert.match(
      there.stderr,
      /moved the key for api\.z\.ai \(profile 工作\) to the encrypted file/,
    );
    assert.match(there.stderr, /keys are read from the encrypted file/);
    assert.equal((await accountsIn('file')).length, 2);
    assert.deepEqual(await accountsIn('keychain'), []);
    const back = await glm(['move', '--to=keychain']);
    assert.equal(back.status, 0, back.stderr);
    assert.equal(existsSync(keyFile()), false);
    assert.equal((await accountsIn('keychain')).length, 2);
    assert.match(back.stderr, /keys are read from the keychain/);
  });

  test('replaces no other key without --force: that one stays where it is', async () => {
    await glm(['store', '--store=file'], OTHER);
    await glm(['store', '--store=keychain'], KEY);
    const { status, stderr } = await glm(['move', '--to=file']);
    assert.equal(status, 0);
    assert.match(stderr, /the key for open\.bigmodel\.cn stays in the keychain/);
    assert.deepEqual(await accountsIn('file'), ['default@open.bigmodel.cn fedc…3210']);
    await glm(['move', '--to=file', '--force']);
    assert.deepEqual(await accountsIn('file'), ['default@open.bigmodel.cn 0123…cdef']);
  });

  test('to a keychain that is not there: exit 5, and the cure is not the file they are in', async () => {
    await glm(['store', '--store=file'], KEY);
    const { status, stderr } = await glm(['move', '--to=keychain'], '', {
      DBUS_SESSION_BUS_ADDRESS: 'unix:path=/nonexistent',
    });
    assert.equal(status, 5);
    assert.match(
      stderr,
      /^glm-token: .* DBUS_SESSION_BUS_ADDRESS; keys that were not moved stay in the encrypted file \(/,
    );
    assert.doesNotMatch(stderr, /--store file/);
    assert.ok(stderr.endsWith(`\nhint: then: ${CALL} move --to keychain\n`), stderr);
    assert.equal((await accountsIn('file')).length, 1);
  });

  test('with nothing to move: exit 3; without --to: exit 2', async () => {
    const { status, stderr } = await glm(['move', '--to=keychain']);
    assert.equal(status, 3);
    assert.match(stderr, /there is no key in the encrypted file .* to move/);
    assert.equal((await glm(['move'])).status, 2);
  });
});

test('inspect tries the keys of all stores, whichever takes precedence', async () => {
  await glm(['store', '--store=file'], KEY);
  const { stdout: token } = await glm(['print']);
  const { stdout } = await glm(['inspect', '--json'], token, { GLM_API_KEY: OTHER });
  const { signedByStoredKey, problems } = JSON.parse(stdout);
  assert.deepEqual([signedByStoredKey, problems], [true, []]);
});

describe('passphrase', () => {
  test('changes it, from standard input, and names the file that holds the old one', async () => {
    await glm(['store', '--store=file'], KEY);
    const { status, stderr } = await glm(['passphrase'], '\uFEFFbattery staple\r\n');
    assert.equal(status, 0, stderr);
    assert.match(stderr, /changed the passphrase of the encrypted file/);
    assert.match(stderr, /warning: .*passphrase holds the old passphrase/);
    assert.equal((await glm(['print'])).status, 7);
    const file = join(env.HOME ?? '', 'other');
    writeFileSync(file, 'battery staple\n', { mode: 0o600 });
    assert.equal((await glm(['print'], '', { GLM_TOKEN_PASSPHRASE_FILE: file })).status, 0);
  });

  test('on a terminal it asks for the old one, and for the new one twice', async () => {
    await glm(['store', '--store=file'], KEY);
    const { status, stdout } = await runOnTerminal(
      [process.execPath, PROGRAM, 'passphrase'],
      [
        ['Passphrase of the encrypted file: ', 'wrong'],
        ['Wrong passphrase. Try again: ', 'correct horse'],
        ['New passphrase for the encrypted file: ', 'battery staple'],
        ['Repeat passphrase: ', 'battery staple'],
      ],
      { ...env, GLM_TOKEN_PASSPHRASE_FILE: '' },
    );
    assert.equal(status, 0, stdout);
  });

  test('an empty one is refused, and without a file there is none to change', async () => {
    assert.equal((await glm(['passphrase'], 'x')).status, 3);
    await glm(['store', '--store=file'], KEY);
    assert.equal((await glm(['passphrase'], '\n')).status, 7);
    assert.equal((await glm(['print'])).status, 0);
  });
});
