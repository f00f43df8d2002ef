/** The command line's grammar: yargs reads it, and a few functions beside it what yargs cannot. */

import { parseArgs } from 'node:util';
import { closestMatch } from 'leven';
import type { Args, Option, Subcommand } from '../commands/subcommand.ts';
import { GlmTokenError, hasReason } from '../core/errors.ts';
import type { Messages } from '../messages/en.ts';

/** The arguments of a subcommand, understood. */
export interface Line {
  readonly args: Args;
  readonly operands: readonly string[];
}

/** Either a subcommand to run, or text to print. */
export type Parsed = ({ readonly command: Subcommand } & Line) | { readonly output: string };

/** What was read, before it is understood; `_` has the words that belong to no option. */
type Values = Readonly<Record<string, unknown>> & { readonly _: readonly unknown[] };

/**
 * Whether a line asks for JSON, so that its failures are to be JSON too. The options of a program
 * that exec runs are no concern of ours.
 */
export function wantsJson(argv: readonly string[]): boolean {
  const words = argv[0] === 'exec' ? [] : argv.slice(0, endOf(argv));
  return words.some(
    (word, at) =>
      word === '--json' ||
      word === '--format=json' ||
      (word === '--format' && words[at + 1] === 'json'),
  );
}

/**
 * The short way past yargs, which takes 30 ms to load: reads the arguments of a known subcommand when
 * nothing about them is in doubt.
 *
 * Returns `undefined` on any doubt (help, an unknown option, a missing value, a stray argument), and
 * then {@link readFully} decides.
 */
export function readQuickly(command: Subcommand, argv: readonly string[]): Line | undefined {
  const { options } = command;
  try {
    const types = Object.entries(options).map(([name, { type }]) => [name, { type }] as const);
    const { values } = parseArgs({ args: [...argv], options: Object.fromEntries(types) });
    const isChoice = ([name, value]: [string, unknown]) =>
      isAllowed(options[name]?.choices ?? [], value);
    if (!Object.entries(values).every(isChoice)) return undefined;
    return { args: understand(command, values), operands: [] };
  } catch {
    return undefined;
  }
}

/** Width of help where neither a terminal nor COLUMNS says another, in columns. */
const HELP_COLUMNS = 80;

/**
 * Reads any line.
 *
 * @param argv the arguments after the program's name
 * @param columns the width of the terminal
 * @throws GlmTokenError `ERR_USAGE` when they make no sense
 */
export async function readFully(
  argv: readonly string[],
  commands: readonly Subcommand[],
  messages: Messages,
  version: string,
  columns = HELP_COLUMNS,
): Promise<Parsed> {
  const line = argv[0] === 'help' ? [...argv.slice(argv[1] === 'help' ? 2 : 1), '--help'] : argv;
  const [word, ...rest] = line;
  const command = commands.find(({ name }) => name === word);
  if (!command && word !== undefined && !word.startsWith('-')) {
    const near = nearest(word, [...commands.map(({ name }) => name), 'help']);
    throw new GlmTokenError('commandUnknown', { given: word, near });
  }
  const { options, operands } = command
    ? splitOperands(command, rest)
    : { options: line, operands: [] };
  const { values, mistake } = await readByYargs(command, options, rest);
  if (hasReason(mistake, 'optionValueUnexpected')) throw mistake; // Of --help itself, perhaps.
  if (values.help === true) {
    const { helpOf, overview } = await import('./help.ts');
    return { output: command ? helpOf(command, messages, columns) : overview(messages, columns) };
  }
  if (values.version === true) return { output: version };
  if (!command) {
    const later = line.find((one) => commands.some(({ name }) => name === one));
    throw new GlmTokenError('commandMissing', { command: later });
  }
  if (mistake) throw mistake;
  const words = values._.map(String);
  const stray = strayIn(command, words);
  if (stray) throw stray;
  return { command, args: understand(command, values), operands: [...operands, ...words] };
}

/** What yargs says of a mistake, as the failure that it is; the first of all words is its reason. */
const FAILURE_NAMES = {
  'Unknown argument: %s': { one: 'optionUnknown', other: 'optionUnknown' },
  'Not enough arguments following: %s': 'optionValueMissing %s',
  'Argument unexpected for: %s': 'optionValueUnexpected %s',
  'Invalid values:': 'optionNotAChoice',
  'Argument: %s, Given: %s, Choices: %s': '%s',
};

/** The options that every subcommand has. */
const BUILT_IN = {
  help: { type: 'boolean', alias: 'h', nargs: 0 },
  version: { type: 'boolean', alias: 'v', nargs: 0 },
} as const;

interface Read {
  readonly values: Values;
  readonly mistake: GlmTokenError | undefined;
}

/**
 * @param words those that may be options
 * @param line those, and what follows them
 */
async function readByYargs(
  command: Subcommand | undefined,
  words: readonly string[],
  line: readonly string[],
): Promise<Read> {
  const odd = words.slice(0, endOf(words)).find(isOdd);
  if (odd !== undefined) {
    return { values: { _: [] }, mistake: command && optionUnknown(command, odd, line) };
  }
  const { default: yargs } = await import('yargs');
  const parser = yargs()
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
      'short-option-groups': false,
    })
    .locale('en')
    .updateStrings(FAILURE_NAMES as unknown as Record<string, string>)
    .strict()
    .demandCommand(0, Number.POSITIVE_INFINITY)
    .options(BUILT_IN);
  for (const [name, known] of Object.entries(command?.options ?? {})) {
    const { type, choices } = known;
    const takes = type === 'boolean' ? { nargs: 0 } : { requiresArg: !mayBeEmpty(known) };
    parser.option(name, { type, ...takes, ...(choices.length > 0 && { choices }) });
  }
  return new Promise((resolve) => {
    parser.parse([...words], {}, (error, read) => {
      const values = read as Values;
      const mistake = error && command && failureOf(error.message, command, values, line);
      resolve({ values, mistake: mistake || undefined });
    });
  });
}

/** @param said by yargs, as {@link FAILURE_NAMES} has it */
function failureOf(
  said: string,
  command: Subcommand,
  values: Values,
  line: readonly string[],
): GlmTokenError {
  const { name, options } = command;
  const [reason, option = ''] = said.split(/\s+/);
  if (reason === 'optionUnknown') {
    const known = ['_', '$0', 'h', 'v', ...Object.keys({ ...BUILT_IN, ...options })];
    const unknown = Object.keys(values).find((one) => !known.includes(one));
    const word = line.find((one) => nameIn(one) === unknown) ?? `--${unknown}`;
    return optionUnknown(command, word, line);
  }
  const [given, choices = []] = [String(values[option]), options[option]?.choices];
  return new GlmTokenError(reason as 'optionNotAChoice', { command: name, option, given, choices });
}

/** That a word of a line would be an option which its subcommand has not. */
function optionUnknown(
  { name: command, options }: Subcommand,
  word: string,
  line: readonly string[],
): GlmTokenError {
  const name = nameIn(word) ?? '';
  const [given = '', ...assigned] = word.split('=');
  const value = assigned.join('=') || (line[line.indexOf(word) + 1] ?? '');
  const names = Object.keys(options);
  const isFormat = name === 'json' && names.includes('format');
  const closest = isFormat ? 'format json' : nearest(name, [...names, ...Object.keys(BUILT_IN)]);
  const near = closest && `--${closest}`;
  return new GlmTokenError('optionUnknown', { command, given, value, near });
}

/** The nearest of the known words, if one is near enough for "did you mean". */
function nearest(given: string, known: readonly string[]): string | undefined {
  const maxDistance = Math.min(3, Math.floor(given.length / 2));
  return closestMatch(given.slice(0, 40), [...known], { maxDistance });
}

/**
 * Whether yargs would take a word for another option than it is: with one dash it is known without the
 * other, and yargs keeps options in objects that have members of these names.
 */
function isOdd(word: string): boolean {
  const name = nameIn(word);
  if (!name || word === '-h' || word === '-v') return false;
  return !word.startsWith(`--${name}`) || name === '_' || name === '$0' || name in Object.prototype;
}

const mayBeEmpty = ({ value }: Option): boolean => value.startsWith('[');

const isAllowed = (choices: readonly string[], value: unknown): boolean =>
  choices.length === 0 || choices.includes(String(value));

/** The name of the option that a word would be. */
const nameIn = (word: string): string | undefined => /^-+([^=]*)/.exec(word)?.[1];

/** Where the words that may be options end. */
const endOf = (words: readonly string[]): number => {
  const end = words.indexOf('--');
  return end < 0 ? words.length : end;
};

/** The first argument that a subcommand does not take. */
function strayIn(
  { name: command, operands }: Subcommand,
  words: readonly string[],
): GlmTokenError | undefined {
  const choices = operands.takes;
  if (typeof choices === 'string') return undefined;
  const given = words.find((word, at) => at > 0 || !choices.includes(word));
  if (given === undefined) return undefined;
  if (choices.length === 0) return new GlmTokenError('argumentUnexpected', { command, given });
  return new GlmTokenError('argumentNotAChoice', { command, given, choices });
}

/**
 * The arguments in what was read: with defaults, and with their meaning.
 *
 * @throws GlmTokenError `ERR_USAGE` when a value is missing, or means nothing
 */
function understand(
  { name: command, options }: Subcommand,
  values: Readonly<Record<string, unknown>>,
): Args {
  const meaning = ([option, known]: [string, Option]): unknown => {
    const value = values[option] ?? known.default;
    if (known.type === 'boolean') return value === true;
    const isMissing = value === undefined ? known.isRequired : value === '' && !mayBeEmpty(known);
    if (isMissing) throw new GlmTokenError('optionValueMissing', { command, option });
    return value === undefined ? undefined : known.parse(String(value));
  };
  return Object.fromEntries(Object.entries(options).map((one) => [one[0], meaning(one)]));
}

interface Split {
  readonly options: readonly string[];
  readonly operands: readonly string[];
  /** Whether no more options can follow. */
  readonly hasEnded: boolean;
}

/**
 * For a subcommand that takes a program and its arguments: its own options, and the rest, which is
 * left as it is. For others all of the line may be options.
 */
export function splitOperands(command: Subcommand, argv: readonly string[]): Split {
  if (command.operands.takes !== 'program') {
    return { options: argv, operands: [], hasEnded: argv.includes('--') };
  }
  let end = 0;
  for (let word = argv[end]; word?.startsWith('-') && word !== '--'; word = argv[end]) {
    const takesNext = command.options[word.slice(2)]?.type === 'string';
    end += takesNext ? 2 : 1;
  }
  return {
    options: argv.slice(0, end),
    operands: argv.slice(argv[end] === '--' ? end + 1 : end),
    hasEnded: end < argv.length,
  };
}
