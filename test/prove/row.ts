/** What a trial is, and what it comes to: rows of the table. */

export interface Size {
  /** Whether this is the short form, which CI runs with the tests. */
  readonly isShort: boolean;
  /** Cases that the properties are tried with, in all. */
  readonly cases: number;
  /** Where the generators of the properties start. */
  readonly seed: number;
}

export interface Row {
  /** What was done. */
  readonly trial: string;
  /** How often, and with what. */
  readonly count: string;
  /** What was seen, with figures where there are some. */
  readonly seen: string;
  /** What speaks against the promise; none when it holds. */
  readonly faults: readonly string[];
  /** Why this machine cannot try it, in place of all the above. */
  readonly notTried?: string;
}

/** Makes its rows one by one, so that a long run shows where it is. It needs no other trial. */
export type Trial = (size: Size) => AsyncGenerator<Row>;

/** The trials of a promise, by the names that `--only` takes. */
export type Trials = Readonly<Record<string, Trial>>;

/** A trial of one row. */
export const oneRow = (attempt: (size: Size) => Promise<Row>): Trial =>
  async function* (size) {
    yield await attempt(size);
  };

export const notTried = (trial: string, why: string): Row => ({
  trial,
  count: '',
  seen: '',
  faults: [],
  notTried: why,
});

/** Runs a job for each item, some of them side by side. */
export async function each<T>(
  items: Iterable<T>,
  lanes: number,
  job: (item: T) => Promise<void>,
): Promise<void> {
  const waiting = [...items];
  const runLane = async () => {
    for (let item = waiting.shift(); item !== undefined; item = waiting.shift()) await job(item);
  };
  await Promise.all(Array.from({ length: lanes }, runLane));
}
