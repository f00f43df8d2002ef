/** The Secret Service over D-Bus: looks without asking anybody, and has collections unlocked. */

import { randomBytes } from 'node:crypto';
import { GlmTokenError, hasReason } from '../core/errors.ts';
import { BusGone, NoAnswer, SessionBus, socketOf } from './session-bus.ts';

/** What an item is found by. */
export type Attributes = Readonly<Record<string, string>>;

export interface Collection {
  readonly path: string;
  readonly isLocked: boolean;
  /** Whether it ends with the session, with all that is in it. */
  readonly isForSession: boolean;
}

export interface Item {
  readonly path: string;
  /** Whether this connection may not read its secret without asking. */
  readonly isLocked: boolean;
  /** Whether that is because its whole collection is locked. */
  readonly isShutIn: boolean;
}

/** What is there, as far as that can be seen without asking anybody. */
export interface Sight {
  /** Where a new key goes: the default collection. */
  readonly target: Collection | undefined;
  readonly items: readonly Item[];
}

const SECRETS = 'org.freedesktop.secrets';
const SERVICE = 'org.freedesktop.Secret.Service';
const ITEM = 'org.freedesktop.Secret.Item';
const COLLECTION = 'org.freedesktop.Secret.Collection';
const SESSION = 'org.freedesktop.Secret.Session';
const PROMPT = 'org.freedesktop.Secret.Prompt';
const BUS = 'org.freedesktop.DBus';
const PROPERTIES = `${BUS}.Properties`;

const BUS_PATH = '/org/freedesktop/DBus';
const SERVICE_PATH = '/org/freedesktop/secrets';
/** gnome-keyring's collection that ends with the session. */
const SESSION_COLLECTION = `${SERVICE_PATH}/collection/session`;
/** In place of an object's path, where there is no object. */
const NONE = '/';

/** What libsecret asks for, with a public key of 1024 bits; all but KWallet without its plugin know it. */
const ENCRYPTED = 'dh-ietf1024-sha256-aes128-cbc-pkcs7';
const PUBLIC_KEY_BYTES = 128;

/** @see https://specifications.freedesktop.org/secret-service/latest/ */
export class SecretService {
  readonly #env: NodeJS.ProcessEnv;
  readonly #bus: SessionBus;

  /** @param env where the session bus is found: `DBUS_SESSION_BUS_ADDRESS`, else `XDG_RUNTIME_DIR` */
  constructor(env: NodeJS.ProcessEnv) {
    this.#env = env;
    const address = env.DBUS_SESSION_BUS_ADDRESS;
    this.#bus = new SessionBus(address ? socketOf(address) : usualSocket(env));
  }

  /**
   * Looks for items, without a window and without unlocking anything. KeePassXC asks for a password
   * before it searches, when all is locked: there is no search then, and no item is seen.
   *
   * @throws GlmTokenError `ERR_STORE_UNAVAILABLE` when there is no service, or no answer
   */
  async look(attributes: Attributes): Promise<Sight> {
    const collections = await this.#collections();
    const [alias] = await this.#call(SERVICE_PATH, SERVICE, 'ReadAlias', 's', ['default']);
    const target = collections.find(({ path }) => path === alias);
    if (collections.every(({ isLocked }) => isLocked)) return { target, items: [] };

    const wanted = Object.entries(attributes);
    const found = await this.#call(SERVICE_PATH, SERVICE, 'SearchItems', 'a{ss}', [wanted]);
    const [unlocked, locked] = found as [string[], string[]];
    const items = [...unlocked, ...locked].map((path) => ({
      path,
      isLocked: locked.includes(path),
      isShutIn: collections.some((one) => one.isLocked && path.startsWith(`${one.path}/`)),
    }));
    return { target, items };
  }

  async isLocked({ path }: Pick<Collection, 'path'>): Promise<boolean> {
    return Boolean(await this.#property(path, COLLECTION, 'Locked'));
  }

  /** The attributes of an item, which a locked one has too. */
  async attributesOf({ path }: Item): Promise<Attributes> {
    const pairs = await this.#property(path, ITEM, 'Attributes');
    return Object.fromEntries(pairs as [string, string][]);
  }

  /**
   * Reads the secret of an item that is not locked. The session is not encrypted; the bus is a socket
   * that only the user can open.
   */
  async read({ path }: Item): Promise<string> {
    return this.#withSession('plain', ['s', ''], async (session) => {
      const [secret] = await this.#call(path, ITEM, 'GetSecret', 'o', [session]);
      const [_session, _parameters, value] = secret as [string, Buffer, Buffer];
      return value.toString('utf8');
    });
  }

  /**
   * Has a collection unlocked, by a person where that is needed. When the time is up, the prompt stays
   * on the screen, where an answer still unlocks: gnome-keyring 42 crashes when a prompt is dismissed
   * (measured).
   *
   * @returns whether the service came to an end in time
   */
  async unlock({ path }: Collection, limitMs: number): Promise<boolean> {
    const [_unlocked, prompt] = await this.#call(SERVICE_PATH, SERVICE, 'Unlock', 'ao', [[path]]);
    if (prompt === NONE) return true;
    const noWindow = '';
    const show = () => this.#call(String(prompt), PROMPT, 'Prompt', 's', [noWindow]);
    try {
      await this.#bus.awaitSignal(String(prompt), PROMPT, 'Completed', limitMs, show);
      return true;
    } catch (error) {
      if (error instanceof NoAnswer) return false;
      throw error;
    }
  }

  /**
   * Whether a collection is a wallet of KWallet, and open: it is called locked until somebody asks to
   * unlock it, which then happens without a window (measured, 5.103). `undefined` when it is no wallet.
   */
  async isOpenWallet({ path }: Collection): Promise<boolean | undefined> {
    const wallet = await this.#property(path, COLLECTION, 'Label');
    for (const module of ['/modules/kwalletd6', '/modules/kwalletd5']) {
      try {
        const [isOpen] = await this.#call(module, 'org.kde.KWallet', 'isOpen', 's', [wallet]);
        return Boolean(isOpen);
      } catch {
        // The service is another one.
      }
    }
    return undefined;
  }

  /** Whether it makes a default collection when a key is stored; gnome-keyring does, and asks first. */
  async makesTarget(): Promise<boolean> {
    return this.#isOnBus('org.gnome.keyring');
  }

  /**
   * Whether it has a way to ask a person to unlock it. gnome-keyring leaves that to a prompter, which
   * a desktop provides; others show windows of their own.
   */
  async canAsk(): Promise<boolean> {
    if (!(await this.#isOnBus('org.gnome.keyring'))) return true;
    const prompter = 'org.gnome.keyring.SystemPrompter';
    if (await this.#isOnBus(prompter)) return true;
    const [names] = await this.#call(BUS_PATH, BUS, 'ListActivatableNames', '', [], BUS);
    return (names as string[]).includes(prompter);
  }

  /**
   * Opens a session as libsecret does.
   *
   * @throws GlmTokenError `ERR_STORE_UNAVAILABLE` when the service hands out no secrets
   */
  async checkSession(): Promise<void> {
    try {
      await this.#withSession(ENCRYPTED, ['ay', randomBytes(PUBLIC_KEY_BYTES)], async () => {});
    } catch (error) {
      if (!hasReason(error, 'keychainFailed')) throw error;
      const { name } = error.cause as { name?: string };
      if (name === `${BUS}.Error.NotSupported`) return; // libsecret takes a plain one then.
      throw new GlmTokenError('keychainSessionRefused', { reason: reasonOf(error.cause) }, error);
    }
  }

  async #withSession<T>(
    algorithm: string,
    input: unknown,
    act: (session: string) => Promise<T>,
  ): Promise<T> {
    const body = [algorithm, input];
    const [_output, path] = await this.#call(SERVICE_PATH, SERVICE, 'OpenSession', 'sv', body);
    try {
      return await act(String(path));
    } finally {
      await this.#call(String(path), SESSION, 'Close').catch(() => {});
    }
  }

  async #collections(): Promise<Collection[]> {
    let paths: string[];
    try {
      paths = (await this.#property(SERVICE_PATH, SERVICE, 'Collections')) as string[];
    } catch (error) {
      if (!hasReason(error, 'keychainFailed')) throw error;
      throw new GlmTokenError('keychainMissing', { hasBus: true }, error);
    }
    return Promise.all(
      paths.map(async (path) => ({
        path,
        isLocked: await this.isLocked({ path }),
        isForSession: path === SESSION_COLLECTION,
      })),
    );
  }

  async #isOnBus(name: string): Promise<boolean> {
    const [isThere] = await this.#call(BUS_PATH, BUS, 'NameHasOwner', 's', [name], BUS);
    return Boolean(isThere);
  }

  async #property(path: string, iface: string, name: string): Promise<unknown> {
    const answer = await this.#call(path, PROPERTIES, 'Get', 'ss', [iface, name]);
    const [[_signature, [value]]] = answer as [[unknown, [unknown]]];
    return value;
  }

  /** @throws GlmTokenError `ERR_STORE_UNAVAILABLE`, whatever goes wrong */
  async #call(
    path: string,
    iface: string,
    member: string,
    signature = '',
    body: readonly unknown[] = [],
    destination = SECRETS,
  ): Promise<unknown[]> {
    try {
      return await this.#bus.call(destination, path, iface, member, signature, body);
    } catch (error) {
      if (error instanceof NoAnswer) throw new GlmTokenError('keychainSilent', undefined, error);
      if (error instanceof BusGone) throw await busOutOfReach(this.#env, error);
      throw new GlmTokenError('keychainFailed', { reason: reasonOf(error) }, error);
    }
  }
}

/** What a service said of a call that it refused, as D-Bus passes it on. */
const reasonOf = (error: unknown): string =>
  String((error as { message?: unknown } | undefined)?.message);

/** Where the desktop's bus is, unless a variable says otherwise. */
const usualSocket = ({ XDG_RUNTIME_DIR }: NodeJS.ProcessEnv): string | undefined =>
  XDG_RUNTIME_DIR && `${XDG_RUNTIME_DIR}/bus`;

/** Why the bus cannot be asked, with the variable that leads to the wrong one, where one does. */
async function busOutOfReach(env: NodeJS.ProcessEnv, cause: unknown): Promise<GlmTokenError> {
  const address = env.DBUS_SESSION_BUS_ADDRESS;
  if (!address) return new GlmTokenError('keychainMissing', { hasBus: false }, cause);
  const isAbstract = socketOf(address)?.startsWith('\0') === true;
  const usual = usualSocket(env);
  const other = await new SessionBus(usual).call(BUS, BUS_PATH, BUS, 'GetId').then(
    () => `unix:path=${usual}`,
    () => undefined,
  );
  return new GlmTokenError('busOutOfReach', { isAbstract, other }, cause);
}
