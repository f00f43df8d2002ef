/** doctor, against a real HTTPS server whose clock is off, through real proxies and without. */

import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { type Certificate, makeCertificate } from '../support/certificate.ts';
import { BARE_ENV, type Env } from '../support/environment.ts';
import { GlmServer } from '../support/glm-server.ts';
import { Helper } from '../support/helper.ts';
import { KeychainSession } from '../support/keychain.ts';
import { glmToken } from '../support/program.ts';
import { type ProxyServer, startHttpProxy, startSocksProxy } from '../support/proxy.ts';

const HOUR_MS = 3_600_000;

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
  const stored = await glmToken(['store'], { env, input: 'id0123456789.secretsecret' });
  assert.equal(stored.status, 0, stored.stderr);
});
afterEach(async () => {
  await glm.stop();
  rmSync(home, { recursive: true, force: true });
});

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

test('all is well: a line a check, exit 0, and no credentials sent', async () => {
  const { status, stdout, stderr } = await glmToken(['doctor'], { env });
  assert.deepEqual([status, stderr], [0, '']);
  const lines = stdout.trimEnd().split('\n');
  const checks = ['version', 'node', 'store', 'key', 'token', 'host', 'clock'];
  assert.deepEqual(
    lines.map((line) => line.split(/ +/).slice(0, 2)),
    checks.map((check) => ['ok', check]),
  );
  assert.match(stdout, /id01…6789 for 127\.0\.0\.1:\d+ has the shape of one/);
  assert.match(stdout, /clock +within 1 s of 127/);
  assert.doesNotMatch(stdout, /secretsecret|eyJ/);
  assert.deepEqual(
    glm.seen.map(({ method, path, token }) => [method, path, token]),
    [['HEAD', '/api/paas/v4/models', undefined]],
  );
});

test('--json has the same, and a version of its form', async () => {
  const { schemaVersion, ok, findings } = await examine();
  assert.deepEqual([schemaVersion, ok], [1, true]);
  for (const { level, message } of Object.values(findings)) {
    assert.equal(level, 'ok', message);
  }
});

describe('what is wrong decides the exit status', () => {
  test('no key: 3', async () => {
    await glmToken(['delete', '--force'], { env });
    const { status, findings } = await examine();
    assert.equal(status, 3);
    assert.deepEqual(findings.key, {
      level: 'failure',
      message: 'no key is stored yet',
      hint: 'run: glm-token store',
      code: 'ERR_KEY_NOT_FOUND',
    });
    assert.equal(findings.host?.level, 'ok', 'it goes on');
  });

  test('none for the account that was asked about: 3', async () => {
    const { status, findings } = await examine(['--profile', 'work']);
    assert.equal(status, 3);
    assert.match(findings.key?.hint ?? '', /glm-token store .*--profile work$/);
  });

  test('no passphrase: 7', async () => {
    const { status, findings } = await examine([], { GLM_TOKEN_PASSPHRASE_FILE: '' });
    assert.deepEqual([status, findings.store?.code], [7, 'ERR_PASSPHRASE']);
  });

  test('no keychain: 5, unless the key comes from the environment', async () => {
    const more = { GLM_TOKEN_STORE: 'keychain' };
    const { status, findings } = await examine([], more);
    assert.deepEqual([status, findings.store?.code], [5, 'ERR_STORE_UNAVAILABLE']);
    const served = await examine([], { ...more, GLM_API_KEY: 'id0123456789.secretsecret' });
    assert.equal(served.status, 0);
    assert.deepEqual(
      [served.findings.env?.level, served.findings.store?.level, served.findings.token?.level],
      ['warning', 'warning', 'ok'],
    );
  });

  test('a key in the environment that is none: 4, and it is not shown', async () => {
    const { status, findings } = await examine([], { GLM_API_KEY: 'Garbage' });
    assert.deepEqual([status, findings.key?.code], [4, 'ERR_KEY_MALFORMED']);
    assert.doesNotMatch(JSON.stringify(findings), /Garbage/);
  });

  test('nobody there: 10', async () => {
    await glm.stop();
    const { status, findings } = await examine();
    assert.deepEqual([status, findings.host?.code], [10, 'ERR_NETWORK']);
    assert.match(findings.host?.message ?? '', /^cannot reach 127\.0\.0\.1:\d+: ECONNREFUSED$/);
  });

  test('a certificate that is not trusted: 10, and what to set', async () => {
    const { status, findings } = await examine([], { NODE_EXTRA_CA_CERTS: '' });
    assert.equal(status, 10);
    assert.match(findings.host?.hint ?? '', /NODE_EXTRA_CA_CERTS/);
  });

  test('a certificate that is out of date: the clock may be what is wrong', async () => {
    await glm.stop();
    const expired = await makeCertificate({ expired: true });
    glm = await GlmServer.start({}, { tls: expired });
    const more = { NODE_EXTRA_CA_CERTS: expired.file };
    const { status, findings } = await examine(['--host', glm.host], more);
    expired.remove();
    assert.equal(status, 3, 'there is no key for it either');
    assert.match(findings.host?.message ?? '', /CERT_HAS_EXPIRED$/);
    assert.match(findings.host?.hint ?? '', /check the clock/);
  });

  test('the first failure counts, since the others may follow from it', async () => {
    await glm.stop();
    assert.equal((await examine([], { GLM_TOKEN_PASSPHRASE_FILE: '/nonexistent' })).status, 7);
  });
});

test('a real keychain: open, and then locked, which is 6 and not 3', async () => {
  const session = await KeychainSession.start();
  try {
    const more = { ...session.env, GLM_TOKEN_STORE: 'keychain', GLM_TOKEN_KEYCHAIN_TIMEOUT: '1s' };
    await glmToken(['store'], { env: { ...env, ...more }, input: 'id0123456789.secretsecret' });
    const open = await examine([], more);
    assert.equal(
      open.findings.store?.message,
      'the keychain (Secret Service); it survives a reboot',
    );
    assert.equal(open.status, 0);
    await session.keepForSession();
    const { store } = (await examine([], more)).findings;
    assert.deepEqual(
      [store?.level, store?.hint],
      ['warning', 'keep the key somewhere else as well'],
    );
    assert.match(store?.message ?? '', /is that of the session, and ends with it$/);
    await session.lock();
    const locked = await examine([], more);
    assert.deepEqual([locked.status, locked.findings.store?.code], [6, 'ERR_STORE_LOCKED']);
  } finally {
    await session.stop();
  }
});

test('a passphrase that others can read is a warning', async () => {
  writeFileSync(join(home, 'open'), 'correct horse\n', { mode: 0o644 });
  const { status, findings } = await examine([], { GLM_TOKEN_PASSPHRASE_FILE: join(home, 'open') });
  assert.equal(status, 0);
  assert.deepEqual(
    [findings.env?.level, findings.env?.hint],
    ['warning', `run: chmod 600 ${home}/open`],
  );
});

describe('the clock', () => {
  let helper: Helper | undefined;
  afterEach(() => helper?.stop());
  const claimsOf = (token: string) =>
    JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString());
  const issuedAhead = async () =>
    claimsOf((await glmToken(['print'], { env })).stdout).timestamp - Date.now();
  const clockFile = () => join(home, '.local/share/glm-token/clock.json');

  test('a few seconds off is well', async () => {
    glm.skewMs = 20_000;
    const { status, findings } = await examine();
    assert.deepEqual([status, findings.clock?.level], [0, 'ok']);
  });

  for (const [skewMs, message] of [
    [HOUR_MS, /^1 h behind 127.* expired when they get there$/],
    [-2 * HOUR_MS, /^2 h ahead of 127.* from the future$/],
  ] as const) {
    test(`off by ${skewMs / HOUR_MS} h: a warning, and how to mend it`, async () => {
      glm.skewMs = skewMs;
      const { status, findings } = await examine();
      assert.deepEqual([status, findings.clock?.level], [0, 'warning']);
      assert.match(findings.clock?.message ?? '', message);
      assert.match(findings.clock?.hint ?? '', /timedatectl set-ntp true.*doctor --save-clock$/);
    });
  }

  test('--save-clock: from then on tokens are signed on the time of the host', async () => {
    glm.skewMs = HOUR_MS;
    const refused = await examine(['--live']);
    assert.match(refused.findings.live?.message ?? '', /code 1003: .*expired/);
    const { status, findings } = await examine(['--save-clock', '--live']);
    assert.equal(status, 0);
    assert.match(findings.clock?.message ?? '', /^1 h behind .*signed on its time for 1 d more$/);
    assert.equal(findings.live?.level, 'ok');
    assert.equal(glm.seen.at(-1)?.refused, undefined);
    assert.ok(Math.abs((await issuedAhead()) - HOUR_MS) < 5000);

    helper = new Helper(env);
    const { result } = await helper.request('token');
    assert.ok(Math.abs(claimsOf(String(result?.token)).timestamp - Date.now() - HOUR_MS) < 5000);
    const status1 = (await helper.request('status')).result?.clock as Record<string, unknown>;
    assert.ok(Math.abs(Number(status1.offset) - HOUR_MS) < 5000);
    assert.equal(status1.host, glm.host);

    // The clock was mended elsewhere, or the measurement is of no use any more.
    glm.skewMs = 0;
    assert.match(
      (await examine()).findings.clock?.message ?? '',
      /the saved offset is off by (1 h|59 min)/,
    );
    assert.match((await examine(['--save-clock'])).findings.clock?.message ?? '', /^within/);
    assert.ok(Math.abs(await issuedAhead()) < 5000);
    assert.equal((await helper.request('status')).result?.clock, null, 'the helper sees it too');
  });

  test('an offset is dropped after a day, a restart or a change of the clock', async () => {
    glm.skewMs = HOUR_MS;
    await examine(['--save-clock']);
    const saved = JSON.parse(readFileSync(clockFile(), 'utf8'));
    const dayMs = 86_400_000;
    for (const change of [
      { measuredAtMs: saved.measuredAtMs - dayMs, untilMs: saved.untilMs - dayMs },
      { bootedAtMs: saved.bootedAtMs + 60_000 },
      { measuredAtMs: saved.measuredAtMs + dayMs, untilMs: saved.untilMs + dayMs },
      { offsetMs: 'x' },
    ]) {
      writeFileSync(clockFile(), JSON.stringify({ ...saved, ...change }), { mode: 0o600 });
      assert.ok(Math.abs(await issuedAhead()) < 5000, JSON.stringify(change));
    }
    writeFileSync(clockFile(), 'not JSON', { mode: 0o600 });
    assert.ok(Math.abs(await issuedAhead()) < 5000);
    writeFileSync(clockFile(), JSON.stringify(saved), { mode: 0o600 });
    assert.ok(Math.abs((await issuedAhead()) - HOUR_MS) < 5000);
  });
});

describe('--live', () => {
  test('sends one token, which the service takes', async () => {
    const { status, findings } = await examine(['--live']);
    assert.equal(status, 0);
    assert.match(findings.live?.message ?? '', /^the service takes a token for 127/);
    const sent = glm.seen.filter(({ token }) => token);
    assert.deepEqual(
      sent.map(({ method, path, refused }) => [method, path, refused]),
      [['GET', '/api/paas/v4/models', undefined]],
    );
  });

  test('explains what the service says', async () => {
    await glmToken(['store', '--force'], { env, input: 'id0123456789.othersecret' });
    const wrongKey = await examine(['--live']);
    assert.deepEqual([wrongKey.status, wrongKey.findings.live?.code], [10, 'ERR_NETWORK']);
    assert.match(
      wrongKey.findings.live?.message ?? '',
      /answers 401, code 1004: .*refuses the key/,
    );
    assert.match(wrongKey.findings.live?.hint ?? '', /glm-token store --force/);
    glm.failWith = { status: 429, code: '1113', message: 'x' };
    const noMoney = await examine(['--live']);
    assert.match(noMoney.findings.live?.message ?? '', /429, code 1113: .*no balance/);
    glm.failWith = { status: 503, code: 'eyJx.secret', message: 'x' };
    const strange = await examine(['--live']);
    assert.match(strange.findings.live?.message ?? '', /answers 503$/);
  });
});

describe('proxies from the environment', () => {
  let proxy: ProxyServer;
  let host: string;
  beforeEach(async () => {
    host = glm.host.replace('127.0.0.1', 'localhost');
    const input = 'id0123456789.secretsecret';
    await glmToken(['store', `--host=${host}`], { env, input });
  });
  afterEach(() => proxy.stop());

  test('an HTTP proxy, with and without its scheme, and NO_PROXY', async () => {
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

  test('a proxy that is not there is named', async () => {
    proxy = await startHttpProxy();
    await proxy.stop();
    const { status, findings } = await examine([], { https_proxy: `http://${proxy.host}` });
    assert.equal(status, 10);
    assert.match(findings.host?.message ?? '', /through the proxy http:.*ECONNREFUSED/);
    assert.match(findings.host?.hint ?? '', /check https_proxy/);
  });

  test('a SOCKS proxy', async () => {
    proxy = await startSocksProxy();
    const { status, findings } = await examine(['--host', host], {
      ALL_PROXY: `socks5h://${proxy.host}`,
    });
    assert.equal(status, 0, findings.host?.message);
    assert.deepEqual(proxy.asked, [host]);
  });
});
