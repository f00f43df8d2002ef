/** straight.el and elpaca, where git can reach their repositories. */

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { emacsen } from '../support/emacs.ts';
import { EmacsHome, INSTALLATIONS, isFor } from '../support/emacs-packages.ts';
import { BARE_ENV, network } from '../support/environment.ts';
import { run } from '../support/program.ts';

interface PackageManager {
  readonly name: string;
  readonly repository: string;
  /** Where it is cloned to, below ~/.emacs.d, and the file there that starts it. */
  readonly directory: string;
  readonly start: string;
  /** Waits until everything that was asked for is installed. */
  readonly wait: string;
}

const MANAGERS: readonly PackageManager[] = [
  {
    name: 'straight.el',
    repository: 'https://github.com/radian-software/straight.el.git',
    directory: 'straight/repos/straight.el',
    start: 'bootstrap.el',
    wait: '',
  },
  {
    name: 'elpaca',
    repository: 'https://github.com/progfolio/elpaca.git',
    directory: 'elpaca/sources/elpaca',
    start: 'doc/installer.el',
    wait: '(elpaca-wait)',
  },
];

const emacsVersions = await emacsen();
let home: string;
before(() => {
  home = mkdtempSync(join(tmpdir(), 'glm-token-packages-'));
});
after(() => rmSync(home, { recursive: true, force: true }));

for (const { name, repository, directory, start, wait } of MANAGERS) {
  const installation = INSTALLATIONS.find(({ title }) => title.startsWith(name));
  assert.ok(installation, name);

  describe(name, () => {
    for (const { emacs, version } of emacsVersions) {
      assert.ok(isFor(installation, version), `${installation.title}: not ${version}`);
      test(`Emacs ${version}`, async (t) => {
        const own = mkdtempSync(join(home, `${name}-`));
        const place = join(own, '.emacs.d', directory);
        const cloned = await run(['timeout', '60', 'git', 'clone', '-q', repository, place], {
          env: { ...BARE_ENV, ...network(), HOME: own, GIT_TERMINAL_PROMPT: '0' },
        });
        if (cloned.status !== 0) {
          const why = cloned.stderr.trim().split('\n').pop();
          t.skip(`${name} was not run: git cannot reach ${repository}: ${why}`);
          return;
        }
        const emacsHome = new EmacsHome(emacs, own, `(load "${place}/${start}" nil t)`);
        await emacsHome.install(installation.form + wait, installation.form + wait);
      });
    }
  });
}
