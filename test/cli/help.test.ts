import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { readFully } from '../../src/cli/command-line.ts';
import { COMMANDS, GROUPS } from '../../src/commands/all.ts';
import { english } from '../../src/messages/en.ts';
import { BARE_ENV, found, only, PROGRAM, ROOT } from '../support/environment.ts';
import { glmToken, run } from '../support/program.ts';

const messages = english('glm-token');

/** What a line prints, in lines. */
async function printed(args: readonly string[], columns?: number): Promise<string[]> {
  const parsed = await readFully(args, COMMANDS, messages, '1.2.3', columns);
  assert.ok('output' in parsed);
  return parsed.output.split('\n');
}

/** Each line without the breaks that a width asks for. */
const unwrapped = (lines: readonly string[]): string =>
  lines.join(' ').replace(/ \\ /g, ' ').replace(/\s+/g, ' ');

test('the overview has every command once, below what people want to do', async () => {
  const lines = await printed(['--help']);
  const titles = Object.values(messages.help.groups);
  assert.deepEqual(
    lines.filter((line) => titles.includes(line)),
    titles,
  );
  for (const [group, commands] of Object.entries(GROUPS)) {
    const title = messages.help.groups[group as keyof typeof GROUPS];
    const below = lines.slice(lines.indexOf(title) + 1);
    const names = below.slice(0, below.indexOf('')).map((line) => line.trim().split(' ')[0]);
    assert.deepEqual(
      names,
      commands.map(({ name }) => name),
    );
  }
  assert.equal(COMMANDS.length, Object.keys(messages.commands).length);
  assert.ok(lines.length <= 48, `${lines.length} lines`);
});

describe('help says the same at every width, and no line is wider', () => {
  const lines = [['--help'], ...COMMANDS.map(({ name }) => [name, '--help'])];
  for (const args of lines) {
    test(`glm-token ${args.join(' ')}`, async () => {
      const wide = await printed(args, 200);
      for (const columns of [120, 80, 60, 40]) {
        const narrow = await printed(args, columns);
        assert.deepEqual(
          narrow.filter((line) => line.length > columns),
          [],
        );
        assert.equal(unwrapped(narrow), unwrapped(wide));
        assert.deepEqual(
          narrow.filter((line) => /\s$/.test(line)),
          [],
        );
      }
    });
  }
});

test(
  'an example that does not fit on a line works as it is broken',
  only('linux', 'darwin'),
  async () => {
    const lines = await printed(['print', '--help'], 40);
    const at = lines.findIndex((line) => line.endsWith('\\'));
    const example = lines
      .slice(at, at + 2)
      .join('\n')
      .replace('curl -H @- URL', 'cat');
    const definition = `glm-token() { "${process.execPath}" "${PROGRAM}" "$@"; }`;
    const { stdout, stderr } = await run(['bash', '--norc', '-c', `${definition}\n${example}`], {
      env: { ...BARE_ENV, GLM_API_KEY: '0123456789abcdef.SuperSecretSecret' },
    });
    assert.match(stdout, /^Authorization: Bearer eyJ\S+\n$/, stderr);
  },
);

test('the help of a command says what each option is, its choices and its default', async () => {
  const lines = await printed(['print', '-h']);
  assert.deepEqual(lines.slice(0, 10), [
    'Usage: glm-token print [OPTIONS]',
    '',
    'Print a fresh token.',
    '',
    'Options',
    '  --host HOST      API host that the key is for [open.bigmodel.cn]',
    '  --profile NAME   which of several keys [default]',
    '  --ttl TIME       lifetime of the token: 5m, 2h, 30d [3m]',
    '  --format FORMAT  what to print (token, header, json) [token]',
    '  --store STORE    store to read the key from (keychain, file, command)',
  ]);
  assert.match(
    (await printed(['help', 'exec']))[0] ?? '',
    /exec \[OPTIONS\] \[--\] PROGRAM \.\.\.$/,
  );
  for (const args of [
    ['print', '--help'],
    ['help', 'print'],
    ['print', '--ttl', '5m', '-h'],
  ]) {
    assert.deepEqual(await printed(args), lines);
  }
});

test('-v and --version print the version; help has precedence', async () => {
  for (const args of [['-v'], ['--version'], ['print', '-v']]) {
    assert.deepEqual(await printed(args), ['1.2.3']);
  }
  assert.deepEqual(await printed(['-v', '-h']), await printed(['help']));
  assert.deepEqual(await printed(['help', 'help']), await printed(['help']));
});

test('the options of a command that exec runs are its own', async () => {
  for (const argv of [
    ['exec', '--', 'ls', '--help'],
    ['exec', 'ls', '-h'],
  ]) {
    const parsed = await readFully(argv, COMMANDS, messages, '1.2.3');
    assert.ok('command' in parsed);
    assert.deepEqual(
      parsed.operands,
      argv.filter((word) => !['exec', '--'].includes(word)),
    );
  }
});

describe('the width', () => {
  const widest = (stdout: string) => Math.max(...stdout.split(/\r?\n/).map((line) => line.length));

  test('is that of COLUMNS, else 80 where there is no terminal', async () => {
    const at = async (columns: string) => {
      const env = { ...BARE_ENV, COLUMNS: columns };
      return widest((await glmToken(['setup', '--help'], { env })).stdout);
    };
    assert.ok((await at('40')) <= 40);
    assert.ok((await at('100')) > 80);
    for (const nonsense of ['', 'wide', '0']) {
      const width = await at(nonsense);
      assert.ok(width <= 80 && width > 60, nonsense);
    }
  });

  test('is that of the terminal, where there is one', only('linux', 'darwin'), async () => {
    const script = 'stty cols 40 && exec "$0" "$@"';
    const terminal = [found.python, `${ROOT}/test/support/terminal.py`, '[]', 'sh', '-c', script];
    const program = [process.execPath, PROGRAM, 'setup', '--help'];
    const { status, stdout } = await run([...terminal, ...program], {
      env: { ...BARE_ENV, TERM: 'xterm' },
    });
    assert.equal(status, 0);
    assert.match(stdout, /^Usage: glm-token setup/);
    assert.ok(widest(stdout) <= 40, stdout);
  });
});
