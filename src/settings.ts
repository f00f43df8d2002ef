/** Every variable of ours in the environment, read and checked, and where our files are. */

import { tmpdir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import envPaths from 'env-paths';
import {
  type Account,
  DEFAULT_HOST,
  DEFAULT_PROFILE,
  parseHost,
  parseProfile,
} from './core/account.ts';
import { parseTimeLimit } from './core/duration.ts';
import { GlmTokenError } from './core/errors.ts';
import { WRITABLE_STORES, type WritableStoreName } from './stores/port.ts';

/** The languages that there are messages in. */
export const LANGUAGES = ['en', 'zh'] as const;

export type Language = (typeof LANGUAGES)[number];

/** The language that a name such as `zh_CN` or `ZH` is for: whatever begins with zh is Chinese. */
export const languageNamed = (name: string): Language => (/^zh/i.test(name) ? 'zh' : 'en');

/** The locale that the environment names, in POSIX' order; empty where it names none. */
export const localeOf = ({ LC_ALL, LC_MESSAGES, LANG }: NodeJS.ProcessEnv): string =>
  LC_ALL || LC_MESSAGES || LANG || '';

/**
 * The language for people: `GLM_TOKEN_LANG`, else that of the locale. A locale whose character set is
 * not UTF-8 could not show Chinese.
 *
 * @param systemLocale such as `zh-CN`, where the system does not say it in the environment
 */
export function chooseLanguage(env: NodeJS.ProcessEnv, systemLocale: string | undefined): Language {
  if (env.GLM_TOKEN_LANG) return languageNamed(env.GLM_TOKEN_LANG);
  const locale = localeOf(env) || systemLocale || '';
  return /\.(?!utf-?8)/i.test(locale) ? 'en' : languageNamed(locale);
}

/** What is wrong with `GLM_TOKEN_LANG`, for a remark: no token is withheld over a language. */
export function languageProblem({ GLM_TOKEN_LANG: given = '' }: NodeJS.ProcessEnv) {
  const isKnown = LANGUAGES.some((language) => given.toLowerCase().startsWith(language));
  return given === '' || isKnown ? undefined : new GlmTokenError('languageUnknown', { given });
}

export interface Settings {
  /** `GLM_TOKEN_HOST` and `GLM_TOKEN_PROFILE`: the account when none is named. */
  readonly account: Account;
  /** `GLM_API_KEY`: a key for that account. */
  readonly apiKey: string | undefined;
  /** `GLM_TOKEN_STORE`: the store to use. */
  readonly store: WritableStoreName | undefined;
  /** `GLM_TOKEN_PASSPHRASE_FILE`: a file that holds the passphrase of the encrypted file. */
  readonly passphraseFile: string | undefined;
  /** `GLM_TOKEN_SOCKET`: where a helper listens that is asked in place of the stores here. */
  readonly socket: string | undefined;
  /** `GLM_TOKEN_PROMPT_TIMEOUT`: the time to answer a prompt of a keychain or of a command, in milliseconds. */
  readonly promptTimeoutMs: number;
}

const PROMPT_TIMEOUT = '60s';

/** @throws GlmTokenError `ERR_USAGE`, which names the variable, when a value makes no sense */
export function readSettings(env: NodeJS.ProcessEnv): Settings {
  /** The value of a variable, parsed; one that is empty counts as not set. */
  const read = <T>(variable: string, fallback: string, parse: (value: string) => T): T => {
    try {
      return parse(env[variable] || fallback);
    } catch (problem) {
      if (!(problem instanceof GlmTokenError)) throw problem;
      throw new GlmTokenError('settingInvalid', { variable, problem });
    }
  };
  return {
    account: {
      host: read('GLM_TOKEN_HOST', DEFAULT_HOST, parseHost),
      profile: read('GLM_TOKEN_PROFILE', DEFAULT_PROFILE, parseProfile),
    },
    apiKey: env.GLM_API_KEY || undefined,
    store: read('GLM_TOKEN_STORE', '', parseStoreName),
    passphraseFile: env.GLM_TOKEN_PASSPHRASE_FILE || undefined,
    socket: env.GLM_TOKEN_SOCKET ? read('GLM_TOKEN_SOCKET', '', parseSocketPath) : undefined,
    promptTimeoutMs: read('GLM_TOKEN_PROMPT_TIMEOUT', PROMPT_TIMEOUT, parseTimeLimit),
  };
}

function parseStoreName(given: string): WritableStoreName | undefined {
  const store = WRITABLE_STORES.find((name) => name === given);
  if (store || given === '') return store;
  throw new GlmTokenError('settingNotAChoice', { given, choices: WRITABLE_STORES });
}

/** Longest path that every system takes for a socket, in bytes: macOS has room for 104 with a zero. */
const MAX_SOCKET_PATH_BYTES = 103;

/** @throws GlmTokenError `ERR_USAGE` */
export function parseSocketPath(path: string): string {
  const isRelative = !isAbsolute(path);
  if (!isRelative && Buffer.byteLength(path) <= MAX_SOCKET_PATH_BYTES) return path;
  throw new GlmTokenError('socketPathInvalid', { isRelative, maxBytes: MAX_SOCKET_PATH_BYTES });
}

/**
 * Where the helper listens when no path is named.
 *
 * @throws GlmTokenError `ERR_DAEMON` when there is no such place
 */
export function defaultSocketPath(env: NodeJS.ProcessEnv, platform: NodeJS.Platform): string {
  const directory = platform === 'darwin' ? tmpdir() : env.XDG_RUNTIME_DIR;
  if (!directory) throw new GlmTokenError('runtimeDirectoryMissing');
  return parseSocketPath(join(directory, 'glm-token', 'agent.sock'));
}

/** What a directory of ours is for. */
export type DirectoryKind = 'data' | 'config';

const PARENT_VARIABLES = {
  data: { xdg: 'XDG_DATA_HOME', windows: 'LOCALAPPDATA' },
  config: { xdg: 'XDG_CONFIG_HOME', windows: 'APPDATA' },
} as const;

/**
 * The user's directory for data or for settings of ours, and the variable that can move it; macOS has
 * none.
 *
 * @throws GlmTokenError `ERR_USAGE` when it would be below the current directory
 */
export function ownDirectory(
  kind: DirectoryKind,
  env: NodeJS.ProcessEnv,
  platform: NodeJS.Platform,
): { readonly path: string; readonly parentVariable: string | undefined } {
  const path = envPaths('glm-token', { suffix: '' })[kind];
  const { xdg, windows } = PARENT_VARIABLES[kind];
  const parentVariable = platform === 'win32' ? windows : platform === 'darwin' ? undefined : xdg;
  if (isAbsolute(path)) return { path, parentVariable };
  const home = platform === 'win32' ? 'USERPROFILE' : 'HOME';
  const variable = parentVariable && env[parentVariable] ? parentVariable : home;
  const problem = new GlmTokenError('homeNotAbsolute');
  throw new GlmTokenError('settingInvalid', { variable, problem });
}
