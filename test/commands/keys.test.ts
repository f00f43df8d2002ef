/** store, print, list, delete and setup with a real keychain: piped, and on a terminal. */

import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { idOf } from '../support/claims.ts';
import { BARE_ENV, type Env, PROGRAM, ROOT } from '../support/environment.ts';
import { KeychainSession } from '../support/keychain.ts';
import { type Answers, CALL, glmToken, run, runOnTerminal } from '../support/program.ts';

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

const onTerminal = (args: string[], answers: Answers) =>
  runOnTerminal([process.execPath, PROGRAM, ...args], answers, env);

const clear = () => session.deleteKeys();

describe('piped', () => {
  beforeEach(clear);

  test('a key from standard input is stored and makes tokens, and nothing prints its secret', async () => {
    const stored = await glm(['store'], `\uFEFF "${KEY}"\r\n`);
    assert.equal(stored.status, 0, stored.stderr);
    assert.equal(stored.stdout, '');
    assert.equal(
      stored.stderr,
      'glm-token: stored key 0123…cdef for open.bigmodel.cn in the keychain (Secret Service)\n',
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

  test('a host that is almost one with a key is named as that, whatever is done with it', async () => {
    await glm(['store'], KEY);
    const mistyped = '--host=open.bigmodl.cn';
    const said =
      'glm-token: no key is stored for open.bigmodl.cn, but there is a key for open.bigmodel.cn\nhint: check the host\n';
    for (const [command, status] of [
      [['print', mistyped], 2],
      [['delete', mistyped, '--force'], 2],
      [['setup', 'emacs', mistyped], 0],
      [['store', mistyped], 0],
    ] as const) {
      const outcome = await glm([...command], OTHER);
      assert.equal(outcome.status, status, outcome.stderr);
      assert.ok(outcome.stderr.startsWith(said), outcome.stderr);
    }
    assert.equal((await glm(['delete', mistyped, '--force'])).stderr.includes(said), false);
  });

  test('that is said where GLM_API_KEY has the key and there is no keychain, too', async () => {
    const bare = { ...BARE_ENV, HOME: env.HOME ?? '', GLM_API_KEY: KEY };
    const { status, stderr } = await glmToken(['print', '--host=open.bigmodl.cn'], { env: bare });
    assert.equal(status, 2);
    assert.match(stderr, /but there is a key for open\.bigmodel\.cn\nhint: check the host\n$/);
  });

  test('print has formats for a header and for programs', async () => {
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

  test('an account without a key exits 3 and names the command that stores one', async () => {
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
      `glm-token: no key is stored for api.z.ai (profile a b)\nhint: run: ${CALL} store --host api.z.ai --profile 'a b'\n`,
    );
  });

  test('a token is never signed for a host without a key of its own', async () => {
    await glm(['store'], KEY);
    assert.equal((await glm(['print', '--host', 'api.z.ai'])).status, 3);
    assert.equal((await glm(['print', '--host', 'open.bigmodel.cn:8443'])).status, 3);
    assert.equal((await glm(['print', '--host', 'https://OPEN.bigmodel.cn:443/x'])).status, 0);
  });

  test('profiles with spaces, slashes, Chinese and an @ keep their own keys', async () => {
    const profiles = ['my work', 'a/b', '工作', 'me@home', '--force'];
    const stored = profiles.map((profile, n) =>
      glm(['store', `--profile=${profile}`], `id${n}.secret`),
    );
    for (const { status, stderr } of await Promise.all(stored)) assert.equal(status, 0, stderr);
    const printed = await Promise.all(
      profiles.map((profile) => glm(['print', `--profile=${profile}`])),
    );
    assert.deepEqual(
      printed.map(({ stdout }) => idOf(stdout)),
      profiles.map((_, n) => `id${n}`),
    );
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
    ['1 MB of dots', Buffer.alloc(1_000_000, '.')],
    ['an invisible character', 'id.sec\u200bret'],
    ['NUL bytes', 'id\0.sec\0ret'],
    ['bytes that are not UTF-8', Buffer.from([0x69, 0x2e, 0xff, 0xfe, 0x41])],
  ];
  test('input that is not a key exits 4 and leaves the stored key as it was', async () => {
    await glm(['store'], KEY);
    const store = async ([what, input]: (typeof bad)[number]) => {
      const { status, stdout, stderr } = await glmToken(['store', '--force'], { env, input });
      assert.deepEqual([status, stdout], [4, ''], what);
      assert.match(stderr, /^glm-token: .*\nhint: copy the whole key from .*\n$/, what);
    };
    await Promise.all(bad.map(store));
    assert.equal(idOf((await glm(['print'])).stdout), KEY.split('.')[0]);
  });

  test('without a terminal, a stored key is replaced with --force alone', async () => {
    await glm(['store'], KEY);
    const { status, stderr } = await glm(['store'], OTHER);
    assert.equal(status, 2);
    assert.equal(
      stderr,
      `glm-token: another key (0123…cdef) is stored for open.bigmodel.cn; it was kept\nhint: to replace it: ${CALL} store --force\n`,
    );
    assert.equal(idOf((await glm(['print'])).stdout), KEY.split('.')[0]);
    assert.equal((await glm(['store'], KEY)).status, 0, 'the same key again replaces nothing');
    assert.equal((await glm(['store', '--force'], OTHER)).status, 0);
    assert.equal(idOf((await glm(['print'])).stdout), OTHER.split('.')[0]);
  });

  test('without a terminal, delete requires --force', async () => {
    await glm(['store'], KEY);
    const refused = await glm(['delete']);
    assert.equal(refused.status, 2);
    assert.equal(
      refused.stderr,
      `glm-token: cannot ask for confirmation without a terminal; nothing was deleted\nhint: to delete without confirmation: ${CALL} delete --force\n`,
    );
    assert.equal((await glm(['print'])).status, 0);
    const deleted = await glm(['delete', '--force']);
    assert.equal(deleted.status, 0);
    assert.equal(
      deleted.stderr,
      'glm-token: deleted the key for open.bigmodel.cn from the keychain (Secret Service)\n',
    );
    const gone = await glm(['delete', '--force']);
    assert.equal(gone.status, 3);
    assert.equal(
      gone.stderr,
      `glm-token: no key is stored for open.bigmodel.cn\nhint: to see what is stored: ${CALL} list\n`,
    );
  });

  test('list prints a table of accounts', async () => {
    assert.equal(
      (await glm(['list'])).stderr,
      `glm-token: no key is stored yet\nhint: run: ${CALL} store\nglm-token: keys are read from the keychain (Secret Service)\n`,
    );
    await glm(['store'], KEY);
    await glm(['store', '--host', 'api.z.ai', '--profile', 'work'], OTHER);
    const lines = (await glm(['list'])).stdout.split('\n');
    assert.equal(lines[0], 'HOST              PROFILE  ID         STORE');
    assert.ok(lines.includes('open.bigmodel.cn  default  0123…cdef  keychain'));
    assert.ok(lines.includes('api.z.ai          work     fedc…3210  keychain'));
  });

  test('a stored text that is not a key exits 4 and is not printed', async () => {
    const set = "require('keytar').setPassword('glm-token','default@open.bigmodel.cn','Gar.ba.ge')";
    await run([process.execPath, '-e', set], { env, cwd: ROOT });
    const { status, stderr } = await glm(['print']);
    assert.equal(status, 4);
    assert.equal(
      stderr,
      `glm-token: what is stored for open.bigmodel.cn in the keychain (Secret Service) is not an API key\nhint: store it again: ${CALL} store --force\n`,
    );
    assert.doesNotMatch(stderr, /Gar|ba\.ge/);
    assert.match((await glm(['list'])).stdout, /\(not a key\)/);
  });

  test('GLM_API_KEY takes precedence for the default account, and for it alone', async () => {
    await glm(['store'], KEY);
    const withKey = { ...env, GLM_API_KEY: OTHER };
    const print = (...args: string[]) => glmToken(['print', ...args], { env: withKey });
    assert.equal(idOf((await print()).stdout), OTHER.split('.')[0]);
    assert.equal((await print('--host', 'api.z.ai')).status, 3);
    const { stdout } = await glmToken(['list'], { env: withKey });
    assert.match(stdout, /fedc…3210 {2}environment\n.*0123…cdef {2}keychain/);
    const broken = await glmToken(['print'], { env: { ...env, GLM_API_KEY: 'Hush' } });
    assert.equal(broken.status, 4);
    assert.match(
      broken.stderr,
      /^glm-token: GLM_API_KEY does not hold an API key \(id\.secret\)\nhint: /,
    );
    assert.doesNotMatch(broken.stderr, /Hush/);
    const stored = await glmToken(['store', '--force'], { env: withKey, input: KEY });
    assert.match(stored.stderr, /^glm-token: warning: GLM_API_KEY is set and takes precedence$/m);
  });
});

describe('on a terminal', () => {
  beforeEach(clear);

  test('a person is asked whether to go on with a host that is almost one with a key', async () => {
    await glm(['store'], KEY);
    const question = 'Go on with open.bigmodl.cn? [y/N] ';
    const { status, stdout } = await onTerminal(
      ['store', '--host=open.bigmodl.cn'],
      [[question, '']],
    );
    assert.equal(status, 2, stdout);
    assert.match(stdout, /there is a key for open\.bigmodel\.cn/);
    assert.equal((await glm(['list'])).stdout.includes('open.bigmodl.cn'), false);
  });

  test('store says where the key will be kept, and does not show it', async () => {
    const { status, stdout } = await onTerminal(['store'], [['not shown): ', KEY]]);
    assert.equal(status, 0, stdout);
    assert.match(
      stdout,
      /the key for open\.bigmodel\.cn will be kept in the keychain \(Secret Service\)/,
    );
    assert.match(stdout, /stored key 0123…cdef/);
    assert.doesNotMatch(stdout, /TopSecret|0123456789abcdef/);
    assert.match((await glm(['print'])).stdout, TOKEN);
  });

  test('store asks before it replaces a key, and keeps it unless the answer is yes', async () => {
    await glm(['store'], KEY);
    const ask = (answer: string) =>
      onTerminal(
        ['store'],
        [
          ['not shown): ', OTHER],
          ['(0123…cdef) is stored for open.bigmodel.cn. Replace it? [y/N] ', answer],
        ],
      );
    const no = await ask('');
    assert.equal(no.status, 2);
    assert.match(no.stdout, /nothing was changed/);
    assert.equal(idOf((await glm(['print'])).stdout), KEY.split('.')[0]);
    assert.equal((await ask('y')).status, 0);
    assert.equal(idOf((await glm(['print'])).stdout), OTHER.split('.')[0]);
  });

  test('delete asks, and deletes only when the answer is yes', async () => {
    await glm(['store'], KEY);
    const question =
      'Delete the key for open.bigmodel.cn from the keychain (Secret Service)? [y/N] ';
    assert.equal((await onTerminal(['delete'], [[question, 'n']])).status, 2);
    const unclear = await onTerminal(
      ['delete'],
      [
        [question, 'perhaps'],
        ['"perhaps" is neither yes nor no', ''],
      ],
    );
    assert.match(unclear.stdout, /nothing was changed|nothing was deleted/);
    assert.equal(unclear.status, 2);
    assert.equal((await onTerminal(['delete'], [[question, 'y']])).status, 0);
    assert.equal((await glm(['print'])).status, 3);
  });

  test('setup takes a key at the prompt, and a second setup uses it', async () => {
    const setup = ['setup', '--host=open.bigmodel.cn', '--plan=pay-as-you-go'];
    const first = await onTerminal(setup, [
      ['not shown): ', KEY],
      ['[Y/n] ', 'n'],
    ]);
    assert.equal(first.status, 0, first.stdout);
    const second = await onTerminal(setup, [
      ['Key 0123…cdef is stored for open.bigmodel.cn. Use it? [Y/n] ', ''],
      ['[Y/n] ', 'n'],
    ]);
    assert.equal(second.status, 0, second.stdout);
    assert.doesNotMatch(second.stdout, /stored key/);
  });
});

describe('setup', () => {
  beforeEach(clear);

  test('with the key piped in, it prints the lines for init.el', async () => {
    const { status, stdout, stderr } = await glm(
      ['setup', '--host', 'api.z.ai', '--profile', '工"作'],
      KEY,
    );
    assert.equal(status, 0, stderr);
    assert.deepEqual(stdout.trimEnd().split('\n'), [
      ';; GLM for gptel: a fresh token for each request; the key stays in its store.',
      `(add-to-list 'load-path "${ROOT}/elisp")`,
      "(if (not (require 'glm-gptel-auth nil t))",
      `    (display-warning 'glm-gptel-auth "its files have moved; get new lines with: ${CALL} setup emacs --host api.z.ai --profile '工\\"作'")`,
      `  (setq glm-gptel-auth-command '("${process.execPath}" "${PROGRAM}"))`,
      "  (with-eval-after-load 'gptel",
      '    (setq gptel-backend (glm-gptel-auth-make-backend "GLM 工\\"作@api.z.ai" :host "api.z.ai" :profile "工\\"作")',
      "          gptel-model 'glm-5.3)))",
    ]);
    assert.match(stderr, /^glm-token: the key will be kept in the keychain \(Secret Service\)$/m);
    assert.doesNotMatch(stdout + stderr, /TopSecret/);
  });

  test('setup emacs prints the lines alone and asks nothing', async () => {
    const { status, stdout, stderr } = await glm(['setup', 'emacs']);
    assert.deepEqual([status, stderr], [0, '']);
    assert.match(stdout, /^;; GLM for gptel/);
    assert.ok(stdout.includes(`("${process.execPath}" "${PROGRAM}")`));
    assert.equal((await glm(['setup', 'vim'])).status, 2);
  });

  test('with GLM_API_KEY, it needs no keychain', async () => {
    const bare = { ...BARE_ENV, GLM_API_KEY: KEY };
    const { status, stdout, stderr } = await glmToken(['setup'], { env: bare });
    assert.equal(status, 0, stderr);
    assert.match(stdout, /^;; GLM for gptel/);
    assert.match(stderr, /GLM_API_KEY is set, so the key comes from the environment/);
  });

  test('with neither keychain nor passphrase, it exits 5 and names the ways on', async () => {
    const { status, stderr } = await glmToken(['setup'], {
      env: BARE_ENV,
      input: KEY,
    });
    assert.equal(status, 5);
    assert.ok(stderr.endsWith(`hint: on a terminal, which asks for a passphrase: ${CALL} setup\n`));
  });

  test('a stored key is kept, and replaced only with --force and another key piped in', async () => {
    await glm(['store'], KEY);
    assert.equal((await glm(['setup'])).status, 0);
    assert.equal((await glm(['setup'], OTHER)).status, 2);
    assert.equal((await glm(['setup', '--force'], OTHER)).status, 0);
    assert.equal(idOf((await glm(['print'])).stdout), OTHER.split('.')[0]);
  });
});
