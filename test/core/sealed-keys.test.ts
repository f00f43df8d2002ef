import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, test } from 'node:test';
import { FlattenedEncrypt, flattenedDecrypt } from 'jose';
import type { GlmTokenError } from '../../src/core/errors.ts';
import { seal, unseal } from '../../src/core/sealed-keys.ts';
import { english } from '../../src/messages/en.ts';

/** Few rounds of PBKDF2, since time is all that they cost an attacker, and a test. */
const ROUNDS = 1000;
const PATH = '/x/keys.jwe';

const KEYS = new Map([
  ['default@open.bigmodel.cn', 'id.secret'],
  ['工作@api.z.ai', 'id2.sécrèt'],
]);
const passphrase = new TextEncoder().encode('correct horse 电池');
const sealed = await seal(KEYS, passphrase, ROUNDS);
const open = (text: string, secret = passphrase) => unseal(text, secret, PATH);

/** A sealed text with some number of rounds, and a checksum that fits. */
async function sealedWith(p2c: number): Promise<string> {
  const jwe = await new FlattenedEncrypt(new TextEncoder().encode('{"keys":{}}'))
    .setProtectedHeader({ alg: 'PBES2-HS512+A256KW', enc: 'A256GCM', typ: 'glm-token' })
    .setKeyManagementParameters({ p2c })
    .encrypt(passphrase);
  const { protected: protectedHeader, encrypted_key, iv, ciphertext, tag } = jwe;
  const ours = { protected: protectedHeader, encrypted_key, iv, ciphertext, tag };
  const checksum = createHash('sha256').update(JSON.stringify(ours)).digest('base64url');
  return `${JSON.stringify({ ...ours, checksum })}\n`;
}

test('the passphrase opens what it sealed, and nothing of that can be read without it', async () => {
  assert.deepEqual(await open(sealed), KEYS);
  assert.doesNotMatch(sealed, /secret|bigmodel/);
});

test('it is a JWE that any library reads, with 210 000 rounds or more by default', async () => {
  const jwe = JSON.parse(await seal(KEYS, passphrase));
  const { protectedHeader, plaintext } = await flattenedDecrypt(jwe, passphrase, {
    maxPBES2Count: 10_000_000,
    keyManagementAlgorithms: ['PBES2-HS512+A256KW'],
  });
  assert.equal(protectedHeader?.alg, 'PBES2-HS512+A256KW');
  assert.equal(protectedHeader?.enc, 'A256GCM');
  assert.ok(Number(protectedHeader?.p2c) >= 210_000);
  assert.deepEqual(JSON.parse(new TextDecoder().decode(plaintext)), {
    keys: Object.fromEntries(KEYS),
  });
});

test('salt, key and nonce are made anew each time', async () => {
  const [a, b] = [JSON.parse(sealed), JSON.parse(await seal(KEYS, passphrase, ROUNDS))];
  for (const part of ['protected', 'encrypted_key', 'iv', 'ciphertext', 'tag']) {
    assert.notEqual(a[part], b[part], part);
  }
});

test('a file that was sealed with more rounds opens too, so that they can be raised', async () => {
  assert.equal((await open(await sealedWith(ROUNDS + 1))).size, 0);
});

test('a wrong passphrase is told from damage', async () => {
  for (const wrong of ['correct horse', '', 'Correct horse 电池']) {
    await assert.rejects(open(sealed, new TextEncoder().encode(wrong)), {
      code: 'ERR_PASSPHRASE',
      reason: 'passphraseWrong',
      params: { path: PATH },
    });
  }
});

describe('damage is told from a wrong passphrase, before any work is done', () => {
  const damaged = {
    code: 'ERR_STORE_CORRUPT',
    reason: 'keyFileDamaged',
    params: { path: PATH },
  };

  test('its message names the file, and a backup as the cure', async () => {
    const error = await open('{}').catch((error: GlmTokenError) => error);
    const { message, hint } = english('glm-token').describe(error as GlmTokenError);
    assert.equal(message, 'the encrypted file (/x/keys.jwe) is damaged');
    assert.match(String(hint), /^restore it from a backup/);
  });

  test('any bit flipped', async () => {
    const bytes = Buffer.from(sealed);
    for (let bit = 0; bit < bytes.length * 8; bit += 1) {
      const flipped = Buffer.from(bytes);
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      await assert.rejects(open(flipped.toString()), damaged, `bit ${bit}`);
    }
  });

  test('the text cut off anywhere', async () => {
    for (let length = 0; length < sealed.length; length += 1) {
      await assert.rejects(open(sealed.slice(0, length)), damaged, `${length} characters`);
    }
  });

  test('another text altogether', async () => {
    for (const text of [
      '\n',
      '{}',
      'null',
      '[]',
      '"x"',
      'id.secret\n',
      `${sealed}${sealed}`,
      '{'.repeat(100_000),
    ]) {
      await assert.rejects(open(text), damaged, text.slice(0, 80));
    }
  });

  test('rounds that would keep the machine busy for hours', async () => {
    const text = await sealedWith(ROUNDS);
    const jwe = JSON.parse(text);
    const header = JSON.parse(Buffer.from(jwe.protected, 'base64url').toString());
    const forged = Buffer.from(JSON.stringify({ ...header, p2c: 2 ** 31 })).toString('base64url');
    const { checksum: _, ...rest } = { ...jwe, protected: forged };
    const checksum = createHash('sha256').update(JSON.stringify(rest)).digest('base64url');
    await assert.rejects(open(`${JSON.stringify({ ...rest, checksum })}\n`), damaged);
  });
});
