/** Requests to the host, for `doctor`: the only network access of the whole program. */

import { request } from 'node:https';
import { HttpsProxyAgent } from 'https-proxy-agent';
import { getProxyForUrl } from 'proxy-from-env';
import { SocksProxyAgent } from 'socks-proxy-agent';
import { GlmTokenError } from '../core/errors.ts';

/** A host that is there answers within a second or two, from the other end of the world too. */
const ANSWER_WITHIN_MS = 15_000;

/** Enough of an answer to read its error code, in bytes. */
const MAX_BODY_BYTES = 1 << 20;

/** A path of the API, since what answers there is the service itself, and not a cache. */
const PATH = '/api/paas/v4/models';

export interface Answer {
  readonly status: number;
  readonly body: string;
  /** The proxy that it went through, without its password. */
  readonly proxy: string | undefined;
  /** How long it took, in milliseconds. */
  readonly elapsedMs: number;
  /**
   * The host's clock less ours, in milliseconds, to about a second, as its `Date` header has it;
   * `undefined` without that header.
   */
  readonly offsetMs: number | undefined;
}

/** Where a request is sent from. */
export interface Origin {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The machine's own time, in milliseconds since 1970 (UTC). */
  now(): number;
}

/** Asks the host for no more than its headers, with no credentials. */
export const askHost = (host: string, origin: Origin): Promise<Answer> =>
  send('HEAD', host, {}, origin);

/** Asks the service which models there are, which costs nothing, with a token. */
export const listModels = (host: string, token: string, origin: Origin): Promise<Answer> =>
  send('GET', host, { Authorization: `Bearer ${token}` }, origin);

/** @throws GlmTokenError `ERR_NETWORK` when no answer came */
function send(
  method: string,
  host: string,
  headers: Record<string, string>,
  { env, now }: Origin,
): Promise<Answer> {
  const url = `https://${host}${PATH}`;
  const proxy = proxyFor(url, env);
  const shownProxy = proxy && `${proxy.protocol}//${proxy.host}`;
  return new Promise((resolve, reject) => {
    const startedAtMs = now();
    const outgoing = request(url, {
      method,
      headers: { ...headers, 'Cache-Control': 'no-cache' },
      signal: AbortSignal.timeout(ANSWER_WITHIN_MS),
      ...(proxy ? { agent: agentFor(proxy) } : {}),
    });
    outgoing.on('error', (error) => reject(networkError(host, shownProxy, error)));
    outgoing.on('response', (response) => {
      const answeredAtMs = now();
      const dateMs = Date.parse(response.headers.date ?? '');
      // The header has whole seconds, cut off; and it was written about half-way.
      const offsetMs = dateMs + 500 - (startedAtMs + answeredAtMs) / 2;
      const chunks: Buffer[] = [];
      let size = 0;
      response.on('data', (chunk: Buffer) => {
        size += chunk.length;
        if (size <= MAX_BODY_BYTES) chunks.push(chunk);
      });
      response.on('error', (error) => reject(networkError(host, shownProxy, error)));
      response.on('end', () =>
        resolve({
          status: response.statusCode ?? 0,
          body: Buffer.concat(chunks).toString(),
          proxy: shownProxy,
          elapsedMs: answeredAtMs - startedAtMs,
          offsetMs: Number.isNaN(dateMs) ? undefined : offsetMs,
        }),
      );
    });
    outgoing.end();
  });
}

/** The proxy that the environment names for a URL, by the rules of curl. */
function proxyFor(url: string, env: Origin['env']): URL | undefined {
  const proxy = getProxyForUrl(url);
  if (!proxy) return undefined;
  const given = env.https_proxy || env.HTTPS_PROXY || env.all_proxy || env.ALL_PROXY || '';
  // Without a scheme it is an HTTP proxy to curl, and to the library one of the URL's own scheme.
  const spelled = given.includes('://') ? proxy : `http://${given}`;
  if (URL.canParse(spelled)) return new URL(spelled);
  throw new GlmTokenError(
    'ERR_NETWORK',
    'the proxy that the environment names is not a URL',
    'set https_proxy to one such as http://127.0.0.1:7890',
  );
}

const agentFor = (proxy: URL) =>
  proxy.protocol.startsWith('socks') ? new SocksProxyAgent(proxy) : new HttpsProxyAgent(proxy);

const CERTIFICATE_CODES = /CERT|SELF_SIGNED|UNABLE_TO_|ERR_TLS/;

/** What a clock that is off by months makes of a certificate that is good. */
const DATE_CODES = /^CERT_(NOT_YET_VALID|HAS_EXPIRED)$/;

function hintFor(code: string, proxy: string | undefined): string {
  if (DATE_CODES.test(code)) {
    return "by this machine's clock its certificate is not valid now: check the clock, it may be off by months";
  }
  if (CERTIFICATE_CODES.test(code)) {
    return 'its certificate is not trusted here: behind a proxy that reads along, set NODE_EXTRA_CA_CERTS to its certificate';
  }
  return proxy
    ? 'check https_proxy and that the proxy runs'
    : 'check the network, and the name of the host; behind a proxy, set https_proxy';
}

function networkError(
  host: string,
  proxy: string | undefined,
  error: NodeJS.ErrnoException,
): GlmTokenError {
  const { code = '', name } = error;
  const timedOut = name === 'AbortError' || name === 'TimeoutError';
  const reason = timedOut ? `no answer within ${ANSWER_WITHIN_MS / 1000} s` : code || error.message;
  return new GlmTokenError(
    'ERR_NETWORK',
    `cannot reach ${host}${proxy ? ` through the proxy ${proxy}` : ''}: ${reason}`,
    hintFor(code, proxy),
    error,
  );
}
