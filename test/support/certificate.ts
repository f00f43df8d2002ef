/** A self-signed certificate for 127.0.0.1, localhost, and further names. */

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from './program.ts';

export interface Certificate {
  readonly key: string;
  readonly cert: string;
  /** Path of a file that holds `cert`, for NODE_EXTRA_CA_CERTS. */
  readonly file: string;
  remove(): void;
}

/** @param options `expired`: whether it has expired; `names`: further names of hosts */
export async function makeCertificate({
  expired = false,
  names = [] as string[],
} = {}): Promise<Certificate> {
  const folder = mkdtempSync(join(tmpdir(), 'glm-token-cert-'));
  const [keyFile, file] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
  const [config, request] = [join(folder, 'ca.conf'), join(folder, 'request.pem')];
  const subjects = ['IP:127.0.0.1', ...['localhost', ...names].map((name) => `DNS:${name}`)];
  const openssl = async (...args: string[]) => {
    const { status, stderr } = await run(['openssl', ...args], { cwd: folder });
    if (status !== 0) throw new Error(`openssl failed:\n${stderr}`);
  };
  await openssl(
    ...['req', '-new', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'],
    ...['-subj', '/CN=127.0.0.1', '-addext', `subjectAltName=${subjects}`],
    ...['-keyout', keyFile, '-out', request],
  );
  writeFileSync(join(folder, 'index.txt'), '');
  writeFileSync(config, CA_CONFIG);
  await openssl(
    ...['ca', '-batch', '-config', config, '-selfsign', '-keyfile', keyFile, '-in', request],
    ...[
      '-startdate',
      '20200101000000Z',
      '-enddate',
      expired ? '20200201000000Z' : '20490101000000Z',
    ],
    ...['-notext', '-out', file],
  );
  const [key, cert] = [readFileSync(keyFile, 'utf8'), readFileSync(file, 'utf8')];
  return { key, cert, file, remove: () => rmSync(folder, { recursive: true }) };
}

const CA_CONFIG = `[ca]
default_ca = test
[test]
database = index.txt
new_certs_dir = .
rand_serial = yes
default_md = sha256
policy = policy
copy_extensions = copy
[policy]
commonName = supplied
`;
