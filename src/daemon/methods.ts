/** What the helper does for its clients, whatever carries the messages. */

import { type Account, accountName, parseHost, parseProfile } from '../core/account.ts';
import { parseDuration } from '../core/duration.ts';
import { asGlmTokenError, GlmTokenError } from '../core/errors.ts';
import { type ApiKey, parseKey } from '../core/key.ts';
import { DEFAULT_TTL, signToken } from '../core/token.ts';
import { type Examined, examine, type Finding } from '../doctor/examine.ts';
import type { Messages } from '../messages/en.ts';
import { meaningOf } from '../service/error-codes.ts';
import { PLANS } from '../service/services.ts';
import { checkKey } from '../setup/check.ts';
import { gatherFacts } from '../setup/facts.ts';
import { nextStep } from '../setup/steps.ts';
import { cureFor, isKeyRefused } from '../stores/cure.ts';
import { isWords } from '../stores/key-commands.ts';
import { type StoreLabel, WRITABLE_STORES, type WritableStoreName } from '../stores/port.ts';
import {
  accountEntry,
  findKey,
  listAccounts,
  mistyped,
  originOf,
  type Stores,
  storeCommand,
  storeKey,
  storeOf,
} from '../stores/registry.ts';
import {
  checkAccount,
  checkLifetime,
  checkMethod,
  FULL_ACCESS,
  messagesFor,
  type Policy,
  visibleDefault,
} from './policy.ts';
import { PROTOCOL, param, stringParam, toResponseError } from './protocol.ts';
import { initPaths, setupAnswers, setupResult } from './setup-wire.ts';

/** What the helper needs of the world, besides the stores. */
export interface HelperWorld extends Omit<Examined, 'stores'> {
  /** The messages in the language of a locale such as `zh`. */
  messagesFor(locale: string): Promise<Messages>;
}

/** One client's connection, which has a language of its own. */
export interface Session {
  messages: Messages;
}

export interface Helper {
  /** The result of a request; throws a ResponseError. */
  answer(method: string, params: unknown, session: Session): Promise<object>;
  /** For a client that has just connected. */
  newSession(): Session;
}

type Method = (params: unknown, session: Session) => Promise<object>;

type Methods = ReturnType<typeof methodsOf>['methods'];

/** What the methods answer. */
export type Answers = { readonly [Name in keyof Methods]: Awaited<ReturnType<Methods[Name]>> };

/** @param stores those of the accounts that the policy allows to be seen */
export function helperMethods(world: HelperWorld, stores: Stores, policy = FULL_ACCESS): Helper {
  const { accountOf, cure, ...known } = methodsOf(world, stores, policy);
  const methods: Readonly<Record<string, Method>> = known.methods;
  /** The account that a request is about, for the commands in hints. */
  const aboutOf = (params: unknown): Account | undefined => {
    try {
      return accountOf(params);
    } catch {
      return undefined;
    }
  };
  const answer: Helper['answer'] = async (name, params, session) => {
    try {
      const method = Object.hasOwn(methods, name) ? methods[name] : undefined;
      if (!method) throw new GlmTokenError('methodUnknown');
      checkMethod(policy, name);
      return await method(params, session);
    } catch (thrown) {
      const error = asGlmTokenError(thrown);
      throw toResponseError(error, cure(error), session.messages, aboutOf(params));
    }
  };
  return { answer, newSession: () => ({ messages: messagesFor(policy, world.messages) }) };
}

/** Every method by its name on the wire. Parameters are checked here; failures are thrown. */
function methodsOf(world: HelperWorld, stores: Stores, policy: Policy) {
  // Read now, since an upgrade may take away the program's files while the helper runs.
  const { env, platform, paths, version, now } = world;
  const byDefault = visibleDefault(world.settings.account, policy);
  const settings = { ...world.settings, account: byDefault };
  const reads = new Map<string, Promise<ApiKey>>();
  let tokens = 0;

  /** The one way by which an account enters. */
  const accountOf = (params: unknown): Account => {
    const account = {
      host: parseHost(stringParam(params, 'host', byDefault.host)),
      profile: parseProfile(stringParam(params, 'profile', byDefault.profile)),
    };
    checkAccount(policy, account);
    return account;
  };

  /**
   * Requests that come while the same key is being read share that read, so that a keychain which
   * waits for its user is asked once and holds one thread. Nothing is kept afterwards.
   */
  const readKey = (account: Account, mayAsk: boolean): Promise<ApiKey> => {
    if (!mayAsk) return findKey(stores, account, { mayAsk });
    const name = accountName(account);
    const shared = reads.get(name);
    if (shared) return shared;
    const read = findKey(stores, account).finally(() => reads.delete(name));
    reads.set(name, read);
    return read;
  };

  /** What cures a failure, and is allowed to these clients. */
  const cure = (error: GlmTokenError) => {
    const { mayWrite } = policy;
    const mayBeginFile = () => settings.store === undefined && stores.inUse() === 'keychain';
    return cureFor(error, { mayWrite, mayBeginFile });
  };

  const planOf = (params: unknown) => PLANS.find((name) => name === param(params, 'plan')) ?? null;

  const storeNamed = (params: unknown): WritableStoreName =>
    WRITABLE_STORES.find((name) => name === param(params, 'store')) ?? stores.inUse();

  const identity = { protocol: PROTOCOL, version, pid: process.pid };

  const methods = {
    async initialize(params, session) {
      const messages = await world.messagesFor(stringParam(params, 'locale', ''));
      session.messages = messagesFor(policy, messages);
      if (param(params, 'protocol') === PROTOCOL) return identity;
      throw new GlmTokenError('protocolUnknown', { version, protocol: PROTOCOL });
    },
    async token(params) {
      const account = accountOf(params);
      const ttlMs = parseDuration(stringParam(params, 'ttl', DEFAULT_TTL));
      checkLifetime(policy, ttlMs);
      const mayAsk = param(params, 'ask') !== false;
      const { token, expiresAtMs } = await signToken(await readKey(account, mayAsk), now(), ttlMs);
      tokens += 1;
      return { token, expiresAt: expiresAtMs };
    },
    async accounts() {
      const { accounts, error } = await listAccounts(stores);
      if (error !== undefined && accounts.length === 0) throw error;
      return { accounts: accounts.map(accountEntry) };
    },
    async store(params, { messages }) {
      const account = accountOf(params);
      const replaces = param(params, 'replace') === true;
      const typo = replaces ? undefined : await mistyped(stores, account);
      if (typo) return { ...account, stored: false, problem: messages.describe(typo).message };
      let existing: string | null = null;
      const mayReplace = (other: string | undefined) => {
        existing = other ?? null;
        return replaces;
      };
      const words = param(params, 'command');
      let store: StoreLabel;
      let stored: boolean;
      if (words === undefined) {
        const key = parseKey(stringParam(params, 'key'));
        const to = await stores.open(storeNamed(params));
        stored = await storeKey(to, account, key, mayReplace);
        store = to;
      } else {
        if (!policy.maySetCommand) throw new GlmTokenError('commandNotAllowed');
        if (!isWords(words)) throw new GlmTokenError('parameterNotWords', { parameter: 'command' });
        const commands = await stores.open('command');
        const key = await storeCommand(commands, account, words, mayReplace);
        stored = key !== undefined;
        store = commands;
      }
      const result = { ...account, stored, store: store.name, title: messages.storeTitle(store) };
      return stored ? result : { ...result, existing };
    },
    async delete(params) {
      const account = accountOf(params);
      return { ...account, deleted: await (await storeOf(stores, account)).delete(account) };
    },
    async unlock(params) {
      const passphrase = stringParam(params, 'passphrase');
      if (storeNamed(params) === 'file') await (await stores.open('file')).unlock(passphrase);
      return {};
    },
    async lock() {
      await stores.lock();
      return {};
    },
    async status(_params, { messages }) {
      const store = await stores.open(stores.inUse());
      return {
        ...identity,
        tokens,
        store: store.name,
        title: messages.storeTitle(store),
        lock: stores.inUse() === 'file' ? (await stores.open('file')).lockState() : null,
        environment: settings.apiKey !== undefined,
        default: settings.account,
      };
    },
    async doctor(params, { messages }) {
      const isNamed = ['host', 'profile'].some((name) => param(params, name) !== undefined);
      const account = isNamed ? accountOf(params) : undefined;
      const examined = { env, platform, paths, version, now, settings, stores, messages };
      const findings: Finding[] = [];
      const options = {
        account,
        live: param(params, 'live') === true,
        plan: planOf(params),
        mayAsk: param(params, 'ask') !== false,
        helper: undefined,
        unlocksLater: true,
        // What other programs say stays with whoever could have set them.
        tellsWhy: policy.maySetCommand,
        cure,
      };
      for await (const finding of examine(examined, options)) findings.push(finding);
      return { findings };
    },
    async setup(params, { messages }) {
      const given = param(params, 'answers');
      accountOf(given); // Which the policy has to allow before its key is looked for.
      const answers = setupAnswers(given);
      const paths = initPaths(param(params, 'paths'));
      const facts = await gatherFacts(answers, { env, settings, stores, paths, store: undefined });
      const next = nextStep(answers, facts, messages);
      if (!('lines' in next) && next.kind === 'secret' && !policy.mayWrite) {
        throw new GlmTokenError('writingNotAllowed');
      }
      return setupResult(next);
    },
    async verify(params, { messages }) {
      const checked = { account: accountOf(params), plan: planOf(params), store: undefined };
      return checkKey(checked, { stores, messages, env, now, cure });
    },
    async explain(params, { messages }) {
      const account = accountOf(params);
      const serviceCode = stringParam(params, 'code');
      const { fault } = meaningOf(serviceCode) ?? {};
      if (!fault) return { message: null, hint: null, action: null };
      // So that the next request asks the command for its key anew.
      if (isKeyRefused(fault)) await (await stores.open('command')).forget();
      const origin = await originOf(stores, account);
      const { message, hint } = messages.serviceFault(fault, account, origin);
      const refused = { account, origin, status: 0, serviceCode, fault };
      return { message, hint, action: cure(new GlmTokenError('tokenRefused', refused)) };
    },
  } satisfies Readonly<Record<string, Method>>;
  return { methods, accountOf, cure };
}
