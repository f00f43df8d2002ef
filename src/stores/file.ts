/** The encrypted key file as a store, for machines with no keychain. */

import { join } from 'node:path';
import { accountName, parseAccountName } from '../core/account.ts';
import { GlmTokenError } from '../core/errors.ts';
import { type Keys, seal, unseal } from '../core/sealed.ts';
import type { Folder } from './folder.ts';
import { generationOf, keyFileName } from './key-file-name.ts';
import { type AskPassphrase, passphraseBytes, readPassphraseFile } from './passphrase.ts';
import type { Store } from './store.ts';

export interface FileOptions {
  readonly folder: Folder;
  /** `GLM_TOKEN_PASSPHRASE_FILE`. */
  readonly passphraseFile?: string | undefined;
  /** Asked when there is no passphrase file. */
  readonly askPassphrase?: AskPassphrase | undefined;
  /** How long it stays unlocked when nobody uses it, in milliseconds; for ever by default. */
  readonly lockAfterMs?: number | undefined;
  /** The time, in milliseconds since 1970 (UTC). */
  now(): number;
}

/** So often a file can be gone when it is read; a writer takes a tenth of a second. */
const MOST_TRIES = 100;

/** The newest key file: its number, from 1, and its text. With no file, 0 and nothing. */
interface Newest {
  readonly generation: number;
  readonly text: string | undefined;
}

/** What is held while it is unlocked. */
interface Unlocked {
  readonly passphrase: Uint8Array;
  /** What `keys` were read from; when there is another text, the passphrase opens that too. */
  readonly text: string | undefined;
  readonly keys: Keys;
  readonly usedAtMs: number;
}

/**
 * Each change makes a new file, `keys-N.jwe`, and removes the one before it; the highest number
 * counts. A file gets its name once it is whole and synced, and only where nothing has that name:
 * of two writers at once one comes second, and does its change again on what the first one wrote.
 * So there is no lock to wait for, and none that a crash could leave behind.
 */
export function fileStore(options: FileOptions): Store {
  const { folder, passphraseFile, askPassphrase, lockAfterMs, now } = options;
  let unlocked: Unlocked | undefined;
  let timer: NodeJS.Timeout | undefined;
  let queue: Promise<unknown> = Promise.resolve();

  const forget = (): void => {
    clearTimeout(timer);
    unlocked?.passphrase.fill(0);
    unlocked = undefined;
  };

  const hold = (held: Omit<Unlocked, 'usedAtMs'>): Unlocked => {
    if (unlocked?.passphrase !== held.passphrase) forget();
    unlocked = { ...held, usedAtMs: now() };
    clearTimeout(timer);
    if (lockAfterMs) timer = setTimeout(() => void alone(forget), lockAfterMs).unref();
    return unlocked;
  };

  /** Judged when used, since a timer stands still while the machine sleeps. */
  const isIdle = ({ usedAtMs }: Unlocked): boolean =>
    lockAfterMs !== undefined && now() - usedAtMs >= lockAfterMs;

  /** One thing at a time, so that nothing is locked, or unlocked twice, in the middle of another. */
  const alone = <T>(act: () => T | Promise<T>): Promise<T> => {
    const done = queue.then(() => {
      if (unlocked && isIdle(unlocked)) forget();
      return act();
    });
    queue = done.catch(() => {});
    return done;
  };

  const findNewest = (): Newest => {
    for (let tries = 0; tries < MOST_TRIES; tries += 1) {
      const generation = Math.max(0, ...folder.names().map(generationOf));
      if (generation === 0) return { generation, text: undefined };
      const text = folder.read(keyFileName(generation));
      if (text !== undefined) return { generation, text };
      // Another writer has put a newer one in its place since.
    }
    throw new GlmTokenError(
      'ERR_STORE_UNAVAILABLE',
      `the key file that ${folder.path} lists cannot be read`,
      'look into that folder: is it a link to nowhere?',
    );
  };

  const open = async ({ generation, text }: Newest, passphrase: Uint8Array): Promise<Unlocked> => {
    if (text === undefined && passphrase.length === 0) {
      throw new GlmTokenError(
        'ERR_PASSPHRASE',
        'an empty passphrase protects nothing',
        'try again with another; nothing was stored',
      );
    }
    const path = join(folder.path, keyFileName(generation));
    const keys = text === undefined ? new Map() : await unseal(text, passphrase, path);
    return hold({ passphrase, text, keys });
  };

  const openAnyhow = async (newest: Newest): Promise<Unlocked> => {
    const fresh = newest.text === undefined;
    if (passphraseFile) {
      const passphrase = readPassphraseFile(passphraseFile);
      return open(newest, passphraseBytes(passphrase)).catch((error) => {
        if ((error as GlmTokenError).code !== 'ERR_PASSPHRASE') throw error;
        throw new GlmTokenError(
          'ERR_PASSPHRASE',
          `what ${passphraseFile} holds is not the passphrase of the key file`,
          'check GLM_TOKEN_PASSPHRASE_FILE, which names that file',
          error,
        );
      });
    }
    const passphrase = await askPassphrase?.(fresh);
    if (passphrase !== undefined) return open(newest, passphraseBytes(passphrase));
    throw new GlmTokenError(
      'ERR_PASSPHRASE',
      fresh ? 'the new key file needs a passphrase' : 'the key file needs its passphrase',
      'run it on a terminal, or set GLM_TOKEN_PASSPHRASE_FILE to a file that holds it',
    );
  };

  /** What is in a file, by the passphrase that is held, else by one that is asked for. */
  const unlockNewest = async (newest: Newest): Promise<Unlocked> => {
    if (!unlocked) return openAnyhow(newest);
    if (unlocked.text === newest.text) return hold(unlocked);
    return open(newest, unlocked.passphrase).catch((error) => {
      if ((error as GlmTokenError).code !== 'ERR_PASSPHRASE') throw error;
      forget(); // The file was made anew, with another passphrase.
      return openAnyhow(newest);
    });
  };

  const readKeys = async (): Promise<Keys> => {
    const newest = findNewest();
    return newest.text === undefined ? new Map() : (await unlockNewest(newest)).keys;
  };

  /** Makes the file that follows; `edit` returns whether there is anything to change. */
  const change = async (edit: (keys: Map<string, string>) => boolean): Promise<boolean> => {
    for (;;) {
      const newest = findNewest();
      const { keys: before, passphrase } = await unlockNewest(newest);
      const keys = new Map(before);
      if (!edit(keys)) return false;
      const text = await seal(keys, passphrase);
      const name = keyFileName(newest.generation + 1);
      if (!folder.create(name, text)) continue;
      const names = folder.names();
      // A slow writer can take a number that was used and removed: then its change is to be redone.
      const overtaken = names.some((other) => generationOf(other) > newest.generation + 1);
      if (overtaken) {
        folder.remove(name);
        continue;
      }
      for (const other of names) {
        const generation = generationOf(other);
        if (generation > 0 && generation <= newest.generation) folder.remove(other);
      }
      hold({ passphrase, text, keys });
      return true;
    }
  };

  return {
    name: 'file',
    title: `the encrypted file (${folder.path})`,
    get: (account) => alone(async () => (await readKeys()).get(accountName(account))),
    set: (account, text) =>
      alone(async () => {
        await change((keys) => keys.set(accountName(account), text).size > 0);
      }),
    delete: (account) =>
      alone(async () => {
        if (!(await readKeys()).has(accountName(account))) return false;
        return change((keys) => keys.delete(accountName(account)));
      }),
    list: () =>
      alone(async () =>
        [...(await readKeys())].flatMap(([name, text]) => {
          const account = parseAccountName(name);
          return account ? [{ account, text }] : [];
        }),
      ),
    perishes: async () => folder.perishes(),
    unlock: (passphrase) =>
      alone(async () => {
        if (passphrase === undefined) await unlockNewest(findNewest());
        else await open(findNewest(), passphraseBytes(passphrase));
      }),
    lock: () => alone(forget),
    lockState() {
      if (unlocked && !isIdle(unlocked)) return 'unlocked';
      return findNewest().text === undefined ? 'new' : 'locked';
    },
  };
}
