/** `glm-token doctor`: checks all that a token depends on, and says what is wrong and its cure. */

import { type Account, accountFlags, describeAccount, sameAccount } from '../core/account.ts';
import { asGlmTokenError, type ErrorCode, EXIT_STATUS, GlmTokenError } from '../core/errors.ts';
import {
  CLOCK_TOLERANCE_MS,
  describeDuration,
  findProblems,
  isSignedBy,
  parseToken,
} from '../core/inspect.ts';
import { type ApiKey, shortenId, tryParseKey } from '../core/key.ts';
import { explainServiceError } from '../core/service-errors.ts';
import { DEFAULT_TTL_MS, signToken } from '../core/token.ts';
import { othersCanRead } from '../stores/passphrase.ts';
import { type Stores, surveyKeys } from '../stores/stores.ts';
import { ACCOUNT_OPTIONS, type Args, type Command, type Context } from './command.ts';
import type { Answer } from './probe.ts';

/** The oldest Node that the program is made for. */
const NODE_VERSION = [20, 19] as const;

export interface Finding {
  readonly check: string;
  readonly level: 'ok' | 'warning' | 'failure';
  readonly message: string;
  readonly hint?: string | undefined;
  /** Of a failure. */
  readonly code?: ErrorCode;
}

export const doctor: Command = {
  name: 'doctor',
  summary: 'check all that a token depends on',
  options: {
    ...ACCOUNT_OPTIONS,
    live: { type: 'boolean', describe: 'send a token to the service, and explain its answer' },
    'save-clock': {
      type: 'boolean',
      describe: "sign on the host's time for a day, where the clock cannot be set",
    },
    json: { type: 'boolean', describe: 'print JSON' },
  },
  async run(context, args) {
    const findings: Finding[] = [];
    for await (const finding of examine(context, args)) {
      findings.push(finding);
      if (args.json === true) continue;
      const { level, check, message, hint } = finding;
      context.print(`${level.padEnd(8)} ${check.padEnd(8)} ${message}`);
      if (hint && level !== 'ok') context.print(`${' '.repeat(18)}hint: ${hint}`);
    }
    // The first that fails, since what comes after depends on it.
    const code = findings.find(({ level }) => level === 'failure')?.code;
    if (args.json === true) {
      context.print(JSON.stringify({ schemaVersion: 1, ok: code === undefined, findings }));
    }
    return code === undefined ? 0 : EXIT_STATUS[code];
  },
};

const ok = (check: string, message: string): Finding => ({ check, level: 'ok', message });

const warning = (check: string, message: string, hint: string): Finding => ({
  check,
  level: 'warning',
  message,
  hint,
});

const failure = (check: string, error: unknown): Finding => {
  const { code, message, hint } = asGlmTokenError(error);
  return { check, level: 'failure', message, hint, code };
};

async function* examine(context: Context, args: Args): AsyncGenerator<Finding> {
  yield ok('version', `glm-token ${context.version}`);
  yield checkNode(context);
  yield* checkEnvironment(context);
  const stores = context.stores();
  const { keys, error } = await surveyKeys(stores);
  yield await checkStore(stores, error);

  const named = args.host !== undefined || args.profile !== undefined;
  const account = context.account(args);
  const accounts = keys.filter(
    (key) =>
      (!named || sameAccount(key.account, account)) &&
      // Of two keys for one account, the first is used.
      keys.find((other) => sameAccount(other.account, key.account)) === key,
  );
  if (accounts.length === 0 && error === undefined) {
    yield failure(
      'key',
      new GlmTokenError(
        'ERR_KEY_NOT_FOUND',
        named ? `no key is stored for ${describeAccount(account)}` : 'no key is stored yet',
        `run: glm-token store${named ? accountFlags(account) : ''}`,
      ),
    );
  }
  for (const { account, text } of accounts) yield* checkKey(context, account, text);

  const hosts = new Set(accounts.map(({ account }) => account.host));
  if (hosts.size === 0) hosts.add(account.host);
  for (const [n, host] of [...hosts].entries()) {
    const save = args['save-clock'] === true && n === 0;
    const reached = yield* checkHost(context, host, save);
    if (!reached || args.live !== true) continue;
    for (const { account, text } of accounts) {
      const key = tryParseKey(text);
      if (key && account.host === host) yield await checkLive(context, account, key);
    }
  }
}

function checkNode({ paths, nodeVersion }: Context): Finding {
  const [major = 0, minor = 0] = nodeVersion.split('.').map(Number);
  const [oldestMajor, oldestMinor] = NODE_VERSION;
  const text = `${nodeVersion} (${paths.node})`;
  if (major > oldestMajor || (major === oldestMajor && minor >= oldestMinor)) {
    return ok('node', text);
  }
  return warning('node', text, `install Node ${NODE_VERSION.join('.')} or later`);
}

function* checkEnvironment({ env, platform }: Context): Generator<Finding> {
  if (env.GLM_API_KEY) {
    yield warning(
      'env',
      'GLM_API_KEY is set and wins; every program started from here can read the key',
      'for more than CI or a first try: unset GLM_API_KEY, and glm-token store',
    );
  }
  const file = env.GLM_TOKEN_PASSPHRASE_FILE;
  if (file && platform !== 'win32' && othersCanRead(file)) {
    yield warning('env', `others can read the passphrase in ${file}`, `run: chmod 600 ${file}`);
  }
}

/** The store in use, and whether it answers and lasts. */
async function checkStore(stores: Stores, error: unknown): Promise<Finding> {
  if (error !== undefined) {
    const finding = failure('store', error);
    // With a key in the environment, nothing depends on it.
    return stores.environment ? { ...finding, level: 'warning' } : finding;
  }
  const store = await stores.primary();
  const threat = await store.perishes?.();
  return threat
    ? warning('store', `${store.title}; ${threat}`, 'keep the key somewhere else as well')
    : ok('store', `${store.title}; it survives a reboot`);
}

async function* checkKey(
  { clock }: Context,
  account: Account,
  text: string,
): AsyncGenerator<Finding> {
  const owner = describeAccount(account);
  const key = tryParseKey(text);
  if (!key) {
    const what = `what is stored for ${owner} is not an API key (id.secret)`;
    const cure = `store it again: glm-token store --force${accountFlags(account)}`;
    yield failure('key', new GlmTokenError('ERR_KEY_MALFORMED', what, cure));
    return;
  }
  yield ok('key', `${shortenId(key.id)} for ${owner} has the shape of one`);
  const nowMs = clock.now();
  const parsed = parseToken((await signToken(key, nowMs, DEFAULT_TTL_MS)).token);
  const [problem] = findProblems(parsed, nowMs);
  if (problem || !(await isSignedBy(parsed, key))) {
    throw new Error(problem?.what ?? 'a token does not verify with the key that signed it');
  }
  yield ok('token', `signed for ${owner}, and verified`);
}

/** Whether the host answers, and how far our clock is from its; returns whether it did. */
async function* checkHost(
  context: Context,
  host: string,
  save: boolean,
): AsyncGenerator<Finding, boolean> {
  let answer: Answer;
  try {
    const { askHost } = await import('./probe.ts');
    answer = await askHost(host, { env: context.env, now: context.clock.uncorrected });
  } catch (error) {
    yield failure('host', error);
    return false;
  }
  const through = answer.proxy ? `, through the proxy ${answer.proxy}` : '';
  yield ok('host', `${host} answers, in ${Math.round(answer.elapsedMs)} ms${through}`);
  yield checkClock(context, host, answer.offsetMs, save);
  return true;
}

function checkClock(
  { clock, env, platform }: Context,
  host: string,
  offsetMs: number | undefined,
  save: boolean,
): Finding {
  if (offsetMs === undefined) {
    return warning('clock', `${host} does not say its time`, 'compare the clock with another one');
  }
  const isOff = Math.abs(offsetMs) > CLOCK_TOLERANCE_MS;
  if (save && isOff) clock.save(Math.round(offsetMs), host);
  if (save && !isOff) clock.clear();
  const saved = clock.saved();
  const difference = `${describeDuration(Math.abs(offsetMs))} ${offsetMs > 0 ? 'behind' : 'ahead of'} ${host}`;
  if (saved && Math.abs(offsetMs - saved.offsetMs) <= CLOCK_TOLERANCE_MS) {
    const left = describeDuration(saved.untilMs - clock.uncorrected());
    return ok('clock', `${difference}; tokens are signed on its time for ${left} more`);
  }
  if (saved) {
    return warning(
      'clock',
      `${difference}, and the saved offset is off by ${describeDuration(Math.abs(offsetMs - saved.offsetMs))}`,
      'measure it again: glm-token doctor --save-clock',
    );
  }
  if (!isOff)
    return ok('clock', `within ${describeDuration(Math.max(1000, Math.abs(offsetMs)))} of ${host}`);
  return warning(
    'clock',
    `${difference}, so that tokens are ${offsetMs > 0 ? 'expired when they get there' : 'from the future'}`,
    `set it right (${howToSetClock(platform, env)}); where that cannot be: glm-token doctor --save-clock`,
  );
}

function howToSetClock(platform: NodeJS.Platform, env: Context['env']): string {
  if (platform === 'darwin') return 'sudo sntp -sS time.apple.com';
  if (platform === 'win32') return 'w32tm /resync, as administrator';
  if (env.WSL_DISTRO_NAME) return 'sudo hwclock -s';
  return 'sudo timedatectl set-ntp true';
}

async function checkLive(context: Context, account: Account, key: ApiKey): Promise<Finding> {
  const { clock, env } = context;
  const owner = describeAccount(account);
  try {
    const { listModels } = await import('./probe.ts');
    const { token } = await signToken(key, clock.now(), DEFAULT_TTL_MS);
    const answer = await listModels(account.host, token, { env, now: clock.uncorrected });
    if (answer.status === 200) return ok('live', `the service takes a token for ${owner}`);
    const code = errorCode(answer.body);
    const said = `${account.host} answers ${answer.status}${code ? `, code ${code}` : ''}`;
    const explained = explainServiceError(code ?? String(answer.status));
    throw new GlmTokenError(
      'ERR_NETWORK',
      explained ? `${said}: ${explained.what}` : said,
      explained?.cure ?? "see the service's list: docs.z.ai/api-reference/api-code",
    );
  } catch (error) {
    return failure('live', error);
  }
}

/** The error code in an answer of the service, which is digits. */
function errorCode(body: string): string | undefined {
  try {
    const code = String(JSON.parse(body).error?.code ?? '');
    return /^\d{3,5}$/.test(code) ? code : undefined;
  } catch {
    return undefined;
  }
}
