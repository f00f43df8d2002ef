/** The sealed form of keys: one JWE, which a passphrase opens. */

import { createHash } from 'node:crypto';
import type { FlattenedJWE } from 'jose';
import { flattenedDecrypt } from 'jose/jwe/flattened/decrypt';
import { FlattenedEncrypt } from 'jose/jwe/flattened/encrypt';
import { GlmTokenError } from './errors.ts';

const ALG = 'PBES2-HS512+A256KW';
const ENC = 'A256GCM';

/**
 * Rounds of PBKDF2 with HMAC-SHA-512 for new files, as OWASP's Password Storage Cheat Sheet
 * recommends. Files sealed with another number can be read, since it is in their header.
 */
export const PBKDF2_ROUNDS = 210_000;

/** Most rounds that are worth a try, some seconds' work: a header is read before it is trusted. */
const MAX_PBKDF2_ROUNDS = 10_000_000;

/** Keys by account name, as a store keeps them. */
export type Keys = ReadonlyMap<string, string>;

/**
 * Seals keys with a passphrase: RFC 7516's JSON serialization, and a `checksum` beside it, which
 * tells a damaged file from a wrong passphrase (the JWE's own check cannot).
 *
 * @param rounds of PBKDF2; fewer than the default only in tests
 */
export async function seal(
  keys: Keys,
  passphrase: Uint8Array,
  rounds = PBKDF2_ROUNDS,
): Promise<string> {
  const plaintext = new TextEncoder().encode(JSON.stringify({ keys: Object.fromEntries(keys) }));
  try {
    const jwe = await new FlattenedEncrypt(plaintext)
      .setProtectedHeader({ alg: ALG, enc: ENC, typ: 'glm-token' })
      .setKeyManagementParameters({ p2c: rounds })
      .encrypt(passphrase);
    return format(jwe);
  } finally {
    plaintext.fill(0);
  }
}

/**
 * The keys that {@link seal} sealed.
 *
 * @param path of the file that the text is from, for messages
 * @throws GlmTokenError `ERR_PASSPHRASE` when it is not the passphrase, `ERR_STORE_CORRUPT` when the
 *   text is damaged or holds something else
 */
export async function unseal(text: string, passphrase: Uint8Array, path: string): Promise<Keys> {
  const jwe = parse(text, path);
  let plaintext: Uint8Array;
  try {
    ({ plaintext } = await flattenedDecrypt(jwe, passphrase, {
      keyManagementAlgorithms: [ALG],
      contentEncryptionAlgorithms: [ENC],
      maxPBES2Count: MAX_PBKDF2_ROUNDS,
    }));
  } catch (error) {
    const isWrong = (error as { code?: string }).code === 'ERR_JWE_DECRYPTION_FAILED';
    throw new GlmTokenError(isWrong ? 'passphraseWrong' : 'keyFileDamaged', { path }, error);
  }
  try {
    const { keys } = JSON.parse(new TextDecoder().decode(plaintext));
    if (typeof keys !== 'object' || Array.isArray(keys)) throw new Error('not an object');
    const entries = Object.entries(keys);
    if (!entries.every(([, key]) => typeof key === 'string')) throw new Error('not only strings');
    return new Map(entries as [string, string][]);
  } catch (error) {
    throw new GlmTokenError('keyFileDamaged', { path }, error);
  } finally {
    plaintext.fill(0);
  }
}

/** The text of a JWE, in the only form in which {@link parse} takes it. */
function format({ protected: header, encrypted_key, iv, ciphertext, tag }: FlattenedJWE): string {
  const jwe = { protected: header, encrypted_key, iv, ciphertext, tag };
  const checksum = createHash('sha256').update(JSON.stringify(jwe)).digest('base64url');
  return `${JSON.stringify({ ...jwe, checksum })}\n`;
}

/** Reads what {@link format} wrote; any other text, even by one bit, is damaged. */
function parse(text: string, path: string): FlattenedJWE {
  try {
    const jwe = JSON.parse(text);
    if (format(jwe) === text) return jwe;
    throw new Error('the checksum is wrong');
  } catch (error) {
    throw new GlmTokenError('keyFileDamaged', { path }, error);
  }
}
