import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { GlmTokenError, KeyFault } from '../../src/core/errors.ts';
import { formatKey, parseKey, shortenedIdOf, shortenId, tryParseKey } from '../../src/core/key.ts';
import { english } from '../../src/messages/en.ts';

const KEY = { id: '0123456789abcdef', secret: 'S3cret_-' };
const TEXT = formatKey(KEY);

test('a key is found in what a paste brings along', () => {
  assert.equal(TEXT, '0123456789abcdef.S3cret_-');
  const pasted = [TEXT, ` ${TEXT}\r\n`, `\uFEFF${TEXT}`, `"${TEXT}"`, `'${TEXT}'`, `“${TEXT}”\n`];
  for (const paste of pasted) assert.deepEqual(parseKey(paste), KEY, JSON.stringify(paste));
  assert.deepEqual(parseKey('id.sécrèt密钥'), { id: 'id', secret: 'sécrèt密钥' });
});

test('text that is not a key is refused with its fault, and none of it is repeated', () => {
  const cases: [text: string, fault: KeyFault, message: RegExp][] = [
    ['', 'empty', /^no API key was given$/],
    [' \n', 'empty', /^no API key was given$/],
    ['"\'', 'empty', /^no API key was given$/],
    ['nodotanywhere', 'no-dot', /has no dot$/],
    ['one.two.three', 'dots', /more than one dot$/],
    ['.hushhush', 'no-id', /its id is empty$/],
    ['onlyid.', 'no-secret', /its secret is empty$/],
    ['eyJhbGciOiJIUzI1NiJ9.eyJhIjoxfQ.c2lnbmF0dXJl', 'token', /is a token \(JWT\)/],
    ['Bearer eyJhbGciOiJIUzI1NiJ9.eyJhIjoxfQ.c2lnbmF0dXJl', 'token', /is a token \(JWT\)/],
    ['https://console.example/keypage', 'url', /is a URL/],
    ['with space.hushhush', 'unprintable', /spaces or unprintable characters$/],
    ['with\0nul.hushhush', 'unprintable', /spaces or unprintable characters$/],
    ['with\u001bescape.hushhush', 'unprintable', /spaces or unprintable characters$/],
    ['broken\uFFFD.utf8', 'unprintable', /spaces or unprintable characters$/],
    ['zero\u200bwidth.hushhush', 'unprintable', /spaces or unprintable characters$/],
    ['turned\u202earound.hushhush', 'unprintable', /spaces or unprintable characters$/],
    ['soft.hush\u00adhush', 'unprintable', /spaces or unprintable characters$/],
    ['lone.surrogate\ud800', 'unprintable', /spaces or unprintable characters$/],
    ['lone\udc00.surrogate', 'unprintable', /spaces or unprintable characters$/],
    ['tagged.hushhush\u{e0041}', 'unprintable', /spaces or unprintable characters$/],
    ['ключ.hushhush', 'id-not-ascii', /characters other than ASCII$/],
    ['ZAI_API_KEY=0123456789abcdef.hushhush', 'more-than-id', /give the key alone/],
    ['{"api_key":"0123456789abcdef.hushhush"}', 'more-than-id', /give the key alone/],
    ['(setq key "0123456789abcdef.hushhush")', 'unprintable', /spaces or unprintable characters$/],
    ['x'.repeat(1_000_000), 'long', /too long/],
    ['.'.repeat(1_000_000), 'long', /too long/],
    [' '.repeat(1_000_000), 'long', /too long/],
    [`${'"'.repeat(500_000)}x${' '.repeat(500_000)}`, 'long', /too long/],
  ];
  const { describe } = english('glm-token');
  for (const [text, fault, reason] of cases) {
    const name = JSON.stringify(text.slice(0, 80));
    assert.equal(tryParseKey(text), undefined, name);
    assert.throws(
      () => parseKey(text),
      (error: GlmTokenError) => {
        assert.equal(error.code, 'ERR_KEY_MALFORMED');
        assert.equal(error.reason, 'keyInvalid');
        assert.deepEqual(error.params, { fault }, name);
        const { message, hint = '' } = describe(error);
        assert.match(message, reason);
        assert.match(String(hint), /^copy the whole key from /);
        for (const part of text.split('.').filter((part) => part.length > 3)) {
          assert.ok(!`${message}${hint}`.includes(part), part);
        }
        return true;
      },
    );
  }
});

test('a shortened id tells keys apart and is not the whole id', () => {
  assert.equal(shortenId('0123456789abcdef0123456789abcdef'), '0123…cdef');
  assert.equal(shortenId('short'), 'sh…');
  assert.equal(shortenedIdOf(TEXT), '0123…cdef');
  assert.equal(shortenedIdOf('Gar.ba.ge'), undefined);
});
