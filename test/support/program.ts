/** Runs programs as children and collects what they say. */

import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, copyFileSync, cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BARE_ENV, type Env, found, PROGRAM, ROOT } from './environment.ts';

export interface Outcome {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A user of this machine, by number. */
export interface User {
  readonly uid: number;
  readonly gid: number;
}

export interface RunOptions {
  readonly env?: Env;
  /** Who runs it, where that is not this user. */
  readonly user?: User | undefined;
  readonly input?: string | Buffer;
  readonly cwd?: string;
  /** Called with the child once it runs. */
  readonly onSpawn?: (child: ChildProcess) => void;
}

/** Runs a command to its end. Its standard input is empty by default. */
export function run(command: readonly string[], options: RunOptions = {}): Promise<Outcome> {
  const [file = '', ...args] = command;
  const { env = BARE_ENV, user, input = '', cwd, onSpawn } = options;
  return new Promise((resolve, reject) => {
    // Detached, so that it cannot ask on the terminal that the tests were started from.
    const child = spawn(file, args, { env, ...user, cwd, stdio: 'pipe', detached: true });
    const chunks: Record<'stdout' | 'stderr', Buffer[]> = { stdout: [], stderr: [] };
    child.stdout.on('data', (chunk) => chunks.stdout.push(chunk));
    child.stderr.on('data', (chunk) => chunks.stderr.push(chunk));
    child.stdin.on('error', () => {}); // It may well end before it has read everything.
    child.on('error', reject);
    child.on('close', (status, signal) =>
      resolve({
        status,
        signal,
        stdout: Buffer.concat(chunks.stdout).toString(),
        stderr: Buffer.concat(chunks.stderr).toString(),
      }),
    );
    child.stdin.end(input);
    onSpawn?.(child);
  });
}

/** How the built glm-token calls itself in hints, since it runs from a checkout. */
export const CALL = `node ${/[^\w.:/\\-]/.test(PROGRAM) ? `'${PROGRAM}'` : PROGRAM}`;

/** For tests that start programs and share nothing, so that they need not wait for each other. */
export const SIDE_BY_SIDE = { concurrency: 4 };

/** Runs the built glm-token. */
export function glmToken(args: readonly string[], options: RunOptions = {}): Promise<Outcome> {
  const program = options.user ? forEverybody() : [process.execPath, PROGRAM];
  return run([...program, ...args], options);
}

let copied: string[] | undefined;

/**
 * The command for a copy of Node and the built glm-token that every user can read: the checkout, and
 * Node, may be in a home that others cannot enter. It is removed when this process ends.
 */
export function forEverybody(): readonly string[] {
  if (copied) return copied;
  const place = mkdtempSync(join(tmpdir(), 'glm-token-copy-'));
  process.on('exit', () => rmSync(place, { recursive: true, force: true }));
  chmodSync(place, 0o755);
  copyFileSync(process.execPath, join(place, 'node'));
  for (const name of ['dist', 'node_modules/keytar']) {
    cpSync(join(ROOT, name), join(place, name), { recursive: true });
  }
  copied = [join(place, 'node'), join(place, 'dist/cli.cjs')];
  return copied;
}

/**
 * Pairs of a text to wait for and what to type then, followed by a return; `^C` and `^D` are typed
 * as those keys.
 */
export type Answers = readonly (readonly [shown: string, typed: string])[];

/** Runs a command on a terminal of its own; what that showed is in `stdout`. */
export function runOnTerminal(
  command: readonly string[],
  answers: Answers,
  env: Env,
): Promise<Outcome> {
  const terminal = [found.python, `${ROOT}/test/support/terminal.py`, JSON.stringify(answers)];
  const { NO_COLOR = '1', ...rest } = env;
  const plain = NO_COLOR ? { NO_COLOR } : {}; // To Node, an empty one is one.
  return run([...terminal, ...command], { env: { TERM: 'xterm', ...plain, ...rest } });
}
