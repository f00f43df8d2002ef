/** The encrypted key file as a store, for machines with no keychain. */

import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { lock as lockFile } from 'proper-lockfile';
import { type Account, accountName, parseAccountName } from '../core/account.ts';
import { GlmTokenError, hasCode } from '../core/errors.ts';
import { shortenedIdOf } from '../core/key.ts';
import { type Keys, PBKDF2_ROUNDS, seal, unseal } from '../core/sealed-keys.ts';
import { Held } from './held.ts';
import { type AskPassphrase, passphraseBytes, readPassphraseFile } from './passphrase.ts';
import {
  KEY_FILE,
  type Lockable,
  type LockState,
  type Peril,
  type ReadOptions,
  type Store,
  type StoredAccount,
} from './port.ts';
import type { PrivateDirectory } from './private-directory.ts';

/**
 * How a writer waits for others: for two minutes at most, which was long enough for a hundred
 * writers on a busy machine. A lock whose owner was killed is free after {@link STALE_AFTER_MS}.
 */
const LOCK_TRIES = 1200;
const LOCK_PAUSE_MS = { least: 50, most: 150 };
const STALE_AFTER_MS = 4000;

/** Number of passphrase attempts allowed. */
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

export const fileStore = (options: FileOptions): Store => new FileStore(options);

interface Sealable {
  readonly keys: Keys;
  readonly passphrase: Uint8Array;
}

/** What is held while the file is unlocked. */
interface Unlocked extends Sealable {
  /** What `keys` were read from: another text is opened anew, with the same passphrase. */
  readonly text: string | undefined;
}

class FileStore implements Store {
  readonly name = 'file';
  readonly place: string;
  readonly lockable: Lockable;
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
    this.lockable = {
      unlock: (passphrase) => this.#alone(() => this.#unlock(passphrase)),
      state: () => this.#state(),
      changePassphrase: (passphrase) => this.#alone(() => this.#changePassphrase(passphrase)),
    };
  }

  get(account: Account, { mayAsk = true }: ReadOptions = {}): Promise<string | undefined> {
    return this.#alone(async () => {
      const wouldAsk = this.#state() === 'locked' && !this.#options.passphraseFile;
      if (wouldAsk && !mayAsk) throw new GlmTokenError('passphraseNeeded', { isNew: false });
      return (await this.#readKeys()).get(accountName(account));
    });
  }

  set(account: Account, text: string): Promise<void> {
    return this.#alone(async () => {
      await this.#change((keys) => keys.set(accountName(account), text).size > 0);
    });
  }

  delete(account: Account): Promise<boolean> {
    const name = accountName(account);
    return this.#alone(async () => {
      if (!(await this.#readKeys()).has(name)) return false;
      return this.#change((keys) => keys.delete(name));
    });
  }

  list(): Promise<StoredAccount[]> {
    return this.#alone(async () =>
      [...(await this.#readKeys())].flatMap(([name, text]) => {
        const account = parseAccountName(name);
        return account ? [{ account, id: shortenedIdOf(text) }] : [];
      }),
    );
  }

  forget(): Promise<void> {
    return this.#alone(() => this.#held.forget());
  }

  async perishesWith(): Promise<Peril | undefined> {
    return this.#options.directory.perishesWith();
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

  #state(): LockState {
    if (this.#held.value && !this.#held.isIdle) return 'unlocked';
    return this.#options.directory.has(KEY_FILE) ? 'locked' : 'new';
  }

  #hold(unlocked: Unlocked): Unlocked {
    if (this.#held.value?.passphrase !== unlocked.passphrase) this.#held.forget();
    return this.#held.keep(unlocked);
  }

  #readText(): string | undefined {
    return this.#options.directory.read(KEY_FILE);
  }

  async #readKeys(): Promise<Keys> {
    const text = this.#readText();
    return text === undefined ? new Map() : (await this.#open(text)).keys;
  }

  async #unlock(passphrase: string | undefined): Promise<void> {
    const text = this.#readText();
    if (passphrase === undefined) await this.#open(text);
    else await this.#openWith(text, passphrase);
  }

  /** What is in the file, by the passphrase that is held, else by one that is obtained. */
  async #open(text: string | undefined): Promise<Unlocked> {
    const held = this.#held.value;
    if (!held) return this.#openWithObtained(text);
    if (held.text === text) return this.#hold(held);
    try {
      return await this.#openWithBytes(text, held.passphrase);
    } catch (error) {
      if (!hasCode(error, 'ERR_PASSPHRASE')) throw error;
      this.#held.forget(); // The file was made anew, with another passphrase.
      return this.#openWithObtained(text);
    }
  }

  /** A person may try several times. */
  async #openWithObtained(text: string | undefined): Promise<Unlocked> {
    for (let tries = 1; ; tries += 1) {
      const passphrase = await this.#obtainPassphrase(text === undefined, tries > 1);
      try {
        return await this.#openWith(text, passphrase);
      } catch (error) {
        const mayTryAgain = !this.#options.passphraseFile && tries < MAX_TRIES;
        if (!hasCode(error, 'ERR_PASSPHRASE') || !mayTryAgain) throw error;
      }
    }
  }

  #openWith(text: string | undefined, passphrase: string): Promise<Unlocked> {
    if (text === undefined && passphrase === '') throw new GlmTokenError('passphraseEmpty');
    return this.#openWithBytes(text, passphraseBytes(passphrase));
  }

  async #openWithBytes(text: string | undefined, passphrase: Uint8Array): Promise<Unlocked> {
    try {
      const keys = text === undefined ? new Map() : await unseal(text, passphrase, this.place);
      return this.#hold({ passphrase, text, keys });
    } catch (error) {
      const { passphraseFile } = this.#options;
      if (passphrase !== this.#held.value?.passphrase) passphrase.fill(0);
      if (!passphraseFile || !hasCode(error, 'ERR_PASSPHRASE')) throw error;
      throw new GlmTokenError('passphraseInFileWrong', { passphraseFile }, error);
    }
  }

  async #obtainPassphrase(isNew: boolean, wasWrong: boolean): Promise<string> {
    const { passphraseFile, askPassphrase } = this.#options;
    if (passphraseFile) return readPassphraseFile(passphraseFile);
    const passphrase = await askPassphrase?.({ isNew, wasWrong });
    if (passphrase !== undefined) return passphrase;
    throw new GlmTokenError('passphraseNeeded', { isNew });
  }

  /** Changes the keys; `edit` returns whether anything changed. */
  async #change(edit: (keys: Map<string, string>) => boolean): Promise<boolean> {
    await this.#open(this.#readText()); // Before the lock: other writers must not wait for a person.
    return this.#write(({ keys: before, passphrase }) => {
      const keys = new Map(before);
      return edit(keys) ? { keys, passphrase } : undefined;
    });
  }

  /** Writes what `make` makes of what is in the file, if anything, while no other writer does. */
  async #write(make: (current: Unlocked) => Sealable | undefined): Promise<boolean> {
    const { directory, rounds = PBKDF2_ROUNDS } = this.#options;
    directory.make();
    const lock = await this.#takeLock();
    try {
      const made = make(await this.#open(this.#readText()));
      if (!made) return false;
      const { keys, passphrase } = made;
      if (keys.size === 0) {
        lock.check();
        directory.remove(KEY_FILE);
        this.#held.forget();
      } else {
        const text = await seal(keys, passphrase, rounds);
        directory.write(KEY_FILE, text, lock.check);
        this.#hold({ passphrase, text, keys });
      }
      return true;
    } finally {
      await lock.release();
    }
  }

  async #changePassphrase(passphrase: string): Promise<void> {
    if (passphrase === '') throw new GlmTokenError('passphraseEmpty');
    const bytes = passphraseBytes(passphrase);
    await this.#open(this.#readText());
    await this.#write(({ keys }) => ({ keys, passphrase: bytes }));
  }

  async #takeLock(): Promise<{ check(): void; release(): Promise<void> }> {
    const busy = (cause: unknown) => new GlmTokenError('fileBusy', { path: this.place }, cause);
    let lost: Error | undefined;
    try {
      const release = await whenFree(() =>
        lockFile(this.place, {
          realpath: false, // The first writer locks before there is a file.
          stale: STALE_AFTER_MS,
          onCompromised: (error) => {
            lost = error; // This process was suspended until another writer took the lock.
          },
        }),
      );
      return {
        check() {
          if (lost) throw busy(lost);
        },
        release: () => release().catch(() => {}), // It fails when the lock was lost.
      };
    } catch (error) {
      const { code = String(error) } = error as NodeJS.ErrnoException;
      if (code === 'ELOCKED') throw busy(error);
      const { parentVariable } = this.#options.directory;
      const fault = { action: 'write', path: this.place, errno: code, parentVariable } as const;
      throw new GlmTokenError('fileRefused', fault, error);
    }
  }
}

/** Tries to take a lock until it is free. The library's own retries wait for a full disk as well. */
async function whenFree<T>(take: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await take();
    } catch (error) {
      const isTaken = (error as NodeJS.ErrnoException).code === 'ELOCKED';
      if (!isTaken || tries === LOCK_TRIES) throw error;
    }
    const { least, most } = LOCK_PAUSE_MS;
    await delay(least + Math.random() * (most - least));
  }
}
