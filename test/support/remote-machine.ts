/**
 * A remote machine with a real sshd: a user, a network, and /home, /tmp and /run of its own, in
 * namespaces, so that nothing of the system is changed. It needs root.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chownSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { BARE_ENV, found, ROOT } from './environment.ts';
import type { Seen } from './glm-server.ts';
import { type Outcome, type RunOptions, run } from './program.ts';
import { end, startOrStop, until } from './session-bus.ts';

const USER = 'glm-remote';
const UID = 64_321;
const PORT = 2222;

/** Node, for the remote user. */
export const REMOTE_NODE = '/run/etc/node';

/** Where the remote user's home is for that user; it is empty but for what tests put there. */
export const REMOTE_HOME = `/home/${USER}`;

/**
 * Mounts over what belongs to this machine, and becomes sshd. It is given the directory of ours and
 * node, which may be in a directory that is hidden then.
 */
const BOOT = `set -e
ip link set lo up
for file in passwd group shadow; do mount --bind "$0/etc/$file" "/etc/$file"; done
touch "$0/etc/node"
mount --bind "$1" "$0/etc/node"
if [ -d "$0/etc/openssh" ]; then mount --bind "$0/etc/openssh" /usr/lib/openssh; fi
mkdir -p "$0/run/sshd" "$0/run/etc" "$0/run/user/${UID}" "$0/homes/${USER}"
chown ${UID}:${UID} "$0/run/user/${UID}"
chmod 700 "$0/run/user/${UID}"
mount --rbind "$0/etc" "$0/run/etc"
mount --bind "$0/home" "$0/homes/${USER}"
mount --rbind "$0/homes" /home
mount --rbind "$0/run" /run
mount -t tmpfs -o mode=1777 tmpfs /tmp
exec /run/etc/sshd -D -f /run/etc/sshd_config`;

const sshdConfig = (unlinks: boolean) => `Port ${PORT}
ListenAddress 127.0.0.1
HostKey /run/etc/host_key
AuthorizedKeysFile /run/etc/authorized_keys
PidFile none
UsePAM no
PasswordAuthentication no
StrictModes no
StreamLocalBindUnlink ${unlinks ? 'yes' : 'no'}
`;

export class RemoteMachine {
  readonly #directory = mkdtempSync(join(tmpdir(), 'glm-token-remote-'));
  readonly #logins: ChildProcess[] = [];
  #sshd: ChildProcess | undefined;
  #service: { child: ChildProcess; lines: Interface } | undefined;
  readonly seen: Seen[] = [];

  /** Why there can be none here; `undefined` when there can. */
  static async unavailable(): Promise<string | undefined> {
    if (process.getuid?.() !== 0) return 'a user and a network of its own need root';
    const { status, stderr } = await run(['unshare', '--net', '--mount', 'true']);
    return status === 0 ? undefined : `no namespaces here: ${stderr}`;
  }

  /** @param unlinks whether sshd replaces the socket that an earlier login left */
  static async start({ unlinks }: { unlinks: boolean }): Promise<RemoteMachine> {
    const machine = new RemoteMachine();
    return startOrStop(machine, () => machine.#start(unlinks));
  }

  async #start(unlinks: boolean): Promise<void> {
    const etc = join(this.#directory, 'etc');
    mkdirSync(etc);
    mkdirSync(this.home, { mode: 0o700 });
    chownSync(this.home, UID, UID);
    const users = {
      passwd: [`${USER}:x:${UID}:${UID}::${REMOTE_HOME}:/bin/sh`, 'sshd:x:64322:64322::/run/sshd:'],
      group: [`${USER}:x:${UID}:`],
      shadow: [`${USER}:*:19000::::::`],
    };
    for (const [file, lines] of Object.entries(users)) {
      const ours = readFileSync(`/etc/${file}`, 'utf8');
      writeFileSync(join(etc, file), `${ours}${lines.join('\n')}\n`, {
        mode: file === 'shadow' ? 0o600 : 0o644,
      });
    }
    for (const key of ['host_key', 'user_key']) {
      await run(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', join(etc, key)]);
    }
    cpSync(join(etc, 'user_key.pub'), join(etc, 'authorized_keys'));
    // Where it was not installed, it lies in a tree with its libraries.
    const tree = found.sshd.replace(/\/usr\/sbin\/sshd$/, '');
    cpSync(found.sshd, join(etc, 'sshd'));
    if (tree !== '') {
      cpSync(`${tree}/usr/lib/openssh`, join(etc, 'openssh'), { recursive: true });
      const libraries = readdirSync(`${tree}/usr/lib`).filter((name) => name.includes('-linux-'));
      for (const name of libraries) {
        // Links as they are: else they lead to the checkout, which may be in a directory that is hidden.
        const as = { recursive: true, verbatimSymlinks: true };
        cpSync(`${tree}/usr/lib/${name}`, join(etc, 'lib'), as);
      }
    }
    writeFileSync(join(etc, 'sshd_config'), sshdConfig(unlinks));
    const boot = ['sh', '-c', BOOT, this.#directory, process.execPath];
    this.#sshd = spawn('unshare', ['--net', '--mount', ...boot], {
      env: { ...BARE_ENV, LD_LIBRARY_PATH: '/run/etc/lib' },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let stderr = '';
    this.#sshd.stderr?.on('data', (chunk) => {
      stderr += chunk;
    });
    const sshd = this.#sshd;
    const answers = async () => {
      if (sshd.exitCode !== null) throw new Error('sshd has ended');
      return (await this.ssh('true')).status === 0;
    };
    await until('a login', answers).catch((error) => {
      throw new Error(`${error}: ${stderr}`);
    });
  }

  /** The remote user's home, as it is found from this machine. */
  get home(): string {
    return join(this.#directory, 'home');
  }

  /** The remote file system, as it is found from this machine. */
  get root(): string {
    return `/proc/${this.#sshd?.pid}/root`;
  }

  /** Gives the remote user a copy of files of this machine. */
  copy(source: string, name: string): void {
    const target = join(this.home, name);
    cpSync(source, target, { recursive: true });
    for (const file of [target, ...below(target)]) chownSync(file, UID, UID);
  }

  /** Puts our Lisp and gptel there, and returns the options by which Emacs finds them. */
  installLisp(): string {
    this.copy(`${ROOT}/elisp`, 'elisp');
    const packages = found.elpa.map((path, at) => {
      this.copy(path, `elpa-${at}`);
      return `elpa-${at}`;
    });
    return ['elisp', ...packages].map((name) => `-L ${REMOTE_HOME}/${name}`).join(' ');
  }

  /** Runs a line of shell there, and comes back with what it says. */
  ssh(line: string, options: RunOptions & { ssh?: readonly string[] } = {}): Promise<Outcome> {
    return run([...this.#command(options.ssh ?? []), line], options);
  }

  /** A login that lasts, with a local socket forwarded to a path there, until it is closed. */
  async login(local: string, remote: string): Promise<Login> {
    const forward = ['-o', 'ExitOnForwardFailure=yes', '-N', '-R', `${remote}:${local}`];
    const [file = '', ...args] = this.#command(forward);
    const child = spawn(file, args, { env: BARE_ENV, stdio: ['ignore', 'ignore', 'pipe'] });
    this.#logins.push(child);
    let stderr = '';
    child.stderr.on('data', (chunk) => {
      stderr += chunk;
    });
    const isThere = async () =>
      child.exitCode !== null || stderr.includes('remote forward success');
    await until('a forwarded socket', isThere);
    return { isForwarded: child.exitCode === null, stderr: () => stderr, close: () => end(child) };
  }

  #command(options: readonly string[]): string[] {
    const etc = join(this.#directory, 'etc');
    const settings = ['StrictHostKeyChecking=no', 'UserKnownHostsFile=/dev/null', 'BatchMode=yes'];
    return [
      ...['nsenter', '--net', '--target', String(this.#sshd?.pid), 'ssh', '-F', 'none'],
      ...['-v', '-i', join(etc, 'user_key'), '-p', String(PORT)],
      ...settings.flatMap((setting) => ['-o', setting]),
      ...options,
      `${USER}@127.0.0.1`,
    ];
  }

  /** Starts the stand-in for the service in the remote network; returns its host. */
  async startService(keys: Record<string, string>): Promise<string> {
    const script = join(ROOT, 'test/support/glm-stand-in.ts');
    const child = spawn(
      'nsenter',
      ['--net', '--target', `${this.#sshd?.pid}`, process.execPath, '--import', 'tsx', script],
      { cwd: ROOT, stdio: ['pipe', 'pipe', 'inherit'] },
    );
    const lines = createInterface(child.stdout);
    this.#service = { child, lines };
    child.stdin.write(`${JSON.stringify(keys)}\n`);
    const [host] = await once(lines, 'line');
    lines.on('line', (line) => this.seen.push(JSON.parse(line)));
    return String(host);
  }

  /** Processes of the remote machine, sshd among them; another one that runs here has its own. */
  processes(): number[] {
    const mounts = mountsOf(this.#sshd?.pid);
    if (mounts === mountsOf(process.pid)) return []; // It has not started, or has ended.
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map(Number)
      .filter((pid) => mounts && mountsOf(pid) === mounts);
  }

  async stop(): Promise<void> {
    for (const login of this.#logins) await end(login);
    this.#service?.lines.close();
    await end(this.#service?.child);
    // What a login left behind ends with its session.
    for (const pid of this.processes()) process.kill(pid, 'SIGKILL');
    await end(this.#sshd);
    await delay(100);
    rmSync(this.#directory, { recursive: true, force: true, maxRetries: 5 });
  }
}

export interface Login {
  /** Whether the socket was forwarded; when it could not be, the login has ended. */
  readonly isForwarded: boolean;
  readonly stderr: () => string;
  close(): Promise<void>;
}

/** The namespace of a process that its files are in; `undefined` when it has ended. */
function mountsOf(pid: number | undefined): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/mnt`);
  } catch {
    return undefined;
  }
}

const below = (path: string): string[] =>
  statSync(path).isDirectory()
    ? readdirSync(path, { recursive: true }).map((name) => join(path, String(name)))
    : [];
