/** `glm-token exec`: runs a command with a fresh token in its environment. */

import { isatty } from 'node:tty';
import { ACCOUNT_OPTIONS, type Command, type ExitStatus } from '../command.ts';
import { GlmTokenError } from '../core/errors.ts';
import { type ApiKey, formatKey } from '../core/key.ts';
import { freshToken } from '../fresh-token.ts';
import type { Env } from '../settings.ts';
import { withoutKeys } from '../stores/environment.ts';

/** Where OpenAI's and Z.ai's own programs and libraries look for a key. */
const VARIABLES = ['OPENAI_API_KEY', 'ZAI_API_KEY'];

/** A command cannot get another token while it runs, so this one has to last. */
const TTL = '1h';

/** What env, nohup and timeout report of a command that cannot be run. */
const NOT_FOUND = 127;
const NOT_EXECUTABLE = 126;

export const exec: Command<'exec'> = {
  name: 'exec',
  options: {
    ...ACCOUNT_OPTIONS,
    env: { type: 'string', value: 'NAME', default: VARIABLES.join(', ') },
    ttl: { type: 'string', value: 'TIME', default: TTL },
  },
  operands: { usage: '[--] COMMAND ...', verbatim: true },
  async run(context, args, [file, ...rest]) {
    if (file === undefined) throw new GlmTokenError('execWithoutCommand');
    const names = args.env === undefined ? VARIABLES : [parseVariable(String(args.env))];
    const ttl = String(args.ttl ?? TTL);
    const { token, key } = await freshToken(context, context.account(args), ttl);
    const env = withoutSecrets(context.env, key);
    for (const name of names) env[name] = token;

    const { default: spawn } = await import('cross-spawn'); // It finds .cmd files on Windows.
    // Ctrl-C reaches the child directly; don't send it twice.
    const isOnTerminal = [0, 1, 2].some((fd) => isatty(fd));
    context.onSignal((signal) => {
      const reachesChild = isOnTerminal && (signal === 'SIGINT' || signal === 'SIGQUIT');
      if (!reachesChild) child.kill(signal);
    });
    const child = spawn(file, rest, { stdio: 'inherit', env });
    return new Promise<ExitStatus>((resolve) => {
      child.once('exit', (status, signal) => resolve(signal ?? status ?? 1));
      child.once('error', ({ code = '' }: NodeJS.ErrnoException) => {
        // Its name is not repeated: it may be a key, from someone who meant another subcommand.
        const { notFound, notExecutable } = context.messages.exec;
        const isMissing = code === 'ENOENT';
        context.terminal.note(isMissing ? notFound : notExecutable(code));
        resolve(isMissing ? NOT_FOUND : NOT_EXECUTABLE);
      });
    });
  },
};

function parseVariable(name: string): string {
  if (/^[A-Za-z_]\w*$/.test(name)) return name;
  throw new GlmTokenError('execVariableInvalid');
}

/** The environment without whatever holds the key or its secret, or leads to them. */
function withoutSecrets(env: Env, key: ApiKey | undefined): Record<string, string | undefined> {
  const isSecret = (value = '') =>
    key !== undefined && (value.includes(formatKey(key)) || value === key.secret);
  return Object.fromEntries(
    Object.entries(withoutKeys(env)).filter(([, value]) => !isSecret(value)),
  );
}
