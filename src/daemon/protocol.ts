/** The wire: its version, its messages, and how an error of ours travels. */

import { ErrorCodes, ResponseError } from 'vscode-jsonrpc/node';
import type { Account } from '../core/account.ts';
import { EXIT_STATUS, GlmTokenError } from '../core/errors.ts';
import { printable } from '../core/text.ts';
import type { Finding } from '../doctor/examine.ts';
import { oneHint } from '../messages/common.ts';
import type { Messages } from '../messages/en.ts';
import type { Action } from '../service/error-codes.ts';
import type { KeyCheck } from '../setup/check.ts';
import type { Step } from '../setup/steps.ts';
import type { Cure } from '../stores/cure.ts';
import type { LockState } from '../stores/file.ts';
import type { StoreName } from '../stores/port.ts';

/** Version of the protocol; raised when a client of the old one would misunderstand. */
export const PROTOCOL = 1;

/** Base of our JSON-RPC codes, inside the range that the standard leaves to servers. */
const SERVER_ERROR = -32000;

export interface InitializeResult {
  readonly protocol: number;
  readonly version: string;
  readonly pid: number;
}

export interface TokenResult {
  readonly token: string;
  /** Milliseconds since 1970 (UTC). */
  readonly expiresAt: number;
}

export interface AccountsResult {
  readonly accounts: readonly {
    readonly host: string;
    readonly profile: string;
    /** Shortened; null when what is stored is no key, or a command that was not run. */
    readonly id: string | null;
    readonly store: StoreName;
    /** Whether the keychain's program has not allowed the key to be read, so far. */
    readonly locked?: boolean;
    /** The program of the command that prints the key, in the store `command`. */
    readonly program?: string;
  }[];
  /** The account that is used when a request names none. */
  readonly default: { readonly host: string; readonly profile: string };
}

export interface StoreResult {
  readonly host: string;
  readonly profile: string;
  /** False when another key is there, and the request did not say that it may be replaced. */
  readonly stored: boolean;
  readonly store: StoreName;
  /** The store as a sentence names it. */
  readonly title: string;
  /** Shortened id of the key that was kept, or its program; null when what is there is no key. */
  readonly existing?: string | null;
}

export interface DeleteResult {
  readonly host: string;
  readonly profile: string;
  /** Whether there was a key to delete. */
  readonly deleted: boolean;
}

export interface StatusResult extends InitializeResult {
  /** Time since the helper started, in milliseconds. */
  readonly uptime: number;
  /** Number of tokens signed so far. */
  readonly tokens: number;
  readonly store: StoreName;
  /** The store as a sentence names it. */
  readonly title: string;
  /** Null for a store without a passphrase of its own. */
  readonly lock: LockState | null;
  /** Whether `GLM_API_KEY` is set. */
  readonly environment: boolean;
}

/** A step of the guided first run, or its end: exactly one of them is not null. */
export interface SetupResult {
  readonly step: SetupStep | null;
  readonly done: SetupDone | null;
}

/** As `Step` of src/setup/steps.ts, with null for what a step does not have. */
export interface SetupStep {
  readonly name: string;
  readonly kind: Step['kind'];
  readonly question: string;
  readonly notes: readonly string[];
  readonly choices: Step['choices'] | null;
  readonly default: string | boolean | null;
  readonly url: string | null;
  readonly store: string | null;
  readonly plan: string | null;
  readonly account: Account | null;
}

export interface SetupDone {
  readonly account: Account;
  readonly plan: string;
  /** The lines for init.el. */
  readonly lines: readonly string[];
  readonly notes: readonly string[];
  readonly verdict: KeyCheck | null;
}

export interface DoctorResult {
  readonly findings: readonly Finding[];
}

/** What an error code of the service means; all null when it is not known. */
export interface ExplainResult {
  readonly message: string | null;
  readonly hint: string | null;
  /** The command that is the cure, if one is. */
  readonly action: Action | null;
}

export interface ErrorData {
  readonly code: string;
  readonly hint: string | null;
  /** What cures it, if one of these does. */
  readonly action: Cure | null;
}

/**
 * The error as it goes over the wire: a JSON-RPC code, the message, and `data: {code, hint, action}`.
 *
 * @param about the account in question
 */
export function toResponseError(
  error: GlmTokenError,
  action: Cure | null,
  messages: Messages,
  about: Account | undefined,
): ResponseError<ErrorData> {
  const { code } = error;
  const text = messages.describe(error, about);
  const hint = oneHint(text);
  const number =
    error.reason === 'methodUnknown'
      ? ErrorCodes.MethodNotFound
      : code === 'ERR_USAGE'
        ? ErrorCodes.InvalidParams
        : SERVER_ERROR - EXIT_STATUS[code];
  const data = { code, hint: hint === undefined ? null : printable(hint), action };
  return new ResponseError(number, printable(text.message), data);
}

/** A parameter of a request, whatever its type; `undefined` when it is missing or null. */
export function param(params: unknown, name: string): unknown {
  const isObject = typeof params === 'object' && params !== null;
  const value = isObject && Object.hasOwn(params, name) ? Reflect.get(params, name) : undefined;
  return value ?? undefined;
}

/**
 * A parameter that is a string, or may be missing when there is a fallback.
 *
 * @throws GlmTokenError `ERR_USAGE`; the message names the parameter and never its value
 */
export function stringParam(params: unknown, name: string, fallback?: string): string {
  const value = param(params, name) ?? fallback;
  if (typeof value === 'string') return value;
  throw new GlmTokenError('parameterInvalid', { parameter: name });
}
