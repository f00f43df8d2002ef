/** `glm-token setup`: the guided first run on a terminal, and without one. */

import { randomBytes } from 'node:crypto';
import type { Terminal } from '../cli/terminal.ts';
import { type Account, sameAccount } from '../core/account.ts';
import { EXIT_STATUS, GlmTokenError } from '../core/errors.ts';
import { type ApiKey, MAX_KEY_BYTES, parseKey } from '../core/key.ts';
import { DEFAULT_TTL_MS, signToken } from '../core/token.ts';
import type { PlanName } from '../service/services.ts';
import { PLANS } from '../service/services.ts';
import { checkKey, type KeyCheck } from '../setup/check.ts';
import { gatherFacts } from '../setup/facts.ts';
import { type InitPaths, initLines, unstableOf } from '../setup/init-lines.ts';
import { type Answers, nextStep, type Outcome, type Step, type StepName } from '../setup/steps.ts';
import { isMissingKeychain } from '../stores/cure.ts';
import { listAccounts } from '../stores/registry.ts';
import { confirmHost, readKey, saveKey } from './keep-key.ts';
import {
  ACCOUNT_OPTIONS,
  type ArgsOf,
  type Context,
  choice,
  FLAG,
  subcommand,
  WRITABLE_STORE_OPTION,
} from './subcommand.ts';

const OPTIONS = {
  ...ACCOUNT_OPTIONS,
  plan: choice('PLAN', PLANS),
  store: WRITABLE_STORE_OPTION,
  all: FLAG,
  check: FLAG,
  force: FLAG,
  rehearse: FLAG,
  'rehearse-without-key': FLAG,
};

type Args = ArgsOf<typeof OPTIONS>;

export const setup = subcommand({
  name: 'setup',
  options: OPTIONS,
  operands: { usage: '[emacs]', takes: ['emacs'] },
  async run(context, args, operands) {
    const { terminal, settings, messages } = context;
    const isAgain = operands.includes('emacs');
    if (args.host) await confirmHost(context, context.account(args), isAgain || args.force);
    if (isAgain) return printAgain(context, args);
    const given = await readGivenKey(context, args);
    const hasKey = given !== '' || terminal.isInteractive || settings.apiKey !== undefined;
    if (args.rehearse || (args['rehearse-without-key'] && !hasKey)) return rehearse(context, args);
    const { lines, notes, account, plan, check } = await guide(context, args, given);
    terminal.note(messages.setup.initBlock);
    terminal.print(...(args.all ? await linesForAll(context, plan, account) : lines));
    for (const note of [...notes, messages.setup.next]) terminal.note(note);
    return check?.verdict === 'refused' ? EXIT_STATUS.ERR_NETWORK : undefined;
  },
});

/** The paths as the lines for init.el name them. */
const initPaths = ({ paths: { node, script, root } }: Context): InitPaths => ({
  command: [node, script],
  elisp: `${root}/elisp`,
});

/** What standard input holds, when it is no terminal. */
async function readGivenKey({ terminal }: Context, { rehearse }: Args): Promise<string> {
  if (rehearse || terminal.isInteractive) return '';
  return (await terminal.readInput(MAX_KEY_BYTES)).trim();
}

/**
 * Takes the steps one after the other, and asks the person, if there is one.
 *
 * @param given the key on standard input; empty when there is none
 */
async function guide(context: Context, args: Args, given: string): Promise<Outcome> {
  const { env, settings, stores, terminal, messages } = context;
  const { host, profile } = context.account(args);
  const world = {
    env,
    settings,
    stores,
    paths: initPaths(context),
    store: args.store,
  };
  const run: Run = { context, args, given, key: given === '' ? undefined : parseKey(given) };
  const isNamed = args.host !== undefined || !terminal.isInteractive;
  let answers: Answers = { host: isNamed ? host : undefined, profile, plan: args.plan };
  try {
    for (;;) {
      const facts = await gatherFacts(answers, world);
      if (facts.account) run.account = context.account({ ...facts.account });
      const next = nextStep(answers, facts, messages);
      if ('lines' in next) return next;
      if (facts.noKeychain && !mayBeginFile(context)) throw facts.noKeychain;
      for (const note of next.notes) terminal.note(note);
      answers = { ...answers, [next.name]: await answer(run, next) };
    }
  } catch (problem) {
    if (given === '' || !isMissingKeychain(problem)) throw problem;
    throw new GlmTokenError('keyNotKept', { account: run.account ?? { host, profile }, problem });
  }
}

interface Run {
  readonly context: Context;
  readonly args: Args;
  readonly given: string;
  /** The account, once it is chosen. */
  account?: Account;
  /** The key that was given or typed. */
  key: ApiKey | undefined;
}

async function answer(run: Run, step: Step): Promise<Answers[StepName]> {
  const { context, args, given } = run;
  const { terminal, settings } = context;
  const { isInteractive } = terminal;
  const { name, question, account } = step;
  switch (name) {
    case 'key':
      return account && takeKey(run, step, account);
    case 'verify':
    case 'verifyOther':
      return account && verify(run, step, account);
    case 'keep':
      if (args.force || given !== '') return false;
      return isInteractive ? terminal.confirm(question, true) : true;
    case 'file':
      return settings.passphraseFile !== undefined || terminal.confirm(question, true);
    case 'check':
      return args.check || (isInteractive && terminal.confirm(question, true));
    case 'otherPlan':
      return isInteractive && terminal.confirm(question, true);
    case 'host':
    case 'plan':
      return isInteractive ? choose(terminal, step) : step.default;
  }
}

/** To name a passphrase file is a choice, since only the encrypted file uses it. */
const mayBeginFile = ({ terminal, settings }: Context): boolean =>
  terminal.isInteractive || settings.passphraseFile !== undefined;

async function choose(terminal: Terminal, step: Step): Promise<string | undefined> {
  const choices = step.choices ?? [];
  const byDefault = choices.findIndex(({ value }) => value === step.default);
  const titles = choices.map(({ title }) => title);
  return choices[await terminal.choose(step.question, titles, byDefault)]?.value;
}

/** Stores the key that was given, or asks for one; returns whether there was a keychain for it. */
async function takeKey(run: Run, { url, store }: Step, account: Account): Promise<boolean> {
  const { context, args } = run;
  const { terminal, messages, stores, settings } = context;
  if (url && !run.key) terminal.note(messages.setup.getKey(url));
  run.key ??= await readKey(context);
  const choice = store ?? args.store;
  try {
    const to = await stores.open(choice ?? stores.inUse());
    await saveKey(context, { account, key: run.key, store: to, force: args.force });
    return true;
  } catch (error) {
    // A keychain can answer, and yet have no keyring that a key could go into.
    const isLast = choice !== undefined || settings.store !== undefined || !mayBeginFile(context);
    if (isLast || !isMissingKeychain(error)) throw error;
    return false;
  }
}

async function verify(run: Run, { plan }: Step, account: Account): Promise<KeyCheck> {
  const { context, args } = run;
  const check = await checkKey({ account, plan, store: args.store }, context);
  context.terminal.note({ message: check.message, hint: check.hint ?? undefined });
  return check;
}

/** Signs a token with a made-up key, and stores nothing. */
async function rehearse(context: Context, args: Args): Promise<undefined> {
  const { terminal, messages } = context;
  const [id, secret] = [randomBytes(16).toString('hex'), randomBytes(8).toString('hex')];
  const { token } = await signToken({ id, secret }, context.now(), DEFAULT_TTL_MS);
  terminal.print(token);
  terminal.note(messages.setup.initBlock);
  await printAgain(context, { ...args, all: false });
  terminal.note(messages.setup.rehearsed);
  return undefined;
}

/** Prints the lines for init.el, and warns of paths in them that will change. */
async function printAgain(context: Context, args: Args): Promise<undefined> {
  const { terminal, messages } = context;
  const account = context.account(args);
  const plan = args.plan ?? 'pay-as-you-go';
  const paths = initPaths(context);
  const lines = args.all
    ? await linesForAll(context, plan, account)
    : initLines([{ account, plan }], paths, messages);
  terminal.print(...lines);
  const unstable = unstableOf(paths);
  if (unstable.length > 0) terminal.note(messages.setup.unstable(unstable, account, plan));
  return undefined;
}

/** The lines for every account that has a key, beginning with one of them. */
async function linesForAll(
  context: Context,
  plan: PlanName,
  first: Account,
): Promise<readonly string[]> {
  const { accounts, error } = await listAccounts(context.stores);
  if (error !== undefined) throw error;
  const others = accounts
    .map(({ account }) => account)
    .filter((account, at, all) => all.findIndex((one) => sameAccount(one, account)) === at)
    .filter((account) => !sameAccount(account, first));
  const isKept = accounts.some(({ account }) => sameAccount(account, first));
  const [head = first, ...rest] = isKept ? [first, ...others] : others;
  const backends = rest.map((account) => ({ account, plan }));
  const paths = initPaths(context);
  return initLines([{ account: head, plan }, ...backends], paths, context.messages, true);
}
