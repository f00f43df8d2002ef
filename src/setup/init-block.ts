/** The lines for init.el that use this program from gptel. */

import type { Context } from '../commands/subcommand.ts';
import { type Account, DEFAULT_HOST, DEFAULT_PROFILE } from '../core/account.ts';
import type { PlanName } from '../messages/common.ts';

/** The lines for init.el, with absolute paths, so that they work as pasted. */
export function initBlock(
  { messages, paths }: Pick<Context, 'messages' | 'paths'>,
  { host, profile }: Account,
  plan: PlanName | undefined,
): string[] {
  const { node, script, root } = paths;
  const options = [
    host === DEFAULT_HOST ? '' : ` :host ${lisp(host)}`,
    profile === DEFAULT_PROFILE ? '' : ` :profile ${lisp(profile)}`,
    plan === 'coding' ? ' :coding-plan t' : '',
  ].join('');
  return [
    messages.setup.initComment,
    `(add-to-list 'load-path ${lisp(`${root}/elisp`)})`,
    "(if (not (require 'glm-gptel-auth nil t))",
    `    (message ${lisp(messages.setup.initMissing)})`,
    `  (setq glm-gptel-auth-command '(${lisp(node)} ${lisp(script)}))`,
    "  (with-eval-after-load 'gptel",
    `    (setq gptel-backend (glm-gptel-auth-make-backend "GLM"${options})`,
    "          gptel-model 'glm-5.3)))",
  ];
}

/** A string as Emacs Lisp reads it; Windows paths with slashes, which Emacs accepts too. */
const lisp = (text: string): string => `"${text.replaceAll('\\', '/').replaceAll('"', '\\"')}"`;
