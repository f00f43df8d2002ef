/** What `--help` prints: the overview, and the help of each command, at a width. */

import { GROUPS } from '../commands/all.ts';
import type { Subcommand } from '../commands/subcommand.ts';
import type { Messages } from '../messages/en.ts';
import { pad, wrap } from './columns.ts';

/** A term, and what it means. */
export type Row = readonly [term: string, meaning: string];

/** The least room for a meaning beside its term, in columns; where there is less, it goes below. */
const MIN_MEANING_COLUMNS = 20;

/** No narrower, in columns: a terminal that is breaks the lines itself. */
const MIN_COLUMNS = 24;

/** @param columns the width of the terminal */
export function overview({ help, commands }: Messages, columns: number): string {
  const width = Math.max(columns, MIN_COLUMNS);
  const { builtIn } = help;
  const sections = Object.entries(GROUPS).map(([group, members]): [string, Row[]] => [
    help.groups[group as keyof typeof GROUPS],
    members.map(({ name }) => [name, commands[name].summary]),
  ]);
  const options: Row[] = [
    ['-h, --help', builtIn.help],
    ['-v, --version', builtIn.version],
  ];
  const rows = [...sections.flatMap(([, members]) => members), ...options];
  return [
    ...usage(help.usage, 'COMMAND [OPTIONS]', width),
    '',
    ...wrap(help.purpose, width),
    ...sections.flatMap(([title, members]) => section(title, members, width, rows)),
    ...section(help.options, options, width, rows),
    ...section(help.examplesTitle, help.examples, width),
    '',
    ...help.epilogue.flatMap((text) => wrap(text, width)),
  ].join('\n');
}

/** @param columns the width of the terminal */
export function helpOf(command: Subcommand, messages: Messages, columns: number): string {
  const width = Math.max(columns, MIN_COLUMNS);
  const { name } = command;
  const { help } = messages;
  const { summary, examples } = messages.commands[name];
  return [
    ...usage(help.usage, `${name} ${usageOf(command)}`, width),
    '',
    ...wrap(help.sentence(summary), width),
    ...section(
      help.options,
      [...optionRows(command, messages), ['-h, --help', help.builtIn.helpOfCommand]],
      width,
    ),
    ...(examples.length > 0 ? section(help.examplesTitle, examples, width) : []),
  ].join('\n');
}

/** What follows the name of a command. */
function usageOf({ operands }: Subcommand): string {
  if (operands.takes === 'program') return `[OPTIONS] ${operands.usage}`;
  return `${operands.usage} [OPTIONS]`.trimStart();
}

/** Each option with its value, and what it does, with its choices and its default. */
export function optionRows(command: Subcommand, { commands }: Messages): Row[] {
  const texts = commands[command.name].options as Readonly<Record<string, string>>;
  const options = Object.entries(command.options).filter(([option]) => texts[option]);
  return options.map(([option, { choices, value, default: byDefault }]) => {
    const words = choices.length > 0 ? ` (${choices.join(', ')})` : '';
    return [
      `--${option}${value ? ` ${value}` : ''}`,
      `${texts[option]}${words}${byDefault ? ` [${byDefault}]` : ''}`,
    ];
  });
}

const usage = (word: string, line: string, width: number): string[] =>
  wrap(`${word}glm-token ${line}`, width, '  ');

/**
 * A title and rows below it, in two columns where there is room for them.
 *
 * @param aligned the rows that the second column is aligned with
 */
function section(
  title: string,
  rows: readonly Row[],
  width: number,
  aligned: readonly Row[] = rows,
): string[] {
  const indent = Math.max(...aligned.map(([term]) => term.length)) + 4;
  const isWide = width - indent >= MIN_MEANING_COLUMNS;
  const lines = rows.flatMap(([term, meaning]) => {
    if (!isWide) {
      const below = wrap(meaning, width - 6).map((text) => `      ${text}`);
      return [...wrapCommand(`  ${term}`, width), ...below];
    }
    const [first = '', ...rest] = wrap(meaning, width - indent);
    return [
      pad(`  ${term}`, indent) + first,
      ...rest.map((text) => `${' '.repeat(indent)}${text}`),
    ];
  });
  return ['', title, ...lines];
}

/** A command line that still works when it is pasted from several lines. */
function wrapCommand(line: string, width: number): string[] {
  if (line.length <= width) return [line];
  const [, indent = '', text = ''] = /^( *)(.*)$/.exec(line) ?? [];
  const lines = wrap(text, width - indent.length - 2, '  ');
  return lines.map((part, at) => `${indent}${part}${at < lines.length - 1 ? ' \\' : ''}`);
}
