/** What the messages of every language have in common: their form, and words that are the same in all. */

import {
  type Account,
  DEFAULT_HOST,
  DEFAULT_PROFILE,
  shownAccount,
  shownHost,
} from '../core/account.ts';
import { type DurationPart, splitDuration } from '../core/duration.ts';
import type { Params, Reason } from '../core/errors.ts';
import { HIDDEN, type System, shellQuote, shown } from '../core/text.ts';

/** What happened, in lower case and without a full stop, and the cure, in the imperative. */
export interface Text {
  readonly message: string;
  /** Several are shown as a line each. */
  readonly hint?: string | readonly string[] | undefined;
}

/** The hint in one line, for JSON and the wire. */
export const oneHint = ({ hint }: Text): string | undefined =>
  typeof hint === 'string' ? hint : hint?.join('; ');

/** `flags` name the account in question, for errors that know none. */
export type ErrorTexts = { readonly [R in Reason]: (params: Params<R>, flags: string) => Text };

/** Durations such as `2 min 55 s`, in a language's units. */
export const durationIn =
  (units: Readonly<Record<DurationPart['unit'], string>>) =>
  (ms: number): string =>
    splitDuration(ms)
      .map(({ count, unit }) => `${count} ${units[unit]}`)
      .join(' ');

/**
 * The parameters of a failure as its text may have them: what a person gave is looked at here, and
 * nowhere else, for whether it may be shown.
 */
export const shownIn = <P>(params: P): P =>
  Object.fromEntries(
    Object.entries(params ?? {}).map(([name, value]) => [
      name,
      name === 'given' || name === 'value'
        ? shown(String(value))
        : name === 'host'
          ? shownHost(String(value))
          : value,
    ]),
  ) as P;

/** The options that name an account, ready to paste into a shell; empty for the default account. */
export function accountFlags(account: Account, system: System = 'posix'): string {
  const { host, profile } = shownAccount(account);
  const quote = (word: string) => (word === HIDDEN ? word : shellQuote(word, system));
  const flags = [];
  if (host !== DEFAULT_HOST) flags.push(` --host ${quote(host)}`);
  if (profile !== DEFAULT_PROFILE) flags.push(` --profile ${quote(profile)}`);
  return flags.join('');
}

/** What a system's library says, as the end of a sentence of ours. */
export const oneLine = (text: string): string => text.replace(/\s+/g, ' ').replace(/\.$/, '');

export interface SocketFaultText {
  message(path: string): string;
  hint(program: string): string;
}

/** What kind of cure a connection needs that could not be made. */
export function networkFault({ fault, proxy, variable }: Params<'hostUnreachable'>) {
  // Seen when a clock is off by months, with a good certificate.
  if (/^CERT_(NOT_YET_VALID|HAS_EXPIRED)$/.test(fault)) return 'certificate date';
  if (/CERT|SELF_SIGNED|UNABLE_TO_|ERR_TLS/.test(fault)) return 'certificate';
  if (fault === 'ENOTFOUND' && proxy && /^socks[45]:/.test(proxy)) return 'proxy names';
  return variable ? 'proxy' : 'network';
}
