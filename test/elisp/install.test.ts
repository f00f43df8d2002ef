/** The ways in which people install an Emacs package, with an empty home. */

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { emacsen } from '../support/emacs.ts';
import { BARE_ENV, ROOT } from '../support/environment.ts';
import { run } from '../support/program.ts';

/** What is to hold after an install, before and after the file is loaded. */
const PROOF = `(princ (format "autoload %s, " (autoloadp (symbol-function 'glm-gptel-auth-store))))
  (require 'glm-gptel-auth)
  (princ (format "loaded from %s" (locate-library "glm-gptel-auth")))`;

const installs: { how: string; sinceMajor: number; form: string }[] = [
  {
    how: 'package-install-file',
    sinceMajor: 28,
    form: `(package-install-file "${ROOT}/elisp/")`,
  },
  {
    how: 'package-vc-install',
    sinceMajor: 30,
    form: `(package-vc-install '(glm-gptel-auth :url "file://${ROOT}" :lisp-dir "elisp" :vc-backend Git))`,
  },
];

let home: string;
before(() => {
  home = mkdtempSync(join(tmpdir(), 'glm-token-install-'));
});
after(() => rmSync(home, { recursive: true, force: true }));

for (const { emacs, version } of await emacsen()) {
  describe(`Emacs ${version}`, () => {
    for (const { how, sinceMajor, form } of installs) {
      if (Number.parseInt(version, 10) < sinceMajor) continue; // There is no such function.
      test(how, async () => {
        const folder = `${home}/${version}-${how}`;
        const inEmacs = (rest: string) =>
          run(
            [
              emacs,
              '-Q',
              '--batch',
              '--eval',
              `(progn (require 'package)
            (setq package-archives nil package-user-dir "${folder}") (package-initialize) ${rest})`,
            ],
            { env },
          );
        // A checkout that belongs to somebody else is one that git refuses.
        const git = {
          GIT_CONFIG_COUNT: '1',
          GIT_CONFIG_KEY_0: 'safe.directory',
          GIT_CONFIG_VALUE_0: '*',
        };
        const env = { ...BARE_ENV, ...git, HOME: home };
        const { stderr } = await inEmacs(form);
        // In another Emacs, since compiling the files has loaded some of them.
        const { stdout } = await inEmacs(PROOF);
        assert.match(stdout, /autoload t, loaded from .*glm-gptel-auth\.elc$/, stderr);
        assert.ok(stdout.includes(folder));
        assert.doesNotMatch(stderr, /[1-9]\d* failed|glm-gptel-auth\.el.*Warning:/);
      });
    }
  });
}
