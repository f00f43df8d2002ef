/** A helper on a socket, and clients of it on raw frames, so that they can misbehave. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { type Env, PROGRAM } from './environment.ts';
import { Helper, type Reply } from './helper.ts';

/** A test that waits for longer fails, in milliseconds: a flood is worked off in some ten thousand. */
const LIMIT_MS = 60_000;

export class SocketHelper {
  readonly path: string;
  readonly child: ChildProcess;
  stderr = '';

  private constructor(path: string, args: readonly string[], env: Env, wrapper: readonly string[]) {
    this.path = path;
    const command = [...wrapper, process.execPath, PROGRAM, 'daemon', `--socket=${path}`, ...args];
    const [file = '', ...rest] = command;
    this.child = spawn(file, rest, { env, stdio: ['ignore', 'ignore', 'pipe'] });
    this.child.stderr?.on('data', (chunk) => {
      this.stderr += chunk;
    });
  }

  /**
   * Starts one, and waits until it listens or has ended.
   *
   * @param wrapper a command that starts it, such as `setpriv --no-new-privs`
   */
  static async start(
    path: string,
    args: readonly string[],
    env: Env,
    wrapper: readonly string[] = [],
  ): Promise<SocketHelper> {
    const helper = new SocketHelper(path, args, env, wrapper);
    const { child } = helper;
    for (let tries = 0; tries < 400; tries += 1) {
      if (child.exitCode !== null || helper.stderr.includes('listening at')) return helper;
      await delay(25);
    }
    throw new Error(`it neither listens nor ends: ${helper.stderr}`);
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  /** The exit status, or the signal that ended it. */
  async ended(): Promise<number | string> {
    const { exitCode, signalCode } = this.child;
    if (exitCode !== null || signalCode !== null) return exitCode ?? String(signalCode);
    const [status, by] = await once(this.child, 'exit', {
      signal: AbortSignal.timeout(LIMIT_MS),
    });
    return status ?? by;
  }

  async stop(): Promise<void> {
    this.child.kill('SIGTERM');
    try {
      await this.ended();
    } finally {
      this.child.kill('SIGKILL'); // One that has ended is not sent it.
    }
  }
}

export class SocketClient {
  readonly socket: Socket;
  readonly notifications: string[] = [];
  #received = Buffer.alloc(0);
  #nextId = 1;
  readonly #waiting = new Map<number, (reply: Reply) => void>();

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.setMaxListeners(0);
    socket.on('error', () => {});
    socket.on('data', (chunk: Buffer) => this.#take(chunk));
  }

  static async connect(path: string): Promise<SocketClient> {
    const socket = connect(path);
    await once(socket, 'connect');
    return new SocketClient(socket);
  }

  /** The answer; one without result and error when the connection ends first. */
  request(method: string, params: unknown = {}): Promise<Reply> {
    const id = this.#nextId++;
    const reply = new Promise<Reply>((resolve, reject) => {
      const late = () => reject(new Error(`no answer to ${method} within ${LIMIT_MS} ms`));
      const timer = setTimeout(late, LIMIT_MS);
      const done = (answer: Reply) => {
        clearTimeout(timer);
        this.socket.off('close', end);
        resolve(answer);
      };
      const end = () => done({});
      this.#waiting.set(id, done);
      this.socket.once('close', end);
    });
    this.socket.write(Helper.frame({ id, method, params }));
    return reply;
  }

  /** Milliseconds until the other side closes the connection. */
  async closed(): Promise<number> {
    const startedAt = performance.now();
    const signal = AbortSignal.timeout(LIMIT_MS);
    if (!this.socket.closed) await once(this.socket, 'close', { signal });
    return performance.now() - startedAt;
  }

  close(): void {
    this.socket.destroy();
  }

  #take(chunk: Buffer): void {
    this.#received = Buffer.concat([this.#received, chunk]);
    for (;;) {
      const end = this.#received.indexOf('\r\n\r\n');
      if (end < 0) return;
      const header = this.#received.toString('latin1', 0, end);
      const length = Number(/Content-Length: (\d+)/.exec(header)?.[1]);
      if (this.#received.length < end + 4 + length) return;
      const reply: Reply = JSON.parse(this.#received.toString('utf8', end + 4, end + 4 + length));
      this.#received = this.#received.subarray(end + 4 + length);
      if (reply.method) this.notifications.push(reply.method);
      this.#waiting.get(Number(reply.id))?.(reply);
      this.#waiting.delete(Number(reply.id));
    }
  }
}
