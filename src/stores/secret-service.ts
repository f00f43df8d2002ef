/** One question to the Secret Service over D-Bus: is it locked? */

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

/** A service that is alive answers in milliseconds. */
const ANSWER_WITHIN_MS = 2000;

const SECRETS = { destination: 'org.freedesktop.secrets', path: '/org/freedesktop/secrets' };

/**
 * Asks without side effects: it opens no prompt and unlocks nothing.
 *
 * @param env where the session bus is found: `DBUS_SESSION_BUS_ADDRESS`, else `XDG_RUNTIME_DIR`
 * @param attributes of the item asked for; without them, or when there is no such item, the
 *   default collection is asked about
 * @see https://specifications.freedesktop.org/secret-service/latest/
 */
export async function askSecretService(
  env: Readonly<Record<string, string | undefined>>,
  attributes?: Readonly<Record<string, string>>,
): Promise<SecretServiceAnswer> {
  const busAddress =
    env.DBUS_SESSION_BUS_ADDRESS || (env.XDG_RUNTIME_DIR && `unix:path=${env.XDG_RUNTIME_DIR}/bus`);
  if (!busAddress) return 'absent';

  let bus: MessageBus | undefined;
  let limit: NodeJS.Timeout | undefined;
  try {
    const client = createClient({ busAddress });
    bus = client;
    return await Promise.race([
      isLocked(client, attributes).then(
        (locked): SecretServiceAnswer => (locked ? 'locked' : 'open'),
      ),
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

async function isLocked(
  bus: MessageBus,
  attributes: Readonly<Record<string, string>> | undefined,
): Promise<boolean> {
  const call = (path: string, iface: string, member: string, signature: string, body: unknown[]) =>
    new Promise<unknown[]>((resolve, reject) => {
      const message = { ...SECRETS, path, interface: iface, member, signature, body };
      bus.invoke(message, (error: unknown, ...answer: unknown[]) =>
        error ? reject(error) : resolve(answer),
      );
    });
  const service = 'org.freedesktop.Secret.Service';

  if (attributes) {
    const pairs = Object.entries(attributes);
    const found = await call(SECRETS.path, service, 'SearchItems', 'a{ss}', [pairs]);
    const [unlocked, locked] = found as [string[], string[]];
    if (locked.length > 0) return true;
    if (unlocked.length > 0) return false;
  }
  const [collection] = await call(SECRETS.path, service, 'ReadAlias', 's', ['default']);
  if (collection === '/') return false;
  const asked = ['org.freedesktop.Secret.Collection', 'Locked'];
  const answer = await call(
    String(collection),
    'org.freedesktop.DBus.Properties',
    'Get',
    'ss',
    asked,
  );
  const [[_signature, [locked]]] = answer as [[unknown, [boolean]]];
  return locked;
}
