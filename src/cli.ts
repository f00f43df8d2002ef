/** The program: the only file that touches the process, its streams, arguments and exit status. */

import { realpathSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Args, Command, Context } from './commands/command.ts';
import { parseQuickly } from './commands/grammar.ts';
import { print } from './commands/print.ts';
import { parseAccount } from './core/account.ts';
import { asGlmTokenError, EXIT_STATUS, GlmTokenError } from './core/errors.ts';
import { abandonPendingCalls, hasPendingCalls } from './stores/keychain.ts';
import { defaultAccount, openStores, type Stores } from './stores/stores.ts';

/** Set by the build from package.json. */
declare const GLM_TOKEN_VERSION: string;

/** What a program that SIGPIPE or SIGINT ended reports, as shells count it: 128 and the signal. */
const EXIT_SIGINT = 130;
const EXIT_SIGPIPE = 141;

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
  return {
    env,
    platform,
    paths: { node: process.execPath, script, root: dirname(dirname(script)) },
    version: GLM_TOKEN_VERSION,
    now: Date.now,
    get interactive() {
      return process.stdin.isTTY === true; // A getter, since the stream costs 3 ms to make.
    },
    stores: () => {
      stores ??= openStores({ env, platform, onWaiting: () => onWaiting() });
      return stores;
    },
    onWaiting: (callback) => {
      onWaiting = callback;
    },
    get stdio() {
      return { pid: process.pid, input: process.stdin, output: process.stdout };
    },
    untilSignal: () =>
      new Promise((resolve) => {
        for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const)
          process.once(signal, () => resolve());
      }),
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

async function ask(question: string, { secret = false } = {}): Promise<string> {
  const { read } = await import('read');
  const { stdin: input, stderr: output } = process;
  try {
    return await read({ prompt: question, silent: secret, input, output, terminal: true });
  } catch (error) {
    throw (error as Error).message === 'canceled' ? new Canceled() : error;
  } finally {
    if (secret) output.write('\n');
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

async function run(argv: readonly string[]): Promise<void> {
  const [word = '', ...rest] = argv;
  const command = await QUICK[word]?.();
  const args = command && parseQuickly(command, rest);
  if (command && args) return command.run(makeContext(), args);

  const { parseFully } = await import('./commands/parse-fully.ts');
  const parsed = await parseFully(argv, GLM_TOKEN_VERSION);
  if ('output' in parsed) return writeAll(1, `${parsed.output}\n`);
  return parsed.command.run(makeContext(), parsed.args);
}

/** The exit status for what a run threw, after telling the person. */
function report(thrown: unknown): number {
  if (thrown instanceof Canceled) return EXIT_SIGINT;
  if ((thrown as NodeJS.ErrnoException)?.code === 'EPIPE') return EXIT_SIGPIPE;
  const { code, message, hint } = asGlmTokenError(thrown);
  writeAll(2, `glm-token: ${message}\n${hint ? `hint: ${hint}\n` : ''}`);
  return EXIT_STATUS[code];
}

async function exit(status: number): Promise<never> {
  if (hasPendingCalls()) {
    process.on('SIGTERM', () => {}); // See abandonPendingCalls.
    if (!(await abandonPendingCalls())) process.kill(process.pid, 'SIGKILL');
  }
  process.exit(status);
}

run(process.argv.slice(2)).then(
  () => exit(0),
  (thrown) => exit(report(thrown)),
);
