/** The key is nowhere but in its store and, for moments, in the helper. */

import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { emacsen } from '../support/emacs.ts';
import { type Env, PROGRAM } from '../support/environment.ts';
import { GlmServer } from '../support/glm-server.ts';
import { Helper } from '../support/helper.ts';
import { KeychainSession } from '../support/keychain.ts';
import { glmToken, run } from '../support/program.ts';
import { openFile } from '../support/stores.ts';
import { COPIES } from './bounds.ts';
import { Canary } from './canary.ts';
import { atMost, needsMemory, REST_MS } from './copies.ts';
import { EmacsSession } from './emacs-session.ts';
import { argumentsOf, countInMemory, descendants, environmentOf, Sampler } from './processes.ts';
import { each, oneRow, type Row, type Trials } from './row.ts';

const ID = '0123456789abcdef0123456789abcdef';

export const keyIsNowhere: Trials = {
  'Emacs that sends requests': async function* ({ isShort }) {
    for (const { emacs, version } of await emacsenFor(isShort)) {
      yield* inEmacs(emacs, version, isShort ? 12 : 200);
    }
  },
  'Emacs that a key is typed into': async function* ({ isShort }) {
    for (const { emacs, version } of await emacsenFor(isShort)) yield* typed(emacs, version);
  },
  'helper after lock': ({ isShort }) => afterLock(isShort ? 50 : 200),
  'zeroed buffers': oneRow(zeroedBuffers),
  'output of every command': oneRow(inOutput),
};

const emacsenFor = async (isShort: boolean) => (await emacsen()).slice(0, isShort ? 1 : undefined);

/** A session whose temporary files are below its home too. */
async function startSession(): Promise<{ session: KeychainSession; env: Env }> {
  const session = await KeychainSession.start();
  const TMPDIR = join(session.home, 'tmp');
  mkdirSync(TMPDIR, { mode: 0o700 });
  return { session, env: { ...session.env, TMPDIR } };
}

async function* inEmacs(emacs: string, version: string, requests: number): AsyncGenerator<Row> {
  const trial = `memory of Emacs ${version}: requests, failures, every command`;
  if (!(yield* needsMemory(trial))) return;
  const { session, env } = await startSession();
  const canary = new Canary();
  const glm = await GlmServer.start({ [ID]: canary.text });
  const sampler = new Sampler(canary);
  const curl = { looks: 0, copies: 0 };
  let emacsPid = 0;
  glm.onRequest = () => {
    sampler.look();
    // Only a process whose request waits for its answer is sure to be there.
    for (const pid of descendants(emacsPid)) {
      if (curl.looks >= requests || !/^([^\0]*\/)?curl\0/.test(argumentsOf(pid))) continue;
      try {
        curl.copies += countInMemory(pid, canary.halves);
        curl.looks += 1;
      } catch {} // It has ended.
    }
  };
  try {
    for (const profile of ['default', 'other']) {
      const args = ['store', '--host', glm.host, '--profile', profile];
      const { status, stderr } = await glmToken(args, { env, input: `${ID}.${canary.text}` });
      if (status !== 0) throw new Error(stderr);
    }
    const emacsSession = new EmacsSession({
      emacs,
      does: 'glm-prove-requests',
      home: session.home,
      env: {
        ...env,
        GLM_TEST_HOST: glm.host,
        GLM_PROVE_REQUESTS: String(requests),
        NODE_OPTIONS: '--no-deprecation',
      },
    });
    emacsPid = emacsSession.started;
    sampler.watch(emacsPid);
    let copies = 0;
    const look = () => {
      copies += countInMemory(emacsSession.pid, canary.halves);
    };
    let inHelper = 0;
    let inherits = false;
    await emacsSession.at('requests', async () => {
      look();
      inherits = /\0NODE_OPTIONS=./.test(environmentOf(emacsSession.helper ?? 0));
      await delay(REST_MS);
      inHelper = countInMemory(emacsSession.helper ?? 0, canary.forms);
    });
    await emacsSession.at('to be killed', () => emacsSession.signalHelper('SIGKILL'));
    await emacsSession.at('to be stopped', () => emacsSession.signalHelper('SIGSTOP'));
    const { directory } = emacsSession;
    const { found, count } = await emacsSession.at('commands', () => {
      look();
      return canary.filesBelow(session.home);
    });
    const { status, stderr } = await emacsSession.ended;
    const buffers = readdirSync(directory).filter((name) => name.startsWith('buffer-')).length;
    const refused = glm.seen.filter((request) => request.refused !== undefined).length;
    const sent = glm.seen.length;
    yield {
      trial,
      count: `${sent} requests`,
      seen: `${copies} copies of the key`,
      faults: [
        ...(copies > 0 ? [`${copies} copies in Emacs`] : []),
        ...(status === 0 ? [] : [`Emacs ended with ${status}: ${stderr.slice(-1000)}`]),
        ...(refused > 0 ? [`${refused} requests had no valid token`] : []),
        ...(new Set(glm.seen.map(({ token }) => token)).size < sent
          ? ['a token was sent twice']
          : []),
        ...(sent < requests ? [`only ${sent} requests were sent`] : []),
      ],
    };
    yield {
      trial: `memory of the curl that Emacs ${version} starts`,
      count: `${curl.looks} looks`,
      seen: `${curl.copies} copies`,
      faults: [
        ...(curl.copies > 0 ? [`${curl.copies} copies in curl`] : []),
        ...(curl.looks === 0 ? ['no curl was looked into'] : []),
      ],
    };
    yield {
      trial: 'arguments and environments of everything that it starts',
      count: `${sampler.samples} samples of ${sampler.processes.size} processes`,
      seen: `in ${sampler.leaks.size}`,
      // By which node may open its debugger.
      faults: [...sampler.leaks, ...(inherits ? ['the helper got NODE_OPTIONS from Emacs'] : [])],
    };
    yield {
      trial: 'files and buffers, with the log of gptel at debug',
      count: `${count} files, ${buffers} of them buffers`,
      seen: `in ${found.length}`,
      faults: [...found, ...(buffers === 0 ? ['no buffer was written'] : [])],
    };
    yield atMost('memory of the helper, 5 s after its last token', `${requests} tokens`, {
      key: [inHelper, COPIES.helperAtRest],
    });
  } finally {
    sampler.stop();
    await glm.stop();
    await session.stop();
  }
}

async function* typed(emacs: string, version: string): AsyncGenerator<Row> {
  const trial = `memory of Emacs ${version}, after key and passphrase were typed there`;
  if (!(yield* needsMemory(trial))) return;
  const { session, env } = await startSession();
  const [key, passphrase] = [new Canary(), new Canary()];
  const emacsSession = new EmacsSession({
    emacs,
    does: 'glm-prove-typing',
    home: session.home,
    env: { ...env, GLM_TEST_HOST: 'localhost:1', GLM_TOKEN_STORE: 'file' },
    types: [
      ['API key (ID.SECRET) for', `${ID}.${key.text}`],
      ['New passphrase', passphrase.text],
      ['Repeat passphrase', passphrase.text],
    ],
  });
  try {
    const copies = await emacsSession.at('typed', async () => {
      await delay(1000);
      return [key, passphrase].map((typed) => countInMemory(emacsSession.pid, typed.forms));
    });
    const found = await emacsSession.at('written', () =>
      [key, passphrase].flatMap((typed) => typed.filesBelow(session.home).found),
    );
    const { status, stdout } = await emacsSession.ended;
    yield atMost(
      trial,
      'once',
      {
        key: [copies[0] ?? 0, COPIES.typedInEmacs],
        passphrase: [copies[1] ?? 0, COPIES.typedInEmacs],
      },
      [
        ...(status === 0 ? [] : [`Emacs ended with ${status}: ${stdout.slice(-500)}`]),
        ...found.map((file) => `in ${file}`),
      ],
    );
    const keys = readFileSync(join(emacsSession.directory, 'recent-keys'), 'utf8');
    yield {
      trial: `recent keys (C-h l), buffers and files of Emacs ${version} after that`,
      count: `${keys.length} keys`,
      seen: `in ${found.length}`,
      faults: found,
    };
  } finally {
    emacsSession.stop();
    await session.stop();
  }
}

/** The helper with an encrypted file: what `lock` leaves behind. */
async function* afterLock(tokens: number): AsyncGenerator<Row> {
  const trial = 'memory of the helper, after the encrypted file was locked';
  if (!(yield* needsMemory(trial))) return;
  const { session, env } = await startSession();
  const [key, passphrase] = [new Canary(), new Canary()];
  const helper = new Helper({ ...env, GLM_TOKEN_STORE: 'file' });
  try {
    await helper.request('unlock', { passphrase: passphrase.text });
    await helper.request('store', { key: `${ID}.${key.text}` });
    await helper.request('lock');
    await helper.request('unlock', { passphrase: passphrase.text });
    for (let token = 0; token < tokens; token += 1) await helper.request('token');
    const before = countInMemory(helper.pid, key.forms);
    await helper.request('lock');
    await delay(REST_MS);
    yield atMost(
      trial,
      `${tokens} tokens`,
      {
        key: [countInMemory(helper.pid, key.forms), COPIES.keyAfterLock],
        passphrase: [countInMemory(helper.pid, passphrase.forms), COPIES.passphraseAfterLock],
      },
      before === 0 ? ['the key was never there, so the search finds nothing'] : [],
    );
  } finally {
    await helper.stop();
    await session.stop();
  }
}

/** Every buffer that the passphrase is encoded into is zeroed by `lock`, or when it was wrong. */
async function zeroedBuffers(): Promise<Row> {
  const home = mkdtempSync(join(tmpdir(), 'glm-token-test-'));
  // Words of their own, since other trials encode texts meanwhile.
  const [first, second, wrong] = [new Canary().text, new Canary().text, new Canary().text];
  const passphrases = [first, second, wrong];
  const buffers: Uint8Array[] = [];
  const { encode } = TextEncoder.prototype;
  TextEncoder.prototype.encode = function (text) {
    const bytes = encode.call(this, text);
    if (text !== undefined && passphrases.includes(text)) buffers.push(bytes);
    return bytes;
  };
  const store = openFile(join(home, 'glm-token'));
  try {
    await store.unlock(first);
    await store.set({ host: 'localhost', profile: 'default' }, 'id.secret');
    await store.unlock(wrong).catch(() => {});
    await store.unlock(first);
    await store.changePassphrase(async () => second);
    await store.forget();
    await store.unlock(first).catch(() => {});
    await store.unlock(second);
    await store.forget();
  } finally {
    TextEncoder.prototype.encode = encode;
    rmSync(home, { recursive: true });
  }
  const left = buffers.filter((bytes) => bytes.some((byte) => byte !== 0)).length;
  return {
    trial: 'buffers that held a passphrase, after lock, change and error',
    count: `${buffers.length} buffers`,
    seen: `${left} not zeroed`,
    faults: [
      ...(buffers.length < 6 ? ['the buffers were not seen'] : []),
      ...(left > 0 ? [`${left} buffers still hold it`] : []),
    ],
  };
}

/** Arguments, and what is given on standard input. */
type Line = [args: string[], input?: string];

/** What every command writes, as it is used and as it is misused. */
async function inOutput(): Promise<Row> {
  const { session, env } = await startSession();
  const canary = new Canary();
  const key = `${ID}.${canary.text}`;
  const passphrase = new Canary();
  const file = join(session.home, 'passphrase');
  writeFileSync(file, passphrase.text, { mode: 0o600 });
  const sampler = new Sampler(passphrase);
  const faults: string[] = [];
  let count = 0;
  const first: Line[] = [
    [['store', '--force'], key],
    [['store', '--store', 'file', '--force'], key],
  ];
  const lines: Line[] = [
    ...['keychain', 'file'].map((store): Line => [['list', '--store', store]]),
    [['list', '--json']],
    [['print']],
    [['print', '--format=json']],
    [['print', '--format=header']],
    [['doctor', '--host', '127.0.0.1:1']],
    [['doctor', '--json', '--host', '127.0.0.1:1']],
    [['inspect'], key],
    [['inspect', key]],
    [['inspect', tokenWith({ api_key: key })]],
    [['inspect', '--json', tokenWith({ other: [`x ${key} y`], [key]: 1 })]],
    [['exec', '--', 'env']],
    [['exec', '--env', key, '--', 'env']],
    [['exec', '--', key]],
    [['store', key], ''],
    [['store', `${key}.more`], `${key}.more`],
    [['store'], `${key} ${key}`],
    [['store'], canary.text],
    ...['host', 'profile', 'ttl', 'format', 'store', canary.text].flatMap((option): Line[] => [
      [['print', `--${option}`, key]],
      [['print', `--${option}=${canary.text}`]],
    ]),
    [[key]],
    [['print', key]],
    [['help', key]],
  ];
  const last: Line[] = [
    [['passphrase'], `${passphrase.text}\n`],
    [['move', '--to', 'keychain', '--force']],
    [['delete'], 'y'],
    [['delete', '--force']],
  ];
  const variables = ['HOST', 'PROFILE', 'STORE', 'PROMPT_TIMEOUT'].map(
    (name) => `GLM_TOKEN_${name}`,
  );
  const setting = { GLM_TOKEN_PASSPHRASE_FILE: file };
  const check = async (args: string[], more: Env, input = '') => {
    count += 1;
    const { status, stdout, stderr } = await run(
      ['timeout', '30', process.execPath, PROGRAM, ...args],
      {
        env: { ...env, ...setting, ...more },
        input,
        onSpawn: ({ pid }) => sampler.watch(pid ?? 0),
      },
    );
    const name = args.join(' ').replaceAll(canary.text, 'SECRET');
    for (const secret of [canary, passphrase]) {
      if (secret.isIn(stdout)) faults.push(`standard output of ${name}`);
      if (secret.isIn(stderr)) faults.push(`standard error of ${name}`);
    }
    if (status === 1 || status === 124) faults.push(`status ${status} of ${name}`);
  };
  try {
    for (const [args, input] of first) await check(args, {}, input);
    await each(lines, 3, ([args, input]) => check(args, {}, input));
    await each(variables, 3, (name) => check(['print'], { [name]: key }));
    for (const [args, input] of last) await check(args, {}, input);
    for (const GLM_API_KEY of [key, canary.text, `${key} ${key}`]) {
      for (const args of [['print'], ['list'], ['doctor', '--host=127.0.0.1:1'], ['exec', 'env']]) {
        await check(args, { GLM_API_KEY, COPY: key, ALONE: canary.text });
      }
    }
  } finally {
    sampler.stop();
  }
  const { found } = canary.filesBelow(session.home);
  await session.stop();
  return {
    trial: 'output and files of every command, used and misused',
    count: `${count} command lines`,
    seen: `in ${faults.length + found.length}`,
    faults: [...faults, ...found, ...sampler.leaks],
  };
}

function tokenWith(claims: object): string {
  const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  return `${encode({ alg: 'HS256', sign_type: 'SIGN' })}.${encode(claims)}.c2ln`;
}
