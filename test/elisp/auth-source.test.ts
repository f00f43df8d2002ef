/** What auth-source is told, in every Emacs there is, with a real keychain. */

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { emacsen, runErt } from '../support/emacs.ts';
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
  });
}
