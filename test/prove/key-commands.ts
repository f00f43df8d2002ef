/** A key that a command prints stays where it is, and no command that others wrote is run. */

import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import fc from 'fast-check';
import { BARE_ENV, type Env, PROGRAM } from '../support/environment.ts';
import { Helper } from '../support/helper.ts';
import { PasswordStore } from '../support/password-store.ts';
import { glmToken, run } from '../support/program.ts';
import { SocketClient, SocketHelper } from '../support/socket-helper.ts';
import { COPIES } from './bounds.ts';
import { Canary } from './canary.ts';
import { atMost, needsMemory, REST_MS } from './copies.ts';
import { countInMemory, Sampler } from './processes.ts';
import { each, oneRow, type Row, type Size, type Trials } from './row.ts';

const ID = '0123456789abcdef0123456789abcdef';
const SHOW = ['pass', 'show', 'glm'];

export const keyCommands: Trials = {
  'command in the helper': ({ isShort }) => inHelper(isShort ? 50 : 200),
  'command that misbehaves': oneRow(misbehaving),
  'command that others set': oneRow(setByOthers),
};

/** With a real pass: what the helper holds until `lock`, what it leaves, and where else the key is. */
async function* inHelper(tokens: number): AsyncGenerator<Row> {
  const trial = 'memory of the helper, after a key from pass was forgotten';
  if (!(yield* needsMemory(trial))) return;
  const canary = new Canary();
  const sampler = new Sampler(canary);
  const pass = PasswordStore.make();
  const home = pass.env.HOME ?? '';
  let helper: Helper | undefined;
  try {
    pass.insert('glm', `${ID}.${canary.text}\nuser: me\n`);
    const stored = await glmToken(['store', '--from-command', '--', ...SHOW], {
      env: pass.env,
      onSpawn: ({ pid }) => sampler.watch(pid ?? 0),
    });
    helper = new Helper(pass.env);
    sampler.watch(helper.pid);
    let answered = 0;
    for (let token = 0; token < tokens; token += 1) {
      if ((await helper.request('token')).result?.token) answered += 1;
    }
    const before = countInMemory(helper.pid, canary.forms);
    await helper.request('lock');
    await delay(REST_MS);
    yield atMost(
      trial,
      `${tokens} tokens`,
      { key: [countInMemory(helper.pid, canary.forms), COPIES.commandKeyAfterLock] },
      [
        ...(before === 0 ? ['the key was never there, so the search finds nothing'] : []),
        ...(answered === tokens ? [] : [`${tokens - answered} tokens did not come`]),
      ],
    );
    const { found, count } = canary.filesBelow(home);
    const output = canary.isIn(stored.stdout + stored.stderr) ? ['output of store'] : [];
    const leaks = [...found, ...output, ...sampler.leaks];
    yield {
      trial: 'files, arguments and environments while pass gives the key',
      count: `${count} files, ${sampler.samples} samples`,
      seen: `in ${leaks.length}`,
      faults: leaks,
    };
  } finally {
    sampler.stop();
    await helper?.stop();
    pass.stop();
  }
}

/** What a command printed that is no key is in no output, however it ended. */
async function misbehaving({ isShort, seed }: Size): Promise<Row> {
  const home = mkdtempSync(join(tmpdir(), 'glm-token-test-'));
  const canary = new Canary();
  const env = { ...BARE_ENV, HOME: home };
  const faults: string[] = [];
  const outputs = fc.sample(
    fc.record({
      before: fc.oneof(
        fc.string({ unit: 'binary' }),
        fc.constantFrom('', 'id.', 'x.y.', 'Bearer ', '\0'),
      ),
      after: fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom('', '.', '.a.b', ' ')),
      times: fc.constantFrom(1, 1, 1, 1000),
      status: fc.constantFrom(0, 0, 1, 255),
      onError: fc.boolean(),
    }),
    { numRuns: isShort ? 20 : 200, seed },
  );
  const seen = { kept: 0, refused: 0 };
  try {
    await each(outputs.entries(), 3, async ([at, { before, after, times, status, onError }]) => {
      const output = join(home, `output-${at}`);
      writeFileSync(output, `${before}${canary.text}${after}`.repeat(times));
      const copy = onError ? `cat "${output}" >&2;` : '';
      const words = ['sh', '-c', `${copy} cat "${output}"; exit ${status}`];
      const profile = `--profile=p${at}`;
      const outcome = await run(
        [
          ...['timeout', '30', process.execPath],
          ...[PROGRAM, 'store', '--from-command', profile, '--', ...words],
        ],
        { env },
      );
      const name = JSON.stringify({ before, after, times, status });
      if (canary.isIn(outcome.stdout + outcome.stderr)) faults.push(`told after ${name}`);
      if (outcome.status === 0) seen.kept += 1;
      else seen.refused += 1;
      if (![0, 4, 5].includes(outcome.status ?? -1)) {
        faults.push(`status ${outcome.status} after ${name}`);
      }
      if (status !== 0 && outcome.status === 0) faults.push(`kept after ${name}`);
    });
  } finally {
    rmSync(home, { recursive: true });
  }
  return {
    trial: 'commands that print something else, or fail',
    count: `${outputs.length} commands`,
    seen: `${seen.refused} refused, ${seen.kept} printed a key`,
    faults: [...faults, ...(seen.refused === 0 ? ['none was refused'] : [])],
  };
}

/** Ways in which somebody else could have a command run as us. */
async function setByOthers(): Promise<Row> {
  const faults: string[] = [];
  let count = 0;
  const home = mkdtempSync(join(tmpdir(), 'glm-token-test-'));
  const isRoot = process.getuid?.() === 0;
  const ways: Record<string, (file: string, directory: string) => void> = {
    'file that a group can write': (file) => chmodSync(file, 0o620),
    'file that anyone can write': (file) => chmodSync(file, 0o606),
    'directory that a group can write': (_file, directory) => chmodSync(directory, 0o770),
    'directory that anyone can write': (_file, directory) => chmodSync(directory, 0o707),
    'link to a file': (file, directory) => {
      const target = join(directory, 'target');
      writeFileSync(target, readFileSync(file), { mode: 0o600 });
      rmSync(file);
      symlinkSync(target, file);
    },
    ...(isRoot && {
      'file of another user': (file) => chownSync(file, 65534, 65534),
      'directory of another user': (_file, directory) => chownSync(directory, 65534, 65534),
    }),
  };
  try {
    for (const [way, apply] of Object.entries(ways)) {
      count += 1;
      const own = join(home, `home-${count}`);
      const directory = join(own, '.config/glm-token');
      mkdirSync(directory, { recursive: true, mode: 0o700 });
      const ran = join(own, 'ran');
      const words = ['sh', '-c', `touch "${ran}"; echo id.secret`];
      const file = join(directory, 'commands.json');
      const commands = { 'default@open.bigmodel.cn': words };
      writeFileSync(file, JSON.stringify({ commands }), { mode: 0o600 });
      apply(file, directory);
      const { status } = await glmToken(['print'], { env: { ...BARE_ENV, HOME: own } });
      const isRun = statSync(ran, { throwIfNoEntry: false }) !== undefined;
      if (isRun) faults.push(`${way}: it was run`);
      if (status !== 5) faults.push(`${way}: status ${status}`);
    }
    count += await setThroughSocket({ ...BARE_ENV, HOME: home }, join(home, 'agent.sock'), faults);
  } finally {
    rmSync(home, { recursive: true });
  }
  return {
    trial: 'commands that others could have written, or set through a socket',
    count: `${count} ways`,
    seen: faults.length === 0 ? 'none was run' : `${faults.length} went through`,
    faults,
  };
}

async function setThroughSocket(env: Env, path: string, faults: string[]): Promise<number> {
  const ways = [[], ['--allow-write'], ['--accounts', 'open.bigmodel.cn']];
  for (const options of ways) {
    const helper = await SocketHelper.start(path, options, env);
    const client = await SocketClient.connect(path);
    const { error } = await client.request('store', { command: ['echo', 'id.secret'] });
    if (error?.data.code !== 'ERR_USAGE') faults.push(`socket ${options.join(' ')}: ${error}`);
    client.socket.destroy();
    await helper.stop();
  }
  return ways.length;
}
