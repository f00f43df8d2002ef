/**
 * Writes what becomes of the tests of a file into $GLM_TEST_REPORT, a line of JSON each. At once, since
 * the process may be ended at any time.
 */

import { appendFileSync } from 'node:fs';
import { inspect } from 'node:util';

const MANY = 150;

function explain({ cause, message }) {
  const text = inspect(cause ?? message).split('\n');
  return text.length > MANY ? [...text.slice(0, MANY), '…'].join('\n') : text.join('\n');
}

function note({ type, data }) {
  const { name, nesting, skip, todo, details } = data;
  const outcome = { type, name, nesting, skip, todo };
  if (details?.type === 'suite') outcome.isSuite = true;
  if (type === 'test:fail') {
    outcome.failure = details.error.failureType;
    outcome.text = explain(details.error);
  }
  appendFileSync(process.env.GLM_TEST_REPORT, `${JSON.stringify(outcome)}\n`);
}

export default async function* report(events) {
  for await (const event of events) {
    if (/^test:(dequeue|complete|pass|fail)$/.test(event.type)) note(event);
    yield '';
  }
}
