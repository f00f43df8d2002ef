/** The command line's grammar: one strict, quick reading of it, and yargs for everything else. */

import { parseArgs } from 'node:util';
import { type AnyCommand, type Args, type CommandName, optionsOf } from '../commands/command.ts';
import { GlmTokenError } from '../core/errors.ts';
import type { Messages } from '../messages/en.ts';

/** The arguments of a subcommand, understood. */
export interface Line {
  readonly args: Args;
  readonly operands: readonly string[];
}

/** Either a command to run, or text to print. */
export type Parsed = ({ readonly command: AnyCommand } & Line) | { readonly output: string };

/**
 * Whether a line asks for JSON, so that its failures are to be JSON too. The options of a command
 * that exec runs are no concern of ours.
 */
export function wantsJson(argv: readonly string[]): boolean {
  const end = argv.indexOf('--');
  const words = argv[0] === 'exec' ? [] : end < 0 ? argv : argv.slice(0, end);
  return words.some(
    (word, at) =>
      word === '--json' ||
      word === '--format=json' ||
      (word === '--format' && words[at + 1] === 'json'),
  );
}

/**
 * Reads the arguments of a known subcommand when nothing about them is in doubt.
 *
 * Returns `undefined` on any doubt (help, an unknown option, a missing value, a stray argument), and
 * then {@link readFully} decides: it knows more, and yargs takes 30 ms to load.
 */
export function readQuickly(command: AnyCommand, argv: readonly string[]): Line | undefined {
  const known = optionsOf(command);
  if (argv.includes('-')) return undefined; // parseArgs takes it as a value, yargs does not.
  try {
    const options = Object.fromEntries(
      Object.entries(known).map(([name, { type }]) => [name, { type }]),
    );
    const { values } = parseArgs({ args: [...argv], options, strict: true });
    const args = { ...values } as Args;
    const isValid = Object.entries(known).every(
      ([name, { choices }]) => args[name] === undefined || isChoice(args[name], choices),
    );
    return isValid ? { args, operands: [] } : undefined;
  } catch {
    return undefined;
  }
}

const isChoice = (value: unknown, choices: readonly string[] | undefined): boolean =>
  value !== '' && (choices === undefined || choices.includes(String(value)));

/** Width of help where neither a terminal nor COLUMNS says another, in columns. */
const HELP_COLUMNS = 80;

/** The options that every command has. */
const BUILT_IN: readonly string[] = ['--help', '-h', '--version', '-v'];

/** What people type for a command from the habit of other programs. */
const SYNONYMS: Readonly<Record<string, CommandName | '--version'>> = {
  init: 'setup',
  login: 'setup',
  signin: 'setup',
  auth: 'setup',
  start: 'setup',
  config: 'setup',
  configure: 'setup',
  add: 'store',
  save: 'store',
  set: 'store',
  put: 'store',
  import: 'store',
  key: 'store',
  get: 'print',
  show: 'print',
  token: 'print',
  sign: 'print',
  run: 'exec',
  env: 'exec',
  ls: 'list',
  keys: 'list',
  accounts: 'list',
  whoami: 'list',
  rm: 'delete',
  del: 'delete',
  remove: 'delete',
  unset: 'delete',
  forget: 'delete',
  logout: 'delete',
  mv: 'move',
  migrate: 'move',
  password: 'passphrase',
  decode: 'inspect',
  verify: 'inspect',
  check: 'doctor',
  status: 'doctor',
  test: 'doctor',
  diagnose: 'doctor',
  serve: 'daemon',
  version: '--version',
};

/**
 * Reads any line with the whole grammar, by yargs. What is said of a wrong line is ours, since yargs
 * repeats what was typed, which may be a key.
 *
 * @param argv the arguments after the program's name
 * @param columns the width of the terminal
 * @throws GlmTokenError `ERR_USAGE` when they make no sense
 */
export async function readFully(
  argv: readonly string[],
  commands: readonly AnyCommand[],
  messages: Messages,
  version: string,
  columns = HELP_COLUMNS,
): Promise<Parsed> {
  const line = argv[0] === 'help' ? [...argv.slice(argv[1] === 'help' ? 2 : 1), '--help'] : argv;
  const [word, ...rest] = line;
  const command = commands.find(({ name }) => name === word);
  if (!command && word !== undefined && !word.startsWith('-')) {
    throw new GlmTokenError('commandUnknown', {
      given: word,
      near: Object.hasOwn(SYNONYMS, word)
        ? SYNONYMS[word]
        : await near(word, [...commands.map(({ name }) => name), 'help']),
    });
  }
  const { options, operands } = command
    ? splitOperands(command, rest)
    : { options: line, operands: [] };
  if (command) await checkOptionNames(command, options, rest);
  const asked = builtInOf(options);
  if (asked === 'help') {
    const { helpOf, overview } = await import('./help.ts');
    return { output: command ? helpOf(command, messages, columns) : overview(messages, columns) };
  }
  if (asked === 'version') return { output: version };
  if (!command) {
    const later = line.find((word) => commands.some(({ name }) => name === word));
    throw new GlmTokenError('commandMissing', { command: later });
  }

  const values = await parse(command, options);
  const args = checkValues(command, values);
  const strays = (values._ as (string | number)[]).map(String);
  checkStrays(command, strays);
  return { command, args, operands: [...operands, ...strays] };
}

/** Which of the options that every command has are among some words. */
function builtInOf(words: readonly string[]): 'help' | 'version' | undefined {
  const end = words.indexOf('--');
  const options = end < 0 ? words : words.slice(0, end);
  const has = (...names: string[]) => names.some((name) => options.includes(name));
  if (has('--help', '-h')) return 'help';
  return has('--version', '-v') ? 'version' : undefined;
}

/** The nearest of the known words, if one is near enough for "did you mean". */
async function near(given: string, known: readonly string[]): Promise<string | undefined> {
  const { closestMatch } = await import('leven');
  const maxDistance = Math.min(3, Math.floor(given.length / 2));
  return closestMatch(given.slice(0, 40), [...known], { maxDistance });
}

async function nearOption(given: string, names: readonly string[]): Promise<string | undefined> {
  if (given === 'json' && names.includes('format')) return '--format json';
  const closest = await near(given, [...names, 'help', 'version']);
  return closest && `--${closest}`;
}

/**
 * Looked at before yargs, which trips over names such as `--toString` and `--_`.
 *
 * @param words those that may be options
 * @param line those and what follows them
 */
async function checkOptionNames(
  command: AnyCommand,
  words: readonly string[],
  line: readonly string[],
): Promise<void> {
  const known = optionsOf(command);
  const names = Object.keys(known);
  for (const [at, word] of words.entries()) {
    const [, option, name, value] = /^(--?([^=]*))(=.*)?$/s.exec(word) ?? [];
    if (word === '--') return;
    if (!option || !name) continue;
    // With one dash, yargs takes `-host` for four flags, and the default host would be used.
    const isKnown = option === `--${name}` && names.includes(name);
    const isFlag = BUILT_IN.includes(option) || (isKnown && known[name]?.type === 'boolean');
    if (isFlag && value !== undefined) {
      throw new GlmTokenError('optionValueUnexpected', { command: command.name, option: name });
    }
    if (isFlag || isKnown) continue;
    const before = words[at - 1]?.slice(2) ?? '';
    if (names.includes(before) && known[before]?.type === 'string') {
      throw new GlmTokenError('optionValueMissing', { command: command.name, option: before });
    }
    throw new GlmTokenError('optionUnknown', {
      command: command.name,
      given: word.replace(/=.*/s, ''),
      value: value?.slice(1) ?? line[at + 1] ?? '',
      near: await nearOption(name, names),
    });
  }
}

/** What yargs read; `_` has the words that belong to no option. */
type Values = Readonly<Record<string, unknown>>;

async function parse(command: AnyCommand, argv: readonly string[]): Promise<Values> {
  const { default: yargs } = await import('yargs');
  const parser = yargs()
    .locale('en')
    .help(false)
    .version(false)
    .exitProcess(false)
    .showHelpOnFail(false)
    .parserConfiguration({
      'boolean-negation': false,
      'camel-case-expansion': false,
      'dot-notation': false,
      'duplicate-arguments-array': false,
      'parse-numbers': false,
      'parse-positional-numbers': false,
    });
  for (const [option, { type }] of Object.entries(optionsOf(command))) {
    parser.option(option, { type });
  }
  return new Promise((resolve) => {
    // What yargs finds wrong is found again by the checks here, in words of ours.
    parser.parse([...argv], {}, (_error, values) => resolve(values as Values));
  });
}

function checkValues(command: AnyCommand, values: Values): Args {
  const args: Record<string, string | boolean> = {};
  for (const [option, known] of Object.entries(optionsOf(command))) {
    const { type, choices, isValueOptional = false } = known;
    const value = values[option];
    if (value === undefined) continue;
    const isEmpty = value === '' && !isValueOptional;
    if (type === 'string' && (typeof value !== 'string' || isEmpty)) {
      throw new GlmTokenError('optionValueMissing', { command: command.name, option });
    }
    if (type === 'boolean' && typeof value !== 'boolean') {
      throw new GlmTokenError('optionValueUnexpected', { command: command.name, option });
    }
    if (choices && !isChoice(value, choices)) {
      throw new GlmTokenError('optionNotAChoice', { option, given: String(value), choices });
    }
    args[option] = value as string | boolean;
  }
  return args;
}

function checkStrays({ name, operands }: AnyCommand, strays: readonly string[]): void {
  const choices = operands?.words;
  if (operands && !choices) return;
  const stray = strays.find((word, at) => at > 0 || !choices?.includes(word));
  if (stray === undefined) return;
  if (!choices) throw new GlmTokenError('argumentUnexpected', { command: name, given: stray });
  throw new GlmTokenError('argumentNotAChoice', { command: name, given: stray, choices });
}

interface Split {
  readonly options: readonly string[];
  readonly operands: readonly string[];
  /** Whether no more options can follow. */
  readonly hasEnded: boolean;
}

/**
 * For a command that takes another one: its own options, and the rest, which is left as it is. For
 * others all of the line may be options.
 */
export function splitOperands(command: AnyCommand, argv: readonly string[]): Split {
  if (!command.operands?.verbatim) {
    return { options: argv, operands: [], hasEnded: argv.includes('--') };
  }
  let end = 0;
  for (let word = argv[end]; word?.startsWith('-') && word !== '--'; word = argv[end]) {
    const takesNext = optionsOf(command)[word.slice(2)]?.type === 'string';
    end += takesNext ? 2 : 1;
  }
  return {
    options: argv.slice(0, end),
    operands: argv.slice(argv[end] === '--' ? end + 1 : end),
    hasEnded: end < argv.length,
  };
}
