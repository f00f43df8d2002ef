/** The reader's language on a Chinese Windows. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BARE_ENV } from '../support/environment.ts';
import { CALL, glmToken } from '../support/program.ts';

const CHINESE = /\p{Script=Han}/u;

const { LANG: _, ...withoutLocale } = BARE_ENV;
const inChinese = (...args: string[]) => glmToken(args, { env: withoutLocale });

test("the language is the system's where no variable names one", async () => {
  assert.match((await inChinese('--help')).stdout, /^用法：glm-token/);
  const { status, stderr } = await inChinese('print');
  assert.equal(status, 3);
  assert.equal(
    stderr,
    `glm-token: 没有保存 open.bigmodel.cn 的 key\n提示：请运行：${CALL} store\n`,
  );
});

test('the language is that of GLM_TOKEN_LANG or of the locale where one of them is set', async () => {
  for (const more of [{ GLM_TOKEN_LANG: 'en' }, { LANG: 'en_US.UTF-8' }]) {
    const { stdout } = await glmToken(['--help'], { env: { ...withoutLocale, ...more } });
    assert.match(stdout, /^Usage: glm-token/);
  }
});

test('JSON is the same in every language', async () => {
  const { stdout, stderr } = await inChinese('list', '--json');
  assert.doesNotMatch(stdout + stderr, CHINESE);
});
