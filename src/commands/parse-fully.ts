/** The whole grammar, by yargs: help, completion, and what to say of a line that is off. */

import { closestMatch } from 'leven';
import yargs from 'yargs';
import { quote } from '../core/account.ts';
import { GlmTokenError } from '../core/errors.ts';
import type { Command } from './command.ts';
import { isChoice, type Line } from './grammar.ts';
import { COMMANDS } from './index.ts';

/** Either a command to run, or text to print and be done. */
export type Parsed = ({ command: Command } & Line) | { output: string };

/** How the completion script asks for words to offer. */
const COMPLETE = '--get-yargs-completions';

/** Widest help text, in columns. */
const HELP_COLUMNS = 80;

const EPILOGUE = [
  'Options everywhere: --host HOST and --profile NAME, or GLM_TOKEN_HOST and',
  'GLM_TOKEN_PROFILE, name the account. GLM_API_KEY holds a key for CI.',
].join('\n');

/**
 * @param argv the arguments after the program's name
 * @throws GlmTokenError `ERR_USAGE` when they make no sense
 */
export async function parseFully(argv: readonly string[], version: string): Promise<Parsed> {
  const words = [...COMMANDS.map(({ name }) => name), 'completion'];
  if (argv[0] === COMPLETE) return { output: complete(argv.slice(2), words).join('\n') };
  const parser = yargs()
    .scriptName('glm-token')
    .usage(
      'Usage: $0 COMMAND [OPTIONS]\n\nFresh short-lived tokens for the GLM API, from a key in the OS keychain.',
    )
    .locale('en')
    .wrap(HELP_COLUMNS)
    .version(version)
    .help()
    .example('glm-token setup', 'start here')
    .example('glm-token store --host api.z.ai', 'save a key for the host abroad')
    .example('glm-token print', 'see a token')
    .epilogue(EPILOGUE)
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
  for (const { name, summary, options, operands, examples = [] } of COMMANDS) {
    parser.command(name, summary, (sub) => {
      const usage = operands?.verbatim
        ? `[OPTIONS] ${operands.usage}`
        : `${operands ? `${operands.usage} ` : ''}[OPTIONS]`;
      const sentence = `${summary.charAt(0).toUpperCase()}${summary.slice(1)}.`;
      sub.usage(`Usage: $0 ${name} ${usage}\n\n${sentence}`).epilogue('');
      for (const [option, { type, describe, choices, value }] of Object.entries(options)) {
        const shown = value ? `${value}: ${describe}` : describe;
        sub.option(option, {
          type,
          describe: shown,
          requiresArg: type === 'string',
          ...(choices ? { choices } : {}),
        });
      }
      return examples.reduce((built, [line, meaning]) => built.example(line, meaning), sub);
    });
  }

  parser.completion('completion', 'print a completion script for bash or zsh');

  const line = splitOperands(
    COMMANDS.find(({ name }) => name === argv[0]),
    argv.slice(1),
  );

  type Outcome = { parsed: Record<string, unknown>; error: Error | undefined; output: string };
  const { parsed, error, output } = await new Promise<Outcome>((resolve) => {
    parser.parse([...argv.slice(0, 1), ...line.options], {}, (error, parsed, output) =>
      resolve({ parsed: parsed as Record<string, unknown>, error: error ?? undefined, output }),
    );
  });
  if (output && !error) return { output };

  const [word, ...strays] = (parsed._ as (string | number)[]).map(String);
  if (word === undefined) throw usage('no command was given', 'see: glm-token --help');
  const command = COMMANDS.find(({ name }) => name === word);
  if (!command) {
    throw unknown('command', word, words, 'see: glm-token --help');
  }
  const help = `see: glm-token ${command.name} --help`;
  const args: Record<string, string | boolean> = {};
  for (const [name, value] of Object.entries(parsed)) {
    if (name === '_' || name === '$0' || name === 'help' || name === 'version') continue;
    const option = command.options[name];
    if (!option) {
      const names = Object.keys(command.options).map((known) => `--${known}`);
      throw unknown('option', name.length === 1 ? `-${name}` : `--${name}`, names, help);
    }
    if (value === undefined) continue;
    if (option.type === 'string' && (typeof value !== 'string' || value === '')) {
      throw usage(`--${name} needs a value`, help);
    }
    if (!isChoice(value, option.choices)) {
      throw usage(
        `--${name} cannot be ${quote(String(value))}`,
        `write one of: ${option.choices?.join(', ')}`,
      );
    }
    args[name] = value as string | boolean;
  }
  const known = command.operands?.words;
  if (!error && command.operands && (!known || strays.every((stray) => known.includes(stray)))) {
    return { command, args, operands: [...line.operands, ...strays] };
  }
  if (strays[0] !== undefined) {
    // Not repeated: it may be a key, from someone who did not expect to be asked for one.
    throw usage(
      `glm-token ${command.name} takes no arguments, and a key is never one`,
      strays[0].includes('.') ? 'if that was a key: it is in your shell history now' : help,
    );
  }
  if (error) throw usage(error.message.replace(/\.$/, ''), help);
  return { command, args, operands: [] };
}

/**
 * For a command that takes another one: its own options, and the rest, which is left as it is. For
 * others all of the line may be options.
 */
function splitOperands(
  command: Command | undefined,
  argv: readonly string[],
): { options: readonly string[]; operands: readonly string[] } {
  if (!command?.operands?.verbatim) return { options: argv, operands: [] };
  let end = 0;
  for (let word = argv[end]; word?.startsWith('-') && word !== '--'; word = argv[end]) {
    const takesNext = command.options[word.slice(2)]?.type === 'string';
    end += takesNext ? 2 : 1;
  }
  return {
    options: argv.slice(0, end),
    operands: argv.slice(argv[end] === '--' ? end + 1 : end),
  };
}

/** What can stand in place of the last word of a line. yargs itself offers no command's options. */
function complete(line: readonly string[], words: readonly string[]): readonly string[] {
  const command = COMMANDS.find(({ name }) => name === line[0]);
  if (!command || line.length < 2) return words;
  const previous = line.at(-2)?.replace(/^--/, '') ?? '';
  return (
    command.options[previous]?.choices ?? Object.keys(command.options).map((name) => `--${name}`)
  );
}

const usage = (message: string, hint: string) => new GlmTokenError('ERR_USAGE', message, hint);

function unknown(kind: string, given: string, known: string[], help: string): GlmTokenError {
  const near = closestMatch(given, known, { maxDistance: 3 });
  // A word that is no name may be a key, and is not repeated.
  const shown = /^-{0,2}[a-z][a-z-]*$/.test(given) ? ` ${quote(given)}` : ' of that name';
  return usage(`there is no ${kind}${shown}`, near ? `did you mean ${near}?` : help);
}
