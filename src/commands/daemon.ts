/** `glm-token daemon`: the helper that Emacs keeps, and asks for each token. */

import { GlmTokenError } from '../core/errors.ts';
import { helperMethods } from '../daemon/methods.ts';
import { serve } from '../daemon/stdio.ts';
import type { Command } from './command.ts';

export const daemon: Command = {
  name: 'daemon',
  summary: 'answer Emacs on standard input and output (Emacs starts it)',
  options: {
    stdio: { type: 'boolean', describe: 'speak JSON-RPC on standard input and output' },
  },
  async run(context, args) {
    if (args.stdio !== true) {
      throw new GlmTokenError(
        'ERR_USAGE',
        'the daemon was not told where to listen',
        'add --stdio',
      );
    }
    const { env, version, now, stdio } = context;
    const stores = context.stores();
    const onRetire = () => served.notify('retire');
    const methods = helperMethods({ env, stores, version, pid: stdio.pid, now, onRetire });
    const served = serve(stdio.input, stdio.output, methods);
    context.onWaiting(() => served.notify('waiting'));
    await Promise.race([served.done, context.untilSignal()]);
  },
};
