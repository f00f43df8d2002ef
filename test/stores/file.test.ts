/** The encrypted file: its passphrase, how long it stays unlocked, and what is refused. */

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { FlattenedEncrypt } from 'jose';
import type { Account } from '../../src/core/account.ts';
import type { AskPassphrase } from '../../src/stores/passphrase.ts';
import type { StoresWorld } from '../../src/stores/port.ts';
import { BARE_ENV, type Env, PROGRAM } from '../support/environment.ts';
import { CALL, glmToken, type Outcome, run } from '../support/program.ts';
import { openFile, ROUNDS } from '../support/stores.ts';

const PASSPHRASE = 'correct horse 电池';

const account = (profile: string): Account => ({ host: 'open.bigmodel.cn', profile });

let home: string;
let path: string;
let keyFile: string;
let passphraseFile: string;
/** For the program. */
let env: Env;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'glm-token-test-'));
  path = join(home, '.local/share/glm-token');
  keyFile = join(path, 'keys.jwe');
  passphraseFile = join(home, 'passphrase');
  writeFileSync(passphraseFile, `${PASSPHRASE}\n`, { mode: 0o600 });
  env = {
    ...BARE_ENV,
    HOME: home,
    GLM_TOKEN_STORE: 'file',
    GLM_TOKEN_PASSPHRASE_FILE: passphraseFile,
  };
});
afterEach(() => rmSync(home, { recursive: true }));

const open = (world: Partial<StoresWorld> = {}) =>
  openFile(path, { askPassphrase: async () => PASSPHRASE, ...world });

/** For a store that can ask no one. */
const nobody: AskPassphrase = async () => undefined;

/** Runs the program, which is ended after ten seconds; the status is 124 then. */
const glmTokenInTime = (args: string[], more: Env = {}, input = ''): Promise<Outcome> =>
  run(['timeout', '10', process.execPath, PROGRAM, ...args], { env: { ...env, ...more }, input });

describe('the passphrase', () => {
  test('is asked for when the file is made and when it is opened, and not in between', async () => {
    const asked: boolean[] = [];
    const askPassphrase: AskPassphrase = async ({ isNew }) => {
      asked.push(isNew);
      return PASSPHRASE;
    };
    const store = open({ askPassphrase });
    assert.equal(await store.get(account('a')), undefined);
    assert.deepEqual(asked, [], 'without a file there is nothing to open');
    await store.set(account('a'), 'id.secret');
    await store.set(account('b'), 'id2.secret');
    await store.list();
    assert.deepEqual(asked, [true]);
    assert.equal(await open({ askPassphrase }).get(account('b')), 'id2.secret');
    assert.deepEqual(asked, [true, false]);
  });

  test('is the same in another Unicode form', async () => {
    await open({ askPassphrase: async () => 'caf\u00e9' }).set(account('a'), 'id.secret');
    const other = open({ askPassphrase: async () => 'cafe\u0301' });
    assert.equal(await other.get(account('a')), 'id.secret');
  });

  test('is refused when it is wrong, and nothing is changed', async () => {
    await open().set(account('a'), 'id.secret');
    const before = readFileSync(keyFile, 'utf8');
    const store = open({ askPassphrase: async () => 'wrong' });
    for (const act of [
      () => store.get(account('a')),
      () => store.set(account('a'), 'x.y'),
      () => store.delete(account('a')),
      () => store.list(),
      () => store.unlock('also wrong'),
    ]) {
      await assert.rejects(async () => act(), {
        code: 'ERR_PASSPHRASE',
        reason: 'passphraseWrong',
        params: { path: keyFile },
      });
    }
    assert.equal(readFileSync(keyFile, 'utf8'), before);
    assert.deepEqual(readdirSync(path), ['keys.jwe']);
  });

  test('is refused when it is empty and the file is new', async () => {
    const refusal = { code: 'ERR_PASSPHRASE', reason: 'passphraseEmpty' };
    await assert.rejects(open().unlock(''), refusal);
    const store = open({ askPassphrase: async () => '' });
    await assert.rejects(store.set(account('a'), 'id.secret'), refusal);
  });

  test('is needed, where no one can be asked for it', async () => {
    const store = open({ askPassphrase: nobody });
    const refusal = (isNew: boolean) => ({
      code: 'ERR_PASSPHRASE',
      reason: 'passphraseNeeded',
      params: { isNew },
    });
    await assert.rejects(store.set(account('a'), 'id.secret'), refusal(true));
    await open().set(account('a'), 'id.secret');
    await assert.rejects(store.get(account('a')), refusal(false));
  });

  test('is the first line of a file', async () => {
    const file = join(home, 'other');
    const store = open({ passphraseFile: file, askPassphrase: nobody });
    writeFileSync(file, `\uFEFF${PASSPHRASE}\r\nnot this\n`);
    await store.set(account('a'), 'id.secret');
    assert.equal(await open().get(account('a')), 'id.secret');
  });

  test('is refused for each thing that can be wrong with its file', async () => {
    await open().set(account('a'), 'id.secret');
    const file = join(home, 'other');
    const refused = (reason: string, params: object) =>
      assert.rejects(open({ passphraseFile: file, askPassphrase: nobody }).get(account('a')), {
        code: 'ERR_PASSPHRASE',
        reason,
        params: { passphraseFile: file, ...params },
      });
    await refused('passphraseFileUnreadable', { errno: 'ENOENT' });
    for (const [text, reason] of [
      ['', 'passphraseFileEmpty'],
      ['\nsecond', 'passphraseFileEmpty'],
      ['wrong', 'passphraseInFileWrong'],
    ] as const) {
      writeFileSync(file, text);
      await refused(reason, {});
    }
    writeFileSync(file, 'x'.repeat(70_000));
    await refused('passphraseFileUnreadable', { errno: 'EIRREGULAR' });
  });
});

describe('an unlocked file', () => {
  test('stays unlocked until it is locked', async () => {
    const store = open({ askPassphrase: nobody });
    assert.equal(store.lockState(), 'new');
    await store.unlock(PASSPHRASE);
    await store.set(account('a'), 'id.secret');
    assert.equal(store.lockState(), 'unlocked');
    await store.forget();
    assert.equal(store.lockState(), 'locked');
    await assert.rejects(store.get(account('a')), { code: 'ERR_PASSPHRASE' });
    await store.unlock(PASSPHRASE);
    assert.equal(await store.get(account('a')), 'id.secret');
  });

  test('is locked after what is being done, when it is locked in the middle of it', async () => {
    const store = open();
    const storing = store.set(account('a'), 'id.secret');
    await Promise.all([storing, store.forget()]);
    assert.equal(store.lockState(), 'locked');
    assert.equal(await open().get(account('a')), 'id.secret');
  });

  test('is locked after its idle time, even when the machine slept', async () => {
    let nowMs = 1e12;
    const store = open({ askPassphrase: nobody, lockAfterMs: 60_000, now: () => nowMs });
    await store.unlock(PASSPHRASE);
    await store.set(account('a'), 'id.secret');
    nowMs += 59_000;
    assert.equal(await store.get(account('a')), 'id.secret');
    nowMs += 59_000;
    assert.equal(await store.get(account('a')), 'id.secret', 'each use starts the time anew');
    nowMs += 60_000;
    assert.equal(store.lockState(), 'locked');
    await assert.rejects(store.get(account('a')), { code: 'ERR_PASSPHRASE' });
  });

  test('is locked by itself when no one uses it', async () => {
    const store = open({ askPassphrase: nobody, lockAfterMs: 20, now: () => 1e12 });
    await store.unlock(PASSPHRASE);
    assert.equal(store.lockState(), 'unlocked');
    await delay(60);
    assert.equal(store.lockState(), 'new');
  });

  test('shows what another process wrote, without asking again', async () => {
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

  test('is opened anew when the file was made again with another passphrase', async () => {
    const store = open();
    await store.set(account('a'), 'id.secret');
    rmSync(path, { recursive: true });
    await open({ askPassphrase: async () => 'another' }).set(account('a'), 'id2.secret');
    await assert.rejects(store.get(account('a')), { code: 'ERR_PASSPHRASE' });
    await store.unlock('another');
    assert.equal(await store.get(account('a')), 'id2.secret');
  });

  test('is removed and locked with its last key', async () => {
    const store = open({ askPassphrase: nobody });
    await store.unlock(PASSPHRASE);
    await store.set(account('a'), 'id.secret');
    await store.set(account('b'), 'id2.secret');
    assert.equal(await store.delete(account('a')), true);
    assert.deepEqual(readdirSync(path), ['keys.jwe']);
    assert.equal(await store.delete(account('b')), true);
    assert.deepEqual(readdirSync(path), []);
    assert.equal(store.lockState(), 'new');
    assert.equal(await store.delete(account('b')), false);
  });
});

test('the program makes one file, 0600 in a 0700 directory, whatever the umask', async () => {
  const command = ['sh', '-c', 'umask 000; exec "$0" "$@"', process.execPath, PROGRAM, 'store'];
  assert.equal((await run(command, { env, input: 'id.secret' })).status, 0);
  assert.deepEqual(readdirSync(path), ['keys.jwe']);
  assert.deepEqual(
    [statSync(path), statSync(keyFile)].map(({ mode }) => (mode & 0o777).toString(8)),
    ['700', '600'],
  );
});

test('the program corrects a mode that lets others in, and says so', async () => {
  await open().set(account('default'), 'id.secret');
  assert.equal((await run(['chmod', '755', path])).status, 0);
  assert.equal((await run(['chmod', '644', keyFile])).status, 0);
  const { status, stderr } = await glmToken(['print'], { env });
  assert.equal(status, 0);
  assert.equal(
    stderr,
    `glm-token: others could access ${path}; its mode is now 700\n` +
      `glm-token: others could access ${keyFile}; its mode is now 600\n`,
  );
});

test('a file system without hard links is enough', async () => {
  const refuseLinks = join(home, 'no-links.cjs');
  writeFileSync(
    refuseLinks,
    `const fs = require('node:fs');
     const refuse = () => { throw Object.assign(new Error('EPERM: link'), { code: 'EPERM' }); };
     fs.link = fs.linkSync = fs.promises.link = refuse;
     require('node:module').syncBuiltinESMExports();`,
  );
  const more = { NODE_OPTIONS: `--require=${refuseLinks}` };
  for (const profile of ['a', 'b']) {
    const { status, stderr } = await glmTokenInTime(
      ['store', `--profile=${profile}`],
      more,
      'id.secret',
    );
    assert.equal(status, 0, stderr);
  }
  assert.equal((await open().list()).length, 2);
});

describe('a damaged file', () => {
  for (const [what, damage] of Object.entries({
    'that is cut off': (text: string) => text.slice(0, 200),
    'with a flipped bit': (text: string) => text.replace('"iv":"', '"iw":"'),
    'that is empty': () => '',
  })) {
    test(`${what} is ERR_STORE_CORRUPT and left as it is`, async () => {
      await open().set(account('a'), 'id.secret');
      const damaged = damage(readFileSync(keyFile, 'utf8'));
      writeFileSync(keyFile, damaged);
      for (const act of [
        () => open().get(account('a')),
        () => open().set(account('b'), 'x.y'),
        () => open().delete(account('a')),
        () => open().unlock(PASSPHRASE),
      ]) {
        await assert.rejects(async () => act(), {
          code: 'ERR_STORE_CORRUPT',
          reason: 'keyFileDamaged',
          params: { path: keyFile },
        });
      }
      assert.equal(readFileSync(keyFile, 'utf8'), damaged);
    });
  }

  test('makes the program exit 8, with a cure', async () => {
    await open().set(account('a'), 'id.secret');
    writeFileSync(keyFile, '{}');
    const { status, stdout, stderr } = await glmTokenInTime(['print']);
    assert.deepEqual([status, stdout], [8, '']);
    assert.equal(
      stderr,
      `glm-token: the encrypted file (${keyFile}) is damaged\n` +
        `hint: restore it from a backup, or remove it and run: ${CALL} store --store file\n`,
    );
  });
});

test('odd content behind the right passphrase is ERR_STORE_CORRUPT, and left as it is', async () => {
  mkdirSync(path, { recursive: true, mode: 0o700 });
  for (const content of [
    'not JSON',
    'null',
    '[]',
    '"text"',
    '{}',
    '{"keys":null}',
    '{"keys":"text"}',
    '{"keys":["id.secret"]}',
    '{"keys":{"a@open.bigmodel.cn":1}}',
    '{"keys":{"a@open.bigmodel.cn":null}}',
  ]) {
    const text = await sealText(content);
    writeFileSync(keyFile, text, { mode: 0o600 });
    for (const act of [
      () => open().get(account('a')),
      () => open().list(),
      () => open().set(account('a'), 'x.y'),
    ]) {
      await assert.rejects(act(), { code: 'ERR_STORE_CORRUPT', reason: 'keyFileDamaged' }, content);
    }
    assert.equal(readFileSync(keyFile, 'utf8'), text);
  }
  assert.equal((await glmTokenInTime(['print'])).status, 8);
});

/** Any text in the form in which the program seals keys. */
async function sealText(text: string): Promise<string> {
  const sealed = await new FlattenedEncrypt(new TextEncoder().encode(text))
    .setProtectedHeader({
      alg: 'PBES2-HS512+A256KW',
      enc: 'A256GCM',
      typ: 'glm-token',
    })
    .setKeyManagementParameters({ p2c: ROUNDS })
    .encrypt(new TextEncoder().encode(PASSPHRASE));
  const { protected: header, encrypted_key, iv, ciphertext, tag } = sealed;
  const jwe = { protected: header, encrypted_key, iv, ciphertext, tag };
  const checksum = createHash('sha256').update(JSON.stringify(jwe)).digest('base64url');
  return `${JSON.stringify({ ...jwe, checksum })}\n`;
}

describe('what is not a small regular file', () => {
  const make = async (file: string, kind: string) => {
    if (kind === 'a directory') mkdirSync(file);
    else if (kind === '2 MB') writeFileSync(file, 'x'.repeat(2_000_000), { mode: 0o600 });
    else if (kind === 'a link to /dev/zero') symlinkSync('/dev/zero', file);
    else if (kind === 'a link to an encrypted file') symlinkSync(join(home, 'target'), file);
    else {
      const command = kind === 'a FIFO' ? ['mkfifo', file] : ['mknod', file, 'c', '1', '5'];
      const { status } = await run(command);
      if (status !== 0) return false;
      if (kind === 'a device') return (await run(['head', '-c1', file])).status === 0;
    }
    return true;
  };

  for (const kind of [
    'a FIFO',
    'a device',
    'a directory',
    '2 MB',
    'a link to /dev/zero',
    'a link to an encrypted file',
  ]) {
    test(`${kind} in place of the encrypted file exits 5 at once`, async (t) => {
      await open().set(account('default'), 'id.secret');
      const target = join(home, 'target');
      assert.equal((await run(['mv', keyFile, target])).status, 0);
      assert.equal((await run(['chmod', '644', target])).status, 0);
      if (!(await make(keyFile, kind))) return t.skip('a device may not be made or read here');
      const commands = [['print'], ['list'], ['store'], ['delete', '--force']];
      const outcomes = commands.map((command) => glmTokenInTime(command, {}, 'id2.secret'));
      for (const { status, stdout, stderr } of await Promise.all(outcomes)) {
        assert.deepEqual([status, stdout], [5, ''], stderr);
        assert.equal(
          stderr,
          `glm-token: ${keyFile} is not a regular file, or is larger than 1 MiB\n` +
            'hint: see what it is, and move it away; links are not followed\n',
        );
      }
      assert.equal((statSync(target).mode & 0o777).toString(8), '644');
      assert.deepEqual(readdirSync(path), ['keys.jwe']);
    });
  }

  for (const kind of ['a FIFO', 'a device', 'a directory', '2 MB', 'a link to /dev/zero']) {
    test(`${kind} as the passphrase file exits 7 at once`, async (t) => {
      await open().set(account('default'), 'id.secret');
      const file = join(home, 'odd');
      if (!(await make(file, kind))) return t.skip('a device may not be made or read here');
      const more = { GLM_TOKEN_PASSPHRASE_FILE: file };
      const commands = [['print'], ['store', '--force']];
      const outcomes = commands.map((command) => glmTokenInTime(command, more, 'id2.secret'));
      for (const { status, stdout, stderr } of await Promise.all(outcomes)) {
        assert.deepEqual([status, stdout], [7, ''], stderr);
        assert.equal(
          stderr,
          `glm-token: cannot read the passphrase from ${file} (not a small regular file)\n` +
            'hint: check GLM_TOKEN_PASSPHRASE_FILE, which names that file\n',
        );
      }
    });
  }

  test('an endless descriptor as the passphrase file exits 7 at once', async () => {
    await open().set(account('default'), 'id.secret');
    const { status, stderr } = await run(
      ['sh', '-c', 'exec timeout 10 "$@" 3</dev/zero', 'sh', process.execPath, PROGRAM, 'print'],
      { env: { ...env, GLM_TOKEN_PASSPHRASE_FILE: '/dev/fd/3' } },
    );
    assert.equal(status, 7, stderr);
    assert.match(stderr, /\/dev\/fd\/3 \(not a small regular file\)/);
  });

  test('a passphrase file may be a link', async () => {
    await open().set(account('default'), 'id.secret');
    symlinkSync(passphraseFile, join(home, 'link'));
    const more = { GLM_TOKEN_PASSPHRASE_FILE: join(home, 'link') };
    assert.equal((await glmTokenInTime(['print'], more)).status, 0);
  });
});

describe('a disk that refuses', () => {
  test('because it is full exits 5 and keeps the old file', async (t) => {
    const disk = join(home, 'small');
    mkdirSync(disk, { mode: 0o700 });
    const script = (fill: string) => `
      export XDG_DATA_HOME="$DISK"
      ${fill}
      printf id2.secret | "$@" store --profile=other; echo "status $?"
      ulimit -f unlimited
      ls -A "$DISK/glm-token"
      "$@" list --json`;
    const store = 'printf id.secret | "$@" store || exit 98';
    const realDisk = script(`
      mount -t tmpfs -o size=12k,mode=700 tmpfs "$DISK" || exit 99
      ${store}
      cat /dev/zero >"$DISK/ballast" 2>/dev/null`);
    const inShell = (command: string[], text: string) =>
      run([...command, 'sh', '-c', text, 'sh', process.execPath, PROGRAM], {
        env: { ...env, DISK: disk },
      });
    const asRoot = process.getuid?.() === 0 ? [] : ['--map-root-user'];
    let reason = 'the disk is full\nhint: free some space';
    let outcome = await inShell(['unshare', '--mount', ...asRoot], realDisk);
    if (outcome.status === 99 || /^unshare: /m.test(outcome.stderr)) {
      t.diagnostic('no disk can be mounted here; a limit on the size of files fails as well');
      reason = 'EFBIG\nhint: check the directory and its disk';
      outcome = await inShell([], script(`${store}\n trap '' XFSZ; ulimit -S -f 0`));
    }
    const { status, stdout, stderr } = outcome;
    assert.equal(status, 0, `${stdout}${stderr}`);
    assert.match(stderr, new RegExp(`glm-token: cannot write .*keys\\.jwe: ${reason}`));
    const [code, file, list] = stdout.split('\n');
    assert.deepEqual([code, file], ['status 5', 'keys.jwe']);
    assert.equal(JSON.parse(list ?? '').accounts.length, 1);
  });

  test('because the directory cannot be made exits 5', async () => {
    writeFileSync(join(home, 'file'), '');
    const { status, stderr } = await glmToken(['store'], {
      env: { ...env, XDG_DATA_HOME: join(home, 'file') },
      input: 'id.secret',
    });
    assert.equal(status, 5);
    assert.match(stderr, /^glm-token: cannot (read|write) .*: ENOTDIR\nhint: /);
  });
});
