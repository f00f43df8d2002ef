/** The first run and the doctor in Emacs, with a real gptel and a real keychain. */

import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { makeCertificate } from '../support/certificate.ts';
import { emacsCommand, emacsen, evaluate, runErt } from '../support/emacs.ts';
import { type Env, found, PROGRAM } from '../support/environment.ts';
import { GlmServer } from '../support/glm-server.ts';
import { KeychainSession } from '../support/keychain.ts';
import { glmToken, run } from '../support/program.ts';

const KEY = 'id.secretsecret';

/** Has Emacs print what the doctor shows, once the forms were evaluated. */
const doctor = (forms = '') => `(progn
  (setq glm-gptel-auth-command '("${process.execPath}" "${PROGRAM}") auth-sources nil)
  ${forms}
  (glm-gptel-auth-doctor)
  (princ (with-current-buffer "*glm-token doctor*" (buffer-string))))`;

for (const { emacs, version } of await emacsen()) {
  describe(`first run and doctor in Emacs ${version}`, () => {
    let session: KeychainSession;
    let env: Env;
    before(async () => {
      session = await KeychainSession.start();
      env = {
        ...session.env,
        GLM_TEST_NODE: process.execPath,
        GLM_TEST_SCRIPT: PROGRAM,
        https_proxy: 'http://127.0.0.1:1', // Nothing of this needs the network.
      };
      assert.equal((await glmToken(['store'], { env, input: KEY })).status, 0);
    });
    after(() => session.stop());

    test('ERT: the first run, and what the doctor sees', async () => {
      const count = await runErt(emacs, 'glm-gptel-auth-setup-test.el', { gptel: true, env });
      assert.ok(count >= 20);
    });

    test('for code 1113, the first run proposes the other plan, and keeps it when it works', async () => {
      const certificate = await makeCertificate();
      const glm = await GlmServer.start(
        { codingid12345: 'CodingSecret1' },
        { tls: certificate, codingIds: ['codingid12345'] },
      );
      const firstRun = async (...agreed: string[]) => {
        const form = `(progn (require 'gptel)
          (setq glm-gptel-auth-command '("${process.execPath}" "${PROGRAM}"))
          (let ((agreed '(${agreed.join(' ')}))
                (completing-read-function (lambda (_ _table &rest arguments) (nth 4 arguments))))
            (fset 'read-passwd (lambda (&rest _) (copy-sequence "codingid12345.CodingSecret1")))
            (fset 'y-or-n-p (lambda (prompt)
                              (when-let* ((notes (get-buffer "*GLM setup notes*")))
                                (princ (with-current-buffer notes (buffer-string)))
                                (terpri))
                              (princ prompt)
                              (terpri)
                              (pop agreed)))
            (glm-gptel-auth-setup)
            (princ (with-current-buffer "*GLM setup*" (buffer-string)))))`;
        const { https_proxy: _, ...direct } = env;
        const { stdout, stderr } = await evaluate(emacs, form, {
          gptel: true,
          env: { ...direct, GLM_TOKEN_HOST: glm.host, NODE_EXTRA_CA_CERTS: certificate.file },
        });
        assert.match(stdout, /^Check the key with .*\(max_tokens=1\)\. $/m, stderr);
        assert.match(stdout, /1113.*\n(.*\n)?Try the endpoint of the GLM Coding Plan\? \n/, stderr);
        return stdout;
      };
      const tried = await firstRun('t', 't');
      const paths = glm.seen.splice(0).map(({ path }) => path);
      const kept = await firstRun('t', 't', 'nil');
      await glmToken(['delete', '--force', '--host', glm.host], { env });
      await glm.stop();
      certificate.remove();
      assert.match(tried, /^Check +checked: the service accepts the key/m);
      assert.match(tried, /glm-gptel-auth-make-backend .* :coding-plan t/);
      assert.equal(paths.at(-1), '/api/coding/paas/v4/chat/completions');
      assert.match(kept, /^Check +.*code 1113/m);
      assert.doesNotMatch(kept, /:coding-plan/);
    });

    test('for a key that the service refuses, the cure is a command of Emacs', async () => {
      const certificate = await makeCertificate();
      const glm = await GlmServer.start({}, { tls: certificate });
      const { https_proxy: _, ...direct } = env;
      const served = { ...direct, GLM_TOKEN_HOST: glm.host, NODE_EXTRA_CA_CERTS: certificate.file };
      await glmToken(['store'], { env: served, input: 'revokedid123.RevokedSecret1' });
      const form = `(progn (require 'gptel)
        (setq glm-gptel-auth-command '("${process.execPath}" "${PROGRAM}") auth-sources nil)
        (let ((completing-read-function (lambda (_ _table &rest arguments) (nth 4 arguments))))
          (fset 'y-or-n-p #'always)
          (glm-gptel-auth-setup)
          (princ (with-current-buffer "*GLM setup*" (buffer-string)))
          (glm-gptel-auth-doctor t)
          (princ (with-current-buffer "*glm-token doctor*" (buffer-string)))))`;
      const { stdout, stderr } = await evaluate(emacs, form, { gptel: true, env: served });
      await glmToken(['delete', '--force'], { env: served });
      await glm.stop();
      certificate.remove();
      const refused = '.* code 1004: .*; run M-x glm-gptel-auth-store';
      assert.match(stdout, new RegExp(`^Check +${refused}$`, 'm'), stderr);
      assert.match(stdout, new RegExp(`^live +failure +${refused}$`, 'm'), stderr);
    });

    test('a gptel that is there compiled alone is seen, and one that is missing is not', async () => {
      const directory = mkdtempSync(join(tmpdir(), 'glm-gptel-'));
      const gptel = found.elpa.find((folder) => /\/gptel-/.test(folder)) ?? '';
      const sources = readdirSync(gptel).filter((file) => /^gptel.*\.el$/.test(file));
      for (const file of sources) cpSync(join(gptel, file), join(directory, file));
      const others = found.elpa.filter((folder) => folder !== gptel);
      const path = [directory, ...others].flatMap((folder) => ['-L', folder]);
      const compile = sources.map((file) => join(directory, file));
      await run([emacs, '-Q', '--batch', ...path, '-f', 'batch-byte-compile', ...compile], { env });
      for (const file of compile) rmSync(file);

      const seen = async (forms: string) => {
        const command = [...emacsCommand(emacs), ...path, '-l', 'glm-gptel-auth'];
        const { stdout, stderr } = await run([...command, '--eval', doctor(forms)], { env });
        return /^gptel .*$/m.exec(stdout)?.[0].replace(/ +/g, ' ') ?? stderr;
      };
      const unloaded = await seen('');
      const loaded = await seen("(require 'gptel)");
      rmSync(directory, { recursive: true });
      for (const line of [unloaded, loaded]) assert.match(line, /^gptel ok version 0\.9\.9/);
      const firstRun = `(require 'glm-gptel-auth-setup)
        (princ (glm-gptel-auth--use "(glm-gptel-auth-make-backend \\"GLM\\")"))
        (terpri)`;
      const { stdout: without } = await evaluate(emacs, doctor(firstRun), { env });
      const cure = 'gptel is not installed; run M-x package-install RET gptel';
      assert.match(without, new RegExp(`^GLM: ${cure}$`, 'm'));
      assert.match(without, new RegExp(`^gptel +warning +${cure}; `, 'm'));
    });

    test('the doctor loads gptel, and sees what init.el has for it', async () => {
      const seen = async (form: string) => {
        const loaded = doctor(`(with-eval-after-load 'gptel ${form})`);
        return (await evaluate(emacs, loaded, { gptel: true, env })).stdout;
      };
      assert.match(
        await seen('(setq gptel-backend (glm-gptel-auth-make-backend "Lazy"))'),
        /^backend +ok +Lazy: sends a token for open\.bigmodel\.cn$/m,
      );
      assert.match(await seen('(error "Broken settings")'), /^gptel +failure +Broken settings$/m);
    });

    test('the doctor has nobody unlock the keychain, and does not call it well', async () => {
      await session.askNobody();
      await session.lock();
      const forms = `(require 'gptel)
        (setq gptel-backend (glm-gptel-auth-make-backend "GLM"))`;
      const startedAtMs = Date.now();
      const { stdout, stderr } = await evaluate(emacs, doctor(forms), { gptel: true, env });
      const elapsedMs = Date.now() - startedAtMs;
      await session.unlock();
      assert.match(stdout, /^backend +unchecked GLM: .*locked/m, stderr);
      assert.ok(elapsedMs < 40_000, `${elapsedMs} ms`); // The prompt would wait for a minute.
    });
  });
}
