/** Commands that print keys, as a store: the keys stay in a password manager or a team's vault. */

import type { ChildProcess } from 'node:child_process';
import { basename, join } from 'node:path';
import { type Account, accountName, parseAccountName } from '../core/account.ts';
import { GlmTokenError, type KeyCommandFault } from '../core/errors.ts';
import { type ApiKey, formatKey, MAX_KEY_BYTES, parseKey, tryParseKey } from '../core/key.ts';
import { mayBeKey, mayHoldKey, printable } from '../core/text.ts';
import { withoutKeys } from './environment.ts';
import { Held } from './held.ts';
import type { ReadOptions, Store, StoredAccount, StoresWorld } from './port.ts';
import type { PrivateDirectory } from './private-directory.ts';
import { findProgram } from './program.ts';

/** A program and its arguments, run as they are, without a shell. */
export type Words = readonly [program: string, ...rest: string[]];

type CommandWorld = Pick<
  StoresWorld,
  | 'configDirectory'
  | 'env'
  | 'promptTimeoutMs'
  | 'hasTerminal'
  | 'onWaiting'
  | 'lockAfterMs'
  | 'now'
>;

/** Name of the file in the user's directory for settings of ours. */
const COMMAND_FILE = 'commands.json';

/** A command that prints more than this is ended, in bytes; an entry of a password manager is smaller. */
const MAX_OUTPUT_BYTES = 1 << 20;

/** How much of what a command said on standard error is shown, in characters. */
const MAX_SAID_CHARACTERS = 200;

/** How long that is waited for once the command has ended, in milliseconds. */
const ERROR_WITHIN_MS = 100;

/** A command that takes longer seems to wait for a person: password managers take a second or so. */
const WAITING_AFTER_MS = 1500;

/** Commands by the names of their accounts. */
type Commands = ReadonlyMap<string, Words>;

export class KeyCommandStore implements Store {
  readonly name = 'command';
  readonly place: string;
  readonly #world: CommandWorld;
  readonly #directory: PrivateDirectory;
  /** What was printed, by the words that printed it. */
  readonly #held: Held<Map<string, string>>;

  constructor(world: CommandWorld) {
    this.#world = world;
    this.#directory = world.configDirectory();
    this.place = join(this.#directory.path, COMMAND_FILE);
    this.#held = new Held(world, {
      clear: (keys) => keys.clear(),
      onIdle: () => this.#held.forget(),
    });
  }

  /** The command of an account, if it has one; nothing is run. */
  commandOf(account: Account): Words | undefined {
    return this.#read().get(accountName(account));
  }

  async get(account: Account, options: ReadOptions = {}): Promise<string | undefined> {
    const words = this.commandOf(account);
    if (!words) return undefined;
    this.#held.forgetIfIdle();
    const name = JSON.stringify(words);
    const keys = this.#held.value ?? this.#held.keep(new Map());
    const held = keys.get(name);
    if (held === undefined && options.mayAsk === false) {
      throw new GlmTokenError('keyCommandRunsLater', { account, program: programOf(words) });
    }
    const text = held ?? formatKey(await this.#run(account, words, options));
    // What a command prints after it was told to forget is not held.
    if (keys === this.#held.value) this.#held.keep(keys.set(name, text));
    return text;
  }

  /**
   * Keeps a command for an account, once a run of it has printed a key.
   *
   * @throws GlmTokenError what {@link get} throws, or `ERR_USAGE` when the words hold the key
   */
  async setCommand(account: Account, words: Words): Promise<ApiKey> {
    if (isKey(programOf(words))) throw new GlmTokenError('keyInCommand');
    const key = await this.#run(account, words);
    const holdsKey = words.some((word) => word.includes(formatKey(key)) || word === key.secret);
    if (holdsKey) throw new GlmTokenError('keyInCommand');
    this.#change((commands) => commands.set(accountName(account), words));
    return key;
  }

  async delete(account: Account): Promise<boolean> {
    if (!this.commandOf(account)) return false;
    this.#change((commands) => commands.delete(accountName(account)));
    return true;
  }

  /** Looks only: nothing is run, so no ids are known. */
  async list(): Promise<StoredAccount[]> {
    return [...this.#read()].flatMap(([name, words]) => {
      const account = parseAccountName(name);
      return account ? [{ account, id: undefined, program: programOf(words) }] : [];
    });
  }

  /** Forgets the keys that it holds. */
  async forget(): Promise<void> {
    this.#held.forget();
  }

  #read(): Commands {
    const text = this.#directory.read(COMMAND_FILE);
    return text === undefined ? new Map() : parseCommands(text, this.place);
  }

  /** Two writers at once are one person in two terminals: the last one counts. */
  #change(edit: (commands: Map<string, Words>) => void): void {
    this.#directory.make();
    const commands = new Map(this.#read());
    edit(commands);
    if (commands.size === 0) {
      this.#directory.remove(COMMAND_FILE);
    } else {
      const content = { commands: Object.fromEntries(commands) };
      this.#directory.write(COMMAND_FILE, `${JSON.stringify(content, null, 2)}\n`);
    }
    this.#held.forget();
  }

  /** The key that a command prints on the first line of its output. */
  async #run(
    account: Account,
    words: Words,
    { tellsWhy = false }: ReadOptions = {},
  ): Promise<ApiKey> {
    const { env, onWaiting, promptTimeoutMs: timeoutMs } = this.#world;
    const hasTerminal = this.#world.hasTerminal();
    const program = programOf(words);
    const waiting = setTimeout(() => onWaiting(program), WAITING_AFTER_MS);
    const ended = await runCommand(words, { env, timeoutMs, hasTerminal, tellsWhy }).finally(() =>
      clearTimeout(waiting),
    );
    if (ended === 'late') {
      const seconds = timeoutMs / 1000;
      throw new GlmTokenError('keyCommandUnanswered', { account, program, seconds });
    }
    if ('fault' in ended) {
      const { fault, said } = ended;
      if (typeof fault === 'string' || 'status' in fault) {
        throw new GlmTokenError('keyCommandFailed', { account, program, fault, hasTerminal, said });
      }
      const { errno } = fault;
      throw new GlmTokenError('keyCommandNotRun', { account, given: program, errno });
    }
    try {
      return parseKey(ended.line);
    } catch (error) {
      const { fault } = (error as GlmTokenError<'keyInvalid'>).params;
      throw new GlmTokenError('keyCommandPrintedNoKey', { account, program, fault }, error);
    }
  }
}

/** Whether a key was given as the program; of `show.sh`, what would be the secret is too short. */
function isKey(program: string): boolean {
  const key = tryParseKey(program);
  return key !== undefined && mayBeKey(key.secret);
}

/** The name of a command's program. */
export const programOf = ([program]: Words): string => basename(program);

function parseCommands(text: string, path: string): Commands {
  try {
    const entries = Object.entries(JSON.parse(text).commands);
    if (entries.every((entry): entry is [string, Words] => isWords(entry[1]))) {
      return new Map(entries);
    }
  } catch {
    // It is no JSON.
  }
  throw new GlmTokenError('commandFileDamaged', { path });
}

export const isWords = (value: unknown): value is Words =>
  Array.isArray(value) && value.length > 0 && value.every((word) => typeof word === 'string');

/** How a run ended: the first line that it printed, why that is of no use, or too late. */
type Ended =
  | { readonly line: string }
  | {
      readonly fault: KeyCommandFault | { readonly errno: string };
      readonly said?: string | undefined;
    }
  | 'late';

interface RunOptions {
  readonly env: NodeJS.ProcessEnv;
  readonly timeoutMs: number;
  readonly hasTerminal: boolean;
  readonly tellsWhy: boolean;
}

/**
 * Runs a command to its end. Where no terminal can answer it, it gets none: a pinentry for the
 * terminal would draw over the Emacs that runs there, and take its keys.
 */
async function runCommand(
  [program, ...rest]: Words,
  { env, timeoutMs, hasTerminal, tellsWhy }: RunOptions,
): Promise<Ended> {
  const { spawn } = await import('node:child_process'); // Loaded only when a command is run.
  const { GPG_TTY, ...others } = withoutKeys(env);
  const found = await findProgram(program, rest, {
    stdio: hasTerminal
      ? ['inherit', 'pipe', 'inherit']
      : ['ignore', 'pipe', tellsWhy ? 'pipe' : 'ignore'],
    env: hasTerminal ? { ...others, GPG_TTY } : others,
    detached: hasGroup(hasTerminal),
    windowsHide: true,
  });
  if (!found) return { fault: { errno: 'ENOENT' } };
  const child = spawn(found.command, found.args, found.options);
  const end = () => endCommand(child, hasTerminal);
  process.once('exit', end);
  const line = new FirstLine();
  const error = new FirstLine();
  let limit: NodeJS.Timeout | undefined;
  try {
    return await new Promise<Ended>((resolve) => {
      limit = setTimeout(resolve, timeoutMs, 'late');
      child.stdout?.on('data', (chunk: Buffer) => {
        line.take(chunk);
        if (line.bytes > MAX_OUTPUT_BYTES) resolve({ fault: 'endless' });
      });
      child.once('error', ({ code = '' }: NodeJS.ErrnoException) => {
        resolve({ fault: { errno: code } });
      });
      child.stderr?.on('data', (chunk: Buffer) => error.take(chunk));
      // What it leaves running may keep standard error, and 'close' waits for that.
      child.once('exit', () => setTimeout(() => child.stderr?.destroy(), ERROR_WITHIN_MS).unref());
      child.once('close', (status, signal) => {
        if (status === 0) resolve({ line: line.text });
        const said = error.text.trim();
        resolve({
          fault: { status: signal ?? status ?? '' },
          said: mayHoldKey(said) ? undefined : printable(said).slice(0, MAX_SAID_CHARACTERS),
        });
      });
    });
  } finally {
    clearTimeout(limit);
    process.removeListener('exit', end);
    end();
    child.stdout?.destroy();
    child.stderr?.destroy();
    line.clear();
    error.clear();
  }
}

/** Whether a command leads a session of its own, which has no terminal, and all ends that it started. */
const hasGroup = (hasTerminal: boolean): boolean => !hasTerminal && process.platform !== 'win32';

/** Ends a command that still runs, and what it started where that is in its session. */
function endCommand({ pid, exitCode, signalCode }: ChildProcess, hasTerminal: boolean): void {
  if (pid === undefined || exitCode !== null || signalCode !== null) return;
  try {
    process.kill(hasGroup(hasTerminal) ? -pid : pid);
  } catch {
    // It has just ended.
  }
}

/** The first line of some output, of which no more is kept than a key can have. */
class FirstLine {
  readonly #buffer = Buffer.alloc(MAX_KEY_BYTES);
  #length = 0;
  #isComplete = false;
  bytes = 0;

  take(chunk: Buffer): void {
    this.bytes += chunk.length;
    if (!this.#isComplete) {
      const end = chunk.indexOf('\n');
      this.#length += chunk.copy(this.#buffer, this.#length, 0, end < 0 ? chunk.length : end);
      this.#isComplete = end >= 0;
    }
    chunk.fill(0);
  }

  get text(): string {
    return this.#buffer.toString('utf8', 0, this.#length);
  }

  clear(): void {
    this.#buffer.fill(0);
  }
}
