/** It keeps working: after every kind of death, silence and noise, and under a flood. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { english } from '../../src/messages/en.ts';
import { emacsen } from '../support/emacs.ts';
import { BARE_ENV, type Env, PROGRAM, ROOT } from '../support/environment.ts';
import { GlmServer } from '../support/glm-server.ts';
import { Helper, hasEnded } from '../support/helper.ts';
import { KeychainSession } from '../support/keychain.ts';
import { glmToken } from '../support/program.ts';
import { HELPER_MB } from './bounds.ts';
import { EmacsSession } from './emacs-session.ts';
import { descendants, peakMemoryMb } from './processes.ts';
import { oneRow, type Row, type Trials } from './row.ts';

const ID = '0123456789abcdef0123456789abcdef';
const SECRET = 'verysecretsecret';
const KEY = `${ID}.${SECRET}`;

/** The helper ends at end of input; the rest is room for a busy machine. */
const HELPER_ENDS_WITHIN_MS = 10_000;

export const keepsWorking: Trials = {
  'Emacs and bad helpers': async function* ({ isShort }) {
    const versions = (await emacsen()).slice(0, isShort ? 1 : undefined);
    for (const { emacs, version } of versions) yield* inEmacs(emacs, version, isShort ? 1 : 10);
  },
  flood: oneRow(({ isShort }) => flood(isShort ? 5_000 : 100_000)),
  'deaf client': oneRow(deafClient),
  noise: oneRow(noise),
  'keychain in trouble': keychainTrouble,
  'busy keychain': oneRow(({ isShort }) => busyKeychain(isShort ? 10 : 50)),
};

async function* inEmacs(emacs: string, version: string, times: number): AsyncGenerator<Row> {
  const session = await KeychainSession.start();
  const glm = await GlmServer.start({ [ID]: SECRET });
  try {
    const stored = await glmToken(['store', '--host', glm.host], { env: session.env, input: KEY });
    if (stored.status !== 0) throw new Error(stored.stderr);
    const start = () =>
      new EmacsSession({
        emacs,
        does: 'glm-prove-trouble',
        home: session.home,
        env: {
          ...session.env,
          GLM_TEST_HOST: glm.host,
          GLM_PROVE_REQUESTS: String(times),
          GLM_PROVE_FAKE: join(ROOT, 'test/support/fake-glm-token.sh'),
        },
      });
    const emacsSession = start();
    for (let time = 0; time < times; time += 1) {
      for (const [name, signal] of [
        ['killed', 'SIGKILL'],
        ['stopped', 'SIGSTOP'],
      ] as const) {
        await emacsSession.at(`${name} ${time}`, () => emacsSession.signalHelper(signal));
      }
    }
    let helpers: number[] = [];
    await emacsSession.at('to be killed', () => {
      helpers = descendants(emacsSession.pid);
      emacsSession.stop();
    });
    const killedAt = Date.now();
    const left = () => helpers.filter((pid) => !hasEnded(pid));
    while (left().length > 0 && Date.now() < killedAt + HELPER_ENDS_WITHIN_MS) await delay(50);
    const endedMs = Date.now() - killedAt;
    const refused = glm.seen.filter((request) => request.refused !== undefined);
    const tokens = new Set(glm.seen.map(({ token }) => token));
    yield {
      trial: `Emacs ${version}: helpers killed, stopped, noisy, dead, silent`,
      count: `${2 * times} times, and 8 bad helpers`,
      seen: `${glm.seen.length} requests, ${refused.length} without a valid token`,
      faults: [
        ...(refused.length > 0 ? [`${refused.length} requests had no valid token`] : []),
        ...(tokens.size < glm.seen.length ? ['a token was sent twice'] : []),
        ...(glm.seen.length < 2 * times + 9 ? [`only ${glm.seen.length} requests were sent`] : []),
      ],
    };
    yield {
      trial: `Emacs ${version} killed with -9: its helper ends`,
      count: `${helpers.length} helper`,
      seen: left().length > 0 ? 'it is left' : `it ended within ${endedMs} ms`,
      faults: [
        ...(helpers.length === 0 ? ['there was no helper'] : []),
        ...left().map((pid) => `helper ${pid} is left`),
      ],
    };
  } finally {
    await glm.stop();
    await session.stop();
  }
}

/** An environment with a key, so that floods need no keychain. */
function withKey(): { home: string; env: Env } {
  const home = mkdtempSync(join(tmpdir(), 'glm-token-test-'));
  return { home, env: { ...BARE_ENV, HOME: home, GLM_API_KEY: KEY } };
}

async function flood(requests: number): Promise<Row> {
  const session = await KeychainSession.start();
  await glmToken(['store'], { env: session.env, input: KEY });
  const helper = new Helper(session.env);
  const startedAt = Date.now();
  try {
    const replies = await Promise.all(
      Array.from({ length: requests }, () => helper.request('token', {})),
    );
    const seconds = (Date.now() - startedAt) / 1000;
    const answered = replies.filter(({ result }) => typeof result?.token === 'string').length;
    const mb = peakMemoryMb(helper.pid);
    return {
      trial: 'requests to the helper at once, with a real keychain',
      count: `${requests}`,
      seen: `${answered} answered in ${Math.round(seconds)} s; at most ${mb} MB (limit ${HELPER_MB})`,
      faults: [
        ...(answered < requests ? [`${requests - answered} not answered`] : []),
        ...(mb > HELPER_MB ? [`${mb} MB`] : []),
      ],
    };
  } finally {
    await helper.stop();
    await session.stop();
  }
}

/** A client that sends and does not read is held back; when it reads, it gets every answer. */
async function deafClient(): Promise<Row> {
  const { home, env } = withKey();
  const child = spawn(process.execPath, [PROGRAM, 'daemon', '--stdio'], { env, stdio: 'pipe' });
  const ended = once(child, 'exit');
  child.stdin.on('error', () => {});
  const SEND_MS = 4000;
  let sent = 0;
  const until = Date.now() + SEND_MS;
  while (Date.now() < until) {
    sent += 1;
    const isFree = child.stdin.write(Helper.frame({ id: sent, method: 'token', params: {} }));
    if (isFree) continue;
    const isDrained = await Promise.race([
      once(child.stdin, 'drain').then(() => true),
      delay(until - Date.now(), false, { ref: false }),
    ]);
    if (!isDrained) break;
  }
  const mb = peakMemoryMb(child.pid ?? 0);
  let answers = 0;
  let rest = '';
  child.stdout.on('data', (chunk: Buffer) => {
    const text = rest + chunk.toString('latin1');
    const parts = text.split('Content-Length: ');
    answers += parts.length - 1;
    rest = text.slice(-('Content-Length: '.length - 1));
  });
  const waitUntil = Date.now() + 30_000;
  while (answers < sent && Date.now() < waitUntil) await delay(50);
  child.stdin.end();
  await ended;
  rmSync(home, { recursive: true });
  return {
    trial: 'a client that sends without reading, and then reads',
    count: `${sent} requests`,
    seen: `${answers} answered; at most ${mb} MB while it did not read (limit ${HELPER_MB})`,
    faults: [
      ...(answers < sent ? [`${sent - answers} not answered`] : []),
      ...(mb > HELPER_MB ? [`${mb} MB`] : []),
    ],
  };
}

async function noise(): Promise<Row> {
  const { home, env } = withKey();
  const noises: Record<string, string | Buffer> = {
    'a header without end': 'x'.repeat(100_000),
    'no length': 'Content-Type: x\r\n\r\n{}',
    'a negative length': 'Content-Length: -1\r\n\r\n{}',
    'a length beyond all limits': 'Content-Length: 99999999999\r\n\r\n{}',
    'a message that is no JSON': 'Content-Length: 1\r\n\r\n{',
    'an empty message': 'Content-Length: 0\r\n\r\n',
    'a message of 2 MB': `Content-Length: ${2 << 20}\r\n\r\n${'x'.repeat(2 << 20)}`,
    'bytes of all values': Buffer.from(Array.from({ length: 65_536 }, (_, at) => (at * 7) % 256)),
    HTTP: 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n',
  };
  const faults: string[] = [];
  for (const [name, bytes] of Object.entries(noises)) {
    const helper = new Helper(env);
    const first = await helper.request('token');
    helper.write(bytes);
    const status = await Promise.race([helper.ended(), delay(5000, 'no end')]);
    if (!first.result || status !== 9 || !/hint: /.test(helper.stderr)) {
      faults.push(`${name}: status ${status}, ${helper.stderr}`);
    }
    if (helper.stderr.includes(SECRET)) faults.push(`${name}: the key`);
    await helper.stop();
  }
  // JSON that is no request takes nothing along.
  const bodies = [
    'null',
    '[]',
    '"x"',
    '{}',
    '{"id":1}',
    '{"jsonrpc":"2.0","id":{},"method":"token"}',
  ];
  const helper = new Helper(env);
  for (const body of bodies) helper.write(`Content-Length: ${body.length}\r\n\r\n${body}`);
  const answer = await Promise.race([helper.request('token'), delay(5000)]);
  if (!answer?.result) faults.push(`after messages of nonsense: no answer; ${helper.stderr}`);
  await helper.stop();
  rmSync(home, { recursive: true });
  return {
    trial:
      'noise on the wire ends the helper with a reason; JSON that is no request is passed over',
    count: `${Object.keys(noises).length + bodies.length} kinds`,
    seen: `${faults.length} hung or crashed`,
    faults,
  };
}

interface Trouble {
  act(): unknown;
  undo(): unknown;
  /** What is said meanwhile, with the exit status of each. */
  readonly codes: Readonly<Record<string, number>>;
  /** What a helper that runs may say afterwards. */
  readonly after?: string;
  /** The limit of the program for a call. */
  readonly limit?: string;
}

/** The keychain dies, freezes, is locked, and comes back. */
async function* keychainTrouble(): AsyncGenerator<Row> {
  const session = await KeychainSession.start();
  const troubles: Record<string, Trouble> = {
    locked: {
      act: () => session.lock(),
      undo: () => session.unlock(),
      codes: { ERR_STORE_LOCKED: 6 },
    },
    frozen: {
      act: () => session.signal('SIGSTOP'),
      undo: () => session.signal('SIGCONT'),
      codes: { ERR_STORE_UNAVAILABLE: 5 },
      limit: '3s', // All of them wait for it to pass.
    },
    killed: {
      act: async () => {
        session.signal('SIGKILL');
        await delay(300);
      },
      undo: () => session.startService(),
      codes: { ERR_STORE_UNAVAILABLE: 5 },
    },
  };
  try {
    const stored = await glmToken(['store'], { env: session.env, input: KEY });
    if (stored.status !== 0) throw new Error(stored.stderr);
    for (const [name, { act, undo, codes, limit = '10s' }] of Object.entries(troubles)) {
      const env: Env = { ...session.env, GLM_TOKEN_PROMPT_TIMEOUT: limit };
      const faults: string[] = [];
      const helper = new Helper(env);
      const before = await helper.request('token');
      if (!before.result) faults.push(`at first: ${JSON.stringify(before)}`);
      await act();
      const startedAt = Date.now();
      const during = await Promise.all([
        glmToken(['print', '--format=json'], { env }),
        glmToken(['list'], { env }),
        glmToken(['store', '--force'], { env, input: KEY }),
      ]);
      for (const { status, signal, stdout, stderr } of during) {
        // An older Node cannot end otherwise while a thread of its waits for the keychain.
        const isEnded = signal === 'SIGKILL' && !('execve' in process) && /hint/.test(stderr);
        if ((!Object.values(codes).includes(Number(status)) && !isEnded) || stdout !== '') {
          faults.push(`status ${status}: ${stdout}${stderr}`);
        }
        if (stderr.includes(SECRET)) faults.push('the key is in a message');
      }
      const answer = await helper.request('token');
      const code = answer.error?.data.code ?? '';
      if (!(code in codes)) faults.push(`the helper: ${JSON.stringify(answer)}`);
      const seconds = (Date.now() - startedAt) / 1000;
      if (seconds > 30) faults.push(`it took ${seconds} s`);
      await undo();
      const printed = await glmToken(['print'], { env });
      if (printed.status !== 0) faults.push(`afterwards: ${printed.status}, ${printed.stderr}`);
      const again = await helper.request('token');
      if (!again.result) {
        faults.push(`the helper, afterwards: ${JSON.stringify(again)}`);
      }
      await helper.stop();
      yield {
        trial: `keychain ${name}: print, list, store, and a helper that runs`,
        count: '4 clients',
        seen: `${Object.keys(codes).join(' or ')} within ${Math.ceil(seconds)} s, a token afterwards`,
        faults,
      };
    }
  } finally {
    await session.stop();
  }
}

/** A keychain with much to do is no keychain that waits for its user. */
async function busyKeychain(prints: number): Promise<Row> {
  const session = await KeychainSession.start();
  try {
    await glmToken(['store'], { env: session.env, input: KEY });
    const printed = Array.from({ length: prints }, () => glmToken(['print'], { env: session.env }));
    // Long enough for all of them to have asked it, and to say that they wait.
    session.signal('SIGSTOP');
    await delay(3000);
    session.signal('SIGCONT');
    const outcomes = await Promise.all(printed);
    const failed = outcomes.filter(({ stdout }) => !/^eyJ[\w-]+\.[\w-]+\.[\w-]+\n$/.test(stdout));
    // That it takes long may be said, as it is; nothing else.
    const notice = `glm-token: ${english('glm-token').waiting(undefined)}\n`;
    const told = outcomes.filter(({ stderr }) => stderr !== '' && stderr !== notice);
    const noticed = outcomes.filter(({ stderr }) => stderr === notice);
    return {
      trial: 'programs that ask a busy keychain at once',
      count: `${prints}`,
      seen:
        `${prints - failed.length} tokens, ${noticed.length} told to wait, ` +
        `${told.length} told anything else`,
      faults: [
        ...[...failed, ...told].map(({ status, stderr }) => `status ${status}: ${stderr}`),
        ...(noticed.length === 0 ? ['it was not busy'] : []),
        ...(/is locked/.test(notice) ? [`who has to wait is told of a lock: ${notice}`] : []),
      ],
    };
  } finally {
    await session.stop();
  }
}
