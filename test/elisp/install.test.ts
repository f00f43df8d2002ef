/** The ways in which people install an Emacs package, with an empty home. */

import assert from 'node:assert/strict';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { emacsen } from '../support/emacs.ts';
import { EmacsHome, INSTALLATIONS, isFor } from '../support/emacs-packages.ts';
import { found, ROOT } from '../support/environment.ts';
import { run } from '../support/program.ts';

/** package.el, with no archive. */
const PACKAGE = '(require (quote package)) (setq package-archives nil) (package-initialize)';

let home: string;
let tar: string;
before(async () => {
  home = mkdtempSync(join(tmpdir(), 'glm-token-install-'));
  tar = await makePackageTar();
});
after(() => rmSync(home, { recursive: true, force: true }));

/** The tar of a package with several files, as archives have it; returns its path. */
async function makePackageTar(): Promise<string> {
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  const name = `glm-gptel-auth-${version}`;
  const directory = join(home, name);
  mkdirSync(directory);
  cpSync(join(ROOT, 'elisp'), directory, { recursive: true });
  const about = `(define-package "glm-gptel-auth" "${version}" "Tokens" '((emacs "28.1")))\n`;
  writeFileSync(join(directory, 'glm-gptel-auth-pkg.el'), about);
  await run(['tar', '-cf', `${directory}.tar`, '-C', home, name]);
  return `${directory}.tar`;
}

for (const { emacs, version } of await emacsen()) {
  describe(`Emacs ${version}`, () => {
    const inDocs = INSTALLATIONS.filter(
      (one) => isFor(one, version) && !/straight|elpaca/.test(one.title),
    );
    for (const { title, form } of inDocs) {
      const skip = found.elpa.length === 0 && form.includes(':after gptel') && 'gptel is not here';
      test(title, { skip }, async () => {
        const emacsHome = new EmacsHome(emacs, mkdtempSync(join(home, 'docs-')), PACKAGE);
        // What use-package does is done at each start.
        await emacsHome.install(form, form.includes('use-package') ? form : '');
      });
    }

    test('a tar, such as archives have', async () => {
      const emacsHome = new EmacsHome(emacs, mkdtempSync(join(home, 'tar-')), PACKAGE);
      await emacsHome.install(`(package-install-file "${tar}")`);

      // describe-package says what the package does, and how to start.
      const { stdout, stderr } = await emacsHome.evaluate(
        '(describe-package (quote glm-gptel-auth)) (princ (with-current-buffer "*Help*" (buffer-string)))',
      );
      assert.match(stdout, /^GLM \(Zhipu, .*\) for gptel/m, stderr);
      assert.match(stdout, /^ {2}M-x glm-gptel-auth-install\n {2}M-x glm-gptel-auth-setup$/m);
      assert.doesNotMatch(stdout, /^;;|General Public License/m);
    });

    if (Number.parseInt(version, 10) >= 29) {
      test('package-vc-install', async () => {
        const emacsHome = new EmacsHome(emacs, mkdtempSync(join(home, 'vc-')), PACKAGE);
        await emacsHome.install(`(package-vc-install
          '(glm-gptel-auth :url "file://${ROOT}" :lisp-dir "elisp" :vc-backend Git))`);
      });
    }
  });
}
