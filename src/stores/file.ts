/** The encrypted file as a store, for machines with no keychain. */

import { join } from 'node:path';
import { type LockOptions, lock as lockFile } from 'proper-lockfile';
import { type Account, accountName, parseAccountName } from '../core/account.ts';
import { errnoOf, GlmTokenError, hasCode } from '../core/errors.ts';
import { shortenedIdOf } from '../core/key.ts';
import { type Keys, PBKDF2_ROUNDS, seal, unseal } from '../core/sealed-keys.ts';
import { Held } from './held.ts';
import { passphraseBytes, readPassphraseFile } from './passphrase.ts';
import {
  KEY_FILE,
  type Peril,
  type ReadOptions,
  type StoredAccount,
  type StoresWorld,
  type WritableStore,
} from './port.ts';
import type { PrivateDirectory } from './private-directory.ts';

/** Longer than any write takes: a lock that its owner has not renewed for so long is free. */
const STALE_AFTER_MS = 4000;

/** Two minutes in all, which was long enough for a hundred writers on a busy machine. */
const LOCK_RETRIES = { retries: 1200, factor: 1, minTimeout: 70, randomize: true };

/** How often a person may try a passphrase. */
const MAX_TRIES = 3;

export type LockState = 'new' | 'locked' | 'unlocked';

type FileWorld = Pick<
  StoresWorld,
  'directory' | 'passphraseFile' | 'askPassphrase' | 'lockAfterMs' | 'now'
>;

/** What is held while the file is unlocked. */
interface Unlocked {
  readonly passphrase: Uint8Array;
  /** What the keys were read from; `undefined` when there is no file yet. */
  readonly text: string | undefined;
  readonly keys: Keys;
}

interface OpenOptions extends ReadOptions {
  readonly passphrase?: string;
}

export class FileStore implements WritableStore {
  readonly name = 'file';
  readonly place: string;
  readonly #world: FileWorld;
  readonly #directory: PrivateDirectory;
  readonly #rounds: number;
  readonly #held: Held<Unlocked>;
  #queue: Promise<unknown> = Promise.resolve();

  /** @param rounds of PBKDF2 for what is sealed; fewer only in tests */
  constructor(world: FileWorld, rounds = PBKDF2_ROUNDS) {
    this.#world = world;
    this.#directory = world.directory();
    this.#rounds = rounds;
    this.place = join(this.#directory.path, KEY_FILE);
    this.#held = new Held(world, {
      clear: ({ passphrase }) => passphrase.fill(0),
      onIdle: () => void this.forget(),
    });
  }

  get(account: Account, options?: ReadOptions): Promise<string | undefined> {
    return this.#alone(async () => (await this.#keys(options)).get(accountName(account)));
  }

  list(options?: ReadOptions): Promise<StoredAccount[]> {
    return this.#alone(async () =>
      [...(await this.#keys(options))].flatMap(([name, text]) => {
        const account = parseAccountName(name);
        return account ? [{ account, id: shortenedIdOf(text) }] : [];
      }),
    );
  }

  set(account: Account, text: string): Promise<void> {
    return this.#alone(async () => {
      await this.#write((keys) => keys.set(accountName(account), text));
    });
  }

  delete(account: Account): Promise<boolean> {
    const name = accountName(account);
    return this.#alone(async () => {
      if (!(await this.#keys()).has(name)) return false;
      return this.#write((keys) => keys.delete(name));
    });
  }

  async perishesWith(): Promise<Peril | undefined> {
    return this.#directory.perishesWith();
  }

  /** `new`: the next passphrase is the one that the file gets. */
  lockState(): LockState {
    if (this.#held.value && !this.#held.isIdle) return 'unlocked';
    return this.#isThere() ? 'locked' : 'new';
  }

  /** @throws GlmTokenError `ERR_PASSPHRASE` when the passphrase is wrong */
  unlock(passphrase: string): Promise<void> {
    return this.#alone(async () => {
      await this.#open({ passphrase });
    });
  }

  /** Locks the file: forgets the passphrase and the keys. */
  forget(): Promise<void> {
    return this.#alone(() => this.#held.forget());
  }

  /**
   * Seals the keys with another passphrase.
   *
   * @param choose gives the new one; called once the file is unlocked with the old one
   * @throws GlmTokenError `ERR_PASSPHRASE` when the new one is empty, or the old one is wrong
   */
  changePassphrase(choose: () => Promise<string>): Promise<void> {
    return this.#alone(async () => {
      await this.#open();
      const chosen = await choose();
      if (chosen === '') throw new GlmTokenError('passphraseEmpty');
      await this.#write(() => true, passphraseBytes(chosen));
    });
  }

  /** One thing at a time, so that nothing is locked, or unlocked twice, in the middle of another. */
  #alone<T>(act: () => T | Promise<T>): Promise<T> {
    const done = this.#queue.then(() => {
      this.#held.forgetIfIdle();
      return act();
    });
    this.#queue = done.catch(() => {});
    return done;
  }

  #isThere(): boolean {
    return this.#directory.has(KEY_FILE);
  }

  /** The keys in the file; without one there are none, and nothing to unlock. */
  async #keys(options?: ReadOptions): Promise<Keys> {
    return this.#isThere() ? (await this.#open(options)).keys : new Map();
  }

  /** What is in the file now, by the first passphrase that opens it. */
  async #open(options: OpenOptions = {}): Promise<Unlocked> {
    const text = this.#directory.read(KEY_FILE);
    const held = this.#held.value;
    const isOpen = options.passphrase === undefined && held?.text === text;
    if (held && isOpen) return this.#held.keep(held);
    let wrong: unknown;
    for await (const passphrase of this.#passphrases(text === undefined, options)) {
      try {
        if (text === undefined && passphrase.length === 0)
          throw new GlmTokenError('passphraseEmpty');
        const keys = text === undefined ? new Map() : await unseal(text, passphrase, this.place);
        return this.#hold({ passphrase, text, keys });
      } catch (error) {
        if (passphrase === held?.passphrase) this.#held.forget();
        passphrase.fill(0);
        if (!hasCode(error, 'ERR_PASSPHRASE')) throw error;
        wrong = error;
      }
    }
    throw wrong;
  }

  /**
   * The passphrases to try: the one that is given; else the one that is held, although the file may have
   * been made anew with another; then the one in the passphrase file, or several that a person types.
   */
  async *#passphrases(
    isNew: boolean,
    { passphrase, mayAsk = true }: OpenOptions,
  ): AsyncGenerator<Uint8Array> {
    const { passphraseFile, askPassphrase } = this.#world;
    if (passphrase !== undefined) return yield passphraseBytes(passphrase);
    if (this.#held.value) yield this.#held.value.passphrase;
    if (passphraseFile) {
      yield passphraseBytes(readPassphraseFile(passphraseFile));
      throw new GlmTokenError('passphraseInFileWrong', { passphraseFile });
    }
    for (let tries = 1; tries <= MAX_TRIES; tries += 1) {
      const typed = mayAsk ? await askPassphrase({ isNew, wasWrong: tries > 1 }) : undefined;
      if (typed === undefined) throw new GlmTokenError('passphraseNeeded', { isNew });
      yield passphraseBytes(typed);
    }
  }

  #hold(unlocked: Unlocked): Unlocked {
    if (this.#held.value?.passphrase !== unlocked.passphrase) this.#held.forget();
    return this.#held.keep(unlocked);
  }

  /**
   * Writes the keys as `edit` changes them, if it says so, while no other process writes.
   *
   * @param newPassphrase in place of the one that the file has
   */
  async #write(
    edit: (keys: Map<string, string>) => unknown,
    newPassphrase?: Uint8Array,
  ): Promise<boolean> {
    await this.#open(); // Before the lock: other writers must not wait for a person.
    this.#directory.make();
    const lock = await this.#takeLock();
    try {
      const current = await this.#open();
      const keys = new Map(current.keys);
      if (!edit(keys)) return false;
      if (keys.size === 0) {
        lock.check();
        this.#directory.remove(KEY_FILE);
        this.#held.forget();
      } else {
        const passphrase = newPassphrase ?? current.passphrase;
        const text = await seal(keys, passphrase, this.#rounds);
        this.#directory.write(KEY_FILE, text, lock.check);
        this.#hold({ passphrase, text, keys });
      }
      return true;
    } finally {
      await lock.release();
    }
  }

  /** Keeps other processes from writing; `check` throws once another one has taken the lock. */
  async #takeLock() {
    const { place: path } = this;
    let lost: Error | undefined;
    const take = (retries: LockOptions['retries']) =>
      lockFile(path, {
        retries,
        realpath: false, // The first writer locks before there is a file.
        stale: STALE_AFTER_MS,
        onCompromised: (error) => {
          lost = error; // This process was suspended until another writer took the lock.
        },
      });
    const isTaken = (error: unknown) => errnoOf(error) === 'ELOCKED';
    const busy = (cause: unknown) => new GlmTokenError('fileBusy', { path }, cause);
    try {
      // The library would try a full disk again as well, so it gets retries only where the lock is taken.
      const release = await take(0).catch((error) => {
        if (isTaken(error)) return take(LOCK_RETRIES);
        throw error;
      });
      return {
        check() {
          if (lost) throw busy(lost);
        },
        release: () => release().catch(() => {}), // It fails when the lock was lost.
      };
    } catch (error) {
      throw isTaken(error) ? busy(error) : this.#directory.refusal('write', path, error);
    }
  }
}
