/** End to end: an empty home, a real keychain, a real gptel in a real Emacs, six requests. */

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { emacsen, runErt } from '../support/emacs.ts';
import { type Env, PROGRAM } from '../support/environment.ts';
import { GlmServer } from '../support/glm-server.ts';
import { KeychainSession } from '../support/keychain.ts';
import { glmToken } from '../support/program.ts';

const ID = '0123456789abcdef0123456789abcdef';
const SECRET = 'verysecretsecret';

/** Processes other than this one in whose arguments or environment a text is. */
function processesWith(text: string): string[] {
  return readdirSync('/proc')
    .filter((pid) => /^\d+$/.test(pid) && Number(pid) !== process.pid)
    .flatMap((pid) => {
      try {
        const [args, env] = ['cmdline', 'environ'].map((file) =>
          readFileSync(`/proc/${pid}/${file}`, 'utf8'),
        );
        return args?.includes(text) || env?.includes(text) ? [args ?? pid] : [];
      } catch {
        return []; // It ended meanwhile, or is not ours to read.
      }
    });
}

for (const { emacs, version } of await emacsen()) {
  describe(`gptel in Emacs ${version}`, () => {
    let session: KeychainSession;
    let glm: GlmServer;
    let env: Env;
    const leaks: string[] = [];
    before(async () => {
      session = await KeychainSession.start();
      glm = await GlmServer.start({ [ID]: SECRET, idinfile: 'anothersecret' });
      glm.onRequest = () => leaks.push(...processesWith(SECRET));
      env = {
        ...session.env,
        GLM_TEST_NODE: process.execPath,
        GLM_TEST_SCRIPT: PROGRAM,
        GLM_TEST_HOST: glm.host,
      };
      const stored = await glmToken(['store', '--host', glm.host], {
        env,
        input: `${ID}.${SECRET}\n`,
      });
      assert.equal(stored.status, 0, stored.stderr);
    });
    after(async () => {
      await glm.stop();
      await session.stop();
    });

    test('ERT: requests, failures, backends', async () => {
      const count = await runErt(emacs, 'glm-gptel-auth-gptel-test.el', { gptel: true, env });
      assert.ok(count >= 8);
    });

    test('every request carried a valid token of its own, younger than two seconds', () => {
      assert.ok(glm.seen.length >= 6);
      assert.deepEqual(
        glm.seen.filter(({ refused }) => refused !== undefined),
        [],
      );
      assert.equal(new Set(glm.seen.map(({ token }) => token)).size, glm.seen.length);
      for (const { ageMs } of glm.seen) assert.ok(ageMs !== undefined && ageMs < 2000, `${ageMs}`);
    });

    test("the key's secret was in no process's arguments or environment", () => {
      assert.deepEqual(leaks, []);
    });
  });
}

describe('the stand-in is as strict as the service', () => {
  let glm: GlmServer;
  before(async () => {
    glm = await GlmServer.start({ id: 'secret' });
  });
  after(() => glm.stop());

  const codeFor = async (authorization?: string) => {
    const response = await fetch(`http://${glm.host}/api/paas/v4/models`, {
      headers: authorization ? { authorization } : {},
    });
    const body = (await response.json()) as { error?: { code: string } };
    return [response.status, body.error?.code];
  };
  const sign = async (payload: object, header: object, secret = 'secret') => {
    const { createHmac } = await import('node:crypto');
    const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const signed = `${encode(header)}.${encode(payload)}`;
    return `Bearer ${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`;
  };
  const header = { alg: 'HS256', sign_type: 'SIGN', typ: 'JWT' };
  const claims = (now: number) => ({ api_key: 'id', exp: now + 60_000, timestamp: now });

  test('it takes a good token and refuses every other with the code for it', async () => {
    const now = Date.now();
    const seconds = Math.floor(now / 1000);
    assert.deepEqual(await codeFor(await sign(claims(now), header)), [200, undefined]);
    assert.deepEqual(await codeFor(), [401, '1001']);
    const refused: [string, string][] = [
      ['id.secret', '1002'],
      ['Bearer id.secret', '1002'],
      [(await sign(claims(now), header)).replace('Bearer', 'Basic'), '1002'],
      [await sign(claims(now), { alg: 'HS256', typ: 'JWT' }), '1002'],
      [await sign(claims(now), { ...header, alg: 'HS512' }), '1002'],
      [await sign({ ...claims(now), extra: 1 }, header), '1002'],
      [await sign({ api_key: 'id', exp: seconds + 60, timestamp: seconds }, header), '1002'],
      [await sign(claims(now * 1000), header), '1002'],
      [await sign({ ...claims(now), exp: now - 1 }, header), '1003'],
      [await sign(claims(now - 600_000), header), '1003'],
      [await sign(claims(now + 600_000), header), '1000'],
      [await sign(claims(now), header, 'other'), '1004'],
      [await sign({ ...claims(now), api_key: 'who' }, header), '1004'],
    ];
    for (const [authorization, code] of refused) {
      assert.deepEqual(await codeFor(authorization), [401, code], authorization);
    }
  });
});
