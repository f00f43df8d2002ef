/** The one verdict on a key: what the service makes of a token that the key signed. */

import type { Account } from '../core/account.ts';
import { GlmTokenError } from '../core/errors.ts';
import type { Text } from '../messages/common.ts';
import type { Messages } from '../messages/en.ts';
import type { KeyOrigin } from '../stores/port.ts';
import { errorCodeIn, meaningOf } from './error-codes.ts';
import { type Answer, chat, listModels, type Origin } from './probe.ts';
import { PLANS, type PlanName } from './services.ts';

export interface Verdict {
  readonly verdict: 'accepted' | 'refused' | 'unchecked';
  /** Why it is not accepted; there is one unless it is. */
  readonly reason: GlmTokenError | null;
  /** A model that costs nothing, when only such models answer: the account has no balance. */
  readonly freeModel: string | null;
  /** The plan that the key may be for, when its account has no balance for this one. */
  readonly otherPlan: PlanName | null;
}

const ACCEPTED: Verdict = { verdict: 'accepted', reason: null, freeModel: null, otherPlan: null };

/** A fresh token to try. */
export interface Trial {
  readonly account: Account;
  readonly token: string;
  /** Where the key is that signed it; `undefined` when a helper has it. */
  readonly origin: KeyOrigin | undefined;
  /** The plan whose endpoint a chat request goes to; without one the models are listed, which is free. */
  readonly plan: PlanName | null;
}

/** Model that every plan has: https://docs.z.ai/devpack/overview and https://docs.z.ai/guides/llm */
const CHAT_MODEL = 'glm-4.5-air';

/** Model that costs nothing: https://docs.bigmodel.cn/cn/guide/models/free/glm-4.7-flash */
const FREE_MODEL = 'glm-4.7-flash';

/** Asks the service for its verdict. Throws nothing but bugs: what kept it from an answer is part of the verdict. */
export async function askVerdict(trial: Trial, origin: Origin): Promise<Verdict> {
  const { account, token, plan } = trial;
  const { host } = account;
  try {
    const answer = plan
      ? await chat(host, plan, CHAT_MODEL, token, origin)
      : await listModels(host, token, origin);
    if (isAcceptance(answer)) return ACCEPTED;
    const { status, body } = answer;
    const serviceCode = errorCodeIn(body);
    const { fault, says = 'unchecked' } = meaningOf(serviceCode ?? String(status)) ?? {};
    const params = { account, origin: trial.origin, status, serviceCode, fault };
    const reason = new GlmTokenError('tokenRefused', params);
    if (fault === 'noBalance' && plan) return await judgeBalance(trial, plan, reason, origin);
    return { ...ACCEPTED, verdict: says, reason };
  } catch (error) {
    if (error instanceof GlmTokenError) return { ...ACCEPTED, verdict: 'unchecked', reason: error };
    throw error;
  }
}

/** A verdict in words. */
export function verdictText(verdict: Verdict, account: Account, messages: Messages): Text {
  const { accepted, notChecked } = messages.setup;
  if (!verdict.reason) return accepted(account, verdict.freeModel);
  const text = messages.describe(verdict.reason, account);
  return verdict.verdict === 'refused' ? text : notChecked(text);
}

/**
 * The verdict after code 1113, which the service gives for an empty balance, for a key that is used
 * on the other plan's endpoint, and for an account that has nothing but the free models. Only a
 * request to one of these tells the last.
 */
async function judgeBalance(
  { account: { host }, token }: Trial,
  plan: PlanName,
  reason: GlmTokenError,
  origin: Origin,
): Promise<Verdict> {
  const judged = { ...ACCEPTED, otherPlan: PLANS.find((name) => name !== plan) ?? null };
  if (plan === 'coding') return { ...judged, verdict: 'refused', reason };
  const answer = await chat(host, plan, FREE_MODEL, token, origin);
  if (isAcceptance(answer)) return { ...judged, freeModel: FREE_MODEL };
  const isRefused = meaningOf(errorCodeIn(answer.body) ?? '')?.fault === 'noBalance';
  return { ...judged, verdict: isRefused ? 'refused' : 'unchecked', reason };
}

/** Whether an answer has what was asked for; an error can come with status 200, and so can a login page. */
function isAcceptance({ status, body }: Answer): boolean {
  if (status !== 200 || errorCodeIn(body)) return false;
  try {
    const { choices, data } = JSON.parse(body);
    return Array.isArray(choices) || Array.isArray(data);
  } catch {
    return false;
  }
}
