/** `glm-token move`: moves all keys from one store to the other. */

import { GlmTokenError } from '../core/errors.ts';
import { parseKey } from '../core/key.ts';
import { WRITABLE_STORES, type WritableStoreName } from '../stores/port.ts';
import { otherThan, storeKey } from '../stores/registry.ts';
import type { Command } from './command.ts';

export const move: Command<'move'> = {
  name: 'move',
  options: {
    to: { type: 'string', value: 'STORE', choices: WRITABLE_STORES },
    force: { type: 'boolean' },
  },
  async run({ stores, terminal, messages }, args) {
    if (args.to === undefined) {
      throw new GlmTokenError('optionValueMissing', { command: 'move', option: 'to' });
    }
    const to = args.to as WritableStoreName;
    const target = await stores.open(to);
    const source = await stores.open(otherThan(to));
    const accounts = await source.list();
    if (accounts.length === 0) throw new GlmTokenError('nothingToMove', { store: source });
    for (const { account, id } of accounts) {
      const text = id === undefined ? undefined : await source.get(account);
      const isMoved =
        text !== undefined &&
        (await storeKey(target, account, parseKey(text), (existing) => {
          if (args.force === true) return true;
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
};
