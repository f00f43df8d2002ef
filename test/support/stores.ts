/** Stores on a directory of a test's own. */

import assert from 'node:assert/strict';
import { FileStore } from '../../src/stores/file.ts';
import type { StoresWorld } from '../../src/stores/port.ts';
import { privateDirectory } from '../../src/stores/private-directory.ts';

/** A directory of this user's, which nobody else can look into. */
export const openDirectory = (path: string, { isRun = false } = {}) =>
  privateDirectory({
    path,
    parentVariable: undefined,
    uid: process.getuid?.(),
    isRun,
    onMended: (path) => assert.fail(path),
  });

/** Enough of PBKDF2 for a test; the program's own number takes a tenth of a second each time. */
export const ROUNDS = 1000;

/** The encrypted file in a directory; without a passphrase by default, and for as long as it takes. */
export const openFile = (path: string, world: Partial<StoresWorld> = {}): FileStore =>
  new FileStore(
    {
      directory: () => openDirectory(path),
      passphraseFile: undefined,
      askPassphrase: async () => undefined,
      lockAfterMs: Number.POSITIVE_INFINITY,
      now: Date.now,
      ...world,
    },
    ROUNDS,
  );
