/** The check of a key with the service, as a guided first run and Emacs show it. */

import type { Account } from '../core/account.ts';
import type { GlmTokenError } from '../core/errors.ts';
import { DEFAULT_TTL_MS, signToken } from '../core/token.ts';
import { oneHint } from '../messages/common.ts';
import type { Messages } from '../messages/en.ts';
import type { Origin } from '../service/probe.ts';
import type { PlanName } from '../service/services.ts';
import type { Cure } from '../stores/cure.ts';
import type { KeptStoreName } from '../stores/port.ts';
import { findKey, originOf, type Stores } from '../stores/registry.ts';

export interface KeyCheck {
  readonly verdict: 'accepted' | 'refused' | 'unchecked';
  readonly message: string;
  readonly hint: string | null;
  /** What cures a refusal, for a client that offers cures of its own. */
  readonly action: Cure | null;
  /** The plan that the key may be for in place of the one that it was checked for. */
  readonly otherPlan: PlanName | null;
}

interface Checked {
  readonly account: Account;
  /** The plan whose endpoint is asked; without one, the models are listed. */
  readonly plan: PlanName | null;
  /** The store that has the key, where that is not the one in use. */
  readonly store: KeptStoreName | undefined;
}

interface CheckWorld extends Origin {
  readonly stores: Stores;
  readonly messages: Messages;
  cure(error: GlmTokenError): Cure | null;
}

/**
 * Has the service judge the key that is stored for an account.
 *
 * @throws GlmTokenError when there is no such key, or what its store throws
 */
export async function checkKey(
  { account, plan, store }: Checked,
  world: CheckWorld,
): Promise<KeyCheck> {
  const { askVerdict, verdictText } = await import('../service/verdict.ts');
  const key = await findKey(world.stores, account, { store });
  const origin = await originOf(world.stores, account, store);
  const { token } = await signToken(key, world.now(), DEFAULT_TTL_MS);
  const result = await askVerdict({ account, token, origin, plan }, world);
  const text = verdictText(result, account, world.messages);
  const { verdict, reason, otherPlan } = result;
  const action = verdict === 'refused' && reason ? world.cure(reason) : null;
  return { verdict, message: text.message, hint: oneHint(text) ?? null, action, otherPlan };
}
