/** What a subcommand is, and what it gets to work with. */

import type { Readable, Writable } from 'node:stream';
import type { Account } from '../core/account.ts';
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
  /** A word that may follow the name; it is given to run as the argument `operand`. */
  readonly operand?: string;
  readonly examples?: readonly (readonly [line: string, meaning: string])[];
  /** Resolves when done; every failure is thrown, as a GlmTokenError where it is no bug. */
  run(context: Context, args: Args): Promise<void>;
}

/** The world as a command sees it; only `cli.ts` makes one. */
export interface Context {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly platform: NodeJS.Platform;
  /** Absolute paths of this program: node, the script, and the folder that both are packed in. */
  readonly paths: { readonly node: string; readonly script: string; readonly root: string };
  readonly version: string;
  now(): number;
  /** Whether a person sits at both ends: standard input and standard error are terminals. */
  readonly interactive: boolean;
  /** The stores, opened at first use. */
  stores(): Stores;
  /** Calls back each time that the keychain waits for a person, in place of a note. */
  onWaiting(callback: () => void): void;
  /** The process and its two streams, for the helper, whose protocol has them to itself. */
  readonly stdio: { readonly pid: number; readonly input: Readable; readonly output: Writable };
  /** Resolves when the process is told to end: SIGTERM, SIGINT or SIGHUP. */
  untilSignal(): Promise<void>;
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
