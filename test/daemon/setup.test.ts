/** The guided first run over the wire, as Emacs goes through it, and the verdict on a key. */

import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import type { Answers } from '../../src/daemon/methods.ts';
import { type Certificate, makeCertificate } from '../support/certificate.ts';
import { BARE_ENV, type Env } from '../support/environment.ts';
import { GlmServer } from '../support/glm-server.ts';
import { Helper } from '../support/helper.ts';
import { KeychainSession } from '../support/keychain.ts';
import { glmToken } from '../support/program.ts';

type Step = NonNullable<Answers['setup']['step']>;
type Done = NonNullable<Answers['setup']['done']>;

const KEY = '0123456789abcdef.TopSecretSecret1';
const PATHS = { command: ['/usr/bin/node', '/opt/glm/cli.cjs'], elisp: '/opt/glm/elisp' };
const PAY = 'pay-as-you-go';

let certificate: Certificate;
let glm: GlmServer;
let home: string;
let helper: Helper;
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
  home = mkdtempSync(join(tmpdir(), 'glm-token-test-'));
  glm.failWith = undefined;
});
afterEach(async () => {
  await helper.stop();
  rmSync(home, { recursive: true });
});

const start = (env: Env) => {
  helper = new Helper({ NODE_EXTRA_CA_CERTS: certificate.file, ...env });
};

async function setup(answers: object): Promise<Answers['setup']> {
  const { result, error } = await helper.request('setup', { answers, paths: PATHS });
  assert.equal(error, undefined);
  assert.doesNotMatch(JSON.stringify(result), /eyJ|TopSecret/);
  return result as unknown as Answers['setup'];
}

async function stepOf(answers: object): Promise<Step> {
  const { step, done } = await setup(answers);
  assert.equal(done, null);
  return step ?? assert.fail('there is no step');
}

async function doneOf(answers: object): Promise<Done> {
  const { step, done } = await setup(answers);
  assert.equal(step, null);
  return done ?? assert.fail('this is not the end');
}

const errorOf = async (method: string, params: object) =>
  (await helper.request(method, params)).error?.data.code;

describe('without a keychain', () => {
  beforeEach(() => start({ ...BARE_ENV, HOME: home }));

  test('each answer leads to the next step, and the last one to the lines', async () => {
    const first = await stepOf({});
    assert.deepEqual(
      [first.name, first.kind, first.account, first.choices?.map(({ value }) => value)],
      ['host', 'choice', null, ['open.bigmodel.cn', 'api.z.ai']],
    );
    const host = glm.host;
    const account = { host, profile: 'default' };
    const plan = await stepOf({ host });
    assert.deepEqual([plan.name, plan.default, plan.account], ['plan', PAY, account]);

    const file = await stepOf({ host, plan: PAY });
    assert.deepEqual([file.name, file.kind, file.default], ['file', 'yes-no', true]);
    assert.match(file.notes[0] ?? '', /^there is no keychain/);
    assert.equal(existsSync(join(home, '.local')), false, 'nothing was begun');

    const key = await stepOf({ host, plan: PAY, file: true });
    assert.deepEqual([key.name, key.kind, key.store, key.url], ['key', 'secret', 'file', null]);
    await helper.request('unlock', { passphrase: 'correct horse', store: 'file' });
    const stored = await helper.request('store', { ...account, key: KEY, store: 'file' });
    assert.equal(stored.result?.stored, true);

    const answers = { host, plan: PAY, file: true, key: true };
    assert.equal((await stepOf(answers)).name, 'check');
    const verify = await stepOf({ ...answers, check: true });
    assert.deepEqual([verify.name, verify.kind, verify.plan], ['verify', 'verify', PAY]);
    const { result } = await helper.request('verify', { ...account, plan: PAY });
    assert.equal(result?.verdict, 'accepted');

    const done = await doneOf({ ...answers, check: true, verify: result });
    assert.deepEqual([done.account, done.plan, done.verdict], [account, PAY, result]);
    assert.ok(done.lines.includes(`(add-to-list 'load-path "/opt/glm/elisp")`));
    assert.ok(done.lines.join('\n').includes('"/usr/bin/node" "/opt/glm/cli.cjs"'));
    assert.deepEqual(done.notes, [], 'what to do next is for Emacs to say');
  });

  test('that is what an error says, too: the cure is to begin an encrypted file', async () => {
    for (const [method, params] of [
      ['token', {}],
      ['store', { key: KEY }],
    ] as const) {
      const { error } = await helper.request(method, params);
      assert.deepEqual([error?.data.code, error?.data.action], ['ERR_STORE_UNAVAILABLE', 'file']);
    }
  });

  test('a key that could not be stored leads to the same question', async () => {
    const step = await stepOf({ host: 'api.z.ai', plan: PAY, key: false });
    assert.equal(step.name, 'file');
    assert.match(step.notes[0] ?? '', /^there is no keychain/);
  });

  test('a no to the encrypted file ends it, with the ways on', async () => {
    const { error } = await helper.request('setup', {
      answers: { host: 'api.z.ai', plan: PAY, file: false },
      paths: PATHS,
    });
    assert.equal(error?.data.code, 'ERR_STORE_UNAVAILABLE');
    assert.match(error?.data.hint ?? '', /setup --store file --host api\.z\.ai/);
    assert.equal(existsSync(join(home, '.local')), false);
  });

  test('a key for the other plan: named, checked there, and the lines are for it', async () => {
    const { host } = glm;
    await helper.request('unlock', { passphrase: 'correct horse', store: 'file' });
    const key = 'codingid12345.CodingSecret1';
    await helper.request('store', { host, key, store: 'file' });
    const answers = { host, plan: PAY, keep: true, check: true };
    const { result: verify } = await helper.request('verify', { host, plan: PAY });
    assert.deepEqual([verify?.verdict, verify?.otherPlan], ['refused', 'coding']);
    assert.equal((await stepOf({ ...answers, verify })).name, 'otherPlan');
    const again = await stepOf({ ...answers, verify, otherPlan: true });
    assert.deepEqual([again.name, again.plan], ['verifyOther', 'coding']);
    assert.match(again.notes.join(), /the Coding Plan's terms/);
    const { result: verifyOther } = await helper.request('verify', { host, plan: 'coding' });
    const done = await doneOf({ ...answers, verify, otherPlan: true, verifyOther });
    assert.deepEqual([done.plan, done.verdict?.verdict], ['coding', 'accepted']);
    assert.match(done.lines.join('\n'), /:coding-plan t/);
    const stays = await doneOf({ ...answers, verify, otherPlan: false });
    assert.deepEqual([stays.plan, stays.verdict?.verdict], [PAY, 'refused']);
  });

  test('a verdict says why, and what to do about it', async () => {
    const { host } = glm;
    await helper.request('unlock', { passphrase: 'correct horse', store: 'file' });
    const wrong = '0123456789abcdef.WrongSecret12345';
    await helper.request('store', { host, key: wrong, store: 'file' });
    const refused = (await helper.request('verify', { host })).result;
    assert.equal(refused?.verdict, 'refused');
    assert.match(String(refused?.message), /code 1004: the service refuses the key/);
    assert.match(String(refused?.hint), /store --force --host /);
    glm.failWith = { status: 429, code: '1302', message: 'x' };
    const busy = (await helper.request('verify', { host })).result;
    assert.deepEqual([busy?.verdict, busy?.hint], ['unchecked', 'wait a little and try again']);
    await glm.stop();
    const gone = (await helper.request('verify', { host })).result;
    assert.equal(gone?.verdict, 'unchecked');
    assert.match(String(gone?.message), /^not checked: cannot reach /);
    const keys = { '0123456789abcdef': 'TopSecretSecret1' };
    glm = await GlmServer.start(keys, { tls: certificate });
  });

  test('answers and paths that are none are ERR_USAGE, and no key is shown', async () => {
    for (const answers of [
      { host: 5 },
      { host: 'not a host' },
      { profile: {} },
      { plan: 'free' },
      { host: 'api.z.ai', keep: 'yes' },
      { host: 'api.z.ai', verify: true },
      { host: 'api.z.ai', verify: { verdict: 'good' } },
    ]) {
      const code = await errorOf('setup', { answers, paths: PATHS });
      assert.equal(code, 'ERR_USAGE', JSON.stringify(answers));
    }
    for (const paths of [undefined, {}, { command: [], elisp: '/x' }, { command: ['node'] }]) {
      const answers = { host: 'api.z.ai', plan: PAY, keep: true, check: false };
      assert.equal(await errorOf('setup', { answers, paths }), 'ERR_USAGE');
    }
    const profile = `0123456789abcdef${KEY}`;
    const { error } = await helper.request('setup', { answers: { profile }, paths: PATHS });
    assert.equal(error?.data.code, 'ERR_USAGE');
    assert.doesNotMatch(JSON.stringify(error), /TopSecret/);
  });
});

describe('with a keychain', () => {
  let session: KeychainSession;
  before(async () => {
    session = await KeychainSession.start();
    await glmToken(['store'], { env: session.env, input: KEY });
  });
  after(() => session.stop());
  beforeEach(() => start({ ...session.env, GLM_TOKEN_PROMPT_TIMEOUT: '3s' }));

  test('a stored key is offered by its shortened id', async () => {
    const answers = { host: 'open.bigmodel.cn', plan: 'coding' };
    const { name, question, notes } = await stepOf(answers);
    assert.equal(name, 'keep');
    assert.equal(question, 'Key 0123…cdef is stored for open.bigmodel.cn. Use it?');
    assert.match(notes[0] ?? '', /the Coding Plan's terms/);
    assert.equal((await stepOf({ ...answers, keep: true })).name, 'check');
    const key = await stepOf({ ...answers, keep: false });
    assert.deepEqual([key.name, key.store], ['key', null]);
    assert.match(key.url ?? '', /^https:\/\/bigmodel\.cn\//);
  });

  test('a locked keychain is the coded error, and never an encrypted file', async () => {
    await session.lock();
    try {
      const answers = { host: 'open.bigmodel.cn', plan: PAY };
      assert.equal(await errorOf('setup', { answers, paths: PATHS }), 'ERR_STORE_LOCKED');
    } finally {
      await session.unlock();
    }
  });

  test('one that is silent, or out of reach, is the coded error, and never an encrypted file', async () => {
    const answers = { host: 'open.bigmodel.cn', plan: PAY };
    const refused = async () => {
      for (const more of [{}, { key: false }]) {
        const given = { answers: { ...answers, ...more }, paths: PATHS };
        const { error } = await helper.request('setup', given);
        assert.equal(error?.data.code, 'ERR_STORE_UNAVAILABLE', error?.message);
        assert.equal(error?.data.action, null);
        assert.doesNotMatch(`${error?.message} ${error?.data.hint}`, /encrypted file/);
      }
    };
    session.signal('SIGSTOP');
    try {
      await refused();
    } finally {
      session.signal('SIGCONT');
    }
    await helper.stop();
    const { DBUS_SESSION_BUS_ADDRESS: alive = '', XDG_RUNTIME_DIR = '' } = session.env;
    symlinkSync(alive.replace(/^unix:path=|,.*/g, ''), join(XDG_RUNTIME_DIR, 'bus'));
    start({ ...session.env, DBUS_SESSION_BUS_ADDRESS: 'unix:path=/nonexistent/bus' });
    await refused();
  });

  test('in Chinese, what it asks is Chinese', async () => {
    await helper.request('initialize', { protocol: 1, locale: 'zh' });
    const { question } = await stepOf({ host: 'open.bigmodel.cn', plan: PAY });
    assert.equal(question, '已保存 open.bigmodel.cn 的 key（0123…cdef）。使用它吗？');
  });
});
