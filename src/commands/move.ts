/** `glm-token move`: moves all keys from one store to the other. */

import { GlmTokenError } from '../core/errors.ts';
import { parseKey } from '../core/key.ts';
import { WRITABLE_STORES } from '../stores/port.ts';
import { otherThan, storeKey } from '../stores/registry.ts';
import { subcommand } from './subcommand.ts';

export const move = subcommand({
  name: 'move',
  options: {
    to: { type: 'string', value: 'STORE', choices: WRITABLE_STORES, isRequired: true },
    force: { type: 'boolean' },
  },
  async run({ stores, terminal, messages }, { to, force }) {
    const target = await stores.open(to);
    const source = await stores.open(otherThan(to));
    const accounts = await source.list();
    if (accounts.length === 0) throw new GlmTokenError('nothingToMove', { store: source });
    for (const { account, id } of accounts) {
      const text = id === undefined ? undefined : await source.get(account);
      const isMoved =
        text !== undefined &&
        (await storeKey(target, account, parseKey(text), (existing) => {
          if (force) return true;
          if (!terminal.isInteractive) return false;
          return terminal.confirm(messages.askReplace(account, existing));
        }));
      if (isMoved) await source.delete(account);
      const { moved, kept } = messages.move;
      terminal.note(isMoved ? moved(account, target) : kept(account, source));
    }
    terminal.note(messages.list.inUse(await stores.open(stores.inUse())));
    return undefined;
  },
});
