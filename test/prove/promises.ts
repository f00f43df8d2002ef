/** Every promise with the trials that it is put to, and how they are run: some of them side by side. */

import { keepsWorking } from './keeps-working.ts';
import { keyCommands } from './key-commands.ts';
import { keyIsNowhere } from './key-is-nowhere.ts';
import { nobodyGetsIn } from './nobody-gets-in.ts';
import { nothingBreaksIt } from './nothing-breaks-it.ts';
import { nothingIsLost } from './nothing-is-lost.ts';
import { overSsh } from './over-ssh.ts';
import { each, type Row, type Size, type Trial, type Trials } from './row.ts';
import { sharedHelper } from './shared-helper.ts';

/** In the order of the table. */
const PROMISES: Readonly<Record<string, Trials>> = {
  'The key is nowhere': keyIsNowhere,
  'Nothing is lost': nothingIsLost,
  'Nothing breaks it': nothingBreaksIt,
  'Nobody gets in': nobodyGetsIn,
  'It keeps working': keepsWorking,
  'A key that a command prints stays where it is': keyCommands,
  'A shared helper gives tokens, and nothing else': { ...sharedHelper, ...overSsh },
};

/** Trials side by side: most of them wait now and then, and some of them wait long. */
const LANES = 4;

export interface NamedTrial {
  readonly promise: string;
  readonly name: string;
  readonly trial: Trial;
}

/** The trials that have a text in their own name or in that of their promise; all by default. */
export function trialsNamed(text = ''): NamedTrial[] {
  const all = Object.entries(PROMISES).flatMap(([promise, trials]) =>
    Object.entries(trials).map(([name, trial]) => ({ promise, name, trial })),
  );
  return all.filter(({ promise, name }) =>
    `${promise}\n${name}`.toLowerCase().includes(text.toLowerCase()),
  );
}

/** Runs trials. A trial that breaks off comes to a row that does not hold. */
export async function attempt(
  trials: readonly NamedTrial[],
  size: Size,
  onRow: (row: Row, trial: NamedTrial) => unknown,
): Promise<void> {
  await each(trials, LANES, async (named) => {
    try {
      for await (const row of named.trial(size)) await onRow(row, named);
    } catch (error) {
      const faults = [error instanceof Error ? (error.stack ?? error.message) : String(error)];
      await onRow({ trial: named.name, count: '', seen: 'the trial itself failed', faults }, named);
    }
  });
}
