/** Servers and proxies that mean harm: they are silent, endless, or talk nonsense. */

import { createServer as createTlsServer } from 'node:https';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import type { Certificate } from '../support/certificate.ts';

/** What a peer does with a connection: it gets what the client sends first. */
export type Manner = (socket: Socket, first: Buffer) => void;

/** Writes again and again until the peer has gone. */
function endlessly(socket: Socket, text: string, everyMs: number): void {
  const timer = setInterval(() => {
    if (socket.writableLength < 1 << 20) socket.write(text);
  }, everyMs);
  socket.once('close', () => clearInterval(timer));
}

const block = 'X-Filler: '.padEnd(60_000, 'x');

/** By what each does, for servers and proxies alike; the answers come after the handshake, if any. */
export const MANNERS: Readonly<Record<string, Manner>> = {
  'is silent': () => {},
  'ends at once': (socket) => socket.end(),
  'breaks off': (socket) => socket.destroy(),
  'drips a header': (socket) => {
    socket.write('HTTP/1.1 200 OK\r\n');
    endlessly(socket, 'X: y\r\n', 200);
  },
  'drips a status line': (socket) => endlessly(socket, 'H', 300),
  'sends endless headers': (socket) => {
    socket.write('HTTP/1.1 200 OK\r\n');
    endlessly(socket, `${block}\r\n`, 1);
  },
  'sends an endless header line': (socket) => {
    socket.write('HTTP/1.1 200 OK\r\nX: ');
    endlessly(socket, block, 1);
  },
  'sends endless 100s': (socket) =>
    endlessly(socket, 'HTTP/1.1 100 Continue\r\n\r\n'.repeat(100), 1),
  'sends endless 103s': (socket) =>
    endlessly(socket, 'HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n'.repeat(100), 1),
  'sends an endless body': (socket) => {
    socket.write('HTTP/1.1 200 OK\r\n\r\n');
    endlessly(socket, block, 1);
  },
  'sends endless chunks': (socket) => {
    socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n');
    endlessly(socket, '1\r\nx\r\n', 100);
  },
  'sends noise': (socket) => endlessly(socket, '\0\u0007\u001b[2J\ufffd'.repeat(1000), 1),
  'switches protocols': (socket) =>
    socket.write('HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\nmore'),
  'redirects to itself': (socket) =>
    socket.end('HTTP/1.1 302 Found\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n'),
  'redirects to http': (socket) =>
    socket.end('HTTP/1.1 307 x\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n'),
  'asks for a password': (socket) =>
    socket.end('HTTP/1.1 407 x\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n'),
  'says a date of nonsense': (socket) =>
    socket.end(
      'HTTP/1.1 200 OK\r\nDate: Thu, 99 Nov 275760 00:00:00 GMT\r\nContent-Length: 0\r\n\r\n',
    ),
  'says a date in 1970': (socket) =>
    socket.end(
      'HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nContent-Length: 0\r\n\r\n',
    ),
  'answers with control characters': (socket) => {
    const body = '{"error":{"code":"\\u001b[2J\\nhint: run: evil","message":"\\u202e"}}';
    socket.end(
      `HTTP/1.1 401 \u001b[31mhint\r\nDate: \u001b[2J\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    );
  },
  'answers with deep JSON': (socket) => {
    const body = '['.repeat(500_000);
    socket.end(`HTTP/1.1 401 x\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
  },
  'promises more than it sends': (socket) =>
    socket.write('HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999\r\n\r\nx'),
  'has two lengths': (socket) =>
    socket.end('HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 9\r\n\r\nx'),
  'packs a bomb': (socket) =>
    socket.end(
      'HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x1f\x8b\x08\x00',
    ),
};

/** What only a proxy can do, by protocol. */
export const PROXY_MANNERS: Readonly<Record<'http' | 'socks5', Readonly<Record<string, Manner>>>> =
  {
    http: {
      'opens the tunnel and is silent': (socket) => void socket.write('HTTP/1.1 200 OK\r\n\r\n'),
      'opens the tunnel and drips': (socket) => {
        socket.write('HTTP/1.1 200 OK\r\n\r\n');
        endlessly(socket, '\x16', 200);
      },
      'opens the tunnel and sends noise': (socket) => {
        socket.write('HTTP/1.1 200 OK\r\n\r\n');
        endlessly(socket, block, 1);
      },
    },
    socks5: {
      'takes no method': (socket) => void socket.write(Buffer.from([5, 255])),
      'greets and is silent': (socket) => void socket.write(Buffer.from([5, 0])),
      'greets and drips': (socket) => {
        socket.write(Buffer.from([5, 0]));
        endlessly(socket, '\x05', 500);
      },
      'greets and sends noise': (socket) => {
        socket.write(Buffer.from([5, 0]));
        endlessly(socket, block, 1);
      },
      'speaks another version': (socket) =>
        void socket.write(Buffer.from([4, 0, 0, 0, 0, 0, 0, 0])),
    },
  };

export interface Hostile {
  readonly port: number;
  /** Everything that clients sent. */
  received(): string;
  stop(): Promise<void>;
}

/** Listens, and does the same to every client; over TLS with a certificate. */
export async function startHostile(manner: Manner, tls?: Certificate): Promise<Hostile> {
  const sockets = new Set<Socket>();
  const received: Buffer[] = [];
  const take = (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.once('data', (first: Buffer) => manner(socket, first));
    socket.on('data', (chunk: Buffer) => received.push(chunk));
  };
  const server: Server = tls
    ? createTlsServer({ key: tls.key, cert: tls.cert })
    : createServer(take);
  if (tls) {
    // Below HTTP, so that it can be broken.
    server.removeAllListeners('secureConnection');
    server.on('secureConnection', take);
    server.on('tlsClientError', () => {});
  }
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    received: () => Buffer.concat(received).toString('latin1'),
    stop: () =>
      new Promise((resolve) => {
        for (const socket of sockets) socket.destroy();
        server.close(() => resolve());
      }),
  };
}

/** Whether somebody listens on a port of this machine. */
export const isListening = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
