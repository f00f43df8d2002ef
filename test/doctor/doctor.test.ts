/** doctor, against a real HTTPS server whose clock can be off, through real proxies and without. */

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { createServer as createTlsServer } from 'node:tls';
import { type Certificate, makeCertificate } from '../support/certificate.ts';
import { BARE_ENV, type Env } from '../support/environment.ts';
import { GlmServer } from '../support/glm-server.ts';
import { Helper } from '../support/helper.ts';
import { KeychainSession } from '../support/keychain.ts';
import { CALL, glmToken } from '../support/program.ts';
import { type ProxyServer, startHttpProxy, startSocksProxy } from '../support/proxy.ts';
import { openFile } from '../support/stores.ts';

const HOUR_MS = 3_600_000;
const KEY = 'id0123456789.secretsecret';

let certificate: Certificate;
let glm: GlmServer;
let home: string;
let env: Env;
before(async () => {
  certificate = await makeCertificate();
});
after(() => certificate.remove());
beforeEach(async () => {
  glm = await GlmServer.start({ id0123456789: 'secretsecret' }, { tls: certificate });
  home = mkdtempSync(join(tmpdir(), 'glm-token-test-'));
  writeFileSync(join(home, 'passphrase'), 'correct horse\n', { mode: 0o600 });
  env = {
    ...BARE_ENV,
    HOME: home,
    NODE_EXTRA_CA_CERTS: certificate.file,
    GLM_TOKEN_STORE: 'file',
    GLM_TOKEN_PASSPHRASE_FILE: join(home, 'passphrase'),
    GLM_TOKEN_HOST: glm.host,
  };
  await storeKey(glm.host, KEY);
});
afterEach(async () => {
  await glm.stop();
  rmSync(home, { recursive: true, force: true });
});

/** Stores a key in the file, with few rounds of PBKDF2. */
function storeKey(host: string, key: string, profile = 'default'): Promise<void> {
  const passphraseFile = join(home, 'passphrase');
  const store = openFile(join(home, '.local/share/glm-token'), { passphraseFile });
  return store.set({ host, profile }, key);
}

interface Report {
  readonly status: number | null;
  readonly ok: boolean;
  readonly schemaVersion: number;
  readonly findings: Record<
    string,
    { level: string; message: string; hint?: string; code?: string }
  >;
}

/** The findings, by the name of the check. */
async function examine(args: string[] = [], more: Env = {}): Promise<Report> {
  const { status, stdout, stderr } = await glmToken(['doctor', '--json', ...args], {
    env: { ...env, ...more },
  });
  assert.equal(stderr, '');
  const { findings, ...rest } = JSON.parse(stdout);
  const byCheck = findings.map(({ check, ...finding }: { check: string }) => [check, finding]);
  return { status, ...rest, findings: Object.fromEntries(byCheck) };
}

test('with nothing wrong prints a line for each check, exits 0 and sends no credentials', async () => {
  const { status, stdout, stderr } = await glmToken(['doctor'], { env });
  assert.deepEqual([status, stderr], [0, '']);
  const lines = stdout.trimEnd().split('\n');
  const checks = ['version', 'node', 'store', 'key', 'host', 'clock'];
  assert.deepEqual(
    lines.slice(0, checks.length).map((line) => line.split(/ +/).slice(0, 2)),
    checks.map((check) => ['ok', check]),
  );
  assert.deepEqual(lines.slice(checks.length), [
    'unchecked live        whether the service accepts the key was not tried',
    `${' '.repeat(22)}hint: to try it: ${CALL} doctor --live`,
  ]);
  assert.match(stdout, /key id01…6789 for 127\.0\.0\.1:\d+ is well-formed/);
  assert.match(stdout, /clock +within 1 s of 127/);
  assert.doesNotMatch(stdout, /secretsecret|eyJ/);
  assert.deepEqual(
    glm.seen.map(({ method, path, token }) => [method, path, token]),
    [['HEAD', '/api/paas/v4/models', undefined]],
  );
});

test('--json prints the same findings, with the version of their form', async () => {
  const { schemaVersion, ok, findings } = await examine();
  assert.deepEqual([schemaVersion, ok], [1, true]);
  const { live, ...others } = findings;
  for (const { level, message } of Object.values(others)) {
    assert.equal(level, 'ok', message);
  }
  assert.equal(live?.level, 'unchecked');
});

describe('the exit status is that of the first failure', () => {
  test('3 without a key', async () => {
    await glmToken(['delete', '--force'], { env });
    const { status, findings } = await examine();
    assert.equal(status, 3);
    assert.deepEqual(findings.key, {
      level: 'failure',
      message: 'no key is stored yet',
      hint: `run: ${CALL} store`,
      code: 'ERR_KEY_NOT_FOUND',
    });
    assert.equal(findings.host?.level, 'ok', 'it goes on');
  });

  test('3 without a key for the account in question', async () => {
    const { status, findings } = await examine(['--profile', 'work']);
    assert.equal(status, 3);
    const store = `run: ${CALL} store --host ${glm.host} --profile work`;
    assert.equal(findings.key?.hint, `${store}; there is a key for: ${glm.host}`);
  });

  test('7 without a passphrase', async () => {
    const { status, findings } = await examine([], { GLM_TOKEN_PASSPHRASE_FILE: '' });
    assert.deepEqual([status, findings.store?.code], [7, 'ERR_PASSPHRASE']);
    assert.equal(findings.store?.message, 'the encrypted file needs its passphrase');
  });

  test('5 without a keychain', async () => {
    const { status, findings } = await examine([], { GLM_TOKEN_STORE: 'keychain' });
    assert.deepEqual([status, findings.store?.code], [5, 'ERR_STORE_UNAVAILABLE']);
    assert.deepEqual([findings.store?.level, findings.key], ['failure', undefined]);
  });

  test('0 without a keychain when the key is in the environment', async () => {
    const more = { GLM_TOKEN_STORE: 'keychain', GLM_API_KEY: KEY };
    const { status, findings } = await examine(['--live'], more);
    assert.equal(status, 0);
    assert.deepEqual(
      ['environment', 'store', 'key', 'live'].map((check) => findings[check]?.level),
      ['warning', 'warning', 'ok', 'ok'],
    );
    assert.match(findings.environment?.message ?? '', /^GLM_API_KEY is set and takes precedence; /);
    assert.equal(
      findings.environment?.hint,
      'for everyday use, store the key, and unset GLM_API_KEY',
    );
    assert.doesNotMatch(JSON.stringify(findings), /secretsecret/);
  });

  test('4 for a malformed key in the environment, which is not shown', async () => {
    const { status, findings } = await examine([], { GLM_API_KEY: 'Garbage' });
    assert.deepEqual([status, findings.key?.code], [4, 'ERR_KEY_MALFORMED']);
    assert.doesNotMatch(JSON.stringify(findings), /Garbage/);
  });

  test('10 when the host does not answer', async () => {
    await glm.stop();
    const { status, findings } = await examine();
    assert.deepEqual([status, findings.host?.code], [10, 'ERR_NETWORK']);
    assert.match(findings.host?.message ?? '', /^cannot reach 127\.0\.0\.1:\d+: ECONNREFUSED$/);
  });

  test('10 for a certificate that is not trusted, with what to set', async () => {
    const { status, findings } = await examine([], { NODE_EXTRA_CA_CERTS: '' });
    assert.equal(status, 10);
    assert.match(findings.host?.hint ?? '', /NODE_EXTRA_CA_CERTS/);
  });

  test('3 without a key, and an expired certificate hints at the clock', async () => {
    await glm.stop();
    const expired = await makeCertificate({ expired: true });
    glm = await GlmServer.start({}, { tls: expired });
    const more = { NODE_EXTRA_CA_CERTS: expired.file };
    const { status, findings } = await examine(['--host', glm.host], more);
    expired.remove();
    assert.equal(status, 3);
    assert.match(findings.host?.message ?? '', /CERT_HAS_EXPIRED$/);
    assert.match(findings.host?.hint ?? '', /check the clock/);
  });

  test('7 when the passphrase file is missing and the host does not answer', async () => {
    await glm.stop();
    assert.equal((await examine([], { GLM_TOKEN_PASSPHRASE_FILE: '/nonexistent' })).status, 7);
  });
});

test('a real keychain is checked while it is open, and exits 6, not 3, when it is locked', async () => {
  const session = await KeychainSession.start();
  try {
    const more = { ...session.env, GLM_TOKEN_STORE: 'keychain', GLM_TOKEN_PROMPT_TIMEOUT: '1s' };
    await glmToken(['store'], { env: { ...env, ...more }, input: KEY });
    const open = await examine([], more);
    assert.deepEqual(open.findings.store, {
      level: 'ok',
      message: 'the keychain (Secret Service)',
    });
    assert.equal(open.status, 0);
    await session.keepForSession();
    const { store } = (await examine([], more)).findings;
    assert.deepEqual(
      [store?.level, store?.hint],
      ['warning', 'keep the key somewhere else as well'],
    );
    assert.match(
      store?.message ?? '',
      /^the keychain \(Secret Service\): its default keyring is that of the session, .* lost at logout$/,
    );
    await session.lock();
    const locked = await examine([], more);
    assert.deepEqual([locked.status, locked.findings.store?.code], [6, 'ERR_STORE_LOCKED']);
  } finally {
    await session.stop();
  }
});

test('a passphrase file that others can read is a warning', async () => {
  writeFileSync(join(home, 'open'), 'correct horse\n', { mode: 0o644 });
  const { status, findings } = await examine([], { GLM_TOKEN_PASSPHRASE_FILE: join(home, 'open') });
  assert.equal(status, 0);
  assert.deepEqual(findings.environment, {
    level: 'warning',
    message: `others can read the passphrase in ${home}/open`,
    hint: `run: chmod 600 ${home}/open`,
  });
});

describe('the clock', () => {
  test('may be off by a few seconds', async () => {
    glm.skewMs = 20_000;
    const { status, findings } = await examine();
    assert.deepEqual([status, findings.clock?.level], [0, 'ok']);
  });

  test('only shortens tokens when it is less behind than they live', async () => {
    glm.skewMs = 60_000;
    const { status, findings } = await examine(['--live']);
    assert.deepEqual([status, findings.clock?.level], [0, 'warning']);
    assert.match(
      findings.clock?.message ?? '',
      /so that tokens expire that much sooner there, and may be refused$/,
    );
    assert.equal(findings.live?.level, 'ok');
  });

  for (const [hours, message] of [
    [1, /^1 h behind 127\S+, so that tokens are expired on arrival$/],
    [-2, /^2 h ahead of 127\S+, so that tokens are from the future$/],
  ] as const) {
    test(`is a warning with its cure when it is off by ${hours} h`, async () => {
      // A little more, since the answer says its time in whole seconds, and some pass until it is read.
      glm.skewMs = hours * HOUR_MS + Math.sign(hours) * 20_000;
      const { status, findings } = await examine();
      assert.deepEqual([status, findings.clock?.level], [0, 'warning']);
      assert.match(findings.clock?.message ?? '', message);
      assert.equal(findings.clock?.hint, 'set it right: sudo timedatectl set-ntp true');
    });
  }

  test('is the reason when the service refuses a fresh token as expired', async () => {
    glm.skewMs = HOUR_MS;
    const { status, findings } = await examine(['--live']);
    assert.equal(status, 10);
    assert.match(findings.live?.message ?? '', /code 1003: .*expired/);
    assert.match(findings.live?.hint ?? '', /^set the clock right first/);
  });

  test('is one of two reasons for that when it is less behind than a token lives', async () => {
    glm.skewMs = 50_000;
    glm.failWith = { status: 401, code: '1003', message: 'x' };
    const { findings } = await examine(['--live']);
    assert.equal(findings.clock?.level, 'warning');
    assert.match(findings.live?.message ?? '', /code 1003: .*expired/);
    assert.match(findings.live?.hint ?? '', /clock may be behind .* lifetime too short/);
  });

  test('is unknown when the host is decades away', async () => {
    glm.skewMs = 30 * 365 * 24 * HOUR_MS;
    const { status, findings } = await examine();
    assert.equal(status, 0);
    assert.deepEqual(findings.clock, {
      level: 'warning',
      message: `${glm.host} does not say its time`,
      hint: "compare this machine's clock with another one",
    });
  });
});

describe('a host that answers oddly', () => {
  for (const [what, head] of Object.entries({
    'a Date that is none': 'HTTP/1.1 200 OK\r\nDate: yesterday\r\nContent-Length: 0\r\n\r\n',
    'no Date': 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n',
    'status 101': 'HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n',
  })) {
    test(`with ${what} does not say its time`, async () => {
      const odd = await answering(head);
      try {
        const { status, findings } = await examine(['--host', odd.host]);
        assert.equal(status, 3, 'there is no key for it');
        assert.equal(findings.host?.level, 'ok');
        assert.deepEqual(
          [findings.clock?.level, findings.clock?.message],
          ['warning', `${odd.host} does not say its time`],
        );
      } finally {
        await odd.stop();
      }
    });
  }

  test('with status 101 to a token is not the service', async () => {
    const odd = await answering(
      'HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n',
    );
    try {
      await storeKey(odd.host, KEY);
      const { status, findings } = await examine(['--live', '--host', odd.host]);
      assert.equal(status, 10);
      assert.equal(findings.live?.message, `not checked: ${odd.host} answers 101`);
    } finally {
      await odd.stop();
    }
  });

  /** An HTTPS host that answers each request with the same bytes. */
  const answering = (head: string) =>
    listening(
      createTlsServer(certificate, (socket) => {
        socket.on('error', () => {});
        socket.on('data', () => socket.write(head));
      }),
    );
});

/** Any server on a port of this machine. */
async function listening(server: Server) {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    stop: () =>
      new Promise<void>((resolve) => {
        for (const socket of sockets) socket.destroy();
        server.close(() => resolve());
      }),
  };
}

describe('--live', () => {
  test('sends one token, which the service accepts', async () => {
    const { status, findings } = await examine(['--live']);
    assert.equal(status, 0);
    assert.match(findings.live?.message ?? '', /^checked: the service accepts the key for 127/);
    const sent = glm.seen.filter(({ token }) => token);
    assert.deepEqual(
      sent.map(({ method, path, refused }) => [method, path, refused]),
      [['GET', '/api/paas/v4/models', undefined]],
    );
  });

  test('explains the error that the service answers with', async () => {
    await storeKey(glm.host, 'id0123456789.othersecret');
    const wrongKey = await examine(['--live']);
    assert.deepEqual([wrongKey.status, wrongKey.findings.live?.code], [10, 'ERR_NETWORK']);
    assert.match(
      wrongKey.findings.live?.message ?? '',
      /answers 401, code 1004: the service refuses the key: it was revoked or mistyped$/,
    );
    assert.ok(
      wrongKey.findings.live?.hint?.endsWith(
        `and store it again: ${CALL} store --force --host ${glm.host}`,
      ),
    );
    glm.failWith = { status: 429, code: '1113', message: 'x' };
    const noMoney = await examine(['--live']);
    assert.match(
      noMoney.findings.live?.message ?? '',
      /429, code 1113: the account has no balance left$/,
    );
    glm.failWith = { status: 418, code: 'eyJx.secret', message: 'x' };
    const strange = await examine(['--live']);
    assert.equal(strange.status, 10);
    assert.match(strange.findings.live?.message ?? '', /^not checked: \S+ answers 418$/);
  });

  test('a service that is busy says nothing of the key, and is no failure', async () => {
    for (const [status, code] of [
      [429, '1302'],
      [200, '1305'],
      [503, '503'],
    ] as const) {
      glm.failWith = { status, code, message: 'x' };
      const { findings, ...busy } = await examine(['--live']);
      assert.deepEqual([busy.status, findings.live?.level], [0, 'unchecked'], code);
      assert.match(findings.live?.message ?? '', /^not checked: /);
    }
  });
});

describe('proxies from the environment', () => {
  let proxy: ProxyServer;
  let host: string;
  beforeEach(async () => {
    host = glm.host.replace('127.0.0.1', 'localhost');
    await storeKey(host, KEY);
  });
  afterEach(() => proxy.stop());

  test('an HTTP proxy is used, with or without its scheme, except where NO_PROXY excludes the host', async () => {
    proxy = await startHttpProxy();
    for (const value of [`http://user:pw@${proxy.host}`, proxy.host]) {
      const { status, findings } = await examine(['--live', '--host', host], {
        https_proxy: value,
      });
      assert.equal(status, 0, findings.host?.message);
      assert.ok(findings.host?.message.endsWith(`, through the proxy http://${proxy.host}`));
      assert.doesNotMatch(JSON.stringify(findings), /pw/);
    }
    assert.deepEqual(proxy.asked, Array(4).fill(host));
    const direct = { HTTPS_PROXY: `http://${proxy.host}`, NO_PROXY: 'localhost' };
    await examine(['--host', host], direct);
    assert.equal(proxy.asked.length, 4);
  });

  test('an HTTP proxy is used for a host that is an address', async () => {
    proxy = await startHttpProxy();
    const { status, findings } = await examine(['--live', '--host', glm.host], {
      https_proxy: proxy.host,
    });
    assert.equal(status, 0, findings.host?.message);
    assert.deepEqual(proxy.asked, [glm.host, glm.host]);
  });

  test('the host is reached through the proxy alone', async () => {
    proxy = await startHttpProxy();
    // A host that only the proxy can reach: it connects everything to the stand-in.
    const hidden = 'localhost:1';
    await storeKey(hidden, KEY);
    const redirect = (_request: unknown, client: Socket) => {
      const upstream = connect(Number(glm.host.split(':')[1]), '127.0.0.1', () => {
        client.write('HTTP/1.1 200 OK\r\n\r\n');
        client.pipe(upstream).pipe(client);
      });
      for (const socket of [client, upstream]) socket.on('error', () => {});
    };
    for (const [scheme, server] of [
      ['http', createHttpServer()],
      ['https', createHttpsServer(certificate)],
    ] as const) {
      server.on('connect', redirect);
      const { host: proxyHost, stop } = await listening(server);
      const { status, findings } = await examine(['--live', '--host', hidden], {
        https_proxy: `${scheme}://${proxyHost}`,
      });
      await stop();
      assert.equal(status, 0, findings.host?.message);
      assert.ok(findings.host?.message.endsWith(`through the proxy ${scheme}://${proxyHost}`));
      assert.equal(findings.live?.level, 'ok');
    }
    assert.equal(glm.seen.filter(({ token }) => token).length, 2);
  });

  test('a proxy that does not answer is named, with its variable', async () => {
    proxy = await startHttpProxy();
    await proxy.stop();
    const more = { https_proxy: `http://${proxy.host}` };
    const { status, findings } = await examine(['--host', glm.host], more);
    assert.equal(status, 10);
    assert.equal(
      findings.host?.message,
      `cannot reach ${glm.host} through the proxy http://${proxy.host}: ECONNREFUSED`,
    );
    assert.equal(findings.host?.hint, 'check https_proxy, and that the proxy is running');
  });

  test('a proxy whose URL is none is named by its variable', async () => {
    proxy = await startHttpProxy();
    const { status, findings } = await examine([], { HTTPS_PROXY: 'http://[half' });
    assert.equal(status, 10);
    assert.deepEqual(findings.host, {
      level: 'failure',
      message: 'HTTPS_PROXY is not the URL of a proxy',
      hint: 'set it to one such as http://127.0.0.1:7890',
      code: 'ERR_NETWORK',
    });
  });

  test('a SOCKS proxy gets the name with socks5h and the address with socks5', async () => {
    proxy = await startSocksProxy();
    for (const scheme of ['socks5h', 'socks5']) {
      const more = { ALL_PROXY: `${scheme}://${proxy.host}` };
      const { status, findings } = await examine(['--host', host], more);
      assert.equal(status, 0, findings.host?.message);
      assert.ok(findings.host?.message.endsWith(`, through the proxy ${scheme}://${proxy.host}`));
    }
    assert.deepEqual(proxy.asked, [host, glm.host]);
  });
});

test('a host or proxy that never finishes is given up', async () => {
  const limit = /: no answer within 15 s$/;
  const servers: Record<string, [server: Server, scheme: string, message: RegExp]> = {
    'a proxy that accepts and is silent': [createServer(), 'http', limit],
    'a proxy that drips': [createServer((socket) => drip(socket, 'X')), 'http', limit],
    'a proxy that sends endless headers': [
      createServer((socket) => flood(socket)),
      'http',
      /: HPE_HEADER_OVERFLOW$/,
    ],
    'a proxy that connects to silence': [
      createServer((socket) => socket.write('HTTP/1.1 200 OK\r\n\r\n')),
      'http',
      limit,
    ],
    'a SOCKS proxy that is silent': [createServer(), 'socks5h', limit],
    'a SOCKS proxy that drips': [
      createServer((socket) => drip(socket, '\0')),
      'socks5h',
      /through the proxy socks5h:/,
    ],
    'a host that drips': [createTlsServer(certificate, (socket) => drip(socket, 'X')), '', limit],
  };
  await Promise.all(
    Object.entries(servers).map(async ([what, [server, scheme, message]]) => {
      const { host, stop } = await listening(server);
      try {
        const { status, findings } = await (scheme
          ? examine([], { ALL_PROXY: `${scheme}://${host}` })
          : examine(['--host', host]));
        assert.deepEqual([findings.host?.level, findings.host?.code], ['failure', 'ERR_NETWORK']);
        assert.match(findings.host?.message ?? '', message, what);
        assert.equal(status, scheme ? 10 : 3, what);
      } finally {
        await stop();
      }
    }),
  );
});

/** Answers a head that never ends, a few bytes a second. */
function drip(socket: Socket, byte: string): void {
  socket.write(byte === '\0' ? '' : 'HTTP/1.1 200 OK\r\nX: ');
  const timer = setInterval(() => socket.write(byte), 250);
  socket.on('close', () => clearInterval(timer));
}

/** Answers headers for as long as they are read. */
function flood(socket: Socket): void {
  socket.write('HTTP/1.1 200 OK\r\n');
  const timer = setInterval(() => socket.write(`X: ${'x'.repeat(8000)}\r\n`), 5);
  socket.on('close', () => clearInterval(timer));
}

describe('in the helper', () => {
  let helper: Helper | undefined;
  afterEach(() => helper?.stop());

  const findingsOf = async (more: Env = {}, params: object = {}): Promise<Report['findings']> => {
    helper = new Helper({ ...env, ...more });
    const { result } = await helper.request('doctor', params);
    const findings = result?.findings as { check: string; level: string; message: string }[];
    return Object.fromEntries(findings.map(({ check, ...finding }) => [check, finding]));
  };

  test('a locked encrypted file is no failure, since the next request asks for its passphrase', async () => {
    const findings = await findingsOf({ GLM_TOKEN_PASSPHRASE_FILE: '' });
    assert.equal(findings.store?.level, 'ok');
    assert.match(
      findings.store?.message ?? '',
      /^the encrypted file \(.*\), locked; the next request asks for its passphrase$/,
    );
    assert.equal(findings.key, undefined);
    assert.ok(Object.values(findings).every(({ level }) => level !== 'failure'));
    const status = await helper?.request('status');
    assert.equal(status?.result?.lock, 'locked');
  });

  test('the findings are those of the program', async () => {
    const findings = await findingsOf();
    const program = (await examine()).findings;
    assert.deepEqual([...Object.keys(findings), 'live'], Object.keys(program));
    for (const check of Object.keys(findings)) {
      assert.equal(findings[check]?.level, program[check]?.level, check);
    }
    assert.doesNotMatch(JSON.stringify(findings), /secretsecret|eyJ/);
  });

  test('the account in question is looked at', async () => {
    const findings = await findingsOf({}, { profile: 'work' });
    assert.deepEqual([findings.key?.level, findings.key?.code], ['failure', 'ERR_KEY_NOT_FOUND']);
    const store = `run: ${CALL} store --host ${glm.host} --profile work`;
    assert.equal(findings.key?.hint, `${store}; there is a key for: ${glm.host}`);
  });
});
