/**
 * What the service's own error codes mean: https://docs.bigmodel.cn/cn/api/api-code and
 * https://docs.z.ai/api-reference/api-code (November 2026; the former has more of them).
 */

import type { ServiceFault } from '../core/errors.ts';

/** What an error code of the service means. */
interface Meaning {
  readonly fault: ServiceFault;
  /** What it says of the key: that it is refused, or nothing. */
  readonly says: 'refused' | 'unchecked';
}

/** By code; those of three digits are HTTP statuses, which the service sends without a code of its own at times. */
const CODES: readonly [codes: RegExp, fault: ServiceFault, says?: Meaning['says']][] = [
  [/^(1000|401)$/, 'unauthenticated', 'refused'],
  [/^1001$/, 'noToken'], // Something on the way removed it.
  [/^1002$/, 'unreadableToken', 'refused'],
  [/^1003$/, 'expiredToken', 'refused'],
  [/^1004$/, 'refusedKey', 'refused'],
  [/^1113$/, 'noBalance', 'refused'],
  [/^11(00|1[012]|2[01])$/, 'accountUnusable', 'refused'],
  [/^12(10|12|13|14|15)$/, 'badRequest'],
  [/^1211$/, 'noSuchModel'],
  [/^122[012]$/, 'noSuchApi', 'refused'],
  [/^1231$/, 'duplicate'],
  [/^1261$/, 'promptTooLong'],
  [/^(50[0234]|1200|1230|1234)$/, 'internal'],
  [/^1301$/, 'unsafe'],
  [/^(130[235]|1312|429)$/, 'busy'],
  [/^13(04|08|10)$/, 'quotaUsedUp'], // Until it is renewed, with the same key.
  [/^1309$/, 'planExpired', 'refused'],
  [/^1311$/, 'modelNotInPlan'],
  [/^13\d\d$/, 'policy'],
];

/** What an error code of the service, or an HTTP status, means; `undefined` when it is not known. */
export function meaningOf(code: string): Meaning | undefined {
  const [, fault, says = 'unchecked'] = CODES.find(([codes]) => codes.test(code)) ?? [];
  return fault && { fault, says };
}

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
