/** The proxy that the environment names, and connections through real ones. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer as createHttpServer, type IncomingMessage } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { connectThrough, proxyFor } from '../../src/service/proxy.ts';
import { type Certificate, makeCertificate } from '../support/certificate.ts';
import { type ProxyServer, startHttpProxy, startSocksProxy } from '../support/proxy.ts';

const URL_OF_HOST = 'https://open.bigmodel.cn/api';

describe('the proxy of the environment', () => {
  // The library that judges no_proxy reads the environment of this very process.
  const NAMES = ['https_proxy', 'HTTPS_PROXY', 'all_proxy', 'ALL_PROXY', 'no_proxy', 'NO_PROXY'];
  const saved = NAMES.map((name) => [name, process.env[name]] as const);
  beforeEach(() => {
    for (const name of NAMES) delete process.env[name];
  });
  after(() => {
    for (const [name, value] of saved) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  });

  const proxyWith = (variables: Record<string, string>, url = URL_OF_HOST) => {
    Object.assign(process.env, variables);
    const proxy = proxyFor(url, process.env);
    return proxy && [proxy.variable, proxy.shown];
  };

  test('is none where no variable names one', () => {
    assert.equal(proxyWith({ http_proxy: 'http://other:1' }), undefined);
    delete process.env.http_proxy;
    assert.equal(proxyWith({ https_proxy: '' }), undefined);
  });

  for (const variable of ['https_proxy', 'HTTPS_PROXY', 'all_proxy', 'ALL_PROXY']) {
    test(`is the one in ${variable}`, () => {
      assert.deepEqual(proxyWith({ [variable]: 'http://p:8080' }), [variable, 'http://p:8080']);
    });
  }

  test('is that of https_proxy before that of all_proxy', () => {
    const both = { ALL_PROXY: 'socks5h://q:1', HTTPS_PROXY: 'http://p:1' };
    assert.deepEqual(proxyWith(both), ['HTTPS_PROXY', 'http://p:1']);
  });

  test('is an HTTP proxy when it has no scheme', () => {
    assert.deepEqual(proxyWith({ https_proxy: '127.0.0.1:7890' }), [
      'https_proxy',
      'http://127.0.0.1:7890',
    ]);
  });

  test('is shown without its user and password', () => {
    const shown = (value: string) => proxyWith({ https_proxy: value })?.[1];
    assert.equal(shown('http://user:pw@p:8080'), 'http://p:8080');
    assert.equal(shown('user:pw@p:8080'), 'http://p:8080');
    assert.equal(shown('socks5h://user:pw@p:1080'), 'socks5h://p:1080');
    assert.equal(shown('https://user:pw@[::1]:8443/x'), 'https://[::1]:8443');
  });

  test('is none for a host in no_proxy', () => {
    const named = { https_proxy: 'http://p:1' };
    assert.equal(proxyWith({ ...named, no_proxy: 'open.bigmodel.cn' }), undefined);
    assert.equal(proxyWith({ ...named, no_proxy: '.bigmodel.cn' }), undefined);
    assert.equal(proxyWith({ ...named, no_proxy: '*' }), undefined);
    assert.ok(proxyWith({ ...named, no_proxy: 'z.ai' }));
  });

  test('that is no URL is ERR_NETWORK and names the variable', () => {
    assert.throws(() => proxyWith({ ALL_PROXY: 'http://[half' }), {
      code: 'ERR_NETWORK',
      reason: 'proxyInvalid',
      params: { variable: 'ALL_PROXY' },
    });
  });
});

describe('a connection through a proxy', () => {
  let echo: Server;
  const echoing: Socket[] = [];
  let port: number;
  let proxy: ProxyServer | undefined;
  let certificate: Certificate;
  before(async () => {
    certificate = await makeCertificate();
    echo = createServer((socket) => {
      echoing.push(socket);
      socket.pipe(socket);
    });
    echo.listen(0, '127.0.0.1');
    await once(echo, 'listening');
    port = (echo.address() as AddressInfo).port;
  });
  after(() => {
    certificate.remove();
    for (const socket of echoing) socket.destroy();
    echo.close();
  });
  afterEach(() => proxy?.stop());

  const connect = (url: string, host: string, signal = new AbortController().signal) =>
    connectThrough(
      { url: new URL(url), variable: 'x', shown: 'x' },
      new URL(`https://${host}:${port}`),
      signal,
    );

  async function assertEchoes(socket: Socket) {
    socket.write('hello');
    const [answer] = await once(socket, 'data');
    assert.equal(String(answer), 'hello');
    socket.destroy();
  }

  test('goes through an HTTP proxy', async () => {
    proxy = await startHttpProxy();
    await assertEchoes(await connect(`http://${proxy.host}`, 'localhost'));
    assert.deepEqual(proxy.asked, [`localhost:${port}`]);
  });

  test('leaves the name to a socks5h or socks proxy, and looks it up for socks5', async () => {
    proxy = await startSocksProxy();
    for (const scheme of ['socks5h', 'socks', 'socks5']) {
      await assertEchoes(await connect(`${scheme}://${proxy.host}`, 'localhost'));
    }
    const byName = `localhost:${port}`;
    assert.deepEqual(proxy.asked, [byName, byName, `127.0.0.1:${port}`]);
  });

  test('gives an HTTP proxy its password, and an IPv6 address in brackets', async () => {
    const asked = await connectRequest((host) => `http://us%40er:p%3Aw@${host}`, '[::1]');
    assert.deepEqual([asked.url, asked.headers.host], [`[::1]:${port}`, `[::1]:${port}`]);
    const credentials = Buffer.from('us@er:p:w').toString('base64');
    assert.equal(asked.headers['proxy-authorization'], `Basic ${credentials}`);
    const bare = await connectRequest((host) => `http://${host}`, 'localhost');
    assert.equal(bare.headers['proxy-authorization'], undefined);
  });

  /** What a proxy is asked, before it refuses. */
  async function connectRequest(urlOf: (host: string) => string, host: string) {
    const server = createHttpServer();
    const asked = new Promise<IncomingMessage>((resolve) => {
      server.on('connect', (request, socket) => {
        socket.end('HTTP/1.1 407 Proxy Authentication Required\r\n\r\n');
        resolve(request);
      });
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    await assert.rejects(connect(urlOf(`127.0.0.1:${port}`), host), { code: 'HTTP 407' });
    server.close();
    return asked;
  }

  test('does not go through an HTTPS proxy whose certificate is not trusted', async () => {
    const server = createHttpsServer(certificate);
    server.on('connect', () => assert.fail('the proxy was asked'));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
    await assert.rejects(connect(url, 'localhost'), /self.signed/i);
    server.close();
  });

  test('fails with what the proxy says, or why there is none', async () => {
    const server = createHttpServer((_request, response) => response.writeHead(405).end());
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    server.on('connect', (_request, socket) => socket.end('HTTP/1.1 502 Bad Gateway\r\n\r\n'));
    await assert.rejects(connect(url, 'localhost'), { code: 'HTTP 502' });
    server.close();
    await once(server, 'close');
    await assert.rejects(connect(url, 'localhost'), { code: 'ECONNREFUSED' });
    await assert.rejects(connect(url.replace('http', 'socks5'), 'localhost'), /ECONNREFUSED/);
  });

  for (const scheme of ['http', 'socks5h']) {
    test(`is given up by its signal (${scheme})`, async () => {
      const sockets: Socket[] = [];
      const silent = createServer((socket) => sockets.push(socket));
      silent.listen(0, '127.0.0.1');
      await once(silent, 'listening');
      const url = `${scheme}://127.0.0.1:${(silent.address() as AddressInfo).port}`;
      const signal = AbortSignal.timeout(50);
      await assert.rejects(connect(url, 'localhost', signal));
      assert.ok(signal.aborted);
      for (const socket of sockets) socket.destroy();
      silent.close();
    });
  }
});
