/** setup: the guided first run, on a terminal and without, for each service, plan and store. */

import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { type Certificate, makeCertificate } from '../support/certificate.ts';
import { BARE_ENV, type Env, PROGRAM } from '../support/environment.ts';
import { GlmServer } from '../support/glm-server.ts';
import { KeychainSession } from '../support/keychain.ts';
import { type Answers, CALL, glmToken, runOnTerminal } from '../support/program.ts';

const KEY = '0123456789abcdef.TopSecretSecret1';
const TOKEN = /^eyJ[\w-]+\.[\w-]+\.[\w-]+\r?$/m;

const SERVICE = 'Choice [1]: ';
const PLAN = 'Choice [1]: ';
const KEY_PROMPT = 'not shown): ';
const CHECK = '[Y/n] ';

let home: string;
let env: Env;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'glm-token-test-'));
  env = { ...BARE_ENV, HOME: home };
});
afterEach(() => rmSync(home, { recursive: true }));

const withPassphrase = (): Env => {
  const file = join(home, 'passphrase');
  writeFileSync(file, 'correct horse\n', { mode: 0o600 });
  return { GLM_TOKEN_PASSPHRASE_FILE: file };
};

const onTerminal = (args: string[], answers: Answers, more: Env = {}) =>
  runOnTerminal([process.execPath, PROGRAM, 'setup', ...args], answers, { ...env, ...more });

describe('with a keychain', () => {
  let session: KeychainSession;
  before(async () => {
    session = await KeychainSession.start();
  });
  after(() => session.stop());
  const keychain = (): Env => ({ ...session.env, HOME: session.env.HOME ?? '' });

  test('asks for service, plan and key, and prints a block for them', async () => {
    const { status, stdout } = await onTerminal(
      [],
      [
        [SERVICE, '2'],
        [PLAN, '2'],
        [KEY_PROMPT, KEY],
        [CHECK, 'n'],
      ],
      keychain(),
    );
    assert.equal(status, 0, stdout);
    assert.match(
      stdout,
      /1\) China \(open\.bigmodel\.cn\)\r\n {2}2\) international \(api\.z\.ai\)/,
    );
    assert.match(stdout, /get the key at https:\/\/z\.ai\/manage-apikey\/apikey-list/);
    assert.match(stdout, /stored key 0123…cdef for api\.z\.ai in the keychain/);
    assert.match(stdout, /not checked: whether api\.z\.ai accepts the key/);
    assert.match(stdout, TOKEN);
    assert.match(stdout, /\(glm-gptel-auth-make-backend "GLM" :host "api\.z\.ai" :coding-plan t\)/);
    assert.doesNotMatch(stdout, /TopSecret/);
  });

  test('what an option or a variable names is not asked for', async () => {
    const named = ['--host=api.z.ai', '--plan=pay-as-you-go', '--profile=named'];
    const answers: Answers = [
      [KEY_PROMPT, KEY],
      [CHECK, 'n'],
    ];
    const byOption = await onTerminal(named, answers, keychain());
    assert.equal(byOption.status, 0, byOption.stdout);
    assert.doesNotMatch(byOption.stdout, /Which/);
    const more = { ...keychain(), GLM_TOKEN_HOST: 'api.z.ai', GLM_TOKEN_PROFILE: 'other' };
    const byVariable = await onTerminal(['--plan=coding'], answers, more);
    assert.equal(byVariable.status, 0, byVariable.stdout);
    assert.match(byVariable.stdout, /:host "api\.z\.ai" :profile "other" :coding-plan t/);
  });

  test('the likely service is the default: China, unless the clock says otherwise', async () => {
    for (const [more, expected] of [
      [{ TZ: 'Europe/Berlin' }, 2],
      [{ TZ: 'Asia/Shanghai' }, 1],
      [{ TZ: 'Europe/Berlin', LANG: 'zh_CN.UTF-8', GLM_TOKEN_LANG: 'en' }, 1],
      [{ TZ: 'Europe/Berlin', LANG: 'en_US.UTF-8', GLM_TOKEN_LANG: 'zh' }, 1],
    ] as const) {
      const answers: Answers = [[`[${expected}]`, '^C']];
      assert.equal((await onTerminal([], answers, { ...keychain(), ...more })).status, 130);
    }
  });

  test('a choice that there is not, and a malformed key, are asked for again', async () => {
    const { status, stdout } = await onTerminal(
      ['--profile=again'],
      [
        [SERVICE, '3'],
        [SERVICE, '1'],
        [PLAN, ''],
        [KEY_PROMPT, 'nodot'],
        [KEY_PROMPT, KEY],
        [CHECK, 'n'],
      ],
      keychain(),
    );
    assert.equal(status, 0, stdout);
    assert.match(stdout, /"3" is not one of the choices/);
    assert.match(stdout, /it has no dot/);
  });

  test('three malformed keys are enough: exit 4, nothing stored', async () => {
    const bad: Answers = [1, 2, 3].map((n) => [KEY_PROMPT, `nodot${n}`] as const);
    const args = ['--host=api.z.ai', '--plan=coding', '--profile=bad'];
    const { status, stdout } = await onTerminal(args, bad, keychain());
    assert.equal(status, 4, stdout);
    assert.equal(
      (await glmToken(['print', '--host=api.z.ai', '--profile=bad'], { env: keychain() })).status,
      3,
    );
  });

  test('Ctrl-D at each question exits 130', async () => {
    const questions: Answers = [
      [SERVICE, '1'],
      [PLAN, '1'],
      [KEY_PROMPT, KEY],
      [CHECK, 'n'],
    ];
    for (const [at, [shown]] of questions.entries()) {
      const answers: Answers = [...questions.slice(0, at), [shown, '^D']];
      const { status, stdout } = await onTerminal([`--profile=d${at}`], answers, keychain());
      assert.equal(status, 130, `${shown} ${stdout}`);
    }
  });
});

describe('the check with the service', () => {
  let certificate: Certificate;
  let glm: GlmServer;
  let more: Env;
  before(async () => {
    certificate = await makeCertificate();
    const keys = { '0123456789abcdef': 'TopSecretSecret1', codingid12345: 'CodingSecret1' };
    glm = await GlmServer.start(keys, { tls: certificate, codingIds: ['codingid12345'] });
  });
  after(async () => {
    await glm.stop();
    certificate.remove();
  });
  beforeEach(() => {
    more = {
      ...withPassphrase(),
      GLM_TOKEN_HOST: glm.host,
      GLM_TOKEN_STORE: 'file',
      NODE_EXTRA_CA_CERTS: certificate.file,
    };
  });

  test('sends one chat request of one token, and says that the key is accepted', async () => {
    const before = glm.seen.length;
    const { status, stdout } = await onTerminal(
      ['--plan=pay-as-you-go'],
      [
        [KEY_PROMPT, KEY],
        [CHECK, ''],
      ],
      more,
    );
    assert.equal(status, 0, stdout);
    assert.match(stdout, /This sends one chat request of one token\. \[Y\/n\]/);
    assert.match(stdout, /checked: 127\.0\.0\.1:\d+ accepts the key/);
    const [seen, ...others] = glm.seen.slice(before);
    assert.deepEqual([seen?.path, others], ['/api/paas/v4/chat/completions', []]);
    assert.equal(JSON.parse(seen?.body ?? '{}').max_tokens, 1);
  });

  test('for code 1113 it proposes the other plan, and the block is for that one', async () => {
    const { status, stdout } = await onTerminal(
      [],
      [
        [PLAN, ''],
        [KEY_PROMPT, 'codingid12345.CodingSecret1'],
        [CHECK, 'y'],
        ['Try the endpoint of the GLM Coding Plan? [Y/n] ', ''],
      ],
      more,
    );
    assert.equal(status, 0, stdout);
    assert.match(stdout, /code 1113: the account has no balance left/);
    assert.match(stdout, /accepts the key/);
    assert.match(stdout, /:coding-plan t\)/);
  });

  test('a refused key: exit 10, the explanation, and the cure for this account', async () => {
    const { status, stderr } = await glmToken(['setup', '--check', '--profile=work'], {
      env: { ...env, ...more },
      input: '0123456789abcdef.WrongSecret12345',
    });
    assert.equal(status, 10);
    assert.match(stderr, /answers 401, code 1004: the service refuses the key/);
    assert.ok(stderr.includes(`${CALL} store --force --host ${glm.host} --profile work`), stderr);
  });

  test('a key from GLM_API_KEY that is refused is to be set again, not stored', async () => {
    const { status, stderr } = await glmToken(['setup', '--check'], {
      env: { ...env, ...more, GLM_API_KEY: '0123456789abcdef.WrongSecret12345' },
    });
    assert.equal(status, 10);
    assert.match(stderr, /hint: the key comes from GLM_API_KEY: .* set the variable again/);
  });

  test('a service that cannot be reached is "not checked", and no failure', async () => {
    const { status, stdout, stderr } = await glmToken(['setup', '--check'], {
      env: { ...env, ...more, GLM_TOKEN_HOST: '127.0.0.1:1' },
      input: KEY,
    });
    assert.equal(status, 0, stderr);
    assert.match(stderr, /cannot reach 127\.0\.0\.1:1.*\n.*\n.*not checked: whether/);
    assert.match(stdout, TOKEN);
  });
});

describe('without a keychain', () => {
  test('offers the encrypted file, and Enter takes it; the key is asked for before a passphrase', async () => {
    const { status, stdout } = await onTerminal(
      ['--host=open.bigmodel.cn', '--plan=coding'],
      [
        ['instead? [Y/n] ', ''],
        [KEY_PROMPT, KEY],
        ['New passphrase for the encrypted file: ', ''],
        ['New passphrase for the encrypted file: ', 'one'],
        ['Repeat passphrase: ', 'two'],
        ['New passphrase for the encrypted file: ', 'correct horse'],
        ['Repeat passphrase: ', 'correct horse'],
        [CHECK, 'n'],
      ],
    );
    assert.equal(status, 0, stdout);
    assert.match(stdout, /an empty passphrase protects nothing/);
    assert.match(stdout, /the passphrases do not match/);
    assert.match(stdout, TOKEN);
    assert.doesNotMatch(stdout, /TopSecret|correct horse/);
  });

  test('after a no, the way on is said: exit 5', async () => {
    const { status, stdout } = await onTerminal(
      ['--host=api.z.ai', '--profile=work', '--plan=coding'],
      [['instead? [Y/n] ', 'n']],
    );
    assert.equal(status, 5, stdout);
    assert.ok(stdout.includes(`${CALL} setup --store file --host api.z.ai --profile work`), stdout);
    assert.equal(existsSync(join(home, '.local')), false);
  });

  test('a key on standard input is not lost: its token, exit 5, three ways on', async () => {
    const { status, stdout, stderr } = await glmToken(['setup', '--profile=work'], {
      env,
      input: KEY,
    });
    assert.equal(status, 5);
    assert.match(stdout, TOKEN);
    const hints = stderr.split('\n').filter((line) => line.startsWith('hint: '));
    assert.equal(hints.length, 3, stderr);
    for (const [at, part] of [
      'GLM_TOKEN_PASSPHRASE_FILE=',
      'export GLM_API_KEY=',
      'terminal',
    ].entries()) {
      assert.ok(hints[at]?.includes(part), stderr);
    }
    for (const hint of [hints[0], hints[2]]) assert.match(hint ?? '', / setup --profile work/);
    assert.doesNotMatch(stdout + stderr, /TopSecret/);
  });

  test('a key on standard input and a passphrase file: the encrypted file', async () => {
    const more = withPassphrase();
    const { status, stdout, stderr } = await glmToken(['setup'], {
      env: { ...env, ...more },
      input: KEY,
    });
    assert.equal(status, 0, stderr);
    assert.match(stdout, TOKEN);
    assert.match((await glmToken(['print'], { env: { ...env, ...more } })).stdout, TOKEN);
  });
});

describe('a rehearsal', () => {
  test('--rehearse does the main job with a made-up key and stores nothing', async () => {
    for (const args of [['--rehearse'], ['--rehearse-without-key']]) {
      const { status, stdout, stderr } = await glmToken(['setup', ...args], { env });
      assert.equal(status, 0, stderr);
      assert.match(stdout, TOKEN);
      assert.match(stdout, /glm-gptel-auth-make-backend "GLM"/);
      assert.match(stderr, /this was a rehearsal with a made-up key/);
      assert.equal(existsSync(join(home, '.local')), false);
    }
    const ofPlan = await glmToken(['setup', '--rehearse', '--plan=coding'], { env });
    assert.match(ofPlan.stdout, /glm-gptel-auth-make-backend "GLM" :coding-plan t/);
  });

  test('with a key, --rehearse-without-key is no rehearsal', async () => {
    const more = { GLM_API_KEY: KEY };
    const { stderr } = await glmToken(['setup', '--rehearse-without-key'], {
      env: { ...env, ...more },
    });
    assert.doesNotMatch(stderr, /rehearsal/);
    const piped = await glmToken(['setup', '--rehearse-without-key'], {
      env: { ...env, ...withPassphrase() },
      input: KEY,
    });
    assert.match(piped.stderr, /stored key 0123…cdef/);
  });

  test('setup alone never makes a key up', async () => {
    const { status, stdout } = await glmToken(['setup'], { env });
    assert.notEqual(status, 0);
    assert.equal(stdout, '');
  });
});
