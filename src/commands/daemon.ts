/** `glm-token daemon`: the helper that Emacs keeps, and asks for each token. */

import { GlmTokenError } from '../core/errors.ts';
import { parseTtl } from '../core/token.ts';
import { helperMethods } from '../daemon/methods.ts';
import { serve } from '../daemon/stdio.ts';
import type { Command } from './command.ts';

/** How long the key file stays unlocked when nobody uses it. */
const LOCK_AFTER = '15m';

export const daemon: Command = {
  name: 'daemon',
  summary: 'answer Emacs on standard input and output (Emacs starts it)',
  options: {
    stdio: { type: 'boolean', describe: 'speak JSON-RPC on standard input and output' },
    'lock-after': {
      type: 'string',
      value: 'TIME',
      describe: `when unused for so long, lock the key file [${LOCK_AFTER}]`,
    },
  },
  async run(context, args) {
    if (args.stdio !== true) {
      throw new GlmTokenError(
        'ERR_USAGE',
        'the daemon was not told where to listen',
        'add --stdio',
      );
    }
    const { env, version, clock, stdio } = context;
    const stores = context.helperStores(parseTtl(String(args['lock-after'] ?? LOCK_AFTER)));
    const onRetire = () => served.notify('retire');
    const methods = helperMethods({ env, stores, version, pid: stdio.pid, clock, onRetire });
    const served = serve(stdio.input, stdio.output, methods);
    context.onWaiting(() => served.notify('waiting'));
    const signaled = new Promise<void>((resolve) => context.onSignal(() => resolve()));
    await Promise.race([served.done, signaled]);
  },
};
