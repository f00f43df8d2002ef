/** Commands that print keys: a real pass over a real gpg-agent, age, and commands that misbehave. */

import assert from 'node:assert/strict';
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
import { after, before, beforeEach, describe, type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { KeyCommandStore } from '../../src/stores/key-commands.ts';
import { idOf } from '../support/claims.ts';
import { BARE_ENV, type Env, PROGRAM } from '../support/environment.ts';
import { Helper, hasEnded } from '../support/helper.ts';
import { PasswordStore } from '../support/password-store.ts';
import { glmToken, run, runOnTerminal } from '../support/program.ts';
import { SocketClient, SocketHelper } from '../support/socket-helper.ts';
import { ACCOUNTS, keyText } from '../support/store-contract.ts';
import { openDirectory } from '../support/stores.ts';

const KEY = '0123456789abcdef.TopSecretSecret1';
const ID = '0123456789abcdef';
const [ACCOUNT, OTHER] = ACCOUNTS;

const homes = mkdtempSync(join(tmpdir(), 'glm-token-test-'));
after(() => rmSync(homes, { recursive: true }));

const newHome = () => mkdtempSync(join(homes, 'home-'));
const envAt = (home: string): Env => ({ ...BARE_ENV, HOME: home });
const fileIn = (home: string) => join(home, '.config/glm-token/commands.json');

/** A helper that ends with the test. */
function startHelper(t: TestContext, env: Env): Helper {
  const helper = new Helper(env);
  t.after(() => helper.stop());
  return helper;
}

/** Puts a script into a home. */
function script(home: string, name: string, text: string): string {
  const path = join(home, name);
  writeFileSync(path, `#!/bin/sh\n${text}\n`, { mode: 0o755 });
  return path;
}

describe('pass, over gpg-agent', () => {
  const SHOW = ['pass', 'show', 'glm/work'];
  const ASKED = 'glm-token: waiting for pass …\n';
  let pass: PasswordStore;
  before(() => {
    pass = PasswordStore.make();
    pass.insert('glm/work', `${KEY}\nuser: me\nurl: open.bigmodel.cn\n`);
  });
  after(() => pass.stop());
  beforeEach(() => {
    pass.lock();
    pass.setPerson('answers');
  });
  const glm = (args: string[], env: Env = {}) => glmToken(args, { env: { ...pass.env, ...env } });

  test('store runs it once, keeps the command, and says whose key it prints', async () => {
    const { status, stderr, stdout } = await glm(['store', '--from-command', '--', ...SHOW]);
    assert.equal(
      stderr,
      `${ASKED}glm-token: the key for open.bigmodel.cn (0123…cdef) comes from pass from now on\n`,
    );
    assert.deepEqual([status, stdout], [0, '']);
    const file = fileIn(pass.env.HOME ?? '');
    assert.deepEqual(JSON.parse(readFileSync(file, 'utf8')), {
      commands: { 'default@open.bigmodel.cn': SHOW },
    });
    assert.equal(statSync(file).mode & 0o777, 0o600);
    assert.equal(statSync(join(file, '..')).mode & 0o777, 0o700);
  });

  test('print runs it each time: the agent asks for the passphrase, or remembers it', async () => {
    const before = pass.questions;
    const locked = await glm(['print']);
    assert.equal(idOf(locked.stdout), ID);
    assert.equal(locked.stderr, ASKED);
    const unlocked = await glm(['print']);
    assert.equal(idOf(unlocked.stdout), ID);
    assert.equal(pass.questions, before + 1);
  });

  test('a person who cancels gets a sentence with the status, and none of its output', async () => {
    pass.setPerson('cancels');
    assert.deepEqual(await glm(['print']), {
      status: 5,
      signal: null,
      stdout: '',
      stderr:
        'glm-token: pass gave no key for open.bigmodel.cn: it ended with status 2\n' +
        'hint: a password manager may be locked, or may need a terminal to ask at; or it needs variables of your shell that are not set here, such as GNUPGHOME, PASSWORD_STORE_DIR or VAULT_ADDR\n',
    });
  });

  test('a prompt that nobody answers ends at the time limit, with 6', async () => {
    pass.setPerson('is away');
    const { status, stderr } = await glm(['print'], { GLM_TOKEN_PROMPT_TIMEOUT: '3s' });
    assert.equal(
      stderr,
      `${ASKED}glm-token: pass gave no key for open.bigmodel.cn within 3 s\n` +
        'hint: answer its prompt, or unlock the password manager, and try again; GLM_TOKEN_PROMPT_TIMEOUT sets the limit\n',
    );
    assert.equal(status, 6);
  });

  test('the helper asks once and says so, and holds the key until it is locked', async (t) => {
    const helper = startHelper(t, pass.env);
    const before = pass.questions;
    const first = await helper.request('token');
    assert.equal(idOf(first.result?.token), ID);
    assert.deepEqual(helper.notifications, ['waiting']);
    pass.lock();
    pass.setPerson('cancels');
    assert.ok((await helper.request('token')).result?.token);
    assert.equal(pass.questions, before + 1);
    await helper.request('lock');
    const { error } = await helper.request('token');
    assert.equal(error?.data.code, 'ERR_STORE_UNAVAILABLE');
    assert.equal(pass.questions, before + 2);
  });

  test('in the helper, a pinentry finds no terminal to draw on', async (t) => {
    const seen = script(
      pass.env.HOME ?? '',
      'seen',
      `echo "\${GPG_TTY-none}.$(ps -o tty= -p $$)x"`,
    );
    const env = { ...pass.env, GPG_TTY: '/dev/pts/0' };
    await glmToken(['store', '--from-command', '--profile', 'seen', '--', seen], { env });
    const helper = startHelper(t, env);
    const { result } = await helper.request('token', { profile: 'seen' });
    assert.equal(idOf(result?.token), 'none');
  });
});

test('age', async () => {
  const home = newHome();
  const identity = join(home, 'identity');
  const made = await run(['age-keygen', '-o', identity]);
  const recipient = /age1\w+/.exec(made.stderr)?.[0] ?? '';
  const sealed = join(home, 'key.age');
  await run(['age', '-r', recipient, '-o', sealed], { input: `${KEY}\n` });
  const env = envAt(home);
  await glmToken(['store', '--from-command', '--', 'age', '-d', '-i', identity, sealed], { env });
  assert.equal(idOf((await glmToken(['print'], { env })).stdout), ID);
  rmSync(identity);
  const { status, stderr } = await glmToken(['print'], { env });
  assert.match(
    stderr,
    /^glm-token: age gave no key for open\.bigmodel\.cn: it ended with status 1\n/,
  );
  assert.doesNotMatch(stderr, /identity|no such file/);
  assert.equal(status, 5);
});

describe('the command line', () => {
  let home: string;
  const keep = (words: string[], ...options: string[]) =>
    glmToken(['store', '--from-command', ...options, '--', ...words], { env: envAt(home) });
  const glm = (...args: string[]) => glmToken(args, { env: envAt(home) });
  beforeEach(() => {
    home = newHome();
  });

  test('the words are run as they are, without a shell', async () => {
    const show = script(home, 'show key', `[ "$*" = 'a  b $(x) ; "c"' ] && echo ${KEY}`);
    const { status } = await keep([show, 'a  b $(x) ; "c"']);
    assert.equal(status, 0);
    assert.equal(idOf((await glm('print')).stdout), ID);
  });

  test('list names the program and runs nothing; what a keychain lacks is said below', async () => {
    const show = script(home, 'show', `echo ran >>"${home}/runs"; echo ${KEY}`);
    await keep([show], '--host', 'api.z.ai');
    const { stdout, stderr, status } = await glm('list');
    assert.equal(stdout, 'HOST      PROFILE  ID    STORE\napi.z.ai  default  show  command\n');
    assert.match(stderr, /there is no keychain/);
    assert.equal(status, 0);
    const { accounts } = JSON.parse((await glm('list', '--json')).stdout);
    assert.deepEqual(accounts, [
      { host: 'api.z.ai', profile: 'default', id: null, store: 'command', program: 'show' },
    ]);
    assert.equal(readFileSync(join(home, 'runs'), 'utf8'), 'ran\n');
  });

  test('delete removes the command and runs nothing', async () => {
    await keep([script(home, 'show', `echo ran >>"${home}/runs"; echo ${KEY}`)]);
    assert.deepEqual(await glm('delete', '--force'), {
      status: 0,
      signal: null,
      stdout: '',
      stderr:
        'glm-token: deleted the command that prints the key for open.bigmodel.cn; the key stays where it is\n',
    });
    assert.throws(() => statSync(fileIn(home)), { code: 'ENOENT' });
    assert.equal(readFileSync(join(home, 'runs'), 'utf8'), 'ran\n');
    assert.equal((await glm('delete', '--store', 'command', '--force')).status, 3);
  });

  test('doctor runs it, and is content without a keychain', async () => {
    await keep([script(home, 'show', `echo ${KEY}`)]);
    const { findings } = JSON.parse((await glm('doctor', '--json')).stdout);
    const level = Object.fromEntries(
      findings.map(({ check, level }: { check: string; level: string }) => [check, level]),
    );
    assert.deepEqual([level.store, level.key], ['warning', 'ok']);
    assert.match(
      JSON.stringify(findings),
      /key 0123…cdef for open\.bigmodel\.cn, which show printed,/,
    );
  });

  test('doctor in the helper does not run it when it may not ask', async (t) => {
    await keep([script(home, 'show', `echo ran >> ${home}/runs; echo ${KEY}`)]);
    rmSync(join(home, 'runs'));
    const helper = startHelper(t, envAt(home));
    const { result } = await helper.request('doctor', { ask: false, live: true });
    const findings = result?.findings as { check: string; level: string; message: string }[];
    const found = findings.find(({ check }) => check === 'key');
    assert.equal(found?.level, 'unchecked');
    assert.equal(found?.message, 'show prints the key for open.bigmodel.cn, and was not run now');
    assert.throws(() => statSync(join(home, 'runs')), { code: 'ENOENT' });
  });

  test('doctor shows the first line that a command which fails says, unless it may hold a key', async (t) => {
    const show = script(home, 'show', `echo ${KEY}`);
    await keep([show]);
    const helper = startHelper(t, envAt(home));
    const socket = join(home, 'run', 'agent.sock');
    mkdirSync(join(home, 'run'), { mode: 0o700 });
    const shared = await SocketHelper.start(socket, [], envAt(home));
    const client = await SocketClient.connect(socket);
    t.after(async () => {
      client.socket.destroy();
      await shared.stop();
    });
    const keyFinding = (findings: unknown) =>
      (findings as { check: string; message: string }[]).find(({ check }) => check === 'key')
        ?.message;
    const failed = 'show gave no key for open.bigmodel.cn: it ended with status 3';
    for (const [line, said] of [
      ['Error: \u202eVAULT_ADDR is not set.', ' and said: Error: \\u202eVAULT_ADDR is not set.'],
      [`token=${KEY}`, ''],
      [`the id is ${ID}`, ''],
      ['the secret is TopSecretSecret1', ''],
    ] as const) {
      script(home, 'show', `echo '${line}' >&2; echo more >&2; sleep 9 & exit 3`);
      const { findings } = JSON.parse((await glm('doctor', '--json')).stdout);
      assert.equal(keyFinding(findings), `${failed}${said}`);
      assert.equal(
        keyFinding((await helper.request('doctor')).result?.findings),
        `${failed}${said}`,
      );
      assert.equal(keyFinding((await client.request('doctor')).result?.findings), failed);
      assert.equal((await helper.request('token')).error?.message, failed);
      assert.ok(!(await glm('print')).stderr.includes('said'));
    }
  });

  test('it takes precedence over the store in use, of which store warns', async () => {
    await keep([script(home, 'show', `echo ${KEY}`)]);
    const passphrase = join(home, 'passphrase');
    writeFileSync(passphrase, 'correct horse\n', { mode: 0o600 });
    const env = { ...envAt(home), GLM_TOKEN_PASSPHRASE_FILE: passphrase };
    const stored = await glmToken(['store', '--store', 'file'], { env, input: 'fff.secret' });
    assert.match(
      stored.stderr,
      /warning: a command prints the key for open\.bigmodel\.cn, and takes precedence\nhint: to remove it: node .* delete --store command\n/,
    );
    const shown = async (...args: string[]) =>
      idOf((await glmToken(['print', ...args], { env })).stdout);
    assert.deepEqual(
      [await shown(), await shown('--store', 'command'), await shown('--store', 'file')],
      [ID, ID, 'fff'],
    );
  });

  test('another command is replaced with --force alone', async () => {
    await keep([script(home, 'one', `echo ${KEY}`)]);
    const two = script(home, 'two', 'echo fff.secret');
    const refused = await keep([two]);
    assert.match(
      refused.stderr,
      /another key \(one\) is stored for open\.bigmodel\.cn; it was kept/,
    );
    assert.equal(refused.status, 2);
    assert.equal(idOf((await glm('print')).stdout), ID);
    assert.equal((await keep([two], '--force')).status, 0);
    assert.equal(idOf((await glm('print')).stdout), 'fff');
  });

  for (const [what, body, status, sentence] of [
    ['prints no key', 'echo hello', 4, 'what show printed for open.bigmodel.cn cannot be used'],
    ['prints nothing', 'true', 4, 'show printed no key for open.bigmodel.cn'],
    ['prints without end', 'yes', 5, 'show was stopped: it printed more than 1 MiB'],
    ['prints one line without end', 'tr "\\0" a </dev/zero', 5, 'show was stopped: it printed'],
    ['fails', `echo ${KEY}; echo ${KEY} >&2; exit 3`, 5, 'it ended with status 3'],
    ['is killed', 'kill -9 $$', 5, 'it ended by SIGKILL'],
    ['prompts where no terminal is', 'read -r key && echo "$key"', 5, 'it ended with status 1'],
    ['prompts at a terminal that it lacks', 'head -n 1 </dev/tty', 5, 'it ended with status'],
  ] as const) {
    test(`a command that ${what} gets its sentence, and is not kept`, async () => {
      const outcome = await keep([script(home, 'show', body)]);
      assert.ok(outcome.stderr.startsWith('glm-token: '), outcome.stderr);
      assert.ok(outcome.stderr.includes(sentence), outcome.stderr);
      assert.doesNotMatch(outcome.stderr, /hello|TopSecret|tty|aaaa/);
      assert.equal(outcome.status, status);
      assert.throws(() => statSync(fileIn(home)), { code: 'ENOENT' });
    });
  }

  test('what may be a key is not repeated when there is no such program', async () => {
    for (const [word, named] of [
      ['nosuchprogram', true],
      [ID, false],
      ['show-my-key.sh', false],
    ] as const) {
      const { stderr, status } = await keep([word]);
      assert.equal(stderr.includes(word), named, stderr);
      assert.match(stderr, /^glm-token: there is no program /);
      assert.equal(status, 5);
    }
  });

  test('a key in place of the command is refused, and nothing is run', async () => {
    const key = '0123.MadeUpSecret';
    const program = script(home, key, `echo ran >"${home}/runs"; echo ${KEY}`);
    for (const word of [key, program]) {
      const { stderr, status } = await keep([word]);
      assert.match(stderr, /^glm-token: the command contains the key, so it was not stored\n/);
      assert.ok(!stderr.includes('MadeUp'), stderr);
      assert.equal(status, 2);
    }
    assert.throws(() => statSync(join(home, 'runs')), { code: 'ENOENT' });
  });

  test('a command with the key in its words is refused', async () => {
    for (const words of [
      ['echo', KEY],
      ['sh', '-c', `echo ${KEY}`],
    ]) {
      const { stderr, status } = await keep(words);
      assert.match(stderr, /^glm-token: the command contains the key, so it was not stored\n/);
      assert.equal(status, 2);
    }
  });

  test('the words are needed, and --store is of no use', async () => {
    assert.match((await glm('store', '--from-command')).stderr, /needs the command/);
    assert.match((await keep(['true'], '--store', 'file')).stderr, /--store does not apply/);
    const stray = await glm('store', KEY);
    assert.match(
      stray.stderr,
      /takes no arguments, and a key is never one\nhint: if that was a key/,
    );
    assert.doesNotMatch(stray.stderr, /TopSecret/);
  });

  test('it gets none of our variables that hold a key or lead to one', async () => {
    const show = script(home, 'show', `env >"${home}/seen"; echo ${KEY}`);
    const env = {
      ...envAt(home),
      GLM_API_KEY: 'other.secret',
      GLM_TOKEN_PASSPHRASE_FILE: '/x',
      KEPT: 'kept',
    };
    await glmToken(['store', '--from-command', '--profile', 'work', '--', show], { env });
    const seen = readFileSync(join(home, 'seen'), 'utf8');
    assert.match(seen, /^KEPT=kept$/m);
    assert.doesNotMatch(seen, /GLM_API_KEY|PASSPHRASE/);
  });

  test('on a terminal it can ask there', async () => {
    const ask = script(
      home,
      'ask',
      `printf 'PIN: ' >&2; read -r pin; [ "$pin" = 1 ] && echo ${KEY}`,
    );
    const { stdout, status } = await runOnTerminal(
      [process.execPath, PROGRAM, 'store', '--from-command', '--', ask],
      [['PIN: ', '1']],
      envAt(home),
    );
    assert.match(stdout, /comes from ask from now on/);
    assert.equal(status, 0);
  });

  test('a command that is given up is ended, with what it started', async () => {
    const show = script(home, 'show', `sleep 600 & echo $! >"${home}/pid"; wait`);
    const env = { ...envAt(home), GLM_TOKEN_PROMPT_TIMEOUT: '1s' };
    await glmToken(['store', '--from-command', '--', show], { env });
    const pid = Number(readFileSync(join(home, 'pid'), 'utf8'));
    for (let tries = 0; tries < 40 && !hasEnded(pid); tries += 1) await delay(50);
    assert.ok(hasEnded(pid));
  });

  test('a helper that ends takes a command along that still runs', async (t) => {
    const show = script(home, 'show', `echo ${KEY}`);
    await keep([show]);
    writeFileSync(show, `#!/bin/sh\nsleep 600 & echo $! >"${home}/pid"; wait\n`);
    const helper = startHelper(t, envAt(home));
    void helper.request('token');
    const pidIn = () => {
      try {
        return Number(readFileSync(join(home, 'pid'), 'utf8'));
      } catch {
        return 0;
      }
    };
    for (let tries = 0; tries < 200 && pidIn() === 0; tries += 1) await delay(50);
    await helper.stop();
    for (let tries = 0; tries < 40 && !hasEnded(pidIn()); tries += 1) await delay(50);
    assert.ok(hasEnded(pidIn()));
  });
});

describe('the wire', () => {
  test('store with a command keeps it, accounts names its program, delete removes it', async (t) => {
    const home = newHome();
    const show = script(home, 'show', `echo ${KEY}`);
    const helper = startHelper(t, envAt(home));
    const account = { host: 'api.z.ai', profile: 'work' };
    const { result } = await helper.request('store', { ...account, command: [show] });
    assert.equal(result?.stored, true);
    assert.equal(result?.store, 'command');
    const { result: listed } = await helper.request('accounts');
    assert.deepEqual(listed?.accounts, [
      { ...account, id: null, store: 'command', program: 'show' },
    ]);
    const { result: signed } = await helper.request('token', account);
    assert.equal(idOf(signed?.token), ID);
    const other = script(home, 'other', 'echo fff.secret');
    const { result: kept } = await helper.request('store', { ...account, command: [other] });
    assert.deepEqual([kept?.stored, kept?.existing], [false, 'show']);
    const { result: deleted } = await helper.request('delete', account);
    assert.equal(deleted?.deleted, true);
  });

  test('a request that may ask nobody runs nothing, and takes what is held', async (t) => {
    const home = newHome();
    const show = script(home, 'show', `echo run >> ${home}/runs; echo ${KEY}`);
    await glmToken(['store', '--from-command', '--', show], { env: envAt(home) });
    const runs = () => readFileSync(join(home, 'runs'), 'utf8').split('\n').length - 1;
    const helper = startHelper(t, envAt(home));
    const { error } = await helper.request('token', { ask: false });
    assert.deepEqual(
      [error?.data.code, error?.message, error?.data.hint],
      [
        'ERR_STORE_LOCKED',
        'show prints the key for open.bigmodel.cn, and was not run now',
        'the next request runs it',
      ],
    );
    assert.equal(runs(), 1);
    await helper.request('token');
    const { result } = await helper.request('token', { ask: false });
    assert.equal(idOf(result?.token), ID);
    assert.equal(runs(), 2);
  });

  test('after the service has refused a key, the next request runs its command again', async (t) => {
    const home = newHome();
    const show = script(home, 'show', `echo run >> ${home}/runs; echo ${KEY}`);
    await glmToken(['store', '--from-command', '--', show], { env: envAt(home) });
    const runs = () => readFileSync(join(home, 'runs'), 'utf8').split('\n').length - 1;
    const helper = startHelper(t, envAt(home));
    for (const code of ['1113', '1302']) {
      await helper.request('token');
      await helper.request('explain', { code, ...ACCOUNT });
    }
    await helper.request('token');
    assert.equal(runs(), 2, 'these codes say nothing of the key');
    const { result } = await helper.request('explain', { code: '1004' });
    assert.deepEqual(result, {
      message: 'the service refuses the key: it was revoked or mistyped',
      hint: 'the key comes from show: check it in the console, and change it where show finds it; the next request runs show again',
      action: null,
    });
    await helper.request('token');
    assert.equal(runs(), 3);
  });

  test('a command is a list of strings', async (t) => {
    const helper = startHelper(t, envAt(newHome()));
    for (const command of ['pass', [], [1], { 0: 'pass' }]) {
      const { error } = await helper.request('store', { command });
      assert.equal(
        error?.message,
        'the parameter command must be a list of strings, and not an empty one',
      );
    }
  });

  test('it is never set through a socket, and serves tokens there', async () => {
    const home = newHome();
    const env = envAt(home);
    const show = script(home, 'show', `echo ${KEY}`);
    await glmToken(['store', '--from-command', '--', show], { env });
    const path = join(home, 'agent.sock');
    const helper = await SocketHelper.start(path, ['--allow-write'], env);
    const client = await SocketClient.connect(path);
    const { error } = await client.request('store', { command: [show], profile: 'work' });
    assert.equal(error?.data.code, 'ERR_USAGE');
    assert.match(error?.message ?? '', /cannot be set through a socket/);
    const { stdout } = await glmToken(['print'], { env: { ...BARE_ENV, GLM_TOKEN_SOCKET: path } });
    assert.equal(idOf(stdout), ID);
    client.socket.destroy();
    await helper.stop();
  });
});

describe('its file', () => {
  const show = ['/bin/echo', KEY];
  let home: string;
  beforeEach(() => {
    home = newHome();
    mkdirSync(join(home, '.config/glm-token'), { recursive: true, mode: 0o700 });
  });
  const write = (text: string, mode = 0o600) => {
    writeFileSync(fileIn(home), text);
    chmodSync(fileIn(home), mode);
  };
  const content = JSON.stringify({ commands: { 'default@open.bigmodel.cn': show } });
  const print = () => glmToken(['print'], { env: envAt(home) });

  test('nothing in it is run when others can write to it, or to its directory', async () => {
    write(content, 0o620);
    const refused = await print();
    assert.equal(
      refused.stderr,
      `glm-token: others can write to ${fileIn(home)}, so no command in it is run\n` +
        `hint: check what is in it, then run: chmod go-w ${fileIn(home)}\n`,
    );
    assert.equal(refused.status, 5);
    write(content);
    chmodSync(join(home, '.config/glm-token'), 0o777);
    assert.match(
      (await print()).stderr,
      /others can write to .*\/\.config\/glm-token, so no command/,
    );
  });

  test('what others can only read is closed to them, with a word', async () => {
    write(content, 0o644);
    const { stderr, stdout } = await print();
    assert.match(stderr, /others could access .*commands\.json; its mode is now 600/);
    assert.equal(idOf(stdout), ID);
  });

  test('one that belongs to another user is refused', async (t) => {
    if (process.getuid?.() !== 0) return t.skip('only root can give a file away');
    write(content);
    chownSync(fileIn(home), 65534, 65534);
    assert.match((await print()).stderr, /belongs to another user and is not trusted/);
  });

  test('a link is not followed', async () => {
    const elsewhere = join(home, 'elsewhere');
    writeFileSync(elsewhere, content, { mode: 0o600 });
    symlinkSync(elsewhere, fileIn(home));
    assert.match((await print()).stderr, /is not a regular file, or is larger than 1 MiB/);
  });

  test('one that makes no sense is damaged, with 8', async () => {
    for (const text of [
      '',
      '[]',
      'null',
      '{}',
      '{"commands":["x"]}',
      '{"commands":{"a@b.c":"x"}}',
    ]) {
      write(text);
      const { stderr, status } = await print();
      assert.match(stderr, /commands\.json is damaged\n/);
      assert.equal(status, 8);
    }
  });

  test('one that cannot be read is told with the variable that moves it', async () => {
    rmSync(join(home, '.config'), { recursive: true });
    writeFileSync(join(home, '.config'), '');
    const { stderr, status } = await print();
    assert.equal(
      stderr,
      `glm-token: cannot read ${fileIn(home)}: ENOTDIR\n` +
        'hint: check the directory and its disk, or set XDG_CONFIG_HOME to another directory\n',
    );
    assert.equal(status, 5);
  });

  test('a relative XDG_CONFIG_HOME is refused by its name', async () => {
    const env = { ...envAt(home), XDG_CONFIG_HOME: 'here' };
    const { stderr, status } = await glmToken(['print'], { env });
    assert.match(stderr, /^glm-token: XDG_CONFIG_HOME: must be an absolute path/);
    assert.equal(status, 2);
  });
});

describe('as a store', () => {
  let nowMs = 0;
  const open = (home: string) =>
    new KeyCommandStore({
      configDirectory: () => openDirectory(join(home, 'config'), { isRun: true }),
      env: BARE_ENV,
      promptTimeoutMs: 10_000,
      hasTerminal: () => false,
      onWaiting: () => {},
      lockAfterMs: 60_000,
      now: () => nowMs,
    });

  test('a key is held until it was idle for long enough, or the command is another one', async () => {
    const home = newHome();
    const runs = join(home, 'runs');
    const words = (n: number) =>
      [script(home, `show${n}`, `echo ran >>"${runs}"; echo ${keyText(n)}`)] as const;
    const count = () => readFileSync(runs, 'utf8').split('\n').length - 1;
    const store = open(home);
    await store.setCommand(ACCOUNT, words(0));
    for (nowMs of [0, 59_000, 118_000]) assert.equal(await store.get(ACCOUNT), keyText(0));
    assert.equal(count(), 2);
    nowMs += 60_000;
    await store.get(ACCOUNT);
    assert.equal(count(), 3);
    await open(home).setCommand(ACCOUNT, words(1));
    assert.equal(await store.get(ACCOUNT), keyText(1));
    await store.forget();
    await store.get(ACCOUNT);
    assert.equal(count(), 6);
  });

  test('a key that is printed after a lock is not held', async () => {
    const home = newHome();
    const store = open(home);
    const show = `sleep 0.2; echo ran >>"${home}/runs"; echo ${keyText(0)}`;
    await store.setCommand(ACCOUNT, [script(home, 'show', show)]);
    const reading = store.get(ACCOUNT);
    await store.forget();
    assert.equal(await reading, keyText(0));
    await store.get(ACCOUNT);
    assert.equal(readFileSync(join(home, 'runs'), 'utf8'), 'ran\n'.repeat(3));
  });

  test('an account without a command is not there', async () => {
    const store = open(newHome());
    assert.deepEqual([await store.get(OTHER), store.commandOf(OTHER)], [undefined, undefined]);
    assert.equal(await store.delete(OTHER), false);
    assert.deepEqual(await store.list(), []);
  });

  test('list gives programs and no secret', async () => {
    const home = newHome();
    const store = open(home);
    await store.setCommand(ACCOUNT, [script(home, 'show', `echo ${keyText(0)}`)]);
    const stored = await store.list();
    assert.deepEqual(stored, [{ account: ACCOUNT, id: undefined, program: 'show' }]);
    assert.doesNotMatch(JSON.stringify(stored), /crèt|123456789abcdef/);
  });
});
