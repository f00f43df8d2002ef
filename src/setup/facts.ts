/** What there is on this machine, as the steps of the guided first run need it. */

import type { Account } from '../core/account.ts';
import { DEFAULT_HOST } from '../core/account.ts';
import type { GlmTokenError } from '../core/errors.ts';
import { shortenedIdOf } from '../core/key.ts';
import { SERVICES } from '../service/services.ts';
import { languageNamed, localeOf, type Settings } from '../settings.ts';
import { isMissingKeychain } from '../stores/cure.ts';
import type { WritableStoreName } from '../stores/port.ts';
import { type Stores, storeOf } from '../stores/registry.ts';
import type { InitPaths } from './init-lines.ts';
import type { Answers, Facts } from './steps.ts';

export interface SetupWorld {
  readonly env: NodeJS.ProcessEnv;
  readonly settings: Settings;
  readonly stores: Stores;
  readonly paths: InitPaths;
  /** The store that an option names. */
  readonly store?: WritableStoreName | undefined;
}

/**
 * Looks for the key of the account only while an answer depends on it.
 *
 * @throws GlmTokenError what a store throws, such as that it is locked
 */
export async function gatherFacts(answers: Answers, world: SetupWorld): Promise<Facts> {
  const { env, settings, stores, paths, store } = world;
  const named = {
    host: answers.host ?? settings.account.host,
    profile: answers.profile ?? settings.account.profile,
  };
  const environment = await stores.open('environment');
  const isInEnvironment = (await environment.get(named)) !== undefined;
  const isNamed = answers.host !== undefined || Boolean(env.GLM_TOKEN_HOST) || isInEnvironment;
  const account = isNamed ? named : undefined;
  const { keep, file, key, plan } = answers;
  const isOpen = file === undefined && (keep === undefined ? key !== true : key === false);
  const mayLook = account && plan && isOpen && !isInEnvironment;
  const destination = await stores.open(store ?? stores.inUse());
  // After a key that no store took, nobody is to be asked a second time.
  const found = mayLook ? await lookFor(account, world, key === undefined) : {};
  return {
    account,
    likelyHost: likelyHost(env),
    isInEnvironment,
    storedId: found.id,
    noKeychain: found.noKeychain,
    destination,
    file: await stores.open('file'),
    paths,
  };
}

/** The shortened id of the key that is stored, or why there is no keychain for one. */
async function lookFor(
  account: Account,
  { settings, stores, store: choice }: SetupWorld,
  mayAsk: boolean,
): Promise<{ id?: string | undefined; noKeychain?: GlmTokenError }> {
  const keeper = await storeOf(stores, account, choice);
  try {
    const text = await keeper.get(account, { mayAsk });
    return { id: text === undefined ? undefined : shortenedIdOf(text) };
  } catch (error) {
    const mayBeginFile =
      keeper.name === 'keychain' && choice === undefined && settings.store === undefined;
    if (mayBeginFile && isMissingKeychain(error)) return { noKeychain: error };
    throw error;
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
  const name = isKnown && !isInChina && !isChinese ? 'international' : 'china';
  return SERVICES.find((service) => service.name === name)?.host ?? DEFAULT_HOST;
}
