/** Asks a helper on a Unix socket; the one client of it outside Emacs. */

import { once } from 'node:events';
import { statSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { createMessageConnection, ResponseError, StreamMessageWriter } from 'vscode-jsonrpc/node';
import {
  type ErrorCode,
  EXIT_STATUS,
  errnoOf,
  GlmTokenError,
  ReportedError,
  type SocketFault,
} from '../core/errors.ts';
import { CURES } from '../stores/cure.ts';
import type { AskPassphrase } from '../stores/passphrase.ts';
import type { OnWaiting } from '../stores/port.ts';
import { FrameReader } from './frames.ts';
import type { Answers } from './methods.ts';
import { PROTOCOL, param, stringParam } from './protocol.ts';

export type AskHelper = <Method extends 'token' | 'accounts' | 'status' | 'unlock'>(
  method: Method,
  params?: object,
) => Promise<Answers[Method]>;

export interface ClientOptions {
  readonly path: string;
  /** The user whose helper is trusted, besides root; `undefined` on Windows. */
  readonly uid: number | undefined;
  /** The language of what the helper says, such as `zh`. */
  readonly locale: string;
  /** How long to wait while the keychain waits for its user, in milliseconds. */
  readonly promptTimeoutMs: number;
  readonly onWaiting: OnWaiting;
  /** Asks for the passphrase of the encrypted file. */
  readonly askPassphrase: AskPassphrase;
}

/** How long to wait for an answer, in milliseconds; a keychain that is open takes some. */
const ANSWER_MS = 10_000;

/** How often a person may type a passphrase. */
const PASSPHRASE_TRIES = 3;

/**
 * Asks the helper, on a connection of its own for each request; a person is asked for the passphrase of
 * an encrypted file that is locked. Failures of the helper are thrown as {@link ReportedError}; a helper
 * that cannot be asked, as `ERR_DAEMON`.
 */
export function helperClient(options: ClientOptions): AskHelper {
  return async (method, params = {}) => {
    let passphrase: string | undefined;
    for (let tries = 0; ; tries += 1) {
      try {
        if (passphrase !== undefined) await askOnce(options, 'unlock', { passphrase });
        return await askOnce(options, method, params);
      } catch (error) {
        const isLocked = error instanceof ReportedError && error.params.action === 'unlock';
        if (!isLocked || tries === PASSPHRASE_TRIES) throw error;
        passphrase = await options.askPassphrase({ isNew: false, wasWrong: tries > 0 });
        if (passphrase === undefined) throw error;
      }
    }
  };
}

async function askOnce<Method extends Parameters<AskHelper>[0]>(
  options: ClientOptions,
  method: Method,
  params: object,
): Promise<Answers[Method]> {
  const { path, locale, promptTimeoutMs, onWaiting } = options;
  const socket = await reach(options);
  const reader = new FrameReader(socket);
  const connection = createMessageConnection(reader, new StreamMessageWriter(socket));
  let timer: NodeJS.Timeout | undefined;
  try {
    return await new Promise((resolve, reject) => {
      const fail = (fault: SocketFault, cause?: unknown) => reject(unanswered(path, fault, cause));
      const allow = (ms: number) => {
        clearTimeout(timer);
        timer = setTimeout(fail, ms, 'silent');
      };
      allow(ANSWER_MS);
      connection.onNotification('waiting', (params: unknown) => {
        allow(promptTimeoutMs + ANSWER_MS);
        onWaiting(stringParam(params, 'program', '') || undefined);
      });
      connection.onClose(() => fail('closed'));
      reader.onError((error) => fail('unintelligible', error));
      connection.listen();
      const greeting = connection.sendRequest('initialize', { protocol: PROTOCOL, locale });
      const asked = connection.sendRequest<Answers[Method]>(method, params);
      Promise.all([asked, greeting]).then(
        ([answer]) => (Object(answer) === answer ? resolve(answer) : fail('unintelligible')),
        (error) => reject(error instanceof ResponseError ? reported(error, path) : error),
      );
    });
  } finally {
    clearTimeout(timer);
    socket.destroy();
  }
}

const unanswered = (path: string, fault: SocketFault, cause?: unknown) =>
  new GlmTokenError('socketUnanswered', { path, fault }, cause);

/** A connection to the helper. */
async function reach({ path, uid }: ClientOptions): Promise<Socket> {
  if (uid === undefined) throw new GlmTokenError('socketsNotOnWindows');
  try {
    const owner = statSync(path).uid;
    if (owner !== uid && owner !== 0) throw new GlmTokenError('socketOfAnotherUser', { path });
    const socket = connect(path);
    await once(socket, 'connect');
    return socket;
  } catch (error) {
    if (error instanceof GlmTokenError) throw error;
    const errno = errnoOf(error);
    const fault = ({ ENOENT: 'missing', ECONNREFUSED: 'refused' } as const)[errno];
    throw unanswered(path, fault ?? { errno }, error);
  }
}

/** What the helper answered with, if that is an error as ours are. */
function reported(error: ResponseError<unknown>, path: string): GlmTokenError {
  const { message, data } = error;
  const code = param(data, 'code');
  const hint = param(data, 'hint');
  if (typeof code !== 'string' || !Object.hasOwn(EXIT_STATUS, code)) {
    return unanswered(path, 'unintelligible', error);
  }
  return new ReportedError({
    code: code as ErrorCode,
    message,
    hint: typeof hint === 'string' ? hint : undefined,
    action: CURES.find((cure) => cure === param(data, 'action')) ?? null,
  });
}
