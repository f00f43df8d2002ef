/** What the service's own error codes mean: https://docs.z.ai/api-reference/api-code */

import type { Problem } from './inspect.ts';

const CHECK_KEY = 'check the key in the console, and save it again: glm-token store --force';

/** By code; Emacs has sentences of its own for the same codes. */
const EXPLANATIONS: readonly [codes: RegExp, what: string, cure: string][] = [
  [/^(1000|401)$/, 'the service could not authenticate the request', CHECK_KEY],
  [
    /^1001$/,
    'the service saw no token',
    'a proxy on the way may have removed the Authorization header',
  ],
  [/^1002$/, 'the service could not read the token', 'show what is in it: glm-token inspect'],
  [
    /^1003$/,
    'the service says that the token has expired, though it was just made',
    "set this machine's clock right",
  ],
  [/^1004$/, 'the service refuses the key: it was revoked or mistyped', CHECK_KEY],
  [/^1113$/, 'the account has no balance left', 'recharge it in the console'],
  [/^(130[235]|1312)$/, 'too many requests, or the model is busy', 'wait a little and try again'],
  [
    /^13(04|08|10)$/,
    'the quota of the day or of the plan is used up',
    'wait until it is renewed, or take another key',
  ],
  [/^1309$/, 'the Coding Plan has expired', 'renew it, or use the general endpoint'],
  [
    /^13\d\d$/,
    "the service's policy for the account stands against the request",
    'see its console',
  ],
];

/** The cause and the cure for an error code of the service; `undefined` for one that is not known. */
export function explainServiceError(code: string): Problem | undefined {
  const found = EXPLANATIONS.find(([codes]) => codes.test(code));
  return found && { what: found[1], cure: found[2] };
}
