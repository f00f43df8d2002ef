/**
 * How many tokens a helper on a socket gives to 1, 10 and 100 clients, against the real keychain and
 * an unlocked file; beside it, in the same run, ssh-agent signing for as many. Each client asks, waits
 * for its answer, and asks again. Every answer is checked afterwards.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { createHmac, createPublicKey, verify } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { cpus } from 'node:os';
import { join } from 'node:path';
import type { Env } from '../support/environment.ts';
import { Helper } from '../support/helper.ts';
import { KeychainSession } from '../support/keychain.ts';
import { glmToken, run } from '../support/program.ts';
import { end, until } from '../support/session-bus.ts';
import { SocketHelper } from '../support/socket-helper.ts';

const ID = '0123456789abcdef0123456789abcdef';
const SECRET = 'MadeUpSecret1234';
const CLIENTS = [1, 10, 100];
const WARM_UP_MS = 1000;
const MEASURED_MS = 4000;

/** One request and one answer on a connection, whatever the protocol. */
interface Exchange {
  readonly request: (n: number) => Buffer;
  /** The length of the first whole answer in what came, with its framing; 0 when it is not whole. */
  readonly lengthOf: (received: Buffer) => number;
  /** What is wrong with an answer, if anything is. */
  readonly faultOf: (answer: Buffer) => string | undefined;
}

interface Row {
  readonly name: string;
  readonly clients: number;
  readonly perSecond: number;
  readonly p50: number;
  readonly p99: number;
  /** Share of one core that the server used. */
  readonly cpu: number;
  readonly megabytes: number;
}

const FRAME = /^Content-Length: (\d+)\r\n\r\n/;

const tokens: Exchange = {
  request: (n) => Buffer.from(Helper.frame({ id: n, method: 'token', params: {} })),
  lengthOf(received) {
    const [header, length] = FRAME.exec(received.toString('latin1', 0, 60)) ?? [];
    const whole = header ? header.length + Number(length) : Number.POSITIVE_INFINITY;
    return received.length >= whole ? whole : 0;
  },
  faultOf(answer) {
    const { result } = JSON.parse(answer.toString('utf8', answer.indexOf('{')));
    const [head = '', payload = '', signature] = String(result?.token).split('.');
    const expected = createHmac('sha256', SECRET).update(`${head}.${payload}`).digest('base64url');
    return signature === expected ? undefined : `no token: ${answer}`;
  },
};

/** The protocol of ssh-agent: draft-miller-ssh-agent, SSH_AGENTC_SIGN_REQUEST and its answer. */
function signatures(publicKey: Buffer): Exchange {
  const string = (bytes: Buffer) => {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(bytes.length);
    return Buffer.concat([length, bytes]);
  };
  const data = Buffer.alloc(230, 'x'); // As long as what is signed of a token.
  const message = string(
    Buffer.concat([Buffer.from([13]), string(publicKey), string(data), Buffer.alloc(4)]),
  );
  const raw = publicKey.subarray(-32);
  const key = createPublicKey({
    format: 'jwk',
    key: { kty: 'OKP', crv: 'Ed25519', x: raw.toString('base64url') },
  });
  return {
    request: () => message,
    lengthOf(received) {
      const whole = received.length < 4 ? Number.POSITIVE_INFINITY : 4 + received.readUInt32BE(0);
      return received.length >= whole ? whole : 0;
    },
    faultOf: (answer) =>
      verify(null, data, key, answer.subarray(-64)) ? undefined : 'no signature that verifies',
  };
}

const statusOf = (pid: number, field: string): number =>
  Number(new RegExp(`${field}:\\s+(\\d+)`).exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);

/** Processor time that a process has used, in seconds; a clock tick is a hundredth of one. */
function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

async function measure(
  name: string,
  { path, pid }: { path: string; pid: number },
  clients: number,
  exchange: Exchange,
): Promise<Row> {
  const times: number[] = [];
  const answers: Buffer[] = [];
  let isMeasuring = false;
  let isOver = false;

  const work = async (): Promise<void> => {
    const socket: Socket = connect(path);
    await once(socket, 'connect');
    let received: Buffer = Buffer.alloc(0);
    let take: (answer: Buffer) => void = () => {};
    socket.on('data', (chunk: Buffer) => {
      received = received.length === 0 ? chunk : Buffer.concat([received, chunk]);
      const length = exchange.lengthOf(received);
      if (length === 0) return;
      const answer = received.subarray(0, length);
      received = received.subarray(length);
      take(answer);
    });
    socket.once('close', () => take(Buffer.from('{"closed":true}')));
    for (let n = 1; !isOver; n += 1) {
      const startedAt = performance.now();
      const answer = await new Promise<Buffer>((resolve) => {
        take = resolve;
        socket.write(exchange.request(n));
      });
      if (socket.destroyed) throw new Error(`${name} closed a connection`);
      if (!isMeasuring) continue;
      times.push(performance.now() - startedAt);
      answers.push(answer);
    }
    socket.destroy();
  };

  const workers = Array.from({ length: clients }, work);
  await new Promise((resolve) => setTimeout(resolve, WARM_UP_MS));
  const cpuBefore = cpuSeconds(pid);
  const startedAt = performance.now();
  isMeasuring = true;
  await new Promise((resolve) => setTimeout(resolve, MEASURED_MS));
  isMeasuring = false;
  const seconds = (performance.now() - startedAt) / 1000;
  const cpu = (cpuSeconds(pid) - cpuBefore) / seconds;
  const megabytes = statusOf(pid, 'VmRSS') / 1024;
  isOver = true;
  await Promise.all(workers);

  for (const answer of answers) {
    const fault = exchange.faultOf(answer);
    if (fault) throw new Error(`${name}: ${fault}`);
  }
  const sorted = times.sort((a, b) => a - b);
  const at = (share: number) => sorted[Math.floor(share * (sorted.length - 1))] ?? Number.NaN;
  const perSecond = times.length / seconds;
  return { name, clients, perSecond, p50: at(0.5), p99: at(0.99), cpu, megabytes };
}

async function startAgent(home: string, env: Env): Promise<{ agent: ChildProcess; path: string }> {
  const path = join(home, 'run', 'ssh-agent.sock');
  const agent = spawn('ssh-agent', ['-D', '-a', path], { env, stdio: 'ignore' });
  const isUp = async () =>
    (await run(['ssh-add', '-l'], { env: { ...env, SSH_AUTH_SOCK: path } })).status === 1;
  await until('an ssh-agent', isUp);
  return { agent, path };
}

const session = await KeychainSession.start();
const { home, env } = session;
const passphraseFile = join(home, 'passphrase');
writeFileSync(passphraseFile, 'made up', { mode: 0o600 });
const fileEnv = { ...env, GLM_TOKEN_STORE: 'file', GLM_TOKEN_PASSPHRASE_FILE: passphraseFile };
const keychainEnv = { ...env, GLM_TOKEN_STORE: 'keychain' };
for (const each of [keychainEnv, fileEnv]) {
  await glmToken(['store'], { env: each, input: `${ID}.${SECRET}` });
}
const key = join(home, 'key');
await run(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', key]);
const publicKey = Buffer.from(readFileSync(`${key}.pub`, 'utf8').split(' ')[1] ?? '', 'base64');

const rows: Row[] = [];
const { agent, path: agentPath } = await startAgent(home, env);
try {
  await run(['ssh-add', '-q', key], { env: { ...env, SSH_AUTH_SOCK: agentPath } });
  for (const clients of CLIENTS) {
    for (const [name, each] of [
      ['the keychain', keychainEnv],
      ['an unlocked file', fileEnv],
    ] as const) {
      const helper = await SocketHelper.start(join(home, 'run', 'bench.sock'), [], each);
      try {
        rows.push(await measure(`glm-token, ${name}`, helper, clients, tokens));
      } finally {
        await helper.stop();
      }
    }
    const peer = { path: agentPath, pid: agent.pid ?? 0 };
    rows.push(await measure('ssh-agent, Ed25519', peer, clients, signatures(publicKey)));
  }
} finally {
  await end(agent);
  await session.stop();
}

console.log(
  `\nOn a socket: ${cpus()[0]?.model}, ${cpus().length} cores; Node ${process.version}\n`,
);
console.log('| | clients | requests/s | p50, ms | p99, ms | of a core | memory, MB |');
console.log('|---|---:|---:|---:|---:|---:|---:|');
for (const { name, clients, perSecond, p50, p99, cpu, megabytes } of rows) {
  const cells = [
    name,
    clients,
    perSecond.toFixed(0),
    p50.toFixed(2),
    p99.toFixed(2),
    `${(100 * cpu).toFixed(0)} %`,
    megabytes.toFixed(0),
  ];
  console.log(`| ${cells.join(' | ')} |`);
}
console.log(`
Every answer was a token, or a signature, that verifies. Tokens are limited by the one thread of
JavaScript that frames and signs; one client on the keychain, by its round trips over D-Bus, which
clients that ask at once share. The clients use the same cores.`);
