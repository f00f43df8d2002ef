/** What a subcommand is, and the world that it works with. */

import type { Terminal } from '../cli/terminal.ts';
import { type Account, parseHost, parseProfile } from '../core/account.ts';
import type { AskHelper } from '../daemon/client.ts';
import type { Messages } from '../messages/en.ts';
import type { Settings } from '../settings.ts';
import type { Paths } from '../setup/paths.ts';
import { KEPT_STORES, type StoresWorld, WRITABLE_STORES } from '../stores/port.ts';
import type { Stores } from '../stores/registry.ts';

/**
 * An option, and what its value means. What is said of it stands in src/messages, under the names of
 * subcommand and option; one of which nothing is said is not shown.
 */
export interface Option<T = unknown> {
  readonly type: 'string' | 'boolean';
  /** Placeholder of the value in help; in brackets where the value may be left out, which gives an empty one. */
  readonly value: string;
  /** The only values that there are; any text where there are none. */
  readonly choices: readonly string[];
  /** The value where none is given. */
  readonly default: string | undefined;
  readonly isRequired: boolean;
  /** What a value means; throws a GlmTokenError where it means nothing. */
  parse(text: string): T;
}

const ANY = { type: 'string', choices: [], default: undefined, isRequired: false } as const;

/** An option without a value. */
export const FLAG: Option<boolean> = { ...ANY, type: 'boolean', value: '', parse: Boolean };

export const option = <T>(value: string, parse: (text: string) => T): Option<T | undefined> => ({
  ...ANY,
  value,
  parse,
});

export const choice = <C extends string>(
  value: string,
  choices: readonly C[],
): Option<C | undefined> => ({ ...option(value, (text) => text as C), choices });

type Present<T> = Option<Exclude<T, undefined>>;

export const required = <T>(one: Option<T>): Present<T> =>
  ({ ...one, isRequired: true }) as Present<T>;

export const withDefault = <T>(one: Option<T>, byDefault: string): Present<T> =>
  ({ ...one, default: byDefault }) as Present<T>;

export type Options = Readonly<Record<string, Option>>;

/** The arguments that some options give. */
export type ArgsOf<O extends Options> = {
  readonly [Name in keyof O]: O[Name] extends Option<infer T> ? T : never;
};

export type Args = Readonly<Record<string, unknown>>;

/** The options that name an account. */
export const ACCOUNT_OPTIONS = {
  host: option('HOST', parseHost),
  profile: option('NAME', parseProfile),
};

/** The option that names a store to read, list or delete from. */
export const STORE_OPTION = choice('STORE', KEPT_STORES);

/** The option that names a store to write a key to. */
export const WRITABLE_STORE_OPTION = choice('STORE', WRITABLE_STORES);

export type SubcommandName = keyof Messages['commands'];

export interface Subcommand {
  readonly name: SubcommandName;
  readonly options: Options;
  /** Arguments other than options; none by default. */
  readonly operands: Operands;
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

const NO_OPERANDS: Operands = { usage: '', takes: [] };

/** A subcommand whose arguments have the types of its options, and whose options have texts. */
export const subcommand = <
  Name extends SubcommandName,
  O extends Readonly<Record<keyof Messages['commands'][Name]['options'], Option>>,
>(
  one: Partial<Pick<Subcommand, 'operands'>> & {
    readonly name: Name;
    readonly options: O &
      Record<Exclude<keyof O, keyof Messages['commands'][Name]['options']>, never>;
    run(
      context: Context,
      args: ArgsOf<O>,
      operands: readonly string[],
    ): Promise<ExitStatus | undefined>;
  },
): Subcommand => ({ operands: NO_OPERANDS, ...one });

/** A number, or the signal that ended a child. */
export type ExitStatus = number | NodeJS.Signals;

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
  helperStores(options: Pick<StoresWorld, 'accounts' | 'lockAfterMs' | 'onWaiting'>): Stores;
  /** Asks the helper at `GLM_TOKEN_SOCKET`, in place of the stores; `undefined` when that is not set. */
  readonly askHelper: AskHelper | undefined;
  /** The account that the options name, else the settings. */
  account(args: ArgsOf<typeof ACCOUNT_OPTIONS>): Account;
}
