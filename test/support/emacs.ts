/** Runs the Emacs side's tests in real Emacsen. */

import { BARE_ENV, type Env, found, ROOT } from './environment.ts';
import { type Outcome, type RunOptions, run } from './program.ts';

/** The arguments that every batch Emacs of ours starts with. */
export function emacsCommand(emacs: string, { gptel = false } = {}): string[] {
  const folders = [`${ROOT}/elisp`, ...(gptel ? found.elpa : [])];
  return [emacs, '-Q', '--batch', ...folders.flatMap((folder) => ['-L', folder])];
}

/** Evaluates a form in a batch Emacs that has our file loaded. */
export function evaluate(
  emacs: string,
  form: string,
  { gptel = false, ...options }: RunOptions & { gptel?: boolean } = {},
): Promise<Outcome> {
  const command = [...emacsCommand(emacs, { gptel }), '-l', 'glm-gptel-auth', '--eval', form];
  return run(command, { ...options, env: options.env ?? BARE_ENV });
}

/**
 * Runs the ERT tests of a file in test/elisp.
 *
 * @throws Error with what ERT printed, when a test failed or was skipped, or when there was none
 */
export async function runErt(
  emacs: string,
  file: string,
  { gptel, env }: { gptel: boolean; env: Env },
): Promise<number> {
  const { status, stdout, stderr } = await run(
    [
      ...emacsCommand(emacs, { gptel }),
      ...['-L', `${ROOT}/test/elisp`, '-l', `${ROOT}/test/elisp/${file}`],
      ...['-f', 'ert-run-tests-batch-and-exit'],
    ],
    { env },
  );
  const [, ran = '0', skipped = '0'] =
    /^Ran (\d+) tests, .*?(?:, (\d+) skipped)?[ (]/m.exec(stdout + stderr) ?? [];
  if (status !== 0 || ran === '0' || skipped !== '0') {
    throw new Error(`ERT failed (status ${status}):\n${stdout}${stderr}`);
  }
  return Number(ran);
}

/** Every Emacs, and its version for the names of tests. */
export async function emacsen(): Promise<{ emacs: string; version: string }[]> {
  return Promise.all(
    found.emacs.map(async (emacs) => {
      const { stdout } = await run([emacs, '-Q', '--batch', '--eval', '(princ emacs-version)']);
      return { emacs, version: stdout };
    }),
  );
}
