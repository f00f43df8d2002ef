/** The sealed form of keys: one JWE, which a passphrase opens. */

import { createHash } from 'node:crypto';
import type { FlattenedJWE } from 'jose';
import { flattenedDecrypt } from 'jose/jwe/flattened/decrypt';
import { FlattenedEncrypt } from 'jose/jwe/flattened/encrypt';
import { GlmTokenError } from './errors.ts';

/**
 * Version of the form, in the JWE's protected header. A later one keeps the `checksum` and this
 * number where they are, so that an older program can say what it is looking at.
 */
const VERSION = 1;

const ALG = 'PBES2-HS512+A256KW';
const ENC = 'A256GCM';

/**
 * Rounds of PBKDF2 with HMAC-SHA-512 for what is sealed anew: OWASP's Password Storage Cheat Sheet.
 * What was sealed with others can be read, since their number is in the header.
 */
const PBKDF2_ROUNDS = 210_000;

/** Most rounds that are worth a try, some seconds' work: a header is read before it is trusted. */
const MAX_PBKDF2_ROUNDS = 10_000_000;

/** Keys by account name, as a store keeps them. */
export type Keys = ReadonlyMap<string, string>;

/**
 * Seals keys with a passphrase: RFC 7516's JSON serialization, and a `checksum` beside it, which
 * tells a damaged file from a wrong passphrase (the JWE's own check cannot).
 */
export async function seal(keys: Keys, passphrase: Uint8Array): Promise<string> {
  const plaintext = new TextEncoder().encode(JSON.stringify({ keys: Object.fromEntries(keys) }));
  const jwe = await new FlattenedEncrypt(plaintext)
    .setProtectedHeader({ alg: ALG, enc: ENC, typ: 'glm-token', version: VERSION })
    .setKeyManagementParameters({ p2c: PBKDF2_ROUNDS })
    .encrypt(passphrase);
  return format(jwe);
}

/**
 * The keys that {@link seal} sealed.
 *
 * @param path where the text was, for messages
 * @throws GlmTokenError `ERR_PASSPHRASE` when it is not the passphrase, `ERR_STORE_CORRUPT` when the
 *   text is damaged or of a newer version
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
    if ((error as { code?: string }).code !== 'ERR_JWE_DECRYPTION_FAILED')
      throw damaged(path, error);
    throw new GlmTokenError(
      'ERR_PASSPHRASE',
      `that is not the passphrase of the key file (${path})`,
      'try again; without the passphrase, the keys in the file cannot be had back',
      error,
    );
  }
  const { keys } = JSON.parse(new TextDecoder().decode(plaintext)) as { keys: object };
  return new Map(Object.entries(keys));
}

/** The text of a JWE, in the only form in which {@link parse} takes it. */
function format({ protected: header, encrypted_key, iv, ciphertext, tag }: FlattenedJWE): string {
  const jwe = { protected: header, encrypted_key, iv, ciphertext, tag };
  const checksum = createHash('sha256').update(JSON.stringify(jwe)).digest('base64url');
  return `${JSON.stringify({ ...jwe, checksum })}\n`;
}

/** Reads what {@link format} wrote; any other text, be it by one bit, is damaged. */
function parse(text: string, path: string): FlattenedJWE {
  let jwe: FlattenedJWE;
  let version: unknown;
  try {
    jwe = JSON.parse(text);
    if (format(jwe) !== text) throw new Error('the checksum is off');
    version = JSON.parse(Buffer.from(jwe.protected ?? '', 'base64url').toString()).version;
  } catch (error) {
    throw damaged(path, error);
  }
  if (version === VERSION) return jwe;
  throw new GlmTokenError(
    'ERR_STORE_CORRUPT',
    `the key file (${path}) was made by a newer glm-token, in a form that this one cannot read`,
    'update glm-token: npm install -g glm-token',
  );
}

const damaged = (path: string, cause: unknown) =>
  new GlmTokenError(
    'ERR_STORE_CORRUPT',
    `the key file (${path}) is damaged`,
    'restore it from a backup, or remove it and run: glm-token store --store file',
    cause,
  );
