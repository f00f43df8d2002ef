/** A stand-in for the GLM service that checks tokens as strictly as the service documents. */

import { createHmac, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { idOf } from './claims.ts';

/** Oldest token accepted, in milliseconds: the service documents no limit, but ours are always fresh. */
const MAX_AGE_MS = 5 * 60_000;

/** The service's own error codes: https://docs.z.ai/api-reference/api-code */
const MESSAGES: Record<string, string> = {
  '1000': 'Authentication Failed',
  '1001': 'Authentication parameter not received in Header, unable to authenticate',
  '1002':
    'Invalid Authentication Token, please confirm the correct transmission of the Authentication Token',
  '1003': 'Authentication Token expired, please regenerate/obtain',
  '1004': 'Authentication failed with the provided Authentication Token',
};

/** Models that cost nothing: https://docs.bigmodel.cn/cn/guide/start/model-overview */
const FREE_MODELS = ['glm-4.7-flash', 'glm-4.5-flash', 'glm-4-flash-250414'];

/** A request as the stand-in saw it. */
export interface Seen {
  readonly method: string;
  readonly path: string;
  readonly token: string | undefined;
  /** The service's error code, or `undefined` when the token was accepted. */
  readonly refused: string | undefined;
  /** Age of the token when it came in, in milliseconds. */
  readonly ageMs: number | undefined;
  readonly body: string;
}

export interface GlmOptions {
  /** Key and certificate in PEM, to serve over HTTPS. */
  readonly tls?: { readonly key: string; readonly cert: string };
  /** Ids of the keys that are for the Coding Plan, and have no balance elsewhere. */
  readonly codingIds?: readonly string[];
  /** Ids of the keys whose accounts have no balance, so that only free models answer. */
  readonly freeIds?: readonly string[];
  /** How far the service's clock is ahead of this machine's, in milliseconds. */
  readonly skewMs?: number;
  /** Any free port by default. */
  readonly port?: number;
  /** What it answers to a chat request; `Hello from GLM` by default. */
  readonly reply?: (seen: Seen) => string;
}

export class GlmServer {
  readonly seen: Seen[] = [];
  /** Answer every request with this error, whatever its token; /fail/STATUS/CODE sets it. */
  failWith: { status: number; code: string; message: string } | undefined;
  /** Answer every request that has a token with status 200 and this body, as gateways and login pages do. */
  answerWith: string | undefined;
  /** Called as a request comes in, while its client waits. */
  onRequest: (() => void) | undefined;
  readonly #keys: ReadonlyMap<string, string>;
  readonly #codingIds: readonly string[];
  readonly #freeIds: readonly string[];
  readonly #reply: (seen: Seen) => string;
  readonly #server: Server;
  skewMs: number;

  private constructor(
    keys: Record<string, string>,
    { tls, codingIds = [], freeIds = [], skewMs = 0, reply = () => 'Hello from GLM' }: GlmOptions,
  ) {
    this.#codingIds = codingIds;
    this.#freeIds = freeIds;
    this.#reply = reply;
    this.#keys = new Map(Object.entries(keys));
    this.skewMs = skewMs;
    const answer = (request: IncomingMessage, response: ServerResponse) =>
      void this.#answer(request, response);
    this.#server = tls ? createTlsServer(tls, answer) : createServer(answer);
  }

  /** @param keys the secrets of the accounts that the service knows, by id */
  static async start(keys: Record<string, string>, options: GlmOptions = {}): Promise<GlmServer> {
    const glm = new GlmServer(keys, options);
    await new Promise<void>((resolve) =>
      glm.#server.listen(options.port ?? 0, '127.0.0.1', resolve),
    );
    return glm;
  }

  /** `127.0.0.1:PORT`. */
  get host(): string {
    const { port } = this.#server.address() as AddressInfo;
    return `127.0.0.1:${port}`;
  }

  stop(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.closeAllConnections();
      this.#server.close(() => resolve());
    });
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const body = Buffer.concat(chunks).toString();
    const path = new URL(request.url ?? '/', 'http://localhost').pathname;
    const fail = /^\/fail\/(\d+)\/(\w+)$/.exec(path);
    if (fail) {
      const [, status, code = ''] = fail;
      this.failWith = status === '200' ? undefined : { status: Number(status), code, message: 'x' };
      return void response.end('ok');
    }
    if (path === '/seen') return void response.end(String(this.seen.length));
    this.onRequest?.();
    const token = /^Bearer (\S+)$/.exec(request.headers.authorization ?? '')?.[1];
    const nowMs = Date.now() + this.skewMs;
    response.setHeader('Date', new Date(nowMs).toUTCString());
    const { code, ageMs } = this.#judge(request.headers.authorization, nowMs);
    const method = request.method ?? '';
    const seen: Seen = { method, path, token, refused: code, ageMs, body };
    this.seen.push(seen);

    const json = (status: number, value: object) => {
      response.writeHead(status, { 'Content-Type': 'application/json; charset=utf-8' });
      response.end(JSON.stringify(value));
    };
    if (this.answerWith !== undefined && token) return void response.end(this.answerWith);
    if (this.failWith) {
      const { status, ...error } = this.failWith;
      return json(status, { error });
    }
    if (code) return json(401, { error: { code, message: MESSAGES[code] } });
    if (path === '/api/paas/v4/models') {
      return json(200, { object: 'list', data: [{ id: 'glm-5.3', object: 'model' }] });
    }
    const [, plan] = /^\/api\/(coding\/)?paas\/v4\/chat\/completions$/.exec(path) ?? [null, null];
    if (plan === null) return json(404, { error: { code: '404' } });
    const asked = JSON.parse(body);
    const isFree = plan === undefined && FREE_MODELS.includes(asked.model);
    const hasBalance = isFree || !this.#freeIds.includes(idOf(token));
    if (this.#codingIds.includes(idOf(token)) !== (plan !== undefined) || !hasBalance) {
      const message = 'Insufficient balance or no resource package. Please recharge.';
      return json(429, { error: { code: '1113', message } });
    }

    const common = { id: 'chatcmpl-1', created: 1, model: asked.model };
    if (!asked.stream) {
      const message = { role: 'assistant', content: this.#reply(seen) };
      const choices = [{ index: 0, finish_reason: 'stop', message }];
      return json(200, { ...common, choices, usage: { prompt_tokens: 1, completion_tokens: 3 } });
    }
    response.writeHead(200, { 'Content-Type': 'text/event-stream' });
    for (const content of this.#reply(seen).split(/(?= )/)) {
      const choices = [{ index: 0, delta: { role: 'assistant', content } }];
      response.write(`data: ${JSON.stringify({ ...common, choices })}\n\n`);
    }
    const choices = [{ index: 0, finish_reason: 'stop', delta: { content: '' } }];
    response.write(`data: ${JSON.stringify({ ...common, choices })}\n\n`);
    response.end('data: [DONE]\n\n');
  }

  /** Checks scheme, header, claims, units, signature, expiry and age, in this order. */
  #judge(authorization: string | undefined, nowMs: number): { code?: string; ageMs?: number } {
    if (!authorization) return { code: '1001' };
    const parts = /^Bearer ([\w-]+)\.([\w-]+)\.([\w-]+)$/.exec(authorization);
    if (!parts) return { code: '1002' };
    const [, head = '', payload = '', signature = ''] = parts;
    let claims: Record<string, unknown>;
    try {
      const header = JSON.parse(Buffer.from(head, 'base64url').toString());
      claims = JSON.parse(Buffer.from(payload, 'base64url').toString());
      const { alg, sign_type, typ, ...rest } = header;
      if (alg !== 'HS256' || sign_type !== 'SIGN' || typ !== 'JWT' || Object.keys(rest).length) {
        return { code: '1002' };
      }
    } catch {
      return { code: '1002' };
    }
    const { api_key, exp, timestamp, ...rest } = claims;
    const inMs = (time: unknown): time is number =>
      Number.isInteger(time) && Number(time) > 1e12 && Number(time) < 1e14;
    if (Object.keys(rest).length || !inMs(exp) || !inMs(timestamp)) return { code: '1002' };
    const secret = this.#keys.get(String(api_key));
    if (secret === undefined) return { code: '1004' };
    const expected = createHmac('sha256', secret).update(`${head}.${payload}`).digest();
    const given = Buffer.from(signature, 'base64url');
    if (given.length !== expected.length || !timingSafeEqual(given, expected)) {
      return { code: '1004' };
    }
    const ageMs = nowMs - timestamp;
    if (exp <= nowMs || ageMs > MAX_AGE_MS) return { code: '1003', ageMs };
    if (ageMs < -MAX_AGE_MS) return { code: '1000', ageMs };
    return { ageMs };
  }
}
