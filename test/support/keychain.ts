/** A real gnome-keyring on a D-Bus session of its own, with an empty home. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { createClient, type MessageBus } from '@homebridge/dbus-native';
import { BARE_ENV, type Env } from './environment.ts';
import { type Outcome, run } from './program.ts';

declare module '@homebridge/dbus-native' {
  // In the package, and missing from its types.
  interface MessageBus {
    exportInterface(object: object, path: string, description: object): void;
    requestName(name: string, flags: number, callback: (error: unknown) => void): void;
  }
}

const PASSWORD = 'the password of the test keyring';
const LOGIN_COLLECTION = '/org/freedesktop/secrets/collection/login';

/** A session bus that starts no service by itself, so that the one keyring is the one we started. */
const busConfig = (
  home: string,
) => `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:dir=${home}</listen>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
`;

export class KeychainSession {
  readonly home = mkdtempSync(join(tmpdir(), 'glm-token-test-'));
  env: Env = { ...BARE_ENV, HOME: this.home, XDG_RUNTIME_DIR: join(this.home, 'run') };
  #bus: ChildProcess | undefined;
  #service: ChildProcess | undefined;
  #prompter: MessageBus | undefined;

  /** @param options `keyring`: whether there is one, unlocked, to keep keys in */
  static async start({ keyring = true } = {}): Promise<KeychainSession> {
    const session = new KeychainSession();
    mkdirSync(join(session.home, 'run'), { mode: 0o700 });
    const config = join(session.home, 'bus.conf');
    writeFileSync(config, busConfig(session.home));
    const bus = spawn('dbus-daemon', ['--nofork', '--print-address=1', `--config-file=${config}`], {
      env: session.env,
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    session.#bus = bus;
    const [address] = await once(createInterface(bus.stdout), 'line');
    session.env = { ...session.env, DBUS_SESSION_BUS_ADDRESS: String(address) };
    await session.startService({ keyring });
    return session;
  }

  /** Starts the keyring service and unlocks it. */
  async startService({ keyring = true } = {}): Promise<void> {
    const service = spawn(
      'gnome-keyring-daemon',
      ['--foreground', ...(keyring ? ['--unlock'] : []), '--components=secrets'],
      { env: this.env, stdio: ['pipe', 'ignore', 'ignore'] },
    );
    this.#service = service;
    service.stdin.end(PASSWORD);
    await this.#until(async () => (keyring ? (await this.isLocked()) === false : this.#answers()));
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
    await this.#until(async () => (await this.isLocked()) === true);
  }

  /** Unlocks with the password, by the interface that gnome-keyring keeps for its own tools. */
  async unlock(): Promise<void> {
    const bus = createClient({ busAddress: this.env.DBUS_SESSION_BUS_ADDRESS ?? '' });
    const call = (member: string, iface: string, signature: string, body: unknown[]) =>
      new Promise<unknown[]>((resolve, reject) =>
        bus.invoke(
          {
            destination: 'org.freedesktop.secrets',
            path: '/org/freedesktop/secrets',
            interface: iface,
            member,
            signature,
            body,
          },
          (error: unknown, ...answer: unknown[]) => (error ? reject(error) : resolve(answer)),
        ),
      );
    const plain = ['plain', ['s', '']];
    const opened = await call('OpenSession', 'org.freedesktop.Secret.Service', 'sv', plain);
    const secret = [opened[1], Buffer.alloc(0), Buffer.from(PASSWORD), 'text/plain'];
    await call(
      'UnlockWithMasterPassword',
      'org.gnome.keyring.InternalUnsupportedGuiltRiddenInterface',
      'o(oayays)',
      [LOGIN_COLLECTION, secret],
    );
    bus.connection.end();
  }

  /** Makes the keyring that ends with the session the one that keys go to. */
  async keepForSession(): Promise<void> {
    const session = 'objpath:/org/freedesktop/secrets/collection/session';
    const method = 'org.freedesktop.Secret.Service.SetAlias';
    await this.#send('/org/freedesktop/secrets', method, 'string:default', session);
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
    await new Promise((resolve) => bus.requestName('org.gnome.keyring.SystemPrompter', 0, resolve));
  }

  /** Sends a signal to the keyring service. */
  signal(signal: 'SIGSTOP' | 'SIGCONT' | 'SIGKILL'): void {
    this.#service?.kill(signal);
  }

  async stop(): Promise<void> {
    this.#prompter?.connection.end();
    for (const child of [this.#service, this.#bus]) {
      if (!child || child.exitCode !== null || child.signalCode !== null) continue;
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
    rmSync(this.home, { recursive: true, force: true, maxRetries: 5 });
  }

  async #answers(): Promise<boolean> {
    const method = 'org.freedesktop.Secret.Service.ReadAlias';
    return (await this.#send('/org/freedesktop/secrets', method, 'string:default')).status === 0;
  }

  #send(path: string, method: string, ...args: string[]): Promise<Outcome> {
    const send = ['dbus-send', '--session', '--print-reply', '--reply-timeout=2000'];
    return run([...send, '--dest=org.freedesktop.secrets', path, method, ...args], {
      env: this.env,
    });
  }

  async #until(holds: () => Promise<boolean>): Promise<void> {
    for (let tries = 0; tries < 100; tries += 1) {
      if (await holds()) return;
      await delay(50);
    }
    throw new Error('the test keyring did not get into the state that was asked for');
  }
}
