/** The encrypted file as a store, for machines with no keychain. */

import { join } from 'node:path';
import { type LockOptions, lock as lockFile } from 'proper-lockfile';
import { type Account, accountName, parseAccountName } from '../core/account.ts';
import { errnoOf, GlmTokenError, hasCode } from '../core/errors.ts';
import { shortenedIdOf } from '../core/key.ts';
import { type Keys, PBKDF2_ROUNDS, seal, unseal } from '../core/sealed-keys.ts';
import { Held } from './held.ts';
import { type AskPassphrase, passphraseBytes, readPassphraseFile } from './passphrase.ts';
import {
  KEY_FILE,
  type Peril,
  type ReadOptions,
  type StoredAccount,
  type WritableStore,
} from './port.ts';
import type { PrivateDirectory } from './private-directory.ts';

/** Longer than any write takes: a lock that its owner has not renewed for so long is free. */
const STALE_AFTER_MS = 4000;

/** Two minutes in all, which was long enough for a hundred writers on a busy machine. */
const LOCK_RETRIES = { retries: 1200, factor: 1, minTimeout: 70, randomize: true };

/** How often a person may try a passphrase. */
const MAX_TRIES = 3;

export interface FileOptions {
  readonly directory: PrivateDirectory;
  /** `GLM_TOKEN_PASSPHRASE_FILE`. */
  readonly passphraseFile?: string | undefined;
  /** Asked when there is no passphrase file. */
  readonly askPassphrase?: AskPassphrase | undefined;
  /** Idle time after which it locks, in milliseconds; never by default. */
  readonly lockAfterMs?: number | undefined;
  /** Rounds of PBKDF2 for what is sealed; fewer only in tests. */
  readonly rounds?: number | undefined;
  /** The time, in milliseconds since 1970 (UTC). */
  now(): number;
}

export type LockState = 'new' | 'locked' | 'unlocked';

export interface FileStore extends WritableStore {
  /** `new`: the next passphrase is the one that the file gets. */
  lockState(): LockState;
  /** @throws GlmTokenError `ERR_PASSPHRASE` when the passphrase is wrong */
  unlock(passphrase: string): Promise<void>;
  /** Locks the file: forgets the passphrase and the keys. */
  forget(): Promise<void>;
  /**
   * Seals the keys with another passphrase.
   *
   * @param choose gives the new one; called once the file is unlocked with the old one
   * @throws GlmTokenError `ERR_PASSPHRASE` when the new one is empty, or the old one is wrong
   */
  changePassphrase(choose: () => Promise<string>): Promise<void>;
}

export const fileStore = (options: FileOptions): FileStore => new EncryptedFile(options);

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

class EncryptedFile implements FileStore {
  readonly name = 'file';
  readonly place: string;
  readonly #options: FileOptions;
  readonly #held: Held<Unlocked>;
  #queue: Promise<unknown> = Promise.resolve();

  constructor(options: FileOptions) {
    this.#options = options;
    this.place = join(options.directory.path, KEY_FILE);
    this.#held = new Held({
      ...options,
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
    return this.#options.directory.perishesWith();
  }

  lockState(): LockState {
    if (this.#held.value && !this.#held.isIdle) return 'unlocked';
    return this.#isThere() ? 'locked' : 'new';
  }

  unlock(passphrase: string): Promise<void> {
    return this.#alone(async () => {
      await this.#open({ passphrase });
    });
  }

  forget(): Promise<void> {
    return this.#alone(() => this.#held.forget());
  }

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
    return this.#options.directory.has(KEY_FILE);
  }

  /** The keys in the file; without one there are none, and nothing to unlock. */
  async #keys(options?: ReadOptions): Promise<Keys> {
    return this.#isThere() ? (await this.#open(options)).keys : new Map();
  }

  /** What is in the file now, by the first passphrase that opens it. */
  async #open(options: OpenOptions = {}): Promise<Unlocked> {
    const text = this.#options.directory.read(KEY_FILE);
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
    const { passphraseFile, askPassphrase } = this.#options;
    if (passphrase !== undefined) return yield passphraseBytes(passphrase);
    if (this.#held.value) yield this.#held.value.passphrase;
    if (passphraseFile) {
      yield passphraseBytes(readPassphraseFile(passphraseFile));
      throw new GlmTokenError('passphraseInFileWrong', { passphraseFile });
    }
    for (let tries = 1; tries <= MAX_TRIES; tries += 1) {
      const typed = mayAsk ? await askPassphrase?.({ isNew, wasWrong: tries > 1 }) : undefined;
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
    const { directory, rounds = PBKDF2_ROUNDS } = this.#options;
    await this.#open(); // Before the lock: other writers must not wait for a person.
    directory.make();
    const lock = await this.#takeLock();
    try {
      const current = await this.#open();
      const keys = new Map(current.keys);
      if (!edit(keys)) return false;
      if (keys.size === 0) {
        lock.check();
        directory.remove(KEY_FILE);
        this.#held.forget();
      } else {
        const passphrase = newPassphrase ?? current.passphrase;
        const text = await seal(keys, passphrase, rounds);
        directory.write(KEY_FILE, text, lock.check);
        this.#hold({ passphrase, text, keys });
      }
      return true;
    } finally {
      await lock.release();
    }
  }

  async #takeLock(): Promise<{ check(): void; release(): Promise<void> }> {
    const { place: path } = this;
    const { parentVariable } = this.#options.directory;
    const busy = (cause: unknown) => new GlmTokenError('fileBusy', { path }, cause);
    let lost: Error | undefined;
    const take = (retries?: LockOptions['retries']) =>
      lockFile(path, {
        retries,
        realpath: false, // The first writer locks before there is a file.
        stale: STALE_AFTER_MS,
        onCompromised: (error) => {
          lost = error; // This process was suspended until another writer took the lock.
        },
      });
    const isTaken = (error: unknown) => errnoOf(error) === 'ELOCKED';
    try {
      // The library would try a full disk again as well, so it gets retries only where the lock is taken.
      const release = await take().catch((error) => {
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
      if (isTaken(error)) throw busy(error);
      const errno = errnoOf(error);
      throw new GlmTokenError(
        'fileRefused',
        { action: 'write', path, errno, parentVariable },
        error,
      );
    }
  }
}
