import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseDuration, parseTimeLimit, splitDuration } from '../../src/core/duration.ts';

test('a duration is a whole number and a unit, from one second to 365 days', () => {
  const cases: Record<string, number> = {
    '1s': 1000,
    '90s': 90_000,
    '5m': 300_000,
    '2h': 7_200_000,
    '30d': 2_592_000_000,
    '365d': 31_536_000_000,
    ' 3m ': 180_000,
  };
  for (const [text, ms] of Object.entries(cases)) assert.equal(parseDuration(text), ms, text);
});

test('a time limit is no longer than a timer can be', async () => {
  assert.equal(parseTimeLimit('2h'), 7_200_000);
  const isOver = await new Promise<boolean>((resolve) => {
    const timer = setTimeout(resolve, parseTimeLimit('365d'), true);
    setTimeout(() => {
      clearTimeout(timer);
      resolve(false);
    }, 50);
  });
  assert.equal(isOver, false);
});

test('any other text is refused', () => {
  const texts = [
    ...['', '0', '0s', '-1s', '-5m', '180', '1e9', '1.5h', '366d', '5 lightyears', '5M', 's'],
    ...['8761h', '1s\n', '１s', '1s 1s', '9'.repeat(1_000_000)],
  ];
  for (const text of texts) {
    const isRefused = { reason: 'durationInvalid', code: 'ERR_USAGE' };
    assert.throws(() => parseDuration(text), isRefused, JSON.stringify(text.slice(0, 80)));
  }
});

test('a duration is split into its two largest units, rounded to seconds', () => {
  const cases: [ms: number, parts: string][] = [
    [0, '0 second'],
    [999, '1 second'],
    [175_000, '2 minute 55 second'],
    [180_000, '3 minute'],
    [3_599_600, '1 hour'],
    [90_061_000, '1 day 1 hour'],
    [86_460_000, '1 day'],
  ];
  for (const [ms, parts] of cases) {
    const found = splitDuration(ms).map(({ count, unit }) => `${count} ${unit}`);
    assert.equal(found.join(' '), parts);
  }
});
