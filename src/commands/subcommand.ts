/** What a subcommand is, and the world that it works with. */

import type { Terminal } from '../cli/terminal.ts';
import { type Account, parseHost, parseProfile } from '../core/account.ts';
import type { AskHelper } from '../daemon/client.ts';
import type { Messages } from '../messages/en.ts';
import type { Settings } from '../settings.ts';
import type { Paths } from '../setup/paths.ts';
import { KEPT_STORES, WRITABLE_STORES } from '../stores/port.ts';
import type { Stores, StoresOptions } from '../stores/registry.ts';

/** An option; what is said of it stands in src/messages, under the names of subcommand and option. */
export interface Option {
  readonly type: 'string' | 'boolean';
  readonly choices?: readonly string[];
  /** Placeholder of the value in help. */
  readonly value?: string;
  /** Whether its value may be left out, which gives an empty one. */
  readonly isValueOptional?: boolean;
  readonly isRequired?: boolean;
  /** The value where none is given. */
  readonly default?: string;
  /** What a value means; throws a GlmTokenError where it means nothing. */
  parse?(text: string): unknown;
  /** For a program to give, and not shown to people. */
  readonly isHidden?: boolean;
}

/** What comes of an option: a flag is true or false, and a value is parsed. */
type Meaning<O extends Option> = O extends { type: 'boolean' }
  ? boolean
  : O extends { parse(text: string): infer Parsed }
    ? Parsed
    : O extends { choices: readonly (infer Choice)[] }
      ? Choice
      : string;

type Absent<O extends Option> = O extends
  | { type: 'boolean' }
  | { default: string }
  | { isRequired: true }
  ? never
  : undefined;

export type Options = Readonly<Record<string, Option>>;

/** The arguments that some options give. */
export type ArgsOf<O extends Options> = {
  readonly [Name in keyof O]: Meaning<O[Name]> | Absent<O[Name]>;
};

export type Args = Readonly<Record<string, unknown>>;

/** The options that name an account. */
export const ACCOUNT_OPTIONS = {
  host: { type: 'string', value: 'HOST', parse: parseHost },
  profile: { type: 'string', value: 'NAME', parse: parseProfile },
} as const satisfies Options;

/** The option that names a store to read, list or delete from. */
export const STORE_OPTION = { type: 'string', value: 'STORE', choices: KEPT_STORES } as const;

/** The option that names a store to write a key to. */
export const WRITABLE_STORE_OPTION = { ...STORE_OPTION, choices: WRITABLE_STORES } as const;

export type SubcommandName = keyof Messages['commands'];

export interface Subcommand {
  readonly name: SubcommandName;
  readonly options: Options;
  /** Arguments other than options; none by default. */
  readonly operands?: Operands;
  /**
   * Resolves when done, to an exit status other than 0 where there is one to pass on. Every failure
   * of its own is thrown, as a GlmTokenError unless it is a bug.
   */
  run(context: Context, args: Args, operands: readonly string[]): Promise<ExitStatus | undefined>;
}

export interface Operands {
  /** As the usage line shows them. */
  readonly usage: string;
  /**
   * The only words that are allowed; or a text; or a program with its arguments, where everything is
   * taken as it is from the first word on, or after `--`.
   */
  readonly takes: readonly string[] | 'text' | 'program';
}

/** A subcommand whose arguments have the types of its options, and whose options have texts. */
export const subcommand = <
  Name extends SubcommandName,
  const O extends Readonly<Record<keyof Messages['commands'][Name]['options'], Option>>,
>(
  one: Omit<Subcommand, 'run'> & {
    readonly name: Name;
    readonly options: O &
      Record<Exclude<keyof O, keyof Messages['commands'][Name]['options']>, never>;
    run(
      context: Context,
      args: ArgsOf<O>,
      operands: readonly string[],
    ): Promise<ExitStatus | undefined>;
  },
): Subcommand => one;

/** A number, or the signal that ended a child. */
export type ExitStatus = number | NodeJS.Signals;

/** The options that name an account. */
type Named = { readonly host?: string | undefined; readonly profile?: string | undefined };

/** The world as a command sees it; only `cli.ts` makes one. */
export interface Context {
  readonly env: NodeJS.ProcessEnv;
  readonly platform: NodeJS.Platform;
  readonly settings: Settings;
  readonly terminal: Terminal;
  readonly messages: Messages;
  /** The messages in the language of a locale such as `zh`. */
  messagesFor(locale: string): Promise<Messages>;
  readonly paths: Paths;
  readonly version: string;
  /** The time, in milliseconds since 1970 (UTC). */
  now(): number;
  /** The stores, for a command that a person runs. */
  readonly stores: Stores;
  /** The stores for the helper, which can ask no one. */
  helperStores(options: Pick<StoresOptions, 'accounts' | 'lockAfterMs' | 'onWaiting'>): Stores;
  /** Asks the helper at `GLM_TOKEN_SOCKET`, in place of the stores; `undefined` when that is not set. */
  readonly askHelper: AskHelper | undefined;
  /** The account that the options name, else the settings. */
  account(args: Named): Account;
}
