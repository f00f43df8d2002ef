/** What there is on this machine, as the steps of the guided first run need it. */

import { type Account, DEFAULT_HOST, INTERNATIONAL_HOST } from '../core/account.ts';
import { GlmTokenError } from '../core/errors.ts';
import { shortenedIdOf } from '../core/key.ts';
import { languageNamed, localeOf, type Settings } from '../settings.ts';
import { isMissingKeychain } from '../stores/cure.ts';
import type { StoreLabel, WritableStoreName } from '../stores/port.ts';
import { type Stores, storeOf } from '../stores/registry.ts';
import type { InitPaths } from './init-lines.ts';
import type { Answers } from './steps.ts';

export interface SetupWorld {
  readonly env: NodeJS.ProcessEnv;
  readonly settings: Settings;
  readonly stores: Stores;
  readonly paths: InitPaths;
  /** The store that an option names. */
  readonly store: WritableStoreName | undefined;
}

export type Facts = Awaited<ReturnType<typeof gatherFacts>>;

/**
 * Looks for the key of the account only while an answer depends on it.
 *
 * @throws GlmTokenError what a store throws, such as that it is locked
 */
export async function gatherFacts(answers: Answers, world: SetupWorld) {
  const { env, settings, stores, paths, store } = world;
  const { keep, file, key, plan, host, profile } = answers;
  const { account: byDefault } = settings;
  const named: Account = { host: host ?? byDefault.host, profile: profile ?? byDefault.profile };
  const environment = await stores.open('environment');
  const isInEnvironment = (await environment.get(named)) !== undefined;
  const isNamed = host !== undefined || Boolean(env.GLM_TOKEN_HOST) || isInEnvironment;
  const isOpen = file === undefined && (keep === undefined ? key !== true : key === false);
  const destination: StoreLabel = await stores.open(store ?? stores.inUse());
  const encrypted: StoreLabel = await stores.open('file');
  const mayLook = isNamed && plan && isOpen && !isInEnvironment;
  return {
    /** `undefined` while the service is not chosen. */
    account: isNamed ? named : undefined,
    /** The service that is likely meant. */
    likelyHost: likelyHost(env),
    /** Whether the key of the account is in `GLM_API_KEY`. */
    isInEnvironment,
    // After a key that no store took, nobody is to be asked a second time.
    ...(mayLook ? await lookFor(named, world, key === undefined) : NOTHING),
    /** The store that a key would go to, and the encrypted file. */
    destination,
    file: encrypted,
    paths,
  };
}

interface Found {
  /** The shortened id of the key that is stored for the account. */
  readonly storedId: string | undefined;
  /** Why there is no keychain, where an encrypted file could be begun. */
  readonly noKeychain: GlmTokenError | undefined;
}

const NOTHING: Found = { storedId: undefined, noKeychain: undefined };

/** @param mayAsk false after a key that no store took */
async function lookFor(
  account: Account,
  { settings, stores, store: choice }: SetupWorld,
  mayAsk: boolean,
): Promise<Found> {
  const keeper = await storeOf(stores, account, choice);
  try {
    const text = await keeper.get(account, { mayAsk });
    if (text !== undefined) return { ...NOTHING, storedId: shortenedIdOf(text) };
    // One that answers, and took no key, is GNOME Keyring without a keyring.
    if (!mayAsk) throw new GlmTokenError('keyringMissing');
    return NOTHING;
  } catch (error) {
    const isNamed = (choice ?? settings.store) !== undefined;
    if (isNamed || !isMissingKeychain(error)) throw error;
    return { ...NOTHING, noKeychain: error };
  }
}

/** The international service where the clock is set to a zone outside of China. */
function likelyHost(env: NodeJS.ProcessEnv): string {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone ?? '';
  const isChinese = [env.GLM_TOKEN_LANG, localeOf(env)].some(
    (name) => languageNamed(name ?? '') === 'zh',
  );
  const isKnown = zone.includes('/') && !zone.startsWith('Etc/');
  const isInChina = /^Asia\/(Shanghai|Chongqing|Harbin|Urumqi|Kashgar)$/.test(zone);
  return isKnown && !isInChina && !isChinese ? INTERNATIONAL_HOST : DEFAULT_HOST;
}
