/** The manual page: it has what the program has, and formatters have nothing to say against it. */

import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { helpOf, optionRows } from '../src/cli/help.ts';
import { COMMANDS } from '../src/commands/all.ts';
import { EXIT_STATUS } from '../src/core/errors.ts';
import { manPage } from '../src/man-page.ts';
import { english } from '../src/messages/en.ts';
import { BARE_ENV, only, ROOT } from './support/environment.ts';
import { run } from './support/program.ts';

const PAGE = join(ROOT, 'dist/glm-token.1');
const REFERENCE = readFileSync(join(ROOT, 'docs/reference.md'), 'utf8');

const directory = mkdtempSync(join(tmpdir(), 'glm-token-man-'));
after(() => rmSync(directory, { recursive: true }));

/** The page as man-db and groff show it. */
async function shownByMan(page: string): Promise<string> {
  const env = { ...BARE_ENV, HOME: directory, MANWIDTH: '80' };
  const { status, stdout, stderr } = await run(['man', '--warnings', '-l', page], { env });
  assert.deepEqual([status, stderr], [0, '']);
  return stdout;
}

/** The page as mandoc shows it, without its bold and underlined letters. */
async function shownByMandoc(page: string): Promise<string> {
  const lint = await run(['mandoc', '-T', 'lint', page]);
  assert.deepEqual([lint.status, lint.stdout, lint.stderr], [0, '', '']);
  const { stdout } = await run(['mandoc', '-T', 'utf8', page]);
  return stdout.replace(/.[\b]/g, '');
}

/** Without spaces and hyphenation, and whatever else depends on formatter and width. */
const letters = (shown: string): string => shown.replace(/‐?\s+/g, '').replaceAll('’', "'");

/** A part of a page, below its title. */
const partOf = (shown: string, title: string): string =>
  shown.split(new RegExp(`^(?: {3})?${title}$`, 'm'))[1]?.split(/^(?: {3})?\S/m)[0] ?? '';

const formatters = [
  { name: 'man --warnings', show: shownByMan, where: only('linux') },
  { name: 'mandoc', show: shownByMandoc, where: only('linux', 'darwin') },
];

for (const { name, show, where } of formatters) {
  test(
    `${name} shows each command, option, exit status and variable, and no warning`,
    where,
    async () => {
      const messages = english('glm-token');
      const shown = await show(PAGE);
      for (const line of shown.split('\n')) assert.ok([...line].length <= 80, line);
      for (const command of COMMANDS) {
        const part = partOf(shown, command.name);
        const summary = helpOf(command, messages, 200).split('\n')[2] ?? '';
        assert.ok(letters(part).includes(letters(summary)), command.name);
        for (const [term, meaning] of optionRows(command, messages)) {
          assert.ok(letters(part).includes(letters(term + meaning)), `${command.name} ${term}`);
          assert.ok(letters(partOf(shown, 'SYNOPSIS')).includes(letters(`[${term}]`)), term);
        }
        for (const [line] of messages.commands[command.name].examples) {
          assert.ok(partOf(shown, 'EXAMPLES').includes(line), line);
        }
      }
      for (const [code, status] of Object.entries(EXIT_STATUS)) {
        assert.ok(letters(partOf(shown, 'EXIT STATUS')).includes(`${status}${code}:`), code);
      }
      const settings = readFileSync(join(ROOT, 'src/settings.ts'), 'utf8');
      for (const variable of new Set(settings.match(/\bGLM_[A-Z_]+/g))) {
        assert.match(partOf(shown, 'ENVIRONMENT'), new RegExp(`^ +${variable}$`, 'm'));
      }
    },
  );

  test(`${name} shows what roff would take for its own as it is written`, where, async () => {
    const odd = [
      '`C:\\new\\-x \'a\' ^~ "q" --no-x` …',
      "`.Sh` begins a line, `'tis` another. `.Pp` 中文 _so_ a_b_c -1 \\fBbold\\n.",
    ].join('\n');
    const reference = REFERENCE.replace('Keys belong to _accounts_', `${odd}\n\nKeys belong`);
    const file = join(directory, 'odd.1');
    writeFileSync(file, manPage({ date: new Date(0), reference }));
    const shown = letters(await show(file));
    assert.ok(
      shown.includes(
        letters(
          "C:\\new\\-x 'a' ^~ \"q\" --no-x … .Sh begins a line, 'tis another. .Pp 中文 so a_b_c -1 \\fBbold\\n. Keys belong",
        ),
      ),
      shown.slice(1500, 2500),
    );
    assert.match(shown, /January1,1970/);
  });
}

test('the page says where the project is once there is such a place', () => {
  const date = new Date();
  const homepage = 'https://forge.invalid/project';
  assert.ok(manPage({ date, reference: REFERENCE, homepage }).includes(`\n.Lk ${homepage}\n`));
  assert.ok(!manPage({ date, reference: REFERENCE }).includes('.Lk'));
});

test('a section of the reference that is missing is an error', () => {
  const reference = REFERENCE.replace('## Exit codes', '## Exits');
  assert.throws(() => manPage({ date: new Date(), reference }), /has no section Exit codes/);
});
