/** What TAB offers: the words that can stand in the place of the last one of a line. */

import type { Context, Option, Subcommand } from '../../commands/subcommand.ts';
import { type Account, DEFAULT_PROFILE, sameAccount } from '../../core/account.ts';
import { hasUnsafeCharacters } from '../../core/text.ts';
import type { Messages } from '../../messages/en.ts';
import { SERVICES } from '../../service/services.ts';
import { listAccounts } from '../../stores/registry.ts';
import { splitOperands } from '../command-line.ts';
import { formatOffer, type Offer, type Word } from './shells.ts';

/** What an offer is made of. */
export interface Known {
  readonly commands: readonly Subcommand[];
  readonly messages: Messages;
  /** The accounts that have a key, or are named in the environment. */
  readonly accounts: readonly Account[];
}

/**
 * @param words the words after the program's name, the last of them as far as it was typed
 * @returns all that fits the place, whatever the start of the last word
 */
export function makeOffer(words: readonly string[], known: Known): Offer {
  const { commands } = known;
  const [name = '', ...line] = words;
  const current = line.at(-1);
  if (current === undefined) return offerStart(name, known);
  if (name === 'help') return line.length === 1 ? offerCommands(known) : [];
  const command = commands.find((one) => one.name === name);
  if (!command) return [];

  const before = line.slice(0, -1);
  const { options, operands, hasEnded } = splitOperands(command, before);
  if (hasEnded) {
    if (command.operands.takes !== 'program') return [];
    return operands.length === 0 ? 'commands' : 'files';
  }
  const allOptions = command.options;
  const [, assigned] = /^--([^=]+)=/.exec(current) ?? [];
  const awaiting = assigned ?? /^--([^=]+)$/.exec(options.at(-1) ?? '')?.[1] ?? '';
  const option = Object.hasOwn(allOptions, awaiting) ? allOptions[awaiting] : undefined;
  if (option?.type === 'string') {
    const start = assigned === undefined ? '' : `--${assigned}=`;
    return offerValues(awaiting, option, options, known).map(({ text, meaning }) => ({
      text: `${start}${text}`,
      meaning,
    }));
  }
  if (command.operands.takes === 'program' && current !== '' && !current.startsWith('-'))
    return 'commands';
  return offerRest(command, options, current, known);
}

function offerCommands({ commands, messages }: Known): readonly Word[] {
  return commands.map(({ name }) => ({ text: name, meaning: messages.commands[name].summary }));
}

function offerStart(current: string, known: Known): Offer {
  const { help, version, helpCommand } = known.messages.help.builtIn;
  if (current.startsWith('-')) {
    return [
      { text: '--help', meaning: help },
      { text: '--version', meaning: version },
    ];
  }
  return [...offerCommands(known), { text: 'help', meaning: helpCommand }];
}

/** Options that are not there yet, and arguments that are words. */
function offerRest(
  command: Subcommand,
  given: readonly string[],
  current: string,
  { messages }: Known,
): Offer {
  const texts = messages.commands[command.name].options as Readonly<Record<string, string>>;
  const takes = command.operands.takes;
  const words = Array.isArray(takes) ? takes : [];
  const operands = words.some((word) => given.includes(word)) ? [] : words;
  const isGiven = (option: string) =>
    given.some((word) => word === `--${option}` || word.startsWith(`--${option}=`));
  const options = Object.entries(command.options)
    .filter(([option]) => !isGiven(option) && texts[option])
    .map(([option]) => ({ text: `--${option}`, meaning: texts[option] ?? '' }));
  return [
    ...(current.startsWith('-') ? [] : operands.map((text) => ({ text, meaning: '' }))),
    ...(current === '' || current.startsWith('-') ? options : []),
    ...(current.startsWith('-') ? [{ text: '--help', meaning: messages.help.builtIn.help }] : []),
    ...(takes === 'program' ? [{ text: '--', meaning: messages.help.builtIn.endOfOptions }] : []),
  ];
}

function offerValues(
  name: string,
  { choices, default: byDefault = '' }: Option,
  line: readonly string[],
  { accounts, messages }: Known,
): readonly Word[] {
  const { services } = messages.setup;
  const wordsOf = (texts: readonly string[], meaning = '') =>
    [...new Set(texts)].map((text) => ({ text, meaning }));
  if (name === 'host') {
    const known = SERVICES.map((service) => ({
      text: service.host,
      meaning: services[service.name](service.host),
    }));
    const isNew = ({ host }: Account) => known.every(({ text }) => text !== host);
    return [...known, ...wordsOf(accounts.filter(isNew).map(({ host }) => host))];
  }
  if (name === 'profile') {
    const host = givenValue('host', line);
    const fitting = accounts.filter((account) => host === undefined || account.host === host);
    return wordsOf([DEFAULT_PROFILE, ...fitting.map(({ profile }) => profile)]);
  }
  return wordsOf(choices.length > 0 ? choices : byDefault.split(', ').filter(Boolean));
}

/** The value of an option that a line has. */
function givenValue(option: string, line: readonly string[]): string | undefined {
  const at = line.findIndex((word) => word === `--${option}` || word.startsWith(`--${option}=`));
  const word = line[at];
  if (word === undefined) return undefined;
  return word.includes('=') ? word.slice(word.indexOf('=') + 1) : line[at + 1];
}

/**
 * Time after the start of the process at which nothing is waited for any more, in milliseconds: so
 * that TAB takes 300 ms at most, with the start and the end of the process.
 */
const LIMIT_MS = 250;

/**
 * Answers a completion script: see scripts.ts.
 *
 * @param request the shell, and what it knows of the line
 * @param makeContext may fail, when a setting is invalid
 */
export async function answerScript(
  request: readonly string[],
  commands: readonly Subcommand[],
  messages: Messages,
  makeContext: () => Context,
): Promise<string> {
  const [shell = '', ...line] = request;
  return formatOffer(shell, line, async (words) => {
    const needsAccounts = words.some((word) => /^--(host|profile)/.test(word));
    const accounts = needsAccounts ? await lookForAccounts(makeContext) : [];
    return makeOffer(words, { commands, messages, accounts });
  });
}

/**
 * The encrypted file takes a passphrase, and a tenth of a second; the keychains of macOS and Windows are
 * listed by reading each key, for which they may ask.
 */
async function glimpseAccounts({ stores, platform }: Context): Promise<readonly Account[]> {
  const looksOnly = stores.inUse() === 'keychain' && platform !== 'darwin' && platform !== 'win32';
  const store = looksOnly ? undefined : 'command';
  const { accounts } = await listAccounts(stores, { store, mayAsk: false });
  return accounts.map(({ account }) => account);
}

/**
 * The accounts that can be seen without asking or waiting for anybody. What fails is no concern of a
 * person who presses TAB.
 */
async function lookForAccounts(makeContext: () => Context): Promise<readonly Account[]> {
  try {
    const context = makeContext();
    const leftMs = LIMIT_MS - performance.now();
    const limit = new Promise<readonly Account[]>((resolve) => setTimeout(resolve, leftMs, []));
    const looked = leftMs > 0 ? glimpseAccounts(context) : [];
    const stored = await Promise.race([looked, limit]).catch(() => []);
    return [context.settings.account, ...stored].filter(
      ({ host, profile }, at, all) =>
        !hasUnsafeCharacters(`${host}${profile}`) &&
        all.findIndex((other) => sameAccount(other, { host, profile })) === at,
    );
  } catch {
    return [];
  }
}
