/** `glm-token setup`: the guided first run. */

import { type Account, DEFAULT_HOST, DEFAULT_PROFILE, describeAccount } from '../core/account.ts';
import { GlmTokenError } from '../core/errors.ts';
import { DEFAULT_TTL_MS, signToken } from '../core/token.ts';
import type { Store } from '../stores/store.ts';
import { findKey } from '../stores/stores.ts';
import { ACCOUNT_OPTIONS, type Args, type Command, type Context } from './command.ts';
import { confirm, MAX_INPUT_BYTES, readKey, storeKey } from './take-key.ts';

export const setup: Command = {
  name: 'setup',
  summary: 'start here: save the key, get the lines for init.el',
  options: {
    ...ACCOUNT_OPTIONS,
    force: { type: 'boolean', describe: 'replace a stored key without asking' },
  },
  operands: { usage: '[emacs]', words: ['emacs'] },
  examples: [['glm-token setup emacs', 'print the lines for init.el again']],
  async run(context, args, operands) {
    const block = initBlock(context, args);
    if (operands.includes('emacs')) {
      context.print(block);
      return;
    }
    await takeKeyUnlessThere(context, args);
    const account = context.account(args);
    const key = await findKey(context.stores(), account);
    const { token } = await signToken(key, context.clock.now(), DEFAULT_TTL_MS);
    context.note(`glm-token: it works; this token for ${describeAccount(account)} lives 3 minutes`);
    context.print(token);
    context.note('glm-token: and this goes into your init.el');
    context.print(block);
  },
};

async function takeKeyUnlessThere(context: Context, args: Args): Promise<void> {
  const account = context.account(args);
  const stores = context.stores();
  if (await stores.environment?.get(account)) {
    context.note(
      'glm-token: GLM_API_KEY is set, so the key comes from the environment; nothing is stored',
    );
    return;
  }
  const { store, kept } = await chooseStore(context, account);
  const destination = { account, store, force: args.force === true };
  context.note(`glm-token: the key will be kept in ${store.title}`);
  const text =
    kept === undefined || destination.force
      ? await readKey(context, store)
      : await anotherKey(context);
  if (text === undefined) {
    context.note(`glm-token: the key for ${describeAccount(account)} is there already`);
    return;
  }
  try {
    await storeKey(context, text, destination);
  } catch (error) {
    // A keychain can answer, and yet have no keyring that a key could go into.
    const file = await fileInsteadOf(context, store, error);
    await storeKey(context, text, { ...destination, store: file });
  }
}

/** A key that is given though there is one already. */
async function anotherKey(context: Context): Promise<string | undefined> {
  const given = context.interactive ? '' : await context.readInput(MAX_INPUT_BYTES);
  return given.trim() === '' ? undefined : given;
}

/** The store that will do, and the key that it has for the account. */
async function chooseStore(
  context: Context,
  account: Account,
): Promise<{ store: Store; kept?: string | undefined }> {
  const store = await context.stores().primary();
  try {
    return { store, kept: await store.get(account) };
  } catch (error) {
    return { store: await fileInsteadOf(context, store, error) };
  }
}

/** The encrypted file, if that is wanted where no keychain can keep a key; else throws the error. */
async function fileInsteadOf(context: Context, failed: Store, error: unknown): Promise<Store> {
  const { env } = context;
  const unavailable = error instanceof GlmTokenError && error.code === 'ERR_STORE_UNAVAILABLE';
  // GLM_TOKEN_STORE has chosen the keychain.
  if (!unavailable || failed.name !== 'keychain' || env.GLM_TOKEN_STORE) throw error;
  // Whoever set this has chosen the file: it has no other use.
  const chosen = Boolean(env.GLM_TOKEN_PASSPHRASE_FILE);
  if (!chosen && !context.interactive) throw error;
  const file = await context.stores().primary('file');
  context.note(`glm-token: ${error.message}`);
  if (!chosen) await confirm(context, `keep the key in ${file.title} instead?`, error);
  return file;
}

/** The lines for init.el, with absolute paths, so that they work as pasted. */
export function initBlock(context: Context, args: Args): string {
  const { node, script, root } = context.paths;
  const { host, profile } = context.account(args);
  const options = [
    host === DEFAULT_HOST ? '' : ` :host ${lisp(host)}`,
    profile === DEFAULT_PROFILE ? '' : ` :profile ${lisp(profile)}`,
  ].join('');
  return [
    ';; GLM for gptel: a fresh token for each request; the key stays in its store.',
    `(add-to-list 'load-path ${lisp(`${root}/elisp`)})`,
    `(setq glm-gptel-auth-command '(${lisp(node)} ${lisp(script)}))`,
    "(require 'glm-gptel-auth)",
    "(with-eval-after-load 'gptel",
    `  (setq gptel-backend (glm-gptel-auth-make-backend "GLM"${options})`,
    "        gptel-model 'glm-5.3))",
  ].join('\n');
}

/** A string as Emacs Lisp reads it; Windows paths with slashes, as Emacs takes them too. */
function lisp(text: string): string {
  return `"${text.replaceAll('\\', '/').replaceAll('"', '\\"')}"`;
}
