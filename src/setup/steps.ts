/** The steps of the guided first run: what is asked next, and what comes out; for a terminal and for Emacs. */

import type { Account } from '../core/account.ts';
import { GlmTokenError } from '../core/errors.ts';
import type { Text } from '../messages/common.ts';
import type { Messages } from '../messages/en.ts';
import { PLANS, type PlanName, SERVICES } from '../service/services.ts';
import type { WritableStoreName } from '../stores/port.ts';
import type { KeyCheck } from './check.ts';
import type { Facts } from './facts.ts';
import { initLines, unstableOf } from './init-lines.ts';

/** The answers so far, by the name of their step. Options are answers that were given beforehand. */
export type Answers = Partial<{
  readonly host: string | undefined;
  readonly profile: string | undefined;
  readonly plan: PlanName | undefined;
  /** Whether to use the key that is stored. */
  readonly keep: boolean | undefined;
  /** Whether to begin an encrypted file. */
  readonly file: boolean | undefined;
  /** Whether a key was stored; false when no store took it. */
  readonly key: boolean | undefined;
  readonly check: boolean | undefined;
  readonly verify: KeyCheck | undefined;
  readonly otherPlan: boolean | undefined;
  readonly verifyOther: KeyCheck | undefined;
}>;

export type StepName = Exclude<keyof Answers, 'profile'>;

export interface Step {
  readonly name: StepName;
  /** `secret`: a key, which is to be stored; `verify`: nothing for a person, the key is to be checked. */
  readonly kind: 'choice' | 'yes-no' | 'secret' | 'verify';
  readonly question: string;
  /** To be shown before the question. */
  readonly notes: readonly Text[];
  readonly choices: readonly { readonly value: string; readonly title: string }[] | null;
  readonly default: string | boolean | null;
  /** The page that shows a person's keys. */
  readonly url: string | null;
  /** The store that the key goes to, where that is not the one in use. */
  readonly store: WritableStoreName | null;
  /** The plan whose endpoint the key is to be checked at. */
  readonly plan: PlanName | null;
  /** Null until the service was chosen. */
  readonly account: Account | null;
}

const NOTHING = { choices: null, default: null, url: null, store: null, plan: null };

export interface Outcome {
  readonly account: Account;
  readonly plan: PlanName;
  /** The lines for init.el. */
  readonly lines: readonly string[];
  /** Warnings. */
  readonly notes: readonly Text[];
  /** What the service said of the key, if it was asked. */
  readonly check: KeyCheck | undefined;
}

/** @throws GlmTokenError `ERR_STORE_UNAVAILABLE` when no store may keep a key */
export function nextStep(answers: Answers, facts: Facts, messages: Messages): Step | Outcome {
  const texts = messages.setup;
  const { keep, key, file, check } = answers;
  const { account = null } = facts;
  const step = { ...NOTHING, kind: 'choice', notes: [], account } as const;
  if (!account) {
    return {
      ...step,
      name: 'host',
      question: texts.askService,
      choices: SERVICES.map(({ name, host: value }) => ({
        value,
        title: texts.services[name](value),
      })),
      default: facts.likelyHost,
    };
  }
  const { plan } = answers;
  if (!plan) {
    return {
      ...step,
      name: 'plan',
      question: texts.askPlan,
      choices: PLANS.map((value) => ({ value, title: texts.plans[value] })),
      default: PLANS[0],
    };
  }
  const isFirst = [keep, file, key, check].every((answer) => answer === undefined);
  const opening: Text[] = isFirst && plan === 'coding' ? [texts.codingTerms] : [];
  const { isInEnvironment } = facts;
  if (isInEnvironment && isFirst) opening.push({ message: texts.usesEnvironment });
  if (isInEnvironment || keep || key) {
    return checkStep(answers, facts, { account, plan }, opening, messages);
  }
  return keyStep(answers, facts, account, opening, messages);
}

/** How the account comes to a key. */
function keyStep(
  { keep, file, key }: Answers,
  { storedId, noKeychain, ...facts }: Facts,
  account: Account,
  opening: readonly Text[],
  messages: Messages,
): Step {
  const texts = messages.setup;
  const step = { ...NOTHING, notes: opening, account };
  const yes = { ...step, kind: 'yes-no', default: true } as const;
  if (storedId !== undefined && keep === undefined && key === undefined) {
    return { ...yes, name: 'keep', question: texts.askKeep(storedId, account) };
  }
  if (noKeychain && file === undefined) {
    const notes = [...opening, { message: messages.describe(noKeychain).message }];
    return { ...yes, name: 'file', question: messages.askFileInstead(facts.file), notes };
  }
  if (file === false || (key === false && !file))
    throw new GlmTokenError('fileDeclined', { account });
  const destination = texts.destination(file ? facts.file : facts.destination);
  return {
    ...step,
    name: 'key',
    kind: 'secret',
    question: messages.askKey,
    notes: [...opening, { message: destination }],
    url: SERVICES.find(({ host }) => host === account.host)?.keysUrl ?? null,
    store: file ? 'file' : null,
  };
}

/** Whether the service accepts the key, and for which plan; then the end. */
function checkStep(
  { check, verify, otherPlan: triesOther, verifyOther }: Answers,
  { paths }: Facts,
  chosen: { readonly account: Account; readonly plan: PlanName },
  opening: readonly Text[],
  messages: Messages,
): Step | Outcome {
  const texts = messages.setup;
  const { account, plan } = chosen;
  const step = { ...NOTHING, notes: opening, account };
  const yes = { ...step, kind: 'yes-no', default: true } as const;
  const checking = { ...step, kind: 'verify', question: texts.checking(account.host) } as const;
  if (check === undefined) {
    return { ...yes, name: 'check', question: texts.askCheck(account.host) };
  }
  if (check && !verify) return { ...checking, name: 'verify', plan };
  const other = verify?.otherPlan;
  if (other && triesOther === undefined) {
    return { ...yes, name: 'otherPlan', question: texts.askOtherPlan(other) };
  }
  if (other && triesOther && !verifyOther) {
    const notes = other === 'coding' ? [texts.codingTerms] : [];
    return { ...checking, name: 'verifyOther', notes, plan: other };
  }
  const isOther = other && verifyOther && isBetter(verifyOther, verify);
  const backend = isOther ? { account, plan: other } : chosen;
  const unstable = unstableOf(paths);
  const warning = unstable.length > 0 ? [texts.unstable(unstable, account, backend.plan)] : [];
  return {
    ...backend,
    lines: initLines([backend], paths, messages),
    notes: [...opening, ...warning],
    check: isOther ? verifyOther : verify,
  };
}

const ORDER = ['refused', 'unchecked', 'accepted'];

/** Whether the second plan is the one that the key is for; else the first stays, since it was chosen. */
const isBetter = (second: KeyCheck, first: KeyCheck): boolean =>
  ORDER.indexOf(second.verdict) > ORDER.indexOf(first.verdict);
