/** The Secret Service over D-Bus: its state, unlocking it, and reads and writes that keytar fails at. */

import { createDiffieHellmanGroup } from 'node:crypto';
import type { EventEmitter } from 'node:events';
import { createClient, type MessageBus } from '@homebridge/dbus-native';

declare module '@homebridge/dbus-native' {
  // In the package, and missing from its types.
  export function createClient(options: { busAddress: string }): MessageBus;
  interface MessageBus {
    readonly signals: EventEmitter;
    /** The name of the event by which `signals` tells of a signal. */
    mangle(path: string, iface: string, member: string): string;
    addMatch(rule: string, callback: (error: unknown) => void): void;
  }
  interface BusConnection {
    end(): void;
  }
}

/**
 * `item-locked`, `item-open`: there is an item such as the one in question. `locked`, `open`: there
 * is none, or none was asked about, and so the default collection is.
 * `no-keyring`: there is no default collection. `no-session`: the service hands out no secrets.
 * `silent`: it did not answer. `absent`: there is no bus, or no service on it.
 */
export type SecretServiceState =
  | 'item-locked'
  | 'item-open'
  | 'locked'
  | 'open'
  | 'no-keyring'
  | 'no-session'
  | 'silent'
  | 'absent';

/** What an item is found by. */
export type Attributes = Readonly<Record<string, string>>;

/** A service that is alive answers in milliseconds; on a machine that is very busy, in two seconds. */
const ANSWER_WITHIN_MS = 5000;

/** 1024 bits, as the name of the session's algorithm says. */
const PUBLIC_KEY_BYTES = 128;

const SERVICE = 'org.freedesktop.Secret.Service';
const ITEM = 'org.freedesktop.Secret.Item';
const COLLECTION = 'org.freedesktop.Secret.Collection';
const PROMPT = 'org.freedesktop.Secret.Prompt';
const SESSION_COLLECTION = '/org/freedesktop/secrets/collection/session';
const SECRETS = { destination: 'org.freedesktop.secrets', path: '/org/freedesktop/secrets' };
const BUS = {
  destination: 'org.freedesktop.DBus',
  path: '/org/freedesktop/DBus',
  interface: 'org.freedesktop.DBus',
};

/** In place of an object's path, where there is no object. */
const NONE = '/';

/**
 * The state of the service, found out without side effects: this opens no prompt and unlocks nothing.
 *
 * @param env where the session bus is found: `DBUS_SESSION_BUS_ADDRESS`, else `XDG_RUNTIME_DIR`
 * @param attributes of the item in question; without them, or when there is no such item, the
 *   default collection is asked about
 * @see https://specifications.freedesktop.org/secret-service/latest/
 */
export const secretServiceState = (
  env: NodeJS.ProcessEnv,
  attributes?: Attributes,
): Promise<SecretServiceState> => ask(env, (bus) => findState(bus, attributes));

/** Whether keys are kept in the collection that ends with the session; `undefined` when not known. */
export async function keepsForSession(env: NodeJS.ProcessEnv): Promise<boolean | undefined> {
  const answer = await ask(env, defaultCollection);
  return answer.startsWith('/') ? answer === SESSION_COLLECTION : undefined;
}

/**
 * Why the service hands out no secrets, as it says; `undefined` when it does, or does not answer.
 */
export async function sessionRefusal(env: NodeJS.ProcessEnv): Promise<string | undefined> {
  const answer = await ask(env, async (bus) => ({ refusal: await refusalOfSession(bus) }));
  return typeof answer === 'string' ? undefined : answer.refusal;
}

/**
 * Whether the service has a way to ask a person to unlock it. gnome-keyring leaves that to a
 * prompter, which a desktop provides; others show windows of their own.
 */
export async function canAskToUnlock(env: NodeJS.ProcessEnv): Promise<boolean> {
  return (await ask(env, hasPrompter)) === true;
}

/**
 * The attributes of the items that have these, which a service tells of locked ones too, if it can:
 * no secret is read, and nobody is asked.
 */
export async function attributesOfItems(
  env: NodeJS.ProcessEnv,
  attributes: Attributes,
): Promise<readonly Attributes[]> {
  const answer = await ask(env, async (bus) => {
    const { unlocked, locked } = await searchItems(bus, attributes);
    return Promise.all(
      [...unlocked, ...locked].map(async (item) => {
        const pairs = await propertyOf(bus, item, ITEM, 'Attributes');
        return Object.fromEntries(pairs as [string, string][]);
      }),
    );
  });
  return typeof answer === 'string' ? [] : answer;
}

export interface UnlockOptions {
  /** The time that a person has to answer, in milliseconds; none is asked without it. */
  readonly promptMs?: number | undefined;
  /** Whether to make the default collection where there is none. */
  readonly makesCollection?: boolean;
}

/**
 * Has the service unlock the items that have these attributes, else the default collection.
 *
 * When the time is up, this hangs up and leaves the prompt on the screen, where an answer still
 * unlocks: gnome-keyring 42 crashes when a prompt is dismissed while it is shown (measured).
 *
 * @returns whether the service came to an end in time; {@link secretServiceState} tells how it is now
 */
export async function unlockSecretService(
  env: NodeJS.ProcessEnv,
  attributes: Attributes | undefined,
  { promptMs, makesCollection = false }: UnlockOptions,
): Promise<boolean> {
  const unlock = async (bus: Bus): Promise<'done'> => {
    const locked = await findLocked(bus, attributes);
    if (locked === undefined) {
      if (makesCollection) await showPrompt(bus, await startCollection(bus));
    } else if (promptMs !== undefined || (await isOpenInKWallet(bus))) {
      const [_unlocked, prompt] = await bus.call(SECRETS, SERVICE, 'Unlock', 'ao', [locked]);
      await showPrompt(bus, prompt);
    }
    return 'done';
  };
  return (await ask(env, unlock, promptMs)) !== 'silent';
}

/**
 * Reads an item without keytar. With KWallet, about one process in 80 needs it: its encrypted session
 * with the service is broken, and keytar finds no secret, or fails, for as long as the process lives
 * (measured, libsecret 0.20 and KWallet 5.103). The session here is not encrypted; the bus is a
 * socket that only the user can open.
 */
export async function readItem(
  env: NodeJS.ProcessEnv,
  attributes: Attributes,
): Promise<string | undefined> {
  const answer = await ask(env, async (bus) => {
    const { unlocked } = await searchItems(bus, attributes);
    const [path] = unlocked;
    if (path === undefined) return {};
    const session = await openPlainSession(bus);
    const [secret] = await bus.call({ ...SECRETS, path }, ITEM, 'GetSecret', 'o', [session]);
    const [_session, _parameters, value] = secret as [string, Buffer, Buffer];
    return { text: value.toString('utf8') };
  });
  return typeof answer === 'string' ? undefined : answer.text;
}

/** Writes an item into the default collection without keytar; returns whether it is written. */
export async function writeItem(
  env: NodeJS.ProcessEnv,
  attributes: Attributes,
  label: string,
  text: string,
): Promise<boolean> {
  const answer = await ask(env, async (bus) => {
    const path = await defaultCollection(bus);
    const session = await openPlainSession(bus);
    const properties = [
      [`${ITEM}.Label`, ['s', label]],
      [`${ITEM}.Attributes`, ['a{ss}', Object.entries({ ...attributes, ...SCHEMA })]],
    ];
    const secret = [session, Buffer.alloc(0), Buffer.from(text), 'text/plain'];
    const body = [properties, secret, true];
    await bus.call({ ...SECRETS, path }, COLLECTION, 'CreateItem', 'a{sv}(oayays)b', body);
    return true;
  });
  return answer === true;
}

/** An attribute that keytar gives to all its items. */
const SCHEMA = { 'xdg:schema': 'org.freedesktop.Secret.Generic' };

async function openPlainSession({ call }: Bus): Promise<unknown> {
  const plain = ['plain', ['s', '']];
  const [_output, session] = await call(SECRETS, SERVICE, 'OpenSession', 'sv', plain);
  return session;
}

/** A connection to the session bus. */
interface Bus {
  call: Call;
  /** Has the bus pass on a signal, and resolves to a promise of the next one. */
  awaitSignal(path: string, iface: string, member: string): Promise<{ signal: Promise<void> }>;
}

type Call = (
  target: { readonly destination: string; readonly path: string },
  iface: string,
  member: string,
  signature: string,
  body: unknown[],
) => Promise<unknown[]>;

/** Asks the service a question; `silent` when it does not answer, `absent` when it is not there. */
async function ask<T>(
  env: NodeJS.ProcessEnv,
  question: (bus: Bus) => Promise<T>,
  limitMs = ANSWER_WITHIN_MS,
): Promise<T | 'silent' | 'absent'> {
  const busAddress =
    env.DBUS_SESSION_BUS_ADDRESS || (env.XDG_RUNTIME_DIR && `unix:path=${env.XDG_RUNTIME_DIR}/bus`);
  if (!busAddress) return 'absent';

  let bus: MessageBus | undefined;
  let limit: NodeJS.Timeout | undefined;
  try {
    const client = createClient({ busAddress });
    bus = client;
    return await Promise.race([
      question(openBus(client)),
      new Promise<never>((_resolve, reject) => client.connection.on('error', reject)),
      new Promise<'silent'>((resolve) => {
        limit = setTimeout(resolve, limitMs, 'silent');
      }),
    ]);
  } catch {
    return 'absent';
  } finally {
    clearTimeout(limit);
    bus?.connection.end();
  }
}

const openBus = (client: MessageBus): Bus => ({
  call: ({ destination, path }, iface, member, signature, body) =>
    new Promise((resolve, reject) => {
      const content = signature ? { signature, body } : {};
      const message = { destination, path, interface: iface, member, ...content };
      client.invoke(message, (error: unknown, ...answer: unknown[]) =>
        error ? reject(error) : resolve(answer),
      );
    }),
  async awaitSignal(path, iface, member) {
    const signal = new Promise<void>((resolve) => {
      client.signals.once(client.mangle(path, iface, member), () => resolve());
    });
    const rule = `type='signal',path='${path}',interface='${iface}',member='${member}'`;
    await new Promise<void>((resolve, reject) => {
      client.addMatch(rule, (error) => (error ? reject(error) : resolve()));
    });
    return { signal };
  },
});

async function defaultCollection({ call }: Bus): Promise<string> {
  const [collection] = await call(SECRETS, SERVICE, 'ReadAlias', 's', ['default']);
  return String(collection);
}

async function propertyOf(
  { call }: Bus,
  path: string,
  iface: string,
  name: string,
): Promise<unknown> {
  const target = { ...SECRETS, path };
  const properties = 'org.freedesktop.DBus.Properties';
  const answer = await call(target, properties, 'Get', 'ss', [iface, name]);
  const [[_signature, [value]]] = answer as [[unknown, [unknown]]];
  return value;
}

async function searchItems(
  { call }: Bus,
  attributes: Attributes | undefined,
): Promise<{ unlocked: string[]; locked: string[] }> {
  if (!attributes) return { unlocked: [], locked: [] };
  const pairs = Object.entries(attributes);
  const found = await call(SECRETS, SERVICE, 'SearchItems', 'a{ss}', [pairs]);
  const [unlocked, locked] = found as [string[], string[]];
  return { unlocked, locked };
}

async function findState(
  bus: Bus,
  attributes: Attributes | undefined,
): Promise<SecretServiceState> {
  const collection = await defaultCollection(bus); // Fails where there is no service at all.
  if ((await refusalOfSession(bus)) !== undefined) return 'no-session';
  const { unlocked, locked } = await searchItems(bus, attributes);
  if (locked.length > 0) return 'item-locked';
  if (unlocked.length > 0) return 'item-open';
  if (collection === NONE) return 'no-keyring';
  return (await propertyOf(bus, collection, COLLECTION, 'Locked')) ? 'locked' : 'open';
}

/** What there is to unlock: items, else the default collection; `undefined` when there is neither. */
async function findLocked(
  bus: Bus,
  attributes: Attributes | undefined,
): Promise<string[] | undefined> {
  const { locked } = await searchItems(bus, attributes);
  if (locked.length > 0) return locked;
  const collection = await defaultCollection(bus);
  return collection === NONE ? undefined : [collection];
}

/**
 * Why the service opens no session to hand out secrets in, as it says; `undefined` when it opens one.
 * The session ends with the connection. As libsecret does, this asks for one whose secrets are
 * encrypted, and for a plain one from a service that knows no other.
 */
async function refusalOfSession({ call }: Bus): Promise<string | undefined> {
  const open = (algorithm: string, input: unknown) =>
    call(SECRETS, SERVICE, 'OpenSession', 'sv', [algorithm, input]);
  const publicKey = Buffer.alloc(PUBLIC_KEY_BYTES);
  const key = createDiffieHellmanGroup('modp2').generateKeys(); // Without its leading zeros.
  key.copy(publicKey, PUBLIC_KEY_BYTES - key.length);
  try {
    await open('dh-ietf1024-sha256-aes128-cbc-pkcs7', ['ay', publicKey]).catch((error) => {
      if (error?.name !== 'org.freedesktop.DBus.Error.NotSupported') throw error;
      return open('plain', ['s', '']);
    });
    return undefined;
  } catch (error) {
    return String((error as { message?: unknown } | undefined)?.message);
  }
}

async function hasPrompter({ call }: Bus): Promise<boolean> {
  const onBus = (member: string, ...names: string[]) =>
    call(BUS, BUS.interface, member, 's'.repeat(names.length), names);
  const prompter = 'org.gnome.keyring.SystemPrompter';
  const [isGnomeKeyring] = await onBus('NameHasOwner', 'org.gnome.keyring');
  if (!isGnomeKeyring) return true;
  const [isRunning] = await onBus('NameHasOwner', prompter);
  const [startable] = await onBus('ListActivatableNames');
  return Boolean(isRunning) || (startable as string[]).includes(prompter);
}

/**
 * Whether the default collection is a wallet that is open. KWallet calls such a collection locked
 * until it is asked to unlock it, which it then does without a window (measured, 5.103).
 */
async function isOpenInKWallet(bus: Bus): Promise<boolean> {
  const wallet = await propertyOf(bus, await defaultCollection(bus), COLLECTION, 'Label');
  for (const path of ['/modules/kwalletd6', '/modules/kwalletd5']) {
    const target = { ...SECRETS, path };
    try {
      const [isOpen] = await bus.call(target, 'org.kde.KWallet', 'isOpen', 's', [wallet]);
      return Boolean(isOpen);
    } catch {
      // The service is another one.
    }
  }
  return false;
}

/** Begins to make the default collection, as libsecret would, and returns the prompt for it. */
async function startCollection({ call }: Bus): Promise<unknown> {
  const properties = [[`${COLLECTION}.Label`, ['s', 'Default keyring']]];
  const alias = 'default';
  const made = await call(SECRETS, SERVICE, 'CreateCollection', 'a{sv}s', [properties, alias]);
  return made[1];
}

/** Shows a prompt, if there is one, and waits until it is answered. */
async function showPrompt(bus: Bus, prompt: unknown): Promise<void> {
  if (prompt === NONE) return;
  const path = String(prompt);
  const completed = await bus.awaitSignal(path, PROMPT, 'Completed');
  const noWindow = '';
  await bus.call({ ...SECRETS, path }, PROMPT, 'Prompt', 's', [noWindow]);
  await completed.signal;
}
