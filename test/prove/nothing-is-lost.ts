/** No key is lost or torn, whatever happens to whoever writes. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  watch,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { seal, unseal } from '../../src/core/sealed-keys.ts';
import { BARE_ENV, type Env, PROGRAM } from '../support/environment.ts';
import { glmToken, type Outcome, run } from '../support/program.ts';
import { each, notTried, type Row, type Trial, type Trials } from './row.ts';

const PASSPHRASE = 'correct horse battery staple';
const passphrase = () => new TextEncoder().encode(PASSPHRASE);
const HOST = 'open.bigmodel.cn';
const KEPT = { [`kept@${HOST}`]: 'kept.secret', [`changed@${HOST}`]: 'before.secret' };

/** Few rounds, so that opening takes no time; the program writes with all of them. */
const ROUNDS = 1000;

/** Children side by side: one is often waiting for the disk or its lock. */
const LANES = 3;

export const nothingIsLost: Trials = {
  'killed writers': inDirectory(killedWriters),
  'simultaneous writers': inDirectory(simultaneousWriters),
  'order of system calls': inDirectory(orderOfCalls),
  'full disks': inDirectory(fullDisks),
  'other things in place of files': inDirectory(otherThings),
};

type Attempt = (
  top: string,
  template: string,
  isShort: boolean,
) => Promise<Row> | AsyncGenerator<Row>;

/** A trial in a directory of its own, with the text of an encrypted file that has {@link KEPT}. */
function inDirectory(attempt: Attempt): Trial {
  return async function* ({ isShort }) {
    const top = mkdtempSync(join(tmpdir(), 'glm-token-test-'));
    const template = await seal(new Map(Object.entries(KEPT)), passphrase(), ROUNDS);
    try {
      const rows = attempt(top, template, isShort);
      if (rows instanceof Promise) yield await rows;
      else yield* rows;
    } finally {
      rmSync(top, { recursive: true, force: true, maxRetries: 5 });
    }
  };
}

interface Home {
  readonly env: Env;
  /** The directory of the encrypted file. */
  readonly path: string;
  readonly file: string;
}

/** A home with an encrypted file that has {@link KEPT}, or with none. */
function makeHome(top: string, template?: string): Home {
  const home = mkdtempSync(join(top, 'home-'));
  const passphraseFile = join(home, 'passphrase');
  writeFileSync(passphraseFile, `${PASSPHRASE}\n`, { mode: 0o600 });
  const path = join(home, '.local/share/glm-token');
  const file = join(path, 'keys.jwe');
  mkdirSync(path, { recursive: true, mode: 0o700 });
  if (template !== undefined) writeFileSync(file, template, { mode: 0o600 });
  const env = {
    ...BARE_ENV,
    HOME: home,
    GLM_TOKEN_STORE: 'file',
    GLM_TOKEN_PASSPHRASE_FILE: passphraseFile,
  };
  return { env, path, file };
}

const keysIn = async (file: string): Promise<Record<string, string>> =>
  Object.fromEntries(await unseal(readFileSync(file, 'utf8'), passphrase(), file));

/** Half of the kills come at any time, half about when the new file takes the old one's place. */
async function killedWriters(top: string, template: string, isShort: boolean): Promise<Row> {
  const kills = isShort ? 16 : 300;
  const faults: string[] = [];
  const seen = { killed: 0, before: 0, after: 0, temporary: 0 };
  const killOne = async (number: number) => {
    const { env, path, file } = makeHome(top, template);
    const child = spawn(process.execPath, [PROGRAM, 'store', '--force', '--profile=changed'], {
      env,
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    const ended = once(child, 'exit');
    child.stdin.on('error', () => {});
    child.stdin.end('after.secret');
    const atRename = number % 2 === 0;
    const watcher = watch(path, (_event, name) => {
      if (!atRename || !name?.endsWith('.tmp')) return;
      watcher.close();
      const until = performance.now() + Math.random() * 8;
      while (performance.now() < until);
      child.kill('SIGKILL');
    });
    const timer = atRename
      ? undefined
      : setTimeout(() => child.kill('SIGKILL'), Math.random() * 500);
    const [status] = await ended;
    clearTimeout(timer);
    watcher.close();
    if (status === null) seen.killed += 1;
    if (readdirSync(path).some((name) => name.endsWith('.tmp'))) seen.temporary += 1;
    try {
      const { [`kept@${HOST}`]: kept, [`changed@${HOST}`]: changed, ...rest } = await keysIn(file);
      const isWhole = changed === 'before.secret' || changed === 'after.secret';
      if (kept !== 'kept.secret' || !isWhole || Object.keys(rest).length > 0) {
        faults.push(`other keys are there after kill ${number}`);
      }
      if (status === 0 && changed !== 'after.secret') faults.push('what was reported is not there');
      if (status === null) seen[changed === 'after.secret' ? 'after' : 'before'] += 1;
    } catch (error) {
      faults.push(`the file cannot be opened after kill ${number}: ${error}`);
    }
  };
  await each(Array.from({ length: kills }).keys(), LANES, killOne);
  // The next writer takes over what one of them left.
  const { env, path, file } = makeHome(top, template);
  mkdirSync(join(path, 'keys.jwe.lock'));
  writeFileSync(join(path, '.left.tmp'), 'half');
  const next = await glmToken(['store', '--profile=next'], { env, input: 'next.secret' });
  const isCured = next.status === 0 && (await keysIn(file))[`next@${HOST}`] === 'next.secret';
  if (!isCured || readdirSync(path).length > 1) faults.push(`the next writer: ${next.stderr}`);
  if (seen.killed < kills / 3) faults.push(`only ${seen.killed} were killed in time`);
  if (seen.after + seen.temporary === 0) faults.push('none was killed about its rename');
  return {
    trial: 'writers killed with -9 in the middle of a write',
    count: `${kills}, ${seen.killed} of them in time`,
    seen: `${seen.before} left the old file and ${seen.after} the new one, ${faults.length} a torn one`,
    faults,
  };
}

/** A writer that gives up says so, with status 5; what was reported as stored has to be there. */
async function simultaneousWriters(top: string, _: string, isShort: boolean): Promise<Row> {
  const [writers, keys] = isShort ? [3, 2] : [20, 5];
  const { env, path, file } = makeHome(top);
  const faults: string[] = [];
  const expected: Record<string, string> = {};
  let refused = 0;
  const write = async (profile: string): Promise<void> => {
    const { status, stderr } = await glmToken(['store', `--profile=${profile}`], {
      env,
      input: `${profile}.secret`,
    });
    if (status === 0) expected[`${profile}@${HOST}`] = `${profile}.secret`;
    else if (status === 5) refused += 1;
    else faults.push(`${profile}: ${status} ${stderr}`);
  };
  await Promise.all(
    Array.from({ length: writers }, async (_, writer) => {
      for (let key = 0; key < keys; key += 1) await write(`w${writer}k${key}`);
    }),
  );
  const found = await keysIn(file);
  const missing = Object.keys(expected).filter((name) => found[name] !== expected[name]);
  const stored = Object.keys(expected).length;
  faults.push(...missing.map((name) => `${name} is lost`));
  if (Object.keys(found).length !== stored) faults.push('keys are there that were refused');
  if (stored < (writers * keys) / 2) faults.push(`only ${stored} were stored`);
  if (readdirSync(path).length > 1) faults.push(`left behind: ${readdirSync(path)}`);
  return {
    trial: 'programs that write at the same time',
    count: `${writers} by ${keys}`,
    seen: `${missing.length} keys lost, ${refused} refused after two minutes of waiting`,
    faults,
  };
}

/**
 * The order in which nothing can be lost when the power fails: the file is written and synced, then
 * renamed, and then its directory is synced.
 */
async function orderOfCalls(top: string, template: string): Promise<Row> {
  const trial = 'system calls of store and delete';
  const faults: string[] = [];
  let calls = 0;
  for (const command of [
    'store --force --profile=changed',
    'delete --force --profile=changed',
    'last',
  ]) {
    const { env, path } = makeHome(top, template);
    const log = join(path, '../strace');
    const isLast = command === 'last';
    const args = isLast ? ['delete', '--force', '--profile=kept'] : command.split(' ');
    if (isLast) await glmToken(['delete', '--force', '--profile=changed'], { env });
    const names =
      'openat,open,write,pwrite64,fsync,fdatasync,rename,renameat,renameat2,unlink,unlinkat';
    const strace = ['strace', '-f', '-y', '-qq', '-o', log, '-e', `trace=${names}`];
    const { status, stderr } = await run([...strace, process.execPath, PROGRAM, ...args], {
      env,
      input: 'id.secret',
    }).catch((error) => ({ status: -1, stderr: String(error) }));
    if (!existsSync(log) || /ptrace|PTRACE/.test(stderr)) {
      return notTried(trial, 'system calls cannot be watched here');
    }
    if (status !== 0) faults.push(`${command}: ${stderr}`);
    const lines = readFileSync(log, 'utf8').split('\n');
    calls += lines.length;
    const directory = path.replaceAll('.', '\\.');
    const temporary = `${directory}/\\.[\\w-]+\\.tmp`;
    const steps = isLast
      ? [`unlink\\w*\\(.*"${directory}/keys\\.jwe"`, `fsync\\(\\d+<${directory}>\\)`]
      : [
          `open\\w*\\(.*"${temporary}".*O_CREAT\\|O_EXCL.*0600`,
          `write\\(\\d+<${temporary}>`,
          `f(data)?sync\\(\\d+<${temporary}>\\)`,
          `rename\\w*\\(.*"${temporary}".*"${directory}/keys\\.jwe"`,
          `fsync\\(\\d+<${directory}>\\)`,
        ];
    let at = 0;
    for (const step of steps) {
      const found = lines.findIndex((line, number) => number >= at && new RegExp(step).test(line));
      if (found < 0) {
        faults.push(`${command}: no ${step.split('\\')[0]} where it should be`);
        break;
      }
      at = found + 1;
    }
    const inPlace = new RegExp(`(write\\(\\d+<|O_(WRONLY|RDWR|TRUNC).*)${directory}/keys\\.jwe>`);
    if (lines.some((line) => inPlace.test(line))) faults.push(`${command}: written in place`);
  }
  return {
    trial,
    count: `${calls} calls`,
    seen: `write, fsync, rename, fsync of the directory: ${faults.length} out of order`,
    faults,
  };
}

/** Disks of our own that are full, have no inodes left, or are read-only. */
async function* fullDisks(top: string, template: string): AsyncGenerator<Row> {
  const disks = {
    'a disk that is full': ['size=64k', 'dd if=/dev/zero of="$DISK/fill" bs=1k 2>/dev/null'],
    'a disk without inodes': [
      'size=1m,nr_inodes=6',
      'touch "$DISK/1" "$DISK/2" "$DISK/3" "$DISK/4"',
    ],
    'a disk that is read-only': ['size=1m', 'mount -o remount,ro "$DISK"'],
  };
  for (const [trial, [options, fill]] of Object.entries(disks)) {
    const { env, file } = makeHome(top, template);
    const disk = mkdtempSync(join(top, 'disk-'));
    const script = `set -u
      mount -t tmpfs -o ${options} none "$DISK" || exit 99
      mkdir -m 700 "$DISK/glm-token" && cp -p "$FILE" "$DISK/glm-token/"
      { ${fill}; } 2>/dev/null
      printf after.secret | timeout 10 "$@" store --force --profile=changed >&2; echo "status $?"
      timeout 10 "$@" delete --force --profile=changed >&2; echo "status $?"
      cat "$DISK/glm-token/keys.jwe"`;
    const asRoot = process.getuid?.() === 0 ? [] : ['--map-root-user'];
    const { status, stdout, stderr } = await run(
      ['unshare', '--mount', ...asRoot, 'sh', '-c', script, 'sh', process.execPath, PROGRAM],
      { env: { ...env, XDG_DATA_HOME: disk, DISK: disk, FILE: file } },
    ).catch((error) => ({ status: 99, stdout: '', stderr: String(error) }));
    if (status === 99 || /^unshare: /m.test(stderr)) {
      yield notTried(trial, 'no disk can be mounted here');
      continue;
    }
    const [stored, deleted, ...kept] = stdout.split('\n');
    const faults = [];
    if (stored !== 'status 5' || deleted !== 'status 5')
      faults.push(`${stored}, ${deleted}: ${stderr}`);
    if (kept.join('\n') !== template) faults.push('the file is another one');
    if (/secret/.test(stderr)) faults.push('a key is in a message');
    yield { trial, count: '2 writes', seen: `${stored}; the file as it was`, faults };
  }
}

/** Other things in place of the file and its directory. */
async function otherThings(top: string, template: string, isShort: boolean): Promise<Row> {
  const isRoot = process.getuid?.() === 0;
  const NOBODY = 65534;
  interface Thing {
    readonly name: string;
    make(home: Home, outside: string): unknown;
    /** What each command may end with; 5 by default. */
    readonly status?: number;
    readonly asRoot?: boolean;
  }
  const replace = (home: Home, make: (file: string) => unknown) => {
    rmSync(home.file);
    return void make(home.file);
  };
  const things: Thing[] = [
    {
      name: 'a mode that lets others read the file',
      make: ({ file }) => chmodSync(file, 0o644),
      status: 0,
    },
    {
      name: 'a mode that lets others write the file',
      make: ({ file }) => chmodSync(file, 0o666),
      status: 0,
    },
    {
      name: 'a mode that lets others into the directory',
      make: ({ path }) => chmodSync(path, 0o777),
      status: 0,
    },
    {
      name: 'a link to another file',
      make: (home, outside) => replace(home, (file) => symlinkSync(outside, file)),
    },
    {
      name: 'a link to nothing',
      make: (home) => replace(home, (file) => symlinkSync('/nowhere/else', file)),
    },
    { name: 'a directory', make: (home) => replace(home, (file) => mkdirSync(file)) },
    {
      name: 'a link to a device',
      make: (home) => replace(home, (file) => symlinkSync('/dev/zero', file)),
    },
    {
      name: 'a FIFO',
      make: async ({ file }) => {
        rmSync(file);
        await run(['mkfifo', file]);
      },
    },
    {
      name: 'a socket',
      make: async ({ file }) => {
        rmSync(file);
        const bind = 'import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])';
        await run(['python3', '-c', bind, file]);
      },
    },
    {
      name: 'a device',
      asRoot: true,
      make: async ({ file }) => {
        rmSync(file);
        await run(['mknod', file, 'c', '1', '5']);
      },
    },
    {
      name: 'a file of another user',
      asRoot: true,
      make: ({ file }) => chownSync(file, NOBODY, NOBODY),
    },
    {
      name: 'a directory of another user',
      asRoot: true,
      make: ({ path }) => chownSync(path, NOBODY, NOBODY),
    },
    { name: 'an empty file', make: ({ file }) => writeFileSync(file, ''), status: 8 },
    {
      name: 'half of the file',
      make: ({ file }) => writeFileSync(file, template.slice(0, 300)),
      status: 8,
    },
    { name: 'a huge file', make: ({ file }) => writeFileSync(file, 'x'.repeat(1 << 24)) },
    {
      name: 'a file in place of the directory',
      make: ({ path }) => {
        rmSync(path, { recursive: true });
        writeFileSync(path, 'a file');
      },
    },
  ];
  const faults: string[] = [];
  let count = 0;
  const tryOne = async ({ name, make, status = 5, asRoot = false }: Thing) => {
    if (asRoot && !isRoot) return;
    for (const args of [
      ['print', '--profile=kept'],
      ['store', '--force', '--profile=changed'],
      ['delete', '--force', '--profile=changed'],
      ['list'],
    ].slice(0, isShort ? 2 : 4)) {
      count += 1;
      const home = makeHome(top, template);
      const outside = join(mkdtempSync(join(top, 'outside-')), 'file');
      writeFileSync(outside, 'of somebody', { mode: 0o644 });
      await make(home, outside);
      const before = isFile(home.file) ? readFileSync(home.file, 'utf8') : undefined;
      const outcome: Outcome = await run(['timeout', '20', process.execPath, PROGRAM, ...args], {
        env: home.env,
        input: 'after.secret',
      });
      const what = `${args[0]} with ${name}`;
      if (outcome.status !== status)
        faults.push(`${what}: status ${outcome.status}, ${outcome.stderr}`);
      if (/secret|unexpected/.test(outcome.stdout + outcome.stderr))
        faults.push(`${what}: ${outcome.stderr}`);
      const stats = statSync(outside);
      if (readFileSync(outside, 'utf8') !== 'of somebody' || (stats.mode & 0o777) !== 0o644) {
        faults.push(`${what} changed another file`);
      }
      if (status === 0) {
        const modes = [home.path, home.file].map((path) =>
          (statSync(path).mode & 0o777).toString(8),
        );
        if (modes.join() !== '700,600') faults.push(`${what} left modes ${modes}`);
      } else if (isFile(home.file) && readFileSync(home.file, 'utf8') !== before) {
        faults.push(`${what} changed the file`);
      }
    }
  };
  await each(things, LANES, tryOne);
  return {
    trial: `wrong owners and modes, links, FIFOs, devices in place of files${isRoot ? '' : ' (no owners and devices without root)'}`,
    count: `${count} commands`,
    seen: `${faults.length} that hung, crashed, or changed anything`,
    faults,
  };
}

function isFile(path: string): boolean {
  try {
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
