/** `glm-token passphrase`: changes the passphrase of the key file. */

import type { Command } from '../command.ts';
import { GlmTokenError } from '../core/errors.ts';

/** Longest passphrase that is read from standard input, in bytes. */
const MAX_BYTES = 1 << 16;

export const passphrase: Command<'passphrase'> = {
  name: 'passphrase',
  options: {},
  async run({ stores, settings, terminal, messages }) {
    const store = await stores.primary('file');
    if (!store.lockable || store.lockable.state() === 'new') throw new GlmTokenError('noKeyFile');
    await store.lockable.unlock();
    const chosen = terminal.isInteractive
      ? await terminal.askPassphrase({ isNew: true })
      : (await terminal.readInput(MAX_BYTES)).split(/\r?\n/, 1)[0];
    await store.lockable.changePassphrase(chosen ?? '');
    terminal.note(messages.passphrase.changed(store));
    const { passphraseFile } = settings;
    if (passphraseFile) terminal.note(messages.passphrase.fileIsOld(passphraseFile));
    return undefined;
  },
};
