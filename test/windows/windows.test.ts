/** Windows, as Wine implements it: tests run by Node for Windows there, and what a console shows. */

import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { build } from 'esbuild';
import { runsOn, suiteOf, testFiles } from '../suites.ts';
import { type Certificate, makeCertificate } from '../support/certificate.ts';
import { type Env, ROOT } from '../support/environment.ts';
import { GlmServer } from '../support/glm-server.ts';
import type { Answers } from '../support/program.ts';
import { INSTALLED, Wine, windowsPath } from '../support/wine.ts';

/** Those that run on every system, as npm test has it there, and those that are about Windows alone. */
const FILES = [
  ...testFiles().filter((file) => runsOn(file, 'win32') && suiteOf(file)?.name === 'core'),
  'windows/commands.ts',
  'windows/language.ts',
  'windows/stores.ts',
];

/** Makes Wine a Chinese Windows; for all tests it would need the locale, since file names depend on it. */
const CHINESE_WINDOWS = { LC_ALL: 'zh_CN.UTF-8' };

const KEY = '0123456789abcdef.TopSecretSecret1';

/** Below node_modules, so that packages are found from there. */
const directory = join(ROOT, 'node_modules/.cache/glm-token/windows-tests');

let wine: Wine;
before(async () => {
  wine = await Wine.start();
  await wine.install();
  // Under Wine, esbuild itself does not run (it lacks bcryptprimitives.dll), so neither does tsx.
  await build({
    entryPoints: FILES.map((file) => join(ROOT, 'test', file)),
    outbase: join(ROOT, 'test'),
    outdir: directory,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    packages: 'external',
    platform: 'node',
    format: 'esm',
    target: 'node20',
    sourcemap: 'inline',
    define: { 'import.meta.dirname': JSON.stringify(windowsPath(join(ROOT, 'test/support'))) },
  });
});
after(async () => {
  await wine?.stop();
  rmSync(directory, { recursive: true, force: true });
});

describe('run by Node for Windows', () => {
  let certificate: Certificate;
  let glm: GlmServer;
  before(async () => {
    certificate = await makeCertificate();
    glm = await GlmServer.start({ '0123456789abcdef': 'TopSecretSecret1' }, { tls: certificate });
  });
  after(async () => {
    await glm.stop();
    certificate.remove();
  });

  for (const file of FILES) {
    test(file, async (t) => {
      const script = windowsPath(join(directory, file.replace(/\.ts$/, '.mjs')));
      const { status, stdout, stderr } = await wine.run(
        ['node.exe', '--enable-source-maps', '--test', '--test-reporter=tap', script],
        {
          GLM_TEST_INSTALLED: INSTALLED,
          GLM_TEST_HOST: glm.host,
          GLM_TEST_CA: windowsPath(certificate.file),
          ...(file === 'windows/language.ts' ? CHINESE_WINDOWS : {}),
        },
      );
      const [tests = 0, skipped = 0] = ['tests', 'skipped'].map((what) =>
        Number(new RegExp(`^# ${what} (\\d+)`, 'm').exec(stdout)?.[1]),
      );
      const failures = stdout.match(/^ *not ok[\s\S]*?^ *\.\.\.$/gm) ?? [stdout];
      assert.equal(status, 0, [...failures, stderr].join('\n'));
      assert.ok(tests > skipped, 'some are run');
      t.diagnostic(`${tests - skipped} tests run, ${skipped} that are not for Windows`);
    });
  }
});

describe('on a console', () => {
  /** Runs lines as a batch file; paths and names come as variables. */
  function onConsole(lines: readonly string[], answers: Answers, more: Env = {}) {
    const file = join(directory, 'lines.cmd');
    writeFileSync(file, ['@echo off', ...lines].join('\r\n'));
    const variables = { INSTALLED, GLM_TOKEN_LANG: 'en', ...more };
    return wine.runOnConsole(['cmd', '/d', '/c', windowsPath(file)], answers, variables);
  }
  const program = 'node "%INSTALLED%"';
  const PASSPHRASE = 'correct horse 电池';

  test('store asks for the key without echo, and delete asks before it deletes', async () => {
    const stored = await onConsole([`${program} store`], [['not shown):', KEY]]);
    assert.match(stored.stdout, /stored key 0123…cdef for open\.bigmodel\.cn/);
    assert.doesNotMatch(stored.stdout, /TopSecret/);
    const remove = [`${program} delete`, 'exit %ERRORLEVEL%'];
    const refused = await onConsole(remove, [['[y/N]', 'n']]);
    assert.equal(refused.status, 2, refused.stdout);
    const deleted = await onConsole(remove, [['[y/N]', 'y']]);
    assert.equal(deleted.status, 0, deleted.stdout);
  });

  test('the passphrase is asked for even when the key is piped in', async () => {
    const keyFile = join(directory, 'key.txt');
    writeFileSync(keyFile, KEY);
    const stored = await onConsole(
      [`type "%KEYFILE%" | ${program} store --store file`],
      [
        ['New passphrase for the encrypted file:', PASSPHRASE],
        ['Repeat passphrase:', PASSPHRASE],
      ],
      { KEYFILE: windowsPath(keyFile) },
    );
    assert.match(
      stored.stdout,
      /stored key 0123…cdef for open\.bigmodel\.cn in the encrypted file/,
    );
    assert.doesNotMatch(stored.stdout, /TopSecret|correct/);
    const printed = await onConsole([`${program} print`], [['encrypted file:', PASSPHRASE]]);
    assert.match(printed.stdout, /eyJ[\w-]+\.[\w-]+/);
    const answers: Answers = [['encrypted file:', PASSPHRASE]];
    const deleted = await onConsole([`${program} delete --force`], answers);
    assert.match(deleted.stdout, /deleted the key for open\.bigmodel\.cn from the encrypted file/);
  });

  test("Chinese is shown as it is, whatever the console's code page", async () => {
    const lines = [`${program} print --profile "%PROFILE%"`, 'exit %ERRORLEVEL%'];
    const { status, stdout } = await onConsole(lines, [], {
      PROFILE: '工作',
      GLM_TOKEN_LANG: 'zh',
    });
    assert.equal(status, 3, stdout);
    assert.match(stdout, /没有保存 open\.bigmodel\.cn（profile 工作）/);
  });
});
