/** The README's two commands on machines made new, in the combinations that CI does not make. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ROOT } from './support/environment.ts';
import { run } from './support/program.ts';

for (const options of [
  ['--user', '--disk', 'bookworm'],
  ['--disk', 'trixie'],
]) {
  test(options.join(' '), async (t) => {
    const command = ['bash', `${ROOT}/test/fresh-machine.sh`, ...options];
    const env = process.env as Record<string, string>;
    const { status, stdout, stderr } = await run(command, { env });
    assert.equal(status, 0, `${stdout}${stderr}`);
    t.diagnostic(/^\d+ passed, 0 failed.*$/m.exec(stdout)?.[0] ?? '');
    assert.match(stdout, /^\d+ passed, 0 failed$/m);
  });
}
