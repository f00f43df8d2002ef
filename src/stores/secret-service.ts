/** Questions to the Secret Service over D-Bus: is it locked, and does it last? */

import { createClient, type MessageBus } from '@homebridge/dbus-native';

declare module '@homebridge/dbus-native' {
  // In the package, and missing from its types.
  export function createClient(options: { busAddress: string }): MessageBus;
  interface BusConnection {
    end(): void;
  }
}

/**
 * `locked`: an item asked for, or the default collection, is locked. `open`: it is not. `silent`: the
 * service did not answer. `absent`: there is no bus, or no service on it.
 */
export type SecretServiceAnswer = 'locked' | 'open' | 'silent' | 'absent';

type Env = Readonly<Record<string, string | undefined>>;

/** A service that is alive answers in milliseconds. */
const ANSWER_WITHIN_MS = 2000;

const SERVICE = 'org.freedesktop.Secret.Service';
const SESSION_COLLECTION = '/org/freedesktop/secrets/collection/session';
const SECRETS = { destination: 'org.freedesktop.secrets', path: '/org/freedesktop/secrets' };

/**
 * Asks without side effects: it opens no prompt and unlocks nothing.
 *
 * @param env where the session bus is found: `DBUS_SESSION_BUS_ADDRESS`, else `XDG_RUNTIME_DIR`
 * @param attributes of the item asked for; without them, or when there is no such item, the
 *   default collection is asked about
 * @see https://specifications.freedesktop.org/secret-service/latest/
 */
export const askSecretService = (
  env: Env,
  attributes?: Readonly<Record<string, string>>,
): Promise<SecretServiceAnswer> =>
  ask(env, async (call) => ((await isLocked(call, attributes)) ? 'locked' : 'open'));

/** Whether keys are kept in the collection that ends with the session; `undefined` when not known. */
export async function keepsForSession(env: Env): Promise<boolean | undefined> {
  const answer = await ask(env, defaultCollection);
  return answer.startsWith('/') ? answer === SESSION_COLLECTION : undefined;
}

/** Asks the service a question; `silent` when it does not answer, `absent` when it is not there. */
async function ask<T>(
  env: Env,
  question: (call: Call) => Promise<T>,
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
      question(callerOn(client)),
      new Promise<never>((_resolve, reject) => client.connection.on('error', reject)),
      new Promise<'silent'>((resolve) => {
        limit = setTimeout(resolve, ANSWER_WITHIN_MS, 'silent');
      }),
    ]);
  } catch {
    return 'absent';
  } finally {
    clearTimeout(limit);
    bus?.connection.end();
  }
}

type Call = (
  path: string,
  iface: string,
  member: string,
  signature: string,
  body: unknown[],
) => Promise<unknown[]>;

const callerOn =
  (bus: MessageBus): Call =>
  (path, iface, member, signature, body) =>
    new Promise((resolve, reject) => {
      const message = { ...SECRETS, path, interface: iface, member, signature, body };
      bus.invoke(message, (error: unknown, ...answer: unknown[]) =>
        error ? reject(error) : resolve(answer),
      );
    });

async function defaultCollection(call: Call): Promise<string> {
  const [collection] = await call(SECRETS.path, SERVICE, 'ReadAlias', 's', ['default']);
  return String(collection);
}

async function isLocked(
  call: Call,
  attributes: Readonly<Record<string, string>> | undefined,
): Promise<boolean> {
  if (attributes) {
    const pairs = Object.entries(attributes);
    const found = await call(SECRETS.path, SERVICE, 'SearchItems', 'a{ss}', [pairs]);
    const [unlocked, locked] = found as [string[], string[]];
    if (locked.length > 0) return true;
    if (unlocked.length > 0) return false;
  }
  const collection = await defaultCollection(call);
  if (collection === '/') return false;
  const asked = ['org.freedesktop.Secret.Collection', 'Locked'];
  const answer = await call(collection, 'org.freedesktop.DBus.Properties', 'Get', 'ss', asked);
  const [[_signature, [locked]]] = answer as [[unknown, [boolean]]];
  return locked;
}
