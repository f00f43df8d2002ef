/** A helper on a socket gives its clients tokens, and nothing else; nobody else reaches it. */

import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { accountName } from '../../src/core/account.ts';
import { shortenId } from '../../src/core/key.ts';
import { seal } from '../../src/core/sealed-keys.ts';
import { PROTOCOL } from '../../src/daemon/protocol.ts';
import { claimsOf } from '../support/claims.ts';
import { BARE_ENV, type Env } from '../support/environment.ts';
import { Helper, type Reply } from '../support/helper.ts';
import { KeychainSession } from '../support/keychain.ts';
import { glmToken, run } from '../support/program.ts';
import { SocketClient, SocketHelper } from '../support/socket-helper.ts';
import { HELPER_MB } from './bounds.ts';
import { Canary } from './canary.ts';
import { peakMemoryMb } from './processes.ts';
import { each, notTried, oneRow, type Row, type Trials } from './row.ts';

export const sharedHelper: Trials = {
  'socket, read-only': oneRow(readOnly),
  'socket with --accounts': oneRow(someAccounts),
  'socket and another user': oneRow(({ isShort }) => anotherUser(isShort ? 5 : 50)),
  'socket in an unsafe place': oneRow(unsafePlaces),
  'socket of another user': oneRow(socketOfAnotherUser),
  'socket with bad clients': oneRow(({ isShort }) => badClients(isShort)),
};

/* ---- What it serves */

/** An account with its key. */
export interface Stored {
  readonly host: string;
  readonly profile: string;
  readonly id: string;
  readonly secret: Canary;
}

/** Of letters alone, so that messages show it. */
const randomName = () =>
  Array.from(randomBytes(16), (byte) => String.fromCharCode(97 + (byte % 26))).join('');

export const stored = (host: string, profile = 'default'): Stored => ({
  host,
  profile,
  id: randomBytes(16).toString('hex'),
  secret: new Canary(),
});

export const keyOf = ({ id, secret }: Stored): string => `${id}.${secret.text}`;

/** Few rounds, so that opening takes no time. */
const ROUNDS = 1000;

/** A home whose encrypted file has some keys, and the environment of a helper that can open it. */
export async function homeWith(accounts: readonly Stored[], passphrase: Canary) {
  const home = mkdtempSync(join(tmpdir(), 'glm-token-test-'));
  const passphraseFile = join(home, 'passphrase');
  writeFileSync(passphraseFile, passphrase.text, { mode: 0o600 });
  const data = join(home, '.local/share/glm-token');
  mkdirSync(data, { recursive: true, mode: 0o700 });
  const keys = new Map(accounts.map((one) => [accountName(one), keyOf(one)]));
  const sealed = await seal(keys, new TextEncoder().encode(passphrase.text), ROUNDS);
  writeFileSync(join(data, 'keys.jwe'), sealed, { mode: 0o600 });
  const env: Env = {
    ...BARE_ENV,
    HOME: home,
    GLM_TOKEN_STORE: 'file',
    GLM_TOKEN_PASSPHRASE_FILE: passphraseFile,
    https_proxy: 'http://127.0.0.1:1', // So that `doctor` ends at once.
  };
  /** What is stored, as it stands there. */
  const content = () =>
    readdirSync(data).map((name) => [name, readFileSync(join(data, name), 'utf8')]);
  return { home, env, content: () => JSON.stringify(content()) };
}

export interface Overreach {
  readonly count: number;
  readonly tokens: number;
  readonly faults: readonly string[];
}

/**
 * A client that asks a helper on a socket for all that it must not give: other accounts, in every
 * spelling; to store and to delete; tokens that live long; the key.
 *
 * @param others accounts that are there and not served; when there are some, tokens are short-lived
 */
export async function overreach(
  path: string,
  served: readonly Stored[],
  others: readonly Stored[],
): Promise<Overreach> {
  const client = await SocketClient.connect(path);
  let said = '';
  client.socket.on('data', (chunk) => {
    said += chunk;
  });
  const faults: string[] = [];
  const fake = stored('unused');
  let count = 0;
  let tokens = 0;
  const ask = async (method: string, params: object = {}): Promise<Reply> => {
    count += 1;
    const reply = await client.request(method, params);
    const { result, error } = reply;
    const what = `${method} ${JSON.stringify(params).replaceAll(fake.secret.text, 'SECRET')}`;
    if (!result && !error) faults.push(`${what}: no answer`);
    if (result?.stored || result?.deleted) faults.push(`${what}: it was done`);
    if (result?.token !== undefined) {
      tokens += 1;
      const { api_key, exp, timestamp } = claimsOf(result.token);
      if (!served.some(({ id }) => id === api_key)) faults.push(`${what}: a token`);
      if (others.length > 0 && exp - timestamp > 3_600_000) faults.push(`${what}: for long`);
    }
    return reply;
  };

  // What it tells by itself.
  const wishes = { policy: { mayWrite: true }, accounts: others.map(accountName), all: true };
  for (const params of [{}, wishes]) {
    await ask('initialize', { protocol: PROTOCOL, locale: 'zh', ...params });
    await ask('initialize', { protocol: PROTOCOL, locale: 'en', ...params });
    const named = ['accounts', 'status', 'setup', 'verify', 'doctor', 'lock', 'unlock', 'token'];
    for (const method of named) {
      await ask(method, params);
    }
    await ask('explain', { ...params, code: '1113' });
    await ask('unlock', { ...params, passphrase: 'wrong' });
  }
  for (const { host, profile, id } of others) {
    const isKnown = served.some((one) => one.host === host);
    const names = [...(isKnown ? [] : [host]), ...(profile === 'default' ? [] : [profile])];
    for (const name of [...names, id, shortenId(id)]) {
      if (said.includes(name)) faults.push(`it names ${name}`);
    }
  }

  // Other accounts: as if they were not there.
  for (const other of others) {
    const isDefault = other.profile === 'default';
    const host = isDefault ? `${randomName()}.example` : other.host;
    const absent = { ...other, host, profile: isDefault ? 'default' : randomName() };
    const asOther = spellings(other, served);
    const asAbsent = spellings(absent, served);
    for (const [at, params] of asOther.entries()) {
      for (const method of ['token', 'doctor', 'delete', 'store']) {
        const key = { key: keyOf(fake), replace: true };
        const there = await ask(method, { ...params, ...key });
        const gone = await ask(method, { ...asAbsent[at], ...key });
        const [a, b] = [withoutName(there, other), withoutName(gone, absent)];
        if (a !== b) faults.push(`${method} of ${accountName(other)} tells that it is there: ${a}`);
      }
    }
  }

  // Writing.
  const names = ['Store', 'store ', 'STORE', 'set', 'move', 'passphrase', 'exec', 'command'];
  names.push('__proto__', 'constructor', 'toString', '$/setTrace', 'shutdown', 'exit', '');
  for (const account of [...served, ...others, stored('new.example')]) {
    const { host, profile } = account;
    const key = keyOf(fake);
    const command = ['echo', key];
    for (const more of [{ key }, { key, replace: true }, { key, store: 'keychain' }, { command }]) {
      await ask('store', { host, profile, ...more });
    }
    await ask('delete', { host, profile });
    await ask('delete', { host, profile, replace: true, store: 'file' });
    for (const name of names) {
      if ((await ask(name, { host, profile, key })).result) faults.push(`${name} has a result`);
    }
    // Without an id, and several in one message.
    const call = { jsonrpc: '2.0', method: 'store', params: { host, profile, key, replace: true } };
    const batch = JSON.stringify([
      { ...call, id: 1 },
      { ...call, method: 'delete' },
    ]);
    client.socket.write(Helper.frame(call) + Helper.frame({ ...call, method: 'delete' }));
    client.socket.write(`Content-Length: ${batch.length}\r\n\r\n${batch}`);
    count += 4;
  }

  // What it may give.
  for (const { host, profile } of served) {
    if (!(await ask('token', { host, profile })).result?.token) faults.push('no token');
    for (const ttl of ['61m', '2h', '365d', '3601s', '1e9s', ' 2h', '9'.repeat(400), '-1s']) {
      await ask('token', { host, profile, ttl });
    }
  }
  for (const one of [...served, ...others, fake]) {
    if (one.secret.isIn(said)) faults.push(`the secret of ${accountName(one)}`);
    if (one !== fake && !served.includes(one) && said.includes(one.id)) faults.push('a whole id');
  }
  client.close();
  return { count, tokens, faults };
}

/** An answer without the name that was asked about. */
function withoutName({ result, error }: Reply, { host, profile }: Stored): string {
  if (result?.token) return 'a token'; // Of an account that is served; see above.
  const text = JSON.stringify({ result, error }).toLowerCase();
  return text.replaceAll(profile, 'PROFILE').replaceAll(host, 'HOST');
}

/** Ways to name an account, straight and crooked. */
function spellings({ host, profile }: Stored, served: readonly Stored[]): object[] {
  const [mine] = served;
  return [
    { host, profile },
    { host: host.toUpperCase(), profile },
    { host: ` https://${host}:443/path`, profile: ` ${profile}\t` },
    { host: `${host}.`, profile },
    { host: mine?.host, profile: `${profile}@${host}` },
    { host: `${mine?.host}/${host}`, profile },
    { host: `${mine?.host}@${host}`, profile },
    { host: [mine?.host, host], profile },
    { host, profile, account: mine && accountName(mine), accounts: [mine] },
  ];
}

async function readOnly(): Promise<Row> {
  const accounts = [stored('open.bigmodel.cn'), stored('api.z.ai', 'work')];
  const { home, env, content } = await homeWith(accounts, new Canary());
  const path = join(home, 'run/agent.sock');
  const faults: string[] = [];
  const before = content();
  const helper = await SocketHelper.start(path, [], env);
  const { count, tokens, faults: found } = await overreach(path, accounts, []);
  faults.push(...found);
  await helper.stop();
  const after = content();
  if (after !== before) faults.push('what is stored has changed');
  const writer = await SocketHelper.start(path, ['--allow-write'], env);
  const client = await SocketClient.connect(path);
  const key = keyOf(stored('unused'));
  const { result } = await client.request('store', { profile: 'new', key });
  if (!result?.stored || content() === before) faults.push('with --allow-write nothing is stored');
  client.close();
  await writer.stop();
  rmSync(home, { recursive: true });
  return {
    trial: 'socket without --allow-write: keys stored and deleted in every way',
    count: `${count} requests`,
    seen: `${after === before ? 'nothing' : 'something'} changed; ${tokens} tokens`,
    faults,
  };
}

async function someAccounts(): Promise<Row> {
  const served = [stored('api.z.ai', 'work'), stored('open.bigmodel.cn', 'team')];
  const others = [
    stored('api.z.ai', randomName()),
    stored(`${randomName()}.example`),
    stored(`${randomName()}.example:8443`, randomName()),
  ];
  // Those of the environment, which wins over what is stored.
  const fromVariable = stored('open.bigmodel.cn', randomName());
  const { home, env, content } = await homeWith([...served, ...others], new Canary());
  const path = join(home, 'run/agent.sock');
  const before = content();
  const helper = await SocketHelper.start(path, [`--accounts=${served.map(accountName).join()}`], {
    ...env,
    GLM_API_KEY: keyOf(fromVariable),
    GLM_TOKEN_PROFILE: fromVariable.profile,
  });
  const hidden = [...others, fromVariable];
  const { count, tokens, faults: found } = await overreach(path, served, hidden);
  const faults = [...found];
  if (content() !== before) faults.push('what is stored has changed');
  // As the commands show it.
  const asked = { ...BARE_ENV, HOME: home, GLM_TOKEN_SOCKET: path };
  const lines = [['list'], ['list', '--json'], ['doctor', '--json'], ['print']];
  await each(lines, 2, async (args) => {
    const { stdout, stderr } = await glmToken(args, { env: asked });
    for (const { profile, id, secret } of hidden) {
      const names = [...(profile === 'default' ? [] : [profile]), id, shortenId(id)];
      if (names.some((name) => (stdout + stderr).includes(name)) || secret.isIn(stdout + stderr)) {
        faults.push(`${args.join(' ')} shows ${profile}: ${stdout}${stderr}`);
      }
    }
    if (args[0] === 'list' && !served.every(({ id }) => stdout.includes(shortenId(id)))) {
      faults.push(`${args.join(' ')} does not show the accounts that are served: ${stderr}`);
    }
  });
  await helper.stop();
  rmSync(home, { recursive: true });
  return {
    trial: 'socket with --accounts: 4 other accounts asked for, stored, deleted, guessed',
    count: `${count + lines.length} requests`,
    seen: `${tokens} tokens for the 2 accounts; ${faults.length} answers too many`,
    faults,
  };
}

/* ---- Who reaches it */

const NOBODY = 65_534;
const AS_NOBODY = ['setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups'];

/** Why nothing can be tried as another user; `undefined` when it can. */
async function noOtherUser(): Promise<string | undefined> {
  if (process.getuid?.() !== 0) return 'without root there is no second user';
  const { status, stderr } = await run([...AS_NOBODY, 'true']);
  return status === 0 ? undefined : `nothing can be run as another user: ${stderr.slice(0, 80)}`;
}

/** What somebody else tries with a socket, again and again, until a file is there. */
const INTRUDER = `
import json, os, socket, sys, time
path = sys.argv[1]
got, tried, seen = {}, 0, 0
def connect():
    with socket.socket(socket.AF_UNIX) as client: client.connect(path)
def bind():
    with socket.socket(socket.AF_UNIX) as server: server.bind(path)
acts = {
    "connect": connect, "bind": bind,
    "remove": lambda: os.remove(path), "rename": lambda: os.rename(path, path + "x"),
    "link": lambda: os.symlink("/dev/null", path), "chmod": lambda: os.chmod(path, 0o777),
    "lock": lambda: os.mkdir(path + ".lock"),
}
while not os.path.exists(sys.argv[2]):
    time.sleep(0.001)
    seen += os.path.exists(path)
    for name, act in acts.items():
        tried += 1
        try: act()
        except OSError: continue
        got[name] = got.get(name, 0) + 1
print(json.dumps({"tried": tried, "seen": seen, "got": got}))
`;

async function anotherUser(starts: number): Promise<Row> {
  const trial = 'socket: another user connects, replaces it, races its start';
  const why = await noOtherUser();
  if (why) return notTried(trial, why);
  const account = stored('open.bigmodel.cn');
  const { home, env } = await homeWith([account], new Canary());
  chmodSync(home, 0o755);
  const directory = join(home, 'run');
  mkdirSync(directory);
  chmodSync(directory, 0o755); // Others may look into it, and not write: it is not refused.
  const path = join(directory, 'agent.sock');
  const faults: string[] = [];
  const end = join(home, 'end');
  const python = ['/usr/bin/env', 'python3', '-c', INTRUDER, path, end];
  const intruder = run([...AS_NOBODY, ...python], { cwd: '/' });
  for (let start = 0; start < starts; start += 1) {
    // As careless as can be, which must change nothing.
    const helper = await SocketHelper.start(path, [], env, ['sh', '-c', 'umask 0; exec "$0" "$@"']);
    const client = await SocketClient.connect(path);
    if (!(await client.request('token')).result) faults.push(`no token: ${helper.stderr}`);
    client.close();
    await delay(100);
    await helper.stop();
  }
  writeFileSync(end, '');
  const { status, stdout, stderr } = await intruder;
  if (status !== 0) faults.push(stderr);
  const { tried, seen, got } = JSON.parse(stdout || '{"got":{}}');
  if (!(seen > 0)) faults.push('the other user never saw the socket');
  faults.push(...Object.entries(got).map(([name, times]) => `${name}: ${times} times`));
  rmSync(home, { recursive: true });
  return {
    trial,
    count: `${starts} starts, ${tried} attempts`,
    seen: `${Object.keys(got).length === 0 ? 0 : JSON.stringify(got)} let in`,
    faults,
  };
}

/** Directories that are not safe, and other things where the socket is to be. */
async function unsafePlaces(): Promise<Row> {
  const isRoot = process.getuid?.() === 0;
  const { home, env } = await homeWith([stored('open.bigmodel.cn')], new Canary());
  const victim = join(home, 'victim');
  writeFileSync(victim, 'precious');
  const live = await SocketHelper.start(join(home, 'run/live.sock'), [], env);
  const places: Record<string, (directory: string, path: string) => unknown> = {
    'another file': (_, path) => writeFileSync(path, 'precious'),
    'a directory': (_, path) => mkdirSync(path),
    'a link to a file': (_, path) => symlinkSync(victim, path),
    'a link to nothing': (_, path) => symlinkSync(join(home, 'nothing'), path),
    'a link to the socket of a helper': (_, path) => symlinkSync(live.path, path),
    'a FIFO': (_, path) => run(['mkfifo', path]),
  };
  for (const mode of ['0770', '0707', '0777', '1777', '0720', '0702', '2770']) {
    places[`a directory of mode ${mode}`] = (directory) =>
      chmodSync(directory, Number.parseInt(mode, 8));
  }
  if (isRoot) places["somebody else's directory"] = (directory) => chownSync(directory, NOBODY, -1);
  const faults: string[] = [];
  await each(Object.entries(places), 2, async ([name, make]) => {
    const directory = mkdtempSync(join(home, 'place-'));
    const path = join(directory, 'agent.sock');
    await make(directory, path);
    const before = describe(directory);
    const helper = await SocketHelper.start(path, [], env);
    if (helper.child.exitCode !== 9) faults.push(`${name}: it is served at: ${helper.stderr}`);
    if (helper.child.exitCode === null) await helper.stop();
    if (describe(directory) !== before) faults.push(`${name}: ${before} is ${describe(directory)}`);
  });
  const client = await SocketClient.connect(live.path);
  if (!(await client.request('token')).result) faults.push('the other helper gives no token');
  client.close();
  await live.stop();
  if (readFileSync(victim, 'utf8') !== 'precious') faults.push('another file has changed');
  if (existsSync(join(home, 'nothing'))) faults.push('a link was followed');
  rmSync(home, { recursive: true });
  return {
    trial: `socket in a directory that others may write to, or in place of something else${isRoot ? '' : ' (no other owner without root)'}`,
    count: `${Object.keys(places).length} places`,
    seen: `${faults.length} used or changed`,
    faults,
  };
}

/** A directory with what is in it. */
function describe(directory: string): string {
  const names = readdirSync(directory).map((name) => {
    const path = join(directory, name);
    const { mode, ino } = lstatSync(path);
    return [name, mode, ino, lstatSync(path).isSymbolicLink() && readlinkSync(path)];
  });
  return JSON.stringify([lstatSync(directory).mode, names]);
}

/** A client asks no socket that somebody else has made. */
async function socketOfAnotherUser(): Promise<Row> {
  const trial = 'a client, and a socket that another user has made';
  const why = await noOtherUser();
  if (why) return notTried(trial, why);
  const { home, env } = await homeWith([stored('open.bigmodel.cn')], new Canary());
  const path = join(home, 'agent.sock');
  let bytes = 0;
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', (chunk) => {
      bytes += chunk.length;
      socket.destroy();
    });
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  const faults: string[] = [];
  const asked = { ...env, GLM_TOKEN_SOCKET: path };
  const commands = [['print'], ['exec', 'true'], ['list'], ['doctor']];
  await glmToken(['print'], { env: asked });
  if (bytes === 0) faults.push('a socket of its own is asked nothing either');
  bytes = 0;
  chownSync(path, NOBODY, NOBODY);
  chmodSync(path, 0o666);
  await each(commands, 2, async (args) => {
    const { status, stderr } = await glmToken(args, { env: asked });
    if (status !== 9) faults.push(`${args[0]}: status ${status}: ${stderr}`);
  });
  if (bytes > 0) faults.push(`${bytes} bytes were sent`);
  await new Promise((resolve) => server.close(resolve));
  rmSync(home, { recursive: true });
  return { trial, count: `${commands.length} commands`, seen: `${bytes} bytes sent`, faults };
}

/* ---- Clients that mean harm */

/** The helper gives a client ten seconds; the rest is room for a busy machine. */
const CUT_OFF_WITHIN_MS = 30_000;

/** A client that behaves gives up after ten seconds. */
const OTHERS_WAIT_MS = 10_000;

/** The helper keeps 256 clients; the rest is room for those that it is about to end. */
const MAX_OPEN = 280;

/** Descriptors that a process has open, which connections are too. */
const descriptorsOf = (pid: number): number => readdirSync(`/proc/${pid}/fd`).length;

async function badClients(isShort: boolean): Promise<Row> {
  const session = await KeychainSession.start();
  const key = `${randomBytes(16).toString('hex')}.verysecretsecret`;
  await glmToken(['store'], { env: session.env, input: key });
  const path = join(session.home, 'agent/agent.sock');
  const helper = await SocketHelper.start(path, [], session.env);
  const faults: string[] = [];
  const good = await SocketClient.connect(path);
  await good.request('token');
  const descriptors = descriptorsOf(helper.pid);
  const times = isShort ? 1 : 5;
  const [request, end] = Helper.frame({ id: 1, method: 'status' }).split('"id":1') as [
    string,
    string,
  ];
  const body = (id: number) => `${request.slice(request.indexOf('{'))}"id":${id}${end}`;
  const manyIds = Array.from({ length: 20_000 }, (_, id) => body(id))
    .map((text) => `Content-Length: ${text.length}\r\n\r\n${text}`)
    .join('');
  const oneId = Helper.frame({ id: 1, method: 'token', params: { x: 'x'.repeat(400) } });
  const notification = Helper.frame({ method: 'token', params: { x: 'x'.repeat(900) } });

  /** Those that the helper has to cut off. */
  const cutOff: Record<string, (client: SocketClient) => void> = {
    'half a header': ({ socket }) => socket.write('Content-Len'),
    'half a message': ({ socket }) => socket.write(oneId.slice(0, 100)),
    'a byte now and then': ({ socket }) => {
      socket.write('Content-Length: 1000\r\n\r\n');
      const timer = setInterval(() => socket.write('x'), 300);
      socket.once('close', () => clearInterval(timer));
    },
    noise: ({ socket }) => socket.write(randomBytes(100_000)),
    'a length beyond all limits': ({ socket }) => socket.write('Content-Length: 99999999\r\n\r\n'),
    'a flood that is never read': ({ socket }) => {
      socket.pause();
      const text = Buffer.from(manyIds.repeat(5));
      for (let n = 0; n < 20; n += 1) socket.write(text);
      // It learns by writing that it was cut off.
      const timer = setInterval(() => socket.write('x'), 50);
      socket.once('close', () => clearInterval(timer));
    },
  };
  /** Those that end by themselves. */
  const others: Record<string, (client: SocketClient) => Promise<unknown>> = {
    'a flood that is read': (client) =>
      Promise.all(Array.from({ length: isShort ? 5000 : 10_000 }, () => client.request('token'))),
    'notifications without end': async ({ socket }) => {
      const text = Buffer.from(notification.repeat(10_000));
      for (let n = 0; n < 5 && !socket.destroyed; n += 1) {
        await new Promise((resume) => socket.write(text, resume));
      }
    },
    'many that connect and say nothing': async () => {
      // With those below, no more than the system lets wait for the helper to take them.
      const idle = await Promise.all(Array.from({ length: 300 }, () => SocketClient.connect(path)));
      // Until no more of them are taken.
      for (let grewAt = Date.now(); Date.now() < grewAt + 2000; await delay(50)) {
        const open = descriptorsOf(helper.pid) - descriptors;
        if (open > mostOpen) grewAt = Date.now();
        mostOpen = Math.max(mostOpen, open);
      }
      for (const client of idle) client.close();
    },
    'many that ask and go away': async () => {
      for (let n = 0; n < 100; n += 1) {
        const client = await SocketClient.connect(path);
        client.socket.write(oneId);
        client.close();
      }
    },
  };

  let asked = 0;
  let mostOpen = 0;
  let slowestMs = 0;
  let isOver = false;
  const behave = async () => {
    while (!isOver) {
      const startedAt = performance.now();
      if (!(await good.request('token')).result) faults.push('another client gets no token');
      slowestMs = Math.max(slowestMs, performance.now() - startedAt);
      asked += 1;
      await delay(10);
    }
  };
  const behaved = behave();
  let bad = 0;
  let latestMs = 0;
  const meet = async (name: string, act: (client: SocketClient) => unknown, isCutOff: boolean) => {
    bad += 1;
    const client = await SocketClient.connect(path);
    const startedAt = performance.now();
    const closed = new Promise((resolve) => client.socket.once('close', resolve));
    await act(client);
    if (isCutOff) {
      await Promise.race([closed, delay(CUT_OFF_WITHIN_MS, undefined, { ref: false })]);
      if (!client.socket.closed) faults.push(`${name}: not cut off`);
      latestMs = Math.max(latestMs, performance.now() - startedAt);
    }
    client.close();
  };
  for (let time = 0; time < times; time += 1) {
    await Promise.all([
      ...Object.entries(cutOff).map(([name, act]) => meet(name, act, true)),
      ...Object.entries(others).map(([name, act]) => meet(name, act, false)),
    ]);
  }
  isOver = true;
  await behaved;
  if (slowestMs > OTHERS_WAIT_MS) faults.push(`another client waited ${slowestMs} ms`);
  await delay(200);
  const left = descriptorsOf(helper.pid) - descriptors;
  if (left > 0) faults.push(`${left} descriptors are left open`);
  if (mostOpen < 200 || mostOpen > MAX_OPEN) faults.push(`${mostOpen} clients at once`);

  // While the keychain does not answer, nothing else holds back a client that uses one id.
  session.signal('SIGSTOP');
  const client = await SocketClient.connect(path);
  const text = Buffer.from(oneId.repeat(10_000));
  for (let n = 0; n < 30; n += 1) client.socket.write(text);
  await delay(3000);
  session.signal('SIGCONT');
  bad += 1;
  client.close();
  if (!(await good.request('token')).result) faults.push('no token afterwards');
  const mb = peakMemoryMb(helper.pid);
  if (!(mb <= HELPER_MB)) faults.push(`${mb} MB`);
  good.close();
  await helper.stop();
  await session.stop();
  return {
    trial: 'socket: half frames, noise, floods, many connections, clients that never read',
    count: `${bad} bad clients beside one that asked ${asked} times`,
    seen: `cut off after ${Math.round(latestMs / 1000)} s; others waited ${Math.round(slowestMs)} ms at most; ${mb} MB (limit ${HELPER_MB})`,
    faults,
  };
}
