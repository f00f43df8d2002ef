/** Durations: as people write them in options, and as sentences have them. */

import { GlmTokenError } from './errors.ts';

const UNIT_MS = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const MIN_MS = 1000;
const MAX_MS = 365 * UNIT_MS.d;

/**
 * A duration such as `5m`, `2h` or `30d`, in milliseconds.
 *
 * @throws GlmTokenError `ERR_USAGE` when it is not one, or outside one second to 365 days
 */
export function parseDuration(text: string): number {
  const match = /^ ?(\d{1,9})([smhd]) ?$/.exec(text);
  const ms = match ? Number(match[1]) * UNIT_MS[match[2] as keyof typeof UNIT_MS] : Number.NaN;
  if (ms >= MIN_MS && ms <= MAX_MS) return ms;
  throw new GlmTokenError('durationInvalid', { given: text });
}

/**
 * Longest time that a timer is set to, in milliseconds. Node fires a timer of more than 2^31 - 1 ms
 * (24.8 days) at once; the difference is room for what callers add.
 */
const MAX_TIMER_MS = 24 * UNIT_MS.d;

/**
 * A duration that somebody waits for: as {@link parseDuration} has it, and 24 days at most.
 *
 * @throws GlmTokenError `ERR_USAGE`
 */
export const parseTimeLimit = (text: string): number => Math.min(parseDuration(text), MAX_TIMER_MS);

const STEPS = [
  ['day', UNIT_MS.d],
  ['hour', UNIT_MS.h],
  ['minute', UNIT_MS.m],
  ['second', UNIT_MS.s],
] as const;

export interface DurationPart {
  readonly count: number;
  readonly unit: (typeof STEPS)[number][0];
}

/** A duration in its two largest units, rounded to seconds: 2 minutes, 55 seconds. */
export function splitDuration(ms: number): readonly DurationPart[] {
  let rest = Math.round(ms / 1000) * 1000;
  const first = STEPS.findIndex(([unit, size]) => rest >= size || unit === 'second');
  return STEPS.slice(first, first + 2)
    .map(([unit, size]) => {
      const count = Math.floor(rest / size);
      rest -= count * size;
      return { count, unit };
    })
    .filter(({ count }, at) => at === 0 || count > 0);
}
