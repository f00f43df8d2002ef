/** The OS keychain as a store, through keytar; the one file that loads it. */

import { type Account, accountName, parseAccountName } from '../core/account.ts';
import { GlmTokenError, hasReason } from '../core/errors.ts';
import { shortenedIdOf } from '../core/key.ts';
import type {
  OnWaiting,
  Peril,
  ReadOptions,
  StoredAccount,
  StoresWorld,
  WritableStore,
} from './port.ts';
import type { Attributes, Collection, Item, SecretService, Sight } from './secret-service.ts';

type Keytar = typeof import('keytar');

/** Name under which every key of ours is kept; with `PROFILE@HOST` beside it, no config is needed. */
const SERVICE = 'glm-token';

/** KWallet may say a moment later than it unlocked that it is open (seen on a busy machine). */
const SETTLING_MS = 100;
const MAX_SETTLING_WAITS = 3;

/** A keychain that is open answers in a few milliseconds; after this long it waits for a person. */
const WAITING_AFTER_MS = 700;

type KeychainWorld = Pick<StoresWorld, 'platform' | 'env' | 'promptTimeoutMs' | 'onWaiting'>;

/**
 * The OS keychain: macOS Keychain, Windows Credential Manager, or the Secret Service elsewhere.
 *
 * @param service tests take another one, to keep out of the way of the user's keys
 */
export function keychainStore(world: KeychainWorld, service = SERVICE): WritableStore {
  switch (world.platform) {
    case 'darwin':
      return keytarStore(world, service, 'macOS Keychain');
    case 'win32':
      return keytarStore(world, service, 'Windows Credential Manager');
    default:
      return new SecretServiceStore(world, service);
  }
}

/** Calls of keytar's that have not come back: each holds a thread, for which Node waits at its end. */
let pendingCalls = 0;
/** Those of them that were given up. */
let abandonedCalls = 0;

/** Whether a call to the keychain keeps the process from ending by itself. */
export const isStuck = (): boolean => pendingCalls > 0;

/** Calls keytar, within the time limit. */
async function callKeytar<T>(
  { platform, promptTimeoutMs, onWaiting }: KeychainWorld,
  act: (keytar: Keytar) => Promise<T>,
): Promise<T> {
  const keytar = await loadKeytar(platform);
  let isAbandoned = false;
  const pending = act(keytar).finally(() => {
    pendingCalls -= 1;
    if (isAbandoned) abandonedCalls -= 1;
  });
  pendingCalls += 1;
  let limit: NodeJS.Timeout | undefined;
  const timedOut = new Promise<never>((_resolve, reject) => {
    limit = setTimeout(() => {
      isAbandoned = true;
      abandonedCalls += 1;
      reject(unanswered(promptTimeoutMs));
    }, promptTimeoutMs);
  });
  try {
    return await noteWaiting(onWaiting, Promise.race([pending, timedOut]));
  } catch (error) {
    if (error instanceof GlmTokenError) throw error;
    const reason = String(error instanceof Error ? error.message : error).trim();
    throw saysLocked(reason)
      ? new GlmTokenError('keychainLocked', undefined, error)
      : new GlmTokenError('keychainFailed', { reason }, error);
  } finally {
    clearTimeout(limit);
  }
}

async function loadKeytar(platform: NodeJS.Platform): Promise<Keytar> {
  try {
    return (await import('keytar')).default as unknown as Keytar;
  } catch (error) {
    const isLinux = platform === 'linux';
    throw new GlmTokenError('keychainLibraryMissing', { isLinux }, error);
  }
}

/** Waits for an act, and says so when it takes long enough to be waiting for a person. */
async function noteWaiting<T>(onWaiting: OnWaiting, act: Promise<T>): Promise<T> {
  const waiting = setTimeout(onWaiting, WAITING_AFTER_MS);
  try {
    return await act;
  } finally {
    clearTimeout(waiting);
  }
}

const unanswered = (limitMs: number): GlmTokenError =>
  new GlmTokenError('keychainPromptUnanswered', { seconds: limitMs / 1000 });

/** A keychain as keytar alone uses it. */
const keytarStore = (world: KeychainWorld, service: string, place: string): WritableStore => ({
  name: 'keychain',
  place,
  async get(account) {
    const name = accountName(account);
    const text = await callKeytar(world, (keytar) => keytar.getPassword(service, name));
    return text ?? undefined;
  },
  set(account, text) {
    const name = accountName(account);
    return callKeytar(world, (keytar) => keytar.setPassword(service, name, text));
  },
  delete(account) {
    const name = accountName(account);
    return callKeytar(world, (keytar) => keytar.deletePassword(service, name));
  },
  async list() {
    const found = await callKeytar(world, (keytar) => keytar.findCredentials(service));
    return found.flatMap(({ account: name, password }) => {
      const account = parseAccountName(name);
      return account ? [{ account, id: shortenedIdOf(password) }] : [];
    });
  },
  perishesWith: async () => undefined,
});

/**
 * The Secret Service. keytar acts; what is there, and why keytar found nothing, is seen over D-Bus,
 * which unlocks collections, too: its questions can be given up, and ask only once. It never unlocks
 * an item, since KeePassXC allows one to a connection, and keytar has its own.
 */
class SecretServiceStore implements WritableStore {
  readonly name = 'keychain';
  readonly place = 'Secret Service';
  readonly #world: KeychainWorld;
  readonly #service: string;
  /** Without its list, which can end the process here (SIGSEGV). */
  readonly #keytar: Omit<WritableStore, 'list'>;
  #hasAnswered = false;
  #secrets: Promise<SecretService> | undefined;
  /** What keytar was allowed to read, which our own connection cannot see. */
  readonly #allowed = new Set<string>();

  constructor(world: KeychainWorld, service: string) {
    this.#world = world;
    this.#service = service;
    this.#keytar = keytarStore(world, service, this.place);
  }

  async get(account: Account, { mayAsk = true }: ReadOptions = {}): Promise<string | undefined> {
    const attributes = this.#attributesOf(account);
    // keytar would ask, or hold one more thread while the window of a call that was given up is open.
    if (!mayAsk || abandonedCalls > 0) {
      const { items } = await this.#open(attributes, mayAsk);
      if (items[0] === undefined) return undefined;
      if (items[0].isLocked && mayAsk) throw unanswered(this.#world.promptTimeoutMs);
      if (items[0].isShutIn) throw await this.#notAsked();
      if (items[0].isLocked && !this.#allowed.has(accountName(account))) {
        throw new GlmTokenError('keychainAsksLater', { about: 'key' });
      }
    }
    const startedAt = process.uptime(); // In seconds; `performance` takes a millisecond or two to load.
    let failure: unknown;
    const text = await this.#explain(this.#keytar.get(account)).catch((error) => {
      if (!hasReason(error, 'keychainFailed', 'keychainRestarted')) throw error;
      failure = error;
      return undefined;
    });
    if (text !== undefined) {
      this.#allowed.add(accountName(account));
      return text;
    }

    // keytar says "nothing there" of what is locked or denied, too. Its session with KWallet is broken
    // in about one process in 80, where a public key or a secret begins with a zero byte (measured,
    // KWallet 5.103): what is open is read without it.
    const secrets = await this.#secretService();
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
  async set(account: Account, text: string): Promise<void> {
    await this.#open(this.#attributesOf(account), true);
    await this.#explain(this.#keytar.set(account, text));
    const kept = await this.get(account);
    if (kept === text) return;
    throw new GlmTokenError(kept === undefined ? 'keychainDenied' : 'keychainKeepsAnother');
  }

  async delete(account: Account): Promise<boolean> {
    const attributes = this.#attributesOf(account);
    await this.#open(attributes, true);
    // keytar deletes only what its own connection may read.
    if ((await this.get(account)) === undefined) return false;
    await this.#explain(this.#keytar.delete(account));
    const { items } = await (await this.#secretService()).look(attributes);
    if (items[0]) throw refusal(items[0]);
    return true;
  }

  /**
   * Asks no one, and unlocks nothing but what KWallet has open already; with `mayAsk: false`, reads no
   * key, and names the accounts of a locked keychain too.
   */
  async list({ mayAsk: reads = true }: ReadOptions = {}): Promise<StoredAccount[]> {
    const secrets = await this.#secretService();
    const attributes = { service: this.#service };
    const { items } = reads ? await this.#open(attributes, false) : await secrets.look(attributes);
    if (reads) {
      await secrets.checkSession();
      if (items.some(({ isShutIn }) => isShutIn)) throw await this.#notAsked();
    }
    // Of several items for one account, the first is the one that is read.
    const listed = new Map<string, StoredAccount>();
    for (const item of items) {
      const { account: name = '' } = await secrets.attributesOf(item);
      const account = parseAccountName(name);
      if (!account || listed.has(name)) continue;
      if (!reads) listed.set(name, { account, id: undefined });
      else if (item.isLocked) listed.set(name, { account, id: undefined, isLocked: true });
      else listed.set(name, { account, id: shortenedIdOf(await secrets.read(item)) });
    }
    return [...listed.values()];
  }

  async perishesWith(): Promise<Peril | undefined> {
    const { target } = await (await this.#secretService()).look({ service: this.#service });
    return target?.isForSession ? 'session' : undefined;
  }

  /** Waits for keytar, whose errors are texts in the user's language: why it failed, D-Bus tells. */
  async #explain<T>(act: Promise<T>): Promise<T> {
    try {
      const answer = await act;
      this.#hasAnswered = true;
      return answer;
    } catch (error) {
      if (hasReason(error, 'keychainLibraryMissing')) throw error;
      const secrets = await this.#secretService();
      const { target } = await secrets.look({ service: this.#service }); // It may be silent, or gone.
      const isUnanswered = hasReason(error, 'keychainPromptUnanswered');
      // KeePassXC asks for a password before a search, even where it exposes nothing.
      const isBeingMade = isUnanswered && (await secrets.makesTarget());
      if (!target && !isBeingMade) throw new GlmTokenError('keyringMissing', undefined, error);
      if (isUnanswered) throw error;
      if (target?.isLocked) throw new GlmTokenError('keychainLocked', undefined, error);
      await secrets.checkSession();
      // libsecret keeps the address of the service that it found first, for as long as the process
      // lives (measured, 0.20): only a new process reaches a service that was restarted.
      throw this.#hasAnswered ? new GlmTokenError('keychainRestarted', undefined, error) : error;
    }
  }

  /** Looks for items, after having the default collection unlocked. */
  async #open(attributes: Attributes, mayAsk: boolean): Promise<Sight> {
    const secrets = await this.#secretService();
    const sight = await secrets.look(attributes);
    // gnome-keyring makes one when a key is stored, and asks first; KeePassXC opens a wizard.
    if (!sight.target && !(await secrets.makesTarget())) throw new GlmTokenError('keyringMissing');
    if (!sight.target?.isLocked) return sight;
    await this.#unlock(sight.target, mayAsk);
    return secrets.look(attributes);
  }

  async #unlock(target: Collection, mayAsk: boolean): Promise<void> {
    const { onWaiting, promptTimeoutMs } = this.#world;
    const secrets = await this.#secretService();
    if (!mayAsk && !(await secrets.isOpenWallet(target))) throw await this.#notAsked();
    const isDone = await noteWaiting(onWaiting, secrets.unlock(target, promptTimeoutMs));
    if (!isDone) throw unanswered(promptTimeoutMs);
    for (let waits = 0; await secrets.isLocked(target); waits += 1) {
      if (waits === MAX_SETTLING_WAITS) throw new GlmTokenError('keychainLocked');
      await new Promise((resolve) => setTimeout(resolve, SETTLING_MS));
    }
  }

  /** That something is locked, said by what may not ask to unlock it. */
  async #notAsked(): Promise<GlmTokenError> {
    return (await (await this.#secretService()).canAsk())
      ? new GlmTokenError('keychainAsksLater', { about: 'keychain' })
      : new GlmTokenError('keychainLocked');
  }

  #secretService(): Promise<SecretService> {
    this.#secrets ??= import('./secret-service.ts').then(
      ({ SecretService }) => new SecretService(this.#world.env),
    );
    return this.#secrets;
  }

  #attributesOf(account: Account): Attributes {
    return { service: this.#service, account: accountName(account) };
  }
}

/** Why keytar could not have an item. */
const refusal = ({ isShutIn }: Item): GlmTokenError =>
  new GlmTokenError(isShutIn ? 'keychainLocked' : 'keychainDenied');

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
