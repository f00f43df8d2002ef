/** The command line's grammar: one strict, quick reading of it, and yargs for everything else. */

import { parseArgs } from 'node:util';
import type { Args, Command } from './command.ts';

/** A line of a known subcommand, understood. */
export interface Line {
  readonly args: Args;
  readonly operands: readonly string[];
}

/**
 * Reads the arguments of a known subcommand when nothing about them is in doubt.
 *
 * Returns `undefined` on any doubt (help, an unknown flag, a missing value, a stray argument), and
 * then {@link parseFully} decides: it knows more, and yargs takes 30 ms to load.
 */
export function parseQuickly(command: Command, argv: readonly string[]): Line | undefined {
  try {
    const options = Object.fromEntries(
      Object.entries(command.options).map(([name, { type }]) => [name, { type }]),
    );
    const { values } = parseArgs({ args: [...argv], options, strict: true });
    const args = { ...values } as Args;
    const valid = Object.entries(command.options).every(
      ([name, { choices }]) => args[name] === undefined || isChoice(args[name], choices),
    );
    return valid ? { args, operands: [] } : undefined;
  } catch {
    return undefined;
  }
}

export function isChoice(value: unknown, choices: readonly string[] | undefined): boolean {
  return value !== '' && (choices === undefined || choices.includes(String(value)));
}
