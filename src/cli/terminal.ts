/** The terminal: what is written to it, and what a person is asked there. */

import { openSync, writeSync } from 'node:fs';
import type { Interface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { styleText } from 'node:util';
import type { Account } from '../core/account.ts';
import { GlmTokenError } from '../core/errors.ts';
import { printable } from '../core/text.ts';
import { oneHint, type Text } from '../messages/common.ts';
import type { Messages } from '../messages/en.ts';
import type { Cure } from '../stores/cure.ts';
import type { PassphraseQuestion } from '../stores/passphrase.ts';

/** Thrown when a question was refused, by Ctrl-C or Ctrl-D. */
export class Refused extends Error {}

const isWindows = process.platform === 'win32';

/** The terminal, whatever the standard streams are: of POSIX, and as Microsoft's "Console Handles" has it. */
const TERMINAL = isWindows
  ? { input: String.raw`\\.\CONIN$`, output: String.raw`\\.\CONOUT$` }
  : { input: '/dev/tty', output: '/dev/tty' };

/** How often a person may try to answer a question. */
const MAX_TRIES = 3;

type Level = 'ok' | 'warning' | 'failure' | 'unchecked';

const COLORS: Record<Level | 'hint', Parameters<typeof styleText>[0]> = {
  ok: 'green',
  warning: 'yellow',
  failure: 'red',
  unchecked: 'dim',
  hint: 'cyan',
};

interface Streams {
  readonly input: Readable & { isTTY?: boolean };
  readonly output: Writable;
}

export interface TerminalOptions {
  readonly messages: Messages;
  /** Whether failures are reported as JSON. */
  readonly json: boolean;
}

/** Standard output, standard error, and the person at standard input. */
export class Terminal {
  readonly #options: TerminalOptions;
  /** A function, since it costs 3 ms to make the stream of standard input. */
  readonly #streams: () => Streams;

  constructor(
    options: TerminalOptions,
    streams = (): Streams => ({ input: process.stdin, output: process.stderr }),
  ) {
    this.#options = options;
    this.#streams = streams;
  }

  /** Whether there is a person at standard input. */
  get isInteractive(): boolean {
    return this.#streams().input.isTTY === true;
  }

  /** Writes lines of the answer to standard output. */
  print(...lines: string[]): void {
    for (const line of lines) writeAll(1, `${printable(line)}\n`);
  }

  /** Writes a line whose first word is a level, in its colour where the terminal has colours. */
  printLevel(level: Level, word: string, rest: string): void {
    writeAll(1, `${paint(1, COLORS[level], word)}${printable(rest)}\n`);
  }

  /** Writes a line for a person to standard error, with the program's name, and hints below it. */
  note(text: string | Text): void {
    this.#say('glm-token:', typeof text === 'string' ? { message: text } : text);
  }

  /** As {@link note}, where a person is to read it: not where JSON was asked for. */
  remark(text: string | Text): void {
    if (!this.#options.json) this.note(text);
  }

  #say(name: string, { message, hint }: Text): void {
    const hints = typeof hint === 'string' ? [hint] : (hint ?? []);
    const lines = hints.map(
      (line) => `${paint(2, COLORS.hint, this.#options.messages.hintLabel)}${printable(line)}\n`,
    );
    writeAll(2, `${name} ${printable(message)}\n${lines.join('')}`);
  }

  /**
   * Writes a failure to standard error, as text or as JSON.
   *
   * @param action what cures it, for programs
   * @param about the account in question
   */
  report(error: GlmTokenError, action: Cure | null, about?: Account): void {
    const { messages, json } = this.#options;
    const text = messages.describe(error, about);
    if (json) {
      const hint = oneHint(text) ?? null;
      const body = { code: error.code, message: text.message, hint, action };
      writeAll(2, `${printable(JSON.stringify({ schemaVersion: 1, error: body }))}\n`);
    } else {
      this.#say(paint(2, COLORS.failure, 'glm-token:'), text);
    }
  }

  /** Says that the keychain, or a program, waits for a person. */
  noteWaiting(program?: string): void {
    const { messages, json } = this.#options;
    const body = { schemaVersion: 1, waiting: true, program: program ?? null };
    if (json) writeAll(2, `${printable(JSON.stringify(body))}\n`);
    else this.note(messages.waiting(program));
  }

  /** Asks for a line without echo. */
  async askSecret(question: string): Promise<string> {
    // In Emacs' shell buffers what is typed is shown, whatever the terminal is set to.
    if (process.env.INSIDE_EMACS && process.env.TERM === 'dumb') {
      throw new GlmTokenError('terminalEchoes');
    }
    return this.#question(question, true);
  }

  /** Asks a question that Enter answers with no, unless `byDefault` is true. */
  async confirm(question: string, byDefault = false): Promise<boolean> {
    const { messages } = this.#options;
    const ask = () => this.#question(`${question} [${messages.yesOrNo(byDefault)}] `, false);
    return this.askUntil(ask, (answer) => {
      const meant = answer.trim() === '' ? byDefault : messages.meansYes(answer.trim());
      if (meant === undefined) throw new GlmTokenError('answerUnclear', { given: answer });
      return meant;
    });
  }

  /** Asks for one of several, by number; Enter takes the default. Returns its index. */
  async choose(question: string, choices: readonly string[], byDefault: number): Promise<number> {
    const lines = choices.map((choice, at) => `  ${at + 1}) ${choice}`);
    for (const line of [question, ...lines]) writeAll(2, `${printable(line)}\n`);
    const ask = () => this.#question(this.#options.messages.askChoice(byDefault + 1), false);
    return this.askUntil(ask, (answer) => {
      const chosen = answer.trim() === '' ? byDefault : Number(answer) - 1;
      if (choices[chosen] !== undefined) return chosen;
      throw new GlmTokenError('choiceInvalid', { given: answer, count: choices.length });
    });
  }

  /**
   * Asks until `take` accepts the answer: what it throws is said, and the question asked again, up
   * to three times in all.
   */
  async askUntil<T>(
    ask: () => Promise<string>,
    take: (answer: string) => T | Promise<T>,
  ): Promise<T> {
    for (let tries = 1; ; tries += 1) {
      const answer = await ask();
      try {
        return await take(answer);
      } catch (error) {
        if (!(error instanceof GlmTokenError) || tries === MAX_TRIES) throw error;
        this.note(this.#options.messages.describe(error).message);
      }
    }
  }

  /** Standard input, whole, as text, up to a number of bytes. */
  async readInput(maxBytes: number): Promise<string> {
    const chunks: Buffer[] = [];
    let size = 0;
    for await (const chunk of this.#streams().input) {
      chunks.push(chunk);
      size += chunk.length;
      if (size > maxBytes) break;
    }
    const all = Buffer.concat(chunks);
    const text = all.toString('utf8');
    for (const chunk of [...chunks, all]) chunk.fill(0);
    return text;
  }

  /**
   * Asks for the passphrase of the encrypted file, twice when it is new, even when standard input is not
   * the terminal (it may be the key that is to be stored); `undefined` where there is no terminal.
   */
  async askPassphrase(question: PassphraseQuestion): Promise<string | undefined> {
    if (this.isInteractive) return this.#askPassphrase(question);
    // A program without windows of its own has a console there even where nobody sees it.
    if (isWindows && !process.stderr.isTTY) return undefined;
    const { ReadStream, WriteStream } = await import('node:tty');
    let streams: Streams & { input: Readable };
    try {
      const input = new ReadStream(openSync(TERMINAL.input, 'r+'));
      streams = { input, output: new WriteStream(openSync(TERMINAL.output, 'r+')) };
    } catch {
      return undefined;
    }
    try {
      return await new Terminal(this.#options, () => streams).#askPassphrase(question);
    } finally {
      streams.input.destroy();
      streams.output.destroy();
    }
  }

  #askPassphrase({ isNew, wasWrong }: PassphraseQuestion): Promise<string> {
    const { messages } = this.#options;
    if (wasWrong) return this.askSecret(messages.askPassphraseAfterWrong);
    if (!isNew) return this.askSecret(messages.askPassphrase);
    const askNew = () => this.askSecret(messages.askNewPassphrase);
    return this.askUntil(askNew, async (passphrase) => {
      if (passphrase === '') throw new GlmTokenError('passphraseEmpty');
      const again = await this.askSecret(messages.askPassphraseAgain);
      if (passphrase !== again) throw new GlmTokenError('passphrasesDiffer');
      return passphrase;
    });
  }

  /**
   * Asks on standard error. Where the answer is shown, the terminal itself does the editing. What it
   * asks with is loaded here, since it would cost `print`, which asks nothing, 2 ms.
   */
  async #question(question: string, isSecret: boolean): Promise<string> {
    const [{ createInterface }, { Writable }] = await Promise.all([
      import('node:readline'),
      import('node:stream'),
    ]);
    const { input, output } = this.#streams();
    const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
    const lines = createInterface({ input, output: nowhere, terminal: isSecret, historySize: 0 });
    const line = firstLine(lines);
    output.write(printable(question)); // Last: before the listeners are set, an answer would be echoed and Ctrl-C missed.
    try {
      return await line;
    } catch (error) {
      if (!isSecret) output.write('\n');
      throw error;
    } finally {
      if (isSecret) output.write('\n');
      lines.close();
    }
  }
}

/** The next line; rejects with {@link Refused} at Ctrl-C and at the end of input, which is Ctrl-D. */
function firstLine(lines: Interface): Promise<string> {
  return new Promise((resolve, reject) => {
    const refuse = () => reject(new Refused());
    process.once('SIGINT', refuse); // From a terminal that is not in raw mode.
    lines.once('SIGINT', refuse);
    lines.once('line', resolve);
    lines.once('close', () => {
      process.removeListener('SIGINT', refuse);
      refuse();
    });
  });
}

const streamOf = (fd: 1 | 2) => (fd === 1 ? process.stdout : process.stderr);

/** A word in a colour, where what it is written to is a terminal that has colours (NO_COLOR). */
function paint(fd: 1 | 2, color: Parameters<typeof styleText>[0], word: string): string {
  const stream = streamOf(fd);
  return stream.isTTY && stream.hasColors() ? styleText(color, word) : word;
}

/** Writes all of it before it returns, whatever kind of file the descriptor is. */
export function writeAll(fd: 1 | 2, text: string): void {
  // A console of Windows reads bytes in its own code page; Node's streams give it Unicode, and at once.
  if (isWindows && streamOf(fd).isTTY) {
    streamOf(fd).write(text);
    return;
  }
  let rest = Buffer.from(text);
  while (rest.length > 0) {
    try {
      rest = rest.subarray(writeSync(fd, rest));
    } catch (error) {
      const { code = '' } = error as NodeJS.ErrnoException;
      if (code === 'EAGAIN') continue; // A pipe in non-blocking mode that is full for now.
      if (fd === 2) return; // There is nowhere left to report it.
      if (isPipeClosed(error)) throw error;
      throw new GlmTokenError('outputFailed', { errno: code }, error);
    }
  }
}

/** Whether nobody reads what was written; on Windows, Node may say `EOF` of that (libuv pull request 4562). */
export const isPipeClosed = (thrown: unknown): boolean =>
  ['EPIPE', 'EOF'].includes((thrown as NodeJS.ErrnoException)?.code ?? '');
