/** The program as a whole: its failures as JSON, what it never prints, and its standard output. */

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { COMMANDS } from '../../src/commands/all.ts';
import { EXIT_STATUS } from '../../src/core/errors.ts';
import { BARE_ENV, type Env, only, PROGRAM } from '../support/environment.ts';
import { glmToken, run, SIDE_BY_SIDE } from '../support/program.ts';

const ID = '0123456789abcdef0123456789abcdef';
const SECRET = 'AbCdEfGhIjKlMnOp';
const KEY = `${ID}.${SECRET}`;

describe('a command that was asked for JSON fails with one JSON line', SIDE_BY_SIDE, () => {
  const json = ['--format', 'json'];
  const cases: [args: string[], code: keyof typeof EXIT_STATUS, env?: Env][] = [
    [['print', ...json], 'ERR_STORE_UNAVAILABLE'],
    [['print', '--format=json', '--ttl=0'], 'ERR_USAGE'],
    [['print', ...json], 'ERR_KEY_MALFORMED', { GLM_API_KEY: 'nodot' }],
    [['print', ...json], 'ERR_USAGE', { GLM_TOKEN_HOST: 'not a host' }],
    [['print', ...json, '--host=a\u001b[2J'], 'ERR_USAGE'],
    [['print', ...json, '--tll', '3m'], 'ERR_USAGE'],
    [['print', ...json, 'stray'], 'ERR_USAGE'],
    [['prnt', '--json'], 'ERR_USAGE'],
    [['--json'], 'ERR_USAGE'],
    [['list', '--json'], 'ERR_STORE_UNAVAILABLE'],
    [['list', '--json', '--help=1'], 'ERR_USAGE'],
    [['inspect', '--json', 'nonsense'], 'ERR_USAGE'],
    [['doctor', '--json', '--host', 'two words'], 'ERR_USAGE'],
  ];
  for (const [args, code, more = {}] of cases) {
    test(`${args.join(' ')} ${Object.keys(more).join(' ')}: ${code}`, async () => {
      const { status, stdout, stderr } = await glmToken(args, { env: { ...BARE_ENV, ...more } });
      assert.deepEqual([status, stdout], [EXIT_STATUS[code], ''], stderr);
      assert.match(stderr, /^[^\p{Cc}]+\n$/u);
      const { schemaVersion, error, ...rest } = JSON.parse(stderr);
      assert.deepEqual([schemaVersion, rest], [1, {}]);
      assert.deepEqual(Object.keys(error), ['code', 'message', 'hint', 'action']);
      assert.equal(error.code, code);
      assert.ok(error.message && error.hint);
    });
  }

  test('its message and hint are those that people read', async () => {
    const json = JSON.parse((await glmToken(['print', '--format=json', '--tll'])).stderr);
    const text = (await glmToken(['print', '--tll'])).stderr;
    assert.equal(text, `glm-token: ${json.error.message}\nhint: ${json.error.hint}\n`);
  });
});

describe('a key or a secret given in a wrong place is never repeated', SIDE_BY_SIDE, () => {
  /** Runs the program, which can reach neither keychain nor network, and checks its output. */
  async function statusOf(args: string[], more: Env = {}, input = '') {
    const env = { ...BARE_ENV, https_proxy: 'http://127.0.0.1:9', ...more };
    const { status, stdout, stderr } = await glmToken(args, { env, input });
    assert.notEqual(status, 1, stderr);
    const output = stdout + stderr;
    const isRepeated = output.toLowerCase().includes(SECRET.toLowerCase());
    assert.ok(!isRepeated, `${args.join(' ')}\n${output}`);
    return status;
  }

  /** A secret alone may be the name of a host or profile, for all that anyone can tell. */
  const takesName = (option: string) => option === 'host' || option === 'profile';

  for (const given of [KEY, SECRET]) {
    test(`as a command, an option or an argument: ${given}`, async () => {
      assert.equal(await statusOf([given]), 2);
      assert.equal(await statusOf(['help', given]), 2);
      assert.equal(await statusOf([`--${given}`]), 2);
      for (const command of ['store', 'print']) {
        assert.equal(await statusOf([command, given]), 2);
        assert.equal(await statusOf([command, `--${given}`]), 2);
        assert.equal(await statusOf([command, `--${given}=x`, '--json']), 2);
      }
      assert.equal(await statusOf(['setup', given]), 2);
      assert.equal(await statusOf(['inspect', given]), 2);
      assert.equal(await statusOf(['inspect', '--json', given]), 2);
      assert.equal(await statusOf(['exec', '--', given], { GLM_API_KEY: 'id.secret' }), 127);
    });

    for (const { name, options } of COMMANDS) {
      test(`as the value of an option of ${name}: ${given}`, async () => {
        const operands = name === 'exec' ? ['--', 'true'] : [];
        for (const option of Object.keys(options)) {
          if (given === SECRET && takesName(option)) continue;
          const line = [name, `--${option}=${given}`, ...operands];
          const isVariable = option === 'env' && given === SECRET;
          assert.equal(await statusOf(line), isVariable ? 5 : 2, line.join(' '));
        }
      });
    }

    test(`in a variable: ${given}`, async () => {
      for (const variable of ['GLM_TOKEN_STORE', 'GLM_TOKEN_PROMPT_TIMEOUT']) {
        assert.equal(await statusOf(['print'], { [variable]: given }), 2);
      }
      const home = mkdtempSync(join(tmpdir(), 'glm-token-test-'));
      const misread = { GLM_TOKEN_STORE: 'file', GLM_TOKEN_PASSPHRASE_FILE: given, HOME: home };
      assert.equal(await statusOf(['store'], misread, 'id.secret'), 7);
      for (const args of [['list'], ['doctor'], ['doctor', '--json']])
        await statusOf(args, misread);
      rmSync(home, { recursive: true });
    });
  }

  test('a key in a host or profile exits 2, so that no account is named by it', async () => {
    for (const given of [KEY, ` ${KEY}`, `"${KEY}"`, `my ${KEY}`]) {
      for (const option of ['host', 'profile']) {
        assert.equal(await statusOf(['print', `--${option}`, given]), 2);
      }
    }
    for (const variable of ['GLM_TOKEN_HOST', 'GLM_TOKEN_PROFILE']) {
      assert.equal(await statusOf(['print'], { [variable]: KEY }), 2);
      assert.equal(await statusOf(['list', '--json'], { [variable]: KEY }), 2);
    }
  });
});

test(
  'a profile whose bytes are no UTF-8 exits 2, since two such names would be one account',
  only('linux'),
  async () => {
    const env = { ...BARE_ENV, GLM_API_KEY: 'id.secret' };
    const inGbk = `"$0" "$1" print --profile $'\\xb9\\xa4\\xd7\\xf7'`;
    const line = ['bash', '--norc', '-c', inGbk, process.execPath, PROGRAM];
    for (const more of [{}, { LANG: 'zh_CN.UTF-8' }]) {
      const { status, stdout, stderr } = await run(line, { env: { ...env, ...more } });
      assert.deepEqual([status, stdout], [2, ''], stderr);
      assert.match(stderr, /^glm-token: "(\\ufffd)+" .*\n.*64.*UTF-8/);
    }
  },
);

describe('120 kB in GLM_API_KEY are answered', SIDE_BY_SIDE, () => {
  for (const text of ['.', 'noise.', 'eyJ.', '"']) {
    test(`of ${text}`, async () => {
      const env = { ...BARE_ENV, GLM_API_KEY: text.repeat(120_000 / text.length) };
      const printed = await glmToken(['print'], { env });
      assert.equal(printed.status, 4);
      const listed = await glmToken(['list'], { env });
      assert.equal(listed.status, 0);
      for (const { stdout, stderr } of [printed, listed]) {
        assert.ok(stdout.length + stderr.length < 2000);
      }
    });
  }
});

describe('standard output', () => {
  const env = { ...BARE_ENV, GLM_API_KEY: 'id.secret' };
  const shell = (line: string) =>
    run(['bash', '--norc', '-c', line, 'sh', process.execPath, PROGRAM], { env });

  test('when it is closed early, the program ends as SIGPIPE would end it, and is quiet', async () => {
    const outcome = await shell('"$1" "$2" print | true; echo $PIPESTATUS');
    assert.deepEqual([outcome.stdout, outcome.stderr], ['141\n', '']);
  });

  test('on a full disk, the program says so and exits 1', async () => {
    const { status, stderr } = await shell('"$1" "$2" print >/dev/full');
    assert.equal(status, 1);
    assert.match(stderr, /^glm-token: cannot write to standard output \(ENOSPC\)\nhint: /);
  });
});
