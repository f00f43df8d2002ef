/** A helper whose socket is forwarded over a real ssh gives the other machine tokens, and no key. */

import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { accountName } from '../../src/core/account.ts';
import { ROOT } from '../support/environment.ts';
import { REMOTE_HOME, REMOTE_NODE, RemoteMachine } from '../support/remote-machine.ts';
import { until } from '../support/session-bus.ts';
import { SocketHelper } from '../support/socket-helper.ts';
import { Canary } from './canary.ts';
import { canReadMemory, countInMemory, Sampler } from './processes.ts';
import { notTried, type Row, type Trials } from './row.ts';
import { homeWith, overreach, type Stored, stored } from './shared-helper.ts';

export const overSsh: Trials = { ssh: overRealSsh };

const SOCKET = `${REMOTE_HOME}/glm-token.sock`;

/** What Emacs does there: requests, commands, and then a pause in which it is looked into. */
const inEmacs = (host: string, requests: number) => `(progn
  (require 'glm-gptel-auth)
  (require 'gptel)
  (setq gptel-backend (glm-gptel-auth-make-backend "GLM" :host "${host}" :protocol "http")
        gptel-model 'glm-5.3)
  (dotimes (_ ${requests})
    (let ((answer nil) (end (+ 20 (float-time))))
      (gptel-request "Hi" :callback (lambda (text _) (setq answer text)) :stream nil)
      (while (not (or answer (> (float-time) end))) (accept-process-output nil 0.02))
      (unless (stringp answer) (error "No answer"))))
  (glm-gptel-auth-status)
  (glm-gptel-auth-doctor)
  (ignore-errors (call-interactively #'glm-gptel-auth-lock))
  (write-region "" nil "${REMOTE_HOME}/pause" nil 'silent)
  (while (file-exists-p "${REMOTE_HOME}/pause") (sleep-for 0.05)))`;

async function* overRealSsh({ isShort }: { isShort: boolean }): AsyncGenerator<Row> {
  const trial = 'over ssh: memory of everything on the other machine';
  const why = await RemoteMachine.unavailable();
  if (why) return yield notTried(trial, why);
  if (!canReadMemory()) return yield notTried(trial, 'memory of others cannot be read here');
  const remote = await RemoteMachine.start({ unlinks: true });
  const passphrase = new Canary();
  const other = [stored('elsewhere.example', 'private'), stored('nowhere.example')];
  const made = stored('');
  const host = await remote.startService({ [made.id]: made.secret.text });
  const served: Stored = { ...made, host };
  const { home, env, content } = await homeWith([served, ...other], passphrase);
  const before = content();
  mkdirSync(join(home, 'run'), { mode: 0o700 });
  const args = [`--accounts=${accountName(served)}`];
  const helper = await SocketHelper.start(join(home, 'run/agent.sock'), args, env);
  const recorder = await record(join(home, 'run/recorded.sock'), helper.path);
  // The key's own id is in every token; a whole key has the secret in it.
  const secrets = [served.secret, ...other.map(({ secret }) => secret), passphrase];
  const sampler = new Sampler(...secrets);
  try {
    remote.copy(`${ROOT}/dist`, 'dist');
    const lisp = remote.installLisp();
    const requests = isShort ? 3 : 50;
    const login = await remote.login(recorder.path, SOCKET);
    if (!login.isForwarded) throw new Error(login.stderr());
    const faults: string[] = [];
    writeFileSync(join(remote.home, 'session.el'), inEmacs(host, requests));
    // sshd, what it starts, and what has left it since.
    const watchAll = () => {
      for (const pid of remote.processes()) sampler.watch(pid);
    };
    watchAll();
    const watch = setInterval(watchAll, 500);

    // In Emacs and in the shell at the same time, since each takes a while.
    const emacs = remote.ssh(
      `GLM_TOKEN_SOCKET=${SOCKET} emacs -Q --batch ${lisp} -l ${REMOTE_HOME}/session.el`,
    );
    const glm = `${REMOTE_NODE} ${REMOTE_HOME}/dist/cli.cjs`;
    const commands = [
      ...[`print --host ${host}`, `print --format json --host ${host}`, 'list', 'doctor'],
      `exec --host ${host} -- env`,
    ];
    let output = '';
    for (const command of commands) {
      const { stdout } = await remote.ssh(`GLM_TOKEN_SOCKET=${SOCKET} ${glm} ${command}`);
      if (stdout === '') faults.push(`${command}: no output`);
      output += stdout;
    }
    const pause = join(remote.home, 'pause');
    let hasEnded = false;
    void emacs.then(() => {
      hasEnded = true;
    });
    await until('Emacs there', async () => existsSync(pause) || hasEnded);
    const forms = secrets.flatMap((secret) => secret.forms);
    const processes: number[] = [];
    let copies = 0;
    for (const pid of remote.processes()) {
      try {
        copies += countInMemory(pid, forms);
        processes.push(pid);
      } catch (error) {
        if (existsSync(`/proc/${pid}`)) throw error; // Else it has ended meanwhile.
      }
    }
    const inHelper = countInMemory(helper.pid, served.secret.forms);
    rmSync(pause, { force: true });
    const { status, stderr } = await emacs;
    clearInterval(watch);
    const refused = remote.seen.filter((request) => request.refused !== undefined).length;
    yield {
      trial,
      count: `${remote.seen.length} requests of Emacs, ${processes.length} processes`,
      seen: `${copies} copies of key, secret, passphrase`,
      faults: [
        ...faults,
        ...(copies > 0 ? [`${copies} copies`] : []),
        ...(inHelper > 0 ? [] : ['it is not in the helper either, so the search finds nothing']),
        ...(processes.length < 3 ? ['Emacs, its shell and sshd were not looked into'] : []),
        ...(status === 0 ? [] : [`Emacs ended with ${status}: ${stderr.slice(-1000)}`]),
        ...(remote.seen.length < requests ? [`only ${remote.seen.length} requests`] : []),
        ...(refused > 0 ? [`${refused} requests had no valid token`] : []),
      ],
    };
    yield {
      trial: 'over ssh: arguments and environments there',
      count: `${sampler.samples} samples of ${sampler.processes.size} processes`,
      seen: `in ${sampler.leaks.size}`,
      faults: [...sampler.leaks, ...(sampler.processes.size < 5 ? ['few were seen'] : [])],
    };

    const beyond = await overreach(`${remote.root}${SOCKET}`, [served], other);
    yield {
      trial: 'over ssh: 2 other accounts asked for, keys stored and deleted from there',
      count: `${beyond.count} requests`,
      seen: `${beyond.tokens} tokens for the 1 account; ${beyond.faults.length} answers too many`,
      faults: [
        ...beyond.faults,
        ...(content() === before ? [] : ['what is stored here has changed']),
      ],
    };

    let count = 0;
    const found: string[] = [];
    for (const place of [remote.home, `${remote.root}/tmp`, `${remote.root}/run`]) {
      for (const secret of secrets) {
        const below = secret.filesBelow(place);
        found.push(...below.found);
        count += secret === passphrase ? below.count : 0;
      }
    }
    const wire = recorder.recorded();
    const inTransit = secrets.filter((secret) => secret.isIn(wire) || secret.isIn(output)).length;
    yield {
      trial: 'over ssh: files there, output there, and all that the helper sends',
      count: `${count} files, ${wire.length} bytes`,
      seen: `in ${found.length + inTransit}`,
      faults: [
        ...found,
        ...(inTransit > 0 ? [`${inTransit} secrets were sent`] : []),
        ...(count < 50 || wire.length < 1000 ? ['little was looked into'] : []),
      ],
    };

    await login.close();
    const after = await remote.ssh(`GLM_TOKEN_SOCKET=${SOCKET} ${glm} print --host ${host}`);
    yield {
      trial: 'over ssh: a token, once the login has ended',
      count: '1 command',
      seen: after.status === 9 ? 'refused' : `status ${after.status}`,
      faults: after.status === 9 && after.stdout === '' ? [] : [after.stdout + after.stderr],
    };
  } finally {
    sampler.stop();
    recorder.stop();
    await remote.stop();
    await helper.stop();
    rmSync(home, { recursive: true });
  }
}

/** A socket before another one, that keeps what that sends. */
async function record(path: string, target: string) {
  const chunks: Buffer[] = [];
  const server = createServer((client) => {
    const helper = connect(target);
    helper.on('data', (chunk) => chunks.push(chunk));
    for (const socket of [client, helper]) socket.on('error', () => {});
    client.pipe(helper).pipe(client);
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  return { path, recorded: () => Buffer.concat(chunks), stop: () => server.close() };
}
