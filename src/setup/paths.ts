/** Where this program is, by paths that survive upgrades where such exist. */

import { realpathSync } from 'node:fs';
import { basename, delimiter, dirname, join } from 'node:path';

export interface Paths {
  readonly node: string;
  readonly script: string;
  /** The directory of the package, which has `dist` and `elisp`. */
  readonly root: string;
}

/**
 * A directory that is there for one version: of nvm, fnm, Homebrew's Cellar, pnpm's store, npx's cache,
 * or Emacs' packages.
 */
const VERSIONED = /[/\\](_npx|fnm_multishells|\.pnpm|Cellar)[/\\]|[/\\@-]v?\d+\.\d+\.\d+/;

/** Whether an upgrade is going to change a path. */
export const isVersioned = (path: string): boolean => VERSIONED.test(path);

/** @param invoked the script as node was given it, with links unresolved */
export function findPaths(invoked: string, env: NodeJS.ProcessEnv): Paths {
  const script = realpathSync(invoked);
  const directories = (env.PATH ?? '').split(delimiter).filter(Boolean);
  const nodes = directories.map((directory) => join(directory, basename(process.execPath)));
  const node = stable(process.execPath, nodes);
  // pnpm and others start the script by a link that stays when its target changes.
  const stableScript = basename(invoked) === basename(script) ? stable(script, [invoked]) : script;
  return {
    node,
    script: stableScript,
    root: dirname(dirname(stableScript)),
  };
}

/** A path, or another one of the same file that has no version in it. */
function stable(path: string, others: readonly string[]): string {
  if (!isVersioned(path)) return path;
  const target = realpathSync(path);
  return others.find((other) => !isVersioned(other) && leadsTo(other, target)) ?? path;
}

function leadsTo(path: string, target: string): boolean {
  try {
    return realpathSync(path) === target;
  } catch {
    return false;
  }
}
