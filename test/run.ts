/**
 * Runs suites of tests: sees to what they need, builds, runs their files, each with a limit of time and
 * apart from the others, and reports for people.
 *
 * Usage: run.ts [--no-install] [SUITE… | FILE…] [--without SUITE…]; every suite by default.
 */

import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { runsOn, SUITES, type Suite, suiteNamed, suiteOf, testFiles } from './suites.ts';
import { missingOf, prepare, sayHow } from './support/prepare.ts';

const ROOT = join(import.meta.dirname, '..');

const say = (text = ''): void => console.log(text);

/** What became of a test, as reporter.mjs writes it. */
interface Line {
  readonly type: 'test:dequeue' | 'test:complete' | 'test:pass' | 'test:fail';
  readonly name: string;
  readonly nesting: number;
  readonly skip?: string | boolean;
  readonly todo?: string | boolean;
  readonly isSuite?: boolean;
  readonly failure?: string;
  readonly text?: string;
}

interface Failure {
  readonly title: string;
  readonly text: string;
}

class Tally {
  passed = 0;
  readonly failures: Failure[] = [];
  readonly skipped: string[] = [];

  add(other: Tally): void {
    this.passed += other.passed;
    this.failures.push(...other.failures);
    this.skipped.push(...other.skipped);
  }

  toString(): string {
    const skipped = this.skipped.length > 0 ? `, ${this.skipped.length} skipped` : '';
    return `${this.passed} passed, ${this.failures.length} failed${skipped}`;
  }
}

/** What was asked for on the command line. */
function readArguments(args: readonly string[]) {
  const usage = (problem: string): never => {
    console.error(`test: ${problem}; the suites are ${SUITES.map(({ name }) => name).join(', ')}`);
    process.exit(2);
  };
  const suite = (name: string): Suite => suiteNamed(name) ?? usage(`no suite is called ${name}`);
  const asked: Suite[] = [];
  const without: Suite[] = [];
  const files: string[] = [];
  let dryRun = false;
  let leavesOut = false;
  for (const arg of args) {
    if (arg === '--no-install') dryRun = true;
    else if (arg === '--without') leavesOut = true;
    else if (arg.startsWith('-')) usage(`there is no option ${arg}`);
    else if (leavesOut) without.push(suite(arg));
    else if (arg.endsWith('.ts')) files.push(relative(import.meta.dirname, arg));
    else asked.push(suite(arg));
  }
  const suites = SUITES.filter(
    (one) => (asked.length === 0 || asked.includes(one)) && !without.includes(one),
  );
  return { suites, without, files, dryRun };
}

/** Reads what the reporter wrote; what had begun and has no end is a failure. */
function readReport(file: string, path: string, tally: Tally): void {
  const lines: Line[] = existsSync(path)
    ? readFileSync(path, 'utf8')
        .split('\n')
        .filter((line) => line.endsWith('}'))
        .map((line) => JSON.parse(line))
    : [];
  const parents: string[] = [];
  for (const { type, name, nesting, skip, todo, isSuite, failure, text = '' } of lines) {
    if (type === 'test:dequeue' || type === 'test:complete') continue;
    const title = `${file}: ${name}`;
    if (skip !== undefined && skip !== false) {
      tally.skipped.push(
        `${title}: ${typeof skip === 'string' && skip ? skip : 'no reason given'}`,
      );
    } else if (type === 'test:pass' || todo !== undefined) {
      if (!isSuite) tally.passed += 1;
    } else if (failure !== 'subtestsFailed') {
      tally.failures.push({ title, text: failure === 'cancelledByParent' ? '' : text });
    }
    parents.length = nesting;
  }
}

/** The tests that had begun and not ended. */
function unfinished(path: string): string[] {
  const open: string[] = [];
  for (const line of existsSync(path) ? readFileSync(path, 'utf8').split('\n') : []) {
    if (!line.endsWith('}')) continue;
    const { type, name }: Line = JSON.parse(line);
    if (type === 'test:dequeue') open.push(name);
    if (type === 'test:complete' && open.includes(name)) open.splice(open.lastIndexOf(name), 1);
  }
  return open;
}

/** The last lines of what a file printed beside its tests. */
const tailOf = (text: string): string => text.trimEnd().split('\n').slice(-30).join('\n');

/** Ends what runs, when this run is ended. */
const running = new Set<() => void>();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    for (const end of running) end();
    process.exit(130);
  });
}

/** Runs a file in a session of its own, and ends with it whatever it has started. */
async function runFile(suite: Suite, file: string): Promise<Tally> {
  const directory = mkdtempSync(join(tmpdir(), 'glm-'));
  chmodSync(directory, 0o711); // Some tests are another user for a while.
  const [report, left] = [join(directory, 'report'), join(directory, 'left')];
  const node = [
    ...[process.execPath, '--import', 'tsx', '--test-force-exit'],
    ...['--test-reporter', './test/support/reporter.mjs', join('test', file)],
  ];
  const reaper = [found.python, 'test/support/reap.py', left];
  const [program = '', ...args] = process.platform === 'win32' ? node : [...reaper, ...node];
  const child = spawn(program, args, {
    cwd: ROOT,
    detached: process.platform !== 'win32', // Nothing can ask on our terminal.
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      ...process.env,
      GLM_TEST_EMACS: 'first',
      ...suite.env,
      GLM_TEST_REPORT: report,
      TMPDIR: directory,
    },
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text) => {
      output += text;
    });
  }
  const end = (): void => {
    if (process.platform === 'win32') spawnSync('taskkill', ['/T', '/F', '/PID', `${child.pid}`]);
    else child.kill('SIGTERM');
  };
  running.add(end);
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    end();
  }, suite.minutes * 60_000);
  const startedAt = performance.now();
  const status = await new Promise<number | string>((resolve) => {
    child.on('error', (error) => resolve(String(error)));
    child.on('exit', (code, signal) => resolve(code ?? String(signal)));
  });
  clearTimeout(timer);
  running.delete(end);

  const tally = new Tally();
  readReport(file, report, tally);
  if (isLate) {
    const text = [...unfinished(report).map((name) => `did not end: ${name}`), tailOf(output)];
    const title = `${file}: ended after ${suite.minutes} minutes, its limit`;
    tally.failures.push({ title, text: text.join('\n') });
  } else if (status !== 0 && tally.failures.length === 0) {
    const text = tailOf(output);
    tally.failures.push({ title: `${file}: ended with ${status} and reported no failure`, text });
  } else if (tally.passed + tally.failures.length + tally.skipped.length === 0) {
    tally.failures.push({ title: `${file}: has no test`, text: tailOf(output) });
  }
  const remaining = existsSync(left) ? readFileSync(left, 'utf8').trim().split('\n') : [];
  rmSync(directory, { recursive: true, force: true, maxRetries: 5 });
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
  const mark = tally.failures.length > 0 ? '✖' : '✔';
  say(`${mark} ${file}: ${tally}, ${seconds} s${leftBehind(remaining)}`);
  for (const failure of tally.failures) show(failure);
  return tally;
}

const leftBehind = (programs: readonly string[]): string =>
  programs.join('') === '' ? '' : ` (it had left ${programs.join(', ')}, now ended)`;

function show({ title, text }: Failure): void {
  say(`  ✖ ${title}`);
  if (text !== '') say(text.replace(/^/gm, '      '));
}

/** Runs files, so many at the same time. */
async function runFiles(suite: Suite, files: readonly string[]): Promise<Tally> {
  const tally = new Tally();
  const waiting = [...files];
  const worker = async (): Promise<void> => {
    for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) {
      tally.add(await runFile(suite, file));
    }
  };
  await Promise.all(Array.from({ length: suite.atOnce }, worker));
  return tally;
}

const minutesOf = (ms: number): string =>
  `${Math.floor(ms / 60_000)} min ${Math.round((ms % 60_000) / 1000)} s`;

/** Why a suite cannot run here. */
function obstacleTo(suite: Suite): string | undefined {
  const missing = missingOf(suite).map(sayHow);
  return (
    suite.unavailable?.() ?? (missing.length > 0 ? `it needs ${missing.join('; ')}` : undefined)
  );
}

/** Runs a suite, or says why not; returns its line of the summary. */
async function runSuite(suite: Suite, files: readonly string[], total: Tally): Promise<string> {
  const startedAt = performance.now();
  const tally = new Tally();
  const obstacle = obstacleTo(suite);
  if (obstacle !== undefined) {
    tally.failures.push({ title: `${suite.name}: cannot run here: ${obstacle}`, text: '' });
    total.add(tally);
    return `${suite.name}: cannot run here: ${obstacle}`;
  }
  const here = files.filter((file) => runsOn(file, process.platform));
  say(`\n${suite.name}: ${suite.proves}`);
  if (here.length === 0) tally.failures.push({ title: `${suite.name}: has no files`, text: '' });
  tally.add(await runFiles(suite, here));
  total.add(tally);
  const left = files.filter((file) => !here.includes(file));
  const elsewhere = left.length > 0 ? `; not on this system: ${left.join(', ')}` : '';
  return `${suite.name}: ${tally}, ${minutesOf(performance.now() - startedAt)}${elsewhere}`;
}

const { suites, without, files, dryRun } = readArguments(process.argv.slice(2));

/** What runs: whole suites, or the files that were named, each as its suite runs it. */
const plan: [Suite, string[]][] = (
  files.length > 0
    ? SUITES.map((suite): [Suite, string[]] => [suite, files.filter((it) => suiteOf(it) === suite)])
    : suites.map((suite): [Suite, string[]] => [suite, testFiles().filter(suite.has)])
).filter(([, its]) => files.length === 0 || its.length > 0);

prepare(
  plan.map(([suite]) => suite).filter((suite) => suite.unavailable?.() === undefined),
  { dryRun },
);
if (dryRun) process.exit();
const build = spawnSync(process.execPath, ['esbuild.config.mjs'], { cwd: ROOT, stdio: 'inherit' });
if (build.status !== 0) process.exit(1);

// Only now is it known what there is.
const { found } = await import('./support/environment.ts');

const total = new Tally();
const summary: string[] = [];
for (const [suite, its] of plan) summary.push(await runSuite(suite, its, total));
if (total.failures.length > 0) {
  say('\nfailures:');
  for (const failure of total.failures) show(failure);
}
if (total.skipped.length > 0) {
  say('\nskipped:');
  for (const line of total.skipped) say(`  ${line}`);
}
say();
for (const line of summary) say(line);
for (const { name } of without) say(`${name}: left out, as asked`);
say(String(total));
process.exitCode = total.failures.length > 0 ? 1 : 0;
