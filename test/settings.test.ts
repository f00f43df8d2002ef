import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { ownDirectory, readSettings } from '../src/settings.ts';
import { BARE_ENV, type Env, only } from './support/environment.ts';
import { glmToken, SIDE_BY_SIDE } from './support/program.ts';

const DEFAULTS = {
  account: { host: 'open.bigmodel.cn', profile: 'default' },
  apiKey: undefined,
  store: undefined,
  passphraseFile: undefined,
  promptTimeoutMs: 60_000,
  socket: undefined,
};

test('each variable has a default, and counts as not set when it is empty', () => {
  assert.deepEqual(readSettings({}), DEFAULTS);
  const empty = {
    GLM_TOKEN_HOST: '',
    GLM_TOKEN_PROFILE: '',
    GLM_API_KEY: '',
    GLM_TOKEN_STORE: '',
    GLM_TOKEN_PASSPHRASE_FILE: '',
    GLM_TOKEN_PROMPT_TIMEOUT: '',
    GLM_TOKEN_SOCKET: '',
  };
  assert.deepEqual(readSettings(empty), DEFAULTS);
});

test('each variable is read', () => {
  const env = {
    GLM_TOKEN_HOST: 'HTTPS://API.Z.AI/',
    GLM_TOKEN_PROFILE: '工作',
    GLM_API_KEY: 'id.secret',
    GLM_TOKEN_STORE: 'file',
    GLM_TOKEN_PASSPHRASE_FILE: '/x/passphrase',
    GLM_TOKEN_PROMPT_TIMEOUT: '2m',
    GLM_TOKEN_SOCKET: '/x/agent.sock',
  };
  assert.deepEqual(readSettings(env), {
    account: { host: 'api.z.ai', profile: '工作' },
    apiKey: 'id.secret',
    store: 'file',
    passphraseFile: '/x/passphrase',
    promptTimeoutMs: 120_000,
    socket: '/x/agent.sock',
  });
});

describe('a bad value exits 2 and names its variable', SIDE_BY_SIDE, () => {
  const cases: [variable: string, value: string, message: string][] = [
    ['GLM_TOKEN_HOST', 'not a host', '"not a host" is not a host'],
    ['GLM_TOKEN_PROFILE', ' ', '" " is not a profile name'],
    ['GLM_TOKEN_PROFILE', 'a\u200bb', '"a\\u200bb" is not a profile name'],
    ['GLM_TOKEN_STORE', 'disk', '"disk" is not a store'],
    ['GLM_TOKEN_STORE', 'toString', '"toString" is not a store'],
    ['GLM_TOKEN_PROMPT_TIMEOUT', '60', '"60" is not a duration'],
  ];
  for (const [variable, value, message] of cases) {
    test(`${variable}=${value}`, async () => {
      const env = { ...BARE_ENV, GLM_API_KEY: 'id.secret', [variable]: value };
      for (const command of ['print', 'list']) {
        const { status, stdout, stderr } = await glmToken([command], { env });
        assert.ok(stderr.startsWith(`glm-token: ${variable}: ${message}\nhint: use `), stderr);
        assert.deepEqual([status, stdout], [2, '']);
      }
    });
  }
});

test('the variable that moves a directory is named where the system has one', () => {
  const named = (platform: NodeJS.Platform) =>
    (['data', 'config'] as const).map((kind) => ownDirectory(kind, {}, platform).parentVariable);
  assert.deepEqual(named('linux'), ['XDG_DATA_HOME', 'XDG_CONFIG_HOME']);
  assert.deepEqual(named('win32'), ['LOCALAPPDATA', 'APPDATA']);
  assert.deepEqual(named('darwin'), [undefined, undefined]);
});

describe('keys never go below the current directory', { ...SIDE_BY_SIDE, ...only('linux') }, () => {
  const cases: [variable: string, value: string][] = [
    ['HOME', ''],
    ['HOME', 'relative'],
    ['XDG_DATA_HOME', 'relative'],
    ['XDG_DATA_HOME', './here'],
  ];
  for (const [variable, value] of cases) {
    test(`${variable}="${value}" exits 2, names the variable and writes nothing`, async () => {
      const cwd = mkdtempSync(join(tmpdir(), 'glm-token-test-'));
      const env: Env = { ...BARE_ENV, [variable]: value };
      for (const args of [['store', '--store=file'], ['print'], ['list'], ['delete']]) {
        const { status, stdout, stderr } = await glmToken(args, { env, cwd, input: 'id.secret' });
        assert.equal(
          stderr,
          `glm-token: ${variable}: must be an absolute path, or keys would land in the current directory\nhint: set it to an absolute path\n`,
        );
        assert.deepEqual([status, stdout], [2, ''], args.join(' '));
      }
      assert.deepEqual(readdirSync(cwd), []);
      rmSync(cwd, { recursive: true });
    });
  }

  test('an empty XDG_DATA_HOME counts as not set', async () => {
    const home = mkdtempSync(join(tmpdir(), 'glm-token-test-'));
    const env = { ...BARE_ENV, HOME: home, XDG_DATA_HOME: '', GLM_TOKEN_STORE: 'file' };
    const { status, stderr } = await glmToken(['list'], { env, cwd: home });
    assert.equal(status, 0, stderr);
    assert.match(stderr, /^glm-token: no key is stored yet\n/);
    assert.ok(!existsSync(join(home, 'glm-token')));
    rmSync(home, { recursive: true });
  });

  test('a key from the environment needs no directory', async () => {
    const env = { ...BARE_ENV, HOME: '', GLM_API_KEY: 'id.secret' };
    assert.match((await glmToken(['print'], { env })).stdout, /^eyJ/);
  });
});
