/** The saved offset of a clock that cannot be set right, and the time that follows from it. */

import type { Folder } from './folder.ts';

const FILE = 'clock.json';

/** How long a measured offset is used, in milliseconds: a day. */
const MAX_AGE_MS = 86_400_000;

/** A clock that moved by this much against the machine's uptime was set, in milliseconds. */
const WAS_SET_MS = 30_000;

export interface SavedOffset {
  /** What to add to the machine's clock, in milliseconds. */
  readonly offsetMs: number;
  /** When it was measured, by the machine's own clock, in milliseconds since 1970 (UTC). */
  readonly measuredAtMs: number;
  /** When the machine was started, by the same clock. */
  readonly bootedAtMs: number;
  /** The host whose clock it was measured against. */
  readonly host: string;
}

/** The machine's own clock, and how long the machine has been up; both in milliseconds. */
export interface Machine {
  now(): number;
  uptimeMs(): number;
}

export interface Clock {
  /** The machine's own time, in milliseconds since 1970 (UTC). */
  uncorrected(): number;
  /** That time with the saved offset, if there is one. */
  now(): number;
  /**
   * The offset that was saved, while it holds: for a day, until `untilMs` by the machine's own clock,
   * as long as the machine is not restarted and its clock is not set.
   */
  saved(): (SavedOffset & { readonly untilMs: number }) | undefined;
  save(offsetMs: number, host: string): void;
  clear(): void;
}

export function openClock(folder: Folder, machine: Machine): Clock {
  const bootedAtMs = () => machine.now() - machine.uptimeMs();

  const untilMs = ({ measuredAtMs }: SavedOffset): number => measuredAtMs + MAX_AGE_MS;

  const holds = (saved: SavedOffset): boolean =>
    Number.isFinite(saved.offsetMs) &&
    machine.now() >= saved.measuredAtMs - WAS_SET_MS &&
    machine.now() < untilMs(saved) &&
    Math.abs(bootedAtMs() - saved.bootedAtMs) < WAS_SET_MS;

  const clock: Clock = {
    uncorrected: machine.now,
    now: () => machine.now() + (clock.saved()?.offsetMs ?? 0),
    saved() {
      const text = folder.read(FILE);
      if (text === undefined) return undefined;
      try {
        const saved = JSON.parse(text) as SavedOffset;
        return holds(saved) ? { ...saved, untilMs: untilMs(saved) } : undefined;
      } catch {
        return undefined; // Not ours, so there is none.
      }
    },
    save(offsetMs, host) {
      const measuredAtMs = machine.now();
      const saved: SavedOffset = { offsetMs, measuredAtMs, bootedAtMs: bootedAtMs(), host };
      folder.replace(FILE, `${JSON.stringify(saved)}\n`);
    },
    clear: () => folder.remove(FILE),
  };
  return clock;
}
