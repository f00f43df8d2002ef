/** Where this program is: paths that init.el can name, and that survive upgrades where such exist. */

import { realpathSync } from 'node:fs';
import { basename, delimiter, dirname, join } from 'node:path';

export interface Paths {
  readonly node: string;
  readonly script: string;
  /** The directory of the package, which has `dist` and `elisp`. */
  readonly root: string;
  /** Those of them that an upgrade of node, or of glm-token, is going to change. */
  readonly unstable: readonly string[];
}

/**
 * A directory that is there for one version: of nvm, fnm, Homebrew's Cellar, pnpm's store, or npx's
 * cache.
 */
const VERSIONED = /[/\\](_npx|fnm_multishells|\.pnpm|Cellar)[/\\]|[/\\@]v?\d+\.\d+\.\d+/;

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
    unstable: [node, stableScript].filter((path) => VERSIONED.test(path)),
  };
}

/** A path, or another one of the same file that has no version in it. */
function stable(path: string, others: readonly string[]): string {
  if (!VERSIONED.test(path)) return path;
  const target = realpathSync(path);
  return others.find((other) => !VERSIONED.test(other) && leadsTo(other, target)) ?? path;
}

function leadsTo(path: string, target: string): boolean {
  try {
    return realpathSync(path) === target;
  } catch {
    return false;
  }
}
