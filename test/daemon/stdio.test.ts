/** The helper's streams: what it makes of any input, how it bears a flood, and how it ends. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { BARE_ENV, type Env, PROGRAM } from '../support/environment.ts';
import { Helper, hasEnded } from '../support/helper.ts';
import { KeychainSession } from '../support/keychain.ts';
import { glmToken, run } from '../support/program.ts';

let home: string;
let env: Env;
let helper: Helper;
beforeEach(() => {
  home = mkdtempSync(`${tmpdir()}/glm-token-test-`);
  env = { ...BARE_ENV, HOME: home, GLM_API_KEY: 'id.secretsecret' };
  helper = new Helper(env);
});
afterEach(async () => {
  helper.child.kill('SIGKILL');
  await helper.ended();
  rmSync(home, { recursive: true });
});

/** Resident memory of the helper, in MB. */
const memoryOf = ({ pid }: Helper) =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;

const descriptorsOf = ({ pid }: Helper) => readdirSync(`/proc/${pid}/fd`).length;

describe('input that makes no sense ends it with 9 and a message', () => {
  const unintelligible = 'the client does not speak JSON-RPC 2.0 in frames';
  const tooLong = 'the client sent a message that is too long';
  const cases: Record<string, [input: string | Buffer, message: string]> = {
    'a message that is not JSON': ['Content-Length: 9\r\n\r\n{"jsonrpc', unintelligible],
    'a header without a length': ['Content-Type: text/plain\r\n\r\n{}', unintelligible],
    'a length that is not a number': ['Content-Length: many\r\n\r\n{}', unintelligible],
    'a negative length': ['Content-Length: -1\r\n\r\n{}', unintelligible],
    'a message of 100 MB': [
      Buffer.concat([
        Buffer.from('Content-Length: 99999999\r\n\r\n'),
        Buffer.alloc(3_000_000, 'x'),
      ]),
      tooLong,
    ],
    'a message of a byte more than 1 MiB': ['Content-Length: 1048577\r\n\r\n', tooLong],
    'a header of 3 MB of noise': [Buffer.alloc(3_000_000, 'noise '), unintelligible],
    'a header of 3 MB of short lines': [Buffer.alloc(3_000_000, 'noise: x\r\n'), unintelligible],
  };
  for (const [what, [input, message]] of Object.entries(cases)) {
    test(what, async () => {
      helper.write(input);
      assert.equal(await helper.ended(), 9);
      assert.equal(
        helper.stderr,
        `glm-token: ${message}\nhint: update glm-token and its client together\n`,
      );
    });
  }

  test('also after requests that made sense', async () => {
    assert.ok((await helper.request('token')).result);
    helper.write('noise\r\n\r\n');
    assert.equal(await helper.ended(), 9);
  });
});

describe('input in any portions', () => {
  test('half a frame is waited for, and end of input in it is an end', async () => {
    const frame = Helper.frame({ id: 77, method: 'token' });
    helper.write(frame.slice(0, 30));
    assert.equal(await Promise.race([helper.ended(), delay(300, 'alive')]), 'alive');
    helper.child.stdin.end();
    assert.equal(await helper.ended(), 0);
  });

  test('a request in single bytes is one request', async () => {
    const reply = helper.request('status');
    for (const byte of Helper.frame({ id: 500, method: 'token' })) {
      helper.write(byte);
      await delay(1);
    }
    assert.ok((await reply).result);
    assert.ok((await helper.request('token')).result);
  });

  test('a message of almost 1 MiB is answered', async () => {
    const { error } = await helper.request('store', { key: 'x'.repeat(1_000_000) });
    assert.equal(error?.data.code, 'ERR_KEY_MALFORMED');
  });

  test('a header with more fields than the length is accepted', async () => {
    const reply = helper.request('status');
    await reply;
    const next = helper.request('status');
    const frame = Helper.frame({ id: 900, method: 'token' });
    helper.write(`Content-Type: application/vscode-jsonrpc; charset=utf-8\r\n${frame}`);
    helper.write(frame.replace('Content-Length', 'content-length'));
    assert.ok((await next).result);
    assert.ok((await helper.request('token')).result);
  });
});

describe('many requests', () => {
  test('20 000 in one write are all answered, each with its own', async () => {
    const COUNT = 20_000;
    const frames: string[] = [];
    const { write } = helper;
    helper.write = (text) => frames.push(String(text));
    const replies = Array.from({ length: COUNT }, () =>
      helper.request('explain', { code: '1004' }),
    );
    helper.write = write;
    helper.write(frames.join(''));
    for (const [n, { id, result }] of (await Promise.all(replies)).entries()) {
      assert.equal(id, n + 1);
      assert.match(String(result?.message), /refuses the key/);
    }
    assert.ok(memoryOf(helper) < 200, `${memoryOf(helper)} MB`);
  });

  test('a client that does not read its answers is held back', async () => {
    await helper.request('token');
    helper.child.stdout.pause();
    const { stdin } = helper.child;
    let id = 1_000_000;
    let written = 0;
    for (;;) {
      const frame = () => Helper.frame({ id: id++, method: 'explain', params: { code: '1004' } });
      const block = Array.from({ length: 1000 }, frame).join('');
      written += block.length;
      if (stdin.write(block)) continue;
      const drained = once(stdin, 'drain').then(() => true);
      if (!(await Promise.race([drained, delay(1000, false)]))) break;
      assert.ok(written < 20_000_000, 'it takes requests without end');
    }
    assert.ok(memoryOf(helper) < 150, `${memoryOf(helper)} MB`);

    // Once the client reads, all is answered.
    const last = helper.request('token');
    helper.child.stdout.resume();
    assert.ok((await last).result);
  });

  test('2 000 tokens leave the descriptors as they were, and memory below 150 MB', async () => {
    const session = await KeychainSession.start();
    const own = new Helper(session.env);
    try {
      await glmToken(['store'], { env: session.env, input: 'id.secretsecret' });
      for (let n = 0; n < 10; n += 1) await own.request('token');
      const start = descriptorsOf(own);
      for (let n = 0; n < 2000; n += 1) assert.ok((await own.request('token')).result?.token);
      // One may be about to be closed.
      for (let tries = 0; descriptorsOf(own) > start && tries < 40; tries += 1) await delay(50);
      assert.equal(descriptorsOf(own), start);
      assert.ok(memoryOf(own) < 150, `${memoryOf(own)} MB`);
      assert.deepEqual(own.notifications, []);
      const together = Array.from({ length: 2000 }, () => own.request('token'));
      for (const { result } of await Promise.all(together)) assert.ok(result?.token);
    } finally {
      await own.stop();
      await session.stop();
    }
  });
});

describe('the helper ends', () => {
  test('at end of input, with status 0 and nothing to say', async () => {
    await helper.request('token');
    helper.child.stdin.end();
    assert.equal(await helper.ended(), 0);
    assert.equal(helper.stderr, '');
  });

  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
    test(`on ${signal}, with status 0`, async () => {
      await helper.request('token');
      helper.child.kill(signal);
      assert.equal(await helper.ended(), 0);
    });
  }

  test('when its output is closed', async () => {
    await helper.request('token');
    helper.child.stdout.destroy();
    void helper.request('token');
    assert.equal(await Promise.race([helper.ended(), delay(3000, 'alive')]), 0);
  });

  test('when its parent is killed with -9, and leaves no orphan and no zombie', async () => {
    const parent = [
      'const { spawn } = require("node:child_process");',
      `const child = spawn(process.execPath, [${JSON.stringify(PROGRAM)}, "daemon", "--stdio"]);`,
      'console.log(child.pid); setTimeout(() => process.kill(process.pid, "SIGKILL"), 300);',
    ].join('\n');
    const { stdout, signal } = await run([process.execPath, '-e', parent], { env });
    assert.equal(signal, 'SIGKILL');
    for (let tries = 0; !hasEnded(Number(stdout)) && tries < 100; tries += 1) await delay(20);
    assert.ok(hasEnded(Number(stdout)));
  });
});
