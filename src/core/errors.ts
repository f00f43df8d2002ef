/** The one table of errors, and the class that carries them to the terminal, the wire and Emacs. */

import type { Cure } from '../stores/cure.ts';
import type { KeyOrigin, StoreLabel } from '../stores/port.ts';
import type { Account } from './account.ts';

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

interface Failure<Params> {
  readonly code: ErrorCode;
  /** Never set: it carries the type of the message's parameters. */
  readonly params?: Params;
}

const failure = <Params = null>(code: ErrorCode): Failure<Params> => ({ code });

/** What a person gave, which may be a key: it is looked at where a failure becomes text. */
type Given = string;

/** Why a key was refused. None of these repeats any of it. */
export type KeyFault =
  | 'empty'
  | 'long'
  | 'url'
  | 'token'
  | 'unprintable'
  | 'no-dot'
  | 'dots'
  | 'no-id'
  | 'no-secret'
  | 'more-than-id'
  | 'id-not-ascii';

/** A word that is no command or option, and the nearest that is one. */
export interface Unknown {
  readonly given: Given;
  readonly near: string | undefined;
}

/** Why a command gave no key: it ended with a status or by a signal, or its output has no end. */
export type KeyCommandFault = { readonly status: number | string } | 'endless';

/** Why the service refuses a request, as its error code says: see service/error-codes.ts. */
export type ServiceFault =
  | 'unauthenticated'
  | 'noToken'
  | 'unreadableToken'
  | 'expiredToken'
  | 'refusedKey'
  | 'accountUnusable'
  | 'noBalance'
  | 'badRequest'
  | 'noSuchModel'
  | 'noSuchApi'
  | 'duplicate'
  | 'promptTooLong'
  | 'unsafe'
  | 'busy'
  | 'quotaUsedUp'
  | 'planExpired'
  | 'modelNotInPlan'
  | 'policy'
  | 'internal';

/** Why the system refused to read or write a file: an errno such as `ENOSPC`. */
export interface FileFault {
  readonly action: 'read' | 'write' | 'remove' | 'protect';
  readonly path: string;
  readonly errno: string;
  /** The variable that names the directory's parent, where one does. */
  readonly parentVariable: string | undefined;
}

/**
 * Why a socket gives no answer: it is not there, nobody listens, it was closed, nothing came in time,
 * or what came makes no sense; else an errno such as `EACCES`.
 */
export type SocketFault =
  | 'missing'
  | 'refused'
  | 'closed'
  | 'silent'
  | 'unintelligible'
  | { readonly errno: string };

/**
 * Every way in which the program fails on purpose: its code, and the parameters of its message.
 * The messages are in src/messages, under the same names.
 */
export const FAILURES = {
  unexpected: failure<{ reason: string }>('ERR_INTERNAL'),
  outputFailed: failure<{ errno: string }>('ERR_INTERNAL'),

  /** `command`: one that was named after its options. */
  commandMissing: failure<{ command: string | undefined }>('ERR_USAGE'),
  commandUnknown: failure<Unknown>('ERR_USAGE'),
  /** `value`: what follows it, which may be what it was to be. */
  optionUnknown: failure<Unknown & { command: string; value: Given }>('ERR_USAGE'),
  optionValueMissing: failure<{ command: string; option: string }>('ERR_USAGE'),
  optionValueUnexpected: failure<{ command: string; option: string }>('ERR_USAGE'),
  optionNotAChoice: failure<{
    command: string;
    option: string;
    given: Given;
    choices: readonly string[];
  }>('ERR_USAGE'),
  argumentUnexpected: failure<{ command: string; given: Given }>('ERR_USAGE'),
  argumentNotAChoice: failure<{ command: string; given: Given; choices: readonly string[] }>(
    'ERR_USAGE',
  ),
  shellUnnamed: failure<{ shells: readonly string[] }>('ERR_USAGE'),
  shellUnknown: failure<{ given: Given; shells: readonly string[] }>('ERR_USAGE'),
  /** `problem` is another failure, a GlmTokenError. */
  settingInvalid: failure<{ variable: string; problem: Error }>('ERR_USAGE'),
  /** A remark; it stops nothing. */
  languageUnknown: failure<{ given: Given }>('ERR_USAGE'),
  settingNotAChoice: failure<{ given: Given; choices: readonly string[] }>('ERR_USAGE'),
  homeNotAbsolute: failure('ERR_USAGE'),
  hostInvalid: failure<{ given: Given }>('ERR_USAGE'),
  profileInvalid: failure<{ given: Given; maxCharacters: number }>('ERR_USAGE'),
  /** There is a key for an account whose host is almost this one. */
  hostMistyped: failure<{ account: Account; meant: Account }>('ERR_USAGE'),
  durationInvalid: failure<{ given: Given }>('ERR_USAGE'),
  methodUnknown: failure('ERR_USAGE'),
  parameterInvalid: failure<{ parameter: string }>('ERR_USAGE'),
  parameterNotWords: failure<{ parameter: string }>('ERR_USAGE'),
  keyExists: failure<{ account: Account; existing: string | undefined }>('ERR_USAGE'),
  deletionUnconfirmed: failure<{ account: Account }>('ERR_USAGE'),
  answeredNo: failure('ERR_USAGE'),
  choiceInvalid: failure<{ given: Given; count: number }>('ERR_USAGE'),
  answerUnclear: failure<{ given: Given }>('ERR_USAGE'),
  environmentIsReadOnly: failure('ERR_USAGE'),
  terminalEchoes: failure('ERR_USAGE'),
  execWithoutProgram: failure('ERR_USAGE'),
  execVariableInvalid: failure('ERR_USAGE'),
  /** Said by `exec`, which ends with the status that shells give to it. */
  programMissing: failure<{ given: Given }>('ERR_USAGE'),
  programNotExecutable: failure<{ errno: string }>('ERR_USAGE'),
  daemonWithoutTransport: failure('ERR_USAGE'),
  optionNeedsSocket: failure<{ option: string }>('ERR_USAGE'),
  accountsAreReadOnly: failure('ERR_USAGE'),
  storeIsElsewhere: failure<{ path: string }>('ERR_USAGE'),
  socketPathInvalid: failure<{ isRelative: boolean; maxBytes: number }>('ERR_USAGE'),
  writingNotAllowed: failure('ERR_USAGE'),
  lifetimeTooLong: failure<{ maxTtlMs: number }>('ERR_USAGE'),
  accountNotServed: failure<{ account: Account; accounts: readonly Account[] }>('ERR_USAGE'),
  storeWithoutCommand: failure('ERR_USAGE'),
  commandAndStore: failure('ERR_USAGE'),
  commandNotAllowed: failure('ERR_USAGE'),
  keyInCommand: failure('ERR_USAGE'),
  tokenMissing: failure<{ isKey: boolean }>('ERR_USAGE'),

  /** `others` have a key; `inEnvironment` is the account that GLM_API_KEY is for. */
  keyNotFound: failure<{
    account: Account;
    others: readonly Account[];
    inEnvironment: Account | undefined;
  }>('ERR_KEY_NOT_FOUND'),
  nothingToDelete: failure<{ account: Account }>('ERR_KEY_NOT_FOUND'),
  noKeyYet: failure('ERR_KEY_NOT_FOUND'),
  noKeyFile: failure('ERR_KEY_NOT_FOUND'),
  nothingToMove: failure<{ store: StoreLabel }>('ERR_KEY_NOT_FOUND'),

  keyInvalid: failure<{ fault: KeyFault }>('ERR_KEY_MALFORMED'),
  storedKeyInvalid: failure<{ account: Account; store: StoreLabel }>('ERR_KEY_MALFORMED'),
  keyCommandPrintedNoKey: failure<{ account: Account; program: string; fault: KeyFault }>(
    'ERR_KEY_MALFORMED',
  ),

  keychainLibraryMissing: failure<{ isLinux: boolean }>('ERR_STORE_UNAVAILABLE'),
  keychainMissing: failure<{ hasBus: boolean }>('ERR_STORE_UNAVAILABLE'),
  /** The session bus that a variable names cannot be reached; `other` is the address of one that can. */
  busOutOfReach: failure<{ isAbstract: boolean; other: string | undefined }>(
    'ERR_STORE_UNAVAILABLE',
  ),
  keyringMissing: failure('ERR_STORE_UNAVAILABLE'),
  keychainFailed: failure<{ reason: string }>('ERR_STORE_UNAVAILABLE'),
  keychainSessionRefused: failure<{ reason: string }>('ERR_STORE_UNAVAILABLE'),
  keychainSilent: failure('ERR_STORE_UNAVAILABLE'),
  /** The key was stored, and another one, in another keyring, is read in its place. */
  keychainKeepsAnother: failure('ERR_STORE_UNAVAILABLE'),
  fileRefused: failure<FileFault>('ERR_STORE_UNAVAILABLE'),
  fileOfAnotherUser: failure<{ path: string }>('ERR_STORE_UNAVAILABLE'),
  fileIrregular: failure<{ path: string }>('ERR_STORE_UNAVAILABLE'),
  fileOpenToOthers: failure<Pick<FileFault, 'path' | 'parentVariable'>>('ERR_STORE_UNAVAILABLE'),
  /** No keychain can keep the key, and the person does not want it in the encrypted file. */
  fileDeclined: failure<{ account: Account }>('ERR_STORE_UNAVAILABLE'),
  fileBusy: failure<{ path: string }>('ERR_STORE_UNAVAILABLE'),
  keyCommandFailed: failure<{
    account: Account;
    program: string;
    fault: KeyCommandFault;
    hasTerminal: boolean;
    /** What it said on standard error, where that was asked for and holds no key. */
    said: string | undefined;
  }>('ERR_STORE_UNAVAILABLE'),
  keyCommandNotRun: failure<{ account: Account; given: Given; errno: string }>(
    'ERR_STORE_UNAVAILABLE',
  ),
  /** Others could have written what is to be run. */
  fileWritableByOthers: failure<{ path: string }>('ERR_STORE_UNAVAILABLE'),
  /** `problem` is why the keychain took none, a GlmTokenError. */
  keysNotMoved: failure<{ problem: Error; from: StoreLabel }>('ERR_STORE_UNAVAILABLE'),
  /** A key was given, and no store could keep it: `problem` says why, a GlmTokenError. */
  keyNotKept: failure<{ account: Account; problem: Error }>('ERR_STORE_UNAVAILABLE'),

  keychainLocked: failure('ERR_STORE_LOCKED'),
  /** Its user, or its program, did not allow it. */
  keychainDenied: failure('ERR_STORE_LOCKED'),
  /** Said by what only looks: the next request asks to unlock the keychain, or to allow the key. */
  keychainAsksLater: failure<{ about: 'keychain' | 'key' }>('ERR_STORE_LOCKED'),
  keychainPromptUnanswered: failure<{ seconds: number }>('ERR_STORE_LOCKED'),

  /** Said by what only looks, of a command that a request would run. */
  keyCommandRunsLater: failure<{ account: Account; program: string }>('ERR_STORE_LOCKED'),
  keyCommandUnanswered: failure<{ account: Account; program: string; seconds: number }>(
    'ERR_STORE_LOCKED',
  ),

  passphraseNeeded: failure<{ isNew: boolean }>('ERR_PASSPHRASE'),
  passphraseWrong: failure<{ path: string }>('ERR_PASSPHRASE'),
  passphraseInFileWrong: failure<{ passphraseFile: string }>('ERR_PASSPHRASE'),
  passphraseEmpty: failure('ERR_PASSPHRASE'),
  passphrasesDiffer: failure('ERR_PASSPHRASE'),
  passphraseFileUnreadable: failure<{ passphraseFile: string; errno: string }>('ERR_PASSPHRASE'),
  passphraseFileEmpty: failure<{ passphraseFile: string }>('ERR_PASSPHRASE'),

  keyFileDamaged: failure<{ path: string }>('ERR_STORE_CORRUPT'),
  commandFileDamaged: failure<{ path: string }>('ERR_STORE_CORRUPT'),

  protocolUnknown: failure<{ version: string; protocol: number }>('ERR_DAEMON'),
  clientUnintelligible: failure('ERR_DAEMON'),
  clientMessageTooLong: failure('ERR_DAEMON'),
  keychainRestarted: failure('ERR_DAEMON'),
  socketsNotOnWindows: failure('ERR_DAEMON'),
  runtimeDirectoryMissing: failure('ERR_DAEMON'),
  socketDirectoryUnsafe: failure<{ path: string; isOthers: boolean }>('ERR_DAEMON'),
  socketPathTaken: failure<{ path: string }>('ERR_DAEMON'),
  socketRefused: failure<{ path: string; errno: string }>('ERR_DAEMON'),
  socketPassedInvalid: failure('ERR_DAEMON'),
  helperRunning: failure<{ path: string }>('ERR_DAEMON'),
  socketUnanswered: failure<{ path: string; fault: SocketFault }>('ERR_DAEMON'),
  socketOfAnotherUser: failure<{ path: string }>('ERR_DAEMON'),
  /** What a helper on a socket answered; it comes as a {@link ReportedError}, with a code of its own. */
  helperReported: failure<{
    code: ErrorCode;
    message: string;
    hint: string | undefined;
    action: Cure | null;
  }>('ERR_DAEMON'),

  hostUnreachable: failure<{
    host: string;
    /** The proxy that was used, and the variable that names it. */
    proxy: string | undefined;
    variable: string | undefined;
    /** Node's code for it, such as `ECONNREFUSED`; `timeout` when there was no answer in time. */
    fault: string;
    seconds: number;
  }>('ERR_NETWORK'),
  proxyInvalid: failure<{ variable: string }>('ERR_NETWORK'),
  tokenRefused: failure<{
    account: Account;
    /** `undefined` when a helper elsewhere has the key. */
    origin: KeyOrigin | undefined;
    status: number;
    serviceCode: string | undefined;
    fault: ServiceFault | undefined;
  }>('ERR_NETWORK'),
};

export type Reason = keyof typeof FAILURES;

/** The parameters of a failure's message. */
export type Params<R extends Reason> = (typeof FAILURES)[R] extends Failure<infer P> ? P : never;

type Rest<R extends Reason> =
  Params<R> extends null
    ? [params?: undefined, cause?: unknown]
    : [params: Params<R>, cause?: unknown];

/**
 * An expected failure. It travels as its reason and parameters, and becomes text where it is shown.
 *
 * No parameter holds a key, a token or a passphrase, but for what a person gave in a wrong place.
 */
export class GlmTokenError<R extends Reason = Reason> extends Error {
  override readonly name = 'GlmTokenError';
  readonly reason: R;
  /** Private, since Node prints the other members of an error that nobody catches. */
  readonly #params: Params<R>;
  readonly code: ErrorCode;

  constructor(reason: R, ...[params, cause]: Rest<R>) {
    super(reason, cause === undefined ? undefined : { cause });
    this.reason = reason;
    this.#params = params as Params<R>;
    this.code = FAILURES[reason].code;
  }

  get params(): Params<R> {
    return this.#params;
  }
}

/** A failure that a helper on a socket answered with: it has the code that the helper gave it. */
export class ReportedError extends GlmTokenError<'helperReported'> {
  override readonly code: ErrorCode;

  constructor(params: Params<'helperReported'>) {
    super('helperReported', params);
    this.code = params.code;
  }
}

/** Any thrown value as a {@link GlmTokenError}; what is not one already is a bug, `ERR_INTERNAL`. */
export function asGlmTokenError(error: unknown): GlmTokenError {
  if (error instanceof GlmTokenError) return error;
  const reason = error instanceof Error ? error.message : String(error);
  return new GlmTokenError('unexpected', { reason }, error);
}

/** What the system says of its refusal, such as `EACCES`. */
export const errnoOf = (error: unknown): string =>
  (error as NodeJS.ErrnoException).code ?? String(error);

/** Whether something thrown is a failure that has this code. */
export const hasCode = (error: unknown, code: ErrorCode): error is GlmTokenError =>
  error instanceof GlmTokenError && error.code === code;

/** Whether something thrown is a failure for one of these reasons. */
export const hasReason = <R extends Reason>(
  error: unknown,
  ...reasons: readonly R[]
): error is GlmTokenError<R> =>
  error instanceof GlmTokenError && reasons.some((reason) => reason === error.reason);
