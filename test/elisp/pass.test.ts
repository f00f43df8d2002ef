/** What the doctor in Emacs sees of a real pass that answers before glm-token. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { emacsen, evaluate } from '../support/emacs.ts';
import { PROGRAM } from '../support/environment.ts';
import { KeychainSession } from '../support/keychain.ts';
import { PasswordStore } from '../support/password-store.ts';
import { glmToken, run } from '../support/program.ts';

for (const { emacs, version } of await emacsen()) {
  test(`the doctor in Emacs ${version} sees that pass answers first, and asks for no passphrase`, async () => {
    const session = await KeychainSession.start();
    const store = PasswordStore.make();
    store.insert('open.bigmodel.cn/apikey', 'passid.passsecret');
    const env = {
      ...session.env,
      ...store.env,
      HOME: session.home,
      https_proxy: 'http://127.0.0.1:1',
    };
    await glmToken(['store'], { env, input: 'id.secretsecret' });
    const form = `(progn (require 'gptel) (require 'gptel-openai)
        (setq glm-gptel-auth-command '("${process.execPath}" "${PROGRAM}")
              auth-sources nil
              auth-source-pass-filename "${store.env.PASSWORD_STORE_DIR}"
              gptel-backend nil gptel--known-backends nil)
        (glm-gptel-auth-source-enable)
        (auth-source-pass-enable)
        (gptel-make-openai "Plain" :host "open.bigmodel.cn" :models '(glm-5.3)
          :key #'gptel-api-key-from-auth-source)
        (glm-gptel-auth-doctor)
        (princ (with-current-buffer "*glm-token doctor*" (buffer-string))))`;
    const look = () => evaluate(emacs, form, { gptel: true, env });

    const locked = await look();
    const asked = store.questions;
    await run(['pass', 'show', 'open.bigmodel.cn/apikey'], { env });
    const unlocked = await look();
    store.stop();
    await session.stop();
    assert.match(locked.stdout, /^GLM token doctor/, locked.stderr);
    assert.equal(asked, 0);
    assert.match(
      locked.stdout,
      /^backend +unchecked Plain: its key may be in auth-source, which GnuPG cannot open$/m,
    );
    assert.match(
      locked.stdout,
      /^auth-source unchecked whether a key is in `password-store', which GnuPG cannot open$/m,
    );
    assert.match(
      unlocked.stdout,
      /^backend +warning +Plain: sends the API key itself, from the entry in `password-store';/m,
      unlocked.stderr,
    );
    assert.match(
      unlocked.stdout,
      /^auth-source +warning +a key for open\.bigmodel\.cn is in the entry in `password-store';/m,
    );
    assert.doesNotMatch(unlocked.stdout, /passsecret/);
  });
}
