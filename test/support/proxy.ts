/** Real proxies, of the HTTP and of the SOCKS 5 kind, that count what goes through. */

import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

export interface ProxyServer {
  /** `127.0.0.1:PORT`. */
  readonly host: string;
  /** The hosts that connections were made to, each as `HOST:PORT`. */
  readonly asked: string[];
  stop(): Promise<void>;
}

async function listen(server: Server, asked: string[]): Promise<ProxyServer> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => sockets.add(socket));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    stop: () =>
      new Promise((resolve) => {
        for (const socket of sockets) socket.destroy();
        server.close(() => resolve());
      }),
  };
}

function join(client: Socket, host: string, port: number, onConnect: () => void): void {
  const upstream = connect(port, host, () => {
    onConnect();
    upstream.pipe(client);
    client.pipe(upstream);
  });
  for (const socket of [client, upstream]) socket.on('error', () => {});
}

export function startHttpProxy(): Promise<ProxyServer> {
  const asked: string[] = [];
  const server = createHttpServer((_request, response) => response.writeHead(405).end());
  server.on('connect', ({ url = '' }, client: Socket) => {
    asked.push(url);
    const [host = '', port] = url.split(':');
    join(client, host, Number(port), () => client.write('HTTP/1.1 200 OK\r\n\r\n'));
  });
  return listen(server, asked);
}

/** SOCKS 5 without a password, to an address or a name (RFC 1928). */
export function startSocksProxy(): Promise<ProxyServer> {
  const asked: string[] = [];
  const server = createServer((client) => {
    client.once('data', () => {
      client.write(Buffer.from([5, 0]));
      client.once('data', (request) => {
        const byName = request[3] === 3;
        const end = byName ? 5 + (request[4] ?? 0) : 8;
        const host = byName ? request.toString('latin1', 5, end) : request.subarray(4, 8).join('.');
        const port = request.readUInt16BE(end);
        asked.push(`${host}:${port}`);
        const granted = Buffer.from([5, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
        join(client, host, port, () => client.write(granted));
      });
    });
  });
  return listen(server, asked);
}
