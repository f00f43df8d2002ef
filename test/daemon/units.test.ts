/** The files for systemd and launchd: held against systemd's own checker, and run as far as they can be. */

import assert from 'node:assert/strict';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { launchdUnit, systemdUnits } from '../../src/daemon/units.ts';
import { BARE_ENV, type Env, found, PROGRAM } from '../support/environment.ts';
import { KeychainSession } from '../support/keychain.ts';
import { glmToken, run } from '../support/program.ts';
import { until } from '../support/session-bus.ts';
import { SocketHelper } from '../support/socket-helper.ts';

let home: string;
let env: Env;
before(() => {
  home = mkdtempSync(join(tmpdir(), 'glm-token-test-'));
  env = { ...BARE_ENV, HOME: home, XDG_RUNTIME_DIR: home };
});
after(() => rmSync(home, { recursive: true }));

const printed = (kind: string, ...args: string[]) =>
  glmToken(['daemon', '--print-unit', kind, ...args], { env });

/** Installs the units as the hint has it; returns their directory. */
async function install(...args: string[]): Promise<string> {
  const { stdout, stderr, status } = await printed('systemd', ...args);
  assert.equal(status, 0, stderr);
  const directory = mkdtempSync(join(home, 'units-'));
  const [, program = ''] = /\| (awk '[^']+')/.exec(stderr) ?? [];
  await run(['sh', '-c', `cd "$0" && ${program}`, directory], { input: stdout, env });
  assert.deepEqual(readdirSync(directory).sort(), ['glm-token.service', 'glm-token.socket']);
  return directory;
}

describe('systemd', () => {
  const verify = (directory: string) =>
    run(
      ['systemd-analyze', '--user', '--man=no', 'verify', 'glm-token.socket', 'glm-token.service'],
      {
        env: { ...env, SYSTEMD_UNIT_PATH: `${directory}:` },
        cwd: directory,
      },
    );

  test('the pair that is printed has no fault that systemd knows', async () => {
    for (const args of [
      [],
      ['--socket=/run/user/1000/other/a.sock', '--accounts=work@api.z.ai', '--exit-after=5m'],
      ['--allow-write', '--lock-after=1h'],
    ]) {
      const { status, stdout, stderr } = await verify(await install(...args));
      assert.deepEqual([status, stdout, stderr], [0, '', '']);
    }
  });

  test('the checker sees a fault when there is one', async () => {
    const directory = await install();
    const file = join(directory, 'glm-token.service');
    writeFileSync(file, readFileSync(file, 'utf8').replace(process.execPath, '/nonexistent/node'));
    const { status, stderr } = await verify(directory);
    assert.ok(status !== 0 || stderr !== '', 'it said nothing');
  });

  test('it has absolute paths, the options that were given, and the settings, but no key', async () => {
    const { stdout } = await glmToken(
      ['daemon', '--print-unit=systemd', '--accounts=api.z.ai', '--lock-after=5m'],
      {
        env: {
          ...env,
          GLM_API_KEY: 'id.HushHushHush',
          GLM_TOKEN_STORE: 'file',
          PATH: env.PATH ?? '',
        },
      },
    );
    const [, command = ''] = /^ExecStart=(.*)$/m.exec(stdout) ?? [];
    const words = command.split(' ');
    assert.ok(words[0]?.startsWith('/') && words[1] === PROGRAM, command);
    assert.deepEqual(words.slice(2), [
      ...['daemon', '--socket=%t/glm-token/agent.sock'],
      ...['--accounts=api.z.ai', '--lock-after=5m', '--exit-after=1h'],
    ]);
    assert.match(stdout, /^Environment=GLM_TOKEN_STORE=file$/m);
    assert.doesNotMatch(stdout, /Hush|GLM_API_KEY/);
  });

  test('paths with spaces, quotes and signs of systemd come through', async () => {
    const plain = join(home, 'a 100% $x');
    mkdirSync(plain);
    const node = join(plain, 'show.sh');
    writeFileSync(node, '#!/bin/sh\n', { mode: 0o755 });
    const script = `/o'd "d" 100% $x\\y`;
    const unit = { node, script, socket: join(plain, 's'), env: { GLM_TOKEN_STORE: script } };
    const text = systemdUnits(unit, {});
    const directory = mkdtempSync(join(home, 'units-'));
    const [socketUnit = '', serviceUnit = ''] = text.split('# glm-token.service\n');
    writeFileSync(join(directory, 'glm-token.socket'), socketUnit);
    writeFileSync(join(directory, 'glm-token.service'), serviceUnit);
    const { status, stderr } = await verify(directory);
    assert.deepEqual([status, stderr], [0, '']);
    assert.ok(serviceUnit.includes(`"/o'd \\"d\\" 100%% $$x\\\\y" daemon`), serviceUnit);
  });

  test('what contradicts itself is said when the units are printed', async () => {
    const { status, stderr } = await printed('systemd', '--accounts=api.z.ai', '--allow-write');
    assert.equal(status, 2);
    assert.match(stderr, /--accounts is read-only/);
    assert.equal((await printed('systemd', '--exit-after=never')).status, 2);
    assert.equal((await printed('upstart')).status, 2);
  });
});

describe('under restrictions like those of the unit, the keychain works', () => {
  let session: KeychainSession;
  before(async () => {
    session = await KeychainSession.start();
    await glmToken(['store'], { env: session.env, input: 'id.secretsecret' });
  });
  after(() => session.stop());

  /** What of the unit a command can do that is not systemd; the network needs root. */
  const asRoot = process.getuid?.() === 0;
  const wrapper = [
    ...(asRoot ? ['unshare', '--net'] : []),
    ...['setpriv', '--no-new-privs', 'prlimit', '--core=0'],
  ];

  test(`no new privileges, no core dumps${asRoot ? ', no network' : ''}: a token comes`, async () => {
    const path = join(session.home, 'run', 'restricted.sock');
    const helper = await SocketHelper.start(path, [], session.env, wrapper);
    try {
      const { stdout, stderr } = await glmToken(['print'], {
        env: { ...session.env, GLM_TOKEN_SOCKET: path },
      });
      assert.match(stdout, /^eyJ/, stderr);
    } finally {
      await helper.stop();
    }
  });

  test('no sockets but Unix sockets, as RestrictAddressFamilies has it: a token comes', async () => {
    const path = join(session.home, 'run', 'families.sock');
    const filter = [found.python, join(import.meta.dirname, '../support/unix_sockets_only.py')];
    const helper = await SocketHelper.start(path, [], session.env, filter);
    try {
      const { stdout, stderr } = await glmToken(['print'], {
        env: { ...session.env, GLM_TOKEN_SOCKET: path },
      });
      assert.match(stdout, /^eyJ/, stderr);
      const inet = await run([...filter, found.python, '-c', 'import socket; socket.socket()']);
      assert.match(inet.stderr, /Address family not supported/);
    } finally {
      await helper.stop();
    }
  });
});

describe('the service that is printed, started by systemd-socket-activate', () => {
  let session: KeychainSession;
  before(async () => {
    session = await KeychainSession.start();
    await glmToken(['store'], { env: session.env, input: 'id.secretsecret' });
  });
  after(() => session.stop());

  test('gives a token to the first that asks, and ends when nobody asks any more', async () => {
    const { env } = session;
    const { XDG_RUNTIME_DIR: runtime = '' } = env;
    const { stdout: units } = await glmToken(
      ['daemon', '--print-unit=systemd', '--exit-after=2s', '--accounts=open.bigmodel.cn'],
      { env },
    );
    const line = (start: string) => new RegExp(`^${start}=(.*)$`, 'm').exec(units)?.[1] ?? '';
    const resolved = (text: string) => text.replaceAll('%t', runtime);
    const path = resolved(line('ListenStream'));
    mkdirSync(join(runtime, 'glm-token'), { mode: Number.parseInt(line('DirectoryMode'), 8) });
    const passed = Object.keys(env).flatMap((name) => ['-E', name]);
    const command = ['systemd-socket-activate', ...passed, '-l', path];
    const running = run(['timeout', '60', ...command, ...resolved(line('ExecStart')).split(' ')], {
      env,
    });
    await until('a socket', async () => existsSync(path));
    const asked = { ...env, GLM_TOKEN_SOCKET: path };
    const { stdout, stderr } = await glmToken(['print'], { env: asked });
    assert.match(stdout, /^eyJ/, stderr);
    assert.equal((await glmToken(['print', '--host=api.z.ai'], { env: asked })).status, 2);
    assert.equal((await running).status, 0);
    assert.ok(existsSync(path), 'it is for systemd to remove');
  });
});

describe('launchd', () => {
  const read = (text: string) =>
    run(
      [
        found.python,
        '-c',
        'import json, plistlib, sys; print(json.dumps(plistlib.loads(sys.stdin.buffer.read())))',
      ],
      { input: text },
    );

  test('the file is a property list, says that it is untested, and starts the helper at login', async () => {
    const { stdout, stderr } = await printed(
      'launchd',
      '--accounts=work@api.z.ai',
      '--exit-after=1h',
    );
    assert.match(stderr, /not tested on a Mac/);
    assert.match(stdout, /not tested/);
    const agent = JSON.parse((await read(stdout)).stdout);
    assert.deepEqual(agent.ProgramArguments.slice(1), [
      ...[PROGRAM, 'daemon', '--socket', '--accounts=work@api.z.ai'],
    ]);
    assert.equal(agent.RunAtLoad, true);
    assert.equal(agent.Umask, 0o77);
  });

  test('what XML gives a meaning comes through', async () => {
    const odd = '/Users/a & <b>/node';
    const text = launchdUnit({ node: odd, script: odd, socket: odd, env: {} }, {});
    const agent = JSON.parse((await read(text)).stdout);
    assert.deepEqual(agent.ProgramArguments, [odd, odd, 'daemon', `--socket=${odd}`]);
  });
});
