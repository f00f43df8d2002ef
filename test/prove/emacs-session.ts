/** A real Emacs that uses GLM, and pauses for whoever wants to look into it. */

import type { ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { emacsCommand } from '../support/emacs.ts';
import { type Env, found, PROGRAM, ROOT } from '../support/environment.ts';
import { type Answers, type Outcome, run } from '../support/program.ts';
import { argumentsOf, descendants } from './processes.ts';

const PAUSE_WITHIN_MS = 120_000;

export interface SessionOptions {
  readonly emacs: string;
  /** A function of session.el. */
  readonly does: 'glm-prove-requests' | 'glm-prove-typing' | 'glm-prove-trouble';
  readonly home: string;
  readonly env: Env;
  /** What is typed, which makes it an Emacs on a terminal. */
  readonly types?: Answers;
}

export class EmacsSession {
  /** Files that both sides see; those of its buffers among them. */
  readonly directory: string;
  readonly ended: Promise<Outcome>;
  #child: ChildProcess | undefined;
  #outcome: Outcome | undefined;

  constructor({ emacs, does, home, env, types }: SessionOptions) {
    this.directory = mkdtempSync(join(home, 'session-'));
    const [program = '', ...batch] = emacsCommand(emacs, { gptel: true });
    const args = types ? ['-nw', ...batch.filter((word) => word !== '--batch')] : batch;
    const command = [program, ...args, '-l', `${ROOT}/test/prove/session.el`, '-f', does];
    const onTerminal = [found.python, `${ROOT}/test/support/terminal.py`, JSON.stringify(types)];
    this.ended = run(types ? [...onTerminal, ...command] : command, {
      env: {
        ...env,
        TERM: 'xterm',
        GLM_TEST_NODE: process.execPath,
        GLM_TEST_SCRIPT: PROGRAM,
        GLM_PROVE_DIRECTORY: this.directory,
      },
      onSpawn: (child) => {
        this.#child = child;
      },
    });
    void this.ended.then((outcome) => {
      this.#outcome = outcome;
    });
  }

  /** The process that was started: Emacs, or what becomes it or starts it. */
  get started(): number {
    return this.#child?.pid ?? 0;
  }

  /** The process of Emacs itself, once it runs. */
  get pid(): number {
    const pid = this.started;
    const isEmacs = (process: number) => argumentsOf(process).includes('session.el');
    // On a terminal, Emacs is the child of what types.
    return descendants(pid).filter(isEmacs).at(-1) ?? pid;
  }

  /** The process of its helper; undefined when there is none. */
  get helper(): number | undefined {
    return descendants(this.pid).find((pid) => /\0daemon\0/.test(argumentsOf(pid)));
  }

  /** @throws Error when there is no helper: a signal to no process goes to ourselves */
  signalHelper(signal: NodeJS.Signals): void {
    const { helper } = this;
    if (helper === undefined) throw new Error(`Emacs has no helper to send ${signal} to`);
    process.kill(helper, signal);
  }

  /** Waits for a pause, looks, and lets Emacs go on. */
  async at<T>(name: string, look: () => T | Promise<T>): Promise<T> {
    const file = join(this.directory, name);
    const until = Date.now() + PAUSE_WITHIN_MS;
    while (!existsSync(file)) {
      if (this.#outcome || Date.now() > until) {
        this.stop();
        const { stdout, stderr } = await this.ended;
        throw new Error(
          `Emacs did not come to "${name}":\n${stdout.slice(-2000)}${stderr.slice(0, 2000)}`,
        );
      }
      await delay(20);
    }
    try {
      return await look();
    } finally {
      rmSync(file);
    }
  }

  stop(): void {
    this.#child?.kill('SIGKILL');
  }
}
