/** `glm-token move`: moves all keys from one store to the other. */

import { GlmTokenError, hasCode } from '../core/errors.ts';
import { parseKey } from '../core/key.ts';
import { otherThan, storeKey } from '../stores/registry.ts';
import { FLAG, required, subcommand, WRITABLE_STORE_OPTION } from './subcommand.ts';

export const move = subcommand({
  name: 'move',
  options: {
    to: required(WRITABLE_STORE_OPTION),
    force: FLAG,
  },
  async run({ stores, terminal, messages }, { to, force }) {
    const target = await stores.open(to);
    const source = await stores.open(otherThan(to));
    const accounts = await source.list();
    if (accounts.length === 0) throw new GlmTokenError('nothingToMove', { store: source });
    const fail = (problem: Error): never => {
      // The cure of a missing keychain is the encrypted file, where the keys are already.
      const isMissing = to === 'keychain' && hasCode(problem, 'ERR_STORE_UNAVAILABLE');
      throw isMissing ? new GlmTokenError('keysNotMoved', { problem, from: source }) : problem;
    };
    for (const { account, id, isLocked } of accounts) {
      const mayReplace = (existing: string | undefined) =>
        force ||
        (terminal.isInteractive && terminal.confirm(messages.askReplace(account, existing)));
      const text = id !== undefined || isLocked ? await source.get(account) : undefined;
      const isMoved =
        text !== undefined &&
        (await storeKey(target, account, parseKey(text), mayReplace).catch(fail));
      if (isMoved) await source.delete(account);
      const { moved, kept } = messages.move;
      terminal.note(isMoved ? moved(account, target) : kept(account, source));
    }
    terminal.note(messages.list.inUse(await stores.open(stores.inUse())));
    return undefined;
  },
});
