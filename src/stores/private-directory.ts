/** A directory of our own for files: private, and written so that no crash tears or loses anything. */

import {
  closeSync,
  fchmodSync,
  fstatSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  type Stats,
  statfsSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { errnoOf, type FileFault, GlmTokenError } from '../core/errors.ts';
import type { Peril } from './port.ts';
import { IRREGULAR, readRegularFile } from './regular-file.ts';

/** Modes of the directory and of what is in it: for its owner alone. */
const DIRECTORY_MODE = 0o700;
const FILE_MODE = 0o600;

const OTHERS_WRITE = 0o022;

/** Largest file that is read, in bytes: some thousand keys. */
const MAX_FILE_BYTES = 1 << 20;

const TEMPORARY = '.tmp';

/** How long a writer on Windows waits for others to close the file that it replaces. */
const MAX_REPLACE_MS = 2000;
const REPLACE_PAUSE_MS = 20;

export interface DirectoryOptions {
  readonly path: string;
  /** The variable that can move it, such as `XDG_DATA_HOME`; there is none on macOS. */
  readonly parentVariable: string | undefined;
  /** The user who must own it all; `undefined` on Windows, which keeps the user's directory private. */
  readonly uid: number | undefined;
  /** Whether what is in it is run, so that a file which others could write is refused. */
  readonly isRun: boolean;
  /** Called when the mode of a path let others in and has been corrected. */
  readonly onMended: (path: string, mode: string) => void;
}

/** File systems that do not last, by their magic numbers (Linux, statfs(2)). */
const PERISHABLE: Record<number, Peril> = {
  16914836: 'memory', // 0x01021994, tmpfs
  2240043254: 'memory', // 0x858458f6, ramfs
  2035054128: 'container', // 0x794c7630, overlayfs
};

export type PrivateDirectory = ReturnType<typeof privateDirectory>;

/**
 * Files are small and calls few, so all of it is synchronous. Every method throws
 * `ERR_STORE_UNAVAILABLE` when the system refuses, and leaves what was there as it was.
 */
export function privateDirectory(options: DirectoryOptions) {
  const { path, parentVariable, uid, isRun, onMended } = options;
  const hasModes = uid !== undefined;

  /** What the system refused, as an error of ours. */
  const refusal = (action: FileFault['action'], path: string, error: unknown): GlmTokenError => {
    const errno = errnoOf(error);
    return errno === IRREGULAR || errno === 'ELOOP'
      ? new GlmTokenError('fileIrregular', { path }, error)
      : new GlmTokenError('fileRefused', { action, path, errno, parentVariable }, error);
  };

  const attempt = <T>(action: FileFault['action'], path: string, act: () => T): T => {
    try {
      return act();
    } catch (error) {
      throw error instanceof GlmTokenError ? error : refusal(action, path, error);
    }
  };

  /** Refuses what is somebody else's, and closes what others could look into. */
  const protect = (file: string, fd: number, mode: number): void => {
    if (!hasModes) return;
    const stats = fstatSync(fd);
    if (stats.uid !== uid) throw new GlmTokenError('fileOfAnotherUser', { path: file });
    if (isPrivate(stats)) return;
    if (isRun && (stats.mode & OTHERS_WRITE) !== 0) {
      throw new GlmTokenError('fileWritableByOthers', { path: file });
    }
    attempt('protect', file, () => fchmodSync(fd, mode));
    if (!isPrivate(fstatSync(fd))) {
      throw new GlmTokenError('fileOpenToOthers', { path: file, parentVariable });
    }
    onMended(file, mode.toString(8));
  };

  /** Does something to the directory itself, which Windows does not let one open. */
  const withDirectory = (act: (fd: number) => void): void => {
    if (!hasModes) return;
    const fd = openSync(path, 'r');
    try {
      act(fd);
    } finally {
      closeSync(fd);
    }
  };

  const protectDirectory = (): void => withDirectory((fd) => protect(path, fd, DIRECTORY_MODE));

  /** Whether there is a file of that name, whatever kind of file. */
  const has = (name: string): boolean => {
    const file = join(path, name);
    return attempt('read', file, () => lstatSync(file, { throwIfNoEntry: false }) !== undefined);
  };

  return {
    path,
    refusal,
    has,

    /** A file's text, or `undefined` when there is no such file. */
    read(name: string): string | undefined {
      const file = join(path, name);
      if (!has(name)) return undefined;
      return attempt('read', file, () => {
        protectDirectory();
        return readRegularFile(file, MAX_FILE_BYTES, {
          onOpen: (fd) => protect(file, fd, FILE_MODE),
        });
      });
    },

    /** Makes the directory where it is missing. */
    make(): void {
      attempt('write', path, () => {
        mkdirSync(path, { recursive: true, mode: DIRECTORY_MODE });
        protectDirectory();
      });
    },

    /**
     * Writes a file in place of the one that is there, whole or not at all, and removes what killed
     * writers left. To be called by one writer at a time.
     *
     * @param beforeRename the last chance to throw, when all is written and nothing has changed yet
     */
    write(name: string, text: string, beforeRename = (): void => {}): void {
      attempt('write', join(path, name), () => {
        for (const left of readdirSync(path).filter((other) => other.endsWith(TEMPORARY))) {
          rmSync(join(path, left), { force: true });
        }
        const temporary = join(path, `.${crypto.randomUUID()}${TEMPORARY}`);
        try {
          writeFileSync(temporary, text, { mode: FILE_MODE, flag: 'wx', flush: true });
          beforeRename();
          replaceFile(temporary, join(path, name), hasModes);
          withDirectory(fsyncSync);
        } finally {
          rmSync(temporary, { force: true });
        }
      });
    },

    remove(name: string): void {
      attempt('remove', join(path, name), () => {
        rmSync(join(path, name), { force: true });
        withDirectory(fsyncSync);
      });
    },

    /** Why its files will not last, as far as that can be told. */
    perishesWith(): Peril | undefined {
      try {
        return PERISHABLE[statfsSync(path).type];
      } catch {
        return undefined; // It is not there yet, or the system does not tell.
      }
    },
  };
}

const isPrivate = ({ mode }: Stats): boolean => (mode & 0o077) === 0;

/**
 * Windows replaces no file that somebody has open: a reader of ours, for a moment, or a virus scanner.
 * (EPERM was seen under Wine.)
 */
function replaceFile(from: string, to: string, isAtOnce: boolean): void {
  for (let waitedMs = 0; ; waitedMs += REPLACE_PAUSE_MS) {
    try {
      renameSync(from, to);
      return;
    } catch (error) {
      const { code = '' } = error as NodeJS.ErrnoException;
      const isHeld = ['EPERM', 'EACCES', 'EBUSY'].includes(code);
      if (isAtOnce || !isHeld || waitedMs >= MAX_REPLACE_MS) throw error;
    }
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, REPLACE_PAUSE_MS);
  }
}
