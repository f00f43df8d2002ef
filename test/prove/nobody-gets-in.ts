/** Nobody else gets at the keys: not another user, not a server, not a proxy. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { makeCertificate } from '../support/certificate.ts';
import { BARE_ENV, type Env, PROGRAM } from '../support/environment.ts';
import { Helper } from '../support/helper.ts';
import { glmToken, run } from '../support/program.ts';
import { Canary } from './canary.ts';
import { MANNERS, type Manner, PROXY_MANNERS, startHostile } from './hostile.ts';
import { descendants, peakMemoryMb, stateOf } from './processes.ts';
import { each, notTried, oneRow, type Row, type Trials } from './row.ts';

const ID = '0123456789abcdef0123456789abcdef';

/** The limit of `doctor` for one exchange, and room for a slow machine, in milliseconds. */
const DOCTOR_WITHIN_MS = 25_000;
const DOCTOR_WITHIN_MB = 150;

export const nobodyGetsIn: Trials = {
  // One after the other: another user looks for the port that the inspector opens.
  'other users and the inspector': async function* ({ isShort }) {
    yield await anotherUser();
    yield await theInspector(isShort ? 8 : 60);
    yield await theInspectorWhileStoring(isShort ? 6 : 30);
  },
  'hostile servers and proxies': oneRow(({ isShort }) => hostilePeers(isShort)),
  'untrusted certificates': oneRow(impostors),
};

interface Home {
  readonly home: string;
  readonly env: Env;
  readonly key: Canary;
  readonly passphrase: Canary;
}

function makeHome(): Home {
  const home = mkdtempSync(join(tmpdir(), 'glm-token-test-'));
  const [key, passphrase] = [new Canary(), new Canary()];
  const file = join(home, 'passphrase');
  writeFileSync(file, passphrase.text, { mode: 0o600 });
  const env = { ...BARE_ENV, HOME: home, GLM_TOKEN_STORE: 'file', GLM_TOKEN_PASSPHRASE_FILE: file };
  return { home, env, key, passphrase };
}

/** What somebody who may run anything as another user tries, in Python. */
const INTRUDER = `
import ctypes, json, os, signal, socket, sys
pid, data, home = int(sys.argv[1]), sys.argv[2], sys.argv[3]
got, tried = {}, 0
def attempt(name, act):
    global tried
    tried += 1
    try:
        result = act()
        if result is not None: got[name] = str(result)[:200]
    except OSError: pass
def read(path):
    with open(path, "rb", buffering=0) as file: return file.read(64)
def write(path):
    with open(path, "ab"): return "opened"
for name in ["keys.jwe", "."]:
    path = os.path.join(data, name)
    attempt("stat " + name, lambda: os.stat(path))
    attempt("read " + name, lambda: read(path))
    attempt("list " + name, lambda: os.listdir(path))
    attempt("write " + name, lambda: write(path))
    attempt("remove " + name, lambda: os.remove(path) or "removed")
    attempt("rename " + name, lambda: os.rename(path, path + "x") or "renamed")
    attempt("chmod " + name, lambda: os.chmod(path, 0o777) or "changed")
attempt("make a file", lambda: write(os.path.join(data, "new")))
attempt("the passphrase", lambda: read(os.path.join(home, "passphrase")))
for name in ["mem", "environ", "maps", "fd/0", "cwd", "root", "stack", "auxv", "task/%d/mem" % pid]:
    attempt(name, lambda: read("/proc/%d/%s" % (pid, name)))
attempt("descriptors", lambda: os.listdir("/proc/%d/fd" % pid))
for name in ["SIGUSR1", "SIGSTOP", "SIGTERM", "SIGKILL"]:
    attempt(name, lambda: os.kill(pid, getattr(signal, name)) or "sent")
libc = ctypes.CDLL(None, use_errno=True)
def trace():
    if libc.ptrace(16, pid, 0, 0) == 0: return "attached"
attempt("ptrace", trace)
def inspector():
    with socket.create_connection(("127.0.0.1", 9229), 1): return "connected"
attempt("inspector", inspector)
def agent():
    with socket.socket(socket.AF_UNIX) as client: return client.connect(sys.argv[4]) or "connected"
attempt("agent", agent)
print(json.dumps({"tried": tried, "got": got}))
`;

async function anotherUser(): Promise<Row> {
  const trial =
    'another user: encrypted file, directory, memory, signals, ptrace, inspector, socket';
  if (process.getuid?.() !== 0) return notTried(trial, 'without root there is no second user');
  const { home, env, key } = makeHome();
  // Others may pass through the home itself: the directory of ours has to keep them out.
  chmodSync(home, 0o755);
  const data = join(home, '.local/share/glm-token');
  // As careless as can be, which must change nothing.
  const umask = ['sh', '-c', 'umask 0 && exec "$@"', 'sh'];
  const stored = await run([...umask, process.execPath, PROGRAM, 'store'], {
    env,
    input: `${ID}.${key.text}`,
  });
  const helper = new Helper(env);
  const socket = join(home, 'run/glm-token/agent.sock');
  mkdirSync(join(home, 'run'), { mode: 0o755 });
  const agent = spawn(process.execPath, [PROGRAM, 'daemon', '--socket'], {
    env: { ...env, XDG_RUNTIME_DIR: join(home, 'run') },
    stdio: 'ignore',
  });
  const agentEnded = once(agent, 'exit');
  try {
    for (let tries = 0; tries < 200 && !existsSync(socket); tries += 1) await delay(50);
    const { result } = await helper.request('token');
    const asNobody = [
      'setpriv',
      '--reuid=65534',
      '--regid=65534',
      '--clear-groups',
      '--no-new-privs',
    ];
    // Files of this checkout need not be open to others, so the program comes as text.
    const { status, stdout, stderr } = await run(
      [
        ...asNobody,
        '/usr/bin/env',
        'python3',
        '-c',
        INTRUDER,
        String(helper.pid),
        data,
        home,
        socket,
      ],
      { env: BARE_ENV, cwd: '/' },
    ).catch((error) => ({ status: -1, stdout: '', stderr: String(error) }));
    if (status !== 0)
      return notTried(trial, `nothing can be run as another user: ${stderr.slice(0, 80)}`);
    const { tried, got } = JSON.parse(stdout) as { tried: number; got: Record<string, string> };
    const modes = [data, join(data, 'keys.jwe')].map((path) =>
      (statSync(path).mode & 0o777).toString(8),
    );
    const answers = (await helper.request('token')).result !== undefined;
    return {
      trial,
      count: `${tried} attempts`,
      seen: `${Object.keys(got).length} let in; modes ${modes.join(' and ')}`,
      faults: [
        ...Object.entries(got).map(([name, what]) => `${name}: ${what}`),
        ...(modes.join() === '700,600' ? [] : [`modes ${modes}`]),
        ...(stored.status === 0 && result && answers ? [] : [`the owner: ${stored.stderr}`]),
        ...(existsSync(socket) ? [] : ['there was no socket']),
      ],
    };
  } finally {
    await helper.stop();
    agent.kill();
    await agentEnded;
    rmSync(home, { recursive: true });
  }
}

/** Also when the port is taken, by another program that was made to open it. */
const OPENED = /Debugger listening|Starting inspector/;

/** Starts the program, sends it SIGUSR1 some time later, and sees whether it opens its port. */
async function signalAfter(
  args: readonly string[],
  env: Env,
  afterMs: number,
  input?: string,
): Promise<boolean> {
  const child = spawn(process.execPath, [PROGRAM, ...args], { env, stdio: 'pipe' });
  const ended = once(child, 'exit');
  let said = '';
  child.stderr.on('data', (chunk) => {
    said += chunk;
  });
  child.stdin.on('error', () => {});
  if (input !== undefined) {
    await untilIdle(child.pid ?? 0);
    child.stdin.end(input);
  }
  await delay(afterMs);
  child.kill('SIGUSR1');
  await delay(150);
  child.stdin.end();
  const timer = setTimeout(() => child.kill('SIGKILL'), 60_000);
  await ended;
  clearTimeout(timer);
  return OPENED.test(said);
}

/**
 * The helper takes the signal for itself before it answers. What comes before that, while Node itself
 * starts, is measured.
 */
async function theInspector(times: number): Promise<Row> {
  const { home, env } = makeHome();
  let last = 0;
  let faults = 0;
  for (let time = 0; time < times; time += 1) {
    const afterMs = (time * 160) / times;
    if (await signalAfter(['daemon', '--stdio'], env, afterMs)) last = afterMs;
    const helper = new Helper(env);
    await helper.request('status');
    await delay(afterMs);
    process.kill(helper.pid, 'SIGUSR1');
    await delay(100);
    await helper.stop(); // Unless that has ended it.
    if (OPENED.test(helper.stderr)) faults += 1;
  }
  rmSync(home, { recursive: true });
  return {
    trial: 'SIGUSR1, which opens the inspector of Node, while the helper serves',
    count: `${times} times`,
    seen: `${faults} opened it; sent while Node starts, it opened until ${Math.round(last)} ms after the start`,
    faults: faults > 0 ? [`${faults} opened the inspector`] : [],
  };
}

/** Waits until a process has started and does nothing but wait. */
async function untilIdle(pid: number): Promise<void> {
  await delay(500);
  for (let idle = 0; idle < 10; ) {
    idle = stateOf(pid) === 'R' ? 0 : idle + 1;
    await delay(30);
  }
}

async function theInspectorWhileStoring(times: number): Promise<Row> {
  const { home, env, key } = makeHome();
  const faults: string[] = [];
  await each(Array.from({ length: times }).keys(), 3, async (time) => {
    const afterMs = (time * 400) / times;
    const args = ['store', '--force', `--profile=p${time}`];
    if (await signalAfter(args, env, afterMs, `${ID}.${key.text}`)) {
      faults.push(`it opened ${Math.round(afterMs)} ms after the key was given`);
    }
  });
  const { stdout } = await glmToken(['list', '--json'], { env });
  const stored = JSON.parse(stdout).accounts.length;
  const opened = faults.length;
  if (stored !== times) faults.push(`only ${stored} of ${times} keys were stored`);
  rmSync(home, { recursive: true });
  return {
    trial: 'SIGUSR1 while a key is given and stored',
    count: `${times} times`,
    seen: `${opened} opened the inspector`,
    faults,
  };
}

interface Peer {
  readonly name: string;
  readonly kind: 'server' | 'http' | 'https' | 'socks5';
  readonly manner: Manner;
}

async function hostilePeers(isShort: boolean): Promise<Row> {
  const certificate = await makeCertificate();
  const { home, env, key } = makeHome();
  const entries = (kind: Peer['kind'], manners: Readonly<Record<string, Manner>>): Peer[] =>
    Object.entries(manners).map(([name, manner]) => ({ name, kind, manner }));
  const kinds = ['server', 'http', 'https', 'socks5'] as const;
  const peers = [
    // In the short form each does its harm in one place, not in all four.
    ...kinds.flatMap((kind, turn) =>
      entries(kind, MANNERS).filter((_, at) => !isShort || at % kinds.length === turn),
    ),
    ...entries('http', PROXY_MANNERS.http),
    ...entries('socks5', PROXY_MANNERS.socks5),
  ];
  const faults: string[] = [];
  let slowestMs = 0;
  let largestMb = 0;
  const meet = async ({ name, kind, manner }: Peer) => {
    const isTls = kind === 'server' || kind === 'https';
    const hostile = await startHostile(manner, isTls ? certificate : undefined);
    const address = `127.0.0.1:${hostile.port}`;
    const host = kind === 'server' ? address : 'open.bigmodel.cn';
    const proxy: Env = kind === 'server' ? {} : { https_proxy: `${kind}://${address}` };
    const what = `${kind} that ${name}`;
    const startedAt = Date.now();
    let pid = 0;
    const timer = setInterval(() => {
      const mb = peakMemoryMb(pid);
      if (mb > largestMb) largestMb = mb;
      if (mb > DOCTOR_WITHIN_MB) faults.push(`${what}: ${mb} MB`);
    }, 100);
    const { status, stdout, stderr } = await run(
      ['timeout', '60', process.execPath, PROGRAM, 'doctor', '--live', '--json', '--host', host],
      {
        env: {
          ...env,
          ...proxy,
          NODE_EXTRA_CA_CERTS: certificate.file,
          GLM_API_KEY: `${ID}.${key.text}`,
          GLM_TOKEN_HOST: host,
        },
        onSpawn: (child) => {
          void delay(300).then(() => {
            pid = descendants(child.pid ?? 0)[0] ?? 0;
          });
        },
      },
    );
    clearInterval(timer);
    const ms = Date.now() - startedAt;
    slowestMs = Math.max(slowestMs, ms);
    // One exchange for the clock, and with an answer one more for the token.
    if (ms > 2 * DOCTOR_WITHIN_MS) faults.push(`${what}: ${ms} ms`);
    if (status !== 10 && status !== 0) faults.push(`${what}: status ${status}: ${stderr}`);
    try {
      const { findings } = JSON.parse(stdout) as { findings: { check: string }[] };
      for (const check of ['host']) {
        if (!findings.some((finding) => finding.check === check))
          faults.push(`${what}: no ${check}`);
      }
      const answers = findings.some(({ check }) => check === 'clock');
      if (answers && !findings.some(({ check }) => check === 'live'))
        faults.push(`${what}: no verdict`);
    } catch {
      faults.push(`${what}: no findings: ${stdout}${stderr}`);
    }
    // biome-ignore lint/suspicious/noControlCharactersInRegex: what must not come through.
    if (/[\0-\x09\x0b-\x1f\x7f\u202e]/.test(stdout + stderr))
      faults.push(`${what}: control characters`);
    for (const text of [stdout, stderr, hostile.received()]) {
      if (key.isIn(text)) faults.push(`${what}: the key`);
    }
    if (kind !== 'server' && /Bearer/.test(hostile.received())) faults.push(`${what}: a token`);
    await hostile.stop();
  };
  // They mostly wait, and so side by side.
  await each(peers, 12, meet);
  certificate.remove();
  rmSync(home, { recursive: true });
  return {
    trial:
      'servers and proxies (HTTP, HTTPS, SOCKS 5) that are silent, endless, or talk nonsense, and doctor --live',
    count: `${peers.length} peers`,
    seen: `at most ${Math.round(slowestMs / 1000)} s and ${largestMb} MB; each a verdict`,
    faults,
  };
}

/** A token goes to nobody whose certificate is not trusted. */
async function impostors(): Promise<Row> {
  const certificates = [await makeCertificate(), await makeCertificate({ expired: true })];
  const { home, env, key } = makeHome();
  const faults: string[] = [];
  for (const certificate of certificates) {
    const server = await startHostile(
      (socket) => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'),
      certificate,
    );
    for (const host of [`127.0.0.1:${server.port}`, `localhost:${server.port}`]) {
      const { status, stdout } = await glmToken(['doctor', '--live', '--host', host], {
        env: { ...env, GLM_API_KEY: `${ID}.${key.text}`, GLM_TOKEN_HOST: host },
      });
      if (status !== 10) faults.push(`status ${status}: ${stdout}`);
    }
    if (server.received().length > 0) faults.push(`it got ${server.received().slice(0, 100)}`);
    await server.stop();
    certificate.remove();
  }
  rmSync(home, { recursive: true });
  return {
    trial: 'servers whose certificate is not trusted, or expired',
    count: `${certificates.length} by 2 names`,
    seen: `${faults.length} got a request`,
    faults,
  };
}
