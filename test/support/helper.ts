/** A client of the helper, on raw frames so that it can misbehave. */

import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type Env, PROGRAM } from './environment.ts';

/** How long a helper may take to end, in milliseconds. */
const LIMIT_MS = 60_000;

export interface Reply {
  readonly id?: number;
  readonly method?: string;
  readonly result?: Record<string, unknown>;
  readonly error?: {
    code: number;
    message: string;
    data: { code: string; hint: string | null; action: string | null };
  };
}

/** Whether a process has ended; a zombie counts as ended. */
export function hasEnded(pid: number): boolean {
  try {
    return / Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return true;
  }
}

export class Helper {
  readonly child: ChildProcessWithoutNullStreams;
  readonly notifications: string[] = [];
  stderr = '';
  #received = Buffer.alloc(0);
  #nextId = 1;
  readonly #waiting = new Map<number, (reply: Reply) => void>();

  constructor(env: Env) {
    this.child = spawn(process.execPath, [PROGRAM, 'daemon', '--stdio'], { env, stdio: 'pipe' });
    this.child.stdin.on('error', () => {});
    this.child.stdout.on('data', (chunk: Buffer) => this.#take(chunk));
    this.child.stderr.on('data', (chunk) => {
      this.stderr += chunk;
    });
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  static frame(message: object): string {
    const body = JSON.stringify({ jsonrpc: '2.0', ...message });
    return `Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
  }

  write(text: string | Buffer): void {
    this.child.stdin.write(text);
  }

  request(method: string, params: unknown = {}): Promise<Reply> {
    const id = this.#nextId++;
    const reply = new Promise<Reply>((resolve) => this.#waiting.set(id, resolve));
    this.write(Helper.frame({ id, method, params }));
    return reply;
  }

  /** The exit status, or the signal that ended it. */
  async ended(): Promise<number | string> {
    const { exitCode, signalCode } = this.child;
    if (exitCode !== null || signalCode !== null) return exitCode ?? String(signalCode);
    const limit = AbortSignal.timeout(LIMIT_MS);
    const [status, by] = await once(this.child, 'exit', { signal: limit });
    return status ?? by;
  }

  async stop(): Promise<void> {
    this.child.stdin.end();
    try {
      await this.ended();
    } finally {
      this.child.kill('SIGKILL'); // One that has ended is not sent it.
    }
  }

  #take(chunk: Buffer): void {
    this.#received = Buffer.concat([this.#received, chunk]);
    for (;;) {
      const end = this.#received.indexOf('\r\n\r\n');
      if (end < 0) return;
      const length = Number(
        /Content-Length: (\d+)/.exec(this.#received.toString('latin1', 0, end))?.[1],
      );
      if (this.#received.length < end + 4 + length) return;
      const reply: Reply = JSON.parse(this.#received.toString('utf8', end + 4, end + 4 + length));
      this.#received = this.#received.subarray(end + 4 + length);
      if (reply.method) this.notifications.push(reply.method);
      this.#waiting.get(Number(reply.id))?.(reply);
      this.#waiting.delete(Number(reply.id));
    }
  }
}
