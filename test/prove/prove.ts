/** Attacks the built program, and prints one table: promise, trial, how many, what was seen. */

import { execFileSync } from 'node:child_process';
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { emacsen } from '../support/emacs.ts';
import { PROMISES } from './promises.ts';
import type { Row, Size } from './row.ts';

const { values } = parseArgs({
  options: {
    short: { type: 'boolean', default: false },
    cases: { type: 'string' },
    seed: { type: 'string', default: '1' },
    /** A part of a promise's name: only those promises are tried. */
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

const startedAt = Date.now();
const rows: { promise: string; row: Row; verdict: string }[] = [];
for (const [promise, trials] of Object.entries(PROMISES)) {
  if (!promise.toLowerCase().includes(values.only.toLowerCase())) continue;
  try {
    for await (const row of trials(size)) add(promise, row);
  } catch (error) {
    const faults = [error instanceof Error ? (error.stack ?? error.message) : String(error)];
    add(promise, { trial: 'the trials themselves', count: '', seen: 'they failed', faults });
  }
}

function add(promise: string, row: Row): void {
  const verdict = row.notTried ? 'not tried' : row.faults.length > 0 ? 'DOES NOT HOLD' : 'holds';
  rows.push({ promise, row, verdict });
  const seconds = Math.round((Date.now() - startedAt) / 1000);
  console.error(`prove: ${seconds} s: ${promise}: ${row.trial}: ${verdict}`);
  for (const fault of row.faults.slice(0, 20)) console.error(`prove:   ${fault}`);
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
  `${new Date().toISOString().slice(0, 10)}; Node ${process.versions.node}; ` +
    `Emacs ${versions.join(' and ')}; ${version('gnome-keyring-daemon', '--version')}; ` +
    `${process.platform}, ${cpus()[0]?.model}, ${cpus().length} cores; ` +
    `${size.isShort ? 'short form, ' : ''}seed ${size.seed}, ` +
    `${Math.round((Date.now() - startedAt) / 1000)} s\n`,
);
console.log('| Promise | Trial | How many | What was seen | |');
console.log('|---|---|---|---|---|');
let last = '';
for (const { promise, row, verdict } of rows) {
  const cells = [
    promise === last ? '' : promise,
    row.trial,
    row.count,
    row.notTried ?? row.seen,
    verdict,
  ];
  console.log(`| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`);
  last = promise;
}
const broken = rows.filter(({ row }) => row.faults.length > 0).length;
const untried = rows.filter(({ row }) => row.notTried).length;
console.log(
  `\n${rows.length - broken - untried} hold, ${broken} do not hold, ${untried} were not tried.`,
);
process.exit(broken > 0 ? 1 : 0);
