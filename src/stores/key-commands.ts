/** Commands that print keys, as a store: the keys stay in a password manager or a team's vault. */

import type { ChildProcess } from 'node:child_process';
import { basename, join } from 'node:path';
import { type Account, accountName, parseAccountName } from '../core/account.ts';
import { errnoOf, GlmTokenError, hasReason, type KeyCommandFault } from '../core/errors.ts';
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
    const { env, hasTerminal, onWaiting, promptTimeoutMs: timeoutMs } = this.#world;
    const program = programOf(words);
    const waiting = setTimeout(() => onWaiting(program), WAITING_AFTER_MS);
    try {
      const run = { account, env, timeoutMs, hasTerminal: hasTerminal(), tellsWhy };
      return parseKey(await firstLineOf(words, run));
    } catch (error) {
      if (!hasReason(error, 'keyInvalid')) throw error;
      const { fault } = error.params;
      throw new GlmTokenError('keyCommandPrintedNoKey', { account, program, fault }, error);
    } finally {
      clearTimeout(waiting);
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

interface RunOptions {
  /** Whose key it is, for messages. */
  readonly account: Account;
  readonly env: NodeJS.ProcessEnv;
  readonly timeoutMs: number;
  readonly hasTerminal: boolean;
  readonly tellsWhy: boolean;
}

/**
 * Runs a command to its end. Where no terminal can answer it, it gets none: a pinentry for the
 * terminal would draw over the Emacs that runs there, and take its keys.
 *
 * @returns the first line that it printed
 * @throws GlmTokenError when it failed, printed without an end, or did not end in time
 */
async function firstLineOf(
  [program, ...rest]: Words,
  { account, env, timeoutMs, hasTerminal, tellsWhy }: RunOptions,
): Promise<string> {
  const about = { account, program: basename(program) };
  const failure = (fault: KeyCommandFault, said?: string) =>
    new GlmTokenError('keyCommandFailed', { ...about, fault, hasTerminal, said });
  const notRun = (errno: string) =>
    new GlmTokenError('keyCommandNotRun', { account, given: about.program, errno });

  const { spawn } = await import('node:child_process'); // Loaded only when a command is run.
  const { GPG_TTY, ...others } = withoutKeys(env);
  // A session of its own has no terminal, and all ends that was started in it.
  const leadsSession = !hasTerminal && process.platform !== 'win32';
  const found = await findProgram(program, rest, {
    stdio: hasTerminal
      ? ['inherit', 'pipe', 'inherit']
      : ['ignore', 'pipe', tellsWhy ? 'pipe' : 'ignore'],
    env: hasTerminal ? { ...others, GPG_TTY } : others,
    detached: leadsSession,
    windowsHide: true,
  });
  if (!found) throw notRun('ENOENT');
  const child = spawn(found.command, found.args, found.options);
  const end = () => endCommand(child, leadsSession);
  process.once('exit', end);
  const line = new FirstLine();
  const error = new FirstLine();
  let limit: NodeJS.Timeout | undefined;
  try {
    return await new Promise<string>((resolve, reject) => {
      limit = setTimeout(() => {
        const seconds = timeoutMs / 1000;
        reject(new GlmTokenError('keyCommandUnanswered', { ...about, seconds }));
      }, timeoutMs);
      child.stdout?.on('data', (chunk: Buffer) => {
        line.take(chunk);
        if (line.bytes > MAX_OUTPUT_BYTES) reject(failure('endless'));
      });
      child.once('error', (error) => reject(notRun(errnoOf(error))));
      child.stderr?.on('data', (chunk: Buffer) => error.take(chunk));
      // What it leaves running may keep standard error, and 'close' waits for that.
      child.once('exit', () => setTimeout(() => child.stderr?.destroy(), ERROR_WITHIN_MS).unref());
      child.once('close', (status, signal) => {
        if (status === 0) return resolve(line.text);
        const said = error.text.trim();
        const shown = mayHoldKey(said) ? undefined : printable(said).slice(0, MAX_SAID_CHARACTERS);
        reject(failure({ status: signal ?? status ?? '' }, shown));
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

/** Ends a command that still runs, and what it started where that is in its session. */
function endCommand({ pid, exitCode, signalCode }: ChildProcess, leadsSession: boolean): void {
  if (pid === undefined || exitCode !== null || signalCode !== null) return;
  try {
    process.kill(leadsSession ? -pid : pid);
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
