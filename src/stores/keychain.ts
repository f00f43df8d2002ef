/** The OS keychain as a store, through keytar; the one file that loads it. */

import { type Account, accountName, parseAccountName } from '../core/account.ts';
import { GlmTokenError, hasReason } from '../core/errors.ts';
import { shortenedIdOf } from '../core/key.ts';
import type { Peril, ReadOptions, StoredAccount, WritableStore } from './port.ts';
import type { Attributes, Collection, Item, SecretService, Sight } from './secret-service.ts';

type Keytar = typeof import('keytar');

/** Name under which every key of ours is kept; with `PROFILE@HOST` beside it, no config is needed. */
const SERVICE = 'glm-token';

/** KWallet may say a moment later than it unlocked that it is open (seen on a busy machine). */
const SETTLING_MS = 100;
const MAX_SETTLING_WAITS = 3;

/** A keychain that is open answers in a few milliseconds; after this long it waits for a person. */
const WAITING_AFTER_MS = 700;

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

/** The OS keychain: macOS Keychain, Windows Credential Manager, or the Secret Service elsewhere. */
export function keychainStore(options: KeychainOptions): KeychainStore {
  switch (options.platform) {
    case 'darwin':
      return new KeytarStore(options, 'macOS Keychain');
    case 'win32':
      return new KeytarStore(options, 'Windows Credential Manager');
    default:
      return new SecretServiceStore(options);
  }
}

/**
 * The accounts that the Secret Service has keys for, found by looking alone, and without keytar, whose
 * threads cannot be given up.
 *
 * @throws GlmTokenError `ERR_STORE_UNAVAILABLE` when there is nothing to look at
 */
export async function accountsInSecretService(env: NodeJS.ProcessEnv): Promise<Account[]> {
  const { SecretService } = await import('./secret-service.ts');
  const secrets = new SecretService(env);
  const { items } = await secrets.look({ service: SERVICE });
  return (await itemsByAccount(secrets, items)).map(([account]) => account);
}

/** The items of ours by their account: of several for one account, the first, which is read. */
async function itemsByAccount(
  secrets: SecretService,
  items: readonly Item[],
): Promise<(readonly [Account, Item])[]> {
  const found = new Map<string, readonly [Account, Item]>();
  for (const item of items) {
    const { account: name = '' } = await secrets.attributesOf(item);
    const account = parseAccountName(name);
    if (account && !found.has(name)) found.set(name, [account, item]);
  }
  return [...found.values()];
}

/** A keychain that keytar alone can use. */
class KeytarStore implements KeychainStore {
  readonly name = 'keychain';
  readonly place: string;
  protected readonly options: KeychainOptions;
  protected readonly service: string;
  /** Calls that have not come back; each holds a thread that keeps the process from ending. */
  #pendingCalls = 0;
  /** Those of them that were given up. */
  protected abandonedCalls = 0;
  protected hasAnswered = false;

  constructor(options: KeychainOptions, place: string) {
    this.options = options;
    this.service = options.service ?? SERVICE;
    this.place = place;
  }

  async get(account: Account, _options?: ReadOptions): Promise<string | undefined> {
    return (await this.read(account)) ?? undefined;
  }

  async set(account: Account, text: string): Promise<void> {
    const name = accountName(account);
    await this.#call((keytar) => keytar.setPassword(this.service, name, text));
  }

  async delete(account: Account): Promise<boolean> {
    const name = accountName(account);
    return this.#call((keytar) => keytar.deletePassword(this.service, name));
  }

  async list(): Promise<StoredAccount[]> {
    const found = await this.#call((keytar) => keytar.findCredentials(this.service));
    return found.flatMap(({ account: name, password }) => {
      const account = parseAccountName(name);
      return account ? [{ account, id: shortenedIdOf(password) }] : [];
    });
  }

  async perishesWith(): Promise<Peril | undefined> {
    return undefined;
  }

  isStuck(): boolean {
    return this.#pendingCalls > 0;
  }

  protected read(account: Account): Promise<string | null> {
    const name = accountName(account);
    return this.#call((keytar) => keytar.getPassword(this.service, name));
  }

  /** Calls keytar, within the time limit. */
  async #call<T>(act: (keytar: Keytar) => Promise<T>): Promise<T> {
    const keytar = await loadKeytar(this.options.platform);
    const gaveUp = Symbol('gave up');
    let limit: NodeJS.Timeout | undefined;
    this.#pendingCalls += 1;
    const pending = act(keytar).finally(() => {
      this.#pendingCalls -= 1;
    });
    const timedOut = new Promise<typeof gaveUp>((resolve) => {
      limit = setTimeout(resolve, this.options.timeoutMs, gaveUp);
    });
    let answer: T | typeof gaveUp;
    try {
      answer = await this.noteWaiting(Promise.race([pending, timedOut]));
    } catch (error) {
      throw await this.explain(error);
    } finally {
      clearTimeout(limit);
    }
    if (answer === gaveUp) {
      this.abandonedCalls += 1;
      const end = () => {
        this.abandonedCalls -= 1;
      };
      pending.then(end, end);
      throw await this.unanswered();
    }
    this.hasAnswered = true;
    return answer;
  }

  /** Waits for an act, and says so when it takes long enough to be waiting for a person. */
  protected async noteWaiting<T>(act: Promise<T>): Promise<T> {
    const waiting = setTimeout(() => this.options.onWaiting?.(), WAITING_AFTER_MS);
    try {
      return await act;
    } finally {
      clearTimeout(waiting);
    }
  }

  /** Why a call failed. */
  protected async explain(error: unknown): Promise<GlmTokenError> {
    const reason = reasonOf(error);
    return saysLocked(reason)
      ? new GlmTokenError('keychainLocked', undefined, error)
      : new GlmTokenError('keychainFailed', { reason }, error);
  }

  /** Why a call had no answer in time. */
  protected async unanswered(): Promise<GlmTokenError> {
    const seconds = this.options.timeoutMs / 1000;
    return new GlmTokenError('keychainPromptUnanswered', { seconds });
  }
}

/**
 * The Secret Service. keytar acts; what is there, and why keytar found nothing, is seen over D-Bus,
 * which unlocks collections, too: its questions can be given up, and ask only once. It never unlocks
 * an item, since KeePassXC allows one to a connection, and keytar has its own.
 */
class SecretServiceStore extends KeytarStore {
  #secrets: Promise<SecretService> | undefined;
  /** What keytar was allowed to read, which our own connection cannot see. */
  readonly #allowed = new Set<string>();

  constructor(options: KeychainOptions) {
    super(options, 'Secret Service');
  }

  override async get(
    account: Account,
    { mayAsk = true }: ReadOptions = {},
  ): Promise<string | undefined> {
    const attributes = this.#attributesOf(account);
    // keytar would ask, or hold one more thread while the window of a call that was given up is open.
    if (!mayAsk || this.abandonedCalls > 0) {
      const { items } = await this.#open(attributes, mayAsk);
      if (items[0] === undefined) return undefined;
      if (items[0].isLocked && mayAsk) throw await this.unanswered();
      if (items[0].isShutIn) throw await this.#notAsked();
      if (items[0].isLocked && !this.#allowed.has(accountName(account))) {
        throw new GlmTokenError('keychainAsksLater', { about: 'key' });
      }
    }
    const startedAt = process.uptime(); // In seconds; `performance` takes a millisecond or two to load.
    let failure: unknown;
    const text = await this.read(account).catch((error) => {
      if (!hasReason(error, 'keychainFailed', 'keychainRestarted')) throw error;
      failure = error;
      return null;
    });
    if (text !== null) {
      this.#allowed.add(accountName(account));
      return text;
    }

    // keytar says "nothing there" of what is locked or denied, too. Its session with KWallet is broken
    // in about one process in 80, where a public key or a secret begins with a zero byte (measured,
    // KWallet 5.103): what is open is read without it.
    const secrets = await this.#service();
    const { target, items } = await secrets.look(attributes);
    if (items[0]?.isLocked === false) return secrets.read(items[0]);
    if (items[0]) throw failure ?? refusal(items[0]);
    if (!target?.isLocked) return undefined;
    // KeePassXC has asked already, before keytar's search; a wallet only takes long to start.
    const tookMs = (process.uptime() - startedAt) * 1000;
    if (tookMs > WAITING_AFTER_MS && (await secrets.isOpenWallet(target)) === undefined) {
      throw new GlmTokenError('keychainLocked');
    }
    await this.#unlock(target, mayAsk);
    return this.get(account, { mayAsk });
  }

  /** Stores a key, and reads it back: a read looks into every collection, a write goes to the default one. */
  override async set(account: Account, text: string): Promise<void> {
    const attributes = this.#attributesOf(account);
    await this.#open(attributes, true);
    await super.set(account, text).catch(async (error) => {
      // A wallet that was just opened may call itself locked (seen once in hundreds).
      if (!hasReason(error, 'keychainLocked')) throw error;
      await this.#open(attributes, true);
      await super.set(account, text);
    });
    const kept = await this.get(account);
    if (kept === text) return;
    throw new GlmTokenError(kept === undefined ? 'keychainDenied' : 'keychainKeepsAnother');
  }

  override async delete(account: Account): Promise<boolean> {
    await this.#open(this.#attributesOf(account), true);
    // keytar deletes only what its own connection may read.
    if ((await this.get(account)) === undefined) return false;
    await super.delete(account);
    const { items } = await (await this.#service()).look(this.#attributesOf(account));
    if (items[0]) throw refusal(items[0]);
    return true;
  }

  /** Looks only: asks no one, and unlocks nothing but what KWallet has open already. */
  override async list(): Promise<StoredAccount[]> {
    const secrets = await this.#service();
    const { items } = await this.#open({ service: this.service }, false);
    await secrets.checkSession();
    if (items.some(({ isShutIn }) => isShutIn)) throw await this.#notAsked();
    const listed: StoredAccount[] = [];
    for (const [account, item] of await itemsByAccount(secrets, items)) {
      if (item.isLocked) listed.push({ account, id: undefined, isLocked: true });
      else listed.push({ account, id: shortenedIdOf(await secrets.read(item)) });
    }
    return listed;
  }

  override async perishesWith(): Promise<Peril | undefined> {
    const { target } = await (await this.#service()).look({ service: this.service });
    return target?.isForSession ? 'session' : undefined;
  }

  /** keytar's errors are texts in the user's language, so the Secret Service itself is asked. */
  protected override async explain(error: unknown): Promise<GlmTokenError> {
    const secrets = await this.#service();
    const { target } = await secrets.look({ service: this.service });
    if (target?.isLocked) return new GlmTokenError('keychainLocked', undefined, error);
    if (!target) return new GlmTokenError('keyringMissing', undefined, error);
    await secrets.checkSession();
    // libsecret keeps the address of the service that it found first, for as long as the process
    // lives (measured, 0.20): only a new process reaches a service that was restarted.
    return this.hasAnswered
      ? new GlmTokenError('keychainRestarted', undefined, error)
      : new GlmTokenError('keychainFailed', { reason: reasonOf(error) }, error);
  }

  protected override async unanswered(): Promise<GlmTokenError> {
    const secrets = await this.#service();
    const { target } = await secrets.look({ service: this.service }); // It may be silent, or gone.
    if (!target && !(await secrets.makesTarget())) return new GlmTokenError('keyringMissing');
    return super.unanswered();
  }

  /** Looks for items, after having the default collection unlocked. */
  async #open(attributes: Attributes, mayAsk: boolean): Promise<Sight> {
    const secrets = await this.#service();
    const sight = await secrets.look(attributes);
    // gnome-keyring makes one when a key is stored, and asks first; KeePassXC opens a wizard.
    if (!sight.target && !(await secrets.makesTarget())) throw new GlmTokenError('keyringMissing');
    if (!sight.target?.isLocked) return sight;
    await this.#unlock(sight.target, mayAsk);
    return secrets.look(attributes);
  }

  async #unlock(target: Collection, mayAsk: boolean): Promise<void> {
    const secrets = await this.#service();
    if (!mayAsk && !(await secrets.isOpenWallet(target))) throw await this.#notAsked();
    const isDone = await this.noteWaiting(secrets.unlock(target, this.options.timeoutMs));
    if (!isDone) throw await this.unanswered();
    for (let waits = 0; await secrets.isLocked(target); waits += 1) {
      if (waits === MAX_SETTLING_WAITS) throw new GlmTokenError('keychainLocked');
      await new Promise((resolve) => setTimeout(resolve, SETTLING_MS));
    }
  }

  /** That something is locked, said by what may not ask to unlock it. */
  async #notAsked(): Promise<GlmTokenError> {
    return (await (await this.#service()).canAsk())
      ? new GlmTokenError('keychainAsksLater', { about: 'keychain' })
      : new GlmTokenError('keychainLocked');
  }

  #service(): Promise<SecretService> {
    this.#secrets ??= import('./secret-service.ts').then(
      ({ SecretService }) => new SecretService(this.options.env),
    );
    return this.#secrets;
  }

  #attributesOf(account: Account): Attributes {
    return { service: this.service, account: accountName(account) };
  }
}

/** Why keytar could not have an item. */
const refusal = ({ isShutIn }: Item): GlmTokenError =>
  new GlmTokenError(isShutIn ? 'keychainLocked' : 'keychainDenied');

const reasonOf = (error: unknown): string =>
  String(error instanceof Error ? error.message : error).trim();

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
