/**
 * The manual page glm-token(1), in mdoc: commands and options from the tables of `--help`, and what
 * there is to say of them, exit statuses, variables and files from docs/reference.md.
 */

import { wrap } from './cli/columns.ts';
import { optionRows } from './cli/help.ts';
import { COMMANDS } from './commands/all.ts';
import type { Subcommand } from './commands/subcommand.ts';
import { english } from './messages/en.ts';

/** Longest line of text in the source, in columns; `mandoc -T lint` wants it. */
const MAX_COLUMNS = 78;

export interface ManPageSource {
  readonly date: Date;
  /** The text of docs/reference.md. */
  readonly reference: string;
  /** Where the project is to be found, once there is such a place. */
  readonly homepage?: string;
}

export function manPage({ date, reference, homepage }: ManPageSource): string {
  const messages = english('glm-token');
  const { help, commands } = messages;
  const page = sectionsOf(reference);
  const day = date.toLocaleDateString('en-US', { dateStyle: 'long', timeZone: 'UTC' });
  const examples = [help.examples, ...COMMANDS.map(({ name }) => commands[name].examples)].flat();
  const lines = [
    `.Dd ${day}`,
    '.Dt GLM-TOKEN 1',
    '.Os',
    '.Sh NAME',
    '.Nm glm-token',
    `.Nd ${roff(help.purpose.charAt(0).toLowerCase() + help.purpose.slice(1, -1))}`,
    '.Sh SYNOPSIS',
    ...COMMANDS.flatMap((command) => synopsis(command, optionRows(command, messages))),
    '.Nm',
    '.Op Ar COMMAND',
    '.Fl h | -help',
    '.Nm',
    '.Fl v | -version',
    '.Sh DESCRIPTION',
    ...page('Reference').paragraphs.slice(1).flatMap(paragraph),
    '.Sh OPTIONS',
    ...list([
      ['Fl h , -help', help.builtIn.help],
      ['Fl v , -version', help.builtIn.version],
    ]),
    '.Sh COMMANDS',
    ...COMMANDS.flatMap((command) => [
      `.Ss ${command.name}`,
      ...text(help.sentence(commands[command.name].summary)),
      ...list(optionRows(command, messages).map(([term, meaning]) => [optionOf(term), meaning])),
      // The first paragraph is the summary.
      ...page(command.name).paragraphs.slice(1).flatMap(paragraph),
    ]),
    '.Sh ENVIRONMENT',
    ...list(page('Variables').rows.map(([name = '', about = '']) => [`Ev ${plain(name)}`, about])),
    ...page('Variables').paragraphs.flatMap(paragraph),
    '.Sh FILES',
    ...list(page('Files').rows.map(([what = '', where = '']) => [quoted(what), where])),
    ...page('Files').paragraphs.flatMap(paragraph),
    '.Sh EXIT STATUS',
    ...list(
      page('Exit codes').rows.map(([code = '', status = '', when = '']) => [
        status,
        code ? `${code}: ${when}` : when,
      ]),
    ),
    ...page('Exit codes').paragraphs.flatMap(paragraph),
    '.Sh EXAMPLES',
    ...list(unique(examples).map(([line, about]) => [`Li ${quoted(line)}`, about])),
    '.Sh SEE ALSO',
    ...text(
      'The package has more pages, in English and in Chinese, in its directory `docs`, which is `$(npm root -g)/glm-token/docs` after `npm install -g`: `reference.md` (also on JSON and on the protocol of the helper), `emacs.md`, `integrations.md` and `troubleshooting.md`.',
    ),
    ...(homepage ? ['.Pp', `.Lk ${homepage}`] : []),
  ];
  return `${lines.join('\n').replace(/^(\.S[hs] .*\n)\.Pp\n/gm, '$1')}\n`;
}

/** A section of a page in Markdown, without its code blocks. */
interface Section {
  readonly paragraphs: readonly string[];
  /** The cells of its table, below the heading. */
  readonly rows: readonly (readonly string[])[];
}

function sectionsOf(markdown: string): (title: string) => Section {
  const prose = markdown.replace(/^```.*?^```$/gms, '');
  const sections = new Map(
    prose.split(/^#+ /m).map((section): [string, Section] => {
      const [title = '', ...blocks] = section.trim().split(/\n{2,}/);
      const isTable = (block: string) => block.startsWith('|');
      const rows = blocks.filter(isTable).flatMap((table) => table.split('\n').slice(2).map(cells));
      return [title, { paragraphs: blocks.filter((block) => !isTable(block)), rows }];
    }),
  );
  return (title) => {
    const section = sections.get(title);
    if (!section) throw new Error(`docs/reference.md has no section ${title}`);
    return section;
  };
}

const cells = (row: string): string[] =>
  row
    .slice(1, -1)
    .split('|')
    .map((cell) => cell.trim());

const unique = <Pair extends readonly [string, string]>(pairs: readonly Pair[]): Pair[] => [
  ...new Map(pairs.map((pair) => [pair[0], pair])).values(),
];

function synopsis({ name, operands }: Subcommand, options: ReturnType<typeof optionRows>) {
  const own = options.map(([term]) => `.Op ${optionOf(term)}`);
  const rest = (operands?.usage.match(/\[[^\]]*\]|\w+( \.\.\.)?/g) ?? []).map(operandOf);
  return ['.Nm', `.Cm ${name}`, ...(operands?.isVerbatim ? [...own, ...rest] : [...rest, ...own])];
}

/** `--socket [PATH]` as macros. */
function optionOf(term: string): string {
  const [, name, bracket, value] = /^--(\S+)(?: (\[)?([^\]]*)\]?)?$/.exec(term) ?? [];
  return `Fl -${name}${value ? ` ${bracket ? 'Op ' : ''}Ar ${value}` : ''}`;
}

/** `[--]`, `[-- COMMAND ...]`, `[bash|zsh]`, `[TOKEN]` or `COMMAND ...` as macros. */
function operandOf(usage: string): string {
  if (usage === '[--]') return '.Op Fl -';
  const words = usage.replace(/[[\]]/g, '').replaceAll('|', ' | ');
  if (words.startsWith('-- ')) return `.Op Fl - Ar ${words.slice('-- '.length)}`;
  return `.${usage.startsWith('[') ? 'Op ' : ''}${/^[A-Z]/.test(words) ? 'Ar' : 'Cm'} ${words}`;
}

/** @param rows each with its term, in macros, and its meaning, in Markdown */
function list(rows: readonly (readonly [term: string, meaning: string])[]): string[] {
  if (rows.length === 0) return [];
  const items = rows.flatMap(([term, meaning]) => [`.It ${term}`, ...text(meaning)]);
  return ['.Bl -tag -width Ds', ...items, '.El'];
}

const paragraph = (markdown: string): string[] => ['.Pp', ...text(markdown)];

/** A text in Markdown as lines, with each sentence on a line of its own, as roff wants it. */
function text(markdown: string): string[] {
  const parts = markdown
    .replace(/\[([^\]]*)\]\(([^)#]*)[^)]*\)/g, '$1 (`docs/$2`)')
    .split(/(`[^`]*`|(?<!\w)_[^_\s]+_(?!\w))/)
    .map((part, at) => {
      if (at % 2 === 0) return roff(part);
      return part.startsWith('`') ? bold(plain(part)) : `\\fI${plain(part)}\\fR`;
    });
  return parts
    .join('')
    .replace(/\S+/g, unbroken)
    .split(/(?<=[.!?]\)?) (?=\S)/)
    .flatMap((sentence) => wrap(sentence, MAX_COLUMNS))
    .map((line) => line.replace(/^(?=[.'])/, '\\&'));
}

/** Each word is bold by itself, so that {@link unbroken} knows it. */
const bold = (shown: string): string => code(shown).replace(/\S+/g, '\\fB$&\\fR');

/** A word into which no hyphen is put if it is one that people copy. */
const unbroken = (word: string): string => (/\\fB|\w[_@]\w/.test(word) ? `\\%${word}` : word);

/** Text without the marks around it. */
const plain = (marked: string): string => marked.replace(/^[`_]|[`_]$/g, '');

/** Text that roff shows as it is. */
const roff = (shown: string): string =>
  shown
    .replaceAll('\\', '\\e')
    .replace(/(?<![^\s(-])-/g, '\\-') // An option, or a minus; elsewhere it is a hyphen.
    .replace(/[^\n -~]/gu, (character) => {
      const hex = character.codePointAt(0)?.toString(16).toUpperCase().padStart(4, '0');
      return `\\[u${hex}]`;
    });

/** What people copy: with the characters that are on a keyboard, where roff would print finer ones. */
const code = (shown: string): string =>
  roff(shown)
    .replace(/(?<!\\)-/g, '\\-')
    .replace(/['`^~"]/g, (character) => `\\(${ASCII[character]}`);

const ASCII: Readonly<Record<string, string>> = {
  "'": 'aq',
  '`': 'ga',
  '^': 'ha',
  '~': 'ti',
  '"': 'dq',
};

/** One argument of a macro. */
const quoted = (shown: string): string => `"${code(shown)}"`;
