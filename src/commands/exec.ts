/** `glm-token exec`: runs a program with a fresh token in its environment. */

import { spawn } from 'node:child_process';
import { isatty } from 'node:tty';
import { parseDuration } from '../core/duration.ts';
import { GlmTokenError } from '../core/errors.ts';
import { type ApiKey, formatKey } from '../core/key.ts';
import { LONG_TTL } from '../core/token.ts';
import { withoutKeys } from '../stores/environment.ts';
import { findProgram } from '../stores/program.ts';
import { freshToken } from './fresh-token.ts';
import { onSignal } from './signals.ts';
import {
  ACCOUNT_OPTIONS,
  type Context,
  type ExitStatus,
  option,
  subcommand,
  withDefault,
} from './subcommand.ts';

/** Where OpenAI's and Z.ai's own programs and libraries look for a key. */
const VARIABLES = 'OPENAI_API_KEY, ZAI_API_KEY';

/** What env, nohup and timeout report of a program that cannot be run. */
const NOT_FOUND = 127;
const NOT_EXECUTABLE = 126;

export const exec = subcommand({
  name: 'exec',
  options: {
    ...ACCOUNT_OPTIONS,
    env: withDefault(option('NAME', parseVariables), VARIABLES),
    ttl: withDefault(option('TIME', parseDuration), LONG_TTL),
  },
  operands: { usage: '[--] PROGRAM ...', takes: 'program' },
  async run(context, args, [file, ...rest]) {
    if (file === undefined) throw new GlmTokenError('execWithoutProgram');
    const { terminal, messages } = context;
    const { token, key } = await freshToken(context, context.account(args), args.ttl);
    const env = withoutSecrets(context, key, args.env);
    for (const name of args.env) env[name] = token;

    const program = await findProgram(file, rest, { stdio: 'inherit', env });
    const missing = new GlmTokenError('programMissing', { given: file });
    const say = (error: GlmTokenError) => terminal.note(messages.describe(error));
    if (!program) {
      say(missing);
      return NOT_FOUND;
    }
    // Ctrl-C reaches the child directly; don't send it twice.
    const isOnTerminal = [0, 1, 2].some((fd) => isatty(fd));
    onSignal((signal) => {
      const reachesChild = isOnTerminal && (signal === 'SIGINT' || signal === 'SIGQUIT');
      if (!reachesChild) child.kill(signal);
    });
    const child = spawn(program.command, program.args, program.options);
    return new Promise<ExitStatus>((resolve) => {
      child.once('exit', (status, signal) => resolve(signal ?? status ?? 1));
      child.on('error', ({ code = '' }: NodeJS.ErrnoException) => {
        if (child.pid !== undefined) return; // It runs, as a user whom we may send no signal (sudo).
        const isMissing = code === 'ENOENT';
        say(isMissing ? missing : new GlmTokenError('programNotExecutable', { errno: code }));
        resolve(isMissing ? NOT_FOUND : NOT_EXECUTABLE);
      });
    });
  },
});

function parseVariables(text: string): readonly string[] {
  if (text === VARIABLES) return VARIABLES.split(', ');
  if (/^[A-Za-z_]\w*$/.test(text)) return [text];
  throw new GlmTokenError('execVariableInvalid');
}

/**
 * The environment without whatever holds the key or its secret, or leads to them, and without what is
 * to be set: on Windows, names that differ in case are one, of which Node passes on the first.
 */
function withoutSecrets(
  { env, platform }: Context,
  key: ApiKey | undefined,
  names: readonly string[],
): Record<string, string | undefined> {
  const inOneCase = (name: string) => (platform === 'win32' ? name.toUpperCase() : name);
  const replaced = names.map(inOneCase);
  const isSecret = (value = '') =>
    key !== undefined && (value.includes(formatKey(key)) || value === key.secret);
  return Object.fromEntries(
    Object.entries(withoutKeys(env)).filter(
      ([name, value]) => !replaced.includes(inOneCase(name)) && !isSecret(value),
    ),
  );
}
