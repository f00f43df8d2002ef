/** A real KeePassXC on a D-Bus session of its own, with the settings that it has when it is installed. */

import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Display } from './display.ts';
import type { Env } from './environment.ts';
import { run } from './program.ts';
import { end, SessionBus, until } from './session-bus.ts';

/** What its windows are called. */
export const ACCESS = 'Access Request';
export const UNLOCKING = 'Unlock Database';
const MAIN = /^(\w+\*?|.*\[Locked\]) - KeePassXC$/;

const PASSWORD = 'the password of the test database';

/** Only what a person has to switch on; and no questions that have nothing to do with keys. */
const SETTINGS = `[General]
UpdateCheckMessageShown=true

[GUI]
CheckForUpdates=false

[FdoSecrets]
Enabled=true
`;

const GROUP = 'AQEBAQEBAQEBAQEBAQEBAQ==';
const GROUP_ID = '{01010101-0101-0101-0101-010101010101}';

/** A database that exposes its root group, as the dialog of its settings does, or none. */
const database = (name: string, isExposed: boolean) => `<?xml version="1.0" encoding="utf-8"?>
<KeePassFile>
  <Meta>
    <DatabaseName>${name}</DatabaseName>
    <CustomData>${
      isExposed ? `<Item><Key>FDO_SECRETS_EXPOSED_GROUP</Key><Value>${GROUP_ID}</Value></Item>` : ''
    }</CustomData>
  </Meta>
  <Root><Group><UUID>${GROUP}</UUID><Name>Root</Name></Group></Root>
</KeePassFile>
`;

export class KeePassSession {
  readonly #bus: SessionBus;
  readonly #display: Display;
  #service: ChildProcess | undefined;

  private constructor(bus: SessionBus, display: Display) {
    this.#bus = bus;
    this.#display = display;
  }

  get env(): Env {
    return this.#bus.env;
  }

  /** Starts a session with open databases, the last of which is in front. */
  static async start(
    display: Display,
    databases: Readonly<Record<string, { exposed: boolean }>> = { keys: { exposed: true } },
  ): Promise<KeePassSession> {
    const session = new KeePassSession(await SessionBus.start(), display);
    const { home } = session.#bus;
    mkdirSync(join(home, '.config/keepassxc'), { recursive: true });
    writeFileSync(join(home, '.config/keepassxc/keepassxc.ini'), SETTINGS);
    for (const [name, { exposed }] of Object.entries(databases)) {
      const xml = join(home, `${name}.xml`);
      writeFileSync(xml, database(name, exposed));
      const made = await run(['keepassxc-cli', 'import', '-p', xml, session.#file(name)], {
        env: session.env,
        input: `${PASSWORD}\n${PASSWORD}\n`,
      });
      if (made.status !== 0) throw new Error(made.stderr);
    }
    await session.#launch(Object.keys(databases));
    return session;
  }

  /** Starts it, and types the password of each database: with `--pw-stdin`, 2.7.10 crashes. */
  async #launch(names: readonly string[]): Promise<void> {
    const { env } = this.#bus;
    this.#service = spawn(
      'keepassxc',
      names.map((name) => this.#file(name)),
      {
        // Of several that share a directory for temporary files, only the first one runs.
        env: { ...env, ...this.#display.env, TMPDIR: this.#bus.home },
        stdio: 'ignore',
      },
    );
    await until('KeePassXC on the bus', async () => {
      const args = ['--user', 'call', 'org.freedesktop.secrets', '/org/freedesktop/secrets'];
      const ping = await run(['busctl', ...args, 'org.freedesktop.DBus.Peer', 'Ping'], { env });
      return ping.status === 0;
    });
    for (const _name of names) {
      await until('a locked database', () => this.#isInFront(/\[Locked\]/));
      await this.#press('Return', PASSWORD);
      await until('an open database', () => this.#isInFront(/^\w+\*? - /));
      if (names.length > 1) await this.switchDatabase();
    }
  }

  /** Presses a key until the title shows what came of it: 2.7.10 loses keys just after an unlock. */
  async #pressUntil(key: string, what: string, holds: (title: string) => boolean): Promise<void> {
    await until(what, async () => {
      await this.#press(key);
      await delay(500);
      return holds(await this.#main());
    });
  }

  async #isInFront(title: RegExp): Promise<boolean> {
    return title.test(await this.#main());
  }

  /** The title of its main window, which has the name of the database in front. */
  async #main(): Promise<string> {
    const title = [...(await this.#titles()).values()].find((shown) => MAIN.test(shown)) ?? '';
    return title.replace('*', ''); // It stands there until what was changed is saved.
  }

  /** Puts the next database in front, so that new keys go to it. */
  async switchDatabase(): Promise<void> {
    const before = await this.#main();
    await this.#pressUntil('ctrl+Tab', 'another database in front', (title) => title !== before);
  }

  /** Locks the database in front. */
  async lock(): Promise<void> {
    await this.#pressUntil('ctrl+l', 'a locked database', (title) => /\[Locked\]/.test(title));
  }

  /** The titles of its windows besides the main one. */
  async windows(): Promise<string[]> {
    return [...(await this.#titles()).values()].filter((title) => !MAIN.test(title));
  }

  /** Types the password into the window that asks for it. */
  async answer(): Promise<void> {
    await this.#display.press(UNLOCKING, 'Return', PASSWORD);
  }

  async #press(key: string, text = ''): Promise<void> {
    const main = [...(await this.#titles())].find(([, title]) => MAIN.test(title));
    if (!main) throw new Error('KeePassXC has no main window');
    await this.#display.keys(main[0], key, text);
  }

  #titles() {
    return this.#display.titles('keepassxc');
  }

  #file(name: string): string {
    return join(this.#bus.home, `${name}.kdbx`);
  }

  async stop(): Promise<void> {
    await end(this.#service);
    await this.#bus.stop();
  }
}
