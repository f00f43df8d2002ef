/** The edge: arguments in, exit status out; the one file that ends the process. */

import { realpathSync } from 'node:fs';
import { constants } from 'node:os';
import { basename, sep } from 'node:path';
import { readFully, readQuickly, wantsJson } from './cli/command-line.ts';
import { isPipeClosed, Refused, Terminal, writeAll } from './cli/terminal.ts';
import { print } from './commands/print.ts';
import type { Context, ExitStatus, Subcommand } from './commands/subcommand.ts';
import type { Account } from './core/account.ts';
import { asGlmTokenError, EXIT_STATUS } from './core/errors.ts';
import { type System, shellQuote } from './core/text.ts';
import type { AskHelper } from './daemon/client.ts';
import { english as englishFor, type Messages } from './messages/en.ts';
import {
  chooseLanguage,
  type DirectoryKind,
  type Language,
  languageNamed,
  languageProblem,
  ownDirectory,
  readSettings,
  type Settings,
} from './settings.ts';
import { findPaths } from './setup/paths.ts';
import { cureFor } from './stores/cure.ts';
import { isStuck } from './stores/keychain.ts';
import type { StoresWorld } from './stores/port.ts';
import { privateDirectory } from './stores/private-directory.ts';
import { openStores, type Stores } from './stores/registry.ts';

/** Set by the build from package.json. */
declare const GLM_TOKEN_VERSION: string;

/** What a program that SIGPIPE or SIGINT ended reports, as shells count it: 128 and the signal. */
const EXIT_SIGINT = 130;
const EXIT_SIGPIPE = 141;

/** Subcommands that are worth starting without yargs, which takes 30 ms to load. */
const QUICK: Readonly<Record<string, () => Promise<Subcommand>>> = {
  print: async () => print,
  daemon: async () => (await import('./commands/daemon.ts')).daemon,
};

const { env, platform, argv: processArguments } = process;
const argv = processArguments.slice(2);
const script = realpathSync(processArguments[1] ?? '');
const system: System = platform === 'win32' ? 'windows' : 'posix';
const program = programName(processArguments[1] ?? '');
const json = wantsJson(argv);
const english = englishFor(program, system);

/** JSON is the same in every language. */
const language = json ? 'en' : chooseLanguage(env, systemLocale());

/** What is said, and where; in English until the language is known. */
let messages = english;
let terminal = new Terminal({ messages, json });

/** The stores, once a command has asked for them. */
let stores: Stores | undefined;

/** The account in question, for the commands in hints. */
let about: Account | undefined;

/** The language of the system where that is not in the environment. */
function systemLocale(): string | undefined {
  const isElsewhere = platform === 'darwin' || platform === 'win32';
  return isElsewhere ? Intl.DateTimeFormat().resolvedOptions().locale : undefined;
}

async function messagesIn(wanted: Language): Promise<Messages> {
  if (wanted === 'en') return english;
  const { chinese } = await import('./messages/zh.ts');
  return chinese(program, system);
}

/** How a person calls this program, ready to paste: by its name where that is a command. */
function programName(invoked: string): string {
  const isCommand = basename(invoked) !== basename(script);
  const isInstalled = script.includes(`${sep}node_modules${sep}`);
  return isCommand || isInstalled ? 'glm-token' : `node ${shellQuote(script, system)}`;
}

/** The client of a helper; loaded when it is used. */
function helperAt(path: string, { promptTimeoutMs }: Settings): AskHelper {
  return async (method, params) => {
    const { helperClient } = await import('./daemon/client.ts');
    const ask = helperClient({
      path,
      uid: process.getuid?.(),
      locale: language,
      promptTimeoutMs,
      onWaiting: (program) => terminal.noteWaiting(program),
      askPassphrase: (question) => terminal.askPassphrase(question),
    });
    return ask(method, params);
  };
}

function makeContext(): Context {
  const settings: Settings = readSettings(env);
  const { now } = Date;
  const openDirectory = (kind: DirectoryKind) =>
    privateDirectory({
      ...ownDirectory(kind, env, platform),
      uid: process.getuid?.(),
      isRun: kind === 'config',
      onMended: (path, mode) => terminal.remark(messages.modeMended(path, mode)),
    });
  const world: Omit<StoresWorld, 'onWaiting' | 'lockAfterMs' | 'accounts'> = {
    ...settings,
    platform,
    env,
    directory: () => openDirectory('data'),
    configDirectory: () => openDirectory('config'),
    hasTerminal: () => false,
    askPassphrase: async () => undefined,
    now,
  };
  return {
    env,
    platform,
    settings,
    terminal,
    messages,
    messagesFor: (locale) => messagesIn(languageNamed(locale)),
    get paths() {
      return findPaths(processArguments[1] ?? '', env); // A getter, since a token needs none of them.
    },
    version: GLM_TOKEN_VERSION,
    now,
    get stores() {
      stores ??= openStores({
        ...world,
        hasTerminal: () => process.stdin.isTTY === true && process.stderr.isTTY === true,
        onWaiting: (program) => terminal.noteWaiting(program),
        askPassphrase: (question) => terminal.askPassphrase(question),
        lockAfterMs: Number.POSITIVE_INFINITY,
        accounts: undefined,
      });
      return stores;
    },
    askHelper: settings.socket === undefined ? undefined : helperAt(settings.socket, settings),
    helperStores: (options) => openStores({ ...world, ...options }),
    account: ({ host = settings.account.host, profile = settings.account.profile }) => {
      about = { host, profile };
      return about;
    },
  };
}

async function run(): Promise<ExitStatus | undefined> {
  if (language !== 'en') {
    messages = await messagesIn(language);
    terminal = new Terminal({ messages, json });
  }
  const problem = languageProblem(env);
  if (problem) terminal.remark(messages.describe(problem));
  const [word = '', ...rest] = argv;
  const command = Object.hasOwn(QUICK, word) ? await QUICK[word]?.() : undefined;
  const line = command && readQuickly(command, rest);
  if (command && line) return command.run(makeContext(), line.args, line.operands);

  const { COMMANDS } = await import('./commands/all.ts');
  if (word === 'completion' && rest[0] === '--offer') {
    const { answerScript } = await import('./cli/completion/offer.ts');
    writeAll(1, await answerScript(rest.slice(1), COMMANDS, messages, makeContext));
    return undefined;
  }
  const columns = Number(env.COLUMNS) || process.stdout.columns;
  const parsed = await readFully(argv, COMMANDS, messages, GLM_TOKEN_VERSION, columns);
  if (!('output' in parsed)) {
    return parsed.command.run(makeContext(), parsed.args, parsed.operands);
  }
  terminal.print(...parsed.output.split('\n'));
  return undefined;
}

/** The exit status for what a run threw, after telling the person. */
function report(thrown: unknown): number {
  if (thrown instanceof Refused) return EXIT_SIGINT;
  if (isPipeClosed(thrown)) return EXIT_SIGPIPE;
  const error = asGlmTokenError(thrown);
  const mayBeginFile = () => !env.GLM_TOKEN_STORE && stores?.inUse() === 'keychain';
  terminal.report(error, cureFor(error, { mayWrite: true, mayBeginFile }), about);
  return EXIT_STATUS[error.code];
}

/**
 * Ends without waiting for threads that still wait for a keychain's prompt: Node joins them before it
 * exits, and nothing can cancel them (measured, Node 20, libsecret 0.20). So the process becomes a
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

function exit(status: ExitStatus): never {
  if (isStuck()) endAtOnce(status);
  if (typeof status === 'number') process.exit(status);
  process.removeAllListeners(status);
  process.kill(process.pid, status);
  process.exit(128 + constants.signals[status]); // Should the signal not end it.
}

run().then(
  (status) => exit(status ?? 0),
  (thrown) => exit(report(thrown)),
);
