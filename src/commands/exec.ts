/** `glm-token exec`: runs a command with a fresh token in its environment. */

import { isatty } from 'node:tty';
import { GlmTokenError } from '../core/errors.ts';
import { formatKey } from '../core/key.ts';
import { parseTtl, signToken } from '../core/token.ts';
import { findKey } from '../stores/stores.ts';
import { ACCOUNT_OPTIONS, type Command, type ExitStatus } from './command.ts';

/** Where OpenAI's and Z.ai's own programs and libraries look for a key. */
const VARIABLES = ['OPENAI_API_KEY', 'ZAI_API_KEY'];

/** A command cannot get another token while it runs, so this one has to last. */
const TTL = '1h';

/** What env, nohup and timeout report of a command that cannot be run. */
const NOT_FOUND = 127;
const NOT_EXECUTABLE = 126;

export const exec: Command = {
  name: 'exec',
  summary: 'run a command with a token in its environment',
  options: {
    ...ACCOUNT_OPTIONS,
    env: {
      type: 'string',
      value: 'NAME',
      describe: `variable to put it in [${VARIABLES.join(', ')}]`,
    },
    ttl: { type: 'string', value: 'TIME', describe: `how long the token lives [${TTL}]` },
  },
  operands: { usage: '[--] COMMAND ...', verbatim: true },
  examples: [
    ['glm-token exec -- python chat.py', 'never with the key itself'],
    ['glm-token exec --env MY_KEY -- ./chat', 'in a variable of your choice'],
  ],
  async run(context, args, [file, ...rest]) {
    if (file === undefined) {
      throw new GlmTokenError(
        'ERR_USAGE',
        'there is no command to run',
        'write it after the options: glm-token exec -- COMMAND ...',
      );
    }
    const names = args.env === undefined ? VARIABLES : [parseVariable(String(args.env))];
    const ttlMs = parseTtl(String(args.ttl ?? TTL));
    const key = await findKey(context.stores(), context.account(args));
    const { token } = await signToken(key, context.clock.now(), ttlMs);
    const env = { ...withoutKey(context.env, formatKey(key)) };
    for (const name of names) env[name] = token;

    const { default: spawn } = await import('cross-spawn'); // It finds .cmd files on Windows.
    // A terminal sends what its keys stand for to the command too.
    const onTerminal = [0, 1, 2].some((fd) => isatty(fd));
    context.onSignal((signal) => {
      const sentToBoth = onTerminal && (signal === 'SIGINT' || signal === 'SIGQUIT');
      if (!sentToBoth) child.kill(signal);
    });
    const child = spawn(file, rest, { stdio: 'inherit', env });
    return new Promise<ExitStatus>((resolve) => {
      child.once('exit', (status, signal) => resolve(signal ?? status ?? 1));
      child.once('error', ({ code }: NodeJS.ErrnoException) => {
        // Its name is not repeated: it may be a key, from someone who meant another subcommand.
        const found = code !== 'ENOENT';
        context.note(
          found
            ? `glm-token: the command cannot be run (${code})\nhint: check that it is a program, and its mode`
            : 'glm-token: there is no such command\nhint: check its name and PATH',
        );
        resolve(found ? NOT_EXECUTABLE : NOT_FOUND);
      });
    });
  },
};

function parseVariable(name: string): string {
  if (/^[A-Za-z_]\w*$/.test(name)) return name;
  throw new GlmTokenError(
    'ERR_USAGE',
    '--env is not the name of a variable',
    'write one such as OPENAI_API_KEY; the token is put into it',
  );
}

/** The environment without `GLM_API_KEY`, and without whatever else holds the key itself. */
function withoutKey(
  env: Readonly<Record<string, string | undefined>>,
  key: string,
): Record<string, string | undefined> {
  return Object.fromEntries(
    Object.entries(env).filter(([name, value]) => name !== 'GLM_API_KEY' && !value?.includes(key)),
  );
}
