/** The checks of all that a token depends on: what is wrong, and its cure. */

import { type Account, sameAccount } from '../core/account.ts';
import {
  asGlmTokenError,
  type ErrorCode,
  GlmTokenError,
  hasCode,
  hasReason,
} from '../core/errors.ts';
import { type ApiKey, shortenId } from '../core/key.ts';
import { CLOCK_TOLERANCE_MS, findProblems, parseToken } from '../core/parsed-token.ts';
import { DEFAULT_TTL_MS, signToken } from '../core/token.ts';
import { oneHint, type Text } from '../messages/common.ts';
import type { Messages } from '../messages/en.ts';
import type { Answer } from '../service/probe.ts';
import type { PlanName } from '../service/services.ts';
import type { Trial } from '../service/verdict.ts';
import type { Settings } from '../settings.ts';
import type { Cure } from '../stores/cure.ts';
import { othersCanRead } from '../stores/passphrase.ts';
import type { StoreLabel, StoreName } from '../stores/port.ts';
import {
  findKey,
  type ListedAccount,
  listAccounts,
  notFound,
  originOf,
  type Stores,
} from '../stores/registry.ts';

export type Check =
  | 'version'
  | 'node'
  | 'environment'
  | 'helper'
  | 'store'
  | 'key'
  | 'token'
  | 'host'
  | 'clock'
  | 'live';

export interface Finding {
  readonly check: Check;
  /** `unchecked`: it was not tried, or could not be. */
  readonly level: 'ok' | 'warning' | 'failure' | 'unchecked';
  readonly message: string;
  readonly hint?: string | undefined;
  /** Of a failure. */
  readonly code?: ErrorCode;
  /** Of a failure that a client can cure. */
  readonly action?: Cure | undefined;
}

/** What the checks need of the world. */
export interface Examined {
  readonly env: NodeJS.ProcessEnv;
  readonly platform: NodeJS.Platform;
  readonly settings: Settings;
  readonly messages: Messages;
  readonly paths: { readonly node: string };
  readonly version: string;
  readonly stores: Stores;
  now(): number;
  /** What cures a failure, for a client that offers cures of its own. */
  cure?(error: GlmTokenError): Cure | null;
}

/** A helper that is asked for tokens in place of this machine's stores. */
export interface AskedHelper {
  readonly path: string;
  status(): Promise<{
    readonly version: string;
    readonly store: StoreName;
    readonly title: string;
  }>;
  accounts(): Promise<readonly Account[]>;
  token(account: Account): Promise<string>;
}

export interface ExamineOptions {
  /** Where tokens come from, when that is not this machine. */
  readonly helper?: AskedHelper | undefined;
  /** The only account to look at; by default every one that has a key. */
  readonly account?: Account | undefined;
  /** Whether to send a token to the service. */
  readonly live?: boolean;
  /** Send it with a chat request of one token on this plan's endpoint; by default, list the models. */
  readonly plan?: PlanName | undefined;
  /** Whether a locked encrypted file is as it should be, since a later request asks for its passphrase. */
  readonly unlocksLater?: boolean;
  /** Whether to show what a command that prints a key says when it fails. */
  readonly tellsWhy?: boolean;
}

export async function* examine(
  examined: Examined,
  options: ExamineOptions,
): AsyncGenerator<Finding> {
  const { account, live = false, plan, unlocksLater = false, tellsWhy = false, helper } = options;
  yield ok('version', `glm-token ${examined.version}`);
  yield ok('node', `${process.versions.node} (${examined.paths.node})`);
  yield* checkEnvironment(examined);
  if (helper) {
    yield* examineHelper(examined, options, helper);
    return;
  }

  const { accounts, error } = await listAccounts(examined.stores);
  const isNeeded = account
    ? !accounts.some((listed) => sameAccount(listed.account, account))
    : accounts.length === 0;
  yield await checkStore(examined, error, { isNeeded, unlocksLater });
  const chosen = accounts.filter(
    (listed) => (!account || sameAccount(listed.account, account)) && isUsed(listed, accounts),
  );
  if (chosen.length === 0 && error === undefined) {
    const reason = account
      ? await notFound(examined.stores, account)
      : new GlmTokenError('noKeyYet');
    yield failure(examined, 'key', reason);
  }
  const keys: [Account, ApiKey][] = [];
  for (const listed of chosen) {
    const key = yield* checkKey(examined, listed, tellsWhy);
    if (key) keys.push([listed.account, key]);
  }

  const hosts = new Set(chosen.map((listed) => listed.account.host));
  if (hosts.size === 0) hosts.add((account ?? examined.settings.account).host);
  for (const host of hosts) {
    const clock = yield* checkHost(examined, host);
    if (!clock || !live) continue;
    for (const [owner, key] of keys) {
      if (owner.host === host) {
        const { token } = await signToken(key, examined.now(), DEFAULT_TTL_MS);
        const origin = await originOf(examined.stores, owner);
        yield await checkLive(examined, { account: owner, token, origin, plan, clock });
      }
    }
  }
}

/** What there is to examine when a helper on a socket is asked: the helper, one token, the host. */
async function* examineHelper(
  examined: Examined,
  { account: named, live = false, plan }: ExamineOptions,
  helper: AskedHelper,
): AsyncGenerator<Finding> {
  const texts = examined.messages.doctor;
  const byDefault = examined.settings.account;
  let account = named ?? byDefault;
  let store: StoreLabel | undefined;
  let token: string | undefined;
  try {
    const { version, title, ...status } = await helper.status();
    store = { name: status.store, place: title };
    yield ok('helper', texts.helperAnswers(helper.path, version, title));
    if (!named) {
      const served = await helper.accounts().catch(() => []);
      const isServed = served.some((one) => sameAccount(one, byDefault));
      account = isServed ? byDefault : (served[0] ?? byDefault);
    }
  } catch (error) {
    yield failure(examined, 'helper', error);
  }
  if (store) {
    try {
      token = await helper.token(account);
      const [problem] = findProblems(parseToken(token), examined.now());
      const text = problem && examined.messages.inspect.problem(problem);
      yield text ? warning('token', text) : ok('token', texts.tokenCame(account));
    } catch (error) {
      yield failure(examined, 'token', error);
    }
  }
  const clock = yield* checkHost(examined, account.host);
  if (live && clock && token && store) {
    yield await checkLive(examined, { account, token, origin: undefined, plan, clock });
  }
}

/** Whether a key is the one that is used: of two for one account, the first. */
const isUsed = (listed: ListedAccount, all: readonly ListedAccount[]): boolean =>
  all.find((other) => sameAccount(other.account, listed.account)) === listed;

const ok = (check: Check, message: string): Finding => ({ check, level: 'ok', message });

const warning = (check: Check, text: Text): Finding => ({
  check,
  level: 'warning',
  message: text.message,
  hint: oneHint(text),
});

function failure({ messages, cure }: Examined, check: Check, thrown: unknown): Finding {
  const error = asGlmTokenError(thrown);
  const { code } = error;
  const text = messages.describe(error);
  const action = cure?.(error) ?? undefined;
  return { check, level: 'failure', message: text.message, hint: oneHint(text), code, action };
}

function* checkEnvironment({ settings, platform, messages }: Examined): Generator<Finding> {
  if (settings.apiKey !== undefined) {
    const { environment, environmentUnused } = messages.doctor;
    yield warning('environment', settings.socket ? environmentUnused : environment);
  }
  const file = settings.passphraseFile;
  if (file !== undefined && platform !== 'win32' && othersCanRead(file)) {
    yield warning('environment', messages.doctor.passphraseFileOpen(file));
  }
}

/** Whether the store in use answers, and whether it lasts. */
async function checkStore(
  examined: Examined,
  error: unknown,
  { isNeeded, unlocksLater }: { isNeeded: boolean; unlocksLater: boolean },
): Promise<Finding> {
  const { stores } = examined;
  const { store: texts, perils, keepElsewhere, lockedUntilNeeded } = examined.messages.doctor;
  if (hasCode(error, 'ERR_PASSPHRASE') && unlocksLater) {
    return ok('store', lockedUntilNeeded(await stores.open('file')));
  }
  if (error !== undefined) {
    const finding = failure(examined, 'store', error);
    const asksLater = hasReason(error, 'keychainAsksLater');
    // With keys from the environment or from commands, nothing may depend on it.
    return !isNeeded || asksLater ? { ...finding, level: 'warning' } : finding;
  }
  const store = await stores.open(stores.inUse());
  const peril = await store.perishesWith();
  if (!peril) return ok('store', texts(store));
  return warning('store', { message: `${texts(store)}: ${perils[peril]}`, hint: keepElsewhere });
}

/** Whether an account has a key that is one; returns the key when it is. */
async function* checkKey(
  examined: Examined,
  { account, program, isLocked }: ListedAccount,
  tellsWhy: boolean,
): AsyncGenerator<Finding, ApiKey | undefined> {
  try {
    const key = await findKey(examined.stores, account, { tellsWhy, mayAsk: isLocked !== true });
    yield ok('key', examined.messages.doctor.keyWellFormed(shortenId(key.id), account, program));
    return key;
  } catch (error) {
    const finding = failure(examined, 'key', error);
    yield hasReason(error, 'keychainAsksLater') ? { ...finding, level: 'warning' } : finding;
    return undefined;
  }
}

/** Whether the host answers, and how far our clock is from its; returns the latter, if it did. */
async function* checkHost(
  examined: Examined,
  host: string,
): AsyncGenerator<Finding, Finding | undefined> {
  let answer: Answer;
  try {
    const { askHost } = await import('../service/probe.ts');
    answer = await askHost(host, examined);
  } catch (error) {
    yield failure(examined, 'host', error);
    return undefined;
  }
  const { hostAnswers } = examined.messages.doctor;
  yield ok('host', hostAnswers(host, answer.elapsedMs, answer.proxy));
  const clock = checkClock(examined, host, answer.offsetMs);
  yield clock;
  return clock;
}

function checkClock(
  { messages, platform, env }: Examined,
  host: string,
  offsetMs: number | undefined,
): Finding {
  const { clockUnknown, clockRight, clockOff, asAdministrator } = messages.doctor;
  if (offsetMs === undefined) return warning('clock', clockUnknown(host));
  const offMs = Math.abs(offsetMs);
  if (offMs <= CLOCK_TOLERANCE_MS) {
    return ok('clock', clockRight(host, Math.max(1000, offMs)));
  }
  const command = setClockCommand(platform, env);
  const shownCommand = platform === 'win32' ? asAdministrator(command) : command;
  return warning('clock', clockOff(host, offsetMs, DEFAULT_TTL_MS, shownCommand));
}

function setClockCommand(platform: NodeJS.Platform, env: NodeJS.ProcessEnv): string {
  if (platform === 'darwin') return 'sudo sntp -sS time.apple.com';
  if (platform === 'win32') return 'w32tm /resync';
  if (env.WSL_DISTRO_NAME) return 'sudo hwclock -s';
  return 'sudo timedatectl set-ntp true';
}

interface LiveCheck extends Trial {
  readonly clock: Finding;
}

/** Whether the service accepts a token. */
async function checkLive(examined: Examined, { clock, ...trial }: LiveCheck): Promise<Finding> {
  const { askVerdict, verdictText } = await import('../service/verdict.ts');
  const verdict = await askVerdict(trial, examined);
  const text = verdictText(verdict, trial.account, examined.messages);
  if (verdict.verdict === 'accepted') {
    return verdict.freeModel ? warning('live', text) : ok('live', text.message);
  }
  const { reason } = verdict;
  // That the service is busy says nothing of the key; that something else answers is a failure.
  const isService = hasReason(reason, 'tokenRefused') && reason.params.fault !== undefined;
  if (verdict.verdict === 'unchecked' && isService) {
    return { ...warning('live', text), level: 'unchecked' };
  }
  // The service answers a wrong clock as it answers a wrong key.
  const isClock = clock.level !== 'ok' && isService;
  const hint = isClock ? examined.messages.doctor.clockFirst : oneHint(text);
  const cure = isClock ? undefined : examined.cure?.(reason);
  // This is the doctor.
  const action = cure === 'doctor' ? undefined : (cure ?? undefined);
  return {
    check: 'live',
    level: 'failure',
    message: text.message,
    hint,
    code: reason.code,
    action,
  };
}
