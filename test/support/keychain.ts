/** A real gnome-keyring on a D-Bus session of its own, with an empty home. */

import { type ChildProcess, spawn } from 'node:child_process';
import { createClient, type MessageBus } from '@homebridge/dbus-native';
import type { Account } from '../../src/core/account.ts';
import type { Display } from './display.ts';
import type { Env } from './environment.ts';
import { glmToken, type Outcome, run, type User } from './program.ts';
import { end, SessionBus, startOrStop, until } from './session-bus.ts';

declare module '@homebridge/dbus-native' {
  // In the package, and missing from its types.
  export function createClient(options: { busAddress: string }): MessageBus;
  interface BusConnection {
    end(): void;
  }
  interface MessageBus {
    exportInterface(object: object, path: string, description: object): void;
    requestName(name: string, flags: number, callback: (error: unknown) => void): void;
  }
}

/** What shows gnome-keyring's prompts; a desktop has one of its own. */
const PROMPTER = 'org.gnome.keyring.SystemPrompter';

export const PASSWORD = 'the password of the test keyring';
const LOGIN_COLLECTION = '/org/freedesktop/secrets/collection/login';

export interface KeychainOptions {
  /** Whether there is a keyring, unlocked, to keep keys in; there is one by default. */
  readonly keyring?: boolean;
  /** Where prompts are shown; nowhere by default. */
  readonly display?: Display;
  /** Whether there is the program that shows prompts; by default, where there is a display. */
  readonly prompter?: boolean;
  /** Whose keychain it is, where that is not this user. */
  readonly user?: User | undefined;
}

export class KeychainSession {
  readonly #bus: SessionBus;
  readonly #user: User | undefined;
  #service: ChildProcess | undefined;
  #prompter: MessageBus | undefined;

  private constructor(bus: SessionBus, user: User | undefined) {
    this.#bus = bus;
    this.#user = user;
  }

  get env(): Env {
    return this.#bus.env;
  }

  get home(): string {
    return this.#bus.home;
  }

  static async start(options: KeychainOptions = {}): Promise<KeychainSession> {
    const { keyring = true, display, prompter = display !== undefined, user } = options;
    const bus = await SessionBus.start(prompter ? [PROMPTER] : [], user);
    const session = new KeychainSession(bus, user);
    return startOrStop(session, async () => {
      if (display) {
        // As a desktop does at login, so that what the bus starts finds the screen.
        const env = { ...session.env, ...display.env };
        await run(['dbus-update-activation-environment', 'DISPLAY'], { env });
      }
      await session.startService({ keyring });
    });
  }

  /** Starts the keyring service and unlocks it. */
  async startService({ keyring = true } = {}): Promise<void> {
    const service = spawn(
      'gnome-keyring-daemon',
      ['--foreground', ...(keyring ? ['--unlock'] : []), '--components=secrets'],
      { env: this.env, ...this.#user, stdio: ['pipe', 'ignore', 'ignore'] },
    );
    this.#service = service;
    service.stdin.end(PASSWORD);
    await until('a keyring service', async () =>
      keyring ? (await this.isLocked()) === false : this.#answers(),
    );
  }

  async isLocked(): Promise<boolean | undefined> {
    const { status, stdout } = await this.#send(
      LOGIN_COLLECTION,
      'org.freedesktop.DBus.Properties.Get',
      'string:org.freedesktop.Secret.Collection',
      'string:Locked',
    );
    return status === 0 ? stdout.includes('boolean true') : undefined;
  }

  async lock(): Promise<void> {
    await this.#send(
      '/org/freedesktop/secrets',
      'org.freedesktop.Secret.Service.Lock',
      `array:objpath:${LOGIN_COLLECTION}`,
    );
    await until('a locked keyring', async () => (await this.isLocked()) === true);
  }

  /** Unlocks with the password. */
  async unlock(): Promise<void> {
    await this.#withPassword('UnlockWithMasterPassword', 'o', LOGIN_COLLECTION);
  }

  /** Makes one more keyring, which is open, and has new keys go to it. */
  async addKeyring(label: string): Promise<void> {
    const properties = [['org.freedesktop.Secret.Collection.Label', ['s', label]]];
    const path = await this.#withPassword('CreateWithMasterPassword', 'a{sv}', properties);
    await this.#makeDefault(String(path));
  }

  /** Has new keys go to the first keyring again. */
  async useFirstKeyring(): Promise<void> {
    await this.#makeDefault(LOGIN_COLLECTION);
  }

  /** Calls what gnome-keyring keeps for its own tools, with the password. */
  async #withPassword(member: string, signature: string, argument: unknown): Promise<unknown> {
    const bus = createClient({ busAddress: this.env.DBUS_SESSION_BUS_ADDRESS ?? '' });
    const call = (name: string, iface: string, types: string, body: unknown[]) =>
      new Promise<unknown[]>((resolve, reject) =>
        bus.invoke(
          {
            destination: 'org.freedesktop.secrets',
            path: '/org/freedesktop/secrets',
            interface: iface,
            member: name,
            signature: types,
            body,
          },
          (error: unknown, ...answer: unknown[]) => (error ? reject(error) : resolve(answer)),
        ),
      );
    const plain = ['plain', ['s', '']];
    const opened = await call('OpenSession', 'org.freedesktop.Secret.Service', 'sv', plain);
    const secret = [opened[1], Buffer.alloc(0), Buffer.from(PASSWORD), 'text/plain'];
    const iface = 'org.gnome.keyring.InternalUnsupportedGuiltRiddenInterface';
    const [result] = await call(member, iface, `${signature}(oayays)`, [argument, secret]);
    bus.connection.end();
    return result;
  }

  /** Makes the keyring that ends with the session the one that keys go to. */
  async keepForSession(): Promise<void> {
    await this.#makeDefault('/org/freedesktop/secrets/collection/session');
  }

  async #makeDefault(path: string): Promise<void> {
    const method = 'org.freedesktop.Secret.Service.SetAlias';
    const args = ['string:default', `objpath:${path}`];
    await this.#send('/org/freedesktop/secrets', method, ...args);
  }

  /** Deletes every key that glm-token keeps in the keyring. */
  async deleteKeys(): Promise<void> {
    const { stdout, stderr } = await glmToken(['list', '--store=keychain', '--json'], this);
    if (!stdout) throw new Error(stderr);
    const { accounts } = JSON.parse(stdout) as { accounts: Account[] };
    for (const { host, profile } of accounts) {
      const account = ['--store=keychain', `--host=${host}`, `--profile=${profile}`];
      const deleted = await glmToken(['delete', '--force', ...account], this);
      if (deleted.status !== 0) throw new Error(deleted.stderr);
    }
  }

  /** Has the keyring ask a person, from now on, who never answers. */
  async askNobody(): Promise<void> {
    const bus = createClient({ busAddress: this.env.DBUS_SESSION_BUS_ADDRESS ?? '' });
    this.#prompter = bus;
    const name = 'org.gnome.keyring.internal.Prompter';
    const methods = { BeginPrompting: ['o', '', ['callback'], []] };
    bus.exportInterface({ BeginPrompting: () => {} }, '/org/gnome/keyring/Prompter', {
      name,
      methods,
    });
    await new Promise((resolve) => bus.requestName(PROMPTER, 0, resolve));
  }

  /** Sends a signal to the keyring service. */
  signal(signal: 'SIGSTOP' | 'SIGCONT' | 'SIGKILL'): void {
    this.#service?.kill(signal);
  }

  async stop(): Promise<void> {
    this.#prompter?.connection.end();
    await end(this.#service);
    await this.#bus.stop();
  }

  async #answers(): Promise<boolean> {
    const method = 'org.freedesktop.Secret.Service.ReadAlias';
    return (await this.#send('/org/freedesktop/secrets', method, 'string:default')).status === 0;
  }

  #send(path: string, method: string, ...args: string[]): Promise<Outcome> {
    const send = ['dbus-send', '--session', '--print-reply', '--reply-timeout=2000'];
    return run([...send, '--dest=org.freedesktop.secrets', path, method, ...args], {
      env: this.env,
      user: this.#user,
    });
  }
}
