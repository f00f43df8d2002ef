/** exec: what the command is given, and that signals and its exit status pass through. */

import assert from 'node:assert/strict';
import { chmodSync, copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { claimsOf } from '../support/claims.ts';
import { BARE_ENV, found, PROGRAM } from '../support/environment.ts';
import { GlmServer } from '../support/glm-server.ts';
import { glmToken, run, runOnTerminal, SIDE_BY_SIDE } from '../support/program.ts';

const KEY = '0123456789abcdef.TopSecretSecret1';
const env = {
  ...BARE_ENV,
  GLM_API_KEY: KEY,
  ZHIPUAI_API_KEY: KEY,
  BEARER: `Bearer ${KEY}`,
  SECRET_ALONE: 'TopSecretSecret1',
  GLM_TOKEN_PASSPHRASE_FILE: '/x/passphrase',
  GLM_TOKEN_PROFILE: 'default',
  MINE: 'kept',
};
const glm = (...args: string[]) => glmToken(['exec', ...args], { env });

const environmentOf = async (...args: string[]) => {
  const { stdout } = await glm(
    ...args,
    '--',
    process.execPath,
    '-p',
    'JSON.stringify(process.env)',
  );
  return JSON.parse(stdout) as Record<string, string>;
};
describe('the environment of the command', SIDE_BY_SIDE, () => {
  test('has a token valid for an hour in OPENAI_API_KEY and ZAI_API_KEY, and never the key', async () => {
    const seen = await environmentOf();
    assert.equal(seen.OPENAI_API_KEY, seen.ZAI_API_KEY);
    const { api_key, exp, timestamp } = claimsOf(seen.OPENAI_API_KEY);
    assert.deepEqual([api_key, exp - timestamp], ['0123456789abcdef', 3_600_000]);
    assert.deepEqual([seen.MINE, seen.GLM_TOKEN_PROFILE], ['kept', 'default']);
    assert.deepEqual(
      Object.entries(seen).filter(
        ([name, value]) => name === 'GLM_API_KEY' || value.includes('TopSecret'),
      ),
      [],
    );
    for (const name of ['BEARER', 'SECRET_ALONE', 'GLM_TOKEN_PASSPHRASE_FILE']) {
      assert.ok(!(name in seen), name);
    }
  });

  test('--env puts the token into another variable, and into that one alone', async () => {
    const seen = await environmentOf('--env', 'ANTHROPIC_AUTH_TOKEN', '--ttl=5m');
    const { exp, timestamp } = claimsOf(seen.ANTHROPIC_AUTH_TOKEN);
    assert.equal(exp - timestamp, 300_000);
    assert.deepEqual([seen.OPENAI_API_KEY, seen.ZAI_API_KEY], [undefined, undefined]);
    const { GLM_API_KEY } = await environmentOf('--env=GLM_API_KEY');
    assert.match(GLM_API_KEY ?? '', /^eyJ/, 'it may be that variable too');
  });

  test('--env that is not the name of a variable exits 2', async () => {
    for (const name of ['A=B', '1A', 'a b']) {
      const { status, stderr } = await glm(`--env=${name}`, 'true');
      assert.equal(status, 2, name);
      assert.match(
        stderr,
        /^glm-token: --env is not the name of a variable\nhint: use one such as /,
      );
    }
  });
});

describe('the command line', SIDE_BY_SIDE, () => {
  test('everything after the command, or after --, is left as it is', async () => {
    const echo = ['sh', '-c', 'echo "$@"', 'sh'];
    const rest = ['--ttl', '9', '--help', '-x', '--', '', 'a  b'];
    const expected = '--ttl 9 --help -x --  a  b\n';
    assert.equal((await glm(...echo, ...rest)).stdout, expected);
    assert.equal((await glm('--', ...echo, ...rest)).stdout, expected);
    assert.equal((await glm('--ttl', '5m', '--', ...echo, ...rest)).stdout, expected);
  });

  test('a mistake in our own options exits 2, and nothing is run', async () => {
    for (const args of [[], ['--'], ['--tll', '3m', 'echo', 'x'], ['--ttl', '3', 'echo', 'x']]) {
      const { status, stdout, stderr } = await glm(...args);
      assert.deepEqual([status, stdout], [2, ''], args.join(' '));
      assert.match(stderr, /^glm-token: .*\nhint: /);
    }
  });

  test('without a key nothing is run', async () => {
    const { status, stdout } = await glm('--host', 'api.z.ai', 'echo', 'x');
    assert.deepEqual([status, stdout], [5, ''], 'there is no keychain here, so 5 and not 3');
  });

  test('--json after the command is no concern of ours', async () => {
    const { status, stderr } = await glm('--host', 'two words', 'echo', '--json');
    assert.equal(status, 2);
    assert.match(stderr, /^glm-token: "two words" is not a host\nhint: /);
  });
});

describe('how it ends', SIDE_BY_SIDE, () => {
  test('the exit status of the command passes through', async () => {
    for (const status of [0, 1, 7, 255]) {
      assert.equal((await glm('sh', '-c', `exit ${status}`)).status, status);
    }
  });

  test('standard input, output and error are those of the command', async () => {
    const script = 'cat; echo oops >&2';
    const { stdout, stderr } = await glmToken(['exec', 'sh', '-c', script], { env, input: 'in' });
    assert.deepEqual([stdout, stderr], ['in', 'oops\n']);
  });

  test('a command that cannot be run exits 127 or 126, as with env and nohup', async () => {
    const missing = await glm('no-such-command', 'x');
    assert.equal(missing.status, 127);
    assert.equal(
      missing.stderr,
      'glm-token: there is no program "no-such-command"\nhint: check its name and PATH\n',
    );
    const folder = mkdtempSync(join(tmpdir(), 'glm-token-test-'));
    const file = join(folder, 'script');
    writeFileSync(file, 'x');
    chmodSync(file, 0o644);
    const refused = await glm(file);
    assert.equal(refused.status, 126);
    assert.match(refused.stderr, /^glm-token: the program cannot be run \(EACCES\)\nhint: /);
    rmSync(folder, { recursive: true });
  });

  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'] as const) {
    test(`${signal} reaches the command, which decides what to do`, async () => {
      const script = `trap 'echo got; exit 9' ${signal.slice(3)}; echo ready; while :; do sleep 0.01; done`;
      const { status, stdout } = await glmToken(['exec', 'sh', '-c', script], {
        env,
        onSpawn: (child) => child.stdout?.once('data', () => child.kill(signal)),
      });
      assert.deepEqual([status, stdout], [9, 'ready\ngot\n']);
    });
  }

  test('a command that it may send no signal to is waited for', async (t) => {
    if (process.getuid?.() !== 0) return t.skip('only root can make a command that is run as root');
    const folder = mkdtempSync(join(tmpdir(), 'glm-token-test-'));
    const python = join(folder, 'python');
    copyFileSync(found.python, python);
    chmodSync(python, 0o4755);
    chmodSync(folder, 0o755);
    const asRoot =
      'import os, time; os.setresuid(0, 0, 0); print("ready", flush=True); time.sleep(0.3)';
    const outcome = await glmToken(['exec', python, '-c', asRoot], {
      env,
      user: { uid: 65534, gid: 65534 },
      onSpawn: (child) => child.stdout?.once('data', () => child.kill('SIGTERM')),
    });
    assert.deepEqual([outcome.status, outcome.stdout, outcome.stderr], [0, 'ready\n', '']);
    rmSync(folder, { recursive: true });
  });

  test('the signal that ended the command ends the program too, as a shell sees it', async () => {
    for (const signal of ['SIGTERM', 'SIGKILL', 'SIGINT'] as const) {
      const outcome = await glm('sh', '-c', `kill -${constants.signals[signal]} $$`);
      assert.deepEqual([outcome.status, outcome.signal], [null, signal]);
    }
  });

  test('Ctrl-C on a terminal reaches the command once', async () => {
    const script = `trap 'n=$((n + 1)); sleep 0.2; echo "got $n"; exit 5' INT; echo ready; while :; do sleep 0.05; done`;
    const { status, stdout } = await runOnTerminal(
      [process.execPath, PROGRAM, 'exec', 'sh', '-c', script],
      [['ready', '^C']],
      env,
    );
    assert.match(stdout, /got 1\r\n$/);
    assert.equal(status, 5);
  });
});

test('curl takes the header that print makes, as the README has it', async () => {
  const glm = await GlmServer.start({ '0123456789abcdef': 'TopSecretSecret1' });
  const script = '"$0" "$1" print --format header | curl -sSf -H @- "$2/api/paas/v4/models"';
  const command = ['sh', '-c', script, process.execPath, PROGRAM, `http://${glm.host}`];
  const { stdout, stderr } = await run(command, { env });
  await glm.stop();
  assert.match(stdout, /"glm-5\.3"/, stderr);
});
