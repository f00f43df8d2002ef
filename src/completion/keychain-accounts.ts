/** The accounts that the Secret Service has keys for, found by looking alone. */

import { createClient } from '@homebridge/dbus-native';
import { type Account, parseAccountName } from '../core/account.ts';

type Env = Readonly<Record<string, string | undefined>>;

const SECRETS = { destination: 'org.freedesktop.secrets', path: '/org/freedesktop/secrets' };

/**
 * Asks for the attributes of our items, which a service tells of locked ones too, if it can; no secret
 * is read, and nobody is asked to unlock anything. Without keytar, whose threads cannot be given up.
 *
 * @param env where the session bus is found: `DBUS_SESSION_BUS_ADDRESS`, else `XDG_RUNTIME_DIR`
 * @throws any error where there is no bus, or no service on it
 * @see https://specifications.freedesktop.org/secret-service/latest/
 */
export async function keychainAccounts(env: Env): Promise<readonly Account[]> {
  const busAddress =
    env.DBUS_SESSION_BUS_ADDRESS || (env.XDG_RUNTIME_DIR && `unix:path=${env.XDG_RUNTIME_DIR}/bus`);
  if (!busAddress) return [];
  const bus = createClient({ busAddress });
  const failed = new Promise<never>((_resolve, reject) => bus.connection.on('error', reject));
  const call = (path: string, iface: string, member: string, signature: string, body: unknown[]) =>
    new Promise<unknown[]>((resolve, reject) => {
      const message = { ...SECRETS, path, interface: iface, member, signature, body };
      bus.invoke(message, (error: unknown, ...answer: unknown[]) =>
        error ? reject(error) : resolve(answer),
      );
    });
  const search = async () => {
    const ours = [['service', 'glm-token']];
    const service = 'org.freedesktop.Secret.Service';
    const found = await call(SECRETS.path, service, 'SearchItems', 'a{ss}', [ours]);
    return Promise.all((found as string[][]).flat().map(attributesOf));
  };
  const attributesOf = async (item: string) => {
    const property = ['org.freedesktop.Secret.Item', 'Attributes'];
    const got = await call(item, 'org.freedesktop.DBus.Properties', 'Get', 'ss', property);
    const [[_signature, [pairs]]] = got as [[unknown, [[string, string][]]]];
    return new Map(pairs);
  };
  const items = await Promise.race([failed, search()]);
  bus.connection.end();
  return items.flatMap((attributes) => parseAccountName(attributes.get('account') ?? '') ?? []);
}
