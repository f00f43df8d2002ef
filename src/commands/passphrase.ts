/** `glm-token passphrase`: changes the passphrase of the key file. */

import { GlmTokenError } from '../core/errors.ts';
import { MAX_PASSPHRASE_BYTES, passphraseIn } from '../stores/passphrase.ts';
import type { Command } from './command.ts';

export const passphrase: Command<'passphrase'> = {
  name: 'passphrase',
  options: {},
  async run({ stores, settings, terminal, messages }) {
    const store = await stores.primary('file');
    if (!store.lockable || store.lockable.state() === 'new') throw new GlmTokenError('noKeyFile');
    await store.lockable.unlock();
    const chosen = terminal.isInteractive
      ? await terminal.askPassphrase({ isNew: true })
      : passphraseIn(await terminal.readInput(MAX_PASSPHRASE_BYTES));
    await store.lockable.changePassphrase(chosen ?? '');
    terminal.note(messages.passphrase.changed(store));
    const { passphraseFile } = settings;
    if (passphraseFile) terminal.note(messages.passphrase.fileIsOld(passphraseFile));
    return undefined;
  },
};
