/** `glm-token doctor`: checks all that a token depends on. */

import { pad } from '../cli/columns.ts';
import { EXIT_STATUS } from '../core/errors.ts';
import { DEFAULT_TTL_MS } from '../core/token.ts';
import { type AskedHelper, examine, type Finding, finding } from '../doctor/examine.ts';
import { freshToken } from './fresh-token.ts';
import { ACCOUNT_OPTIONS, type Context, FLAG, subcommand } from './subcommand.ts';

/** Width of the columns for level and check: the longest of each. */
const LEVEL_WIDTH = 'unchecked'.length;
const CHECK_WIDTH = 'environment'.length;
const INDENT = LEVEL_WIDTH + CHECK_WIDTH + 2;

export const doctor = subcommand({
  name: 'doctor',
  options: { ...ACCOUNT_OPTIONS, live: FLAG, json: FLAG },
  async run(context, args) {
    const { terminal, messages } = context;
    const isNamed = args.host !== undefined || args.profile !== undefined;
    const account = isNamed ? context.account(args) : undefined;
    const findings: Finding[] = [];
    const options = {
      account,
      live: args.live,
      helper: askedHelper(context),
      plan: null,
      mayAsk: true,
      unlocksLater: false,
      tellsWhy: true,
      cure: () => null,
    };
    const add = (finding: Finding) => {
      findings.push(finding);
      if (args.json) return;
      const { level, check, message, hint } = finding;
      const word = pad(messages.doctor.levels[level], LEVEL_WIDTH);
      terminal.printLevel(level, word, ` ${check.padEnd(CHECK_WIDTH)} ${message}`);
      if (hint && level !== 'ok') {
        terminal.print(`${' '.repeat(INDENT)}${messages.hintLabel}${hint}`);
      }
    };
    for await (const finding of examine(context, options)) add(finding);
    if (!args.live) add(finding('live', 'unchecked', messages.doctor.notTried(account)));
    // The first that fails, since what comes after depends on it.
    const code = findings.find(({ level }) => level === 'failure')?.code;
    if (args.json) {
      terminal.print(JSON.stringify({ schemaVersion: 1, ok: code === undefined, findings }));
    }
    return code === undefined ? 0 : EXIT_STATUS[code];
  },
});

/** The helper at `GLM_TOKEN_SOCKET`, if that is set. */
function askedHelper(context: Context): AskedHelper | undefined {
  const { askHelper, settings } = context;
  if (!askHelper) return undefined;
  return {
    path: settings.socket ?? '',
    status: () => askHelper('status'),
    accounts: async () => (await askHelper('accounts')).accounts,
    token: async (account) => (await freshToken(context, account, DEFAULT_TTL_MS)).token,
  };
}
