/** The program: the only file that touches the process, its streams, arguments and exit status. */

import { openSync, realpathSync, writeSync } from 'node:fs';
import { constants, uptime } from 'node:os';
import { dirname } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import envPaths from 'env-paths';
import type { Args, Command, Context, ExitStatus } from './commands/command.ts';
import { parseQuickly } from './commands/grammar.ts';
import { print } from './commands/print.ts';
import { parseAccount } from './core/account.ts';
import { asGlmTokenError, EXIT_STATUS, GlmTokenError } from './core/errors.ts';
import { openClock } from './stores/clock.ts';
import { privateFolder } from './stores/folder.ts';
import { abandonPendingCalls, hasPendingCalls } from './stores/keychain.ts';
import { defaultAccount, openStores, type Stores } from './stores/stores.ts';

/** Set by the build from package.json. */
declare const GLM_TOKEN_VERSION: string;

/** What a program that SIGPIPE or SIGINT ended reports, as shells count it: 128 and the signal. */
const EXIT_SIGINT = 130;
const EXIT_SIGPIPE = 141;

/** Signals that would end the process, and that can be caught. */
const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'] as const;

/** Commands that are worth starting without yargs, which takes 30 ms to load. */
const QUICK: Record<string, () => Promise<Command>> = {
  print: async () => print,
  daemon: async () => (await import('./commands/daemon.ts')).daemon,
};

class Canceled extends Error {}

function makeContext(): Context {
  const { env, platform } = process;
  const script = realpathSync(process.argv[1] ?? '');
  let stores: Stores | undefined;
  let onWaiting = (): void => note('glm-token: waiting for the keychain to be unlocked …');
  const note = (line: string): void => writeAll(2, `${line}\n`);
  const { now } = Date;
  const path = envPaths('glm-token', { suffix: '' }).data;
  const folder = privateFolder({ path, uid: process.getuid?.(), note });
  const surroundings = { env, platform, folder, now, onWaiting: () => onWaiting() };
  return {
    env,
    platform,
    paths: { node: process.execPath, script, root: dirname(dirname(script)) },
    version: GLM_TOKEN_VERSION,
    nodeVersion: process.versions.node,
    clock: openClock(folder, { now, uptimeMs: () => uptime() * 1000 }),
    get interactive() {
      return process.stdin.isTTY === true; // A getter, since the stream costs 3 ms to make.
    },
    stores: () => {
      stores ??= openStores({ ...surroundings, askPassphrase });
      return stores;
    },
    helperStores: (lockAfterMs) => openStores({ ...surroundings, lockAfterMs }),
    onWaiting: (callback) => {
      onWaiting = callback;
    },
    get stdio() {
      return { pid: process.pid, input: process.stdin, output: process.stdout };
    },
    onSignal: (callback) => {
      for (const signal of SIGNALS) process.on(signal, () => callback(signal));
    },
    account: (args: Args) => {
      const { host, profile } = defaultAccount(env);
      return parseAccount(String(args.host ?? host), String(args.profile ?? profile));
    },
    print: (line) => writeAll(1, `${line}\n`),
    note,
    ask,
    readInput,
  };
}

/** Writes all of it before it returns, whatever kind of file the descriptor is. */
function writeAll(fd: 1 | 2, text: string): void {
  let rest = Buffer.from(text);
  while (rest.length > 0) {
    try {
      rest = rest.subarray(writeSync(fd, rest));
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'EAGAIN') continue; // A pipe in non-blocking mode that is full for now.
      if (fd === 2) return; // Nobody is left to tell.
      if (code === 'EPIPE') throw error;
      throw new GlmTokenError(
        'ERR_INTERNAL',
        `cannot write to standard output (${code})`,
        'check where it goes: the disk may be full, or it may be closed',
        error,
      );
    }
  }
}

interface Terminal {
  readonly input: Readable;
  readonly output: Writable;
}

const ownTerminal = (): Terminal => ({ input: process.stdin, output: process.stderr });

async function ask(
  question: string,
  { secret = false } = {},
  { input, output }: Terminal = ownTerminal(),
): Promise<string> {
  const { read } = await import('read');
  try {
    return await read({ prompt: question, silent: secret, input, output, terminal: true });
  } catch (error) {
    throw (error as Error).message === 'canceled' ? new Canceled() : error;
  } finally {
    if (secret) output.write('\n');
  }
}

/**
 * Asks for the passphrase of the key file at the terminal, be standard input another thing (the key
 * that is to be stored, say); `undefined` when there is no terminal.
 */
async function askPassphrase(fresh: boolean): Promise<string | undefined> {
  const { terminal, close } = await openTerminal();
  if (!terminal) return undefined;
  try {
    if (!fresh) return await ask('Passphrase of the key file: ', { secret: true }, terminal);
    const first = await ask('New passphrase for the key file: ', { secret: true }, terminal);
    const again = await ask('The same again: ', { secret: true }, terminal);
    if (first === again) return first;
    throw new GlmTokenError(
      'ERR_PASSPHRASE',
      'these were two different passphrases',
      'try again; nothing was stored',
    );
  } finally {
    close();
  }
}

async function openTerminal(): Promise<{ terminal?: Terminal; close: () => void }> {
  if (process.stdin.isTTY) return { terminal: ownTerminal(), close: () => {} };
  const { ReadStream, WriteStream } = await import('node:tty');
  try {
    const input = new ReadStream(openSync('/dev/tty', 'r'));
    const output = new WriteStream(openSync('/dev/tty', 'w'));
    const close = () => {
      input.destroy();
      output.destroy();
    };
    return { terminal: { input, output }, close };
  } catch {
    return { close: () => {} };
  }
}

async function readInput(maxBytes: number): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of process.stdin) {
    chunks.push(chunk);
    size += chunk.length;
    if (size > maxBytes) break;
  }
  const text = Buffer.concat(chunks).toString('utf8');
  for (const chunk of chunks) chunk.fill(0);
  return text;
}

async function run(argv: readonly string[]): Promise<ExitStatus | undefined> {
  const [word = '', ...rest] = argv;
  const command = await QUICK[word]?.();
  const line = command && parseQuickly(command, rest);
  if (command && line) return command.run(makeContext(), line.args, line.operands);

  const { parseFully } = await import('./commands/parse-fully.ts');
  const parsed = await parseFully(argv, GLM_TOKEN_VERSION);
  if (!('output' in parsed)) {
    return parsed.command.run(makeContext(), parsed.args, parsed.operands);
  }
  writeAll(1, `${parsed.output}\n`);
  return undefined;
}

/** The exit status for what a run threw, after telling the person. */
function report(thrown: unknown): number {
  if (thrown instanceof Canceled) return EXIT_SIGINT;
  if ((thrown as NodeJS.ErrnoException)?.code === 'EPIPE') return EXIT_SIGPIPE;
  const { code, message, hint } = asGlmTokenError(thrown);
  writeAll(2, `glm-token: ${message}\n${hint ? `hint: ${hint}\n` : ''}`);
  return EXIT_STATUS[code];
}

/**
 * Ends without waiting for the threads that still wait for the keychain's prompt: by becoming a
 * shell that exits with the status, where Node can do that (22.15 and later, not on Windows).
 */
function endAtOnce(status: ExitStatus): void {
  const { execve } = process as { execve?: (file: string, args: string[], env: object) => never };
  try {
    if (typeof status === 'number') execve?.('/bin/sh', ['sh', '-c', `exit ${status}`], {});
  } catch {
    // There is no such shell.
  }
  process.kill(process.pid, 'SIGKILL');
}

async function exit(status: ExitStatus): Promise<never> {
  if (hasPendingCalls()) {
    process.on('SIGTERM', () => {}); // See abandonPendingCalls.
    if (!(await abandonPendingCalls())) endAtOnce(status);
  }
  if (typeof status === 'number') process.exit(status);
  process.removeAllListeners(status);
  process.kill(process.pid, status);
  process.exit(128 + constants.signals[status]); // Should the signal not end it.
}

run(process.argv.slice(2)).then(
  (status) => exit(status ?? 0),
  (thrown) => exit(report(thrown)),
);
