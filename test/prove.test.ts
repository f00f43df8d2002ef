/** The short form of `npm run prove`: every promise, put to the same trials, with fewer of each. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { COPIES, HELPER_MB } from './prove/bounds.ts';
import { attempt, trialsNamed } from './prove/promises.ts';
import { ROOT } from './support/environment.ts';

test('prove, the short form', async (t) => {
  const size = { isShort: true, cases: 10_000, seed: 1 };
  await attempt(trialsNamed(), size, (row, { promise }) =>
    t.test(`${promise}: ${row.trial}`, { skip: row.notTried ?? false }, () => {
      assert.deepEqual(row.faults, [], `${row.count}: ${row.seen}`);
    }),
  );
});

test('SECURITY.md states the figures that no run may exceed', () => {
  const text = readFileSync(join(ROOT, 'SECURITY.md'), 'utf8');
  for (const copies of Object.values(COPIES)) {
    assert.ok(text.includes(`at most ${copies} copies`), `at most ${copies} copies`);
  }
  assert.ok(text.includes(`at most ${HELPER_MB} MB`), `at most ${HELPER_MB} MB`);
});
