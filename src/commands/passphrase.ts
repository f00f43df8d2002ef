/** `glm-token passphrase`: changes the passphrase of the encrypted file. */

import { GlmTokenError } from '../core/errors.ts';
import { MAX_PASSPHRASE_BYTES, passphraseIn } from '../stores/passphrase.ts';
import { subcommand } from './subcommand.ts';

export const passphrase = subcommand({
  name: 'passphrase',
  options: {},
  async run({ stores, settings, terminal, messages }) {
    const store = await stores.open('file');
    if (store.lockState() === 'new') throw new GlmTokenError('noKeyFile');
    await store.changePassphrase(async () =>
      terminal.isInteractive
        ? ((await terminal.askPassphrase({ isNew: true, wasWrong: false })) ?? '')
        : passphraseIn(await terminal.readInput(MAX_PASSPHRASE_BYTES)),
    );
    terminal.note(messages.passphrase.changed(store));
    const { passphraseFile } = settings;
    if (passphraseFile) terminal.note(messages.passphrase.fileIsOld(passphraseFile));
    return undefined;
  },
});
