/** Installs the Emacs package as docs/emacs.md says, with an empty home, and looks what came of it. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { BARE_ENV, type Env, found, network, ROOT } from './environment.ts';
import { run } from './program.ts';

export interface Installation {
  /** What the page says was run, such as `use-package, Emacs 30.1`. */
  readonly title: string;
  readonly form: string;
}

/** The forms of the page's section on installing, each below its line `;; run: …`. */
export const INSTALLATIONS: readonly Installation[] = (
  readFileSync(join(ROOT, 'docs/emacs.md'), 'utf8')
    .split(/^## /m)
    .find((section) => section.startsWith('Installing')) ?? ''
)
  .split(/^;; run: /m)
  .slice(1)
  .map((text) => {
    const [title = '', ...lines] = (text.split('```')[0] ?? '').split('\n');
    const form = lines
      .join('\n')
      .replaceAll('CHECKOUT', `file://${ROOT}`)
      .replaceAll('/path/to/glm-token', ROOT);
    return { title, form };
  });

/** Whether an Emacs is at least the oldest that the page names. */
export const isFor = ({ title }: Installation, version: string): boolean =>
  Number.parseInt(version, 10) >= Number(/Emacs (\d+)/.exec(title)?.[1]);

/** Whether ours is loaded when it is used, and not before; from where, and what gptel uses then. */
const PROOF = `
  (require 'gptel nil t)
  (princ (format "command %s, " (autoloadp (symbol-function 'glm-gptel-auth-setup))))
  (require 'glm-gptel-auth)
  (princ (format "backend %s, loaded from %s"
                 (and (bound-and-true-p gptel-backend) (gptel-backend-name gptel-backend))
                 (locate-library "glm-gptel-auth")))`;

/** Emacs' own warnings of what package managers generate are not about us. */
const WARNING = /[1-9]\d* failed|glm-gptel-auth(?!-pkg|-autoloads)[a-z-]*\.el:.*(Warning|Error):/;

/** A checkout that belongs to somebody else is one that git refuses. */
const GIT: Env = {
  GIT_CONFIG_COUNT: '1',
  GIT_CONFIG_KEY_0: 'safe.directory',
  GIT_CONFIG_VALUE_0: '*',
};

export class EmacsHome {
  readonly #emacs: string;
  readonly #home: string;
  readonly #init: string;

  /** @param init what comes first in init.el: the package manager */
  constructor(emacs: string, home: string, init: string) {
    this.#emacs = emacs;
    this.#home = home;
    this.#init = init;
  }

  /** Evaluates a form in an Emacs that has started with init.el. */
  evaluate(form: string) {
    const gptel = found.elpa.flatMap((path) => ['-L', path]);
    // Emacs starts itself to compile, and a wrapper of it does not know its own name.
    const itself = `(setq invocation-directory ${JSON.stringify(`${dirname(this.#emacs)}/`)}
      invocation-name "emacs" user-emacs-directory "${this.#home}/.emacs.d/")`;
    const whole = `(progn ${itself} ${this.#init} ${form})`;
    return run([this.#emacs, '-Q', '--batch', ...gptel, '--eval', whole], {
      env: { ...BARE_ENV, ...network(), ...GIT, HOME: this.#home },
    });
  }

  /**
   * Installs, and asserts that a new Emacs loads the package from below its home, or from the checkout.
   *
   * @param again what init.el has of it from then on
   */
  async install(form: string, again = ''): Promise<void> {
    const { stderr } = await this.evaluate(form);
    // In another Emacs, since compiling the files has loaded some of them.
    const proof = await this.evaluate(`${again} ${PROOF}`);
    const said = `${stderr}${proof.stdout}${proof.stderr}`;
    const [, backend, file = ''] =
      /^command t, backend (\w+), loaded from (.*\/glm-gptel-auth\.elc?)$/m.exec(proof.stdout) ??
      [];
    const isCompiled = file.startsWith(this.#home) && file.endsWith('.elc');
    assert.ok(isCompiled || file === `${ROOT}/elisp/glm-gptel-auth.el`, said);
    assert.equal(backend, form.includes('make-backend') ? 'GLM' : 'nil', said);
    assert.doesNotMatch(stderr, WARNING);
  }
}
