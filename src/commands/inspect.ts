/** `glm-token inspect`: what a token says, and what is wrong with it. */

import { describeAccount } from '../core/account.ts';
import { asGlmTokenError } from '../core/errors.ts';
import {
  claimedTimeMs,
  describeDuration,
  findProblems,
  isSignedBy,
  type ParsedToken,
  type Problem,
  parseToken,
  showJson,
  shownClaims,
} from '../core/inspect.ts';
import { tryParseKey } from '../core/key.ts';
import { type Stores, surveyKeys } from '../stores/stores.ts';
import type { Command } from './command.ts';

/** Far more than a token with a header line around it. */
const MAX_INPUT_BYTES = 1 << 16;

/** Of the signature, this much is shown; with the rest, a token that is shown could be used. */
const SHOWN_CHARACTERS = 4;

export const inspect: Command = {
  name: 'inspect',
  summary: 'show what is in a token, and what is wrong with it',
  options: { json: { type: 'boolean', describe: 'print JSON' } },
  operands: { usage: '[TOKEN]' },
  examples: [
    ['glm-token print | glm-token inspect', 'from standard input'],
    ["glm-token inspect 'Bearer eyJ...'", 'as pasted; a header line will do'],
  ],
  async run(context, args, words) {
    const text =
      words.length > 0
        ? words.join(' ')
        : context.interactive
          ? await context.ask('Token (not shown): ', { secret: true })
          : await context.readInput(MAX_INPUT_BYTES);
    const parsed = parseToken(text);
    const nowMs = context.clock.now();
    const signer = await findSigner(parsed, context.stores());
    const problems = findProblems(parsed, nowMs);
    if (signer.problem) problems.push(signer.problem);
    const issuedAtMs = claimedTimeMs(parsed.claims.timestamp);
    const expiresAtMs = claimedTimeMs(parsed.claims.exp);

    if (args.json === true) {
      const time = (ms: number | undefined) =>
        ms === undefined ? null : new Date(ms).toISOString();
      context.print(
        showJson({
          schemaVersion: 1,
          header: parsed.header,
          claims: shownClaims(parsed),
          issuedAt: time(issuedAtMs),
          expiresAt: time(expiresAtMs),
          expiresInMs: expiresAtMs === undefined ? null : expiresAtMs - nowMs,
          signedByStoredKey: signer.signed ?? null,
          problems: problems.map(({ what, cure }) => ({ message: what, hint: cure })),
        }),
      );
      return;
    }
    const { signature } = parsed;
    const line = (name: string, value: string) => context.print(`${name.padEnd(10)} ${value}`);
    line('header', showJson(parsed.header));
    line('claims', showJson(shownClaims(parsed)));
    line('signature', `${signature.slice(0, SHOWN_CHARACTERS)}… (${signature.length} characters)`);
    line('issued', describeTime(issuedAtMs, nowMs));
    line('expires', describeTime(expiresAtMs, nowMs));
    line('signed by', signer.who);
    for (const { what, cure } of problems) {
      line('problem', what);
      line('', `hint: ${cure}`);
    }
    if (problems.length === 0) line('problems', 'none');
  },
};

function describeTime(timeMs: number | undefined, nowMs: number): string {
  if (timeMs === undefined) return 'not said';
  const at = new Date(timeMs)
    .toISOString()
    .replace('T', ' ')
    .replace(/\.\d+Z$/, ' UTC');
  const distance = describeDuration(Math.abs(timeMs - nowMs));
  return `${at}, ${timeMs > nowMs ? `in ${distance}` : `${distance} ago`}`;
}

interface Signer {
  readonly who: string;
  /** `undefined` when it cannot be known. */
  readonly signed?: boolean;
  readonly problem?: Problem;
}

/** Whether one of the stored keys signed it. */
async function findSigner(parsed: ParsedToken, stores: Stores): Promise<Signer> {
  const { keys, error } = await surveyKeys(stores);
  let knowsId = false;
  for (const { account, text, store } of keys) {
    const key = tryParseKey(text);
    if (!key || key.id !== parsed.claims.api_key) continue;
    knowsId = true;
    if (await isSignedBy(parsed, key)) {
      return { who: `the key for ${describeAccount(account)} in ${store.title}`, signed: true };
    }
  }
  if (!knowsId) {
    const reason =
      error === undefined ? 'no key with its api_key is stored' : asGlmTokenError(error).message;
    return { who: `not known: ${reason}` };
  }
  return {
    who: 'something else than the stored key with its api_key',
    signed: false,
    problem: {
      what: 'the signature is not that of the stored key with its api_key',
      cure: 'sign with the bytes of the secret as UTF-8, or store the key again: glm-token store --force',
    },
  };
}
