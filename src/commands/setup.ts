/** `glm-token setup`: the guided first run. */

import { randomBytes } from 'node:crypto';
import { type Account, DEFAULT_HOST } from '../core/account.ts';
import { GlmTokenError, hasCode, hasReason } from '../core/errors.ts';
import { type ApiKey, MAX_KEY_BYTES, parseKey } from '../core/key.ts';
import { isSignedBy, parseToken } from '../core/parsed-token.ts';
import { DEFAULT_TTL_MS, signToken } from '../core/token.ts';
import type { PlanName } from '../messages/common.ts';
import { PLANS, planToTry, SERVICES } from '../service/services.ts';
import { localeOf } from '../settings.ts';
import { initBlock } from '../setup/init-block.ts';
import type { WritableStore } from '../stores/port.ts';
import { findKey, originOf, otherThan } from '../stores/registry.ts';
import { readKey, saveKey } from './keep-key.ts';
import {
  ACCOUNT_OPTIONS,
  type ArgsOf,
  type Context,
  type Options,
  subcommand,
  WRITABLE_STORE_OPTION,
} from './subcommand.ts';

const OPTIONS = {
  ...ACCOUNT_OPTIONS,
  plan: { type: 'string', value: 'PLAN', choices: PLANS },
  store: WRITABLE_STORE_OPTION,
  check: { type: 'boolean' },
  force: { type: 'boolean' },
  rehearse: { type: 'boolean' },
  'rehearse-without-key': { type: 'boolean' },
} as const satisfies Options;

type Args = ArgsOf<typeof OPTIONS>;

export const setup = subcommand({
  name: 'setup',
  options: OPTIONS,
  operands: { usage: '[emacs]', words: ['emacs'] },
  async run(context, args, operands) {
    if (operands.includes('emacs')) {
      context.terminal.print(...initBlock(context, context.account(args), args.plan));
      noteUnstable(context);
      return undefined;
    }
    const given = await readGivenKey(context, args);
    const hasKey = given !== '' || context.terminal.isInteractive || context.settings.apiKey;
    if (args.rehearse || (args['rehearse-without-key'] && !hasKey)) {
      return rehearse(context, context.account(args), args.plan);
    }
    const account = await chooseAccount(context, args);
    const plan = await choosePlan(context, args);
    const { key, problem } = await takeKey(context, account, args, given);
    const chosen = await checkWithService(context, account, key, plan, args.check);
    const token = await signAndVerify(context, account, key);
    context.terminal.note(context.messages.setup.token);
    context.terminal.print(token);
    if (problem) throw new GlmTokenError('keyNotKept', { account, problem });
    printBlock(context, account, chosen);
    return undefined;
  },
});

/** What standard input holds, when it is no terminal. */
async function readGivenKey({ terminal }: Context, { rehearse }: Args): Promise<string> {
  if (rehearse || terminal.isInteractive) return '';
  return (await terminal.readInput(MAX_KEY_BYTES)).trim();
}

async function chooseAccount(context: Context, args: Args): Promise<Account> {
  const { terminal, messages, env } = context;
  const account = context.account(args);
  const isNamed = args.host !== undefined || Boolean(env.GLM_TOKEN_HOST);
  if (
    isNamed ||
    !terminal.isInteractive ||
    (await (await context.stores.open('environment')).get(account))
  ) {
    return account;
  }
  const titles = SERVICES.map(({ name, host }) => messages.setup.services[name](host));
  const chosen = await terminal.choose(messages.setup.askService, titles, likelyService(env));
  return context.account({ ...args, host: SERVICES[chosen]?.host ?? DEFAULT_HOST });
}

/** The index of the international service where the clock is set to a zone outside of China. */
function likelyService(env: NodeJS.ProcessEnv): number {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone ?? '';
  const isChinese = [env.GLM_TOKEN_LANG, localeOf(env)].some((name) => name?.startsWith('zh'));
  const isKnown = zone.includes('/') && !zone.startsWith('Etc/');
  const isInChina = /^Asia\/(Shanghai|Chongqing|Harbin|Urumqi|Kashgar)$/.test(zone);
  return isKnown && !isInChina && !isChinese ? 1 : 0;
}

async function choosePlan({ terminal, messages }: Context, args: Args): Promise<PlanName> {
  const named = args.plan;
  if (named || !terminal.isInteractive) return named ?? 'pay-as-you-go';
  const titles = PLANS.map((plan) => messages.setup.plans[plan]);
  return PLANS[await terminal.choose(messages.setup.askPlan, titles, 0)] ?? 'pay-as-you-go';
}

interface TakenKey {
  readonly key: ApiKey;
  /** Why no store could keep it. */
  readonly problem?: GlmTokenError;
}

/** Takes a key and stores it, unless one is there and no other is given. */
async function takeKey(
  context: Context,
  account: Account,
  args: Args,
  given: string,
): Promise<TakenKey> {
  const { terminal, messages, stores } = context;
  if (await (await stores.open('environment')).get(account)) {
    terminal.note(messages.setup.usesEnvironment);
    return { key: await findKey(stores, account) };
  }
  const isReplaced = args.force || given !== '';
  const commands = await stores.open('command');
  if (commands.commandOf(account) && !isReplaced && args.store === undefined) {
    terminal.note(messages.setup.alreadyStored(account));
    return { key: await findKey(stores, account) };
  }
  try {
    const { store, kept } = await chooseStore(context, account, args);
    if (kept !== undefined && !isReplaced) {
      terminal.note(messages.setup.alreadyStored(account));
      return { key: await findKey(stores, account, { store: args.store }) };
    }
    terminal.note(messages.setup.destination(store));
    const service = SERVICES.find(({ host }) => host === account.host);
    if (service && terminal.isInteractive) terminal.note(messages.setup.getKey(service.keysUrl));
    const key = terminal.isInteractive ? await readKey(context) : parseKey(given);
    const keep = (to: WritableStore) =>
      saveKey(context, { account, key, store: to, force: args.force });
    // A keychain can answer, and yet have no keyring that a key could go into.
    await keep(store).catch(async (error) =>
      keep(await fileInsteadOf(context, account, args, error)),
    );
    return { key };
  } catch (problem) {
    if (given === '' || !hasCode(problem, 'ERR_STORE_UNAVAILABLE')) throw problem;
    return { key: parseKey(given), problem };
  }
}

/** The store that will do, and the key that it has for the account. */
async function chooseStore(
  context: Context,
  account: Account,
  args: Args,
): Promise<{ store: WritableStore; kept: string | undefined }> {
  const store = await context.stores.open(args.store ?? context.stores.inUse());
  try {
    return { store, kept: await store.get(account) };
  } catch (error) {
    return { store: await fileInsteadOf(context, account, args, error), kept: undefined };
  }
}

/** The encrypted file, where the keychain cannot keep a key and the person agrees; else throws. */
async function fileInsteadOf(
  { stores, settings, terminal, messages }: Context,
  account: Account,
  args: Args,
  error: unknown,
): Promise<WritableStore> {
  const other = await stores.open(otherThan(stores.inUse()));
  const isMissing = hasCode(error, 'ERR_STORE_UNAVAILABLE');
  const isLocked = hasCode(error, 'ERR_STORE_LOCKED') && terminal.isInteractive;
  // To name a store is a choice; so is to name a passphrase file, which only the encrypted file uses.
  const hasChosen = settings.store !== undefined || args.store !== undefined;
  const isChosen = settings.passphraseFile !== undefined && isMissing;
  if (hasChosen || other.name !== 'file' || !(isMissing || isLocked)) throw error;
  if (!isChosen && !terminal.isInteractive) throw error;
  terminal.note(messages.describe(error).message);
  if (isChosen || (await terminal.confirm(messages.askFileInstead(other), true))) return other;
  throw new GlmTokenError('fileDeclined', { account }, error);
}

/**
 * Checks the key with the service, if the person agrees, and says so if not; returns the plan that
 * it is for.
 *
 * @throws GlmTokenError `ERR_NETWORK` when the service refuses the token
 */
async function checkWithService(
  context: Context,
  account: Account,
  key: ApiKey,
  plan: PlanName,
  isAsked: boolean,
): Promise<PlanName> {
  const { terminal, messages } = context;
  const { askCheck, accepted, notChecked, askOtherPlan } = messages.setup;
  const { host } = account;
  const isWanted =
    isAsked || (terminal.isInteractive && (await terminal.confirm(askCheck(host), true)));
  const refusal = isWanted ? await refusalOf(context, account, key, plan) : undefined;
  if (!isWanted || hasReason(refusal, 'hostUnreachable')) {
    if (refusal) terminal.note(messages.describe(refusal, account));
    terminal.note(notChecked(host));
    return plan;
  }
  if (!refusal) {
    terminal.note(accepted(host));
    return plan;
  }
  const other = planToTry(refusal, plan);
  if (other && terminal.isInteractive) {
    terminal.note(messages.describe(refusal, account));
    if (await terminal.confirm(askOtherPlan(other), true)) {
      const again = await refusalOf(context, account, key, other);
      if (again) throw again;
      terminal.note(accepted(host));
      return other;
    }
  }
  throw refusal;
}

/** Why the service does not accept a token, or could not be asked; `undefined` when it does. */
async function refusalOf(
  context: Context,
  account: Account,
  key: ApiKey,
  plan: PlanName,
): Promise<GlmTokenError | undefined> {
  const { chat, refusalIn } = await import('../service/probe.ts');
  const { token } = await signToken(key, context.now(), DEFAULT_TTL_MS);
  try {
    const answer = await chat(account.host, plan, token, context);
    return refusalIn(answer, account, await originOf(context.stores, account));
  } catch (error) {
    if (error instanceof GlmTokenError) return error;
    throw error;
  }
}

/** A token that the key was seen to have signed. */
async function signAndVerify(
  { terminal, messages, now }: Context,
  account: Account,
  key: ApiKey,
): Promise<string> {
  const { token } = await signToken(key, now(), DEFAULT_TTL_MS);
  if (!(await isSignedBy(parseToken(token), key))) throw new Error('the token does not verify');
  terminal.note(messages.setup.checked(account));
  return token;
}

/** Signs a token with a made-up key, and stores nothing. */
async function rehearse(
  context: Context,
  account: Account,
  plan: PlanName = 'pay-as-you-go',
): Promise<undefined> {
  const { terminal, messages } = context;
  const [id, secret] = [randomBytes(16).toString('hex'), randomBytes(8).toString('hex')];
  const token = await signAndVerify(context, account, { id, secret });
  terminal.print(token);
  printBlock(context, account, plan);
  terminal.note(messages.setup.rehearsed);
  return undefined;
}

/** Prints the lines for init.el, and warns of paths in them that will change. */
function printBlock(context: Context, account: Account, plan: PlanName): void {
  const { terminal, messages } = context;
  terminal.note(messages.setup.initBlock);
  terminal.print(...initBlock(context, account, plan));
  noteUnstable(context);
}

function noteUnstable({ terminal, messages, paths }: Context): void {
  if (paths.unstable.length > 0) terminal.note(messages.setup.unstable(paths.unstable));
}
