/** The helper on a pair of streams: JSON-RPC 2.0 in `Content-Length` frames. */

import { once } from 'node:events';
import type { Readable, Writable } from 'node:stream';
import {
  createMessageConnection,
  Message,
  type MessageStrategy,
  type RequestMessage,
  StreamMessageWriter,
} from 'vscode-jsonrpc/node';
import { FrameReader } from './frames.ts';
import type { Helper } from './methods.ts';

/** Requests of one client that may wait for their answers before its input has to wait. */
const MAX_PENDING = 256;

export interface ServeOptions {
  /** How long a client may take to send a frame or to read, in milliseconds; any time when `undefined`. */
  readonly patienceMs: number | undefined;
  /** Called when a request comes, and when it has been answered. */
  onActivity(): void;
}

/** For the program that started the helper. */
const PATIENTLY: ServeOptions = { patienceMs: undefined, onActivity: () => {} };

export interface Served {
  /** Resolves at end of input; rejects with `ERR_DAEMON` when the client makes no sense. */
  readonly done: Promise<void>;
  /** Whether a request waits for its answer. */
  isBusy(): boolean;
  /** Tells the client what waits for a person: the keychain, or the program of a command. */
  noteWaiting(program?: string): void;
}

/** Answers the requests that come on `input` until it ends. */
export function serve(
  input: Readable,
  output: Writable,
  helper: Helper,
  { patienceMs, onActivity } = PATIENTLY,
): Served {
  const session = helper.newSession();
  /** Ids of the requests that are not answered yet. */
  const pending = new Set<RequestMessage['id']>();
  let onAnswer = () => {};

  const reader = new FrameReader(input, {
    patienceMs,
    async room() {
      while (pending.size >= MAX_PENDING) {
        await new Promise<void>((resolve) => {
          onAnswer = resolve;
        });
      }
      while (output.writableNeedDrain && !output.destroyed) {
        const signal = patienceMs === undefined ? undefined : AbortSignal.timeout(patienceMs);
        await once(output, 'drain', signal && { signal });
      }
    },
    /** Requests alone: the helper asks nothing, and what is no request needs no answer. */
    accepts(message) {
      if (!Message.isRequest(message)) return false;
      pending.add(message.id);
      onActivity();
      return true;
    },
  });
  const answer: MessageStrategy['handleMessage'] = async (message, next) => {
    try {
      await next(message);
    } finally {
      pending.delete((message as RequestMessage).id);
      onAnswer();
      onActivity();
    }
  };
  const connection = createMessageConnection(reader, new StreamMessageWriter(output), undefined, {
    messageStrategy: { handleMessage: answer },
  });
  connection.onRequest((method, params) => helper.answer(method, params, session));

  const done = new Promise<void>((resolve, reject) => {
    reader.onError(reject);
    connection.onClose(() => resolve());
    connection.listen();
  });

  return {
    done,
    isBusy: () => pending.size > 0,
    noteWaiting: (program) =>
      void connection.sendNotification('waiting', { program: program ?? null }).catch(() => {}),
  };
}
