/** What a store holds in memory until it has been idle for a while. */

export interface HeldOptions<T> {
  /** Idle time after which the value is forgotten, in milliseconds; never by default. */
  readonly lockAfterMs?: number | undefined;
  /** The time, in milliseconds since 1970 (UTC). */
  now(): number;
  /** Clears what can be cleared of a value that is forgotten. */
  clear?(value: T): void;
  /** Called by a timer when the time is over, to call {@link Held.forget} as soon as nothing uses the value. */
  onIdle(): void;
}

export class Held<T> {
  readonly #options: HeldOptions<T>;
  #value: T | undefined;
  #usedAtMs = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: HeldOptions<T>) {
    this.#options = options;
  }

  get value(): T | undefined {
    return this.#value;
  }

  /** Judged by the clock, since a timer stands still while the machine sleeps. */
  get isIdle(): boolean {
    const { lockAfterMs, now } = this.#options;
    return lockAfterMs !== undefined && now() - this.#usedAtMs >= lockAfterMs;
  }

  /** Holds a value in place of the last one; its idle time starts anew. */
  keep(value: T): T {
    const { lockAfterMs, now, onIdle } = this.#options;
    this.#value = value;
    this.#usedAtMs = now();
    clearTimeout(this.#timer);
    if (lockAfterMs) this.#timer = setTimeout(onIdle, lockAfterMs).unref();
    return value;
  }

  forgetIfIdle(): void {
    if (this.#value !== undefined && this.isIdle) this.forget();
  }

  forget(): void {
    clearTimeout(this.#timer);
    if (this.#value !== undefined) this.#options.clear?.(this.#value);
    this.#value = undefined;
  }
}
