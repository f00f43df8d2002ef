/** The reader's language: which one is chosen, what changes with it, and what never does. */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import stringWidth from 'string-width';
import { COMMANDS } from '../src/commands/all.ts';
import { english } from '../src/messages/en.ts';
import { chinese } from '../src/messages/zh.ts';
import { chooseLanguage } from '../src/settings.ts';
import { BARE_ENV, type Env, only, ROOT } from './support/environment.ts';
import { FAILURE_SAMPLES } from './support/failures.ts';
import { Helper } from './support/helper.ts';
import { CALL, glmToken, SIDE_BY_SIDE } from './support/program.ts';

const CHINESE = /\p{Script=Han}/u;

test('the language is that of GLM_TOKEN_LANG, else of the locale', () => {
  const cases: [env: Env, system: string | undefined, language: string][] = [
    [{}, undefined, 'en'],
    [{ LANG: 'zh_CN.UTF-8' }, undefined, 'zh'],
    [{ LANG: 'zh_TW.utf8' }, undefined, 'zh'],
    [{ LANG: 'zh_CN' }, undefined, 'zh'],
    [{ LANG: 'zh_CN.GB18030' }, undefined, 'en'],
    [{ LANG: 'zh_CN.ISO-8859-1' }, undefined, 'en'],
    [{ LANG: 'C.UTF-8' }, undefined, 'en'],
    [{ LANG: 'zh_CN.UTF-8', LC_ALL: 'C' }, undefined, 'en'],
    [{ LANG: 'en_US.UTF-8', LC_MESSAGES: 'zh_CN.UTF-8' }, undefined, 'zh'],
    [{ LANG: 'en_US.UTF-8', GLM_TOKEN_LANG: 'zh' }, undefined, 'zh'],
    [{ LANG: 'zh_CN.UTF-8', GLM_TOKEN_LANG: 'en' }, undefined, 'en'],
    [{ LANG: 'zh_CN.UTF-8', GLM_TOKEN_LANG: 'fr' }, undefined, 'en'],
    ...['zh_CN', 'zh-CN', 'ZH', 'zh_CN.GBK'].map((name): [Env, undefined, string] => [
      { GLM_TOKEN_LANG: name },
      undefined,
      'zh',
    ]),
    [{}, 'zh-Hans-CN', 'zh'],
    [{}, 'de-DE', 'en'],
    [{ LANG: 'en_US.UTF-8' }, 'zh-CN', 'en'],
  ];
  for (const [env, system, language] of cases) {
    assert.equal(chooseLanguage(env, system), language, JSON.stringify([env, system]));
  }
});

test('a language that there is not gets a remark, and a token all the same', async () => {
  const env = { ...BARE_ENV, GLM_API_KEY: 'id.secret', GLM_TOKEN_LANG: 'fr' };
  const { status, stdout, stderr } = await glmToken(['print'], { env });
  assert.equal(
    stderr,
    'glm-token: GLM_TOKEN_LANG: there are no messages in "fr", so they are in English\nhint: set it to en or zh\n',
  );
  assert.match(stdout, /^eyJ/);
  assert.equal(status, 0);
  assert.equal((await glmToken(['print', '--format=json'], { env })).stderr, '');
  const inEnglish = { ...env, GLM_TOKEN_LANG: 'EN_GB' };
  assert.equal((await glmToken(['print'], { env: inEnglish })).stderr, '');
});

test('every failure is said in Chinese, in one line, with the same commands in its hint', () => {
  const [en, zh] = [english('glm-token'), chinese('glm-token')];
  const names = COMMANDS.map(({ name }) => name).join('|');
  const command = new RegExp(`glm-token (${names})\\b|GLM_[A-Z_]+`, 'g');
  const commandsIn = (text: unknown) => String(text).match(command) ?? [];
  for (const error of FAILURE_SAMPLES) {
    const [inEnglish, inChinese] = [en.describe(error), zh.describe(error)];
    if (error.reason === 'helperReported') continue; // Its words are the helper's.
    assert.match(inChinese.message, CHINESE, error.reason);
    assert.doesNotMatch(inChinese.message, /\n|undefined|\[object|。$/, error.reason);
    assert.equal(inChinese.hint === undefined, inEnglish.hint === undefined, error.reason);
    assert.deepEqual(
      commandsIn(inChinese.hint).sort(),
      commandsIn(inEnglish.hint).sort(),
      error.reason,
    );
  }
});

describe('with a Chinese locale', SIDE_BY_SIDE, () => {
  const env = { ...BARE_ENV, LANG: 'zh_CN.UTF-8', COLUMNS: '60' };

  test('an error, its hint and the help are in Chinese', only('linux'), async () => {
    const { status, stdout, stderr } = await glmToken(['print'], { env });
    assert.deepEqual([status, stdout], [5, '']);
    assert.match(stderr, /^glm-token: 没有系统钥匙串：.*\n提示：请登录桌面会话，或/);
    assert.ok(stderr.includes(`${CALL} store --store file`));
  });

  test('help fits the terminal, with two columns for a Chinese character', async () => {
    for (const args of [['--help'], ...COMMANDS.map(({ name }) => [name, '--help'])]) {
      const { stdout } = await glmToken(args, { env });
      assert.match(stdout, /^用法：glm-token/);
      for (const line of stdout.split('\n')) assert.ok(stringWidth(line) <= 60, line);
    }
  });

  test('JSON and codes are the same as in English', async () => {
    const inEnglish = { ...BARE_ENV, COLUMNS: '60' };
    for (const args of [
      ['print', '--format=json'],
      ['doctor', '--json', '--host=localhost:1'],
      ['list', '--json'],
      ['inspect', '--json', 'x'],
    ]) {
      const [zh, en] = [await glmToken(args, { env }), await glmToken(args, { env: inEnglish })];
      assert.deepEqual(zh, en, args.join(' '));
      assert.doesNotMatch((zh.stdout + zh.stderr).replaceAll(ROOT, ''), CHINESE);
    }
  });

  test('a token is the same', async () => {
    const { stdout, stderr } = await glmToken(['print', '--format=header'], {
      env: { ...env, GLM_API_KEY: 'id.secret' },
    });
    assert.match(stdout, /^Authorization: Bearer eyJ/);
    assert.equal(stderr, '');
  });
});

test('in the helper, the language belongs to the connection', async () => {
  const helper = new Helper({ ...BARE_ENV, LANG: 'C.UTF-8' });
  try {
    const refusal = async () => (await helper.request('token', { host: 'two words' })).error;
    assert.equal((await refusal())?.message, '"two words" is not a host');
    await helper.request('initialize', { protocol: 1, locale: 'zh' });
    const error = await refusal();
    assert.equal(error?.message, '"two words" 不是主机名');
    assert.equal(error?.data.code, 'ERR_USAGE');
    const { result } = await helper.request('explain', { code: '1113' });
    assert.match(String(result?.message), /余额不足/);
  } finally {
    await helper.stop();
  }
});
