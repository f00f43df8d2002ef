/** What /proc tells of other processes: memory, arguments, environment, children. */

import { closeSync, existsSync, openSync, readdirSync, readFileSync, readSync } from 'node:fs';
import type { Canary } from './canary.ts';

const CHUNK_BYTES = 4 << 20;

/** Whether this machine lets one process look into another. */
export function canReadMemory(): boolean {
  try {
    readFileSync('/proc/self/maps');
    closeSync(openSync(`/proc/${process.ppid}/mem`, 'r'));
    return true;
  } catch {
    return false;
  }
}

/** What holds more than a file does, as /proc/PID/maps lists it: it is writable, or of no file. */
const WRITABLE = /^(\w+)-(\w+) r(?:w.*|-\S+ \w+ \S+ 0 .*(?<!\[v\w+\]))$/gm;

/**
 * How often any of some texts is in the memory of a process.
 *
 * @throws NodeJS.ErrnoException when the process is gone or not ours to read
 */
export function countInMemory(pid: number, forms: readonly Buffer[]): number {
  const longest = Math.max(...forms.map((form) => form.length));
  const maps = readFileSync(`/proc/${pid}/maps`, 'utf8');
  const mem = openSync(`/proc/${pid}/mem`, 'r');
  const chunk = Buffer.alloc(CHUNK_BYTES);
  let count = 0;
  try {
    for (const [, from = '', to = ''] of maps.matchAll(WRITABLE)) {
      const end = Number.parseInt(to, 16);
      let at = Number.parseInt(from, 16);
      while (at < end) {
        const length = readAt(mem, chunk, Math.min(CHUNK_BYTES, end - at), at);
        if (length <= 0) break;
        const isLast = at + length >= end;
        // What begins in the last bytes is found with the next chunk.
        const limit = isLast ? length : Math.max(1, length - longest + 1);
        for (const form of forms) count += countIn(chunk.subarray(0, length), form, limit);
        at += limit;
      }
    }
  } finally {
    closeSync(mem);
    chunk.fill(0);
  }
  return count;
}

function readAt(fd: number, chunk: Buffer, length: number, at: number): number {
  try {
    return readSync(fd, chunk, 0, length, at);
  } catch {
    return 0; // It was unmapped meanwhile.
  }
}

function countIn(bytes: Buffer, form: Buffer, limit: number): number {
  let count = 0;
  for (let at = bytes.indexOf(form); at >= 0 && at < limit; at = bytes.indexOf(form, at + 1)) {
    count += 1;
  }
  return count;
}

/** The children of a process, their children, and so on. */
export function descendants(pid: number): number[] {
  return threadsOf(pid).flatMap((thread) =>
    readProc(pid, `task/${thread}/children`)
      .split(' ')
      .filter(Boolean)
      .flatMap((child) => [Number(child), ...descendants(Number(child))]),
  );
}

function threadsOf(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/task`);
  } catch {
    return []; // It ended meanwhile.
  }
}

/** The arguments of a process as one text; empty when it has ended. */
export const argumentsOf = (pid: number): string => readProc(pid, 'cmdline');

/** Its environment as one text; empty when it has ended. */
export const environmentOf = (pid: number): string => readProc(pid, 'environ');

/** The state of a process, such as `R` while it runs; empty when it has ended. */
export const stateOf = (pid: number): string => /\) (\w) /.exec(readProc(pid, 'stat'))?.[1] ?? '';

function readProc(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    return '';
  }
}

/** The most memory that a process has had resident, in megabytes. */
export function peakMemoryMb(pid: number): number {
  const kb = /VmHWM:\s+(\d+) kB/.exec(readProc(pid, 'status'))?.[1];
  return Math.round(Number(kb ?? Number.NaN) / 1024);
}

/** Looks at arguments and environments of some processes and all that they start, again and again. */
export class Sampler {
  samples = 0;
  readonly #roots = new Set<number>();
  readonly processes = new Set<number>();
  readonly leaks = new Set<string>();
  readonly #canaries: readonly Canary[];
  readonly #timer: NodeJS.Timeout;

  constructor(...canaries: Canary[]) {
    this.#canaries = canaries;
    this.#timer = setInterval(() => this.look(), 10);
  }

  watch(pid: number): void {
    this.#roots.add(pid);
  }

  look(): void {
    // Not by its arguments, which are empty for a moment while it becomes another program.
    for (const root of this.#roots) if (!existsSync(`/proc/${root}`)) this.#roots.delete(root);
    const all = [...this.#roots].flatMap((root) => [root, ...descendants(root)]);
    for (const pid of new Set(all)) {
      this.samples += 1;
      this.processes.add(pid);
      for (const file of ['cmdline', 'environ']) {
        const text = readProc(pid, file);
        if (!this.#canaries.some((canary) => canary.isIn(text))) continue;
        this.leaks.add(`${file} of ${argumentsOf(pid).replaceAll('\0', ' ').slice(0, 60)}`);
      }
    }
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}
