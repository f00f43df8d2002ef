/** The keychain that people have on this system: on Linux a session of our own, elsewhere the user's. */

import { BARE_ENV, type Env } from './environment.ts';
import { KeychainSession } from './keychain.ts';

export interface SystemKeychain {
  /** What the program needs to find it. */
  readonly env: Env;
  stop(): Promise<void>;
}

/** Where it is the user's own, what a test keeps in it must have names that no key of theirs has. */
export async function openSystemKeychain(): Promise<SystemKeychain> {
  if (process.platform === 'linux') return KeychainSession.start();
  const { GLM_TOKEN_STORE: _, ...bare } = BARE_ENV;
  // macOS looks for keychains below HOME, and Windows needs to know whose they are.
  const { HOME = '', USERPROFILE = '', APPDATA = '', LOCALAPPDATA = '' } = process.env;
  const env = { ...bare, HOME, USERPROFILE, APPDATA, LOCALAPPDATA };
  return { env, stop: async () => {} };
}
