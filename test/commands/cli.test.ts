/** The program as a whole: help, completion, mistakes, and what it may never print. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { parseQuickly } from '../../src/commands/grammar.ts';
import { COMMANDS } from '../../src/commands/index.ts';
import { parseFully } from '../../src/commands/parse-fully.ts';
import { BARE_ENV, PROGRAM, ROOT } from '../support/environment.ts';
import { glmToken, run } from '../support/program.ts';

const version = JSON.parse(readFileSync(`${ROOT}/package.json`, 'utf8')).version;

describe('help', () => {
  test('--help fits a terminal, names every command and has examples', async () => {
    const { status, stdout, stderr } = await glmToken(['--help']);
    assert.deepEqual([status, stderr], [0, '']);
    const lines = stdout.trimEnd().split('\n');
    assert.ok(lines.length <= 32, `${lines.length} lines`);
    for (const line of lines) assert.ok(line.length <= 80, line);
    for (const { name, summary } of COMMANDS) {
      assert.match(stdout, new RegExp(`^  glm-token ${name} +${summary.slice(0, 20)}`, 'm'));
    }
    assert.match(stdout, /Examples:\n {2}glm-token setup/);
  });

  test('each command has a help of its own, on standard output', async () => {
    for (const { name, options } of COMMANDS) {
      const { status, stdout } = await glmToken([name, '--help']);
      assert.equal(status, 0);
      assert.match(stdout, new RegExp(`^Usage: glm-token ${name} `));
      for (const option of Object.keys(options)) assert.ok(stdout.includes(`--${option} `), option);
      for (const line of stdout.split('\n')) assert.ok(line.length <= 80, line);
    }
  });

  test('--version', async () => {
    assert.equal((await glmToken(['--version'])).stdout, `${version}\n`);
  });
});

describe('completion', () => {
  test('in bash, after sourcing what completion prints', async () => {
    const complete = async (line: string) => {
      const words = line.split(' ');
      const script = [
        `glm-token() { ${process.execPath} ${PROGRAM} "$@"; }`,
        'source <(glm-token completion)',
        `COMP_WORDS=(${words.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${words.length - 1}`,
        '_glm-token_yargs_completions',
        'echo $' + '{COMPREPLY[@]}',
      ].join('\n');
      const env = { ...BARE_ENV, SHELL: '/bin/bash' };
      return (await run(['bash', '--norc', '-c', script], { env })).stdout;
    };
    assert.equal(await complete('glm-token pr'), 'print\n');
    assert.equal(await complete('glm-token print --t'), '--ttl\n');
    assert.equal(await complete('glm-token print --format '), 'token header json\n');
  });

  test('in zsh, the script is one that zsh can read', async () => {
    const env = { ...BARE_ENV, SHELL: '/bin/zsh' };
    const { stdout } = await glmToken(['completion'], { env });
    assert.match(stdout, /^#compdef glm-token/);
    const { status, stderr } = await run(['zsh', '-n'], { env, input: stdout });
    assert.deepEqual([status, stderr], [0, '']);
  });
});

describe('mistakes exit 2 with one sentence and a cure', () => {
  const cases: [args: string[], message: string, hint: string][] = [
    [[], 'no command was given', 'see: glm-token --help'],
    [['prnt'], 'there is no command "prnt"', 'did you mean print?'],
    [['frobnicate'], 'there is no command "frobnicate"', 'see: glm-token --help'],
    [['print', '--tll', '3m'], 'there is no option "--tll"', 'did you mean --ttl?'],
    [['print', '-x'], 'there is no option "-x"', 'see: glm-token print --help'],
    [['print', '--ttl'], '--ttl needs a value', 'see: glm-token print --help'],
    [['print', '--host='], '--host needs a value', 'see: glm-token print --help'],
    [['print', '--format', 'xml'], '--format cannot be "xml"', 'write one of: token, header, json'],
    [['print', '--host', 'two words'], '"two words" is not a host', 'write a host such as '],
    [['print', '--profile', ' '], '" " is not a profile name', 'write 1 to 64 characters'],
    [['daemon'], 'the daemon was not told where to listen', 'add --stdio'],
    ...['0', '-5m', '1e9', '5 lightyears', '0s', '366d'].map((ttl): [string[], string, string] => [
      ['print', `--ttl=${ttl}`],
      `"${ttl}" is not a lifetime`,
      'write a number and a unit such as 90s, 5m, 2h or 30d, from 1s to 365d',
    ]),
  ];
  for (const [args, message, hint] of cases) {
    test(`glm-token ${args.join(' ')}`, async () => {
      const { status, stdout, stderr } = await glmToken(args);
      assert.equal(stdout, '');
      assert.ok(stderr.startsWith(`glm-token: ${message}\nhint: ${hint}`), stderr);
      assert.equal(stderr.trimEnd().split('\n').length, 2);
      assert.equal(status, 2);
    });
  }

  test('a variable that holds what it cannot is named by its content', async () => {
    const env = { ...BARE_ENV, GLM_TOKEN_HOST: 'not a host' };
    const { status, stderr } = await glmToken(['print'], { env });
    assert.equal(status, 2);
    assert.match(stderr, /"not a host" is not a host/);
  });
});

test('a key given as an argument by mistake is refused and not repeated', async () => {
  const key = '0123456789abcdef.SuperSecretSecret';
  for (const args of [['store', key], [key], ['print', `--${key}`], ['print', key, '--json']]) {
    const { status, stdout, stderr } = await glmToken(args);
    assert.equal(status, 2);
    assert.ok(!`${stdout}${stderr}`.includes('SuperSecret'), stderr);
  }
});

test('the quick reading of a line and the whole grammar agree', async () => {
  const print = COMMANDS.find(({ name }) => name === 'print');
  assert.ok(print);
  const lines = [
    [],
    ['--ttl', '3m'],
    ['--ttl=3m', '--format=json'],
    ['--host', 'api.z.ai', '--profile', 'a b'],
    ['--profile=-x'],
    ['--host', 'a', '--host', 'b'],
    ['--host=https://x.y/?a=b'],
    ['--profile', '5'],
  ];
  for (const line of lines) {
    const quick = parseQuickly(print, line);
    const full = await parseFully(['print', ...line], version);
    assert.ok('args' in full);
    assert.deepEqual(quick, { args: full.args, operands: full.operands }, line.join(' '));
  }
  const doubtful = [['--help'], ['x'], ['--tll'], ['--ttl'], ['--format', 'x'], ['--ttl', '-5']];
  for (const line of doubtful) assert.equal(parseQuickly(print, line), undefined, line.join(' '));
});

describe('standard output', () => {
  const env = { ...BARE_ENV, GLM_API_KEY: 'id.secret' };
  const shell = (line: string) =>
    run(['bash', '--norc', '-c', line, 'sh', process.execPath, PROGRAM], { env });

  test('closed early, the program ends as SIGPIPE would end it, and is quiet', async () => {
    const outcome = await shell('"$1" "$2" print | true; echo $PIPESTATUS');
    assert.deepEqual([outcome.stdout, outcome.stderr], ['141\n', '']);
  });

  test('on a full disk, the program says so and exits 1', async () => {
    const { status, stderr } = await shell('"$1" "$2" print >/dev/full');
    assert.equal(status, 1);
    assert.match(stderr, /^glm-token: cannot write to standard output \(ENOSPC\)\nhint: /);
  });
});
