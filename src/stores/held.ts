/** What a store holds in memory until it has been idle for a while. */

import type { StoresWorld } from './port.ts';

interface HeldOptions<T> {
  /** Clears what can be cleared of a value that is forgotten. */
  clear(value: T): void;
  /** Called by a timer when the time is over, to call {@link Held.forget} as soon as nothing uses the value. */
  onIdle(): void;
}

export class Held<T> {
  readonly #world: Pick<StoresWorld, 'lockAfterMs' | 'now'>;
  readonly #options: HeldOptions<T>;
  #value: T | undefined;
  #usedAtMs = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(world: Pick<StoresWorld, 'lockAfterMs' | 'now'>, options: HeldOptions<T>) {
    this.#world = world;
    this.#options = options;
  }

  get value(): T | undefined {
    return this.#value;
  }

  /** Judged by the clock, since a timer stands still while the machine sleeps. */
  get isIdle(): boolean {
    return this.#world.now() - this.#usedAtMs >= this.#world.lockAfterMs;
  }

  /** Holds a value in place of the last one; its idle time starts anew. */
  keep(value: T): T {
    const { lockAfterMs, now } = this.#world;
    this.#value = value;
    this.#usedAtMs = now();
    clearTimeout(this.#timer);
    if (Number.isFinite(lockAfterMs))
      this.#timer = setTimeout(this.#options.onIdle, lockAfterMs).unref();
    return value;
  }

  forgetIfIdle(): void {
    if (this.#value !== undefined && this.isIdle) this.forget();
  }

  forget(): void {
    clearTimeout(this.#timer);
    if (this.#value !== undefined) this.#options.clear(this.#value);
    this.#value = undefined;
  }
}
