/** Tokens over ssh, with a real sshd: what the remote machine gets, and what it does not. */

import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { Canary } from '../prove/canary.ts';
import { canReadMemory, countInMemory } from '../prove/processes.ts';
import { type Env, ROOT } from '../support/environment.ts';
import { KeychainSession } from '../support/keychain.ts';
import { glmToken } from '../support/program.ts';
import { REMOTE_HOME, REMOTE_NODE, RemoteMachine } from '../support/remote-machine.ts';
import { until } from '../support/session-bus.ts';
import { SocketHelper } from '../support/socket-helper.ts';

const ID = '0123456789abcdef0123456789abcdef';
const TOKEN = /^eyJ[\w-]+\.[\w-]+\.[\w-]+\n$/;
const SOCKET = `${REMOTE_HOME}/glm-token.sock`;

const unavailable = await RemoteMachine.unavailable();

describe('over ssh', { skip: unavailable ?? false }, () => {
  const secret = new Canary();
  const passphrase = new Canary();
  let session: KeychainSession;
  let env: Env;
  let helper: SocketHelper;
  let remote: RemoteMachine;
  let host: string;
  let lisp: string;

  before(async () => {
    session = await KeychainSession.start();
    const file = join(session.home, 'passphrase');
    writeFileSync(file, passphrase.text, { mode: 0o600 });
    env = { ...session.env, GLM_TOKEN_STORE: 'file', GLM_TOKEN_PASSPHRASE_FILE: file };
    remote = await RemoteMachine.start({ unlinks: true });
    host = await remote.startService({ [ID]: secret.text });
    for (const account of [[`--host=${host}`], ['--host=api.z.ai', '--profile=private']]) {
      const key = `${ID}.${secret.text}`;
      assert.equal((await glmToken(['store', ...account], { env, input: key })).status, 0);
    }
    helper = await SocketHelper.start(
      join(session.home, 'run', 'remote.sock'),
      [`--accounts=${host}`],
      env,
    );
    lisp = remote.installLisp();
    remote.copy(`${ROOT}/dist`, 'dist');
  });
  after(async () => {
    await remote?.stop();
    await helper?.stop();
    await session?.stop();
  });

  const onRemote = (line: string) => remote.ssh(`export GLM_TOKEN_SOCKET=${SOCKET}; ${line}`);
  const glm = `${REMOTE_NODE} ${REMOTE_HOME}/dist/cli.cjs`;

  test('Emacs there sends a gptel request with a token that was signed here', async () => {
    const login = await remote.login(helper.path, SOCKET);
    assert.ok(login.isForwarded, login.stderr());
    const form = `(progn
      (require 'glm-gptel-auth)
      (require 'gptel)
      (setq gptel-backend (glm-gptel-auth-make-backend "GLM" :host "${host}" :protocol "http")
            gptel-model 'glm-5.3)
      (let ((answer nil) (end (+ 20 (float-time))))
        (gptel-request "Hi" :callback (lambda (text _) (setq answer text)) :stream nil)
        (while (not (or answer (> (float-time) end))) (accept-process-output nil 0.05))
        (princ answer))
      (glm-gptel-auth-status)
      (princ (with-current-buffer "*glm-token status*" (buffer-string)))
      (sleep-for 4))`;
    writeFileSync(join(remote.home, 'request.el'), form);
    const asked = onRemote(`emacs -Q --batch ${lisp} -l ${REMOTE_HOME}/request.el`);
    const memory = await lookFor(10_000, () => remote.seen.length > 0);
    const { stdout, stderr } = await asked;
    assert.match(stdout, /^Hello from GLM/, stderr);
    assert.ok(stdout.includes(`from the helper at ${SOCKET}`), stdout);
    assert.equal(remote.seen.length, 1);
    const [seen] = remote.seen;
    assert.equal(seen?.refused, undefined);
    assert.ok(Number(seen?.ageMs) < 5000);
    assert.ok(memory.processes.length >= 2, 'sshd and Emacs were looked into');
    await until('a copy in the helper, where it can be found', async () => {
      return countInMemory(helper.pid, secret.forms) > 0;
    });
    assert.deepEqual(memory.leaks, []);
    await login.close();
  });

  /** Looks into memory and environment of everything there, from when something holds on. */
  async function lookFor(ms: number, isTime: () => boolean) {
    const endsAt = Date.now() + ms;
    while (!isTime() && Date.now() < endsAt) await delay(100);
    const leaks: string[] = [];
    const processes = remote.processes();
    assert.ok(canReadMemory(), 'memory can be read');
    const forms = [secret, passphrase].flatMap((canary) => canary.forms);
    for (const pid of processes) {
      try {
        if (countInMemory(pid, forms) > 0) leaks.push(`memory of ${pid}`);
        const environment = readFileSync(`/proc/${pid}/environ`);
        if (secret.isIn(environment) || passphrase.isIn(environment)) leaks.push(`env of ${pid}`);
      } catch {} // It has ended.
    }
    return { processes, leaks };
  }

  test('print, exec, list and doctor work there, without a keychain or a key', async () => {
    const login = await remote.login(helper.path, SOCKET);
    const account = `--host ${host}`;
    assert.match((await onRemote(`${glm} print ${account}`)).stdout, TOKEN);
    assert.match((await onRemote(`${glm} exec ${account} -- printenv ZAI_API_KEY`)).stdout, TOKEN);
    const listed = JSON.parse((await onRemote(`${glm} list --json`)).stdout);
    assert.deepEqual(
      listed.accounts.map((one: { host: string }) => one.host),
      [host],
    );
    const { findings } = JSON.parse((await onRemote(`${glm} doctor --json`)).stdout);
    const levels = Object.fromEntries(
      findings.map(({ check, level }: { check: string; level: string }) => [check, level]),
    );
    assert.deepEqual([levels.helper, levels.token], ['ok', 'ok']);
    await login.close();
  });

  test('no key of another account, no writing, no token for longer than an hour', async () => {
    const login = await remote.login(helper.path, SOCKET);
    const refused = await onRemote(`${glm} print --host api.z.ai --profile private`);
    assert.equal(refused.status, 2);
    assert.match(refused.stderr, /gives no tokens for api\.z\.ai/);
    assert.equal((await onRemote(`${glm} print --host ${host} --ttl 2h`)).status, 2);
    const form = `(progn (require 'glm-gptel-auth)
      (condition-case err (glm-gptel-auth--request 'store '(:key "a.b"))
        (glm-gptel-auth-error (princ (cdr err)))))`;
    writeFileSync(join(remote.home, 'store.el'), form);
    const { stdout } = await onRemote(`emacs -Q --batch ${lisp} -l ${REMOTE_HOME}/store.el`);
    assert.match(stdout, /ERR_USAGE .*this helper is read-only/);
    await login.close();
  });

  test('nothing there holds the key, its secret or the passphrase', () => {
    for (const place of [remote.home, `${remote.root}/tmp`, `${remote.root}/run`]) {
      for (const canary of [secret, passphrase]) {
        assert.deepEqual(canary.filesBelow(place).found, [], place);
      }
    }
    assert.ok(secret.filesBelow(remote.home).count > 50, 'there were files to look into');
  });

  test('once the login has ended, a sentence says so, in the shell and in Emacs', async () => {
    const login = await remote.login(helper.path, SOCKET);
    assert.match((await onRemote(`${glm} print --host ${host}`)).stdout, TOKEN);
    await login.close();
    const { status, stdout, stderr } = await onRemote(`${glm} print --host ${host}`);
    assert.deepEqual([status, stdout], [9, '']);
    assert.match(
      stderr,
      /glm-token: (nothing answers at|there is no socket at) .*\nhint: .*ssh -R/,
    );
    const form = `(progn (require 'glm-gptel-auth)
      (condition-case err (glm-gptel-auth-token) (user-error (princ (cadr err)))))`;
    writeFileSync(join(remote.home, 'token.el'), form);
    const emacs = await onRemote(`emacs -Q --batch ${lisp} -l ${REMOTE_HOME}/token.el`);
    assert.match(emacs.stdout, /nothing answers at .*glm-token\.sock .*ssh -R/, emacs.stderr);
  });

  test('when the helper has ended, while the login lasts, a sentence says so', async () => {
    const login = await remote.login(join(session.home, 'run', 'none.sock'), SOCKET);
    const { status, stderr } = await onRemote(`${glm} print --host ${host}`);
    assert.equal(status, 9);
    assert.match(
      stderr,
      /was closed without an answer\nhint: .*over ssh, check that the helper runs/,
    );
    await login.close();
  });

  test('a second login finds its socket bound again', async () => {
    for (let n = 0; n < 2; n += 1) {
      const login = await remote.login(helper.path, SOCKET);
      assert.ok(login.isForwarded, login.stderr());
      assert.match((await onRemote(`${glm} print --host ${host}`)).stdout, TOKEN);
      await login.close();
    }
  });
});

test('without StreamLocalBindUnlink the second login cannot bind', {
  skip: unavailable ?? false,
}, async () => {
  const remote = await RemoteMachine.start({ unlinks: false });
  try {
    const first = await remote.login('/nonexistent', SOCKET);
    assert.ok(first.isForwarded, first.stderr());
    await first.close();
    const second = await remote.login('/nonexistent', SOCKET);
    assert.equal(second.isForwarded, false);
    assert.match(second.stderr(), /remote port forwarding failed/);
  } finally {
    await remote.stop();
  }
});
