/** `glm-token daemon`: the helper that gives tokens to Emacs, or to whoever connects to its socket. */

import { closeSync } from 'node:fs';
import { createServer } from 'node:net';
import { isatty } from 'node:tty';
import { parseTimeLimit } from '../core/duration.ts';
import { GlmTokenError } from '../core/errors.ts';
import { helperMethods } from '../daemon/methods.ts';
import { type Policy, parseAccounts } from '../daemon/policy.ts';
import { serve } from '../daemon/stdio.ts';
import { defaultSocketPath, parseSocketPath } from '../settings.ts';
import { onSignal } from './signals.ts';
import { type ArgsOf, type Context, FLAG, option, subcommand, withDefault } from './subcommand.ts';

/** Idle time after which the encrypted file is locked. */
const LOCK_AFTER = '15m';

/** What belongs to a socket alone. */
const SOCKET_OPTIONS = ['accounts', 'allow-write', 'exit-after'] as const;

const OPTIONS = {
  stdio: FLAG,
  socket: option('[PATH]', (path) => path && parseSocketPath(path)),
  accounts: option('LIST', parseAccounts),
  'allow-write': FLAG,
  'lock-after': withDefault(option('TIME', parseTimeLimit), LOCK_AFTER),
  'exit-after': option('TIME', parseTimeLimit),
};

type Args = ArgsOf<typeof OPTIONS>;

export const daemon = subcommand({
  name: 'daemon',
  options: OPTIONS,
  async run(context, args) {
    process.once('exit', leaveTerminal);
    const usesSocket = args.socket !== undefined;
    if (args.stdio === usesSocket) throw new GlmTokenError('daemonWithoutTransport');
    if (!usesSocket) {
      const option = SOCKET_OPTIONS.find((name) => args[name]);
      if (option) throw new GlmTokenError('optionNeedsSocket', { option });
      return onStdio(context, args);
    }
    if (context.platform === 'win32') throw new GlmTokenError('socketsNotOnWindows');
    return onSocket(context, args);
  },
});

/**
 * As it ends, Node sets the terminal back to how it was at the start, where that is still open, even
 * from the background. By then it may be an editor's, which would lose its keys.
 */
function leaveTerminal(): void {
  for (const descriptor of [0, 1, 2]) {
    if (isatty(descriptor)) closeSync(descriptor);
  }
}

const isSignaled = (): Promise<void> => new Promise((resolve) => onSignal(() => resolve()));

async function onStdio(context: Context, args: Args): Promise<undefined> {
  const stores = context.helperStores({
    accounts: undefined,
    lockAfterMs: args['lock-after'],
    onWaiting: (program) => served.noteWaiting(program),
  });
  const served = serve(process.stdin, process.stdout, helperMethods(context, stores));
  await Promise.race([served.done, isSignaled()]);
  return undefined;
}

async function onSocket(context: Context, args: Args): Promise<undefined> {
  const { env, platform, terminal, messages } = context;
  const { accounts, 'allow-write': mayWrite } = args;
  if (accounts && mayWrite) throw new GlmTokenError('accountsAreReadOnly');
  const policy: Policy = { mayWrite, maySetCommand: false, accounts };
  const path = args.socket || defaultSocketPath(env, platform);
  const { listen, serveClients } = await import('../daemon/socket.ts');
  const signaled = isSignaled();
  const stores = context.helperStores({
    accounts,
    lockAfterMs: args['lock-after'],
    onWaiting: (program) => clients.noteWaiting(program),
  });
  const server = createServer();
  const clients = serveClients(server, helperMethods(context, stores, policy), args['exit-after']);
  const remove = await listen(server, { path, uid: process.getuid?.() }, env);
  try {
    terminal.note(messages.daemon.listening(path, accounts));
    await Promise.race([clients.idle, signaled]);
  } finally {
    remove();
  }
  return undefined;
}
