/** The steps of the guided first run: what is asked next, and what comes out; for a terminal and for Emacs. */

import type { Account } from '../core/account.ts';
import { GlmTokenError } from '../core/errors.ts';
import type { Text } from '../messages/common.ts';
import type { Messages } from '../messages/en.ts';
import type { PlanName } from '../service/services.ts';
import { PLANS, SERVICES } from '../service/services.ts';
import type { StoreLabel, WritableStoreName } from '../stores/port.ts';
import type { KeyCheck } from './check.ts';
import { type InitPaths, initLines, unstableOf } from './init-lines.ts';

/** The answers so far, by the name of their step. Options are answers that were given beforehand. */
export interface Answers {
  readonly host?: string | undefined;
  readonly profile?: string | undefined;
  readonly plan?: PlanName | undefined;
  /** Whether to use the key that is stored. */
  readonly keep?: boolean | undefined;
  /** Whether to begin an encrypted file. */
  readonly file?: boolean | undefined;
  /** Whether a key was stored; false when no store took it. */
  readonly key?: boolean | undefined;
  readonly check?: boolean | undefined;
  readonly verify?: KeyCheck | undefined;
  readonly otherPlan?: boolean | undefined;
  readonly verifyOther?: KeyCheck | undefined;
}

export type StepName = Exclude<keyof Answers, 'profile'>;

export interface Step {
  readonly name: StepName;
  /** `secret`: a key, which is to be stored; `verify`: nothing for a person, the key is to be checked. */
  readonly kind: 'choice' | 'yes-no' | 'secret' | 'verify';
  readonly question: string;
  /** To be shown before the question. */
  readonly notes: readonly Text[];
  readonly choices?: readonly { readonly value: string; readonly title: string }[];
  readonly default?: string | boolean;
  /** The page that shows a person's keys. */
  readonly url?: string | undefined;
  /** The store that the key goes to, where that is not the one in use. */
  readonly store?: WritableStoreName | undefined;
  /** The plan whose endpoint the key is to be checked at. */
  readonly plan?: PlanName;
  /** `undefined` until the service was chosen. */
  readonly account?: Account;
}

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

/** What there is on this machine, as far as the answers so far need it. */
export interface Facts {
  /** `undefined` while the service is not chosen. */
  readonly account: Account | undefined;
  /** The service that is likely meant. */
  readonly likelyHost: string;
  /** Whether the key of the account is in `GLM_API_KEY`. */
  readonly isInEnvironment: boolean;
  /** The shortened id of the key that is stored for the account. */
  readonly storedId: string | undefined;
  /** Why there is no keychain, where an encrypted file could be begun. */
  readonly noKeychain: GlmTokenError | undefined;
  /** The store that a key would go to, and the encrypted file. */
  readonly destination: StoreLabel;
  readonly file: StoreLabel;
  readonly paths: InitPaths;
}

/** @throws GlmTokenError `ERR_STORE_UNAVAILABLE` when no store may keep a key */
export function nextStep(answers: Answers, facts: Facts, messages: Messages): Step | Outcome {
  const texts = messages.setup;
  const { account } = facts;
  if (!account) {
    return {
      name: 'host',
      kind: 'choice',
      question: texts.askService,
      notes: [],
      choices: SERVICES.map(({ name, host }) => ({
        value: host,
        title: texts.services[name](host),
      })),
      default: facts.likelyHost,
    };
  }
  const { plan } = answers;
  if (!plan) {
    return {
      name: 'plan',
      kind: 'choice',
      question: texts.askPlan,
      notes: [],
      choices: PLANS.map((value) => ({ value, title: texts.plans[value] })),
      default: PLANS[0] ?? '',
      account,
    };
  }
  const isFirst = [answers.keep, answers.file, answers.key, answers.check].every(
    (answer) => answer === undefined,
  );
  const opening: Text[] = isFirst && plan === 'coding' ? [texts.codingTerms] : [];
  if (facts.isInEnvironment) {
    if (isFirst) opening.push({ message: texts.usesEnvironment });
  } else if (answers.keep !== true && answers.key !== true) {
    return keyStep(answers, facts, account, opening, messages);
  }
  return checkStep(answers, facts, { account, plan }, opening, messages);
}

/** How the account comes to a key. */
function keyStep(
  { keep, file, key }: Answers,
  facts: Facts,
  account: Account,
  opening: readonly Text[],
  messages: Messages,
): Step {
  const texts = messages.setup;
  if (facts.storedId !== undefined && keep === undefined && key === undefined) {
    const question = texts.askKeep(facts.storedId, account);
    return { name: 'keep', kind: 'yes-no', question, notes: opening, default: true, account };
  }
  if (facts.noKeychain && file === undefined) {
    const question = messages.askFileInstead(facts.file);
    const notes = [...opening, { message: messages.describe(facts.noKeychain).message }];
    return { name: 'file', kind: 'yes-no', question, notes, default: true, account };
  }
  if (file === false || (key === false && !file))
    throw new GlmTokenError('fileDeclined', { account });
  const destination = file ? facts.file : facts.destination;
  return {
    name: 'key',
    kind: 'secret',
    question: messages.askKey,
    notes: [...opening, { message: texts.destination(destination) }],
    url: SERVICES.find(({ host }) => host === account.host)?.keysUrl,
    store: file ? 'file' : undefined,
    account,
  };
}

interface Chosen {
  readonly account: Account;
  readonly plan: PlanName;
}

/** Whether the service accepts the key, and for which plan; then the end. */
function checkStep(
  { check, verify, otherPlan: triesOther, verifyOther }: Answers,
  facts: Facts,
  { account, plan }: Chosen,
  opening: readonly Text[],
  messages: Messages,
): Step | Outcome {
  const texts = messages.setup;
  const step = { notes: opening, account };
  if (check === undefined) {
    const question = texts.askCheck(account.host);
    return { ...step, name: 'check', kind: 'yes-no', question, default: true };
  }
  if (check && !verify) {
    return {
      ...step,
      name: 'verify',
      kind: 'verify',
      question: texts.checking(account.host),
      plan,
    };
  }
  const other = verify?.otherPlan ?? undefined;
  if (other && triesOther === undefined) {
    const question = texts.askOtherPlan(other);
    return { ...step, name: 'otherPlan', kind: 'yes-no', question, default: true };
  }
  if (other && triesOther && !verifyOther) {
    const notes = other === 'coding' ? [texts.codingTerms] : [];
    const question = texts.checking(account.host);
    return { ...step, notes, name: 'verifyOther', kind: 'verify', question, plan: other };
  }
  const isOther = other !== undefined && verifyOther !== undefined && isBetter(verifyOther, verify);
  const chosen = { account, plan: isOther ? other : plan };
  const unstable = unstableOf(facts.paths);
  return {
    ...chosen,
    lines: initLines([chosen], facts.paths, messages),
    notes: [
      ...opening,
      ...(unstable.length > 0 ? [texts.unstable(unstable, chosen.account, chosen.plan)] : []),
    ],
    check: isOther ? verifyOther : verify,
  };
}

const ORDER = ['refused', 'unchecked', 'accepted'] as const;

/** Whether the second plan is the one that the key is for; else the first stays, since it was chosen. */
const isBetter = (second: KeyCheck, first: KeyCheck | undefined): boolean =>
  ORDER.indexOf(second.verdict) > (first ? ORDER.indexOf(first.verdict) : -1);
