/** `glm-token setup`: the guided first run on a terminal, and without one. */

import { randomBytes } from 'node:crypto';
import { type Account, accountName } from '../core/account.ts';
import { EXIT_STATUS, GlmTokenError } from '../core/errors.ts';
import { MAX_KEY_BYTES, parseKey } from '../core/key.ts';
import { DEFAULT_TTL_MS, signToken } from '../core/token.ts';
import { PLANS } from '../service/services.ts';
import { checkKey } from '../setup/check.ts';
import { gatherFacts } from '../setup/facts.ts';
import { type Backend, type InitPaths, initLines, unstableOf } from '../setup/init-lines.ts';
import { type Answers, nextStep, type Outcome, type Step, type StepName } from '../setup/steps.ts';
import { isMissingKeychain } from '../stores/cure.ts';
import type { WritableStoreName } from '../stores/port.ts';
import { listAccounts } from '../stores/registry.ts';
import { confirmHost, type Destination, readKey, saveKey } from './keep-key.ts';
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
    const isPiped = !args.rehearse && !terminal.isInteractive;
    const given = isPiped ? (await terminal.readInput(MAX_KEY_BYTES)).trim() : '';
    const hasKey = given !== '' || terminal.isInteractive || settings.apiKey !== undefined;
    if (args.rehearse || (args['rehearse-without-key'] && !hasKey)) return rehearse(context, args);
    const outcome = await guide(context, args, given);
    terminal.note(messages.setup.initBlock);
    terminal.print(...(args.all ? await linesForAll(context, outcome) : outcome.lines));
    for (const note of [...outcome.notes, messages.setup.next]) terminal.note(note);
    return outcome.check?.verdict === 'refused' ? EXIT_STATUS.ERR_NETWORK : undefined;
  },
});

/** The paths as the lines for init.el name them. */
const initPaths = ({ paths: { node, script, root } }: Context): InitPaths => ({
  command: [node, script],
  elisp: `${root}/elisp`,
});

/**
 * Takes the steps one after the other, and asks the person, if there is one.
 *
 * @param given the key on standard input; empty when there is none
 */
async function guide(context: Context, args: Args, given: string): Promise<Outcome> {
  const { env, settings, stores, terminal, messages } = context;
  const { store, plan } = args;
  const world = { env, settings, stores, paths: initPaths(context), store };
  const answer = answering(context, args, given);
  let account = context.account(args);
  const isNamed = args.host !== undefined || !terminal.isInteractive;
  const host = isNamed ? account.host : undefined;
  let answers: Answers = { host, profile: account.profile, plan };
  try {
    for (;;) {
      const facts = await gatherFacts(answers, world);
      account = context.account(facts.account ?? account);
      const next = nextStep(answers, facts, messages);
      if ('lines' in next) return next;
      if (facts.noKeychain && !mayBeginFile(context)) throw facts.noKeychain;
      for (const note of next.notes) terminal.note(note);
      answers = { ...answers, [next.name]: await answer(next, account) };
    }
  } catch (problem) {
    if (given === '' || !isMissingKeychain(problem)) throw problem;
    throw new GlmTokenError('keyNotKept', { account, problem });
  }
}

/** To name a passphrase file is a choice, since only the encrypted file uses it. */
const mayBeginFile = ({ terminal, settings }: Context): boolean =>
  terminal.isInteractive || settings.passphraseFile !== undefined;

/** What answers a step: an option, or else the person, if there is one. */
function answering(context: Context, args: Args, given: string) {
  const { env, now, stores, terminal, messages, settings } = context;
  const ask = async (question: string, otherwise: boolean) =>
    terminal.isInteractive ? terminal.confirm(question, true) : otherwise;
  let key = given === '' ? undefined : parseKey(given);
  return async (step: Step, account: Account): Promise<Answers[StepName]> => {
    const { name, question, choices, url } = step;
    const store = step.store ?? args.store;
    switch (name) {
      case 'host':
      case 'plan': {
        const values = choices?.map(({ value }) => value) ?? [];
        const titles = choices?.map(({ title }) => title) ?? [];
        const byDefault = values.indexOf(String(step.default));
        return values[
          terminal.isInteractive ? await terminal.choose(question, titles, byDefault) : byDefault
        ];
      }
      case 'keep':
        return !args.force && given === '' && ask(question, true);
      case 'file':
        return settings.passphraseFile !== undefined || terminal.confirm(question, true);
      case 'key':
        if (url && !key) terminal.note(messages.setup.getKey(url));
        key ??= await readKey(context);
        return isKept(context, { account, key, store, force: args.force });
      case 'check':
        return args.check || ask(question, false);
      case 'otherPlan':
        return ask(question, false);
      case 'verify':
      case 'verifyOther': {
        const world = { stores, messages, env, now, cure: () => null };
        const check = await checkKey({ account, plan: step.plan, store }, world);
        terminal.note({ message: check.message, hint: check.hint ?? undefined });
        return check;
      }
    }
  };
}

type Kept = Omit<Destination, 'store'> & { readonly store: WritableStoreName | undefined };

/** Stores a key; returns whether there was a keychain for it. */
async function isKept(context: Context, { store, ...kept }: Kept): Promise<boolean> {
  const { stores, settings } = context;
  try {
    await saveKey(context, { ...kept, store: await stores.open(store ?? stores.inUse()) });
    return true;
  } catch (error) {
    // A keychain can answer, and yet have no keyring that a key could go into.
    const isLast = store !== undefined || settings.store !== undefined || !mayBeginFile(context);
    if (isLast || !isMissingKeychain(error)) throw error;
    return false;
  }
}

/** Signs a token with a made-up key, and stores nothing. */
async function rehearse(context: Context, args: Args): Promise<undefined> {
  const { terminal, messages, now } = context;
  const [id, secret] = [randomBytes(16).toString('hex'), randomBytes(8).toString('hex')];
  const { issuedAtMs, expiresAtMs } = await signToken({ id, secret }, now(), DEFAULT_TTL_MS);
  terminal.note(messages.setup.initBlock);
  await printAgain(context, { ...args, all: false });
  terminal.note(messages.setup.rehearsed(expiresAtMs - issuedAtMs));
  return undefined;
}

/** Prints the lines for init.el, and warns of paths in them that will change. */
async function printAgain(context: Context, args: Args): Promise<undefined> {
  const { terminal, messages } = context;
  const backend = { account: context.account(args), plan: args.plan ?? PLANS[0] };
  const paths = initPaths(context);
  const one = () => initLines([backend], paths, messages);
  terminal.print(...(args.all ? await linesForAll(context, backend) : one()));
  const unstable = unstableOf(paths);
  if (unstable.length === 0) return undefined;
  terminal.note(messages.setup.unstable(unstable, backend.account, backend.plan));
  return undefined;
}

/** The lines for every account that has a key, beginning with one of them. */
async function linesForAll(
  context: Context,
  { account: first, plan }: Backend,
): Promise<readonly string[]> {
  const { accounts, error } = await listAccounts(context.stores);
  if (error !== undefined) throw error;
  const byName = new Map(accounts.map(({ account }) => [accountName(account), account]));
  const isKept = byName.delete(accountName(first));
  const [head = first, ...rest] = isKept ? [first, ...byName.values()] : byName.values();
  const backends = rest.map((account) => ({ account, plan }));
  const paths = initPaths(context);
  return initLines([{ account: head, plan }, ...backends], paths, context.messages, true);
}
