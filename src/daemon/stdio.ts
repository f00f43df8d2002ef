/** The helper on a pair of streams: JSON-RPC 2.0 in `Content-Length` frames. */

import { once } from 'node:events';
import type { Readable, Writable } from 'node:stream';
import {
  createMessageConnection,
  type DataCallback,
  Message,
  type MessageStrategy,
  type RequestMessage,
  StreamMessageReader,
  StreamMessageWriter,
} from 'vscode-jsonrpc/node';
import { GlmTokenError } from '../core/errors.ts';
import { frameLimiter } from './frame-limiter.ts';
import type { Helper } from './methods.ts';
import { toResponseError } from './protocol.ts';

/** Requests of one client that may wait for their answers before its input has to wait. */
const MAX_PENDING = 256;

export interface ServeOptions {
  /** How long a client may take to send a frame or to read, in milliseconds; any time by default. */
  readonly patienceMs?: number;
  /** Called when a request comes, and when it has been answered. */
  readonly onActivity?: () => void;
}

export interface Served {
  /** Resolves at end of input; rejects with `ERR_DAEMON` when the client makes no sense. */
  readonly done: Promise<void>;
  /** Whether a request waits for its answer. */
  isBusy(): boolean;
  /** Tells the client what waits for a person: the keychain, or the program of a command. */
  noteWaiting(program?: string): void;
}

/** Reads requests alone: the helper asks nothing, and what is no request needs no answer. */
class RequestReader extends StreamMessageReader {
  readonly #onRequest: (request: RequestMessage) => void;

  constructor(input: Readable, onRequest: (request: RequestMessage) => void) {
    super(input);
    this.#onRequest = onRequest;
  }

  override listen(take: DataCallback) {
    return super.listen((message) => {
      if (!Message.isRequest(message)) return;
      this.#onRequest(message);
      take(message);
    });
  }
}

/** Answers the requests that come on `input` until it ends. */
export function serve(
  input: Readable,
  output: Writable,
  helper: Helper,
  { patienceMs, onActivity = () => {} }: ServeOptions = {},
): Served {
  const session = helper.newSession();
  /** Ids of the requests that are not answered yet. */
  const pending = new Set<RequestMessage['id']>();
  let onAnswer = () => {};

  const room = async (): Promise<void> => {
    while (pending.size >= MAX_PENDING) {
      await new Promise<void>((resolve) => {
        onAnswer = resolve;
      });
    }
    while (output.writableNeedDrain && !output.destroyed) {
      const signal = patienceMs === undefined ? undefined : AbortSignal.timeout(patienceMs);
      await once(output, 'drain', signal && { signal });
    }
  };
  const limiter = frameLimiter({ room, patienceMs });
  const reader = new RequestReader(limiter, ({ id }) => {
    pending.add(id);
    onActivity();
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
  for (const [name, method] of Object.entries(helper.methods)) {
    connection.onRequest(name, (params: unknown) =>
      method(params, session).catch((thrown) => {
        throw toResponseError(thrown, session.messages, helper.aboutOf(params));
      }),
    );
  }
  // The library's own answer repeats the name, which may be a key.
  connection.onRequest(() => {
    throw toResponseError(new GlmTokenError('methodUnknown'), session.messages);
  });

  const done = new Promise<void>((resolve, reject) => {
    limiter.on('error', reject);
    reader.onError(() => reject(new GlmTokenError('clientUnintelligible')));
    for (const end of [input, output]) {
      for (const event of ['end', 'close', 'error']) end.once(event, () => resolve());
    }
    connection.listen();
    input.pipe(limiter);
  });

  return {
    done,
    isBusy: () => pending.size > 0,
    noteWaiting: (program) =>
      void connection.sendNotification('waiting', { program: program ?? null }).catch(() => {}),
  };
}
