/** How long a token takes, beside what it could cost: everything side by side in one run. */

import { writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { FIGURES, type Figures } from '../pictures/chart.ts';
import { emacsCommand, emacsen } from '../support/emacs.ts';
import { found, PROGRAM, ROOT } from '../support/environment.ts';
import { KeychainSession } from '../support/keychain.ts';
import { glmToken, run } from '../support/program.ts';

const PYTHON_SAMPLE = `${ROOT}/test/support/python_sample.py`;
const KEYCHAIN_READ = `${ROOT}/test/bench/keychain-read.cjs`;
const ROUNDS = 40;

function summary(times: number[]) {
  const sorted = [...times].sort((a, b) => a - b);
  const at = (share: number) => sorted[Math.floor(share * (sorted.length - 1))] ?? Number.NaN;
  return { min: at(0), median: at(0.5), p99: at(0.99) };
}

function table(title: string, rows: [name: string, times: number[]][], base: string) {
  const baseTimes = rows.find(([name]) => name === base)?.[1] ?? [];
  console.log(`\n${title}\n`);
  console.log(`| | min, ms | median, ms | p99, ms | median / ${base} |`);
  console.log('|---|---:|---:|---:|---:|');
  for (const [name, times] of rows) {
    const { min, median, p99 } = summary(times);
    const ratio = median / summary(baseTimes).median;
    const cells = [min, median, p99, ratio].map((value) => value.toFixed(2));
    console.log(`| ${name} | ${cells.join(' | ')} |`);
  }
}

const session = await KeychainSession.start();
const env = {
  ...session.env,
  GLM_TEST_NODE: process.execPath,
  GLM_TEST_SCRIPT: PROGRAM,
  GLM_TEST_KEYCHAIN_READ: KEYCHAIN_READ,
  GLM_TEST_PYTHON: found.python,
  GLM_TEST_PYTHON_SAMPLE: PYTHON_SAMPLE,
};
try {
  await glmToken(['store'], { env, input: '0123456789abcdef.MadeUpSecret' });
  console.log(`${cpus()[0]?.model}, ${cpus().length} cores; Node ${process.version}`);

  const commands: [string, string[]][] = [
    ['true', ['true']],
    ['node -e 0', [process.execPath, '-e', '0']],
    ['glm-token print', [process.execPath, PROGRAM, 'print']],
    ['Python sample', [found.python, PYTHON_SAMPLE]],
  ];
  const spawned = new Map<string, number[]>(commands.map(([name]) => [name, []]));
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const [name, command] of commands) {
      const startedAt = performance.now();
      await run(command, { env });
      spawned.get(name)?.push(performance.now() - startedAt);
    }
  }
  table('Programs, started by Node', [...spawned], 'node -e 0');

  const figures: Figures['emacs'][number][] = [];
  for (const { emacs, version } of await emacsen()) {
    const keychain: number[] = JSON.parse(
      (await run([process.execPath, KEYCHAIN_READ], { env })).stdout,
    );
    const bench = [...emacsCommand(emacs), '-l', `${ROOT}/test/bench/bench.el`];
    const { stdout, stderr } = await run(bench, { env });
    if (!stdout.startsWith('{')) throw new Error(stderr);
    const { fast, slow, helperMegabytes } = JSON.parse(stdout);
    const rows: [string, number[]][] = [
      ['the header function, by the helper', fast.header],
      ['a pipe echo (floor)', fast.echo],
      ['bare keychain reads in a row (floor)', keychain],
      ['both floors in one: a pipe to a bare keychain read', fast.floors],
      ['call-process: true', slow.true],
      ['call-process: node -e 0', slow.node],
      ['call-process: glm-token print', slow.print],
      ['call-process: Python sample', slow.python],
    ];
    table(`Emacs ${version}`, rows, 'the header function, by the helper');
    const median = (times: number[]) => Number(summary(times).median.toFixed(2));
    const medianMs = {
      helper: median(fast.header),
      true: median(slow.true),
      print: median(slow.print),
      python: median(slow.python),
    };
    figures.push({ version, medianMs });
    const header = summary(fast.header);
    const floors = summary(fast.echo).median + summary(keychain).median;
    console.log(
      [
        '',
        `median ${header.median.toFixed(2)} ms (goal: at most 2)`,
        `${(summary(slow.python).median / header.median).toFixed(0)} times faster than the Python sample (goal: 50)`,
        `p99 ${header.p99.toFixed(2)} ms (goal: at most 16.7)`,
        `${(header.median / floors).toFixed(2)} times the sum of the two floors (goal: at most 1.5)`,
        `${(header.median / summary(fast.floors).median).toFixed(2)} times both floors in one, asked at the same pace`,
        `helper memory ${helperMegabytes.toFixed(0)} MB after 1700 tokens (goal: at most 80)`,
      ].join('\n- '),
    );
  }
  await leaveFigures(figures);
} finally {
  await session.stop();
}

/** Leaves what the pages show where `npm run pictures` finds it. */
async function leaveFigures(emacs: Figures['emacs']) {
  const versionIn = async (command: string[]) =>
    /\d+(\.\d+)+/.exec((await run(command, { env })).stdout)?.[0] ?? '';
  const figures: Figures = {
    date: new Date().toISOString().slice(0, 10),
    glmToken: await versionIn([process.execPath, PROGRAM, '--version']),
    cpu: cpus()[0]?.model.trim() ?? '',
    cores: cpus().length,
    node: process.versions.node,
    keyring: await versionIn(['gnome-keyring-daemon', '--version']),
    emacs,
  };
  writeFileSync(FIGURES, `${JSON.stringify(figures, undefined, 2)}\n`);
  console.log(`\nleft in ${FIGURES}; npm run pictures shows it in the pages`);
}
