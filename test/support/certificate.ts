/** A certificate for 127.0.0.1 and localhost that only what is told of it trusts. */

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from './program.ts';

export interface Certificate {
  readonly key: string;
  readonly cert: string;
  /** Where `cert` is, for NODE_EXTRA_CA_CERTS. */
  readonly file: string;
  remove(): void;
}

export async function makeCertificate(): Promise<Certificate> {
  const folder = mkdtempSync(join(tmpdir(), 'glm-token-cert-'));
  const [keyFile, file] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
  const { status, stderr } = await run([
    ...['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256'],
    ...[
      '-nodes',
      '-days',
      '2',
      '-subj',
      '/CN=127.0.0.1',
      '-addext',
      'subjectAltName=IP:127.0.0.1,DNS:localhost',
    ],
    ...['-keyout', keyFile, '-out', file],
  ]);
  if (status !== 0) throw new Error(`openssl failed:\n${stderr}`);
  const [key, cert] = [readFileSync(keyFile, 'utf8'), readFileSync(file, 'utf8')];
  return { key, cert, file, remove: () => rmSync(folder, { recursive: true }) };
}
