/** The OS keychain as a store, through keytar; the one file that loads it. */

import { readdirSync, readlinkSync, writeSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { type Account, accountName, parseAccountName } from '../core/account.ts';
import { GlmTokenError } from '../core/errors.ts';
import type { Store } from './store.ts';

type Keytar = typeof import('keytar');

/** Name under which every key of ours is kept; with `PROFILE@HOST` beside it, no config is needed. */
const SERVICE = 'glm-token';

/** How long a person gets to answer the keychain's own prompt, in milliseconds. */
export const KEYCHAIN_TIMEOUT_MS = 60_000;

/** A keychain that is open answers in a few milliseconds; after this long it waits for a person. */
const WAITING_AFTER_MS = 700;

/** How long a call that was given up gets to fail, in milliseconds. */
const HANG_UP_MS = 500;

export interface KeychainOptions {
  readonly platform: NodeJS.Platform;
  /** Where to find the session bus (Linux). */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** How long a call may take, in milliseconds. */
  readonly timeoutMs?: number;
  /** Called once a call that takes so long that the keychain must be waiting for a person. */
  readonly onWaiting?: () => void;
}

const TITLES: Partial<Record<NodeJS.Platform, string>> = {
  darwin: 'the keychain (macOS Keychain)',
  win32: 'the keychain (Windows Credential Manager)',
};

/** Calls that have not come back; each holds a thread that keeps the process from ending. */
let pendingCalls = 0;

/** Sockets that were open before keytar opened its own. */
let socketsBefore: Set<string> | undefined;

/** Whether a call was given up and still holds its thread. */
export const hasPendingCalls = (): boolean => pendingCalls > 0;

/** The OS keychain: macOS Keychain, Windows Credential Manager, or the Secret Service elsewhere. */
export function keychainStore(options: KeychainOptions): Store {
  const { platform, env, timeoutMs = KEYCHAIN_TIMEOUT_MS, onWaiting } = options;
  const usesSecretService = !(platform in TITLES);
  const ask = async (account?: Account) => {
    const { askSecretService } = await import('./secret-service.ts');
    const owner = account && { account: accountName(account) };
    return askSecretService(env, { service: SERVICE, ...owner });
  };

  const call = async <T>(act: (keytar: Keytar) => Promise<T>): Promise<T> => {
    const keytar = await loadKeytar(platform);
    const gaveUp = Symbol('gave up');
    const waiting = setTimeout(() => onWaiting?.(), WAITING_AFTER_MS);
    let limit: NodeJS.Timeout | undefined;
    pendingCalls += 1;
    const pending = act(keytar).finally(() => {
      pendingCalls -= 1;
    });
    try {
      const answer = await Promise.race([
        pending,
        new Promise<typeof gaveUp>((resolve) => {
          limit = setTimeout(resolve, timeoutMs, gaveUp);
        }),
      ]);
      if (answer !== gaveUp) return answer;
    } catch (error) {
      throw keychainError(error instanceof Error ? error.message : String(error), error);
    } finally {
      clearTimeout(waiting);
      clearTimeout(limit);
    }
    pending.catch(() => {});
    const state = usesSecretService ? await ask() : 'locked';
    throw state === 'silent' ? silentError(timeoutMs) : unansweredError(timeoutMs);
  };

  /** keytar says "nothing there" of a locked collection too, so ask before believing it. */
  const checkOpen = async (account?: Account): Promise<void> => {
    if (!usesSecretService) return;
    const state = await ask(account);
    if (state === 'locked') throw lockedError();
    if (state === 'silent') throw silentError(timeoutMs);
  };

  return {
    name: 'keychain',
    async perishes() {
      if (!usesSecretService) return undefined;
      const { keepsForSession } = await import('./secret-service.ts');
      const forSession = await keepsForSession(env);
      return forSession
        ? 'its default keyring is that of the session, and ends with it'
        : undefined;
    },
    title: TITLES[platform] ?? 'the keychain (Secret Service)',
    async get(account) {
      const text = await call((keytar) => keytar.getPassword(SERVICE, accountName(account)));
      if (text !== null) return text;
      await checkOpen(account);
      return undefined;
    },
    async set(account, text) {
      await call((keytar) => keytar.setPassword(SERVICE, accountName(account), text));
    },
    async delete(account) {
      if (await call((keytar) => keytar.deletePassword(SERVICE, accountName(account)))) return true;
      await checkOpen(account);
      return false;
    },
    async list() {
      await checkOpen(); // First, since findCredentials crashes on locked items (libsecret 0.20).
      const found = await call((keytar) => keytar.findCredentials(SERVICE));
      return found.flatMap(({ account: name, password: text }) => {
        const account = parseAccountName(name);
        return account ? [{ account, text }] : [];
      });
    },
  };
}

async function loadKeytar(platform: NodeJS.Platform): Promise<Keytar> {
  socketsBefore ??= new Set(openSockets());
  try {
    return (await import('keytar')).default as unknown as Keytar;
  } catch (error) {
    throw new GlmTokenError(
      'ERR_STORE_UNAVAILABLE',
      'the keychain cannot be used: its native library does not load',
      platform === 'linux'
        ? `install libsecret (Debian: apt install libsecret-1-0), or ${WITHOUT_KEYCHAIN}`
        : `reinstall glm-token, or ${WITHOUT_KEYCHAIN}`,
      error,
    );
  }
}

const WITHOUT_KEYCHAIN = 'keep the key in an encrypted file: glm-token store --store file';

const UNLOCK = 'unlock it (log in to the desktop, or open it in its own program) and try again';

const lockedError = () => new GlmTokenError('ERR_STORE_LOCKED', 'the keychain is locked', UNLOCK);

const unansweredError = (timeoutMs: number) =>
  new GlmTokenError(
    'ERR_STORE_LOCKED',
    `the keychain is locked, and nobody answered its prompt within ${timeoutMs / 1000} s`,
    UNLOCK,
  );

const silentError = (timeoutMs: number) =>
  new GlmTokenError(
    'ERR_STORE_UNAVAILABLE',
    `the keychain service does not answer (waited ${timeoutMs / 1000} s)`,
    'restart it, for example by logging out and in again',
  );

/**
 * Texts of "it is there but locked", as the systems' own libraries word them. Seen on
 * gnome-keyring 42: the first two. From Apple's and Microsoft's lists of errors, not seen on a real
 * system by us: the rest.
 */
const LOCKED_TEXTS = [
  /locked collection/i,
  /prompt .*dismissed|was dismissed/i,
  /user interaction is not allowed/i, // macOS -25308, a keychain closed to an SSH session
  /user cancell?ed the operation/i, // macOS -128
  /user name or passphrase you entered is not correct/i, // macOS -25293
  /logon session does not exist/i, // Windows 1312
];

const MISSING_COLLECTION = /no such (secret )?collection|object does not exist at path/i;

/** The error for what keytar said, which names the fault and never the key. */
export function keychainError(message: string, cause?: unknown): GlmTokenError {
  if (LOCKED_TEXTS.some((text) => text.test(message))) {
    return new GlmTokenError('ERR_STORE_LOCKED', 'the keychain is locked', UNLOCK, cause);
  }
  const reason = message.trim().replace(/\.$/, '').replace(/\s+/g, ' ');
  if (MISSING_COLLECTION.test(message)) {
    return new GlmTokenError(
      'ERR_STORE_UNAVAILABLE',
      `there is no default keyring to keep a key in: ${reason}`,
      'make one (in Seahorse: Passwords and Keys) or log in to the desktop once, and try again',
      cause,
    );
  }
  return new GlmTokenError(
    'ERR_STORE_UNAVAILABLE',
    `there is no keychain to talk to: ${reason}`,
    `log in to a desktop session, or ${WITHOUT_KEYCHAIN}`,
    cause,
  );
}

/** How GLib words that the service, or the bus, which this process talked to before is gone. */
const STALE_TEXTS =
  /^(GDBus\.Error:[\w.]+: )?(the name :\d+\.\d+ was not provided|the connection is closed|message recipient disconnected)/i;

/**
 * Whether a store failed because the keychain's service was replaced under a long-lived process.
 *
 * libsecret keeps the address of the service that it found first, for as long as the process lives
 * (measured, 0.20): only a new process talks to the new service.
 */
export function isStale({ cause }: GlmTokenError): boolean {
  return cause instanceof Error && STALE_TEXTS.test(cause.message);
}

/** The process's open sockets, by file descriptor; empty where there is no /proc. */
function openSockets(): string[] {
  try {
    return readdirSync('/proc/self/fd').filter((fd) => {
      try {
        return readlinkSync(`/proc/self/fd/${fd}`).startsWith('socket:');
      } catch {
        return false;
      }
    });
  } catch {
    return [];
  }
}

/**
 * Makes calls that were given up fail, so that the process can end with a status of its own.
 *
 * A keytar call that waits for a prompt holds a libuv thread, and Node joins its threads before it
 * exits: the process would hang as long as the prompt is open (measured, Node 20). libsecret has no
 * way to cancel from here, but a bus drops a client that sends garbage, and then every call on that
 * connection fails. GLib raises SIGTERM as its session bus goes, so the caller must catch that.
 *
 * @returns whether nothing is pending any more
 */
export async function abandonPendingCalls(): Promise<boolean> {
  if (pendingCalls > 0 && socketsBefore) {
    const ours = openSockets().filter((fd) => !socketsBefore?.has(fd));
    for (const fd of ours) {
      try {
        writeSync(Number(fd), Buffer.alloc(64));
      } catch {
        // Closed by now, or full: the limit below covers it.
      }
    }
    for (let waited = 0; pendingCalls > 0 && waited < HANG_UP_MS; waited += 10) await delay(10);
  }
  return pendingCalls === 0;
}
