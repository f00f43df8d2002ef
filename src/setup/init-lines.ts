/** The lines for init.el that use this program from gptel. */

import { type Account, accountName, DEFAULT_HOST, DEFAULT_PROFILE } from '../core/account.ts';
import type { Messages } from '../messages/en.ts';
import type { PlanName } from '../service/services.ts';
import { isVersioned } from './paths.ts';

/** Where the program and its Lisp files are, as init.el is to name them. */
export interface InitPaths {
  /** The program and its arguments. */
  readonly command: readonly string[];
  /** The directory of the Lisp files. */
  readonly elisp: string;
}

/** An account that gptel is to have, at the endpoint of a plan. */
export interface Backend {
  readonly account: Account;
  readonly plan: PlanName;
}

/** Those of the paths that an upgrade is going to change; the Lisp files are mostly beside the program. */
export function unstableOf({ command, elisp }: InitPaths): readonly string[] {
  const unstable = command.filter(isVersioned);
  return unstable.length > 0 ? unstable : [elisp].filter(isVersioned);
}

/**
 * The lines for init.el, with absolute paths, so that they work as pasted. gptel begins with the first
 * of the accounts; each has a name of its own.
 *
 * @param isAll whether these are all accounts that there are, for how to get the lines again
 */
export function initLines(
  [first, ...others]: readonly [Backend, ...Backend[]],
  { command, elisp }: InitPaths,
  { setup }: Messages,
  isAll = false,
): string[] {
  const missing = setup.initMissing(isAll ? undefined : first.account, first.plan);
  const lines = [
    setup.initComment,
    `(add-to-list 'load-path ${lispPath(elisp)})`,
    "(if (not (require 'glm-gptel-auth nil t))",
    `    (display-warning 'glm-gptel-auth ${lisp(missing)})`,
    `  (setq glm-gptel-auth-command '(${command.map(lispPath).join(' ')}))`,
    "  (with-eval-after-load 'gptel",
    `    (setq gptel-backend ${makeBackend(first)}`,
    "          gptel-model 'glm-5.3)",
    ...others.map((backend) => `    ${makeBackend(backend)}`),
  ];
  return [...lines.slice(0, -1), `${lines.at(-1)}))`];
}

function makeBackend({ account: { host, profile }, plan }: Backend): string {
  const options = [
    host === DEFAULT_HOST ? '' : ` :host ${lisp(host)}`,
    profile === DEFAULT_PROFILE ? '' : ` :profile ${lisp(profile)}`,
    plan === 'coding' ? ' :coding-plan t' : '',
  ].join('');
  return `(glm-gptel-auth-make-backend ${lisp(nameOf({ host, profile }))}${options})`;
}

/** What gptel calls an account: `GLM`, `GLM api.z.ai`, `GLM work`, `GLM work@api.z.ai`. */
function nameOf(account: Account): string {
  const { host, profile } = account;
  if (host === DEFAULT_HOST) return profile === DEFAULT_PROFILE ? 'GLM' : `GLM ${profile}`;
  return `GLM ${profile === DEFAULT_PROFILE ? host : accountName(account)}`;
}

/** A string as Emacs Lisp reads it. */
const lisp = (text: string): string => `"${text.replace(/[\\"]/g, '\\$&')}"`;

/** A path as Emacs Lisp reads it: one of Windows with slashes, which Emacs accepts too. */
const lispPath = (path: string): string =>
  lisp(/^([a-z]:)?\\/i.test(path) ? path.replaceAll('\\', '/') : path);
