/** Attacks the built program, and prints one table: promise, trial, how many, what was seen. */

import { execFileSync } from 'node:child_process';
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { emacsen } from '../support/emacs.ts';
import { attempt, type NamedTrial, trialsNamed } from './promises.ts';
import type { Row, Size } from './row.ts';

const { values } = parseArgs({
  options: {
    short: { type: 'boolean', default: false },
    cases: { type: 'string' },
    seed: { type: 'string', default: '1' },
    /** A part of the name of a trial or a promise: only those are tried. */
    only: { type: 'string', default: '' },
  },
});
const size: Size = {
  isShort: values.short,
  cases: Number(values.cases ?? 10_000),
  seed: Number(values.seed),
};
if (!Number.isSafeInteger(size.cases) || size.cases < 1 || !Number.isSafeInteger(size.seed)) {
  console.error('prove: --cases and --seed take whole numbers');
  process.exit(2);
}
const trials = trialsNamed(values.only);
if (trials.length === 0) {
  console.error(`prove: no trial has "${values.only}" in its name; there are:`);
  for (const { promise, name } of trialsNamed()) console.error(`prove:   ${promise}: ${name}`);
  process.exit(2);
}

const startedAt = Date.now();
const secondsSoFar = () => Math.round((Date.now() - startedAt) / 1000);
const rows: { row: Row; named: NamedTrial }[] = [];

const verdictOf = ({ notTried, faults }: Row): string =>
  notTried ? 'not tried' : faults.length > 0 ? 'FAILS' : 'holds';

await attempt(trials, size, (row, named) => {
  rows.push({ row, named });
  console.error(`prove: ${secondsSoFar()} s: ${named.promise}: ${row.trial}: ${verdictOf(row)}`);
  for (const fault of row.faults.slice(0, 20)) console.error(`prove:   ${fault}`);
});

/* ---- The table */

/** Widths of verdict, trial, how many, and what was seen; with the gaps, 100 columns. */
const WIDTHS = [9, 43, 17, 25];
const GAP = '  ';

/** Lines of a text that are no longer than a width; a word that is longer is cut. */
function wrap(text: string, width: number): string[] {
  const words = new RegExp(`\\S.{0,${width - 1}}(?= |$)|\\S{${width}}`, 'g');
  return text.match(words) ?? [''];
}

function printCells(cells: readonly string[]): void {
  const columns = cells.map((cell, at) => wrap(cell, WIDTHS[at] ?? 0));
  const height = Math.max(...columns.map((lines) => lines.length));
  for (let line = 0; line < height; line += 1) {
    const parts = columns.map((lines, at) => (lines[line] ?? '').padEnd(WIDTHS[at] ?? 0));
    console.log(parts.join(GAP).trimEnd());
  }
}

const version = (command: string, ...args: string[]): string => {
  try {
    return execFileSync(command, args, { encoding: 'utf8' }).split('\n', 1)[0] ?? '';
  } catch {
    return `no ${command}`;
  }
};
const versions = (await emacsen()).map((each) => each.version);
console.log(
  `${new Date().toISOString().slice(0, 10)}: ${size.isShort ? 'short form, ' : ''}` +
    `seed ${size.seed}, ${secondsSoFar()} s\n` +
    `Node ${process.versions.node}, Emacs ${versions.join(' and ')}, ` +
    `${version('gnome-keyring-daemon', '--version')}\n` +
    `${process.platform}, ${cpus()[0]?.model}, ${cpus().length} cores\n`,
);
printCells(['', 'Trial', 'How many', 'What was seen']);
let last: string | undefined;
for (const trial of trials) {
  if (trial.promise !== last) console.log(`\n${trial.promise}`);
  last = trial.promise;
  for (const { row } of rows.filter(({ named }) => named === trial)) {
    printCells([verdictOf(row), row.trial, row.count, row.notTried ?? row.seen]);
  }
}
const broken = rows.filter(({ row }) => row.faults.length > 0).length;
const untried = rows.filter(({ row }) => row.notTried).length;
console.log(
  `\n${rows.length - broken - untried} hold, ${broken} do not hold, ${untried} were not tried.`,
);
process.exit(broken > 0 ? 1 : 0);
