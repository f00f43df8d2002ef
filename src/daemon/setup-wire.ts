/** The guided first run on the wire: its parameters, checked, and its result. */

import { parseHost, parseProfile } from '../core/account.ts';
import { GlmTokenError } from '../core/errors.ts';
import type { Text } from '../messages/common.ts';
import { PLANS, type PlanName } from '../service/services.ts';
import type { KeyCheck } from '../setup/check.ts';
import type { InitPaths } from '../setup/init-lines.ts';
import type { Answers, Outcome, Step } from '../setup/steps.ts';
import { CURES } from '../stores/cure.ts';
import { isWords } from '../stores/key-commands.ts';
import { param, stringParam } from './protocol.ts';

/** @throws GlmTokenError `ERR_USAGE` when an answer is not one to its question */
export function setupAnswers(given: unknown): Answers {
  const take = <T>(name: string, parse: (value: unknown) => T | undefined): T | undefined => {
    const value = param(given, name);
    const answer = value === undefined ? undefined : parse(value);
    if (value === undefined || answer !== undefined) return answer;
    throw new GlmTokenError('parameterInvalid', { parameter: name });
  };
  return {
    host: take('host', () => parseHost(stringParam(given, 'host'))),
    profile: take('profile', () => parseProfile(stringParam(given, 'profile'))),
    plan: take('plan', planNamed),
    keep: take('keep', yesOrNo),
    file: take('file', yesOrNo),
    key: take('key', yesOrNo),
    check: take('check', yesOrNo),
    verify: take('verify', keyCheck),
    otherPlan: take('otherPlan', yesOrNo),
    verifyOther: take('verifyOther', keyCheck),
  };
}

const planNamed = (value: unknown): PlanName | undefined => PLANS.find((name) => name === value);

const yesOrNo = (value: unknown): boolean | undefined =>
  typeof value === 'boolean' ? value : undefined;

const VERDICTS = ['accepted', 'refused', 'unchecked'] as const;

/** The result of `verify`, which comes back as an answer. */
function keyCheck(value: unknown): KeyCheck | undefined {
  const verdict = VERDICTS.find((name) => name === param(value, 'verdict'));
  return (
    verdict && {
      verdict,
      message: stringParam(value, 'message', ''),
      hint: stringParam(value, 'hint', '') || null,
      action: CURES.find((name) => name === param(value, 'action')) ?? null,
      otherPlan: planNamed(param(value, 'otherPlan')) ?? null,
    }
  );
}

/** Where the client has the program and the Lisp files. */
export function initPaths(given: unknown): InitPaths {
  const command = param(given, 'command');
  if (!isWords(command)) throw new GlmTokenError('parameterNotWords', { parameter: 'command' });
  return { command, elisp: stringParam(given, 'elisp') };
}

/** Either a step of the guided first run, or its end. */
export function setupResult(next: Step | Outcome) {
  const notes = next.notes.flatMap(sentences);
  if (!('lines' in next)) return { step: { ...next, notes }, done: null };
  const { account, plan, lines, check } = next;
  return { step: null, done: { account, plan, lines, notes, verdict: check ?? null } };
}

const sentences = ({ message, hint = [] }: Text): string[] => [message, ...[hint].flat()];
