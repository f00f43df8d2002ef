import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { GlmTokenError } from '../../src/core/errors.ts';
import { parseKey, shortenId } from '../../src/core/key.ts';

const KEY = { id: '0123456789abcdef', secret: 'S3cret_-' };

test('a key comes out of what a paste brings along', () => {
  const text = `${KEY.id}.${KEY.secret}`;
  const pasted = [text, ` ${text}\r\n`, `\uFEFF${text}`, `"${text}"`, `'${text}'`, `“${text}”\n`];
  for (const paste of pasted) assert.deepEqual(parseKey(paste), KEY, JSON.stringify(paste));
  assert.deepEqual(parseKey('id.sécrèt密钥'), { id: 'id', secret: 'sécrèt密钥' });
});

test('what is no key is refused with the reason, and none of it is repeated', () => {
  const cases: [text: string, reason: RegExp][] = [
    ['', /no API key was given/],
    [' \n', /no API key was given/],
    ['nodotanywhere', /has no dot/],
    ['one.two.three', /more than one dot/],
    ['.hushhush', /its id is empty/],
    ['onlyid.', /its secret is empty/],
    ['eyJhbGciOiJIUzI1NiJ9.eyJhIjoxfQ.c2lnbmF0dXJl', /is a token \(JWT\)/],
    ['Bearer eyJhbGciOiJIUzI1NiJ9.eyJhIjoxfQ.c2lnbmF0dXJl', /is a token \(JWT\)/],
    ['https://console.example/keypage', /is a URL/],
    ['with space.hushhush', /spaces or unprintable/],
    ['with\0nul.hushhush', /spaces or unprintable/],
    ['broken\uFFFD.utf8', /spaces or unprintable/],
    ['ключ.hushhush', /other than plain ASCII/],
    ['x'.repeat(1_000_000), /too long/],
  ];
  for (const [text, reason] of cases) {
    assert.throws(
      () => parseKey(text),
      (error: GlmTokenError) => {
        assert.equal(error.code, 'ERR_KEY_MALFORMED');
        assert.match(error.message, reason);
        assert.ok(error.hint);
        for (const part of text.split('.').filter((part) => part.length > 3)) {
          assert.ok(!`${error.message}${error.hint}`.includes(part), part);
        }
        return true;
      },
    );
  }
});

test('a shortened id tells keys apart and is not the whole', () => {
  assert.equal(shortenId('0123456789abcdef0123456789abcdef'), '0123…cdef');
  assert.equal(shortenId('short'), 'sh…');
});
