/** The proxy that the environment names, and connections through it. */

import { lookup } from 'node:dns/promises';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { Socket } from 'node:net';
import { getProxyForUrl } from 'proxy-from-env';
import { SocksClient } from 'socks';
import { GlmTokenError } from '../core/errors.ts';

const VARIABLES = ['https_proxy', 'HTTPS_PROXY', 'all_proxy', 'ALL_PROXY'] as const;

/** Longest URL of a proxy that is taken, in characters. */
const MAX_URL_CHARACTERS = 2048;

export interface ProxyServer {
  readonly url: URL;
  /** The variable that names it. */
  readonly variable: string;
  /** As it may be shown: without its password. */
  readonly shown: string;
}

/**
 * The proxy for a URL, by the rules of curl; `no_proxy` is judged by the library.
 *
 * @throws GlmTokenError `ERR_NETWORK` when what the variable holds is no URL, or far too long
 */
export function proxyFor(url: string, env: NodeJS.ProcessEnv): ProxyServer | undefined {
  const variable = VARIABLES.find((name) => env[name]);
  if (!variable || !getProxyForUrl(url)) return undefined;
  const value = env[variable] ?? '';
  const spelled = value.includes('://') ? value : `http://${value}`;
  if (value.length > MAX_URL_CHARACTERS || !URL.canParse(spelled)) {
    throw new GlmTokenError('proxyInvalid', { variable });
  }
  const parsed = new URL(spelled);
  return { url: parsed, variable, shown: `${parsed.protocol}//${parsed.host}` };
}

/** A connection to the host of a URL through a proxy; `signal` gives it up. */
export const connectThrough = (
  { url: proxy }: ProxyServer,
  url: URL,
  signal: AbortSignal,
): Promise<Socket> => {
  const [host, port] = [url.hostname.replace(/^\[|\]$/g, ''), Number(url.port || 443)];
  const isSocks = proxy.protocol.startsWith('socks');
  return isSocks ? bySocks(proxy, host, port, signal) : byHttp(proxy, url, port, signal);
};

/** RFC 9110's CONNECT. Node's own parser limits the size of what the proxy answers. */
function byHttp(proxy: URL, url: URL, port: number, signal: AbortSignal): Promise<Socket> {
  const target = `${url.hostname}:${port}`;
  const user = decodeURIComponent(`${proxy.username}:${proxy.password}`);
  const authorization = `Basic ${Buffer.from(user).toString('base64')}`;
  return new Promise((resolve, reject) => {
    const connect = (proxy.protocol === 'https:' ? httpsRequest : httpRequest)({
      host: proxy.hostname.replace(/^\[|\]$/g, ''),
      port: proxy.port || undefined,
      method: 'CONNECT',
      path: target,
      headers: {
        Host: target,
        ...(proxy.username ? { 'Proxy-Authorization': authorization } : {}),
      },
      agent: false,
      signal,
    });
    const refuse = ({ statusCode }: IncomingMessage) => {
      connect.destroy();
      reject(Object.assign(new Error('the proxy refused'), { code: `HTTP ${statusCode}` }));
    };
    connect.on('connect', (answer, socket) => {
      if (answer.statusCode === 200) return resolve(socket);
      socket.destroy();
      return refuse(answer);
    });
    connect.on('response', refuse);
    connect.on('error', reject);
    connect.end();
  });
}

const DEFAULT_SOCKS_PORT = 1080;

async function bySocks(
  proxy: URL,
  host: string,
  port: number,
  signal: AbortSignal,
): Promise<Socket> {
  const [, version = '5', byName] = /^socks([45])?([ah])?:$/.exec(proxy.protocol) ?? [];
  // As curl has it: socks5h and socks4a leave names to the proxy, socks5 and socks4 do not.
  const destination = byName || proxy.protocol === 'socks:' ? host : (await lookup(host)).address;
  signal.throwIfAborted();
  const client = new SocksClient({
    proxy: {
      host: proxy.hostname.replace(/^\[|\]$/g, ''),
      port: Number(proxy.port || DEFAULT_SOCKS_PORT),
      type: version === '4' ? 4 : 5,
      ...(proxy.username ? { userId: decodeURIComponent(proxy.username) } : {}),
      ...(proxy.password ? { password: decodeURIComponent(proxy.password) } : {}),
    },
    command: 'connect',
    destination: { host: destination, port },
  });
  const established = new Promise<Socket>((resolve, reject) => {
    client.once('established', ({ socket }) => resolve(socket));
    client.once('error', reject);
    signal.addEventListener('abort', () => reject(signal.reason));
  });
  client.connect();
  return established;
}
