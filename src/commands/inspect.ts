/** `glm-token inspect`: what a token says, and what is wrong with it. */

import { pad, widthOf } from '../cli/columns.ts';
import { asGlmTokenError } from '../core/errors.ts';
import { shortenId, tryParseKey } from '../core/key.ts';
import {
  claimedTimeMs,
  findProblems,
  isSignedBy,
  MAX_TOKEN_TEXT_CHARACTERS,
  type ParsedToken,
  type Problem,
  parseToken,
  withoutSecrets,
} from '../core/parsed-token.ts';
import { type ListedAccount, listAccounts } from '../stores/registry.ts';
import { type Context, FLAG, subcommand } from './subcommand.ts';

/** How much of the signature is shown, in characters: with the rest, the token could be used. */
const SHOWN_SIGNATURE = 4;

export const inspect = subcommand({
  name: 'inspect',
  options: { json: FLAG },
  operands: { usage: '[TOKEN]', takes: 'text' },
  async run(context, args, words) {
    const parsed = parseToken(await readToken(context, words));
    const nowMs = context.now();
    const signer = await findSigner(context, parsed);
    const problems: Problem[] = findProblems(parsed, nowMs);
    if (signer.signed === false) problems.push({ what: 'signature' });
    const show = args.json ? showJson : showText;
    show(context, { parsed, nowMs, signer, problems });
    return undefined;
  },
});

async function readToken(
  { terminal, messages }: Context,
  words: readonly string[],
): Promise<string> {
  if (words.length > 0) return words.join(' ');
  if (terminal.isInteractive) return terminal.askSecret(messages.askToken);
  return terminal.readInput(MAX_TOKEN_TEXT_CHARACTERS);
}

interface Signer {
  readonly who: string;
  /** `undefined` when it cannot be known. */
  readonly signed: boolean | undefined;
}

/** Whether one of the stored keys signed it. */
async function findSigner({ stores, messages }: Context, parsed: ParsedToken): Promise<Signer> {
  const { signedBy, signedByOther, signerUnknown, noSuchKey } = messages.inspect;
  const { accounts, error } = await listAccounts(stores);
  const id = String(parsed.claims.api_key);
  let [knowsId, failure] = [false, error];
  const mayHaveSigned = (listed: ListedAccount) => listed.program || listed.id === shortenId(id);
  for (const { account, store } of accounts.filter(mayHaveSigned)) {
    const text = await store.get(account).catch((thrown) => {
      failure ??= thrown;
    });
    const key = tryParseKey(text ?? '');
    if (key?.id !== id) continue;
    knowsId = true;
    if (await isSignedBy(parsed, key)) return { who: signedBy(account, store), signed: true };
  }
  if (knowsId) return { who: signedByOther, signed: false };
  const reason =
    failure === undefined ? noSuchKey : messages.describe(asGlmTokenError(failure)).message;
  return { who: signerUnknown(reason), signed: undefined };
}

interface Inspected {
  readonly parsed: ParsedToken;
  readonly nowMs: number;
  readonly signer: Signer;
  readonly problems: readonly Problem[];
}

function showJson(
  { terminal, messages }: Context,
  { parsed, nowMs, signer, problems }: Inspected,
): void {
  const issuedAtMs = claimedTimeMs(parsed.claims.timestamp);
  const expiresAtMs = claimedTimeMs(parsed.claims.exp);
  const time = (ms: number | undefined) => (ms === undefined ? null : new Date(ms).toISOString());
  terminal.print(
    JSON.stringify({
      schemaVersion: 1,
      header: withoutSecrets(parsed.header),
      claims: withoutSecrets(parsed.claims),
      issuedAt: time(issuedAtMs),
      expiresAt: time(expiresAtMs),
      expiresInMs: expiresAtMs === undefined ? null : expiresAtMs - nowMs,
      signedByStoredKey: signer.signed ?? null,
      problems: problems.map(messages.inspect.problem),
    }),
  );
}

function showText(
  { terminal, messages }: Context,
  { parsed, nowMs, signer, problems }: Inspected,
): void {
  const { labels, signature, problem: describe } = messages.inspect;
  const width = Math.max(...Object.values(labels).map(widthOf));
  const line = (label: string, value: string) => terminal.print(`${pad(label, width)} ${value}`);
  const time = (claim: unknown): string => {
    const ms = claimedTimeMs(claim);
    if (ms === undefined) return messages.inspect.timeMissing;
    const utc = new Date(ms).toISOString().replace('T', ' ').slice(0, -'.000Z'.length);
    return messages.inspect.time(utc, ms - nowMs);
  };
  line(labels.header, JSON.stringify(withoutSecrets(parsed.header)));
  line(labels.claims, JSON.stringify(withoutSecrets(parsed.claims)));
  const start = parsed.signature.slice(0, SHOWN_SIGNATURE);
  line(labels.signature, signature(start, parsed.signature.length));
  line(labels.issued, time(parsed.claims.timestamp));
  line(labels.expires, time(parsed.claims.exp));
  line(labels.signer, signer.who);
  for (const problem of problems) {
    const { message, hint } = describe(problem);
    line(labels.problem, message);
    line('', `${messages.hintLabel}${hint}`);
  }
  if (problems.length === 0) line(labels.problems, messages.none);
}
