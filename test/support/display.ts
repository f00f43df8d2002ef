/** A screen that nobody sees (Xvfb), and a hand that answers the windows on it (xdotool). */

import { type ChildProcess, spawn } from 'node:child_process';
import type { Readable } from 'node:stream';
import { BARE_ENV, type Env } from './environment.ts';
import { run } from './program.ts';
import { end, firstLine, until } from './session-bus.ts';

export class Display {
  readonly #server: ChildProcess;
  /** What leads programs to this screen. */
  readonly env: Env;

  private constructor(server: ChildProcess, number: string) {
    this.#server = server;
    this.env = { DISPLAY: `:${number}` };
  }

  static async start(): Promise<Display> {
    // By default it starts anew when its last client leaves, and meanwhile refuses the next one.
    const options = ['-noreset', '-nolisten', 'tcp', '-screen', '0', '800x600x24'];
    const server = spawn('Xvfb', ['-displayfd', '3', ...options], {
      env: BARE_ENV,
      stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
    });
    return new Display(server, await firstLine(server, server.stdio[3] as Readable));
  }

  /** Waits for a window whose program is this, and types a line into each of its first fields. */
  async answer(program: string, ...lines: readonly string[]): Promise<void> {
    await this.#focus(program);
    for (const [n, line] of lines.entries()) {
      await this.#xdotool('type', '--delay', '5', line);
      await this.#xdotool('key', n === lines.length - 1 ? 'Return' : 'Tab');
    }
  }

  /** Waits for such a window, and closes it without an answer. */
  async cancel(program: string): Promise<void> {
    await this.#focus(program);
    await this.#xdotool('key', 'Escape');
  }

  /** Waits for a window whose title has this in it, types a text into it, presses a key, and waits until it is gone. */
  async press(title: string, key: string, text = ''): Promise<void> {
    let id = '';
    const find = async () =>
      (await this.#xdotool('search', '--onlyvisible', '--name', title)).stdout;
    await until(`a window called ${title}`, async () => {
      id = (await find()).split('\n')[0] ?? '';
      return id !== '';
    });
    await this.keys(id, key, text);
    await until(`no window called ${title}`, async () => !(await find()).includes(id));
  }

  /** Gives a window the keyboard, types a text and presses a key. */
  async keys(id: string, key: string, text = ''): Promise<void> {
    await this.#xdotool('windowfocus', '--sync', id);
    if (text) await this.#xdotool('type', '--delay', '5', text);
    await this.#xdotool('key', key);
  }

  /** The windows of a program, by their numbers, with their titles. */
  async titles(program: string): Promise<ReadonlyMap<string, string>> {
    const found = await this.#xdotool('search', '--onlyvisible', '--class', `^${program}$`);
    const titles = new Map<string, string>();
    for (const id of found.stdout.split('\n').filter(Boolean)) {
      titles.set(id, (await this.#xdotool('getwindowname', id)).stdout.trim());
    }
    return titles;
  }

  async #focus(program: string): Promise<void> {
    let id: string | undefined;
    await until(`a window of ${program}`, async () => {
      id = await this.#find(program);
      return id !== undefined;
    });
    // Without a window manager, a window gets the keyboard only when it is given it.
    await this.#xdotool('windowfocus', '--sync', String(id));
  }

  async shows(program: string): Promise<boolean> {
    return (await this.#find(program)) !== undefined;
  }

  async stop(): Promise<void> {
    await end(this.#server);
  }

  async #find(program: string): Promise<string | undefined> {
    const found = await this.#xdotool('search', '--onlyvisible', '--class', `^${program}$`);
    return found.stdout.split('\n')[0] || undefined;
  }

  #xdotool(...args: readonly string[]) {
    return run(['xdotool', ...args], { env: { ...BARE_ENV, ...this.env } });
  }
}
