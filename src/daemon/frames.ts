/** Reads frames once, and holds a peer to them: what is no frame, or too long for one, is an error. */

import type { Readable } from 'node:stream';
import { AbstractMessageReader, type DataCallback, type Message } from 'vscode-jsonrpc/node';
import { GlmTokenError } from '../core/errors.ts';

/** Longest message that is accepted, in bytes. The longest sensible one, a `store`, has some thousand. */
const MAX_MESSAGE_BYTES = 1 << 20;

/** Longest header that is accepted, its end included, in bytes; ours is one line. */
const MAX_HEADER_BYTES = 1024;

const END_OF_HEADER = '\r\n\r\n';

export interface FrameOptions {
  /** How long a frame may take to come, in milliseconds; any time when `undefined`. */
  readonly patienceMs: number | undefined;
  /** Input waits for it, so that a client which floods is held back and not fed memory. */
  room(): Promise<void>;
  /** Whether a message is of interest. */
  accepts(message: Message): boolean;
}

/** For a peer that is trusted. */
const ANYTHING: FrameOptions = {
  patienceMs: undefined,
  room: async () => {},
  accepts: () => true,
};

/**
 * Reports `ERR_DAEMON` as its error when the peer makes no sense; any other end of the input closes it.
 */
export class FrameReader extends AbstractMessageReader {
  readonly #input: Readable;
  readonly #options: FrameOptions;

  constructor(input: Readable, options = ANYTHING) {
    super();
    this.#input = input;
    this.#options = options;
  }

  override listen(take: DataCallback) {
    this.#read(take).then(
      () => this.fireClose(),
      (error) => (error instanceof GlmTokenError ? this.fireError(error) : this.fireClose()),
    );
    return { dispose: () => void this.#input.destroy() };
  }

  async #read(take: DataCallback): Promise<void> {
    const { patienceMs, room, accepts } = this.#options;
    const frames = new Frames();
    const late = () => this.#input.destroy(new GlmTokenError('clientUnintelligible'));
    /** Runs from the first byte of a frame until its last. */
    let timer: NodeJS.Timeout | undefined;
    try {
      for await (const chunk of this.#input) {
        const messages = frames.take(chunk);
        if (messages.length > 0 || !frames.hasBegun) {
          clearTimeout(timer);
          timer = undefined;
        }
        if (frames.hasBegun && patienceMs !== undefined) timer ??= setTimeout(late, patienceMs);
        for (const message of messages) if (accepts(message)) take(message);
        await room();
      }
    } finally {
      clearTimeout(timer);
    }
  }
}

/** The frame that is on its way: its header as far as it has come, then its message. */
class Frames {
  #header = '';
  #message: Buffer | undefined;
  #filled = 0;

  /** Whether a frame has begun and not ended. */
  get hasBegun(): boolean {
    return this.#header !== '' || this.#message !== undefined;
  }

  /**
   * The messages that end in a chunk.
   *
   * @throws GlmTokenError `ERR_DAEMON`
   */
  take(chunk: Buffer): Message[] {
    const messages: Message[] = [];
    for (let rest = chunk; rest.length > 0; ) {
      rest = rest.subarray(this.#message ? 0 : this.#takeHeader(rest));
      if (!this.#message) continue;
      const taken = rest.copy(this.#message, this.#filled);
      rest = rest.subarray(taken);
      this.#filled += taken;
      if (this.#filled < this.#message.length) continue;
      messages.push(parseMessage(this.#message));
      this.#message = undefined;
    }
    return messages;
  }

  /** Returns the number of bytes that belong to the header. */
  #takeHeader(chunk: Buffer): number {
    const before = this.#header.length;
    this.#header += chunk.toString('latin1', 0, MAX_HEADER_BYTES - before);
    const end = this.#header.indexOf(END_OF_HEADER);
    if (end < 0 && this.#header.length < MAX_HEADER_BYTES) return chunk.length;
    const length = /^content-length: *(\d{1,15})$/im.exec(this.#header)?.[1];
    if (end < 0 || length === undefined) throw new GlmTokenError('clientUnintelligible');
    if (Number(length) > MAX_MESSAGE_BYTES) throw new GlmTokenError('clientMessageTooLong');
    this.#header = '';
    this.#message = Buffer.alloc(Number(length));
    this.#filled = 0;
    return end + END_OF_HEADER.length - before;
  }
}

/** What is in a message, which is cleared, since it may be a key or a passphrase. */
function parseMessage(bytes: Buffer): Message {
  try {
    return JSON.parse(bytes.toString());
  } catch {
    throw new GlmTokenError('clientUnintelligible');
  } finally {
    bytes.fill(0);
  }
}
