/** A folder of our own for files: private, and written so that no crash tears or loses anything. */

import {
  chmodSync,
  closeSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  type Stats,
  statfsSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { GlmTokenError } from '../core/errors.ts';

/** Modes of the folder and of what is in it: for its owner alone. */
const FOLDER_MODE = 0o700;
const FILE_MODE = 0o600;

/** A temporary file this old, in milliseconds, is one that a crash left behind. */
const LEFT_BEHIND_AFTER_MS = 60_000;

const isPrivate = (mode: number) => (mode & 0o077) === 0;

const isTemporary = (name: string) => name.startsWith('.') && name.endsWith('.tmp');

export interface FolderOptions {
  readonly path: string;
  /** Of the user, who must own it all; `undefined` on Windows, which keeps the user's folder private. */
  readonly uid: number | undefined;
  /** Called with a line for the person when something was put right. */
  readonly note: (line: string) => void;
}

/**
 * Files are small and calls few, so all of it is synchronous. Every method throws
 * `ERR_STORE_UNAVAILABLE` when the system refuses, and leaves what was there as it was.
 */
export interface Folder {
  readonly path: string;
  /** The names of the files in it; none when there is no folder yet. */
  names(): string[];
  /** A file's text, or `undefined` when there is no such file. */
  read(name: string): string | undefined;
  /** Writes a file that is not there yet, whole or not at all; `false` when there is one. */
  create(name: string, text: string): boolean;
  /** Writes a file, whole or not at all, in place of the one that is there. */
  replace(name: string, text: string): void;
  remove(name: string): void;
  /** What stands against the files being there after a reboot, if anything is known to. */
  perishes(): string | undefined;
}

/** File systems that do not last, by their magic numbers (Linux, statfs(2)). */
const PERISHABLE: Record<number, string> = {
  16914836: 'it is in memory (tmpfs), and gone after a reboot', // 0x01021994
  2240043254: 'it is in memory (ramfs), and gone after a reboot', // 0x858458f6
  2035054128: 'it is in a container, and gone with it', // 0x794c7630, overlayfs
};

export function privateFolder({ path, uid: user, note }: FolderOptions): Folder {
  const hasModes = user !== undefined;

  /** Refuses what is somebody else's, and closes what others could look into. */
  const checkPrivate = (file: string, { uid, mode }: Stats, wanted: number): void => {
    if (!hasModes) return;
    if (uid !== user) {
      throw new GlmTokenError(
        'ERR_STORE_UNAVAILABLE',
        `${file} belongs to another user, and is not trusted`,
        'give it to yourself with chown, or remove it',
      );
    }
    if (isPrivate(mode)) return;
    attempt(`close ${file} to others`, () => chmodSync(file, wanted));
    if (!isPrivate(statSync(file).mode)) {
      throw new GlmTokenError(
        'ERR_STORE_UNAVAILABLE',
        `others can get at ${file}, and its disk knows no modes that would keep them out`,
        'set XDG_DATA_HOME to a folder on another disk',
      );
    }
    note(`glm-token: others could get at ${file}; its mode is ${wanted.toString(8)} now`);
  };

  /** Whether it is there, and private. Asked for each token, so without a costly exception. */
  const isThere = (file: string, mode: number): boolean => {
    const stats = statSync(file, { throwIfNoEntry: false });
    if (stats) checkPrivate(file, stats, mode);
    return stats !== undefined;
  };

  /** Writes and syncs a temporary file, has `publish` give it its name, and syncs that. */
  const write = (name: string, text: string, publish: (temporary: string) => boolean): boolean =>
    attempt(`write ${join(path, name)}`, () => {
      mkdirSync(path, { recursive: true, mode: FOLDER_MODE });
      checkPrivate(path, statSync(path), FOLDER_MODE);
      const temporary = join(path, `.${crypto.randomUUID()}.tmp`);
      try {
        writeFileSync(temporary, text, { mode: FILE_MODE, flag: 'wx', flush: true });
        const published = publish(temporary);
        if (hasModes) sync(path);
        return published;
      } finally {
        rmSync(temporary, { force: true });
      }
    });

  const folder: Folder = {
    path,
    names() {
      return attempt(`read ${path}`, () => {
        if (!isThere(path, FOLDER_MODE)) return [];
        return readdirSync(path).filter((name) => !isTemporary(name));
      }, []);
    },
    read(name) {
      const file = join(path, name);
      return attempt<string | undefined>(
        `read ${file}`,
        () => (isThere(file, FILE_MODE) ? readFileSync(file, 'utf8') : undefined),
        undefined,
      );
    },
    create(name, text) {
      const created = write(name, text, (temporary) => {
        try {
          linkSync(temporary, join(path, name)); // Unlike rename, it replaces nothing.
          return true;
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
          throw error;
        }
      });
      removeLeftBehind(path);
      return created;
    },
    replace(name, text) {
      write(name, text, (temporary) => {
        renameSync(temporary, join(path, name));
        return true;
      });
    },
    remove(name) {
      attempt(`remove ${join(path, name)}`, () => rmSync(join(path, name), { force: true }));
    },
    perishes() {
      return attempt(`read ${path}`, () => PERISHABLE[statfsSync(path).type], undefined);
    },
  };
  return folder;
}

function sync(directory: string): void {
  const fd = openSync(directory, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** Removes what writers that were killed left; it holds nothing that was promised to anybody. */
function removeLeftBehind(path: string): void {
  for (const name of readdirSync(path).filter(isTemporary)) {
    const { mtimeMs } = statSync(join(path, name), { throwIfNoEntry: false }) ?? {};
    if (mtimeMs && Date.now() - mtimeMs > LEFT_BEHIND_AFTER_MS) {
      rmSync(join(path, name), { force: true });
    }
  }
}

const REASONS: Record<string, [reason: string, cure: string]> = {
  ENOSPC: ['the disk is full', 'free some space and try again; what was there is as it was'],
  EDQUOT: ['your quota is used up', 'free some space and try again; what was there is as it was'],
  EROFS: ['it is on a read-only disk', 'set XDG_DATA_HOME to a folder that can be written'],
  EACCES: ['permission denied', 'check who owns it and its mode'],
};

/** Does something to the file system; `absent`, when given, is for what is not there. */
function attempt<T>(what: string, act: () => T, ...absent: [] | [T]): T {
  try {
    return act();
  } catch (error) {
    if (error instanceof GlmTokenError) throw error;
    const { code = '', syscall } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' && absent.length > 0) return absent[0] as T;
    const [reason, cure] = REASONS[code] ?? [
      syscall === 'link' ? `no hard links there, ${code}` : code || String(error),
      'check the folder and its disk, or set XDG_DATA_HOME to another',
    ];
    throw new GlmTokenError('ERR_STORE_UNAVAILABLE', `cannot ${what}: ${reason}`, cure, error);
  }
}
