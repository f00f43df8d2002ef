/** The encrypted key file, on real disks: its modes, its passphrase, and what no crash may lose. */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  watch,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, beforeEach, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { type Account, parseAccount } from '../../src/core/account.ts';
import { fileStore } from '../../src/stores/file.ts';
import { type Folder, privateFolder } from '../../src/stores/folder.ts';
import { BARE_ENV, type Env, PROGRAM, ROOT } from '../support/environment.ts';
import { glmToken, run } from '../support/program.ts';

const PASSPHRASE = 'correct horse 电池';
const account = (profile: string): Account => parseAccount('open.bigmodel.cn', profile);

const homes: string[] = [];
after(() => {
  for (const home of homes) rmSync(home, { recursive: true, force: true });
});

/** A home of its own, with the passphrase in a file. */
function makeHome(): { home: string; path: string; env: Env } {
  const home = mkdtempSync(join(tmpdir(), 'glm-token-test-'));
  homes.push(home);
  const file = join(home, 'passphrase');
  writeFileSync(file, `${PASSPHRASE}\n`, { mode: 0o600 });
  const env = {
    ...BARE_ENV,
    HOME: home,
    GLM_TOKEN_STORE: 'file',
    GLM_TOKEN_PASSPHRASE_FILE: file,
  };
  return { home, path: join(home, '.local/share/glm-token'), env };
}

let notes: string[];
let path: string;
let folder: Folder;
beforeEach(() => {
  notes = [];
  path = makeHome().path;
  folder = openFolder(path);
});

const openFolder = (path: string) =>
  privateFolder({ path, uid: process.getuid?.(), note: (line) => notes.push(line) });

const open = (options: Partial<Parameters<typeof fileStore>[0]> = {}) =>
  fileStore({ folder, askPassphrase: async () => PASSPHRASE, now: Date.now, ...options });

const modeOf = (file: string) => (statSync(file).mode & 0o777).toString(8);
const newestFile = () => join(path, folder.names()[0] ?? '');

describe('the passphrase', () => {
  test('is asked for twice when the file is made, once when it is used, and not in between', async () => {
    const asked: boolean[] = [];
    const askPassphrase = async (fresh: boolean) => {
      asked.push(fresh);
      return PASSPHRASE;
    };
    const store = open({ askPassphrase });
    assert.equal(await store.get(account('a')), undefined);
    assert.deepEqual(asked, [], 'where there is no file, nothing is to be opened');
    await store.set(account('a'), 'id.secret');
    await store.set(account('b'), 'id2.secret');
    await store.list();
    assert.deepEqual(asked, [true]);
    assert.equal(await open({ askPassphrase }).get(account('b')), 'id2.secret');
    assert.deepEqual(asked, [true, false]);
  });

  test('one typed in another Unicode form is the same', async () => {
    await open({ askPassphrase: async () => 'caf\u00e9' }).set(account('a'), 'id.secret');
    const other = open({ askPassphrase: async () => 'cafe\u0301' });
    assert.equal(await other.get(account('a')), 'id.secret');
  });

  test('a wrong one is refused, and changes nothing', async () => {
    await open().set(account('a'), 'id.secret');
    const before = readFileSync(newestFile(), 'utf8');
    const store = open({ askPassphrase: async () => 'wrong' });
    for (const act of [
      () => store.get(account('a')),
      () => store.set(account('a'), 'x.y'),
      () => store.delete(account('a')),
      () => store.list(),
      () => store.unlock?.(),
      () => store.unlock?.('also wrong'),
    ]) {
      await assert.rejects(async () => act(), { code: 'ERR_PASSPHRASE' });
    }
    assert.equal(readFileSync(newestFile(), 'utf8'), before);
  });

  test('where nobody can be asked, that is said', async () => {
    await open().set(account('a'), 'id.secret');
    await assert.rejects(open({ askPassphrase: undefined }).get(account('a')), {
      code: 'ERR_PASSPHRASE',
      message: 'the key file needs its passphrase',
      hint: /GLM_TOKEN_PASSPHRASE_FILE/,
    });
  });

  test('from a file: its first line; and each thing that can be wrong with it', async () => {
    const file = join(path, '../passphrase');
    const store = open({ passphraseFile: file, askPassphrase: undefined });
    mkdirSync(path, { recursive: true, mode: 0o700 });
    writeFileSync(file, `\uFEFF${PASSPHRASE}\r\nnot this\n`);
    await store.set(account('a'), 'id.secret');
    assert.equal(await open().get(account('a')), 'id.secret');
    const cases: [string, RegExp][] = [
      ['', /^there is no passphrase in .*: its first line is empty$/],
      ['\nsecond', /its first line is empty/],
      ['wrong', /^what .*passphrase holds is not the passphrase of the key file$/],
    ];
    for (const [text, message] of cases) {
      writeFileSync(file, text);
      const other = open({ passphraseFile: file, askPassphrase: undefined });
      await assert.rejects(other.get(account('a')), { code: 'ERR_PASSPHRASE', message });
    }
    rmSync(file);
    await assert.rejects(open({ passphraseFile: file }).get(account('a')), {
      code: 'ERR_PASSPHRASE',
      message: /^cannot read the passphrase from .* \(ENOENT\)$/,
    });
  });
});

describe('unlocking', () => {
  test('lasts until lock', async () => {
    const store = open({ askPassphrase: undefined });
    assert.equal(store.lockState?.(), 'new');
    await store.unlock?.(PASSPHRASE);
    await store.set(account('a'), 'id.secret');
    assert.equal(store.lockState?.(), 'unlocked');
    await store.lock?.();
    assert.equal(store.lockState?.(), 'locked');
    await assert.rejects(store.get(account('a')), { code: 'ERR_PASSPHRASE' });
    await store.unlock?.(PASSPHRASE);
    assert.equal(await store.get(account('a')), 'id.secret');
  });

  test('ends after what is being done, when lock comes in the middle of it', async () => {
    const store = open();
    const storing = store.set(account('a'), 'id.secret');
    await Promise.all([storing, store.lock?.()]);
    assert.equal(store.lockState?.(), 'locked');
    assert.equal(await open().get(account('a')), 'id.secret');
  });

  test('ends when nobody has used it for long enough, the machine asleep or not', async () => {
    let nowMs = 1e12;
    const store = open({ askPassphrase: undefined, lockAfterMs: 60_000, now: () => nowMs });
    await store.unlock?.(PASSPHRASE);
    await store.set(account('a'), 'id.secret');
    nowMs += 59_000;
    assert.equal(await store.get(account('a')), 'id.secret');
    nowMs += 59_000;
    assert.equal(await store.get(account('a')), 'id.secret', 'use makes it last longer');
    nowMs += 60_000;
    assert.equal(store.lockState?.(), 'locked');
    await assert.rejects(store.get(account('a')), { code: 'ERR_PASSPHRASE' });
  });

  test('ends by itself, with nobody asking', async () => {
    const store = open({ askPassphrase: undefined, lockAfterMs: 50, now: () => 1e12 });
    await store.unlock?.(PASSPHRASE);
    await delay(200);
    assert.equal(store.lockState?.(), 'new');
  });

  test('what another process wrote is seen at once, without asking again', async () => {
    let asked = 0;
    const askPassphrase = async () => {
      asked += 1;
      return PASSPHRASE;
    };
    const store = open({ askPassphrase });
    await store.set(account('a'), 'id.secret');
    await open().set(account('a'), 'id2.secret');
    assert.equal(await store.get(account('a')), 'id2.secret');
    assert.equal(asked, 1);
  });

  test('a file made anew with another passphrase is asked for', async () => {
    const store = open();
    await store.set(account('a'), 'id.secret');
    rmSync(path, { recursive: true });
    await open({ askPassphrase: async () => 'another' }).set(account('a'), 'id2.secret');
    await assert.rejects(store.get(account('a')), { code: 'ERR_PASSPHRASE' });
    await store.unlock?.('another');
    assert.equal(await store.get(account('a')), 'id2.secret');
  });
});

describe('modes', () => {
  test('0600 in a 0700 folder, and one file, whatever the umask', async () => {
    const { env, path } = makeHome();
    const script = `umask 000; exec "$0" "$@"`;
    const command = ['sh', '-c', script, process.execPath, PROGRAM, 'store'];
    assert.equal((await run(command, { env, input: 'id.secret' })).status, 0);
    assert.deepEqual(readdirSync(path), ['keys-1.jwe']);
    assert.deepEqual([modeOf(path), modeOf(join(path, 'keys-1.jwe'))], ['700', '600']);
  });

  test('that let others in are mended, with a word', async () => {
    await open().set(account('a'), 'id.secret');
    const file = newestFile();
    chmodSync(path, 0o755);
    chmodSync(file, 0o644);
    assert.equal(await open().get(account('a')), 'id.secret');
    assert.deepEqual([modeOf(path), modeOf(file)], ['700', '600']);
    assert.deepEqual(notes, [
      `glm-token: others could get at ${path}; its mode is 700 now`,
      `glm-token: others could get at ${file}; its mode is 600 now`,
    ]);
  });

  test("another user's file is not trusted", async () => {
    await open().set(account('a'), 'id.secret');
    const other = (process.getuid?.() ?? 0) + 1;
    const asOther = privateFolder({ path, uid: other, note: (line) => notes.push(line) });
    await assert.rejects(open({ folder: asOther }).get(account('a')), {
      code: 'ERR_STORE_UNAVAILABLE',
      message: /belongs to another user, and is not trusted$/,
    });
    if (process.getuid?.() === 0) {
      chownSync(newestFile(), other, other);
      await assert.rejects(open().get(account('a')), { code: 'ERR_STORE_UNAVAILABLE' });
    }
  });
});

describe('damage', () => {
  for (const [what, damage] of Object.entries({
    'cut off': (text: string) => text.slice(0, 200),
    'a flipped bit': (text: string) => text.replace('"iv":"', '"iw":"'),
    'an empty file': () => '',
  })) {
    test(`${what}: its own error, and the file is left as it is`, async () => {
      await open().set(account('a'), 'id.secret');
      const file = newestFile();
      const damaged = damage(readFileSync(file, 'utf8'));
      writeFileSync(file, damaged);
      for (const act of [
        () => open().get(account('a')),
        () => open().set(account('b'), 'x.y'),
        () => open().unlock?.(PASSPHRASE),
      ]) {
        await assert.rejects(async () => act(), {
          code: 'ERR_STORE_CORRUPT',
          message: `the key file (${file}) is damaged`,
        });
      }
      assert.equal(readFileSync(file, 'utf8'), damaged);
    });
  }
});

test('a link to nowhere in its place is an error, and no endless wait', async () => {
  await open().set(account('a'), 'id.secret');
  symlinkSync(join(path, 'nowhere'), join(path, 'keys-2.jwe'));
  await assert.rejects(open().get(account('a')), { code: 'ERR_STORE_UNAVAILABLE' });
});

describe('writers at once', () => {
  test('lose nothing, whatever they change', async () => {
    const { env } = makeHome();
    const names = Array.from({ length: 8 }, (_, n) => `p${n}`);
    const outcomes = await Promise.all(
      names.map((name) =>
        glmToken(['store', `--profile=${name}`], { env, input: `${name}.secret` }),
      ),
    );
    for (const { status, stderr } of outcomes) assert.equal(status, 0, stderr);
    const removed = names.slice(0, 2);
    const changes = [
      ...removed.map((name) => glmToken(['delete', '--force', `--profile=${name}`], { env })),
      glmToken(['store', '--profile=new'], { env, input: 'new.secret' }),
    ];
    for (const { status, stderr } of await Promise.all(changes)) assert.equal(status, 0, stderr);
    const { accounts } = JSON.parse((await glmToken(['list', '--json'], { env })).stdout);
    assert.deepEqual(
      accounts.map(({ profile }: { profile: string }) => profile).sort(),
      [...names.slice(2), 'new'].sort(),
    );
  });

  test('one so slow that its number was used and removed does its change again', async () => {
    await open().set(account('a'), 'id.secret');
    let overtake = true;
    const slow: Folder = {
      ...folder,
      create(name, text) {
        if (overtake) {
          overtake = false;
          // What two others do meanwhile: they write 2 and 3, and remove 1 and 2.
          const newer = readFileSync(join(path, 'keys-1.jwe'), 'utf8');
          writeFileSync(join(path, 'keys-3.jwe'), newer, { mode: 0o600 });
          rmSync(join(path, 'keys-1.jwe'));
        }
        return folder.create(name, text);
      },
    };
    await open({ folder: slow }).set(account('b'), 'id2.secret');
    assert.deepEqual(readdirSync(path), ['keys-4.jwe']);
    assert.equal((await open().list()).length, 2);
  });
});

describe('a write that is killed with -9', { concurrency: 2 }, () => {
  const ROUNDS = 100;

  for (const lane of [1, 2]) {
    test(`loses and tears nothing, ${ROUNDS} times (${lane} of 2)`, async () => {
      const { env, path } = makeHome();
      const folder = openFolder(path);
      const promised = new Map<string, string>();
      let inTheMiddle = 0;
      await glmToken(['store', '--profile=first'], { env, input: 'first.secret' });
      promised.set('first', 'first.secret');
      for (let round = 0; round < ROUNDS; round += 1) {
        const profile = `p${round % 5}`;
        const key = `id${round}.secret`;
        const command = [PROGRAM, 'store', '--force', `--profile=${profile}`];
        const child = spawn(process.execPath, command, {
          env,
          stdio: ['pipe', 'ignore', 'ignore'],
        });
        // The first thing that happens in the folder is the temporary file: kill it about then.
        const watcher = watch(path, () => {
          watcher.close();
          const until = performance.now() + Math.random() * 4;
          while (performance.now() < until);
          child.kill('SIGKILL');
        });
        child.stdin.end(key);
        const [status] = await once(child, 'exit');
        watcher.close();
        if (status === null) inTheMiddle += 1;
        const kept = await open({ folder }).get(account(profile));
        const before = promised.get(profile);
        if (status === 0) assert.equal(kept, key, 'what was reported as stored is there');
        else assert.ok(kept === before || kept === key, `${kept}`);
        if (kept !== undefined) promised.set(profile, kept);
      }
      const listed = await open({ folder }).list();
      assert.deepEqual(
        new Map(listed.map(({ account, text }) => [account.profile, text])),
        promised,
      );
      assert.ok(inTheMiddle > ROUNDS / 2, `only ${inTheMiddle} were killed in time`);
    });
  }

  test('what it leaves is removed by a later write, and never blocks one', async () => {
    await open().set(account('a'), 'id.secret');
    for (const [name, ageS] of [
      ['.old.tmp', 120],
      ['.new.tmp', 0],
    ] as const) {
      writeFileSync(join(path, name), 'half a fi', { mode: 0o600 });
      const at = Date.now() / 1000 - ageS;
      utimesSync(join(path, name), at, at);
    }
    await open().set(account('b'), 'id2.secret');
    assert.deepEqual(readdirSync(path).sort(), ['.new.tmp', 'keys-2.jwe']);
  });
});

describe('a disk that does not take it', () => {
  test('when it is full: an error, with the old file intact', async (t) => {
    const { home, env } = makeHome();
    const folder = join(home, 'small');
    mkdirSync(folder, { mode: 0o700 });
    const script = (fill: string) => `
      export XDG_DATA_HOME="$FOLDER"
      ${fill}
      printf id2.secret | "$@" store --profile=other; echo "status $?"
      ulimit -f unlimited
      ls -A "$FOLDER/glm-token"
      "$@" list --json`;
    const store = 'printf id.secret | "$@" store || exit 98';
    const realDisk = script(`
      mount -t tmpfs -o size=12k,mode=700 tmpfs "$FOLDER" || exit 99
      ${store}
      cat /dev/zero >"$FOLDER/ballast" 2>/dev/null`);
    const inShell = (command: string[], text: string) =>
      run([...command, 'sh', '-c', text, 'sh', process.execPath, PROGRAM], {
        env: { ...env, FOLDER: folder },
      });
    const asRoot = process.getuid?.() === 0 ? [] : ['--map-root-user'];
    let reason = 'the disk is full\nhint: free some space';
    let outcome = await inShell(['unshare', '--mount', ...asRoot], realDisk);
    if (outcome.status === 99 || /^unshare: /m.test(outcome.stderr)) {
      t.diagnostic('a disk may not be mounted here; a limit on the size of files fails as well');
      reason = 'EFBIG\nhint: check the folder and its disk';
      outcome = await inShell([], script(`${store}\n trap '' XFSZ; ulimit -S -f 0`));
    }
    const { status, stdout, stderr } = outcome;
    assert.equal(status, 0, `${stdout}${stderr}`);
    assert.match(stderr, new RegExp(`cannot write .*keys-2\\.jwe: ${reason}`));
    const [code, file, list] = stdout.split('\n');
    assert.deepEqual([code, file], ['status 5', 'keys-1.jwe']);
    assert.equal(JSON.parse(list ?? '').accounts.length, 1);
  });

  test('when it has no such folder, and cannot have one', async () => {
    const { env, home } = makeHome();
    writeFileSync(join(home, 'file'), '');
    const { status, stderr } = await glmToken(['store'], {
      env: { ...env, XDG_DATA_HOME: join(home, 'file') },
      input: 'id.secret',
    });
    assert.equal(status, 5);
    assert.match(stderr, /^glm-token: cannot (read|write) .*: ENOTDIR\nhint: /);
  });
});

test('doctor knows a file that does not outlive a reboot', async () => {
  const { perishes } = privateFolder({ path: '/dev/shm', uid: process.getuid?.(), note: () => {} });
  const type = (await run(['stat', '-f', '-c', '%T', '/dev/shm'])).stdout.trim();
  assert.equal(type, 'tmpfs');
  assert.match(perishes() ?? '', /in memory/);
  assert.equal(openFolder(ROOT).perishes()?.includes('memory'), undefined);
});
