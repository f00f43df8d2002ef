/** The helper on a pair of streams: JSON-RPC 2.0 in `Content-Length` frames. */

import type { Readable, Writable } from 'node:stream';
import {
  createMessageConnection,
  type MessageReader,
  StreamMessageReader,
  StreamMessageWriter,
} from 'vscode-jsonrpc/node';
import { GlmTokenError } from '../core/errors.ts';
import type { Methods } from './methods.ts';
import { toResponseError } from './protocol.ts';

/** Longest message taken, in bytes. The longest that makes sense, a `store`, has some thousand. */
export const MAX_MESSAGE_BYTES = 1 << 20;

export interface Served {
  /** Resolves at end of input; rejects with `ERR_DAEMON` when the client makes no sense. */
  readonly done: Promise<void>;
  /**
   * Tells the client something that it did not ask: `waiting`, the keychain waits for a person;
   * `retire`, it is time for another helper.
   */
  notify(method: 'waiting' | 'retire'): void;
}

/** Answers the requests that come on `input` until it ends. */
export function serve(input: Readable, output: Writable, methods: Methods): Served {
  let unread = 0;
  const stream = new StreamMessageReader(input);
  const reader: MessageReader = {
    onError: stream.onError,
    onClose: stream.onClose,
    onPartialMessage: stream.onPartialMessage,
    dispose: () => stream.dispose(),
    listen: (callback) =>
      stream.listen((message) => {
        unread = 0;
        callback(message);
      }),
  };
  const connection = createMessageConnection(reader, new StreamMessageWriter(output));
  for (const [name, method] of Object.entries(methods)) {
    connection.onRequest(name, (params: unknown) =>
      method(params).catch((thrown) => {
        throw toResponseError(thrown);
      }),
    );
  }
  connection.onUnhandledNotification(() => {});

  const done = new Promise<void>((resolve, reject) => {
    const refuse = (message: string) =>
      reject(new GlmTokenError('ERR_DAEMON', message, 'update glm-token and its client together'));
    input.on('data', (chunk: Buffer) => {
      unread += chunk.length;
      if (unread > MAX_MESSAGE_BYTES) refuse('the client sent a message that is too long');
    });
    stream.onError(() => refuse('the client does not speak JSON-RPC 2.0 in frames'));
    for (const end of [input, output]) {
      for (const event of ['end', 'close', 'error']) end.once(event, () => resolve());
    }
    connection.listen();
  });

  return {
    done,
    notify: (method) => void connection.sendNotification(method).catch(() => {}),
  };
}
