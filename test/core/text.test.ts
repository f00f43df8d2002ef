import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { HIDDEN, hasUnsafeCharacters, printable, shellQuote, shown } from '../../src/core/text.ts';

/** Control characters, and ones that are invisible or turn the text around. */
const UNSAFE = [
  ...['\0', '\u0007', '\b', '\t', '\n', '\r', '\u001b', '\u007f', '\u0085', '\u009b', '\u00ad'],
  ...['\u061c', '\u200b', '\u200e', '\u202e', '\u2028', '\u2029', '\u2066', '\ufeff'],
  ...['\u{e0041}', '\ud800', '\udc00'],
];

describe('printable', () => {
  test('text that a reader can see stays as it is', () => {
    for (const text of ['', 'plain text ~', 'sécrèt 密钥 🔑 工作', 'a…b']) {
      assert.equal(printable(text), text);
      assert.equal(hasUnsafeCharacters(text), false, text);
    }
  });

  test('characters that could forge a line or move the cursor are escaped', () => {
    assert.equal(printable('a\u001b[2Jb\nc'), 'a\\u001b[2Jb\\u000ac');
    assert.equal(printable('\u{e0041}'), '\\udb40\\udc41');
    for (const character of UNSAFE) {
      assert.equal(hasUnsafeCharacters(`密${character}`), true, JSON.stringify(character));
      assert.match(
        printable(`密${character}x`),
        /^密(\\u[\da-f]{4})+x$/,
        JSON.stringify(character),
      );
    }
  });

  test('JSON stays the same JSON', () => {
    const json = { a: 'x\u001b[2J\u009b1A\u202ey\u2028\ud800', 工: '作' };
    const text = printable(JSON.stringify(json));
    assert.doesNotMatch(text, /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}]/u);
    assert.ok(text.includes('"工":"作"'));
    assert.deepEqual(JSON.parse(text), json);
  });
});

describe('shown', () => {
  test('what cannot be a key is repeated in quotes', () => {
    for (const text of ['prnt', 'two words', '--tll', '5 lightyears', '-5m', '', '工作']) {
      assert.equal(shown(text), `"${text}"`);
    }
    assert.equal(shown('a\u001bb'), '"a\\u001bb"');
  });

  test('what may be a key, or a part of one, is not repeated', () => {
    const [id, secret] = ['0123456789abcdef0123456789abcdef', 'AbCdEfGhIjKlMnOp'];
    const texts = [
      ...[`${id}.${secret}`, id, secret, `.${secret}`, `${id}.`, `--${id}.${secret}`, 'id.secret'],
      ...[`my key ${secret}`, `${secret}\n`, `key=${secret}`, `"${secret}"`, `密${secret}`],
      ...[`${id}.${secret}`.repeat(1000), 'word '.repeat(1000)],
    ];
    for (const text of texts) assert.equal(shown(text), HIDDEN, text.slice(0, 80));
  });
});

test('a word is quoted so that a shell reads it back', () => {
  assert.equal(shellQuote('api.z.ai:8443'), 'api.z.ai:8443');
  assert.equal(shellQuote(''), "''");
  assert.equal(shellQuote('my work'), "'my work'");
  assert.equal(shellQuote("it's mine"), "'it'\\''s mine'");
  assert.equal(shellQuote('$(x)`y`'), "'$(x)`y`'");
});

test('for cmd and PowerShell a word is quoted as both have it, and backslashes need none', () => {
  const quoted = (word: string) => shellQuote(word, 'windows');
  assert.equal(quoted('C:\\dir\\cli.cjs'), 'C:\\dir\\cli.cjs');
  assert.equal(quoted('C:\\Program Files\\工具'), '"C:\\Program Files\\工具"');
  assert.equal(quoted(''), '""');
  assert.equal(quoted("it's mine"), '"it\'s mine"');
  assert.equal(quoted('a,b'), '"a,b"');
});
