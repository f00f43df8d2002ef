/** M-x glm-gptel-auth-install, with a real npm, the packed program, and no program elsewhere. */

import assert from 'node:assert/strict';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { emacsen } from '../support/emacs.ts';
import { BARE_ENV, type Env, ROOT } from '../support/environment.ts';
import { run, SIDE_BY_SIDE } from '../support/program.ts';

const VERSION: string = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')).version;

let home: string;
/** Where npm is, by itself. */
let npm: string;

/** Our own environment, for npm, whose settings say where its registry is. */
const npmEnv = (): Env => ({
  npm_config_userconfig: join(homedir(), '.npmrc'),
  ...(process.env as Env),
});

async function must(command: string[], cwd: string): Promise<string> {
  const { status, stdout, stderr } = await run(command, { cwd, env: npmEnv() });
  assert.equal(status, 0, stderr);
  return stdout.trim();
}

before(async () => {
  home = mkdtempSync(join(tmpdir(), 'glm-token-npm-'));
  npm = await must(['sh', '-c', 'readlink -f "$(command -v npm)"'], home);
  // The Lisp files alone, as package managers install them.
  cpSync(join(ROOT, 'elisp'), join(home, 'elisp'), { recursive: true });

  // What npm test has built: a build now would take it away from the tests beside this one.
  const pack = ['npm', 'pack', '--ignore-scripts', '--pack-destination', home];
  await must(pack, ROOT);
  await must(['tar', '-xzf', `glm-token-${VERSION}.tgz`], home);
  await must(['npm', 'pkg', 'set', 'version=0.0.9'], join(home, 'package'));
  await must(pack, join(home, 'package'));
  writeFileSync(join(home, 'broken.tgz'), 'not a tarball');
});
after(() => rmSync(home, { recursive: true, force: true }));

/** Installs a file, waits for npm, and prints what there is then. */
const install = (file: string) => `(glm-gptel-auth-install "~/${file}")
  (while (get-buffer-process "*glm-token install*") (accept-process-output nil 0.1))
  (princ (format "npm %s, version %s, %S\\n"
                 (with-current-buffer "*glm-token install*"
                   (if (> (count-lines 1 (point-max)) 6) "spoke" "was silent"))
                 (with-temp-buffer
                   (insert-file-contents
                    (concat user-emacs-directory
                            "glm-token/node_modules/glm-token/package.json"))
                   (plist-get (glm-gptel-auth--parse-json (buffer-string)) :version))
                 (glm-gptel-auth--program)))`;

const FORM = `(progn
  (require 'glm-gptel-auth-install)
  (fset 'y-or-n-p (lambda (prompt) (princ (concat prompt "\\n")) t))
  (condition-case failure (glm-gptel-auth-token)
    (user-error (princ (concat (cadr failure) "\\n"))))
  ${install('glm-token-0.0.9.tgz')}
  (let ((before (progn (glm-gptel-auth-token) glm-gptel-auth--helper)))
    ${install(`glm-token-${VERSION}.tgz`)}
    (princ (format "helper of the old one %s\\n" (process-live-p before))))
  (princ (concat (glm-gptel-auth-token) "\\n"))
  ${install('broken.tgz')})`;

const EMACSEN = await emacsen();

describe('an old version, a new one over it, and one that npm refuses', SIDE_BY_SIDE, () => {
  for (const { emacs, version } of EMACSEN) {
    test(`Emacs ${version}`, async () => {
      const [bin, init] = [join(home, `${version}-bin`), join(home, `${version} 我的 emacs/`)];
      for (const directory of [bin, init]) mkdirSync(directory);
      // Notes what of the environment npm is given, and is npm.
      const seen = join(bin, 'seen');
      const wrapper = `#!/bin/sh\nenv >"${seen}"\nexec "${process.execPath}" "${npm}" "$@"\n`;
      writeFileSync(join(bin, 'npm'), wrapper, { mode: 0o755 });
      const { stdout, stderr } = await run(
        [
          ...[emacs, '-Q', '--batch', '-L', join(home, 'elisp')],
          ...['--eval', `(setq user-emacs-directory "${init}")`, '--eval', FORM],
        ],
        {
          env: {
            ...npmEnv(),
            ...{
              HOME: home,
              LANG: 'C.UTF-8',
              GLM_TOKEN_LANG: 'en',
              GLM_API_KEY: 'id.secretsecret',
            },
            PATH: `${bin}:${dirname(process.execPath)}:${BARE_ENV.PATH}`,
          },
        },
      );

      const script = `${init}glm-token/node_modules/glm-token/dist/cli.cjs`;
      const program = `("${process.execPath}" "${script}")`;
      assert.deepEqual(
        stdout.replace(/^eyJ.*/m, 'token').split('\n'),
        [
          "GLM: cannot find the program glm-token; run `npm install -g .' in a checkout of it, or `npm pack' there, and then C-u M-x glm-gptel-auth-install here",
          `Install ~/glm-token-0.0.9.tgz with npm into ~/${version} 我的 emacs/glm-token/? `,
          `npm spoke, version 0.0.9, ${program}`,
          `Install ~/glm-token-${VERSION}.tgz with npm into ~/${version} 我的 emacs/glm-token/? `,
          `npm spoke, version ${VERSION}, ${program}`,
          'helper of the old one nil',
          'token',
          `Install ~/broken.tgz with npm into ~/${version} 我的 emacs/glm-token/? `,
          `npm spoke, version ${VERSION}, ${program}`,
          '',
        ],
        stderr,
      );
      const said = stderr.split('\n').filter((line) => line.startsWith('GLM: '));
      assert.deepEqual(said, [
        'GLM: installed glm-token; M-x glm-gptel-auth-setup goes on from here',
        'GLM: installed glm-token; M-x glm-gptel-auth-setup goes on from here',
      ]);
      const given = readFileSync(seen, 'utf8');
      assert.match(given, /^PATH=/m);
      assert.doesNotMatch(given, /secretsecret|^GLM_API_KEY=/m);
    });
  }
});
