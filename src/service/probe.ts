/** Requests to the host: the only network access of the whole program. */

import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import type { Socket } from 'node:net';
import { GlmTokenError } from '../core/errors.ts';
import { connectThrough, proxyFor } from './proxy.ts';
import { PLAN_PATHS, type PlanName } from './services.ts';

/** Limit for a whole exchange, the proxy's part included. A host answers in a second or two. */
const ANSWER_WITHIN_MS = 15_000;

/** Enough of an answer to read its error code, in bytes. */
const MAX_BODY_BYTES = 1 << 20;

/** A `Date` header further off than this, in milliseconds (ten years), is not believed. */
const MAX_OFFSET_MS = 10 * 365 * 86_400_000;

/** A path of the API, since the service itself answers there, and no cache. */
const MODELS_PATH = `${PLAN_PATHS['pay-as-you-go']}/models`;

export interface Answer {
  readonly status: number;
  readonly body: string;
  /** The proxy that was used, as it may be shown. */
  readonly proxy: string | undefined;
  /** How long it took, in milliseconds. */
  readonly elapsedMs: number;
  /**
   * The host's clock less ours, in milliseconds, to about a second, by its `Date` header;
   * `undefined` without a sensible one.
   */
  readonly offsetMs: number | undefined;
}

/** Where a request is sent from. */
export interface Origin {
  /** The environment, in which proxies are named. */
  readonly env: NodeJS.ProcessEnv;
  /** The time, in milliseconds since 1970 (UTC). */
  now(): number;
}

/** Asks the host for its headers, without credentials. */
export const askHost = (host: string, origin: Origin): Promise<Answer> =>
  send(host, { method: 'HEAD', path: MODELS_PATH, token: null, body: null }, origin);

/** Asks the service for its list of models, which costs nothing, with a token. */
export const listModels = (host: string, token: string, origin: Origin): Promise<Answer> =>
  send(host, { method: 'GET', path: MODELS_PATH, token, body: null }, origin);

/** Sends one chat request for one token to a model, on the endpoint of a plan. */
export const chat = (
  host: string,
  plan: PlanName,
  model: string,
  token: string,
  origin: Origin,
): Promise<Answer> => {
  const messages = [{ role: 'user', content: 'Hi' }];
  const body = JSON.stringify({ model, messages, max_tokens: 1 });
  const path = `${PLAN_PATHS[plan]}/chat/completions`;
  return send(host, { method: 'POST', path, token, body }, origin);
};

interface Outgoing {
  readonly method: string;
  readonly path: string;
  readonly token: string | null;
  /** JSON. */
  readonly body: string | null;
}

/** @throws GlmTokenError `ERR_NETWORK` when no answer came in time */
async function send(host: string, outgoing: Outgoing, { env, now }: Origin): Promise<Answer> {
  const url = new URL(`https://${host}${outgoing.path}`);
  const proxy = proxyFor(url.href, env);
  const limit = new AbortController();
  const timer = setTimeout(() => limit.abort(), ANSWER_WITHIN_MS);
  try {
    const startedAtMs = now();
    const socket = proxy && (await connectThrough(proxy, url, limit.signal));
    const { dateMs, ...answer } = await exchange(url, outgoing, socket, limit.signal);
    const answeredAtMs = now();
    // The header has whole seconds, rounded down; and it was written about half-way.
    const offsetMs = dateMs + 500 - (startedAtMs + answeredAtMs) / 2;
    return {
      ...answer,
      proxy: proxy?.shown,
      elapsedMs: answeredAtMs - startedAtMs,
      offsetMs: Math.abs(offsetMs) < MAX_OFFSET_MS ? offsetMs : undefined,
    };
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const fault = limit.signal.aborted ? 'timeout' : code || message;
    const seconds = ANSWER_WITHIN_MS / 1000;
    const { shown, variable } = proxy ?? {};
    throw new GlmTokenError(
      'hostUnreachable',
      { host, proxy: shown, variable, fault, seconds },
      error,
    );
  } finally {
    clearTimeout(timer);
  }
}

/**
 * One request and its answer, of which no more than {@link MAX_BODY_BYTES} are read. `dateMs` is not a
 * number without a `Date` header that is one.
 *
 * @param socket the connection to the host, where a proxy made it
 */
function exchange(
  url: URL,
  { method, token, body }: Outgoing,
  socket: Socket | undefined,
  signal: AbortSignal,
): Promise<{ status: number; body: string; dateMs: number }> {
  const headers = {
    'Cache-Control': 'no-cache',
    ...(token && { Authorization: `Bearer ${token}` }),
    ...(body && { 'Content-Type': 'application/json' }),
  };
  return new Promise((resolve, reject) => {
    // Without an agent that is kept, since one would connect anew, without the proxy.
    const options = { method, headers, signal, agent: false, ...(socket && { socket }) } as const;
    const outgoing = request(url, options);
    const finish = ({ statusCode: status = 0, headers }: IncomingMessage, chunks: Buffer[]) => {
      outgoing.destroy();
      const body = Buffer.concat(chunks).toString();
      resolve({ status, body, dateMs: Date.parse(headers.date ?? '') });
    };
    outgoing.on('error', reject);
    outgoing.on('upgrade', (response, upgraded) => {
      upgraded.destroy();
      finish(response, []);
    });
    outgoing.on('response', (response) => {
      const chunks: Buffer[] = [];
      let size = 0;
      response.on('data', (chunk: Buffer) => {
        chunks.push(chunk);
        size += chunk.length;
        if (size > MAX_BODY_BYTES) finish(response, chunks);
      });
      response.on('end', () => finish(response, chunks));
      response.on('error', reject);
    });
    outgoing.end(body);
  });
}
