/** A D-Bus session bus of its own, in a home of its own. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { BARE_ENV, type Env } from './environment.ts';
import type { User } from './program.ts';

/** Where a system keeps the files that tell a bus which services it can start. */
const SERVICE_FILES = '/usr/share/dbus-1/services';

const busConfig = (
  home: string,
) => `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:dir=${home}</listen>
  <servicedir>${home}/services</servicedir>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
`;

export class SessionBus {
  readonly home = mkdtempSync(join(tmpdir(), 'glm-token-test-'));
  env: Env = { ...BARE_ENV, HOME: this.home, XDG_RUNTIME_DIR: join(this.home, 'run') };
  #bus: ChildProcess | undefined;

  /**
   * @param services the only ones that the bus starts by itself; none by default
   * @param user whose bus and home it is, where that is not this user
   */
  static async start(services: readonly string[] = [], user?: User): Promise<SessionBus> {
    const session = new SessionBus();
    return startOrStop(session, () => session.#start(services, user));
  }

  async #start(services: readonly string[], user: User | undefined): Promise<void> {
    const { home } = this;
    mkdirSync(join(home, 'run'), { mode: 0o700 });
    mkdirSync(join(home, 'services'));
    for (const name of services) {
      copyFileSync(`${SERVICE_FILES}/${name}.service`, `${home}/services/${name}.service`);
    }
    const config = join(home, 'bus.conf');
    writeFileSync(config, busConfig(home));
    if (user) for (const path of [home, join(home, 'run')]) chownSync(path, user.uid, user.gid);
    const bus = spawn('dbus-daemon', ['--nofork', '--print-address=1', `--config-file=${config}`], {
      env: this.env,
      ...user,
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    this.#bus = bus;
    const address = await firstLine(bus, bus.stdout);
    this.env = { ...this.env, DBUS_SESSION_BUS_ADDRESS: address };
  }

  async stop(): Promise<void> {
    await end(this.#bus);
    rmSync(this.home, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** Starts something; where that fails, ends what of it has been started. */
export async function startOrStop<T extends { stop(): Promise<void> }>(
  it: T,
  start: () => Promise<void>,
): Promise<T> {
  try {
    await start();
  } catch (error) {
    await it.stop();
    throw error;
  }
  return it;
}

/** The first line that a child writes to a stream. */
export async function firstLine(child: ChildProcess, stream: Readable): Promise<string> {
  const ended = once(child, 'exit').then(([status, signal]) => {
    throw new Error(`${child.spawnfile} ended with ${status ?? signal}, and said nothing`);
  });
  const line = once(createInterface(stream), 'line').then(([text]) => String(text));
  return Promise.race([line, ended]);
}

/** Ends a child at once, if it runs. */
export async function end(child: ChildProcess | undefined): Promise<void> {
  if (!child || child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGKILL');
  await once(child, 'exit');
}

/** Waits until something holds; fails after half a minute, since machines that run tests are busy. */
export async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 600; tries += 1) {
    if (await holds()) return;
    await delay(50);
  }
  throw new Error(`waited in vain: ${what}`);
}
