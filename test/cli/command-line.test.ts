import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { readFully, readQuickly, wantsJson } from '../../src/cli/command-line.ts';
import { COMMANDS } from '../../src/commands/all.ts';
import { english } from '../../src/messages/en.ts';
import { BARE_ENV, ROOT } from '../support/environment.ts';
import { CALL, glmToken, SIDE_BY_SIDE } from '../support/program.ts';

const { version } = JSON.parse(readFileSync(`${ROOT}/package.json`, 'utf8'));
const messages = english('glm-token');

test('--version and -v print the version', async () => {
  for (const args of [['--version'], ['-v'], ['print', '--version']]) {
    const { status, stdout, stderr } = await glmToken(args);
    assert.deepEqual([status, stdout, stderr], [0, `${version}\n`, ''], args.join(' '));
  }
});

describe('a mistake exits 2 with one sentence and a cure', SIDE_BY_SIDE, () => {
  const help = (command: string) => `see: ${CALL} ${command} --help`;
  const use = (command: string) => `use: ${CALL} ${command} OPTIONS`;
  const inHistory = 'if that was a key, it is in your shell history now: remove it there';
  const choices = 'use one of: token, header, json';
  const cases: [args: string[], message: string, hint: string][] = [
    [[], 'no command was given', `see: ${CALL} --help`],
    [['--frob'], 'no command was given', `see: ${CALL} --help`],
    [['--toString'], 'no command was given', `see: ${CALL} --help`],
    [['prnt'], 'there is no command "prnt"', 'did you mean print?'],
    [['frobnicate'], 'there is no command "frobnicate"', `see: ${CALL} --help`],
    [['toString'], 'there is no command "toString"', `see: ${CALL} --help`],
    [['__proto__'], 'there is no command "__proto__"', `see: ${CALL} --help`],
    [['help', 'lst'], 'there is no command "lst"', 'did you mean list?'],
    [['print', '--tll', '3m'], 'there is no option "--tll"', 'did you mean --ttl?'],
    [['print', '-x'], 'there is no option "-x"', help('print')],
    [['print', '--_'], 'there is no option "--_"', help('print')],
    [['print', '--toString=1'], 'there is no option "--toString"', help('print')],
    [['print', '--hasOwnProperty'], 'there is no option …', inHistory],
    [['print', '--__proto__=1'], 'there is no option "--__proto__"', help('print')],
    [['print', '--constructor'], 'there is no option "--constructor"', help('print')],
    [['delete', '-host', 'api.z.ai'], 'there is no option "-host"', 'did you mean --host?'],
    [['print', '-ttl=1h'], 'there is no option "-ttl"', 'did you mean --ttl?'],
    [['list', '-json'], 'there is no option "-json"', 'did you mean --json?'],
    [['print', '-help'], 'there is no option "-help"', 'did you mean --help?'],
    [['list', '--show'], 'there is no option "--show"', help('list')],
    [['print', '--jsom'], 'there is no option "--jsom"', help('print')],
    [['--host', 'api.z.ai', 'print'], 'the command has to come before its options', use('print')],
    [['store', '--key', 'id.secret'], 'there is no option "--key"', inHistory],
    [['store', '--key=id.secret'], 'there is no option "--key"', inHistory],
    [['id.secret'], 'there is no command …', inHistory],
    [['print', '--ttl'], '--ttl needs a value', help('print')],
    [['print', '--ttl', '--host', 'x'], '--ttl needs a value', help('print')],
    [['print', '--host', '-x'], 'there is no option "-x"', help('print')],
    [['print', '---host', 'x'], 'there is no option "---host"', 'did you mean --host?'],
    [['print', '--host='], '--host needs a value', help('print')],
    [['list', '--json=1'], '--json takes no value', help('list')],
    [['list', '--help=1'], '--help takes no value', help('list')],
    [['print', '--format', 'xml'], '--format cannot be "xml"', choices],
    [['print', '--format', 'toString'], '--format cannot be "toString"', choices],
    [['list', 'x'], 'glm-token list takes no arguments, and a key is never one', help('list')],
    [
      ['print', '--', 'id.secret'],
      'glm-token print takes no arguments, and a key is never one',
      inHistory,
    ],
    [
      ['print', '--host', 'two words'],
      '"two words" is not a host',
      'use a host such as open.bigmodel.cn or api.z.ai',
    ],
    [
      ['print', '--host', 'foo://Host'],
      '"foo://Host" is not a host',
      'use a host such as open.bigmodel.cn or api.z.ai',
    ],
    [
      ['print', '--profile', ' '],
      '" " is not a profile name',
      'use 1 to 64 visible characters, in UTF-8',
    ],
    ...['0', '-5m', '1e9', '5 lightyears', '0s', '366d'].map((ttl): [string[], string, string] => [
      ['print', `--ttl=${ttl}`],
      `"${ttl}" is not a duration`,
      'use a number and a unit such as 5m, 2h or 30d, from 1s to 365d',
    ]),
  ];
  for (const [args, message, hint] of cases) {
    test(`glm-token ${args.join(' ')}`, async () => {
      const { status, stdout, stderr } = await glmToken(args);
      assert.equal(stderr, `glm-token: ${message}\nhint: ${hint}\n`);
      assert.deepEqual([status, stdout], [2, '']);
    });
  }

  test('daemon without --stdio', async () => {
    const { status, stdout, stderr } = await glmToken(['daemon']);
    assert.equal(
      stderr,
      `glm-token: daemon requires either --stdio or --socket\nhint: see: ${CALL} daemon --help\n`,
    );
    assert.deepEqual([status, stdout], [2, '']);
  });
});

test('a lifetime of less than three minutes gets a remark, but none for programs', async () => {
  const env = { ...BARE_ENV, GLM_API_KEY: 'id.secret' };
  const remark =
    'glm-token: warning: the service may refuse tokens that are valid for less than 3 minutes\nhint: use --ttl 3m or more\n';
  for (const [args, said] of [
    [['print', '--ttl=179s'], remark],
    [['print', '--ttl=3m'], ''],
    [['print', '--ttl=5s', '--format=json'], ''],
    [['exec', '--ttl=1m', process.execPath, '--version'], remark],
  ] as const) {
    const { status, stderr } = await glmToken([...args], { env });
    assert.deepEqual([status, stderr], [0, said], args.join(' '));
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
    ['--profile', 'true'],
    ['--host', '-'],
  ];
  for (const line of lines) {
    const quick = readQuickly(print, line);
    const full = await readFully(['print', ...line], COMMANDS, messages, version);
    assert.ok('args' in full);
    assert.deepEqual(quick, { args: full.args, operands: full.operands }, line.join(' '));
  }
  const doubtful = [
    ...[['--help'], ['-h'], ['-v'], ['x'], ['--', 'x'], ['--tll'], ['--_'], ['--toString=1']],
    ...[['--ttl'], ['--ttl='], ['--ttl', '-5'], ['--format', 'x'], ['--hasOwnProperty']],
  ];
  for (const line of doubtful) assert.equal(readQuickly(print, line), undefined, line.join(' '));
});

test('a line asks for JSON by --json or --format json, before --', () => {
  for (const line of ['list --json', '--json', 'print --format json', 'print --format=json']) {
    assert.equal(wantsJson(line.split(' ')), true, line);
  }
  for (const line of ['list', 'print --format header', 'json', 'exec -- gh --json', 'x --format']) {
    assert.equal(wantsJson(line.split(' ')), false, line);
  }
  assert.equal(wantsJson('exec gh --json'.split(' ')), false, 'the option is that of the command');
});
