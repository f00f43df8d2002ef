/** Rows of what stays of a secret in memory: copies, and their limits. */

import { canReadMemory } from './processes.ts';
import { notTried, type Row } from './row.ts';

/** Memory that was freed is used again meanwhile, if it is to be. */
export const REST_MS = 5000;

/** Whether memory can be looked into; otherwise a row that says so. */
export function* needsMemory(trial: string): Generator<Row, boolean> {
  if (canReadMemory()) return true;
  yield notTried(trial, 'memory of other processes cannot be read here');
  return false;
}

/** A row for copies that are known to stay, and their limits. */
export function atMost(
  trial: string,
  count: string,
  copies: Record<string, [seen: number, limit: number]>,
  faults: string[] = [],
): Row {
  const all = Object.entries(copies);
  return {
    trial,
    count,
    seen: `copies: ${all.map(([what, [seen, limit]]) => `${what} ${seen} (limit ${limit})`).join(', ')}`,
    faults: [
      ...faults,
      ...all
        .filter(([, [seen, limit]]) => seen > limit)
        .map(([what, [seen, limit]]) => `${seen} copies of the ${what}, and ${limit} are stated`),
    ],
  };
}
