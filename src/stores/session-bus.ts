/** One connection to the D-Bus session bus, for questions that are answered or fail in time. */

import type { EventEmitter } from 'node:events';
import { connect } from 'node:net';
import { createClient, type MessageBus } from '@homebridge/dbus-native';

declare module '@homebridge/dbus-native' {
  // In the package, and missing from its types.
  export function createClient(options: { stream: NodeJS.ReadWriteStream }): MessageBus;
  interface MessageBus {
    readonly signals: EventEmitter;
    /** The name of the event by which `signals` tells of a signal. */
    mangle(path: string, iface: string, member: string): string;
    addMatch(rule: string, callback: (error: unknown) => void): void;
  }
}

/** A service that is alive answers in milliseconds; on a machine that is very busy, in two seconds. */
const ANSWER_WITHIN_MS = 5000;

/** That nothing answered in time. */
export class NoAnswer extends Error {}

/** That the bus cannot be reached, or hung up. */
export class BusGone extends Error {}

/**
 * The socket that an address of a bus names, if it names one; a name that begins with a zero byte is
 * an abstract one.
 *
 * @see https://dbus.freedesktop.org/doc/dbus-specification.html#addresses
 */
export function socketOf(address: string): string | undefined {
  const [, kind, name] = /(?:^|;)unix:(?:[^;]*,)?(path|abstract)=([^,;]*)/.exec(address) ?? [];
  return name && (kind === 'abstract' ? `\0${name}` : name);
}

/**
 * Opened when it is first needed, and again after it ended; when it ends, every question fails at
 * once. It does not keep the process alive: the time limits of its questions do that.
 */
export class SessionBus {
  readonly #socket: string | undefined;
  #client: MessageBus | undefined;
  readonly #pending = new Set<(error: Error) => void>();

  /** @param socket its path; `undefined` when there is no bus */
  constructor(socket: string | undefined) {
    this.#socket = socket;
  }

  /**
   * Calls a method.
   *
   * @throws what the other side answers, with D-Bus' `name` for it; {@link BusGone}; {@link NoAnswer}
   */
  call(
    destination: string,
    path: string,
    iface: string,
    member: string,
    signature = '',
    body: readonly unknown[] = [],
  ): Promise<unknown[]> {
    const message = { destination, path, interface: iface, member };
    return this.#ask(ANSWER_WITHIN_MS, (client, resolve, reject) => {
      client.invoke(
        signature ? { ...message, signature, body: [...body] } : message,
        (error: unknown, ...answer: unknown[]) => (error ? reject(error) : resolve(answer)),
      );
    });
  }

  /**
   * Does something, and waits for the signal that follows from it.
   *
   * @throws NoAnswer when it does not come in time
   */
  async awaitSignal(
    path: string,
    iface: string,
    member: string,
    limitMs: number,
    act: () => Promise<unknown>,
  ): Promise<void> {
    await this.#ask<void>(limitMs, (client, resolve, reject) => {
      client.signals.once(client.mangle(path, iface, member), () => resolve());
      const rule = `type='signal',path='${path}',interface='${iface}',member='${member}'`;
      client.addMatch(rule, (error) => (error ? reject(error) : act().catch(reject)));
    });
  }

  #ask<T>(
    limitMs: number,
    begin: (
      client: MessageBus,
      resolve: (answer: T) => void,
      reject: (error: unknown) => void,
    ) => void,
  ): Promise<T> {
    const socket = this.#socket;
    if (socket === undefined) return Promise.reject(new BusGone());
    return new Promise<T>((resolve, reject) => {
      const limit = setTimeout(() => settle(() => reject(new NoAnswer())), limitMs);
      const fail = (error: unknown) => settle(() => reject(error));
      const settle = (how: () => void) => {
        clearTimeout(limit);
        this.#pending.delete(fail);
        how();
      };
      this.#pending.add(fail);
      this.#client ??= this.#connect(socket);
      begin(this.#client, (answer) => settle(() => resolve(answer)), fail);
    });
  }

  #connect(socket: string): MessageBus {
    const stream = connect(socket).unref();
    const client = createClient({ stream });
    const end = (error?: Error) => {
      if (this.#client !== client) return;
      this.#client = undefined;
      stream.destroy();
      for (const fail of this.#pending) fail(new BusGone(error?.message));
    };
    client.connection.on('error', end);
    stream.on('close', () => end());
    return client;
  }
}
