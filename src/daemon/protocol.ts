/** The wire: its version, its messages, and how an error of ours travels. */

import { ErrorCodes, ResponseError } from 'vscode-jsonrpc/node';
import { asGlmTokenError, EXIT_STATUS, GlmTokenError } from '../core/errors.ts';
import type { LockState } from '../stores/store.ts';

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
  readonly accounts: readonly { host: string; profile: string; store: string }[];
}

export interface StatusResult extends InitializeResult {
  /** How long the helper has run, in milliseconds. */
  readonly uptime: number;
  /** Tokens given out so far. */
  readonly tokens: number;
  readonly store: string;
  /** Of a store with a passphrase of its own. */
  readonly lock: LockState | null;
  /** Whether `GLM_API_KEY` is set. */
  readonly environment: boolean;
  /** The saved offset that tokens are signed with, and until when it holds, in milliseconds. */
  readonly clock: { readonly offset: number; readonly until: number; readonly host: string } | null;
}

export interface ErrorData {
  readonly code: string;
  readonly hint: string | null;
}

/** The error as it goes over the wire: a JSON-RPC code, the message, and `data: {code, hint}`. */
export function toResponseError(thrown: unknown): ResponseError<ErrorData> {
  const { code, message, hint } = asGlmTokenError(thrown);
  const number = code === 'ERR_USAGE' ? ErrorCodes.InvalidParams : SERVER_ERROR - EXIT_STATUS[code];
  return new ResponseError(number, message, { code, hint: hint ?? null });
}

/**
 * A request's parameter that must be a string, or may be missing when there is a fallback.
 *
 * @throws GlmTokenError `ERR_USAGE`; the message names the parameter and never its value
 */
export function stringParam(params: unknown, name: string, fallback?: string): string {
  const object = typeof params === 'object' && params !== null ? params : {};
  const value = (object as Record<string, unknown>)[name] ?? fallback;
  if (typeof value !== 'string') {
    throw new GlmTokenError('ERR_USAGE', `the parameter ${name} must be a string`);
  }
  return value;
}
