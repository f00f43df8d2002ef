/** What a subcommand is, and what it gets to work with. */

import type { Readable, Writable } from 'node:stream';
import type { Account } from '../core/account.ts';
import type { Clock } from '../stores/clock.ts';
import type { Stores } from '../stores/stores.ts';

export interface Option {
  readonly type: 'string' | 'boolean';
  readonly describe: string;
  readonly choices?: readonly string[];
  /** What stands for the value in `--help`. */
  readonly value?: string;
}

export type Args = Readonly<Record<string, string | boolean | undefined>>;

export interface Command {
  readonly name: string;
  readonly summary: string;
  readonly options: Readonly<Record<string, Option>>;
  /** What may follow the name beside options; nothing unless said. */
  readonly operands?: Operands;
  readonly examples?: readonly (readonly [line: string, meaning: string])[];
  /**
   * Resolves when done, to an exit status other than 0 where there is one to pass on; every failure
   * of its own is thrown, as a GlmTokenError where it is no bug.
   */
  run(context: Context, args: Args, operands: readonly string[]): Promise<ExitStatus | undefined>;
}

export interface Operands {
  /** As the usage line has them. */
  readonly usage: string;
  /** The only words that there can be; any by default. */
  readonly words?: readonly string[];
  /** From the first one on, or after `--`, all is taken as it is, options too. */
  readonly verbatim?: boolean;
}

/** A number, or the signal that ended a child. */
export type ExitStatus = number | NodeJS.Signals;

/** The world as a command sees it; only `cli.ts` makes one. */
export interface Context {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly platform: NodeJS.Platform;
  /** Absolute paths of this program: node, the script, and the folder that both are packed in. */
  readonly paths: { readonly node: string; readonly script: string; readonly root: string };
  readonly version: string;
  /** Of Node, such as `20.19.0`. */
  readonly nodeVersion: string;
  readonly clock: Clock;
  /** Whether a person sits at standard input. */
  readonly interactive: boolean;
  /** The stores, opened at first use, for a command that a person runs. */
  stores(): Stores;
  /** The stores for the helper, which can ask nobody and locks the key file when nobody uses it. */
  helperStores(lockAfterMs: number): Stores;
  /** Calls back each time that the keychain waits for a person, in place of a note. */
  onWaiting(callback: () => void): void;
  /** The process and its two streams, for the helper, whose protocol has them to itself. */
  readonly stdio: { readonly pid: number; readonly input: Readable; readonly output: Writable };
  /** From now on, signals that would end the process are given to the callback instead. */
  onSignal(callback: (signal: NodeJS.Signals) => void): void;
  /** The account that the options, else the environment, name. */
  account(args: Args): Account;
  /** Writes a line of the answer to standard output. */
  print(line: string): void;
  /** Writes a line for the person to standard error. */
  note(line: string): void;
  /** Asks at the terminal. */
  ask(question: string, options?: { readonly secret?: boolean }): Promise<string>;
  /** Standard input, whole, as text, when it is no terminal. */
  readInput(maxBytes: number): Promise<string>;
}

/** The options that every subcommand has. */
export const ACCOUNT_OPTIONS = {
  host: {
    type: 'string',
    value: 'HOST',
    describe: 'API host the key is for [open.bigmodel.cn]',
  },
  profile: { type: 'string', value: 'NAME', describe: 'which of several keys [default]' },
} as const satisfies Record<string, Option>;
