/** What to start for a command that a person named: on Windows that may be cmd, for a .cmd file. */

import type { SpawnOptions } from 'node:child_process';

/** What Node's `spawn` takes. */
export interface Program<Options extends SpawnOptions> {
  readonly command: string;
  readonly args: readonly string[];
  readonly options: Options;
}

/**
 * On Windows, `undefined` is a command that is not there: cross-spawn would give it to cmd, which
 * repeats its name on standard error, and that may be a key. Elsewhere `spawn` finds that out.
 */
export async function findProgram<Options extends SpawnOptions>(
  command: string,
  args: readonly string[],
  options: Options,
): Promise<Program<Options> | undefined> {
  if (process.platform !== 'win32') return { command, args, options };
  const { _parse } = (await import('cross-spawn')).default as unknown as {
    _parse(...words: unknown[]): Program<Options> & { readonly file: string | undefined };
  };
  const found = _parse(command, args, options);
  return found.file === undefined ? undefined : found;
}
