/** `glm-token completion`: the script by which a shell completes our words at TAB. */

import { basename } from 'node:path';
import { SCRIPTS, SHELLS } from '../cli/completion/scripts.ts';
import { GlmTokenError } from '../core/errors.ts';
import { subcommand } from './subcommand.ts';

export const completion = subcommand({
  name: 'completion',
  options: {},
  operands: { usage: '[bash|zsh|fish]', takes: SHELLS },
  async run({ env, terminal }, _args, [named]) {
    const path = env.SHELL ?? '';
    const name = named ?? basename(path.replaceAll('\\', '/')).replace(/\.exe$/i, '');
    const shell = SHELLS.find((one) => one === name);
    if (!name) throw new GlmTokenError('shellUnnamed', { shells: SHELLS });
    if (!shell) throw new GlmTokenError('shellUnknown', { given: name, shells: SHELLS });
    terminal.print(...SCRIPTS[shell].split('\n'));
    return undefined;
  },
});
