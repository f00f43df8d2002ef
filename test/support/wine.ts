/** A Windows of its own, as Wine implements it, with Node and the packed glm-token installed by npm. */

import { spawn } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BARE_ENV, type Env, found, ROOT } from './environment.ts';
import { type Answers, type Outcome, run } from './program.ts';

const NODE = join(ROOT, 'node_modules/.cache/glm-token/windows');

/** Where npm installs programs, as users have it that are not called by an ASCII name. */
const PREFIX = 'C:\\Program Files\\程序 目录';

/** The installed program. */
export const INSTALLED = `${PREFIX}\\node_modules\\glm-token\\dist\\cli.cjs`;

/** A path of this machine, as programs under Wine see it. */
export const windowsPath = (path: string): string => `Z:${path.replaceAll('/', '\\')}`;

/** What a command of this machine prints; throws when it fails. */
async function here(...command: string[]): Promise<string> {
  const env = process.env as Env;
  const { status, stdout, stderr } = await run(command, { env, cwd: ROOT });
  if (status !== 0) throw new Error(stderr);
  return stdout.trim();
}

export class Wine {
  readonly #home: string;
  readonly #wine: string;
  readonly #env: Env;

  private constructor(home: string, wine: string) {
    this.#home = home;
    this.#wine = wine;
    this.#env = {
      ...BARE_ENV,
      HOME: home,
      WINEPREFIX: join(home, 'prefix'),
      WINEPATH: windowsPath(NODE),
      WINEARCH: 'win64',
      WINEDEBUG: '-all',
      // Nothing here needs .NET, HTML or a display.
      WINEDLLOVERRIDES: 'mscoree,mshtml,winex11.drv=',
    };
  }

  static async start(): Promise<Wine> {
    const program = await here('bash', '-c', 'command -v wine64 || echo /usr/lib/wine/wine64');
    const wine = new Wine(mkdtempSync(join(tmpdir(), 'glm-token-wine-')), program);
    await wine.#succeed(['wineboot', '--init']);
    await wine.#succeed(['winecfg', '-v', 'win10']);
    return wine;
  }

  /**
   * Installs the packed glm-token, as npm does on Windows. What it depends on comes from a cache that
   * npm fills on this side, since connecting to other machines was seen to fail under Wine. Without
   * scripts, since Wine's cmd runs both sides of `||`; keytar's only copies its binary.
   */
  async install(): Promise<void> {
    const [cache, filled] = [join(this.#home, 'npm-cache'), join(this.#home, 'filled')];
    const tarball = await here(
      'npm',
      'pack',
      '--silent',
      '--ignore-scripts',
      '--pack-destination',
      this.#home,
    );
    const file = join(this.#home, tarball);
    await here('npm', 'install', '--silent', '--cache', cache, '--prefix', filled, file);
    const npm = await here('bash', '-c', 'readlink -f "$(command -v npm)"');
    const registry = await here('npm', 'config', 'get', 'registry');
    const options = [
      '--offline',
      '--ignore-scripts',
      '--cache',
      windowsPath(cache),
      '--registry',
      registry,
    ];
    await this.#succeed([
      ...['node.exe', windowsPath(npm), 'install', '--global', '--prefix', PREFIX],
      ...[...options, '--no-audit', '--no-fund', windowsPath(file)],
    ]);
  }

  /**
   * Runs a command of Windows to its end. Its streams are files, since under Wine a pipe from outside
   * fails with EBADF.
   */
  async run(command: readonly string[], more: Env = {}): Promise<Outcome> {
    const folder = mkdtempSync(join(this.#home, 'run-'));
    const [out, err] = [join(folder, 'out'), join(folder, 'err')];
    const fds = [openSync('/dev/null', 'r'), openSync(out, 'w'), openSync(err, 'w')];
    const child = spawn(this.#wine, command, { env: { ...this.#env, ...more }, stdio: fds });
    for (const fd of fds) closeSync(fd);
    const [status, signal] = await new Promise<[number | null, NodeJS.Signals | null]>(
      (resolve, reject) => {
        child.on('error', reject);
        child.on('exit', (...end) => resolve(end));
      },
    );
    const [stdout, stderr] = [readFileSync(out, 'utf8'), readFileSync(err, 'utf8')];
    return { status, signal, stdout, stderr };
  }

  /** Runs a command on a console, which is a terminal of this side; what it showed is in `stdout`. */
  runOnConsole(command: readonly string[], answers: Answers, more: Env = {}): Promise<Outcome> {
    const terminal = [found.python, `${ROOT}/test/support/terminal.py`, JSON.stringify(answers)];
    // Until a program reads from its console, the terminal itself would show what is typed, and change it.
    const quietly = ['sh', '-c', 'stty -echo -icrnl && exec "$0" "$@"', this.#wine];
    return run([...terminal, ...quietly, ...command], {
      env: { ...this.#env, TERM: 'xterm', NO_COLOR: '1', ...more },
    });
  }

  async stop(): Promise<void> {
    const server = join(this.#wine, '../wineserver');
    for (const option of ['--kill', '--wait']) await run([server, option], { env: this.#env });
    rmSync(this.#home, { recursive: true, maxRetries: 5 });
  }

  async #succeed(command: readonly string[]): Promise<void> {
    const withErrors = { WINEDEBUG: 'fixme-all' }; // A failure of Wine's own would be silent else.
    const { status, stdout, stderr } = await this.run(command, withErrors);
    if (status !== 0) throw new Error(`${command.join(' ')}: ${status}\n${stdout}${stderr}`);
  }
}
