/**
 * The command line on Windows: in cmd, by pipes, and as Emacs starts it. cmd calls the program by node:
 * what npm installs as glm-token.cmd does nothing in Wine's cmd, which knows no `goto a || b`.
 */

import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, delimiter, join } from 'node:path';
import { after, afterEach, describe, test } from 'node:test';
import keytar from 'keytar';
import { idOf } from '../support/claims.ts';
import { BARE_ENV, type Env, PROGRAM } from '../support/environment.ts';
import { Helper } from '../support/helper.ts';
import { CALL, glmToken, type Outcome, run } from '../support/program.ts';

const KEY = '0123456789abcdef.TopSecretSecret1';
const OTHER = 'fedcba9876543210.OtherSecretSecret';
const TOKEN = /^eyJ[\w-]+\.[\w-]+\.[\w-]+\n$/;

const home = mkdtempSync(join(tmpdir(), '我的 文件 '));
const keyFile = join(home, 'key.txt');
const passphraseFile = join(home, 'passphrase');
const data = join(home, 'glm-token', 'Data');
writeFileSync(keyFile, `\uFEFF${KEY}\r\n`);
writeFileSync(passphraseFile, 'correct horse 电池\r\n');

const { GLM_TOKEN_STORE: _, ...bare } = BARE_ENV;
const env: Env = {
  ...bare,
  LOCALAPPDATA: home,
  KEYFILE: keyFile,
  GLM_TOKEN_PASSPHRASE_FILE: passphraseFile,
  // As npm installed it, in a directory with spaces and Chinese.
  INSTALLED: process.env.GLM_TEST_INSTALLED ?? '',
};
const glm = (args: string[], input = '', more: Env = {}) =>
  glmToken(args, { env: { ...env, ...more }, input, cwd: home });

/** Runs lines as a batch file, which is how cmd takes them; paths and names come as variables. */
async function cmd(lines: readonly string[], more: Env = {}): Promise<Outcome> {
  const file = join(home, 'lines.cmd');
  writeFileSync(file, ['@echo off', ...lines].join('\r\n'));
  return run(['cmd', '/d', '/c', file], { env: { ...env, ...more }, cwd: home });
}

afterEach(async () => {
  for (const { account } of await keytar.findCredentials('glm-token')) {
    await keytar.deletePassword('glm-token', account);
  }
  rmSync(join(home, 'glm-token'), { recursive: true, force: true });
});
after(() => rmSync(home, { recursive: true, maxRetries: 5 }));

describe('installed by npm', () => {
  test('a key goes from a file into the Credential Manager, and a token comes out', async () => {
    const lines = [
      'type "%KEYFILE%" | node "%INSTALLED%" store',
      'node "%INSTALLED%" print',
      'exit %ERRORLEVEL%',
    ];
    const { status, stdout, stderr } = await cmd(lines);
    assert.equal(status, 0, stderr);
    assert.equal(
      stderr,
      'glm-token: stored key 0123…cdef for open.bigmodel.cn in the keychain (Windows Credential Manager)\n',
    );
    assert.match(stdout, TOKEN);
    assert.equal(idOf(stdout), '0123456789abcdef');
  });

  test('a failure passes its status on, and its hint can be pasted into cmd', async () => {
    const lines = ['node "%INSTALLED%" print --profile "%PROFILE%"', 'exit %ERRORLEVEL%'];
    const { status, stderr } = await cmd(lines, { PROFILE: '我的 work' });
    assert.equal(status, 3);
    assert.equal(
      stderr,
      'glm-token: no key is stored for open.bigmodel.cn (profile 我的 work)\nhint: run: glm-token store --profile "我的 work"\n',
    );
  });

  test('a pipe that its reader closes ends it quietly, with 141', async () => {
    const onSpawn = (child: ChildProcess) => child.stdout?.destroy();
    const { status, stderr } = await glmToken(['--help'], { env, onSpawn });
    assert.deepEqual([status, stderr], [141, '']);
  });

  test('setup takes a key from a file, and its lines for init.el have paths that Emacs reads', async () => {
    const { status, stdout, stderr } = await cmd(['type "%KEYFILE%" | node "%INSTALLED%" setup']);
    assert.equal(status, 0, stderr);
    const block = stdout.trimEnd().split('\n');
    const [, root] = /\(add-to-list 'load-path "(.*)\/elisp"\)/.exec(stdout) ?? [];
    assert.match(root ?? '', /^C:\/Program Files\/程序 目录\/node_modules\/glm-token$/);
    const command = /glm-gptel-auth-command '\("(.*)" "(.*)"\)/.exec(stdout) ?? [];
    assert.deepEqual(command.slice(1), [
      process.execPath.replaceAll('\\', '/'),
      `${root}/dist/cli.cjs`,
    ]);
    assert.ok(existsSync(join(root ?? '', 'elisp', 'glm-gptel-auth.el')));
    assert.ok(
      block.includes(
        `    (display-warning 'glm-gptel-auth "its files have moved; get new lines with: glm-token setup emacs")`,
      ),
    );
    assert.doesNotMatch(stdout + stderr, /TopSecret/);
  });
});

describe('the Credential Manager', () => {
  test('stores, lists and deletes keys of accounts with any name', async () => {
    for (const profile of ['default', '我的 a/b', 'me@home']) {
      const { status, stderr } = await glm(['store', `--profile=${profile}`], KEY);
      assert.equal(status, 0, stderr);
    }
    const { accounts, store } = JSON.parse((await glm(['list', '--json'])).stdout);
    assert.deepEqual(
      [store, accounts.map(({ profile }: { profile: string }) => profile).sort()],
      ['keychain', ['default', 'me@home', '我的 a/b']],
    );
    assert.equal((await glm(['delete', '--force', '--profile=我的 a/b'])).status, 0);
    assert.equal((await glm(['print', '--profile=我的 a/b'])).status, 3);
    assert.match((await glm(['print', '--profile=me@home'])).stdout, TOKEN);
    assert.equal(existsSync(data), false);
  });

  test('without a terminal, a key is replaced and deleted with --force alone', async () => {
    await glm(['store'], KEY);
    const kept = await glm(['store'], OTHER);
    assert.equal(kept.status, 2);
    assert.ok(kept.stderr.endsWith(`hint: to replace it: ${CALL} store --force\n`), kept.stderr);
    assert.equal((await glm(['delete'])).status, 2);
    assert.equal((await glm(['store', '--force'], OTHER)).status, 0);
    assert.equal(idOf((await glm(['print'])).stdout), 'fedcba9876543210');
  });

  test('a text that is no key exits 4, and is repeated nowhere', async () => {
    for (const input of ['', 'Gar.ba.ge', Buffer.from(KEY, 'utf16le').toString('latin1')]) {
      const { status, stdout, stderr } = await glm(['store'], input);
      assert.deepEqual([status, stdout], [4, '']);
      assert.doesNotMatch(stderr, /Gar|TopSecret/);
    }
  });
});

describe('the encrypted file', () => {
  test('is below LOCALAPPDATA; keys move there and back', async () => {
    await glm(['store'], KEY);
    const there = await glm(['move', '--to=file']);
    assert.equal(there.status, 0, there.stderr);
    assert.ok(
      there.stderr.includes(`keys are read from the encrypted file (${join(data, 'keys.jwe')})`),
    );
    assert.deepEqual(readdirSync(data), ['keys.jwe']);
    assert.match((await glm(['print'])).stdout, TOKEN);
    assert.equal((await glm(['passphrase'], 'battery staple\r\n')).status, 0);
    const wrong = await glm(['print']);
    assert.equal(wrong.status, 7);
    assert.ok(wrong.stderr.includes(passphraseFile), wrong.stderr);
    writeFileSync(join(home, 'other'), 'battery staple\r\n');
    const more = { GLM_TOKEN_PASSPHRASE_FILE: join(home, 'other') };
    assert.equal((await glm(['move', '--to=keychain'], '', more)).status, 0);
    assert.deepEqual(readdirSync(data), []);
  });

  test('a store that is not in use is chosen by a line for cmd and PowerShell', async () => {
    await glm(['store', '--store=file'], KEY);
    const { stderr } = await glm(['store', '--store=keychain', '--force'], OTHER);
    assert.ok(stderr.includes('in new terminals: setx GLM_TOKEN_STORE keychain\n'), stderr);
  });

  test('without a terminal or a passphrase file it needs one: exit 7', async () => {
    const more = { GLM_TOKEN_PASSPHRASE_FILE: '' };
    const { status, stderr } = await glm(['store', '--store=file'], KEY, more);
    assert.equal(status, 7);
    assert.match(
      stderr,
      /the new encrypted file needs a passphrase\nhint: run it on a terminal, or/,
    );
  });

  for (const [variable, more] of [
    ['LOCALAPPDATA', { LOCALAPPDATA: 'relative' }],
    ['LOCALAPPDATA', { LOCALAPPDATA: 'C:relative' }],
    ['USERPROFILE', { LOCALAPPDATA: '', USERPROFILE: 'relative' }],
  ] as const) {
    test(`never goes below the current directory: ${JSON.stringify(more)}`, async () => {
      const before = readdirSync(home);
      const { status, stderr } = await glm(['store', '--store=file'], KEY, more);
      assert.equal(status, 2);
      assert.equal(
        stderr,
        `glm-token: ${variable}: must be an absolute path, or keys would land in the current directory\nhint: set it to an absolute path\n`,
      );
      assert.deepEqual(readdirSync(home), before);
    });
  }

  test('an empty LOCALAPPDATA counts as not set: the place is below USERPROFILE', async () => {
    const more = { LOCALAPPDATA: '', USERPROFILE: join(home, '用户') };
    const { status, stderr } = await glm(['store', '--store=file'], KEY, more);
    assert.equal(status, 0, stderr);
    assert.ok(existsSync(join(home, '用户/AppData/Local/glm-token/Data/keys.jwe')));
  });
});

describe('exec', () => {
  const withKey = { ...env, GLM_API_KEY: KEY };
  const exec = (args: string[], more: Env = {}) =>
    glmToken(['exec', ...args], { env: { ...withKey, ...more }, cwd: home });
  const words = ['a  b', '', '"quoted"', '100%', '%PATH%', '^&|<>', '工作', 'C:\\dir\\', '--help'];
  const script = 'console.log(JSON.stringify(process.argv.slice(1)))';

  test('arguments reach a program as they are', async () => {
    const { status, stdout, stderr } = await exec([process.execPath, '-e', script, '--', ...words]);
    assert.equal(status, 0, stderr);
    assert.deepEqual(JSON.parse(stdout), words);
  });

  test('arguments reach the program of a .cmd file as they are', async () => {
    writeFileSync(join(home, 'show args.js'), script.replace('slice(1)', 'slice(2)'));
    writeFileSync(join(home, 'show-args.cmd'), '@node "%~dp0\\show args.js" %*\r\n');
    const more = { PATH: `${home}${delimiter}${env.PATH}` };
    // Not those with % and ^, which Wine's cmd takes out where that of Windows leaves them.
    const given = words.filter((word) => !/[%^]/.test(word));
    const { status, stdout, stderr } = await exec(['show-args', ...given], more);
    assert.equal(status, 0, stderr);
    assert.deepEqual(JSON.parse(stdout), given);
  });

  test('the exit status passes through, of a program and of a .cmd file', async () => {
    writeFileSync(join(home, 'seven.cmd'), '@exit /b 7\r\n');
    for (const [command, status] of [
      [[process.execPath, '-e', 'process.exit(9)'], 9],
      [['cmd', '/c', 'exit 255'], 255],
      [['.\\seven.cmd'], 7],
      [['.\\seven'], 7],
    ] as const) {
      assert.equal((await exec([...command])).status, status, command.join(' '));
    }
  });

  test('a command that is not there exits 127, and what may be a key is not repeated', async () => {
    const unnamed = '…';
    for (const [name, shown] of [
      [KEY, unnamed],
      ['no-such-command', '"no-such-command"'],
      ['.\\missing.cmd', unnamed],
    ] as const) {
      const { status, stdout, stderr } = await exec(['--', name]);
      assert.deepEqual([status, stdout], [127, '']);
      assert.equal(
        stderr,
        `glm-token: there is no program ${shown}\nhint: check its name and PATH\n`,
      );
    }
  });

  test('the command gets a token and never the key, in whatever case variables are', async () => {
    const show = [process.execPath, '-p', 'JSON.stringify(process.env)'];
    const more = { bearer: `Bearer ${KEY}`, Openai_Api_Key: 'old' };
    const { stdout, stderr } = await exec(show, more);
    assert.equal(stderr, '');
    assert.doesNotMatch(stdout, /TopSecret/);
    const seen = Object.entries(JSON.parse(stdout) as Env);
    const named = (name: string) => seen.filter(([one]) => one.toUpperCase() === name);
    assert.deepEqual(named('GLM_TOKEN_PASSPHRASE_FILE'), []);
    assert.match(named('OPENAI_API_KEY')[0]?.[1] ?? '', /^eyJ/);
    assert.equal(named('OPENAI_API_KEY').length, 1);
  });
});

describe('a command that prints the key', () => {
  test('may be a .cmd file, by name or by path', async () => {
    // Without spaces, which cross-spawn escapes in a way that cmd knows and Wine's does not.
    const directory = mkdtempSync(join(tmpdir(), '保险库-'));
    writeFileSync(join(directory, 'vault.cmd'), `@echo ${KEY}\r\n`);
    const more = { PATH: `${directory}${delimiter}${env.PATH}`, APPDATA: join(home, 'settings') };
    for (const words of [['vault'], [join(directory, 'vault.cmd')]]) {
      const stored = await glm(['store', '--from-command', '--force', '--', ...words], '', more);
      assert.equal(stored.status, 0, stored.stderr);
      assert.match((await glm(['print'], '', more)).stdout, TOKEN);
    }
    assert.ok(existsSync(join(home, 'settings/glm-token/Config/commands.json')));
    rmSync(directory, { recursive: true });
  });

  test('that is not there is an error, and its name is not repeated', async () => {
    for (const [program, expected] of [
      [KEY, 2],
      ['TopSecretSecret1', 5],
    ] as const) {
      const { status, stderr } = await glm(['store', '--from-command', '--', program]);
      assert.equal(status, expected, stderr);
      assert.doesNotMatch(stderr, /TopSecret/);
    }
  });
});

describe('inspect and doctor', () => {
  test('inspect reads a token from a pipe', async () => {
    await glm(['store'], KEY);
    const { stdout: token } = await glm(['print']);
    const { status, stdout } = await glm(['inspect'], token);
    assert.equal(status, 0);
    assert.match(stdout, /signed by the key for open\.bigmodel\.cn in the keychain \(Windows Cred/);
    assert.match(stdout, /^problems {2}none$/m);
  });

  test('doctor checks the Credential Manager and a live token over HTTPS', async () => {
    const host = process.env.GLM_TEST_HOST ?? '';
    const more = { GLM_TOKEN_HOST: host, NODE_EXTRA_CA_CERTS: process.env.GLM_TEST_CA ?? '' };
    await glm(['store'], KEY, more);
    const { status, stdout, stderr } = await glm(['doctor', '--live'], '', more);
    assert.deepEqual([status, stderr], [0, ''], stdout);
    assert.match(stdout, /^ok +store +the keychain \(Windows Credential Manager\)$/m);
    assert.match(stdout, new RegExp(`^ok +node +.*${basename(process.execPath)}\\)$`, 'm'));
    assert.match(stdout, /^ok +clock/m);
    assert.match(stdout, /^ok +live/m);
  });

  test('doctor exits 3 without a key, and 10 for a host that does not answer', async () => {
    const closed = { GLM_TOKEN_HOST: '127.0.0.1:9' };
    assert.equal((await glm(['doctor'], '', closed)).status, 3);
    const { status, stdout } = await glm(['doctor', '--json'], '', {
      ...closed,
      GLM_API_KEY: KEY,
    });
    assert.equal(status, 10);
    assert.match(stdout, /cannot reach 127\.0\.0\.1:9: ECONNREFUSED/);
  });
});

describe('the helper', () => {
  test('stores, signs and deletes over its pipe, and ends with it', async () => {
    const helper = new Helper(env);
    const params = { profile: '工作' };
    assert.ok((await helper.request('store', { ...params, key: KEY })).result);
    const { result } = await helper.request('token', params);
    assert.equal(idOf(result?.token), '0123456789abcdef');
    const { result: listed } = await helper.request('accounts');
    assert.match(JSON.stringify(listed), /"profile":"工作"/);
    assert.ok((await helper.request('delete', params)).result);
    const { error } = await helper.request('token', params);
    assert.equal(error?.data.code, 'ERR_KEY_NOT_FOUND');
    helper.child.stdin.end();
    assert.equal(await helper.ended(), 0);
    assert.equal(helper.stderr, '');
  });

  test('a socket is refused with one sentence: exit 9', async () => {
    const refused =
      'glm-token: sockets are not supported on Windows\nhint: use the helper that Emacs starts, or unset GLM_TOKEN_SOCKET\n';
    const helper = await glm(['daemon', '--socket']);
    assert.deepEqual([helper.status, helper.stdout, helper.stderr], [9, '', refused]);
    const socket = { GLM_TOKEN_SOCKET: join(home, 'agent.sock') };
    const { status, stderr } = await glm(['print'], '', socket);
    assert.deepEqual([status, stderr], [9, refused]);
  });
});

test('completion is for the shells that it names', async () => {
  assert.equal((await glm(['completion'])).status, 2);
  const { status, stdout } = await glm(['completion', 'bash']);
  assert.equal(status, 0);
  assert.match(stdout, /complete .* glm-token/);
});

test('a path with spaces and Chinese is quoted in hints as cmd and PowerShell take it', async () => {
  const copy = join(home, '程序 目录', 'dist');
  cpSync(join(PROGRAM, '..'), copy, { recursive: true });
  const command = [process.execPath, join(copy, 'cli.cjs'), 'exec'];
  const { stderr } = await run(command, { env });
  assert.ok(stderr.includes(`: node "${join(copy, 'cli.cjs')}" exec -- PROGRAM`), stderr);
});
