/** A self-signed certificate for 127.0.0.1, localhost, and further names (X.509 v3, RFC 5280). */

import { generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Certificate {
  readonly key: string;
  readonly cert: string;
  /** Path of a file that holds `cert`, for NODE_EXTRA_CA_CERTS. */
  readonly file: string;
  remove(): void;
}

/** @param options `expired`: whether it has expired; `names`: further names of hosts */
export function makeCertificate({ expired = false, names = [] as string[] } = {}): Certificate {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const subject = sequence(set(sequence(COMMON_NAME, tlv(UTF8_STRING, Buffer.from('127.0.0.1')))));
  const hosts = ['localhost', ...names].map((name) => tlv(DNS_NAME, Buffer.from(name)));
  const alternatives = sequence(tlv(IP_ADDRESS, Buffer.from([127, 0, 0, 1])), ...hosts);
  const tbs = sequence(
    tlv(VERSION, tlv(INTEGER, Buffer.from([2]))),
    tlv(INTEGER, Buffer.concat([Buffer.from([1]), randomBytes(8)])), // The serial number.
    sequence(ECDSA_WITH_SHA256),
    subject,
    sequence(time('200101000000Z'), time(expired ? '200201000000Z' : '490101000000Z')),
    subject,
    publicKey.export({ type: 'spki', format: 'der' }),
    tlv(EXTENSIONS, sequence(sequence(SUBJECT_ALT_NAME, tlv(OCTET_STRING, alternatives)))),
  );
  const signature = Buffer.concat([Buffer.from([0]), sign('sha256', tbs, privateKey)]);
  const der = sequence(tbs, sequence(ECDSA_WITH_SHA256), tlv(BIT_STRING, signature));
  const lines = der.toString('base64').replace(/.{64}/g, '$&\n').trimEnd();
  const cert = `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`;

  const folder = mkdtempSync(join(tmpdir(), 'glm-token-cert-'));
  const file = join(folder, 'cert.pem');
  writeFileSync(file, cert);
  const key = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  return { key, cert, file, remove: () => rmSync(folder, { recursive: true }) };
}

// DER (X.690): a value is its tag, its length and its bytes.
const INTEGER = 0x02;
const BIT_STRING = 0x03;
const OCTET_STRING = 0x04;
const UTF8_STRING = 0x0c;
const UTC_TIME = 0x17;
const SEQUENCE = 0x30;
const SET = 0x31;
/** Those with a number of their own: in a certificate, and in its alternative names. */
const [VERSION, EXTENSIONS, DNS_NAME, IP_ADDRESS] = [0xa0, 0xa3, 0x82, 0x87];

/** Object identifiers, whole. */
const COMMON_NAME = Buffer.from('0603550403', 'hex');
const SUBJECT_ALT_NAME = Buffer.from('0603551d11', 'hex');
const ECDSA_WITH_SHA256 = Buffer.from('06082a8648ce3d040302', 'hex');

function tlv(tag: number, value: Buffer): Buffer {
  const { length } = value;
  const size =
    length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...size]), value]);
}

const sequence = (...values: readonly Buffer[]): Buffer => tlv(SEQUENCE, Buffer.concat(values));
const set = (...values: readonly Buffer[]): Buffer => tlv(SET, Buffer.concat(values));
const time = (text: string): Buffer => tlv(UTC_TIME, Buffer.from(text));
