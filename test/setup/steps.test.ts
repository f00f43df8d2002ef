/** The steps of the guided first run: which one comes next, for each answer and each fact. */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { GlmTokenError } from '../../src/core/errors.ts';
import { english } from '../../src/messages/en.ts';
import type { KeyCheck } from '../../src/setup/check.ts';
import type { Facts } from '../../src/setup/facts.ts';
import { type Answers, nextStep, type Outcome, type Step } from '../../src/setup/steps.ts';

const messages = english('glm-token');
const CHINA = { host: 'open.bigmodel.cn', profile: 'default' };
const WORK = { host: 'api.z.ai', profile: 'work' };

const FACTS: Facts = {
  account: WORK,
  likelyHost: 'open.bigmodel.cn',
  isInEnvironment: false,
  storedId: undefined,
  noKeychain: undefined,
  destination: { name: 'keychain', place: 'Secret Service' },
  file: { name: 'file', place: '/home/me/keys.jwe' },
  paths: {
    command: ['/usr/bin/node', '/opt/glm-token/dist/cli.cjs'],
    elisp: '/opt/glm-token/elisp',
  },
};

const next = (answers: Answers, facts: Partial<Facts> = {}) =>
  nextStep(answers, { ...FACTS, ...facts }, messages);

function stepOf(answers: Answers, facts: Partial<Facts> = {}): Step {
  const step = next(answers, facts);
  return 'lines' in step ? assert.fail('this is the end') : step;
}

function endOf(answers: Answers, facts: Partial<Facts> = {}): Outcome {
  const end = next(answers, facts);
  return 'lines' in end ? end : assert.fail(`this is the step ${end.name}`);
}

const noted = ({ notes }: Step | Outcome) => notes.map(({ message }) => message);

const check = (
  verdict: KeyCheck['verdict'],
  otherPlan: KeyCheck['otherPlan'] = null,
): KeyCheck => ({
  verdict,
  message: 'what the service said',
  hint: null,
  action: null,
  otherPlan,
});

describe('before there is a key', () => {
  test('the service is asked for while it is not known', () => {
    const { name, kind, choices, default: byDefault } = stepOf({}, { account: undefined });
    assert.deepEqual([name, kind, byDefault], ['host', 'choice', 'open.bigmodel.cn']);
    assert.deepEqual(
      choices?.map(({ value }) => value),
      ['open.bigmodel.cn', 'api.z.ai'],
    );
  });

  test('then the plan, whose terms are not in the choice', () => {
    const { name, choices, default: byDefault, account } = stepOf({});
    assert.deepEqual([name, byDefault, account], ['plan', 'pay-as-you-go', WORK]);
    assert.doesNotMatch(JSON.stringify(choices), /terms/);
  });

  test('the terms of the Coding Plan are said once, after it was chosen', () => {
    const terms = messages.setup.codingTerms.message;
    assert.ok(noted(stepOf({ plan: 'coding' })).includes(terms));
    assert.deepEqual(noted(stepOf({ plan: 'coding', key: true })), []);
    assert.ok(!noted(stepOf({ plan: 'pay-as-you-go' })).includes(terms));
    const stored = { storedId: '0123…cdef' };
    assert.deepEqual(noted(stepOf({ plan: 'coding' }, stored)), [terms]);
    assert.ok(!noted(stepOf({ plan: 'coding', keep: false }, stored)).includes(terms));
  });

  test('a stored key is offered by its shortened id, and kept or replaced', () => {
    const stored = { storedId: '0123…cdef' };
    const { name, question } = stepOf({ plan: 'coding' }, stored);
    assert.equal(name, 'keep');
    assert.equal(question, 'Key 0123…cdef is stored for api.z.ai (profile work). Use it?');
    assert.equal(stepOf({ plan: 'coding', keep: true }, stored).name, 'check');
    assert.equal(stepOf({ plan: 'coding', keep: false }, stored).name, 'key');
  });

  test('a key is asked for with the page that shows it, and where it is going to be', () => {
    const step = stepOf({ plan: 'pay-as-you-go' });
    assert.deepEqual([step.name, step.kind], ['key', 'secret']);
    assert.deepEqual([step.url, step.store], ['https://z.ai/manage-apikey/apikey-list', null]);
    assert.deepEqual(noted(step), ['the key will be kept in the keychain (Secret Service)']);
    const elsewhere = { host: 'localhost:1', profile: 'default' };
    assert.equal(stepOf({ plan: 'coding' }, { account: elsewhere }).url, null);
  });

  test('without a keychain, an encrypted file is offered, and begun only after a yes', () => {
    const noKeychain = new GlmTokenError('keychainMissing', { hasBus: false });
    const step = stepOf({ plan: 'pay-as-you-go' }, { noKeychain });
    assert.deepEqual([step.name, step.kind], ['file', 'yes-no']);
    assert.deepEqual(noted(step), ['there is no keychain: no session bus of D-Bus is running']);
    const key = stepOf({ plan: 'pay-as-you-go', file: true });
    assert.deepEqual([key.name, key.store], ['key', 'file']);
    assert.match(noted(key)[0] ?? '', /the encrypted file/);
    assert.throws(() => next({ plan: 'pay-as-you-go', file: false }), {
      code: 'ERR_STORE_UNAVAILABLE',
      reason: 'fileDeclined',
      params: { account: WORK },
    });
  });

  test('a key that no keychain could take leads to the same question, and comes again', () => {
    const noKeychain = new GlmTokenError('keyringMissing');
    assert.equal(stepOf({ plan: 'coding', key: false }, { noKeychain }).name, 'file');
    assert.equal(stepOf({ plan: 'coding', key: false, file: true }).name, 'key');
    assert.equal(stepOf({ plan: 'coding', key: true, file: true }).name, 'check');
  });

  test('a key that a keychain which is there did not take leads to no encrypted file', () => {
    for (const facts of [{}, { storedId: '0123…cdef' }]) {
      assert.throws(() => next({ plan: 'coding', key: false }, facts), { reason: 'fileDeclined' });
    }
  });

  test('with GLM_API_KEY there is nothing to store, which is said once', () => {
    const facts = { isInEnvironment: true };
    const step = stepOf({ plan: 'pay-as-you-go' }, facts);
    assert.deepEqual([step.name, noted(step)], ['check', [messages.setup.usesEnvironment]]);
    assert.deepEqual(noted(stepOf({ plan: 'coding', check: true }, facts)), []);
  });
});

describe('the check', () => {
  const asked: Answers = { plan: 'pay-as-you-go', key: true, check: true };

  test('is asked about, and done at the endpoint of the plan', () => {
    assert.equal(stepOf({ plan: 'coding', key: true }).name, 'check');
    const step = stepOf({ ...asked, plan: 'coding' });
    assert.deepEqual([step.name, step.kind, step.plan], ['verify', 'verify', 'coding']);
  });

  for (const verdict of ['accepted', 'refused', 'unchecked'] as const) {
    test(`ends with the lines when the key is ${verdict}`, () => {
      const end = endOf({ ...asked, verify: check(verdict) });
      assert.equal(end.check?.verdict, verdict);
      assert.equal(end.lines.length, 8);
    });
  }

  test('ends with the lines when it is not wanted', () => {
    const end = endOf({ plan: 'coding', key: true, check: false });
    assert.deepEqual([end.check, end.plan], [undefined, 'coding']);
    assert.match(end.lines.join('\n'), /:profile "work" :coding-plan t\)/);
  });

  test('asks for the other plan that it named, and checks there, with its terms', () => {
    const refused = { ...asked, verify: check('refused', 'coding') };
    assert.equal(stepOf(refused).name, 'otherPlan');
    const step = stepOf({ ...refused, otherPlan: true });
    assert.deepEqual([step.name, step.kind, step.plan], ['verifyOther', 'verify', 'coding']);
    assert.deepEqual(noted(step), [messages.setup.codingTerms.message]);
  });

  for (const [first, second, plan] of [
    ['refused', 'accepted', 'coding'],
    ['refused', 'unchecked', 'coding'],
    ['refused', 'refused', 'pay-as-you-go'],
    ['accepted', 'accepted', 'pay-as-you-go'],
    ['accepted', 'refused', 'pay-as-you-go'],
    ['unchecked', 'accepted', 'coding'],
  ] as const) {
    test(`${first} for one plan and ${second} for the other: the lines are for ${plan}`, () => {
      const verify = check(first, 'coding');
      const end = endOf({ ...asked, verify, otherPlan: true, verifyOther: check(second) });
      assert.equal(end.plan, plan);
      assert.equal(end.check?.verdict, plan === 'coding' ? second : first);
    });
  }

  test('stays with the plan when the other one is not wanted', () => {
    const end = endOf({ ...asked, verify: check('refused', 'coding'), otherPlan: false });
    assert.deepEqual([end.plan, end.check?.verdict], ['pay-as-you-go', 'refused']);
  });
});

describe('the end', () => {
  const answers: Answers = { plan: 'coding', key: true, check: false };

  test('warns of nothing where nothing is wrong', () => {
    assert.deepEqual(noted(endOf(answers)), []);
  });

  test('warns of paths that an upgrade changes, and how to get the lines again then', () => {
    const paths = {
      command: ['/home/me/.nvm/versions/node/v22.1.0/bin/node', '/opt/glm-token/dist/cli.cjs'],
      elisp: '/opt/glm-token/elisp',
    };
    const [warning] = endOf(answers, { paths }).notes;
    assert.equal(
      warning?.message,
      `warning: these paths change with an upgrade: ${paths.command[0]}`,
    );
    assert.equal(
      warning?.hint,
      'after one, get new lines with: glm-token setup emacs --host api.z.ai --profile work --plan coding',
    );
    const elisp = '/home/me/.emacs.d/elpa/glm-gptel-auth-0.1.0';
    const packaged = { ...FACTS.paths, elisp };
    assert.match(noted(endOf(answers, { paths: packaged }))[0] ?? '', /glm-gptel-auth-0\.1\.0$/);
  });

  test('has a name for each account in the lines', () => {
    for (const [account, name] of [
      [CHINA, 'GLM'],
      [{ ...CHINA, profile: 'work' }, 'GLM work'],
      [{ ...WORK, profile: 'default' }, 'GLM api.z.ai'],
      [WORK, 'GLM work@api.z.ai'],
    ] as const) {
      const { lines } = endOf(answers, { account });
      assert.ok(lines.join('\n').includes(`(glm-gptel-auth-make-backend "${name}"`), name);
    }
  });
});
