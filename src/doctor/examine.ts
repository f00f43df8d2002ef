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
  readonly hint: string | undefined;
  /** Of a failure. */
  readonly code: ErrorCode | undefined;
  /** Of a failure that a client can cure. */
  readonly action: Cure | undefined;
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
}

/** A helper that is asked for tokens in place of this machine's stores. */
export interface AskedHelper {
  readonly path: string;
  status(): Promise<{ readonly version: string; readonly title: string }>;
  accounts(): Promise<readonly Account[]>;
  token(account: Account): Promise<string>;
}

export interface ExamineOptions {
  /** Where tokens come from, when that is not this machine. */
  readonly helper: AskedHelper | undefined;
  /** The only account to look at; by default every one that has a key. */
  readonly account: Account | undefined;
  /** Whether to send a token to the service. */
  readonly live: boolean;
  /** Send it with a chat request of one token on this plan's endpoint; without one, list the models. */
  readonly plan: PlanName | null;
  /** When false, no command is run, and no person is asked. */
  readonly mayAsk: boolean;
  /** Whether a locked encrypted file is as it should be, since a later request asks for its passphrase. */
  readonly unlocksLater: boolean;
  /** Whether to show what a command that prints a key says when it fails. */
  readonly tellsWhy: boolean;
  /** What cures a failure, for a client that offers cures of its own. */
  cure(error: GlmTokenError): Cure | null;
}

export async function* examine(world: Examined, options: ExamineOptions): AsyncGenerator<Finding> {
  const examined = { ...world, ...options };
  yield ok('version', `glm-token ${world.version}`);
  yield ok('node', `${process.versions.node} (${world.paths.node})`);
  yield* checkEnvironment(world);
  const { helper } = options;
  yield* helper ? examineHelper(examined, helper) : examineStores(examined);
}

/** The world and the options. */
type Desk = Examined & ExamineOptions;

/** What there is to examine on this machine: the stores, their keys, and the hosts of these. */
async function* examineStores(desk: Desk): AsyncGenerator<Finding> {
  const { stores, account, live, plan } = desk;
  const { accounts, error } = await listAccounts(stores);
  const named = account
    ? accounts.filter((listed) => sameAccount(listed.account, account))
    : accounts;
  yield await checkStore(desk, error, named.length === 0);
  const chosen = named.filter((listed) => isUsed(listed, accounts));
  if (chosen.length === 0 && error === undefined) {
    yield failure(
      desk,
      'key',
      account ? await notFound(stores, account) : new GlmTokenError('noKeyYet'),
    );
  }
  const keys: [Account, ApiKey][] = [];
  for (const listed of chosen) {
    const key = yield* checkKey(desk, listed);
    if (key) keys.push([listed.account, key]);
  }

  const hosts = new Set(chosen.map((listed) => listed.account.host));
  if (hosts.size === 0) hosts.add((account ?? desk.settings.account).host);
  for (const host of hosts) {
    const answer = yield* checkHost(desk, host);
    if (!answer || !live) continue;
    for (const [owner, key] of keys.filter(([owner]) => owner.host === host)) {
      const { token } = await signToken(key, desk.now(), DEFAULT_TTL_MS);
      const origin = await originOf(stores, owner);
      yield await checkLive(desk, { account: owner, token, origin, plan }, answer);
    }
  }
}

/** What there is to examine when a helper on a socket is asked: the helper, one token, the host. */
async function* examineHelper(desk: Desk, helper: AskedHelper): AsyncGenerator<Finding> {
  const { messages, settings, live, plan } = desk;
  let account = desk.account ?? settings.account;
  let token: string | undefined;
  let check: Check = 'helper';
  try {
    const { version, title } = await helper.status();
    yield ok('helper', messages.doctor.helperAnswers(helper.path, version, title));
    if (!desk.account) {
      const served = await helper.accounts().catch(() => []);
      const isServed = served.some((one) => sameAccount(one, account));
      account = isServed ? account : (served[0] ?? account);
    }
    check = 'token';
    token = await helper.token(account);
    const [problem] = findProblems(parseToken(token), desk.now());
    const text = problem && messages.inspect.problem(problem);
    yield text ? warning('token', text) : ok('token', messages.doctor.tokenCame(account));
  } catch (error) {
    yield failure(desk, check, error);
  }
  const answer = yield* checkHost(desk, account.host);
  if (live && answer && token) {
    yield await checkLive(desk, { account, token, origin: undefined, plan }, answer);
  }
}

/** Whether a key is the one that is used: of two for one account, the first. */
const isUsed = (listed: ListedAccount, all: readonly ListedAccount[]): boolean =>
  all.find((other) => sameAccount(other.account, listed.account)) === listed;

export const finding = (check: Check, level: Finding['level'], text: Text): Finding => {
  const { message } = text;
  return { check, level, message, hint: oneHint(text), code: undefined, action: undefined };
};

const ok = (check: Check, message: string) => finding(check, 'ok', { message });

const warning = (check: Check, text: Text) => finding(check, 'warning', text);

function failure({ messages, cure }: Desk, check: Check, thrown: unknown): Finding {
  const error = asGlmTokenError(thrown);
  const found = finding(check, 'failure', messages.describe(error));
  return { ...found, code: error.code, action: cure(error) ?? undefined };
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

/**
 * Whether the store in use answers, and whether it lasts.
 *
 * @param isNeeded whether no key is known from elsewhere, such as the environment
 */
async function checkStore(desk: Desk, error: unknown, isNeeded: boolean): Promise<Finding> {
  const { stores, unlocksLater } = desk;
  const { store: texts, perils, keepElsewhere, lockedUntilNeeded } = desk.messages.doctor;
  if (hasCode(error, 'ERR_PASSPHRASE') && unlocksLater) {
    return ok('store', lockedUntilNeeded(await stores.open('file')));
  }
  if (error !== undefined) {
    const found = failure(desk, 'store', error);
    const asksLater = hasReason(error, 'keychainAsksLater');
    return !isNeeded || asksLater ? { ...found, level: 'warning' } : found;
  }
  const store = await stores.open(stores.inUse());
  const peril = await store.perishesWith();
  if (!peril) return ok('store', texts(store));
  return warning('store', { message: `${texts(store)}: ${perils[peril]}`, hint: keepElsewhere });
}

/** Whether an account has a key that is one; returns the key when it is. */
async function* checkKey(
  desk: Desk,
  { account, program, isLocked }: ListedAccount,
): AsyncGenerator<Finding, ApiKey | undefined> {
  const { stores, messages, tellsWhy } = desk;
  try {
    const mayAsk = desk.mayAsk && isLocked !== true;
    const key = await findKey(stores, account, { tellsWhy, mayAsk });
    yield ok('key', messages.doctor.keyWellFormed(shortenId(key.id), account, program));
    return key;
  } catch (error) {
    const found = failure(desk, 'key', error);
    if (hasReason(error, 'keyCommandRunsLater')) yield { ...found, level: 'unchecked' };
    else yield hasReason(error, 'keychainAsksLater') ? { ...found, level: 'warning' } : found;
    return undefined;
  }
}

/** Whether the host answers, and how far our clock is from its; returns what it answered. */
async function* checkHost(desk: Desk, host: string): AsyncGenerator<Finding, Answer | undefined> {
  try {
    const { askHost } = await import('../service/probe.ts');
    const answer = await askHost(host, desk);
    yield ok('host', desk.messages.doctor.hostAnswers(host, answer.elapsedMs, answer.proxy));
    yield checkClock(desk, host, answer.offsetMs);
    return answer;
  } catch (error) {
    yield failure(desk, 'host', error);
    return undefined;
  }
}

function checkClock(
  { messages, platform, env }: Desk,
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

/** Whether the service accepts a token. */
async function checkLive(desk: Desk, trial: Trial, { offsetMs = 0 }: Answer): Promise<Finding> {
  const { askVerdict, verdictText } = await import('../service/verdict.ts');
  const result = await askVerdict(trial, desk);
  const { verdict, reason, freeModel } = result;
  const text = verdictText(result, trial.account, desk.messages);
  if (!reason) return freeModel ? warning('live', text) : ok('live', text.message);
  // That the service is busy says nothing of the key; that something else answers is a failure.
  const isService = hasReason(reason, 'tokenRefused') && reason.params.fault !== undefined;
  if (verdict === 'unchecked' && isService) return finding('live', 'unchecked', text);
  // The service answers as to a wrong key where no token of ours is valid by its clock.
  const isClock = isService && Math.abs(offsetMs) > DEFAULT_TTL_MS;
  const hint = isClock ? desk.messages.doctor.clockFirst : text.hint;
  const cure = isClock ? null : desk.cure(reason);
  const action = cure === 'doctor' || cure === null ? undefined : cure; // This is the doctor.
  return { ...finding('live', 'failure', { ...text, hint }), code: reason.code, action };
}
