/** Somebody who has never seen glm-token: an unprivileged user with a keychain and an empty home. */

import {
  chmodSync,
  copyFileSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { type Env, found, network, ROOT } from './environment.ts';
import { KeychainSession } from './keychain.ts';
import { type Outcome, run, type User } from './program.ts';

/** nobody, where these tests are run by root; else this user, who is unprivileged too. */
const NOBODY: User | undefined = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : undefined;

/** What a machine has: Node, package managers, Emacsen and gptel, where every user can read them. */
export class Machine {
  readonly directory = mkdtempSync(join(tmpdir(), 'glm-token-machine-'));
  readonly emacs: string[] = [];
  /** The options by which Emacs finds gptel. */
  readonly gptel: string[];
  /** npm's settings of this machine. */
  #settings: Env = {};

  private constructor() {
    this.gptel = found.elpa.flatMap((path) => ['-L', join(this.directory, 'elpa', basename(path))]);
  }

  static async start(): Promise<Machine> {
    const machine = new Machine();
    const { directory } = machine;
    chmodSync(directory, 0o755);
    machine.#settings = await machine.#readSettings();
    mkdirSync(join(directory, 'bin'));
    mkdirSync(join(directory, 'lib'), { mode: 0o555 }); // Where that node's npm installs, as in /usr.
    copyFileSync(process.execPath, join(directory, 'bin/node'));
    const copy = async (from: string, to: string) => {
      const { status, stderr } = await run(['cp', '-a', from, join(directory, to)]);
      if (status !== 0) throw new Error(stderr);
    };
    await copy(join(ROOT, 'node_modules/.cache/glm-token/managers/node_modules'), 'node_modules');
    await copy(dirname(found.elpa[0] ?? ''), 'elpa');
    for (const emacs of found.emacs) {
      if (emacs.startsWith(ROOT)) await copy(dirname(emacs), 'emacs');
      machine.emacs.push(emacs.startsWith(ROOT) ? join(directory, 'emacs/emacs') : emacs);
    }
    return machine;
  }

  /** Puts a file where every user can read it; returns its path. */
  put(name: string, content: string | Buffer): string {
    const path = join(this.directory, name);
    writeFileSync(path, content, { mode: 0o644 });
    return path;
  }

  /**
   * How this machine's npm reaches its registry, whichever of its files says so: the package managers
   * here have other ones. pnpm has names of its own for them, and takes certificates as Node does.
   */
  async #readSettings(): Promise<Env> {
    const names = ['registry', 'cafile', 'proxy', 'https-proxy', 'noproxy', 'strict-ssl'];
    const env = { ...process.env } as Env;
    const { stdout } = await run(['npm', 'config', 'get', ...names], { env });
    const settings: Env = {};
    for (const line of stdout.trim().split('\n')) {
      const [, name = '', given = ''] = /^([a-z-]+)=(.*)$/.exec(line) ?? [];
      if (given === '' || given === 'null' || given === 'undefined') continue;
      const value = name === 'cafile' ? this.put('ca.pem', readFileSync(given)) : given;
      const variable = name.replace('-', '_');
      settings[`npm_config_${variable}`] = value;
      settings[`pnpm_config_${variable}`] = value;
      if (name === 'cafile') settings.NODE_EXTRA_CA_CERTS = value;
    }
    return settings;
  }

  get env(): Env {
    return {
      ...network(),
      ...this.#settings,
      npm_config_audit: 'false',
      npm_config_update_notifier: 'false',
      PATH: `${this.directory}/bin:${this.directory}/node_modules/.bin:/usr/bin:/bin`,
    };
  }

  stop(): void {
    rmSync(this.directory, { recursive: true, force: true, maxRetries: 5 });
  }
}

export class Stranger {
  readonly #session: KeychainSession;
  readonly #env: Env;

  private constructor(session: KeychainSession, env: Env) {
    this.#session = session;
    this.#env = env;
  }

  /** @param profile what the stranger's shell runs first, as ~/.profile */
  static async start(machine: Machine, profile: string): Promise<Stranger> {
    const session = await KeychainSession.start({ user: NOBODY });
    const stranger = new Stranger(session, { ...session.env, ...machine.env });
    await stranger.write('.profile', profile);
    return stranger;
  }

  get home(): string {
    return this.#session.home;
  }

  /** Runs a line of shell. */
  run(
    line: string,
    { env = {}, input = '' }: { env?: Env; input?: string } = {},
  ): Promise<Outcome> {
    return run(['sh', '-c', `. ./.profile\n${line}`], {
      env: { ...this.#env, ...env },
      user: NOBODY,
      input,
      cwd: this.home,
    });
  }

  /** Writes a file below the home. */
  async write(name: string, text: string): Promise<void> {
    const write = ['sh', '-c', 'mkdir -p "$(dirname "$0")" && cat >"$0"', join(this.home, name)];
    const { status, stderr } = await run(write, { env: this.#env, user: NOBODY, input: text });
    if (status !== 0) throw new Error(stderr);
  }

  /**
   * Everything in the home: each path, with its mode and content. Of the keyring only that it is
   * there, and nothing of the directory that is emptied at the end of a session.
   */
  tree(): Record<string, string> {
    const paths = readdirSync(this.home, { recursive: true }).map(String).sort();
    return Object.fromEntries(
      paths
        .filter((path) => !/^(\.local\/share\/keyrings|run)\//.test(path))
        .map((path) => [path, describe(join(this.home, path)).replaceAll(this.home, '~')]),
    );
  }

  stop(): Promise<void> {
    return this.#session.stop();
  }
}

function describe(path: string): string {
  const stat = lstatSync(path);
  const mode = stat.mode.toString(8);
  if (stat.isSymbolicLink()) return `${mode} ${readlinkSync(path)}`;
  return stat.isFile() ? `${mode} ${readFileSync(path, 'latin1')}` : mode;
}
