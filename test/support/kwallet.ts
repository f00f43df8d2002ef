/** A real KWallet on a D-Bus session of its own, started as a KDE login starts it. */

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Display } from './display.ts';
import { type Env, found, ROOT } from './environment.ts';
import { type Outcome, run } from './program.ts';
import { end, SessionBus, startOrStop, until } from './session-bus.ts';

/** The program that KWallet is, and whose window asks for the password: that of KDE 6, else of KDE 5. */
export const KWALLET =
  spawnSync('sh', ['-c', 'command -v kwalletd6']).status === 0 ? 'kwalletd6' : 'kwalletd5';

const PASSWORD = 'walletpassword';
const WALLET = 'kdewallet';
const SALT_BYTES = 56;

const SETTINGS = `[Wallet]
Enabled=true
First Use=false
Default Wallet=${WALLET}
Use One Wallet=true

[org.freedesktop.secrets]
apiEnabled=true
`;

export class KWalletSession {
  readonly #bus: SessionBus;
  readonly #display: Display | undefined;
  #service: ChildProcess | undefined;

  private constructor(bus: SessionBus, display: Display | undefined) {
    this.#bus = bus;
    this.#display = display;
  }

  get env(): Env {
    return this.#bus.env;
  }

  /**
   * Starts a session whose wallet is there and open, and called locked until someone asks for it.
   *
   * @param display where it shows its windows; nowhere by default
   */
  static async start(display?: Display): Promise<KWalletSession> {
    const session = new KWalletSession(await SessionBus.start(), display);
    return startOrStop(session, async () => {
      const { home } = session.#bus;
      mkdirSync(join(home, '.config'));
      writeFileSync(join(home, '.config/kwalletrc'), SETTINGS);
      mkdirSync(join(home, '.local/share/kwalletd'), { recursive: true });
      writeFileSync(session.#salt, randomBytes(SALT_BYTES));
      await session.logIn(); // This makes the wallet, and the next login finds it.
      await session.logIn();
    });
  }

  /** Ends KWallet, if it runs, and starts it anew. */
  async logIn({ withoutCrypto = false } = {}): Promise<void> {
    if (this.#service) await this.close(); // It saves the wallet then, else only after seconds.
    await end(this.#service);
    const { home, env } = this.#bus;
    const socketDirectory = join(home, 'run/kwallet');
    rmSync(socketDirectory, { recursive: true, force: true });
    mkdirSync(socketDirectory);
    const display = this.#display ? this.#display.env : { QT_QPA_PLATFORM: 'offscreen' };
    const kwalletd = withoutCrypto ? this.#withoutCrypto() : [KWALLET];
    const login = [`${ROOT}/test/support/kwallet_login.py`, socketDirectory, this.#salt, PASSWORD];
    this.#service = spawn(found.python, [...login, ...kwalletd], {
      env: { ...env, ...display },
      stdio: 'ignore',
    });
    await until('an open wallet', () => this.isOpen());
  }

  async isOpen(): Promise<boolean> {
    const { status, stdout } = await this.#send('isOpen', `string:${WALLET}`);
    return status === 0 && stdout.includes('boolean true');
  }

  /** Closes the wallet, so that its password is asked for. */
  async close(): Promise<void> {
    await this.#send('closeAllWallets');
    await until('a closed wallet', async () => !(await this.isOpen()));
  }

  /** Types the password into KWallet's window. */
  async answer(): Promise<void> {
    await this.#display?.answer(KWALLET, PASSWORD);
  }

  async stop(): Promise<void> {
    await end(this.#service);
    await this.#bus.stop();
  }

  get #salt(): string {
    return join(this.#bus.home, '.local/share/kwalletd', `${WALLET}.salt`);
  }

  /** The command for a KWallet whose plugin for cryptography does not load, as where it is missing. */
  #withoutCrypto(): string[] {
    const libraries = join(this.#bus.home, 'libraries');
    mkdirSync(libraries);
    writeFileSync(join(libraries, 'libcrypto.so.3'), 'not a library');
    return ['env', `LD_LIBRARY_PATH=${libraries}`, KWALLET];
  }

  #send(method: string, ...args: string[]): Promise<Outcome> {
    const send = ['dbus-send', '--session', '--print-reply', '--reply-timeout=2000'];
    const target = [
      `--dest=org.kde.${KWALLET}`,
      `/modules/${KWALLET}`,
      `org.kde.KWallet.${method}`,
    ];
    return run([...send, ...target, ...args], { env: this.env });
  }
}
