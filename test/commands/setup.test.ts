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
const TOKEN = /eyJ[\w-]+\.[\w-]+\.[\w-]+/;
const LINES = /^\(add-to-list 'load-path "/m;

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
    assert.match(stdout, /warning: the Coding Plan's terms name the tools/);
    assert.match(
      stdout,
      /\(glm-gptel-auth-make-backend "GLM api\.z\.ai" :host "api\.z\.ai" :coding-plan t\)/,
    );
    assert.match(stdout, /glm-token: next, in Emacs: .*M-x gptel\r\n$/);
    assert.doesNotMatch(stdout, TOKEN);
    assert.doesNotMatch(stdout, /TopSecret/);
  });

  test('a stored key is offered, and replaced when the answer is no', async () => {
    const named = ['--host=api.z.ai', '--plan=pay-as-you-go', '--profile=again and again'];
    await glmToken(['store', '--host=api.z.ai', '--profile=again and again'], {
      env: keychain(),
      input: KEY,
    });
    const question =
      'Key 0123…cdef is stored for api.z.ai (profile again and again). Use it? [Y/n] ';
    const kept = await onTerminal(
      named,
      [
        [question, ''],
        [CHECK, 'n'],
      ],
      keychain(),
    );
    assert.equal(kept.status, 0, kept.stdout);
    const other: Answers = [
      [question, 'n'],
      [KEY_PROMPT, 'fedcba9876543210.OtherSecret1'],
      ['Replace it? [y/N] ', 'y'],
      [CHECK, 'n'],
    ];
    const replaced = await onTerminal(named, other, keychain());
    assert.equal(replaced.status, 0, replaced.stdout);
    assert.match(replaced.stdout, /stored key fedc…3210 for api\.z\.ai/);
  });

  test('a locked keychain is no reason for an encrypted file', async () => {
    await session.lock();
    try {
      const named = ['--host=api.z.ai', '--plan=coding'];
      const more = { ...keychain(), GLM_TOKEN_PROMPT_TIMEOUT: '1s' };
      const { status, stdout } = await onTerminal(named, [], more);
      assert.equal(status, 6, stdout);
      assert.doesNotMatch(stdout, /encrypted file|instead/);
    } finally {
      await session.unlock();
    }
  });

  test('--all has a line for each account, each with a name of its own', async () => {
    const accounts = [['--host=api.z.ai'], ['--profile=work'], []];
    for (const account of accounts) {
      await glmToken(['store', '--force', ...account], { env: keychain(), input: KEY });
    }
    const { stdout, stderr } = await glmToken(['setup', 'emacs', '--all', '--plan=coding'], {
      env: keychain(),
    });
    assert.equal(stderr, '');
    const backends = [...stdout.matchAll(/\(glm-gptel-auth-make-backend [^)]*\)/g)].map(String);
    assert.equal(backends[0], '(glm-gptel-auth-make-backend "GLM" :coding-plan t)');
    for (const backend of [
      '(glm-gptel-auth-make-backend "GLM api.z.ai" :host "api.z.ai" :coding-plan t)',
      '(glm-gptel-auth-make-backend "GLM work" :profile "work" :coding-plan t)',
    ]) {
      assert.ok(backends.includes(backend), stdout);
    }
    assert.equal(stdout.match(/setq gptel-backend/g)?.length, 1);
    assert.ok(stdout.includes(`get new lines with: ${CALL} setup emacs --all --plan coding"`));
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
    assert.match(
      byVariable.stdout,
      /"GLM other@api\.z\.ai" :host "api\.z\.ai" :profile "other" :coding-plan t/,
    );
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
    const keys = {
      '0123456789abcdef': 'TopSecretSecret1',
      codingid12345: 'CodingSecret1',
      freeid123456: 'FreeSecret123',
    };
    const kinds = { codingIds: ['codingid12345'], freeIds: ['freeid123456'] };
    glm = await GlmServer.start(keys, { tls: certificate, ...kinds });
  });
  after(async () => {
    await glm.stop();
    certificate.remove();
  });
  beforeEach(() => {
    glm.failWith = undefined;
    glm.answerWith = undefined;
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
    assert.match(stdout, /This sends one small chat request \(max_tokens=1\)\. \[Y\/n\]/);
    assert.match(stdout, /checked: the service accepts the key for 127\.0\.0\.1:\d+\r\n/);
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

  test('a refused key: exit 10, the explanation, the cure for this account, and the lines', async () => {
    const { status, stdout, stderr } = await glmToken(['setup', '--check', '--profile=work'], {
      env: { ...env, ...more },
      input: '0123456789abcdef.WrongSecret12345',
    });
    assert.equal(status, 10);
    assert.match(stderr, /answers 401, code 1004: the service refuses the key/);
    assert.match(stdout, LINES);
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
    assert.match(stderr, /not checked: cannot reach 127\.0\.0\.1:1.*\nhint: /);
    assert.match(stdout, LINES);
  });

  /** Runs the check on a key that was given, and returns what was said of it. */
  async function check(key: string, plan = 'pay-as-you-go') {
    const { status, stdout, stderr } = await glmToken(['setup', '--check', `--plan=${plan}`], {
      env: { ...env, ...more },
      input: key,
    });
    assert.match(stdout, LINES, stderr);
    return { status, stderr };
  }

  test('a service that is busy says nothing of the key', async () => {
    for (const [status, code] of [
      [429, '1302'],
      [429, '1305'],
      [503, '1234'],
      [200, '1305'],
    ] as const) {
      glm.failWith = { status, code, message: 'x' };
      const said = await check(KEY);
      assert.equal(said.status, 0);
      assert.match(said.stderr, new RegExp(`not checked: \\S+ answers ${status}, code ${code}: `));
      assert.doesNotMatch(said.stderr, /accepts|refuses/);
    }
  });

  test('an error with status 200 is no acceptance, in either of its forms', async () => {
    for (const body of [
      '{"error":{"code":"1004","message":"x"}}',
      '{"code":1004,"msg":"x","success":false}',
    ]) {
      glm.answerWith = body;
      const said = await check(KEY);
      assert.equal(said.status, 10, body);
      assert.match(said.stderr, /answers 200, code 1004: the service refuses the key/);
    }
  });

  test('what answers 200 and is not the service has accepted nothing', async () => {
    for (const body of ['<html>Log in to this network</html>', '{}', '', '[]', 'null', '"ok"']) {
      glm.answerWith = body;
      const said = await check(KEY);
      assert.equal(said.status, 0);
      assert.match(
        said.stderr,
        /not checked: \S+ answers 200, but not as the service does\nhint: /,
      );
    }
  });

  test('an account without balance has a good key where a free model answers', async () => {
    const free = await check('freeid123456.FreeSecret123');
    assert.equal(free.status, 0);
    assert.match(
      free.stderr,
      /checked: the service accepts the key for \S+, but the account has no balance, so only free models answer\nhint: .*\(setq gptel-model 'glm-4\.7-flash\)/,
    );
    const coding = await check('freeid123456.FreeSecret123', 'coding');
    assert.equal(coding.status, 10);
    assert.match(coding.stderr, /code 1113: the account has no balance left/);
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
    assert.match(stdout, /glm-gptel-auth-make-backend "GLM" :coding-plan t/);
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

  test('a key on standard input that nothing can keep: exit 5, three ways on', async () => {
    const { status, stdout, stderr } = await glmToken(['setup', '--profile=work'], {
      env,
      input: KEY,
    });
    assert.equal(status, 5);
    assert.equal(stdout, '');
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
    assert.match(stdout, LINES);
    assert.match((await glmToken(['print'], { env: { ...env, ...more } })).stdout, TOKEN);
  });
});

describe('a rehearsal', () => {
  test('--rehearse signs with a made-up key, shows no token, and stores nothing', async () => {
    for (const args of [['--rehearse'], ['--rehearse-without-key']]) {
      const { status, stdout, stderr } = await glmToken(['setup', ...args], { env });
      assert.equal(status, 0, stderr);
      assert.match(stdout, /glm-gptel-auth-make-backend "GLM"/);
      assert.match(stderr, /this was a rehearsal: a made-up key signed a token for 3 min, and/);
      assert.doesNotMatch(stdout + stderr, /eyJ/);
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
