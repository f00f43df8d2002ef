/** store, print, list, delete and setup, with a real keychain, piped and on a terminal. */

import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { BARE_ENV, type Env, PROGRAM, ROOT } from '../support/environment.ts';
import { KeychainSession } from '../support/keychain.ts';
import { type Answers, glmToken, run, runOnTerminal } from '../support/program.ts';

const KEY = '0123456789abcdef0123456789abcdef.TopSecretSecret1';
const OTHER = 'fedcba9876543210fedcba9876543210.OtherSecretSecret';
const TOKEN = /^eyJ[\w-]+\.[\w-]+\.[\w-]+\n$/;

let session: KeychainSession;
let env: Env;
before(async () => {
  session = await KeychainSession.start();
  env = session.env;
});
after(() => session.stop());

const glm = (args: string[], input = '') => glmToken(args, { env, input });
const idOf = (token: string) =>
  JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()).api_key;

const onTerminal = (args: string[], answers: Answers) =>
  runOnTerminal([process.execPath, PROGRAM, ...args], answers, env);

async function clear() {
  const { accounts } = JSON.parse((await glm(['list', '--json'])).stdout);
  for (const { host, profile } of accounts) {
    await glm(['delete', '--force', `--host=${host}`, `--profile=${profile}`]);
  }
}

describe('piped', () => {
  beforeEach(clear);

  test('a key stored from standard input makes tokens, and nothing prints its secret', async () => {
    const stored = await glm(['store'], `\uFEFF "${KEY}"\r\n`);
    assert.equal(stored.status, 0, stored.stderr);
    assert.equal(stored.stdout, '');
    assert.equal(
      stored.stderr,
      'glm-token: stored the key 0123…cdef for open.bigmodel.cn in the keychain (Secret Service)\n',
    );
    const printed = await glm(['print']);
    assert.match(printed.stdout, TOKEN);
    assert.equal(printed.stderr, '');
    assert.equal(idOf(printed.stdout), KEY.split('.')[0]);
    const outputs = await Promise.all(
      [['list'], ['list', '--json'], ['print', '--help']].map((a) => glm(a)),
    );
    for (const { stdout, stderr } of [stored, printed, ...outputs]) {
      assert.doesNotMatch(stdout + stderr, /TopSecret/);
    }
  });

  test('formats', async () => {
    await glm(['store'], KEY);
    assert.match(
      (await glm(['print', '--format', 'header'])).stdout,
      /^Authorization: Bearer eyJ\S+\n$/,
    );
    const { stdout } = await glm(['print', '--format', 'json', '--ttl', '1h']);
    const { token, issuedAt, issuedAtMs, expiresAt, expiresAtMs, ...rest } = JSON.parse(stdout);
    assert.deepEqual(rest, { schemaVersion: 1, host: 'open.bigmodel.cn', profile: 'default' });
    assert.match(`${token}\n`, TOKEN);
    assert.equal(expiresAtMs - issuedAtMs, 3_600_000);
    assert.deepEqual([Date.parse(issuedAt), Date.parse(expiresAt)], [issuedAtMs, expiresAtMs]);
    assert.ok(Math.abs(issuedAtMs - Date.now()) < 60_000);
  });

  test('no key: exit 3, and the command that stores one, for that account', async () => {
    const { status, stdout, stderr } = await glm([
      'print',
      '--host',
      'HTTPS://API.Z.AI/',
      '--profile',
      'a b',
    ]);
    assert.deepEqual([status, stdout], [3, '']);
    assert.equal(
      stderr,
      "glm-token: no key is stored for api.z.ai (profile a b)\nhint: run: glm-token store --host api.z.ai --profile 'a b'\n",
    );
  });

  test('a token is never signed for a host that no key was stored for', async () => {
    await glm(['store'], KEY);
    assert.equal((await glm(['print', '--host', 'api.z.ai'])).status, 3);
    assert.equal((await glm(['print', '--host', 'open.bigmodel.cn:8443'])).status, 3);
    assert.equal((await glm(['print', '--host', 'https://OPEN.bigmodel.cn:443/x'])).status, 0);
  });

  test('profiles with spaces, slashes, Chinese and an @ keep their own keys', async () => {
    const profiles = ['my work', 'a/b', '工作', 'me@home', '--force'];
    for (const [n, profile] of profiles.entries()) {
      assert.equal(
        (await glm(['store', `--profile=${profile}`], `id${n}.secret`)).status,
        0,
        profile,
      );
    }
    for (const [n, profile] of profiles.entries()) {
      assert.equal(idOf((await glm(['print', `--profile=${profile}`])).stdout), `id${n}`);
    }
    const listed = JSON.parse((await glm(['list', '--json'])).stdout);
    assert.deepEqual(
      listed.accounts.map(({ profile }: { profile: string }) => profile).sort(),
      [...profiles].sort(),
    );
    const { stdout } = await glmToken(['print'], { env: { ...env, GLM_TOKEN_PROFILE: '工作' } });
    assert.equal(idOf(stdout), 'id2');
  });

  const bad: [what: string, input: string | Buffer][] = [
    ['nothing', ''],
    ['two dots', 'a.b.c'],
    ['no dot', 'abc'],
    ['a URL', 'https://open.bigmodel.cn/'],
    ['a JWT', 'eyJhbGciOiJIUzI1NiJ9.eyJhIjoxfQ.c2ln'],
    ['1 MB of noise', Buffer.alloc(1_000_000, 'noise.')],
    ['NUL bytes', 'id\0.sec\0ret'],
    ['bytes that are no UTF-8', Buffer.from([0x69, 0x2e, 0xff, 0xfe, 0x41])],
  ];
  test('what is no key exits 4 and leaves the stored key as it was', async () => {
    await glm(['store'], KEY);
    for (const [what, input] of bad) {
      const { status, stdout, stderr } = await glmToken(['store', '--force'], { env, input });
      assert.deepEqual([status, stdout], [4, ''], what);
      assert.match(stderr, /^glm-token: .*\nhint: copy the key whole from .*\n$/, what);
    }
    assert.equal(idOf((await glm(['print'])).stdout), KEY.split('.')[0]);
  });

  test('a stored key is not replaced without --force where nobody can be asked', async () => {
    await glm(['store'], KEY);
    const { status, stderr } = await glm(['store'], OTHER);
    assert.equal(status, 2);
    assert.match(stderr, /already, and was left as it is\nhint: .*glm-token store --force\n$/);
    assert.equal(idOf((await glm(['print'])).stdout), KEY.split('.')[0]);
    assert.equal((await glm(['store'], KEY)).status, 0, 'the same key again is no replacement');
    assert.equal((await glm(['store', '--force'], OTHER)).status, 0);
    assert.equal(idOf((await glm(['print'])).stdout), OTHER.split('.')[0]);
  });

  test('delete asks first, so that without a terminal it wants --force', async () => {
    await glm(['store'], KEY);
    assert.equal((await glm(['delete'])).status, 2);
    assert.equal((await glm(['print'])).status, 0);
    assert.equal((await glm(['delete', '--force'])).status, 0);
    const gone = await glm(['delete', '--force']);
    assert.equal(gone.status, 3);
    assert.match(gone.stderr, /no key is stored for open\.bigmodel\.cn\nhint: glm-token list/);
  });

  test('list is a table for people', async () => {
    assert.match((await glm(['list'])).stderr, /no key is stored yet\nhint: run: glm-token store/);
    await glm(['store'], KEY);
    await glm(['store', '--host', 'api.z.ai', '--profile', 'work'], OTHER);
    const lines = (await glm(['list'])).stdout.split('\n');
    assert.equal(lines[0], 'HOST              PROFILE  ID         STORE');
    assert.ok(lines.includes('open.bigmodel.cn  default  0123…cdef  keychain'));
    assert.ok(lines.includes('api.z.ai          work     fedc…3210  keychain'));
  });

  test('what a store holds that is no key exits 4 and is not printed', async () => {
    const set = "require('keytar').setPassword('glm-token','default@open.bigmodel.cn','Gar.ba.ge')";
    await run([process.execPath, '-e', set], { env, cwd: ROOT });
    const { status, stderr } = await glm(['print']);
    assert.equal(status, 4);
    assert.match(stderr, /is not an API key\nhint: store it again: glm-token store --force/);
    assert.doesNotMatch(stderr, /Gar|ba\.ge/);
    assert.match((await glm(['list'])).stdout, /\(not a key\)/);
  });

  test('GLM_API_KEY wins for the default account, and for it alone', async () => {
    await glm(['store'], KEY);
    const withKey = { ...env, GLM_API_KEY: OTHER };
    const print = (...args: string[]) => glmToken(['print', ...args], { env: withKey });
    assert.equal(idOf((await print()).stdout), OTHER.split('.')[0]);
    assert.equal((await print('--host', 'api.z.ai')).status, 3);
    const { stdout } = await glmToken(['list'], { env: withKey });
    assert.match(stdout, /fedc…3210 {2}environment\n.*0123…cdef {2}keychain/);
    const broken = await glmToken(['print'], { env: { ...env, GLM_API_KEY: 'Hush' } });
    assert.equal(broken.status, 4);
    assert.match(broken.stderr, /^glm-token: GLM_API_KEY does not hold an API key/);
    assert.doesNotMatch(broken.stderr, /Hush/);
    const stored = await glmToken(['store', '--force'], { env: withKey, input: KEY });
    assert.match(stored.stderr, /GLM_API_KEY is set too, and wins/);
  });
});

describe('on a terminal', () => {
  beforeEach(clear);

  test('store says where the key goes, and does not show it', async () => {
    const { status, stdout } = await onTerminal(['store'], [['not shown): ', KEY]]);
    assert.equal(status, 0, stdout);
    assert.match(stdout, /the key for open\.bigmodel\.cn goes to the keychain \(Secret Service\)/);
    assert.match(stdout, /stored the key 0123…cdef/);
    assert.doesNotMatch(stdout, /TopSecret|0123456789abcdef/);
    assert.match((await glm(['print'])).stdout, TOKEN);
  });

  test('store asks before it replaces a key, and no means no', async () => {
    await glm(['store'], KEY);
    const ask = (answer: string) =>
      onTerminal(
        ['store'],
        [
          ['not shown): ', OTHER],
          ['replace it? [y/N] ', answer],
        ],
      );
    const no = await ask('');
    assert.equal(no.status, 2);
    assert.match(no.stdout, /nothing was changed/);
    assert.equal(idOf((await glm(['print'])).stdout), KEY.split('.')[0]);
    assert.equal((await ask('y')).status, 0);
    assert.equal(idOf((await glm(['print'])).stdout), OTHER.split('.')[0]);
  });

  test('Ctrl-C at the prompt ends it with 130 and stores nothing', async () => {
    const { status, stdout } = await onTerminal(['store'], [['not shown): ', '^C']]);
    assert.equal(status, 130, stdout);
    assert.equal((await glm(['print'])).status, 3);
  });

  test('delete asks', async () => {
    await glm(['store'], KEY);
    const question = 'from the keychain (Secret Service)? [y/N] ';
    assert.equal((await onTerminal(['delete'], [[question, 'n']])).status, 2);
    assert.equal((await onTerminal(['delete'], [[question, 'y']])).status, 0);
    assert.equal((await glm(['print'])).status, 3);
  });

  test('setup takes a key at the prompt, and the next one uses it', async () => {
    const first = await onTerminal(['setup'], [['not shown): ', KEY]]);
    assert.equal(first.status, 0, first.stdout);
    assert.match(first.stdout, /\r\neyJ/);
    const second = await onTerminal(['setup'], []);
    assert.match(second.stdout, /the key for open\.bigmodel\.cn is there already/);
  });
});

describe('setup', () => {
  beforeEach(clear);

  test('with the key piped in: a token, and the lines for init.el', async () => {
    const { status, stdout, stderr } = await glm(
      ['setup', '--host', 'api.z.ai', '--profile', '工"作'],
      KEY,
    );
    assert.equal(status, 0, stderr);
    const [token, ...block] = stdout.trimEnd().split('\n');
    assert.match(`${token}\n`, TOKEN);
    assert.deepEqual(block, [
      ';; GLM for gptel: a fresh token for each request; the key stays in its store.',
      `(add-to-list 'load-path "${ROOT}/elisp")`,
      `(setq glm-gptel-auth-command '("${process.execPath}" "${PROGRAM}"))`,
      "(require 'glm-gptel-auth)",
      "(with-eval-after-load 'gptel",
      '  (setq gptel-backend (glm-gptel-auth-make-backend "GLM" :host "api.z.ai" :profile "工\\"作")',
      "        gptel-model 'glm-5.3))",
    ]);
    assert.match(stderr, /will be kept in the keychain \(Secret Service\)/);
    assert.doesNotMatch(stdout + stderr, /TopSecret/);
  });

  test('setup emacs prints the lines alone, and asks nothing', async () => {
    const { status, stdout, stderr } = await glm(['setup', 'emacs']);
    assert.deepEqual([status, stderr], [0, '']);
    assert.match(stdout, /^;; GLM for gptel/);
    assert.ok(stdout.includes(`("${process.execPath}" "${PROGRAM}")`));
    assert.equal((await glm(['setup', 'vim'])).status, 2);
  });

  test('with GLM_API_KEY and no keychain at all', async () => {
    const bare = { ...BARE_ENV, GLM_API_KEY: KEY };
    const { status, stdout, stderr } = await glmToken(['setup'], { env: bare });
    assert.equal(status, 0, stderr);
    assert.match(stdout, /^eyJ/);
    assert.match(stderr, /GLM_API_KEY is set, so the key comes from the environment/);
  });

  test('with neither: exit 5 and the cure', async () => {
    const { status, stderr } = await glmToken(['setup'], {
      env: BARE_ENV,
      input: KEY,
    });
    assert.equal(status, 5);
    assert.match(stderr, /hint: .*glm-token store --store file/);
  });

  test('a key that is there already is kept, unless another is piped in', async () => {
    await glm(['store'], KEY);
    assert.equal((await glm(['setup'])).status, 0);
    assert.equal((await glm(['setup'], OTHER)).status, 2);
    assert.equal((await glm(['setup', '--force'], OTHER)).status, 0);
    assert.equal(idOf((await glm(['print'])).stdout), OTHER.split('.')[0]);
  });
});
