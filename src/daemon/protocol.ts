/** The wire: its version, its messages, and how an error of ours travels. */

import { ErrorCodes, ResponseError } from 'vscode-jsonrpc/node';
import type { Account } from '../core/account.ts';
import { EXIT_STATUS, GlmTokenError } from '../core/errors.ts';
import { printable } from '../core/text.ts';
import { oneHint } from '../messages/common.ts';
import type { Messages } from '../messages/en.ts';
import type { Cure } from '../stores/cure.ts';

/** Version of the protocol; raised when a client of the old one would misunderstand. */
export const PROTOCOL = 1;

/** Base of our JSON-RPC codes, inside the range that the standard leaves to servers. */
const SERVER_ERROR = -32000;

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
