/**
 * What the service's own error codes mean: https://docs.bigmodel.cn/cn/api/api-code and
 * https://docs.z.ai/api-reference/api-code (November 2026; the former has more of them).
 */

import type { ServiceFault } from '../core/errors.ts';

/** By code; those of three digits are HTTP statuses, which the service sends without a code of its own at times. */
const CODES: readonly [code: RegExp, fault: ServiceFault][] = [
  [/^(1000|401)$/, 'unauthenticated'],
  [/^1001$/, 'noToken'],
  [/^1002$/, 'unreadableToken'],
  [/^1003$/, 'expiredToken'],
  [/^1004$/, 'refusedKey'],
  [/^1113$/, 'noBalance'],
  [/^11(00|1[012]|2[01])$/, 'accountUnusable'],
  [/^12(10|12|13|14|15)$/, 'badRequest'],
  [/^1211$/, 'noSuchModel'],
  [/^122[012]$/, 'noSuchApi'],
  [/^1231$/, 'duplicate'],
  [/^1261$/, 'promptTooLong'],
  [/^(50[0234]|1200|1230|1234)$/, 'internal'],
  [/^1301$/, 'unsafe'],
  [/^(130[235]|1312|429)$/, 'busy'],
  [/^13(04|08|10)$/, 'quotaUsedUp'],
  [/^1309$/, 'planExpired'],
  [/^1311$/, 'modelNotInPlan'],
  [/^13\d\d$/, 'policy'],
];

/** What an error code of the service, or an HTTP status, means; `undefined` when it is not known. */
export const faultOf = (code: string): ServiceFault | undefined =>
  CODES.find(([codes]) => codes.test(code))?.[1];

/** A command that is the cure: to store the key again, or to find out what is wrong. */
export type Action = 'store' | 'doctor';

const ACTIONS: Partial<Record<ServiceFault, Action>> = {
  unauthenticated: 'store',
  refusedKey: 'store',
  expiredToken: 'doctor',
};

export const actionFor = (fault: ServiceFault): Action | undefined => ACTIONS[fault];

/** What a request that failed says of the key: that it is refused, or nothing. */
const SAYS: Record<ServiceFault, 'refused' | 'unchecked'> = {
  unauthenticated: 'refused',
  noToken: 'unchecked', // Something on the way removed it.
  unreadableToken: 'refused',
  expiredToken: 'refused',
  refusedKey: 'refused',
  noBalance: 'refused',
  accountUnusable: 'refused',
  planExpired: 'refused',
  noSuchApi: 'refused',
  policy: 'unchecked',
  badRequest: 'unchecked',
  noSuchModel: 'unchecked',
  modelNotInPlan: 'unchecked',
  duplicate: 'unchecked',
  promptTooLong: 'unchecked',
  unsafe: 'unchecked',
  internal: 'unchecked',
  busy: 'unchecked',
  quotaUsedUp: 'unchecked', // Until it is renewed, with the same key.
};

export const saysOfKey = (fault: ServiceFault) => SAYS[fault];

/**
 * The service's error code in the body of an answer, in either of its forms: `{"error":{"code":
 * "1305"}}`, and `{"code":1004,"msg":…,"success":false}`, which comes with the status 200.
 */
export function errorCodeIn(body: string): string | undefined {
  try {
    const { error, code, success } = JSON.parse(body);
    const found = String(error?.code ?? (success === true ? '' : code) ?? '');
    return /^\d{3,5}$/.test(found) ? found : undefined;
  } catch {
    return undefined;
  }
}
