/** The one table of errors, and the class that carries them to the terminal, the wire and Emacs. */

/** Exit status of each error code. Part of the public contract: never renumbered. */
export const EXIT_STATUS = {
  ERR_INTERNAL: 1,
  ERR_USAGE: 2,
  ERR_KEY_NOT_FOUND: 3,
  ERR_KEY_MALFORMED: 4,
  ERR_STORE_UNAVAILABLE: 5,
  ERR_STORE_LOCKED: 6,
  ERR_PASSPHRASE: 7,
  ERR_STORE_CORRUPT: 8,
  ERR_DAEMON: 9,
  ERR_NETWORK: 10,
} as const;

export type ErrorCode = keyof typeof EXIT_STATUS;

/**
 * An expected failure, as a person reads it.
 *
 * The message is lower case and has no full stop; the hint is the cure, in the imperative. Neither
 * ever holds a key, a token or a passphrase, or any part of what was given in place of one.
 */
export class GlmTokenError extends Error {
  override readonly name = 'GlmTokenError';
  readonly code: ErrorCode;
  readonly hint: string | undefined;

  constructor(code: ErrorCode, message: string, hint?: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.hint = hint;
  }
}

/** Any thrown value as a {@link GlmTokenError}; what is not one already is a bug, `ERR_INTERNAL`. */
export function asGlmTokenError(error: unknown): GlmTokenError {
  if (error instanceof GlmTokenError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new GlmTokenError(
    'ERR_INTERNAL',
    `unexpected error: ${message}`,
    'this is a bug in glm-token, please report it',
    error,
  );
}
