/** What auth-source is told, in every Emacs there is, with a real keychain. */

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { emacsen, evaluate, runErt } from '../support/emacs.ts';
import { type Env, PROGRAM } from '../support/environment.ts';
import { KeychainSession } from '../support/keychain.ts';
import { glmToken } from '../support/program.ts';

for (const { emacs, version } of await emacsen()) {
  describe(`auth-source in Emacs ${version}`, () => {
    let session: KeychainSession;
    let env: Env;
    before(async () => {
      session = await KeychainSession.start();
      env = { ...session.env, GLM_TEST_NODE: process.execPath, GLM_TEST_SCRIPT: PROGRAM };
      assert.equal((await glmToken(['store'], { env, input: 'id.secretsecret' })).status, 0);
    });
    after(() => session.stop());

    test('ERT: searches of ours and of others', async () => {
      const count = await runErt(emacs, 'glm-gptel-auth-source-test.el', { gptel: false, env });
      assert.ok(count >= 9);
    });

    test('a locked keychain is named by our entry alone, and nobody is asked', async () => {
      await session.askNobody();
      await session.lock();
      const form = `(progn
        (setq glm-gptel-auth-command '("${process.execPath}" "${PROGRAM}") auth-sources nil)
        (glm-gptel-auth-source-enable)
        (print (mapcar (lambda (spec) (apply #'auth-source-search spec))
                       '(() (:host t) (:host ("smtp.example.org" "open.bigmodel.cn")))))
        (let ((secret (plist-get (car (auth-source-search :host "open.bigmodel.cn")) :secret)))
          (print (functionp secret))
          (condition-case err (funcall secret)
            (user-error (princ (cadr err))))))`;
      const prompt = { GLM_TOKEN_PROMPT_TIMEOUT: '1s' };
      const { stdout, stderr } = await evaluate(emacs, form, { env: { ...env, ...prompt } });
      await session.unlock();
      assert.match(stdout, /^\n\(nil nil nil\)\n\nt\nGLM: .*keychain.*; unlock it /, stderr);
    });
  });
}
