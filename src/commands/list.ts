/** `glm-token list`: the accounts that have a key, and never a secret. */

import { shortenId, tryParseKey } from '../core/key.ts';
import { listKeys } from '../stores/stores.ts';
import type { Command } from './command.ts';

const COLUMNS = ['host', 'profile', 'id', 'store'] as const;

export const list: Command = {
  name: 'list',
  summary: 'show which accounts have a key',
  options: { json: { type: 'boolean', describe: 'print JSON' } },
  async run(context, args) {
    const rows = (await listKeys(context.stores())).map(({ account, text, store }) => ({
      ...account,
      id: shownId(text),
      store: store.name,
    }));
    if (args.json === true) {
      context.print(JSON.stringify({ schemaVersion: 1, accounts: rows }));
    } else if (rows.length === 0) {
      context.note('glm-token: no key is stored yet\nhint: run: glm-token store');
    } else {
      const heading = Object.fromEntries(COLUMNS.map((name) => [name, name.toUpperCase()]));
      const lines = [heading as Record<(typeof COLUMNS)[number], string>, ...rows];
      const widths = COLUMNS.map((name) => Math.max(...lines.map((line) => line[name].length)));
      for (const line of lines) {
        context.print(
          COLUMNS.map((name, i) => line[name].padEnd(widths[i] ?? 0))
            .join('  ')
            .trimEnd(),
        );
      }
    }
  },
};

function shownId(text: string): string {
  const key = tryParseKey(text);
  return key ? shortenId(key.id) : '(not a key)';
}
