/** `glm-token list`: the accounts that have a key, and never a secret. */

import { pad, widthOf } from '../cli/columns.ts';
import { asGlmTokenError, GlmTokenError, hasCode } from '../core/errors.ts';
import type { Answers } from '../daemon/methods.ts';
import type { KeptStoreName, StoreName } from '../stores/port.ts';
import { accountEntry, listAccounts, otherThan } from '../stores/registry.ts';
import { type Context, FLAG, STORE_OPTION, subcommand } from './subcommand.ts';

const COLUMNS = ['host', 'profile', 'id', 'store'] as const;

export const list = subcommand({
  name: 'list',
  options: { store: STORE_OPTION, json: FLAG },
  async run(context, args) {
    const { terminal, messages } = context;
    const { columns, notAKey, notAllowed } = messages.list;
    const choice = args.store;
    const { accounts, store, error } = await listed(context, choice);
    if (args.json) {
      terminal.print(JSON.stringify({ schemaVersion: 1, store, accounts }));
      return undefined;
    }
    if (accounts.length === 0) {
      terminal.note(messages.describe(new GlmTokenError('noKeyYet')));
    } else {
      const rows = [
        columns,
        ...accounts.map((row) => ({
          ...row,
          id: row.id ?? row.program ?? (row.locked ? notAllowed : notAKey),
        })),
      ];
      const widths = COLUMNS.map((name) => Math.max(...rows.map((row) => widthOf(row[name]))));
      for (const row of rows) {
        const cells = COLUMNS.map((name, at) => pad(row[name], widths[at] ?? 0));
        terminal.print(cells.join('  ').trimEnd());
      }
    }
    if (context.settings.socket) terminal.note(messages.list.asked(context.settings.socket));
    else if (!choice) await noteStores(context);
    if (error !== undefined) terminal.note(messages.describe(asGlmTokenError(error)));
    return undefined;
  },
});

/** The accounts, and the store in use: those of this machine, or of the helper that is asked. */
async function listed(
  context: Context,
  choice: KeptStoreName | undefined,
): Promise<{ accounts: Answers['accounts']['accounts']; store: StoreName; error?: unknown }> {
  const { askHelper, settings } = context;
  if (askHelper) {
    if (choice) throw new GlmTokenError('storeIsElsewhere', { path: settings.socket ?? '' });
    const { accounts } = await askHelper('accounts');
    return { accounts, store: (await askHelper('status')).store };
  }
  const { stores } = context;
  const { accounts, error } = await listAccounts(stores, { store: choice });
  if (error !== undefined && accounts.length === 0) throw error;
  return { accounts: accounts.map(accountEntry), error, store: choice ?? stores.inUse() };
}

/** Says which store is in use, and what the other one has, as far as that is known without asking. */
async function noteStores({ stores, terminal, messages }: Context): Promise<void> {
  const { inUse, unused, unseen } = messages.list;
  const store = await stores.open(stores.inUse());
  terminal.note(inUse(store));
  const name = otherThan(stores.inUse());
  const { accounts, error } = await listAccounts(stores, { store: name, mayAsk: false });
  const other = await stores.open(name);
  if (accounts.length > 0) {
    terminal.note(
      unused(
        accounts.map(({ account }) => account),
        other,
        store,
      ),
    );
  } else if (hasCode(error, 'ERR_PASSPHRASE')) {
    terminal.note(unseen(other));
  }
}
