/** The manual page: it has what the program has, and formatters have nothing to say against it. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { optionRows } from '../src/cli/help.ts';
import { COMMANDS } from '../src/commands/all.ts';
import { EXIT_STATUS } from '../src/core/errors.ts';
import { english } from '../src/messages/en.ts';
import { BARE_ENV, only, ROOT } from './support/environment.ts';
import { run } from './support/program.ts';

const PAGE = join(ROOT, 'dist/glm-token.1');
const messages = english('glm-token');

/** The page as man-db and groff show it. */
async function shownByMan(): Promise<string> {
  const env = { ...BARE_ENV, MANWIDTH: '80' };
  const { status, stdout, stderr } = await run(['man', '--warnings', '-l', PAGE], { env });
  assert.deepEqual([status, stderr], [0, '']);
  return stdout;
}

/** The page as mandoc shows it, without its bold and underlined letters. */
async function shownByMandoc(): Promise<string> {
  const lint = await run(['mandoc', '-T', 'lint', '-W', 'error', PAGE]);
  assert.deepEqual([lint.status, lint.stdout], [0, '']);
  const { stdout } = await run(['mandoc', '-T', 'utf8', PAGE]);
  return stdout.replace(/.[\b]/g, '');
}

/** Without spaces and hyphenation, and whatever else depends on formatter and width. */
const letters = (shown: string): string => shown.replace(/‐?\s+/g, '');

/** A part of a page, below its title. */
const partOf = (shown: string, title: string): string =>
  shown.split(new RegExp(`^(?: {3})?${title}$`, 'm'))[1]?.split(/^(?: {3})?\S/m)[0] ?? '';

for (const { name, show, where } of [
  { name: 'man --warnings', show: shownByMan, where: only('linux') },
  { name: 'mandoc', show: shownByMandoc, where: only('linux', 'darwin') },
]) {
  test(`${name} shows all that the program has, and no warning`, where, async () => {
    const shown = await show();
    for (const { name: command, ...rest } of COMMANDS) {
      const part = letters(partOf(shown, command));
      for (const [term, meaning] of optionRows({ name: command, ...rest }, messages)) {
        assert.ok(part.includes(letters(term + meaning)), `${command} ${term}`);
      }
      for (const [line] of messages.commands[command].examples) {
        assert.ok(partOf(shown, command).replace(/ +/g, ' ').includes(line), line);
      }
    }
    for (const [code, status] of Object.entries(EXIT_STATUS)) {
      assert.ok(letters(partOf(shown, 'EXIT STATUS')).includes(`${code}${status}:`), code);
    }
    const settings = readFileSync(join(ROOT, 'src/settings.ts'), 'utf8');
    for (const variable of new Set(settings.match(/\bGLM_[A-Z_]+/g))) {
      assert.match(partOf(shown, 'ENVIRONMENT'), new RegExp(`^\\W+${variable}$`, 'm'));
    }
    assert.ok(partOf(shown, 'FILES').includes('%LOCALAPPDATA%\\glm-token\\Data\\keys.jwe'));
  });
}
