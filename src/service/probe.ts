/** Requests to the host: the only network access of the whole program. */

import { once } from 'node:events';
import { request } from 'node:https';
import { isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { GlmTokenError } from '../core/errors.ts';
import { connectThrough, type ProxyServer, proxyFor } from './proxy.ts';
import type { PlanName } from './services.ts';
import { PLAN_PATHS } from './services.ts';

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
  send(host, { method: 'HEAD', path: MODELS_PATH }, origin);

/** Asks the service for its list of models, which costs nothing, with a token. */
export const listModels = (host: string, token: string, origin: Origin): Promise<Answer> =>
  send(host, { method: 'GET', path: MODELS_PATH, token }, origin);

/** Sends one chat request for one token to a model, on the endpoint of a plan. */
export const chat = (
  host: string,
  plan: PlanName,
  model: string,
  token: string,
  origin: Origin,
): Promise<Answer> => {
  const body = JSON.stringify({
    model,
    messages: [{ role: 'user', content: 'Hi' }],
    max_tokens: 1,
  });
  const path = `${PLAN_PATHS[plan]}/chat/completions`;
  return send(host, { method: 'POST', path, token, body }, origin);
};

interface Outgoing {
  readonly method: string;
  readonly path: string;
  readonly token?: string;
  /** JSON. */
  readonly body?: string;
}

/** @throws GlmTokenError `ERR_NETWORK` when no answer came in time */
async function send(host: string, outgoing: Outgoing, { env, now }: Origin): Promise<Answer> {
  const url = new URL(`https://${host}${outgoing.path}`);
  const proxy = proxyFor(url.href, env);
  const limit = new AbortController();
  const timer = setTimeout(() => limit.abort(), ANSWER_WITHIN_MS);
  try {
    const startedAtMs = now();
    const tunnel = proxy && (await openTunnel(proxy, url, limit.signal));
    const answer = await exchange(url, outgoing, tunnel, limit.signal);
    const answeredAtMs = now();
    // The header has whole seconds, rounded down; and it was written about half-way.
    const offsetMs = answer.dateMs + 500 - (startedAtMs + answeredAtMs) / 2;
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
    throw new GlmTokenError(
      'hostUnreachable',
      { host, proxy: proxy?.shown, variable: proxy?.variable, fault, seconds },
      error,
    );
  } finally {
    clearTimeout(timer);
  }
}

async function openTunnel(proxy: ProxyServer, url: URL, signal: AbortSignal): Promise<Socket> {
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const socket = await connectThrough(proxy, host, Number(url.port || 443), signal);
  const tunnel = connectTls({ socket, host, ...(isIP(host) ? {} : { servername: host }) });
  signal.addEventListener('abort', () => tunnel.destroy(), { once: true });
  await once(tunnel, 'secureConnect', { signal });
  tunnel.on('error', () => {}); // Between here and the request, which reports the end itself.
  return tunnel;
}

interface RawAnswer {
  readonly status: number;
  readonly body: string;
  /** Not a number without a `Date` header that is one. */
  readonly dateMs: number;
}

/** One request and its answer, of which no more than {@link MAX_BODY_BYTES} are read. */
function exchange(
  url: URL,
  { method, token, body }: Outgoing,
  tunnel: Socket | undefined,
  signal: AbortSignal,
): Promise<RawAnswer> {
  return new Promise((resolve, reject) => {
    const outgoing = request(url, {
      method,
      headers: {
        'Cache-Control': 'no-cache',
        ...(token ? { Authorization: `Bearer ${token}` } : {}),
        ...(body ? { 'Content-Type': 'application/json' } : {}),
      },
      signal,
      // With an agent, Node would ignore the tunnel and connect without the proxy.
      ...(tunnel ? { createConnection: () => tunnel } : { agent: false }),
    });
    outgoing.on('error', reject);
    outgoing.on('upgrade', ({ statusCode = 0, headers }, socket) => {
      socket.destroy();
      resolve({ status: statusCode, body: '', dateMs: Date.parse(headers.date ?? '') });
    });
    outgoing.on('response', (response) => {
      const chunks: Buffer[] = [];
      let size = 0;
      const finish = () => {
        outgoing.destroy();
        const body = Buffer.concat(chunks).toString();
        const dateMs = Date.parse(response.headers.date ?? '');
        resolve({ status: response.statusCode ?? 0, body, dateMs });
      };
      response.on('data', (chunk: Buffer) => {
        chunks.push(chunk);
        size += chunk.length;
        if (size > MAX_BODY_BYTES) finish();
      });
      response.on('end', finish);
      response.on('error', reject);
    });
    outgoing.end(body);
  });
}
