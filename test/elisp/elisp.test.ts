/** The Emacs side, in every Emacs there is, with a real keychain and the real program. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { emacsen, evaluate, runErt } from '../support/emacs.ts';
import { type Env, PROGRAM, ROOT } from '../support/environment.ts';
import { hasEnded } from '../support/helper.ts';
import { KeychainSession } from '../support/keychain.ts';
import { glmToken } from '../support/program.ts';

let session: KeychainSession;
let env: Env;
before(async () => {
  session = await KeychainSession.start();
  env = { ...session.env, GLM_TEST_NODE: process.execPath, GLM_TEST_SCRIPT: PROGRAM };
  assert.equal((await glmToken(['store'], { env, input: 'id.secretsecret' })).status, 0);
});
after(async () => {
  await session.stop();
});

test('the Emacs file has the version of the package, and the oldest node that runs it', () => {
  const text = readFileSync(`${ROOT}/elisp/glm-gptel-auth.el`, 'utf8');
  const { version, engines } = JSON.parse(readFileSync(`${ROOT}/package.json`, 'utf8'));
  assert.match(text, new RegExp(`^;; Version: ${version}$`, 'm'));
  assert.ok(text.includes(`(defconst glm-gptel-auth-version "${version}"`));
  assert.ok(text.includes(`(defconst glm-gptel-auth--oldest-node "${engines.node.slice(2)}"`));
});

for (const { emacs, version } of await emacsen()) {
  describe(`Emacs ${version}`, () => {
    for (const gptel of [false, true]) {
      test(`ERT, with gptel ${gptel ? 'present' : 'absent'}`, async () => {
        assert.ok((await runErt(emacs, 'glm-gptel-auth-test.el', { gptel, env })) > 10);
      });
    }

    test('ERT: how Emacs waits for an answer', async () => {
      const count = await runErt(emacs, 'glm-gptel-auth-wait-test.el', { gptel: false, env });
      assert.ok(count > 10);
    });

    test('unloading ends the helper, and leaves auth-source working', async () => {
      const form = `(progn
        (setq glm-gptel-auth-command '("${process.execPath}" "${PROGRAM}"))
        (glm-gptel-auth-source-enable)
        (glm-gptel-auth-token)
        (unload-feature 'glm-gptel-auth-source)
        (unload-feature 'glm-gptel-auth)
        (princ (format "%S" (list (process-list) (memq 'glm-token auth-sources)
                                  (auth-source-search :host "nowhere.invalid")))))`;
      const { stdout, stderr } = await evaluate(emacs, form, { env });
      assert.equal(stdout, '(nil nil nil)', stderr);
    });

    test('when Emacs is killed with -9, its helper is gone within two seconds', async () => {
      const command = `'("${process.execPath}" "${PROGRAM}")`;
      const form = `(progn (setq glm-gptel-auth-command ${command}) (glm-gptel-auth-token)
        (message "helper %d" (process-id glm-gptel-auth--helper)) (sleep-for 60))`;
      let helper = 0;
      await evaluate(emacs, form, {
        env,
        onSpawn: (child) =>
          child.stderr?.on('data', (chunk) => {
            helper = Number(/helper (\d+)/.exec(String(chunk))?.[1] ?? 0);
            if (helper) child.kill('SIGKILL');
          }),
      });
      assert.ok(helper > 0);
      await delay(2000);
      assert.ok(hasEnded(helper));
    });
  });
}
