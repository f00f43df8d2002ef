/** The figures that SECURITY.md states, and that no run may exceed. */

/** Copies of a secret in memory, whole, in any form. */
export const COPIES = {
  /** In Emacs, of a key that was typed there. */
  typedInEmacs: 20,
  /** In the helper, of a key in the keychain, five seconds after the last token. */
  helperAtRest: 100,
  /** In the helper, of a key in the encrypted file, after `lock`. */
  keyAfterLock: 50,
  /** In the helper, of a key that a command printed, after `lock`. */
  commandKeyAfterLock: 50,
  /** In the helper, of the passphrase, after `lock`. */
  passphraseAfterLock: 20,
};

/** The most memory that a flood makes the helper take, in megabytes, whatever the release of Node. */
export const HELPER_MB = 400;
