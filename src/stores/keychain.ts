/** The OS keychain as a store, through keytar; the one file that loads it. */

import { type Account, accountName, parseAccountName } from '../core/account.ts';
import { GlmTokenError, hasReason } from '../core/errors.ts';
import { shortenedIdOf } from '../core/key.ts';
import type { Peril, StoredAccount, WritableStore } from './port.ts';
import type { Attributes, SecretServiceState } from './secret-service.ts';

type Keytar = typeof import('keytar');

/** Name under which every key of ours is kept; with `PROFILE@HOST` beside it, no config is needed. */
const SERVICE = 'glm-token';

/** KWallet may say a moment later than it unlocked that it is open (seen on a busy machine). */
const SETTLING_MS = 100;
const MAX_SETTLING_WAITS = 3;

/** A keychain that is open answers in a few milliseconds; after this long it waits for a person. */
const WAITING_AFTER_MS = 700;

/** No attributes: the question is about the default keyring, where a new key would go. */
const DEFAULT_KEYRING = undefined;

export interface KeychainOptions {
  readonly platform: NodeJS.Platform;
  /** Where to find the session bus (Linux). */
  readonly env: NodeJS.ProcessEnv;
  /** Limit for one call, in milliseconds: the time that a person has to answer a prompt. */
  readonly timeoutMs: number;
  /** In place of {@link SERVICE}: tests keep out of the way of the user's keys. */
  readonly service?: string;
  /** Called once a call takes so long that the keychain must be waiting for a person. */
  readonly onWaiting?: (() => void) | undefined;
}

export interface KeychainStore extends WritableStore {
  /** Whether a call that was given up still keeps the process from ending by itself. */
  isStuck(): boolean;
}

const PLACES: Partial<Record<NodeJS.Platform, string>> = {
  darwin: 'macOS Keychain',
  win32: 'Windows Credential Manager',
};

/** The OS keychain: macOS Keychain, Windows Credential Manager, or the Secret Service elsewhere. */
export const keychainStore = (options: KeychainOptions): KeychainStore => new Keychain(options);

/**
 * The accounts that the Secret Service has keys for, found by looking alone, and without keytar, whose
 * threads cannot be given up.
 */
export async function accountsInSecretService(env: NodeJS.ProcessEnv): Promise<Account[]> {
  const { attributesOfItems } = await import('./secret-service.ts');
  const items = await attributesOfItems(env, { service: SERVICE });
  return items.flatMap(({ account = '' }) => parseAccountName(account) ?? []);
}

class Keychain implements KeychainStore {
  readonly name = 'keychain';
  readonly place: string;
  readonly #options: KeychainOptions;
  readonly #service: string;
  readonly #usesSecretService: boolean;
  /** Calls that have not come back; each holds a thread that keeps the process from ending. */
  #pendingCalls = 0;
  /** Those of them that were given up. */
  #abandonedCalls = 0;
  #hasAnswered = false;

  constructor(options: KeychainOptions) {
    this.#options = options;
    this.#service = options.service ?? SERVICE;
    this.#usesSecretService = !(options.platform in PLACES);
    this.place = PLACES[options.platform] ?? 'Secret Service';
  }

  async get(account: Account, { mayAsk = true } = {}): Promise<string | undefined> {
    const attributes = this.#attributesOf(account);
    // A call that was given up holds a thread, and the next would hold another: ask over D-Bus first.
    if (!mayAsk || this.#abandonedCalls > 0) await this.#open(attributes, { mayAsk });
    const text = await this.#read(account);
    if (text !== null || !this.#usesSecretService) return text ?? undefined;
    // keytar says "nothing there" of what is locked too, and where its session with the service is
    // broken, so ask before believing it.
    const state = await this.#state(attributes);
    if (state === 'item-open') return this.#readPlainly(attributes);
    // The item exists, so keytar has asked the user to unlock it already.
    if (state === 'item-locked') throw new GlmTokenError('keychainLocked');
    const wasUnlocked = await this.#open(attributes, { state, mayAsk });
    return wasUnlocked ? this.get(account, { mayAsk }) : undefined;
  }

  async set(account: Account, text: string): Promise<void> {
    await this.#open(DEFAULT_KEYRING, { makesKeyring: true });
    const name = accountName(account);
    const attributes = this.#attributesOf(account);
    try {
      await this.#call((keytar) => keytar.setPassword(this.#service, name, text), attributes);
    } catch (error) {
      // keytar's session may be broken although it answered before: "no such item" needs no session.
      // A KWallet that was just opened may call itself locked then: `store` exited with 6, once in hundreds.
      const mayBeWritten = hasReason(
        error,
        'keychainFailed',
        'keychainRestarted',
        'keychainLocked',
      );
      if (!this.#usesSecretService || !mayBeWritten) throw error;
      const { writeItem } = await import('./secret-service.ts');
      const isWritten = await writeItem(
        this.#options.env,
        attributes,
        `${this.#service}/${name}`,
        text,
      );
      if (!isWritten) throw error;
    }
  }

  async delete(account: Account): Promise<boolean> {
    const attributes = this.#attributesOf(account);
    await this.#open(attributes);
    const name = accountName(account);
    return this.#call((keytar) => keytar.deletePassword(this.#service, name), attributes);
  }

  /** Looks only: asks no one, and unlocks nothing but what KWallet has open already. */
  async list(): Promise<StoredAccount[]> {
    // Checked first, because findCredentials crashes on locked items (libsecret 0.20).
    const allKeys = { service: this.#service };
    await this.#open(allKeys, { mayAsk: false });
    const find = () => this.#call((keytar) => keytar.findCredentials(this.#service), allKeys);
    const found = await find().catch((error) => {
      if (!hasReason(error, 'keychainFailed')) throw error;
      return find(); // The second call opens a new session.
    });
    return found.flatMap(({ account: name, password }) => {
      const account = parseAccountName(name);
      return account ? [{ account, id: shortenedIdOf(password) }] : [];
    });
  }

  async perishesWith(): Promise<Peril | undefined> {
    if (!this.#usesSecretService) return undefined;
    const { keepsForSession } = await import('./secret-service.ts');
    return (await keepsForSession(this.#options.env)) ? 'session' : undefined;
  }

  isStuck(): boolean {
    return this.#pendingCalls > 0;
  }

  #attributesOf(account: Account): Attributes {
    return { service: this.#service, account: accountName(account) };
  }

  async #read(account: Account): Promise<string | null> {
    const name = accountName(account);
    const attributes = this.#attributesOf(account);
    try {
      return await this.#call((keytar) => keytar.getPassword(this.#service, name), attributes);
    } catch (error) {
      const text = hasReason(error, 'keychainFailed') && (await this.#readPlainly(attributes));
      if (typeof text !== 'string') throw error;
      return text;
    }
  }

  async #readPlainly(attributes: Attributes): Promise<string | undefined> {
    const { readItem } = await import('./secret-service.ts');
    return readItem(this.#options.env, attributes);
  }

  /** Calls keytar, within the time limit. */
  async #call<T>(act: (keytar: Keytar) => Promise<T>, attributes: Attributes): Promise<T> {
    const { platform, timeoutMs } = this.#options;
    const keytar = await loadKeytar(platform);
    const gaveUp = Symbol('gave up');
    let limit: NodeJS.Timeout | undefined;
    this.#pendingCalls += 1;
    const pending = act(keytar).finally(() => {
      this.#pendingCalls -= 1;
    });
    const timedOut = new Promise<typeof gaveUp>((resolve) => {
      limit = setTimeout(resolve, timeoutMs, gaveUp);
    });
    let answer: T | typeof gaveUp;
    try {
      answer = await this.#noteWaiting(Promise.race([pending, timedOut]));
    } catch (error) {
      throw await this.#failureOf(error, attributes);
    } finally {
      clearTimeout(limit);
    }
    if (answer === gaveUp) {
      this.#abandonedCalls += 1;
      const end = () => {
        this.#abandonedCalls -= 1;
      };
      pending.then(end, end);
      const state = this.#usesSecretService ? await this.#state(attributes) : undefined;
      throw state === 'silent' ? this.#silent() : this.#unanswered();
    }
    this.#hasAnswered = true;
    return answer;
  }

  /** Waits for an act, and says so when it takes long enough to be waiting for a person. */
  async #noteWaiting<T>(act: Promise<T>): Promise<T> {
    const waiting = setTimeout(() => this.#options.onWaiting?.(), WAITING_AFTER_MS);
    try {
      return await act;
    } finally {
      clearTimeout(waiting);
    }
  }

  /**
   * Unlocks what a key is kept in, and asks the user where needed: over D-Bus, since a call of
   * keytar's cannot be cancelled.
   *
   * @returns whether something was unlocked for it
   */
  async #open(
    attributes: Attributes | undefined,
    options: { state?: SecretServiceState; makesKeyring?: boolean; mayAsk?: boolean } = {},
  ): Promise<boolean> {
    if (!this.#usesSecretService) return false;
    const { makesKeyring = false, mayAsk = true } = options;
    const needsUser = (state: SecretServiceState) =>
      isLocked(state) || (makesKeyring && state === 'no-keyring');
    const state = options.state ?? (await this.#state(attributes));
    if (!needsUser(state)) {
      await this.#checkReadable(state);
      return false;
    }
    const { unlockSecretService, canAskToUnlock } = await import('./secret-service.ts');
    const { env, timeoutMs } = this.#options;
    const promptMs = mayAsk ? timeoutMs : undefined;
    const isDone = await this.#noteWaiting(
      unlockSecretService(env, attributes, { promptMs, makesCollection: makesKeyring }),
    );
    let after = await this.#state(attributes);
    for (let waits = 0; isDone && needsUser(after) && waits < MAX_SETTLING_WAITS; waits += 1) {
      await new Promise((resolve) => setTimeout(resolve, SETTLING_MS));
      after = await this.#state(attributes);
    }
    if (needsUser(after)) {
      if (!isDone) throw this.#unanswered();
      if (after === 'no-keyring') throw new GlmTokenError('keyringMissing');
      if (!mayAsk && (await canAskToUnlock(env))) throw new GlmTokenError('keychainAsksLater');
      throw new GlmTokenError('keychainLocked');
    }
    await this.#checkReadable(after);
    return true;
  }

  /** Throws when a service that is not locked would not answer keytar. */
  async #checkReadable(state: SecretServiceState): Promise<void> {
    if (state === 'silent') throw this.#silent();
    if (state === 'no-session') throw await this.#sessionRefused();
  }

  async #state(attributes: Attributes | undefined): Promise<SecretServiceState> {
    const { secretServiceState } = await import('./secret-service.ts');
    return secretServiceState(this.#options.env, attributes);
  }

  async #sessionRefused(error?: unknown): Promise<GlmTokenError> {
    const { sessionRefusal } = await import('./secret-service.ts');
    const reason = (await sessionRefusal(this.#options.env)) ?? '';
    return new GlmTokenError('keychainSessionRefused', { reason }, error);
  }

  #silent(): GlmTokenError {
    return new GlmTokenError('keychainSilent');
  }

  #unanswered(): GlmTokenError {
    const seconds = this.#options.timeoutMs / 1000;
    return new GlmTokenError('keychainPromptUnanswered', { seconds });
  }

  /** keytar's errors are texts in the user's language, so the Secret Service itself is asked. */
  async #failureOf(error: unknown, attributes: Attributes): Promise<GlmTokenError> {
    const reason = String(error instanceof Error ? error.message : error).trim();
    if (!this.#usesSecretService) {
      return saysLocked(reason)
        ? new GlmTokenError('keychainLocked', undefined, error)
        : new GlmTokenError('keychainFailed', { reason }, error);
    }
    switch (await this.#state(attributes)) {
      case 'item-locked':
      case 'locked':
        return new GlmTokenError('keychainLocked', undefined, error);
      case 'no-session':
        return this.#sessionRefused(error);
      case 'silent':
        return this.#silent();
      case 'absent':
        return new GlmTokenError('keychainMissing', { reason }, error);
      case 'no-keyring':
        return new GlmTokenError('keyringMissing', undefined, error);
      case 'item-open':
      case 'open':
        // libsecret keeps the address of the service that it found first, for as long as the process
        // lives (measured, 0.20): only a new process reaches a service that was restarted.
        return this.#hasAnswered
          ? new GlmTokenError('keychainRestarted', undefined, error)
          : new GlmTokenError('keychainFailed', { reason }, error);
    }
  }
}

const isLocked = (state: SecretServiceState): boolean =>
  state === 'locked' || state === 'item-locked';

async function loadKeytar(platform: NodeJS.Platform): Promise<Keytar> {
  try {
    return (await import('keytar')).default as unknown as Keytar;
  } catch (error) {
    const isLinux = platform === 'linux';
    throw new GlmTokenError('keychainLibraryMissing', { isLinux }, error);
  }
}

/**
 * How macOS and Windows say "it is there but locked" in English. keytar passes on neither number nor
 * code, so in other languages the text itself is shown. From Apple's and Microsoft's lists of errors.
 */
const LOCKED_TEXTS = [
  /user interaction is not allowed/i, // macOS -25308, a keychain closed to an SSH session
  /user cancell?ed the operation/i, // macOS -128
  /user name or passphrase you entered is not correct/i, // macOS -25293
  /logon session does not exist/i, // Windows 1312
];

/** Whether what macOS or Windows says of a failed call is that the keychain is locked. */
export const saysLocked = (reason: string): boolean =>
  LOCKED_TEXTS.some((text) => text.test(reason));
