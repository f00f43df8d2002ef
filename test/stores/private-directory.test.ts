/** The private directory: its modes, its owner, and what a write leaves behind. */

import assert from 'node:assert/strict';
import {
  chmodSync,
  chownSync,
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
import { type PrivateDirectory, privateDirectory } from '../../src/stores/private-directory.ts';
import { only, ROOT } from '../support/environment.ts';
import { run } from '../support/program.ts';

const uid = process.getuid?.();

let home: string;
let path: string;
let mended: [path: string, mode: string][];
let directory: PrivateDirectory;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'glm-token-test-'));
  path = join(home, 'a/b');
  mended = [];
  directory = open(path);
  directory.make();
});
afterEach(() => rmSync(home, { recursive: true }));

const open = (path: string, owner = uid) =>
  privateDirectory({
    path,
    parentVariable: 'MOVES_IT',
    uid: owner,
    isRun: false,
    onMended: (...args) => mended.push(args),
  });

const write = (text: string, beforeRename = () => {}) =>
  directory.write('file', text, beforeRename);

const modeOf = (file: string) => (statSync(file).mode & 0o777).toString(8);

test('a file is written, replaced, read and removed', () => {
  assert.equal(directory.read('file'), undefined);
  assert.equal(directory.has('file'), false);
  write('one');
  write('two');
  assert.equal(directory.has('file'), true);
  assert.equal(directory.read('file'), 'two');
  assert.deepEqual(readdirSync(path), ['file']);
  directory.remove('file');
  assert.equal(directory.read('file'), undefined);
  assert.deepEqual(readdirSync(path), []);
  directory.remove('file');
});

test('a write that is stopped before the rename changes nothing and leaves nothing', () => {
  write('one');
  const stop = () => {
    assert.equal(readdirSync(path).length, 2, 'all is written by then');
    throw new Error('stop');
  };
  assert.throws(() => write('two', stop), { code: 'ERR_STORE_UNAVAILABLE' });
  assert.deepEqual(readdirSync(path), ['file']);
  assert.equal(directory.read('file'), 'one');
});

test('temporary files that killed writers left are removed by the next write', () => {
  for (const name of ['.old.tmp', '.new.tmp']) {
    writeFileSync(join(path, name), 'half a fi', { mode: 0o600 });
  }
  write('whole');
  assert.deepEqual(readdirSync(path), ['file']);
});

describe('modes', () => {
  test('a directory and a file are made for their owner alone', () => {
    const before = process.umask(0o000);
    try {
      const other = open(join(home, 'c'));
      other.make();
      other.write('file', 'text', () => {});
    } finally {
      process.umask(before);
    }
    assert.deepEqual([modeOf(join(home, 'c')), modeOf(join(home, 'c/file'))], ['700', '600']);
    assert.deepEqual(mended, []);
  });

  test('modes that let others in are corrected and reported', () => {
    write('text');
    const file = join(path, 'file');
    chmodSync(path, 0o755);
    chmodSync(file, 0o644);
    assert.equal(directory.read('file'), 'text');
    assert.deepEqual([modeOf(path), modeOf(file)], ['700', '600']);
    assert.deepEqual(mended, [
      [path, '700'],
      [file, '600'],
    ]);
  });

  test("another user's directory or file is not trusted", (t) => {
    write('text');
    const other = (uid ?? 0) + 1;
    const refusal = (path: string) => ({
      code: 'ERR_STORE_UNAVAILABLE',
      reason: 'fileOfAnotherUser',
      params: { path },
    });
    assert.throws(() => open(path, other).read('file'), refusal(path));
    if (uid !== 0) return t.diagnostic('only root can give a file to another user');
    chownSync(join(path, 'file'), other, other);
    assert.throws(() => directory.read('file'), refusal(join(path, 'file')));
  });

  test('a symbolic link is refused, and the mode of its target stays as it was', () => {
    const target = join(home, 'target');
    writeFileSync(target, 'text', { mode: 0o644 });
    chmodSync(target, 0o644);
    symlinkSync(target, join(path, 'file'));
    assert.throws(() => directory.read('file'), {
      code: 'ERR_STORE_UNAVAILABLE',
      reason: 'fileIrregular',
      params: { path: join(path, 'file') },
    });
    assert.equal(modeOf(target), '644');
    assert.deepEqual(mended, []);
  });
});

test('a link to nowhere is an error, and not a missing file', () => {
  symlinkSync(join(path, 'nowhere'), join(path, 'file'));
  assert.equal(directory.has('file'), true);
  assert.throws(() => directory.read('file'), {
    code: 'ERR_STORE_UNAVAILABLE',
    reason: 'fileIrregular',
  });
});

test('what the system refuses carries its number, the path, and the variable that moves it', () => {
  writeFileSync(join(home, 'file'), '');
  const below = open(join(home, 'file/below'));
  const refusal = { code: 'ERR_STORE_UNAVAILABLE', reason: 'fileRefused' };
  assert.throws(() => below.make(), {
    ...refusal,
    params: { action: 'write', path: below.path, errno: 'ENOTDIR', parentVariable: 'MOVES_IT' },
  });
});

test('a directory in memory is known to be lost at a reboot', only('linux'), async () => {
  const type = (await run(['stat', '-f', '-c', '%T', '/dev/shm'])).stdout.trim();
  assert.equal(type, 'tmpfs');
  assert.equal(open('/dev/shm').perishesWith(), 'memory');
  assert.notEqual(open(ROOT).perishesWith(), 'memory');
  assert.equal(open('/nonexistent').perishesWith(), undefined);
});

test('a file is read as it is, whatever is in it', () => {
  write('\uFEFFä\r\n\0');
  assert.equal(readFileSync(join(path, 'file'), 'utf8'), '\uFEFFä\r\n\0');
  assert.equal(directory.read('file'), '\uFEFFä\r\n\0');
});
