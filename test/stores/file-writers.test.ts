/** The encrypted file under many writers, and under ones that are killed: nothing is torn or lost. */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  watch,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { Account } from '../../src/core/account.ts';
import type { WritableStore } from '../../src/stores/port.ts';
import { BARE_ENV, type Env, PROGRAM } from '../support/environment.ts';
import { glmToken } from '../support/program.ts';
import { openFile } from '../support/stores.ts';

const PASSPHRASE = 'correct horse 电池';

const account = (profile: string): Account => ({ host: 'open.bigmodel.cn', profile });

const top = mkdtempSync(join(tmpdir(), 'glm-token-test-'));
after(() => rmSync(top, { recursive: true, force: true, maxRetries: 5 }));

interface Home {
  /** The directory of the encrypted file. */
  readonly path: string;
  readonly keyFile: string;
  /** The lock of whoever writes. */
  readonly lock: string;
  readonly env: Env;
  /** The store, as another process would open it. */
  open(): WritableStore;
}

/** A home of its own, with the passphrase in a file. */
function makeHome(): Home {
  const home = mkdtempSync(join(top, 'home-'));
  const passphraseFile = join(home, 'passphrase');
  writeFileSync(passphraseFile, `${PASSPHRASE}\n`, { mode: 0o600 });
  const path = join(home, '.local/share/glm-token');
  return {
    path,
    keyFile: join(path, 'keys.jwe'),
    lock: join(path, 'keys.jwe.lock'),
    env: {
      ...BARE_ENV,
      HOME: home,
      GLM_TOKEN_STORE: 'file',
      GLM_TOKEN_PASSPHRASE_FILE: passphraseFile,
    },
    open: () => openFile(path, { passphraseFile }),
  };
}

/** The profiles that have a key. */
const profilesIn = async (store: WritableStore) =>
  (await store.list()).map(({ account }) => account.profile).sort();

test('20 writers that each write 5 times at once lose nothing', async () => {
  const { path, env, open } = makeHome();
  const PROGRAMS = 3;
  const rounds = [0, 1, 2, 3, 4];

  const byProgram = async (profile: string, deletes: boolean) => {
    const command = deletes ? ['delete', '--force'] : ['store'];
    const { status, stderr } = await glmToken([...command, `--profile=${profile}`], {
      env,
      input: `${profile}.secret`,
    });
    assert.equal(status, 0, stderr);
  };

  const writers = Array.from({ length: 20 }, async (_, writer) => {
    const store = open();
    const first = `w${writer}r0`;
    const isProgram = writer < PROGRAMS;
    for (const round of rounds) {
      const profile = `w${writer}r${round}`;
      if (isProgram) await byProgram(profile, false);
      else await store.set(account(profile), `${profile}.secret`);
    }
    // Deletions are changes too.
    if (isProgram) await byProgram(first, true);
    else assert.equal(await store.delete(account(first)), true);
  });
  await Promise.all(writers);

  const expected = Array.from({ length: 20 }, (_, writer) =>
    rounds.slice(1).map((round) => `w${writer}r${round}`),
  );
  const store = open();
  assert.deepEqual(await profilesIn(store), expected.flat().sort());
  for (const profile of expected.flat()) {
    assert.equal(await store.get(account(profile)), `${profile}.secret`);
  }
  assert.deepEqual(readdirSync(path), ['keys.jwe']);
});

test('readers do not wait for the lock', async () => {
  const { lock, env, open } = makeHome();
  await open().set(account('default'), 'id.secret');
  holdLock(lock);
  assert.equal(await open().get(account('default')), 'id.secret');
  assert.deepEqual(await profilesIn(open()), ['default']);
  for (const command of [['print'], ['list']]) {
    assert.equal((await glmToken(command, { env })).status, 0);
  }
  const { stdout } = await glmToken(['doctor', '--json', '--host=127.0.0.1:1'], { env });
  assert.equal(findingOf(stdout, 'store')?.level, 'ok');
  assert.ok(existsSync(lock));
});

/** A lock that never goes stale, as that of a writer who is at work. */
function holdLock(lock: string): void {
  mkdirSync(lock);
  const inAnHour = Date.now() / 1000 + 3600;
  utimesSync(lock, inAnHour, inAnHour);
}

const findingOf = (doctor: string, check: string): { level: string } | undefined =>
  JSON.parse(doctor).findings.find((finding: { check: string }) => finding.check === check);

test('a writer that finds nothing to delete does not wait for the lock', async () => {
  const { lock, env, open } = makeHome();
  await open().set(account('default'), 'id.secret');
  holdLock(lock);
  assert.equal(await open().delete(account('other')), false);
  assert.equal((await glmToken(['delete', '--force', '--profile=other'], { env })).status, 3);
});

// Both at once: the second only waits.
describe('a writer that is killed with -9', { concurrency: true }, () => {
  const KILLS = 100;
  const LANES = 4;
  /** How long a write takes with its lock, most of it PBKDF2, in milliseconds. */
  const WRITE_MS = 300;

  test(`tears and loses nothing, ${KILLS} times`, async () => {
    const template = makeHome();
    await template.open().set(account('kept'), 'kept.secret');
    await template.open().set(account('changed'), 'before.secret');
    const ended = { killed: 0, locked: 0, temporary: 0, changed: 0 };
    const waiting = Array.from({ length: KILLS }, (_, kill) => kill);
    const runLane = async () => {
      for (let kill = waiting.pop(); kill !== undefined; kill = waiting.pop()) {
        // Every other one about when the temporary file is renamed, the others at any time.
        await killOne(template, kill % 2 === 0, ended);
      }
    };
    await Promise.all(Array.from({ length: LANES }, runLane));
    assert.ok(ended.killed > KILLS / 2, `only ${ended.killed} were killed in time`);
    assert.ok(ended.locked > KILLS / 4, `only ${ended.locked} were killed with the lock`);
    assert.ok(ended.temporary > 0, 'none was killed with its temporary file');
    assert.ok(ended.changed > 0, 'none was killed after its rename');
  });

  async function killOne(
    template: Home,
    atRename: boolean,
    ended: { killed: number; locked: number; temporary: number; changed: number },
  ): Promise<void> {
    const { path, keyFile, lock, env, open } = makeHome();
    mkdirSync(path, { recursive: true, mode: 0o700 });
    copyFileSync(template.keyFile, keyFile);
    const child = spawn(process.execPath, [PROGRAM, 'store', '--force', '--profile=changed'], {
      env,
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    const isOver = once(child, 'exit');
    const watcher = watch(path, (_event, name) => {
      if (atRename ? !name?.endsWith('.tmp') : name !== 'keys.jwe.lock') return;
      watcher.close();
      if (!atRename) return void setTimeout(() => child.kill('SIGKILL'), Math.random() * WRITE_MS);
      const until = performance.now() + Math.random() * 12;
      while (performance.now() < until);
      child.kill('SIGKILL');
    });
    child.stdin.end('after.secret');
    const [status] = await isOver;
    watcher.close();

    const store = open();
    const changed = await store.get(account('changed'));
    if (status === 0) {
      assert.equal(changed, 'after.secret', 'what was reported as stored is there');
    } else {
      assert.equal(status, null, 'it was killed, or it succeeded');
      assert.ok(changed === 'before.secret' || changed === 'after.secret', changed);
      ended.killed += 1;
      if (existsSync(lock)) ended.locked += 1;
      if (readdirSync(path).some((name) => name.endsWith('.tmp'))) ended.temporary += 1;
      if (changed === 'after.secret') ended.changed += 1;
    }
    assert.equal(await store.get(account('kept')), 'kept.secret');
    assert.deepEqual(await profilesIn(store), ['changed', 'kept']);
  }

  test('leaves a lock that the next writer takes over after a few seconds', async () => {
    const { path, lock, env, open } = makeHome();
    await open().set(account('a'), 'id.secret');
    const child = spawn(process.execPath, [PROGRAM, 'store', '--profile=b'], {
      env,
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    const watcher = watch(path, (_event, name) => {
      if (name === 'keys.jwe.lock') child.kill('SIGKILL');
    });
    child.stdin.end('id2.secret');
    await once(child, 'exit');
    watcher.close();
    assert.ok(existsSync(lock), 'its lock was left behind');
    writeFileSync(join(path, '.left.tmp'), 'half a fi', { mode: 0o600 });
    const before = readFileSync(join(path, 'keys.jwe'), 'utf8');

    const startedAt = performance.now();
    const next = glmToken(['store', '--profile=c'], { env, input: 'id3.secret' });
    await delay(1500);
    assert.equal(readFileSync(join(path, 'keys.jwe'), 'utf8'), before, 'it waits at first');
    const { status, stderr } = await next;
    assert.equal(status, 0, stderr);
    assert.ok(performance.now() - startedAt < 10_000);
    assert.deepEqual(await profilesIn(open()), ['a', 'c']);
    assert.deepEqual(readdirSync(path), ['keys.jwe']);
  });
});
