/** Every text that people read, in English: by the error or the command that it belongs to. */

import {
  type Account,
  DEFAULT_HOST,
  DEFAULT_PROFILE,
  shownAccount,
  shownHost,
} from '../core/account.ts';
import type { GlmTokenError, KeyFault, ServiceFault, SocketFault } from '../core/errors.ts';
import type { Problem } from '../core/parsed-token.ts';
import { HIDDEN, type System, shellQuote } from '../core/text.ts';
import type { PlanName } from '../service/services.ts';
import type { KeyOrigin, StoreLabel } from '../stores/port.ts';
import {
  accountFlags,
  durationIn,
  type ErrorTexts,
  networkFault,
  oneLine,
  type SocketFaultText,
  shownIn,
  type Text,
} from './common.ts';

/** `2 min 55 s` */
export const duration = durationIn({ day: 'd', hour: 'h', minute: 'min', second: 's' });

/** `api.z.ai (profile work)` */
const accountTitle = (account: Account): string => {
  const { host, profile } = shownAccount(account);
  return profile === DEFAULT_PROFILE ? host : `${host} (profile ${profile})`;
};

const storeTitle = ({ name, place }: StoreLabel): string =>
  ({
    keychain: `the keychain (${place})`,
    file: `the encrypted file (${place})`,
    command: `the commands that print keys (${place})`,
    environment: 'the environment (GLM_API_KEY)',
  })[name];

const KEY_FAULTS: Record<KeyFault, string> = {
  empty: 'no API key was given',
  long: 'this is too long for an API key (id.secret)',
  url: 'this is a URL, not an API key (id.secret)',
  token: 'this is a token (JWT), not the API key (id.secret) that signs one',
  unprintable: 'this is not an API key (id.secret): it has spaces or unprintable characters',
  'no-dot': 'this is not an API key (id.secret): it has no dot',
  dots: 'this is not an API key (id.secret): it has more than one dot',
  'no-id': 'this is not an API key (id.secret): its id is empty',
  'no-secret': 'this is not an API key (id.secret): its secret is empty',
  'more-than-id': 'there is more than an API key (id.secret): give the key alone, without its name',
  'id-not-ascii': 'this is not an API key (id.secret): its id has characters other than ASCII',
};

const fileFaults = (
  parentVariable: string | undefined,
): Readonly<Record<string, readonly [reason: string, cure: string]>> => ({
  ENOSPC: ['the disk is full', 'free some space and try again; nothing was changed'],
  EDQUOT: ['your disk quota is used up', 'free some space and try again; nothing was changed'],
  EROFS: [
    'the disk is read-only',
    parentVariable
      ? `set ${parentVariable} to a directory that can be written`
      : 'make it writable',
  ],
  EACCES: ['permission denied', 'check its owner and permissions'],
});

const KEY_IN_HISTORY = 'if that was a key, it is in your shell history now: remove it there';

const UNLOCK_KEYCHAIN =
  'unlock it (log in to the desktop, or open it in its own program) and try again';

const CHECK_PASSPHRASE_FILE = 'check GLM_TOKEN_PASSPHRASE_FILE, which names that file';

const SOCKET_FAULTS: Record<Extract<SocketFault, string>, SocketFaultText> = {
  missing: {
    message: (path) => `there is no socket at ${path}`,
    hint: (program) =>
      `start the helper (${program} daemon --socket), or log in again with the ssh -R that forwards it; without GLM_TOKEN_SOCKET, this machine's own keys are used`,
  },
  refused: {
    message: (path) =>
      `nothing answers at ${path}: the helper, or the ssh login that forwarded it, has ended`,
    hint: (program) =>
      `start the helper (${program} daemon --socket), or log in again with the ssh -R that forwards it`,
  },
  closed: {
    message: (path) => `${path} was closed without an answer`,
    hint: () =>
      'try again; over ssh, check that the helper runs on the machine that you came from: glm-token daemon --socket',
  },
  silent: {
    message: (path) => `the helper at ${path} did not answer in time`,
    hint: () => 'check the connection, or restart the helper',
  },
  unintelligible: {
    message: (path) => `what answers at ${path} is not a helper of glm-token`,
    hint: () => 'check GLM_TOKEN_SOCKET',
  },
};

const NETWORK_CURES: Record<ReturnType<typeof networkFault>, (variable: string) => string> = {
  'certificate date': () =>
    "its certificate is not valid by this machine's clock: check the clock, it may be off by months",
  certificate: () =>
    'its certificate is not trusted here; behind a proxy that inspects traffic, set NODE_EXTRA_CA_CERTS to its certificate',
  'proxy names': (variable) => `let the proxy resolve names: use socks5h:// in ${variable}`,
  proxy: (variable) => `check ${variable}, and that the proxy is running`,
  network: () => 'check the network and the name of the host; behind a proxy, set https_proxy',
};

/**
 * @param program how the program is called, ready to paste into a shell
 * @param system the one that commands in hints are for
 */
export function english(program: string, system: System = 'posix') {
  const isWindows = system === 'windows';
  const flagsOf = (account: Account) => accountFlags(account, system);
  const toUse = (store: StoreLabel) =>
    isWindows
      ? `to use ${storeTitle(store)} in new terminals: setx GLM_TOKEN_STORE ${store.name}`
      : `to use ${storeTitle(store)}: export GLM_TOKEN_STORE=${store.name}`;
  const seeHelp = (command: string) => `see: ${program} ${command} --help`;
  /** The cure for a line with what may be a key, or else another one. */
  const afterKey = (shown: readonly string[], otherwise: string) =>
    shown.includes(HIDDEN) ? KEY_IN_HISTORY : otherwise;
  const nameShell = (shells: readonly string[]) =>
    `name the shell: ${shells.map((shell) => `${program} completion ${shell}`).join(', ')}`;
  const storeAgain = (account: Account) => `${program} store --force${flagsOf(account)}`;
  const useFile = (flags: string) =>
    `keep the key in an encrypted file: ${program} store --store file${flags}`;

  /** The cure for a key that the service does not accept, where it comes from. */
  const changeKey = (account: Account, origin: KeyOrigin | undefined): string => {
    if (!origin) {
      return 'the helper has the key: check it in the console, and change it where the helper runs';
    }
    if (origin.name === 'environment') {
      return 'the key comes from GLM_API_KEY: check it in the console, set the variable again, and restart what inherited it';
    }
    if (origin.name === 'command') {
      const command = origin.program ?? 'a command';
      return `the key comes from ${command}: check it in the console, and change it where ${command} finds it; the next request runs ${command} again`;
    }
    return `the key is in ${storeTitle(origin)}: check it in the console, and store it again: ${storeAgain(account)}`;
  };
  const serviceFaultsWith = (
    checkKey: string,
  ): Readonly<Record<ServiceFault, { message: string; hint: string }>> => ({
    unauthenticated: {
      message: 'the service could not authenticate the request',
      hint: checkKey,
    },
    noToken: {
      message: 'the service received no token',
      hint: 'a proxy may have removed the Authorization header',
    },
    unreadableToken: {
      message: 'the service could not read the token',
      hint: `see what is in it: ${program} inspect`,
    },
    expiredToken: {
      message: 'the service says that the token has expired',
      hint: `this machine's clock may be behind (to check it: ${program} doctor), or the token's lifetime too short: use 3m or more`,
    },
    refusedKey: {
      message: 'the service refuses the key: it was revoked or mistyped',
      hint: checkKey,
    },
    noBalance: {
      message: 'the account has no balance left',
      hint: 'recharge it in the console; a Coding Plan key needs the Coding Plan endpoint',
    },
    accountUnusable: {
      message: 'the account is inactive, locked or unknown',
      hint: "see the console, or ask the service's support",
    },
    badRequest: {
      message: 'the service does not accept a parameter of the request',
      hint: "check the backend's :request-params, and whether the model supports them",
    },
    noSuchModel: {
      message: 'the service does not know this model',
      hint: "check the model's name; the Coding Plan endpoint has fewer models",
    },
    noSuchApi: {
      message: 'the key may not use this API, or the API does not exist',
      hint: "check the backend's :endpoint and the plan of the key",
    },
    duplicate: {
      message: 'the service is still working on the same request',
      hint: 'wait for its answer',
    },
    promptTooLong: {
      message: 'the prompt is longer than the model accepts',
      hint: 'start a new chat, or send less context',
    },
    internal: {
      message: 'the service failed',
      hint: 'try again later',
    },
    unsafe: {
      message: 'the service flagged the prompt or answer as unsafe',
      hint: 'rephrase it',
    },
    busy: {
      message: 'too many requests, or the model is busy',
      hint: 'wait a little and try again',
    },
    quotaUsedUp: {
      message: "the day's or the plan's quota is used up",
      hint: 'wait until it is renewed, or use another key',
    },
    planExpired: {
      message: 'the Coding Plan has expired',
      hint: 'renew it, or use the pay-as-you-go endpoint',
    },
    modelNotInPlan: {
      message: 'the plan does not include this model',
      hint: 'use another model',
    },
    policy: {
      message: "the account's policy does not allow this request",
      hint: 'see the console',
    },
  });
  const serviceFault = (fault: ServiceFault, account: Account, origin: KeyOrigin | undefined) =>
    serviceFaultsWith(changeKey(account, origin))[fault];

  const errors: ErrorTexts = {
    unexpected: ({ reason }) => ({
      message: `unexpected error: ${reason}`,
      hint: `this is a bug in glm-token; please report it with the output of: ${program} doctor --json`,
    }),
    outputFailed: ({ errno }) => ({
      message: `cannot write to standard output (${errno})`,
      hint: 'check where it goes: the disk may be full, or it may be closed',
    }),

    commandMissing: ({ command }) => ({
      message: command ? 'the command has to come before its options' : 'no command was given',
      hint: command ? `use: ${program} ${command} OPTIONS` : `see: ${program} --help`,
    }),
    commandUnknown: ({ given, near }) => ({
      message: `there is no command ${given}`,
      hint: near ? `did you mean ${near}?` : afterKey([given], `see: ${program} --help`),
    }),
    optionUnknown: ({ command, given, value, near }) => ({
      message: `there is no option ${given}`,
      hint: near ? `did you mean ${near}?` : afterKey([given, value], seeHelp(command)),
    }),
    optionValueMissing: ({ command, option }) => ({
      message: `--${option} needs a value`,
      hint: seeHelp(command),
    }),
    optionValueUnexpected: ({ command, option }) => ({
      message: `--${option} takes no value`,
      hint: seeHelp(command),
    }),
    optionNotAChoice: ({ option, given, choices }) => ({
      message: `--${option} cannot be ${given}`,
      hint: `use one of: ${choices.join(', ')}`,
    }),
    argumentUnexpected: ({ command, given }) => ({
      message: `glm-token ${command} takes no arguments, and a key is never one`,
      hint: afterKey([given], seeHelp(command)),
    }),
    argumentNotAChoice: ({ command, given, choices }) => ({
      message: `glm-token ${command} does not take ${given}`,
      hint: afterKey([given], `use one of: ${choices.join(', ')}`),
    }),
    shellUnnamed: ({ shells }) => ({
      message: 'cannot tell which shell this is: SHELL is not set',
      hint: nameShell(shells),
    }),
    shellUnknown: ({ given, shells }) => ({
      message: `there is no completion for ${given}, the shell that SHELL names`,
      hint: nameShell(shells),
    }),
    settingInvalid: ({ variable, problem }) => {
      const { message, hint } = describe(problem as GlmTokenError);
      return { message: `${variable}: ${message}`, hint };
    },
    languageUnknown: ({ given }) => ({
      message: `GLM_TOKEN_LANG: there are no messages in ${given}, so they are in English`,
      hint: 'set it to en or zh',
    }),
    settingNotAChoice: ({ given, choices }) => ({
      message: `${given} is not a store`,
      hint: `use one of: ${choices.join(', ')}`,
    }),
    homeNotAbsolute: () => ({
      message: 'must be an absolute path, or keys would land in the current directory',
      hint: 'set it to an absolute path',
    }),
    hostInvalid: ({ given }) => ({
      message: `${given} is not a host`,
      hint: `use a host such as ${DEFAULT_HOST} or api.z.ai`,
    }),
    profileInvalid: ({ given, maxCharacters }) => ({
      message: `${given} is not a profile name`,
      hint: `use 1 to ${maxCharacters} visible characters, in UTF-8`,
    }),
    hostMistyped: ({ account, meant }) => ({
      message: `no key is stored for ${accountTitle(account)}, but there is a key for ${accountTitle(meant)}`,
      hint: 'check the host',
    }),
    durationInvalid: ({ given }) => ({
      message: `${given} is not a duration`,
      hint: 'use a number and a unit such as 5m, 2h or 30d, from 1s to 365d',
    }),
    methodUnknown: () => ({
      message: 'the helper does not know this method',
      hint: 'update glm-token and its client together',
    }),
    parameterInvalid: ({ parameter }) => ({
      message: `the parameter ${parameter} must be a string`,
    }),
    parameterNotWords: ({ parameter }) => ({
      message: `the parameter ${parameter} must be a list of strings, and not an empty one`,
    }),
    keyExists: ({ account, existing }) => ({
      message: `${existing ? `another key (${existing})` : 'something else'} is stored for ${accountTitle(account)}; it was kept`,
      hint: `to replace it: ${storeAgain(account)}`,
    }),
    deletionUnconfirmed: ({ account }) => ({
      message: 'cannot ask for confirmation without a terminal; nothing was deleted',
      hint: `to delete without confirmation: ${program} delete --force${flagsOf(account)}`,
    }),
    answeredNo: () => ({ message: 'nothing was changed' }),
    choiceInvalid: ({ given, count }) => ({
      message: `${given} is not one of the choices`,
      hint: `type a number from 1 to ${count}, or press Enter for the one in brackets`,
    }),
    answerUnclear: ({ given }) => ({
      message: `${given} is neither yes nor no`,
      hint: 'type y or n, or press Enter for the one in capitals',
    }),
    environmentIsReadOnly: () => ({
      message: 'the key is in the environment (GLM_API_KEY), which glm-token cannot change',
      hint: 'unset GLM_API_KEY to use a key that is kept in a store',
    }),
    terminalEchoes: () => ({
      message: 'this terminal, in Emacs, would show what you type',
      hint: 'use M-x glm-gptel-auth-store, or another terminal',
    }),
    execWithoutProgram: () => ({
      message: 'there is no program to run',
      hint: `put it after the options: ${program} exec -- PROGRAM ...`,
    }),
    execVariableInvalid: () => ({
      message: '--env is not the name of a variable',
      hint: 'use one such as OPENAI_API_KEY; the token is put into it',
    }),
    programMissing: ({ given }) => ({
      message: `there is no program ${given}`,
      hint: 'check its name and PATH',
    }),
    programNotExecutable: ({ errno }) => ({
      message: `the program cannot be run (${errno})`,
      hint: 'check that it is a program, and its mode',
    }),
    daemonWithoutTransport: () => ({
      message: 'daemon requires either --stdio or --socket',
      hint: seeHelp('daemon'),
    }),
    optionNeedsSocket: ({ option }) => ({
      message: `--${option} belongs with --socket`,
      hint: seeHelp('daemon'),
    }),
    accountsAreReadOnly: () => ({
      message: '--accounts is read-only, so it cannot be combined with --allow-write',
      hint: 'leave one of them out, or start a second helper on another socket',
    }),
    storeIsElsewhere: ({ path }) => ({
      message: `GLM_TOKEN_SOCKET is set, so the helper at ${path} decides which store is read`,
      hint: 'leave out --store, or unset GLM_TOKEN_SOCKET to use the stores of this machine',
    }),
    socketPathInvalid: ({ isRelative, maxBytes }) => ({
      message: isRelative
        ? 'the path of a socket must be absolute'
        : 'this path is too long for a socket',
      hint: `use an absolute path of at most ${maxBytes} bytes`,
    }),
    writingNotAllowed: () => ({
      message: 'this helper is read-only',
      hint: `use glm-token where the helper runs, or start it with --allow-write`,
    }),
    lifetimeTooLong: ({ maxTtlMs }) => ({
      message: `the helper signs tokens for at most ${duration(maxTtlMs)}`,
      hint: 'ask for a shorter lifetime',
    }),
    accountNotServed: ({ account, accounts }) => ({
      message: `the helper gives no tokens for ${accountTitle(account)}`,
      hint: `it serves: ${accounts.map(accountTitle).join(', ')}; to change that, start it with other --accounts`,
    }),
    storeWithoutCommand: () => ({
      message: '--from-command needs the command that prints the key',
      hint: `put it after the options: ${program} store --from-command -- pass show glm`,
    }),
    commandAndStore: () => ({
      message: '--from-command stores no key, so --store does not apply',
      hint: 'leave one of them out',
    }),
    commandNotAllowed: () => ({
      message:
        'a command that prints a key cannot be set through a socket, since it would run there',
      hint: `run where the helper runs: ${program} store --from-command -- COMMAND ...`,
    }),
    keyInCommand: () => ({
      message: 'the command contains the key, so it was not stored',
      hint: `store the key itself instead: ${program} store`,
    }),
    tokenMissing: ({ isKey }) =>
      isKey
        ? {
            message: 'that is an API key, not a token (JWT)',
            hint: `if it was an argument, it is in your shell history now; store it with: ${program} store`,
          }
        : {
            message: 'no token (JWT) found',
            hint: `give a token: three parts with dots between them, as ${program} print makes it`,
          },

    keyNotFound: ({ account, others, inEnvironment }) => {
      const store = `run: ${program} store${flagsOf(account)}`;
      const known = others.map(accountTitle).join(', ');
      return {
        message: `no key is stored for ${accountTitle(account)}${
          inEnvironment ? ` (GLM_API_KEY is for ${accountTitle(inEnvironment)})` : ''
        }`,
        hint: known ? `${store}; there is a key for: ${known}` : store,
      };
    },
    nothingToDelete: ({ account }) => ({
      message: `no key is stored for ${accountTitle(account)}`,
      hint: `to see what is stored: ${program} list`,
    }),
    noKeyYet: () => ({ message: 'no key is stored yet', hint: `run: ${program} store` }),
    noKeyFile: () => ({
      message: 'there is no encrypted file, so it has no passphrase',
      hint: `to make one: ${program} store --store file`,
    }),
    nothingToMove: ({ store }) => ({
      message: `there is no key in ${storeTitle(store)} to move`,
      hint: `to see what is stored: ${program} list`,
    }),

    keyInvalid: ({ fault }) => ({
      message: KEY_FAULTS[fault],
      hint: 'copy the whole key from bigmodel.cn/usercenter/proj-mgmt/apikeys or z.ai/manage-apikey/apikey-list',
    }),
    storedKeyInvalid: ({ account, store }) =>
      store.name === 'environment'
        ? {
            message: 'GLM_API_KEY does not hold an API key (id.secret)',
            hint: 'set it to the key as the GLM console shows it, or unset it',
          }
        : {
            message: `what is stored for ${accountTitle(account)} in ${storeTitle(store)} is not an API key`,
            hint: `store it again: ${storeAgain(account)}`,
          },

    keyCommandPrintedNoKey: ({ account, program: name, fault }) => ({
      message:
        fault === 'empty'
          ? `${name} printed no key for ${accountTitle(account)}`
          : `what ${name} printed for ${accountTitle(account)} cannot be used: ${KEY_FAULTS[fault]}`,
      hint: 'the first line of its output has to be the key',
    }),
    keyCommandFailed: ({ account, program: name, fault, hasTerminal, said }) => {
      if (fault === 'endless') {
        return {
          message: `${name} was stopped: it printed more than 1 MiB`,
          hint: 'the first line of its output has to be the key',
        };
      }
      const { status } = fault;
      const how = typeof status === 'number' ? `with status ${status}` : `by ${status}`;
      return {
        message: `${name} gave no key for ${accountTitle(account)}: it ended ${how}${said ? ` and said: ${said}` : ''}`,
        hint: hasTerminal
          ? 'see what it printed; a password manager may be locked'
          : 'a password manager may be locked, or may need a terminal to ask at; or it needs variables of your shell that are not set here, such as GNUPGHOME, PASSWORD_STORE_DIR or VAULT_ADDR',
      };
    },
    keyCommandNotRun: ({ account, given, errno }) =>
      errno === 'ENOENT'
        ? {
            message: `there is no program ${given} to print the key for ${accountTitle(account)}`,
            hint: `give its absolute path, since Emacs may have another PATH than your shell: ${program} store --from-command${flagsOf(account)} -- /path/to/program ...`,
          }
        : {
            message: `${given} cannot be run (${errno})`,
            hint: 'check that it is a program, and its mode',
          },
    fileWritableByOthers: ({ path }) => ({
      message: `others can write to ${path}, so no command in it is run`,
      hint: `check what is in it, then run: chmod go-w ${shellQuote(path)}`,
    }),

    keychainLibraryMissing: ({ isLinux }, flags) => ({
      message: 'the keychain cannot be used: its native library does not load',
      hint: isLinux
        ? `install libsecret (Debian: apt install libsecret-1-0), or ${useFile(flags)}`
        : `reinstall glm-token, or ${useFile(flags)}`,
    }),
    keychainMissing: ({ hasBus }, flags) => ({
      message: hasBus
        ? 'there is no keychain: no program on the session bus of D-Bus keeps keys (Secret Service)'
        : 'there is no keychain: no session bus of D-Bus is running',
      hint: hasBus
        ? `start one: GNOME Keyring, KWallet, or KeePassXC with its Secret Service integration switched on; or ${useFile(flags)}`
        : `log in to a desktop session, or ${useFile(flags)}`,
    }),
    busOutOfReach: ({ isAbstract, other }, flags) => {
      const cures = [
        ...(other ? [`set DBUS_SESSION_BUS_ADDRESS to ${other}, where a session bus answers`] : []),
        ...(isAbstract ? ['use Node 22 or later, which reaches an abstract address'] : []),
        'log in again if that session is over',
      ];
      return {
        message:
          'the keychain cannot be asked: nothing answers at the address in DBUS_SESSION_BUS_ADDRESS',
        hint: [cures.join('; '), ...(other ? [] : [`otherwise, ${useFile(flags)}`])],
      };
    },
    keyringMissing: (_params, flags) => ({
      message: 'the keychain has no default keyring to keep a key in',
      hint: `create one (in Seahorse: Passwords and Keys; in KeePassXC: settings of the open database, Secret Service Integration, "Expose entries under this group"), log in to the desktop once, or ${useFile(flags)}`,
    }),
    keychainFailed: ({ reason }) => ({
      message: `the keychain failed: ${oneLine(reason)}`,
      hint: 'log out and in again',
    }),
    keychainSessionRefused: ({ reason }) => ({
      message: `the keychain service answers, but does not hand out keys: ${oneLine(reason)}`,
      hint: 'on KDE, install the OpenSSL plugin of QCA (Debian: libqca-qt6-plugins; for KDE 5: libqca-qt5-2-plugins) and log in again',
    }),
    keychainSilent: () => ({
      message: 'the keychain service does not answer',
      hint: 'restart it, for example by logging out and in again',
    }),
    keychainKeepsAnother: (_params, flags) => ({
      message:
        'the key was stored, but another keyring has another key for this account, which is read in its place',
      hint: `delete both, then store it again: ${program} delete${flags}`,
    }),
    fileRefused: ({ action, path, errno, parentVariable }) => {
      const [reason, cure] = fileFaults(parentVariable)[errno] ?? [
        errno,
        `check the directory and its disk${
          parentVariable ? `, or set ${parentVariable} to another directory` : ''
        }`,
      ];
      return { message: `cannot ${action} ${path}: ${reason}`, hint: cure };
    },
    fileOfAnotherUser: ({ path }) => ({
      message: `${path} belongs to another user and is not trusted`,
      hint: 'make it your own with chown, or remove it',
    }),
    fileIrregular: ({ path }) => ({
      message: `${path} is not a regular file, or is larger than 1 MiB`,
      hint: 'see what it is, and move it away; links are not followed',
    }),
    fileOpenToOthers: ({ path, parentVariable }) => ({
      message: `others can access ${path}, and its file system does not support permissions`,
      hint: parentVariable
        ? `set ${parentVariable} to a directory on another disk`
        : 'its directory has to be on another disk',
    }),
    fileDeclined: ({ account }) => ({
      message: 'nothing was stored',
      hint: [
        `once the keychain is there and unlocked: ${program} setup${flagsOf(account)}`,
        `with the encrypted file after all: ${program} setup --store file${flagsOf(account)}`,
      ],
    }),
    fileBusy: ({ path }) => ({
      message: `another glm-token is writing ${path}`,
      hint: 'try again; nothing was changed',
    }),

    keysNotMoved: ({ problem, from }) => ({
      message: `${describe(problem as GlmTokenError).message}; keys that were not moved stay in ${storeTitle(from)}`,
      hint: [
        `to see what the keychain needs: ${program} list --store keychain`,
        `then: ${program} move --to keychain`,
      ],
    }),
    keyNotKept: ({ account, problem }) => {
      const flags = flagsOf(account);
      return {
        message: `the key was not stored: ${describe(problem as GlmTokenError).message}`,
        hint: [
          isWindows
            ? `with a passphrase in a file: set GLM_TOKEN_PASSPHRASE_FILE to its path, then run: type KEYFILE | ${program} setup${flags}`
            : `with a passphrase in a file: GLM_TOKEN_PASSPHRASE_FILE=FILE ${program} setup${flags} < KEYFILE`,
          isWindows
            ? 'without storing it: set GLM_API_KEY to the key'
            : `without storing it: export GLM_API_KEY="$(cat KEYFILE)"`,
          `on a terminal, which asks for a passphrase: ${program} setup${flags}`,
        ],
      };
    },

    keychainLocked: () => ({ message: 'the keychain is locked', hint: UNLOCK_KEYCHAIN }),
    keychainDenied: () => ({
      message: "the keychain's program did not allow it",
      hint: 'try again, and allow it when its window asks; a helper that was denied has to be restarted first',
    }),
    keychainAsksLater: ({ about }) =>
      about === 'keychain'
        ? {
            message: 'the keychain is locked; the next request asks to unlock it',
            hint: `to unlock it now, run: ${program} print`,
          }
        : {
            message: "the keychain's program has not allowed this key to be read yet",
            hint: 'the next request asks for it: allow it in the window that opens then',
          },
    keychainPromptUnanswered: ({ seconds }) => ({
      message: `the keychain's prompt was not answered within ${seconds} s`,
      hint: UNLOCK_KEYCHAIN,
    }),

    keyCommandRunsLater: ({ account, program: name }) => ({
      message: `${name} prints the key for ${accountTitle(account)}, and was not run now`,
      hint: 'the next request runs it',
    }),
    keyCommandUnanswered: ({ account, program: name, seconds }) => ({
      message: `${name} gave no key for ${accountTitle(account)} within ${seconds} s`,
      hint: 'answer its prompt, or unlock the password manager, and try again; GLM_TOKEN_PROMPT_TIMEOUT sets the limit',
    }),

    passphraseNeeded: ({ isNew }) => ({
      message: isNew
        ? 'the new encrypted file needs a passphrase'
        : 'the encrypted file needs its passphrase',
      hint: 'run it on a terminal, or set GLM_TOKEN_PASSPHRASE_FILE to a file that holds it',
    }),
    passphraseWrong: ({ path }) => ({
      message: `wrong passphrase for the encrypted file (${path})`,
      hint: 'try again; without the passphrase, the keys cannot be recovered',
    }),
    passphraseInFileWrong: ({ passphraseFile }) => ({
      message: `${passphraseFile} does not hold the passphrase of the encrypted file`,
      hint: CHECK_PASSPHRASE_FILE,
    }),
    passphraseEmpty: () => ({
      message: 'an empty passphrase protects nothing',
      hint: 'try again with another one; nothing was stored',
    }),
    passphrasesDiffer: () => ({
      message: 'the passphrases do not match',
      hint: 'try again; nothing was stored',
    }),
    passphraseFileUnreadable: ({ passphraseFile, errno }) => ({
      message: `cannot read the passphrase from ${passphraseFile} (${errno === 'EIRREGULAR' ? 'not a small regular file' : errno})`,
      hint: CHECK_PASSPHRASE_FILE,
    }),
    passphraseFileEmpty: ({ passphraseFile }) => ({
      message: `there is no passphrase in ${passphraseFile}: its first line is empty`,
      hint: CHECK_PASSPHRASE_FILE,
    }),

    keyFileDamaged: ({ path }) => ({
      message: `the encrypted file (${path}) is damaged`,
      hint: `restore it from a backup, or remove it and run: ${program} store --store file`,
    }),
    commandFileDamaged: ({ path }) => ({
      message: `${path} is damaged`,
      hint: `mend it, or remove it and store the command again: ${program} store --from-command -- COMMAND ...`,
    }),

    protocolUnknown: ({ version, protocol }) => ({
      message: `the helper (glm-token ${version}) uses protocol ${protocol}, but its client uses another`,
      hint: 'update glm-token and glm-gptel-auth.el together, then restart Emacs',
    }),
    clientUnintelligible: () => ({
      message: 'the client does not speak JSON-RPC 2.0 in frames',
      hint: 'update glm-token and its client together',
    }),
    clientMessageTooLong: () => ({
      message: 'the client sent a message that is too long',
      hint: 'update glm-token and its client together',
    }),
    keychainRestarted: () => ({
      message: 'the keychain service was restarted, and this process cannot reach the new one',
      hint: 'restart the helper',
    }),

    socketsNotOnWindows: () => ({
      message: 'sockets are not supported on Windows',
      hint: 'use the helper that Emacs starts, or unset GLM_TOKEN_SOCKET',
    }),
    runtimeDirectoryMissing: () => ({
      message: 'XDG_RUNTIME_DIR is not set, so the socket has no default place',
      hint: `name its path, in a directory of your own: ${program} daemon --socket PATH`,
    }),
    socketDirectoryUnsafe: ({ path, isOthers }) =>
      isOthers
        ? {
            message: `${path} is not your own directory, so no socket is made in it`,
            hint: 'use a directory of your own',
          }
        : {
            message: `others may write to ${path}, so no socket is made in it`,
            hint: `run: chmod 700 ${shellQuote(path)}`,
          },
    socketPathTaken: ({ path }) => ({
      message: `${path} is there already, and is not a socket`,
      hint: 'move it away, or use another path',
    }),
    socketRefused: ({ path, errno }) => ({
      message: `cannot make the socket ${path} (${errno})`,
      hint: 'check its directory, or use another path',
    }),
    socketPassedInvalid: () => ({
      message: 'the socket from systemd is not private to you',
      hint: 'write its unit as docs/integrations.md has it, with DirectoryMode=0700 and SocketMode=0600',
    }),
    helperRunning: ({ path }) => ({
      message: `a helper is running at ${path} already`,
      hint: `to use it: export GLM_TOKEN_SOCKET=${shellQuote(path)}`,
    }),
    socketUnanswered: ({ path, fault }) => {
      if (typeof fault !== 'string') {
        return {
          message: `cannot connect to ${path} (${fault.errno})`,
          hint: 'check GLM_TOKEN_SOCKET, and the owner and mode of what it names',
        };
      }
      const { message, hint } = SOCKET_FAULTS[fault];
      return { message: message(path), hint: hint(program) };
    },
    socketOfAnotherUser: ({ path }) => ({
      message: `the socket ${path} belongs to another user and is not trusted`,
      hint: 'check GLM_TOKEN_SOCKET',
    }),
    helperReported: ({ message, hint }) => ({
      message,
      hint: hint === undefined ? undefined : `${hint} (on the machine of the helper)`,
    }),

    hostUnreachable: (params) => {
      const { host, proxy, fault, seconds } = params;
      const through = proxy ? ` through the proxy ${proxy}` : '';
      const reason = fault === 'timeout' ? `no answer within ${seconds} s` : fault;
      return {
        message: `cannot reach ${host}${through}: ${reason}`,
        hint: NETWORK_CURES[networkFault(params)](params.variable ?? ''),
      };
    },
    proxyInvalid: ({ variable }) => ({
      message: `${variable} is not the URL of a proxy`,
      hint: 'set it to one such as http://127.0.0.1:7890',
    }),
    tokenRefused: ({ account, origin, status, serviceCode, fault }) => {
      const answer = `${account.host} answers ${status}${serviceCode ? `, code ${serviceCode}` : ''}`;
      if (!fault && !serviceCode && status === 200) {
        return {
          message: `${answer}, but not as the service does`,
          hint: 'a proxy, or the login page of a network, may have answered in its place',
        };
      }
      if (!fault) {
        return { message: answer, hint: 'see the list at docs.z.ai/api-reference/api-code' };
      }
      const { message, hint } = serviceFault(fault, account, origin);
      return { message: `${answer}: ${message}`, hint };
    },
  };

  /** @param about the account in question, for the commands in hints */
  const describe = (error: GlmTokenError, about?: Account): Text => {
    const text = errors[error.reason] as (params: unknown, flags: string) => Text;
    return text(shownIn(error.params), about ? flagsOf(about) : '');
  };

  const keyFor = (account: Account) => `the key for ${accountTitle(account)}`;
  const linesAgain = (account: Account | undefined, plan: PlanName) =>
    `${program} setup emacs${account ? flagsOf(account) : ' --all'}${plan === 'coding' ? ' --plan coding' : ''}`;

  return {
    describe,
    serviceFault,
    storeTitle,
    none: 'none',
    hintLabel: 'hint: ',

    shortLifetime: {
      message: 'warning: the service may refuse tokens that are valid for less than 3 minutes',
      hint: 'use --ttl 3m or more',
    },
    waiting: (program: string | undefined) =>
      program
        ? `waiting for ${program} …`
        : 'waiting for the keychain; unlock it if it prompts you',
    modeMended: (path: string, mode: string) =>
      `others could access ${path}; its mode is now ${mode}`,

    yesOrNo: (byDefault: boolean) => (byDefault ? 'Y/n' : 'y/N'),
    /** `undefined` when it is neither. */
    meansYes: (answer: string): boolean | undefined =>
      /^y(es)?$/i.test(answer) || (/^no?$/i.test(answer) ? false : undefined),
    askChoice: (byDefault: number) => `Choice [${byDefault}]: `,
    askKey: 'API key (id.secret, not shown): ',
    askToken: 'Token (not shown): ',
    askPassphrase: 'Passphrase of the encrypted file: ',
    askPassphraseAfterWrong: 'Wrong passphrase. Try again: ',
    askNewPassphrase: 'New passphrase for the encrypted file: ',
    askPassphraseAgain: 'Repeat passphrase: ',
    askHost: (account: Account) => `Go on with ${shownHost(account.host)}?`,
    askReplace: (account: Account, existing: string | undefined) =>
      `Another key${existing ? ` (${existing})` : ''} is stored for ${accountTitle(account)}. Replace it?`,
    askDelete: (account: Account, store: StoreLabel) =>
      store.name === 'command'
        ? `Delete the command that prints ${keyFor(account)}?`
        : `Delete ${keyFor(account)} from ${storeTitle(store)}?`,
    askFileInstead: (store: StoreLabel) => `Keep the key in ${storeTitle(store)} instead?`,

    help: {
      usage: 'Usage: ',
      sentence: (summary: string) => `${summary.charAt(0).toUpperCase()}${summary.slice(1)}.`,
      purpose: 'Fresh short-lived tokens for the GLM API, from a key in the OS keychain.',
      groups: {
        start: 'Start',
        use: 'Use',
        keys: 'Keys',
        trouble: 'When something is wrong',
        programs: 'For Emacs and for shells',
      },
      options: 'Options',
      builtIn: {
        help: 'show this help, or that of a command',
        helpOfCommand: 'show this help',
        helpCommand: 'show the help of a command',
        version: 'show the version',
        endOfOptions: 'what follows is the program to run',
      },
      examplesTitle: 'Examples',
      examples: [
        ['glm-token setup', 'start here'],
        ['glm-token store --host api.z.ai', 'save a key for the international endpoint'],
        ['glm-token print', 'see a token'],
      ] as Examples,
      epilogue: [
        '--host HOST and --profile NAME, or GLM_TOKEN_HOST and GLM_TOKEN_PROFILE, name the account.',
        'GLM_API_KEY holds a key for CI.',
      ],
    },

    commands: {
      setup: {
        summary: 'start here: save the key, get the lines for init.el',
        options: {
          ...ACCOUNT_TEXTS,
          plan: 'plan that the key is for',
          store: STORE_TEXT,
          all: 'print lines for every account that has a key',
          check: 'check the key with the service, without asking first',
          force: 'replace a stored key without asking',
          rehearse: 'use a made-up key, held in memory, and store nothing',
          'rehearse-without-key': '',
        },
        examples: [['glm-token setup emacs', 'print the lines for init.el again']] as Examples,
      },
      store: {
        summary: 'save the API key, typed in or from standard input',
        options: {
          ...ACCOUNT_TEXTS,
          store: STORE_TEXT,
          'from-command': 'keep the command that prints the key, and not the key',
          force: 'replace a stored key without asking',
        },
        examples: [
          ['glm-token store', 'asks for the key, without echo'],
          ['glm-token store --host api.z.ai < FILE', 'takes it from standard input'],
          ['glm-token store --from-command -- pass show glm', 'leaves it in a password manager'],
        ] as Examples,
      },
      print: {
        summary: 'print a fresh token',
        options: {
          ...ACCOUNT_TEXTS,
          ttl: 'lifetime of the token: 5m, 2h, 30d',
          format: 'what to print',
          store: 'store to read the key from',
        },
        examples: [
          ['glm-token print --ttl 1h', 'a token that is valid for an hour'],
          ['glm-token print --format header | curl -H @- URL', 'a header for curl'],
        ] as Examples,
      },
      exec: {
        summary: 'run a program with a token in its environment',
        options: {
          ...ACCOUNT_TEXTS,
          env: 'variable to put the token in',
          ttl: 'lifetime of the token',
        },
        examples: [
          ['glm-token exec -- python chat.py', 'the program never sees the key'],
          ['glm-token exec --env MY_KEY -- ./chat', 'in a variable of your choice'],
        ] as Examples,
      },
      list: {
        summary: 'show which accounts have a key',
        options: { store: 'store to look into', json: 'print JSON' },
        examples: [] as Examples,
      },
      delete: {
        summary: 'remove a stored key',
        options: {
          ...ACCOUNT_TEXTS,
          store: 'store to remove it from',
          force: 'remove it without asking',
        },
        examples: [] as Examples,
      },
      move: {
        summary: 'move all keys to the other store',
        options: {
          to: 'store to move them to',
          force: 'replace keys that are there without asking',
        },
        examples: [
          ['glm-token move --to file', 'from the keychain to the encrypted file'],
        ] as Examples,
      },
      passphrase: {
        summary: 'change the passphrase of the encrypted file',
        options: {},
        examples: [] as Examples,
      },
      inspect: {
        summary: 'show what is in a token, and what is wrong with it',
        options: { json: 'print JSON' },
        examples: [
          ['glm-token print | glm-token inspect', 'from standard input'],
          ["glm-token inspect 'Bearer eyJ...'", 'as pasted, with or without the header'],
        ] as Examples,
      },
      doctor: {
        summary: 'find out why there is no token, and what to do',
        options: {
          ...ACCOUNT_TEXTS,
          live: 'send a token to the service, and explain its answer',
          json: 'print JSON',
        },
        examples: [] as Examples,
      },
      daemon: {
        summary: 'give tokens to Emacs, which starts it, or to several programs',
        options: {
          stdio: 'speak JSON-RPC on standard input and output, as Emacs starts it',
          socket: 'speak it on a Unix socket, for every program with GLM_TOKEN_SOCKET',
          accounts: 'serve tokens for these accounts alone, read-only: PROFILE@HOST,...',
          'allow-write': 'let clients store and delete keys',
          'lock-after': 'lock the encrypted file after this much idle time',
          'exit-after': 'end after this much idle time',
        },
        examples: [
          ['glm-token daemon --socket', 'one unlocked helper for every Emacs and shell'],
          ['glm-token daemon --socket PATH --accounts work@api.z.ai', 'one to forward over ssh'],
        ] as Examples,
      },
      completion: {
        summary: 'print a completion script for bash, zsh or fish',
        options: {},
        examples: [
          ['eval "$(glm-token completion bash)"', 'a line for ~/.bashrc'],
          ['eval "$(glm-token completion zsh)"', 'a line for ~/.zshrc'],
          ['glm-token completion fish | source', 'a line for config.fish'],
        ] as Examples,
      },
    },

    setup: {
      askService: 'Which service is the key for?',
      services: {
        china: (host: string) => `China (${host})`,
        international: (host: string) => `international (${host})`,
      },
      askPlan: 'Which plan?',
      plans: { 'pay-as-you-go': 'pay-as-you-go', coding: 'GLM Coding Plan' },
      codingTerms: {
        message:
          "warning: the Coding Plan's terms name the tools that it may be used with; gptel may not be one of them",
        hint: 'read them first: a key of the plan can be suspended for other use',
      },
      getKey: (url: string) => `get the key at ${url}`,
      usesEnvironment:
        'GLM_API_KEY is set, so the key comes from the environment; nothing is stored',
      destination: (store: StoreLabel) => `the key will be kept in ${storeTitle(store)}`,
      askKeep: (id: string, account: Account) =>
        `Key ${id} is stored for ${accountTitle(account)}. Use it?`,
      askCheck: (host: string) =>
        `Check the key with ${host} now? This sends one small chat request (max_tokens=1).`,
      checking: (host: string) => `checking the key with ${host}`,
      /** `freeModel`: one that answers though the account has no balance. */
      accepted: (account: Account, freeModel: string | null): Text =>
        freeModel
          ? {
              message: `checked: the service accepts ${keyFor(account)}, but the account has no balance, so only free models answer`,
              hint: `recharge it in the console, or use a free model: (setq gptel-model '${freeModel})`,
            }
          : { message: `checked: the service accepts ${keyFor(account)}` },
      notChecked: ({ message, hint }: Text): Text => ({ message: `not checked: ${message}`, hint }),
      askOtherPlan: (plan: PlanName) => `Try the endpoint of ${PLAN_TITLES[plan]}?`,
      initBlock: 'put these lines into your init.el',
      initComment: ';; GLM for gptel: a fresh token for each request; the key stays in its store.',
      /** `account`: the one that the lines are for, if that is one alone. */
      initMissing: (account: Account | undefined, plan: PlanName) =>
        `its files have moved; get new lines with: ${linesAgain(account, plan)}`,
      unstable: (paths: readonly string[], account: Account, plan: PlanName): Text => ({
        message: `warning: these paths change with an upgrade: ${paths.join(', ')}`,
        hint: `after one, get new lines with: ${linesAgain(account, plan)}`,
      }),
      next: {
        message:
          'next, in Emacs: M-x package-install RET gptel (if you have none yet), restart, M-x gptel',
      },
      rehearsed: (ttlMs: number) => ({
        message: `this was a rehearsal: a made-up key signed a token for ${duration(ttlMs)}, and nothing was stored`,
        hint: `with your own key: ${program} setup`,
      }),
    },
    store: {
      destination: (account: Account, store: StoreLabel) =>
        `${keyFor(account)} will be kept in ${storeTitle(store)}`,
      stored: (account: Account, id: string, store: StoreLabel) =>
        `stored key ${id} for ${accountTitle(account)} in ${storeTitle(store)}`,
      outOfSight: (accounts: readonly Account[], other: StoreLabel, inUse: StoreLabel): Text => ({
        message: `warning: keys are read from ${storeTitle(inUse)} from now on; those in ${storeTitle(other)} are not used (${accounts.map(accountTitle).join(', ')})`,
        hint: [`to move them: ${program} move --to ${inUse.name}`, toUse(other)],
      }),
      commandStored: (account: Account, id: string, name: string): Text => ({
        message: `${keyFor(account)} (${id}) comes from ${name} from now on`,
      }),
      /** `origin` is where the key is read from, in place of the store that it was put into. */
      readElsewhere: (account: Account, store: StoreLabel, { name, place }: StoreLabel): Text => {
        if (name === 'environment') {
          return { message: 'warning: GLM_API_KEY is set and takes precedence' };
        }
        if (name === 'command') {
          return {
            message: `warning: a command prints ${keyFor(account)}, and takes precedence`,
            hint: `to remove it: ${program} delete --store command${flagsOf(account)}`,
          };
        }
        return {
          message: `warning: keys are currently read from ${storeTitle({ name, place })}`,
          hint: toUse(store),
        };
      },
      socketPrecedes: (path: string) =>
        `warning: GLM_TOKEN_SOCKET is set, so tokens come from the helper at ${path}`,
    },
    move: {
      moved: (account: Account, store: StoreLabel) =>
        `moved ${keyFor(account)} to ${storeTitle(store)}`,
      kept: (account: Account, store: StoreLabel) =>
        `${keyFor(account)} stays in ${storeTitle(store)}`,
    },
    passphrase: {
      changed: (store: StoreLabel) => `changed the passphrase of ${storeTitle(store)}`,
      fileIsOld: (path: string) =>
        `warning: ${path} holds the old passphrase; put the new one there`,
    },
    delete: {
      deleted: (account: Account, store: StoreLabel) =>
        store.name === 'command'
          ? `deleted the command that prints ${keyFor(account)}; the key stays where it is`
          : `deleted ${keyFor(account)} from ${storeTitle(store)}`,
      fileRemoved: (inUse: StoreLabel) =>
        `that was its last key, so the file was removed; keys go to ${storeTitle(inUse)} from now on`,
    },
    list: {
      columns: { host: 'HOST', profile: 'PROFILE', id: 'ID', store: 'STORE' },
      notAKey: '(not a key)',
      notAllowed: '(not allowed yet)',
      inUse: (store: StoreLabel) => `keys are read from ${storeTitle(store)}`,
      asked: (socket: string) => `these are the accounts of the helper at ${socket}`,
      unused: (accounts: readonly Account[], store: StoreLabel, to: StoreLabel): Text => ({
        message: `${storeTitle(store)} has keys that are not used: ${accounts.map(accountTitle).join(', ')}`,
        hint: `to move them: ${program} move --to ${to.name}`,
      }),
      unseen: (store: StoreLabel): Text => ({
        message: `${storeTitle(store)} is locked, so its keys are not listed`,
        hint: `to list them: ${program} list --store ${store.name}`,
      }),
    },
    inspect: {
      labels: {
        header: 'header',
        claims: 'claims',
        signature: 'signature',
        issued: 'issued',
        expires: 'expires',
        signer: 'signed by',
        problem: 'problem',
        problems: 'problems',
      },
      signature: (start: string, characters: number) => `${start}… (${characters} characters)`,
      time: (utc: string, fromNowMs: number) => {
        const distance = duration(Math.abs(fromNowMs));
        return `${utc} UTC, ${fromNowMs > 0 ? `in ${distance}` : `${distance} ago`}`;
      },
      timeMissing: 'not stated',
      signedBy: (account: Account, store: StoreLabel) =>
        `${keyFor(account)} in ${storeTitle(store)}`,
      signedByOther: 'another key than the stored one with its api_key',
      signerUnknown: (reason: string) => `unknown: ${reason}`,
      noSuchKey: 'no key with its api_key is stored',
      problem: (problem: Problem): Text & { hint: string } => describeProblem(problem, program),
    },
    doctor: {
      levels: { ok: 'ok', warning: 'warning', failure: 'failure', unchecked: 'unchecked' },
      environment: {
        message:
          'GLM_API_KEY is set and takes precedence; every program started from here can read the key',
        hint: 'for everyday use, store the key, and unset GLM_API_KEY',
      },
      environmentUnused: {
        message:
          'GLM_API_KEY is set, but GLM_TOKEN_SOCKET takes precedence; every program started from here can read the key',
        hint: 'unset the one that you do not need',
      },
      helperAnswers: (path: string, version: string, store: string) =>
        `GLM_TOKEN_SOCKET is set: glm-token ${version} answers at ${path}, with keys from ${store}`,
      tokenCame: (account: Account) =>
        `the helper gave a well-formed token for ${accountTitle(account)}`,
      passphraseFileOpen: (path: string) => ({
        message: `others can read the passphrase in ${path}`,
        hint: `run: chmod 600 ${shellQuote(path)}`,
      }),
      lockedUntilNeeded: (store: StoreLabel) =>
        `${storeTitle(store)}, locked; the next request asks for its passphrase`,
      store: storeTitle,
      perils: {
        memory: 'in memory, so its keys are lost at a reboot',
        container: 'in a container, so its keys are lost with it',
        session: 'its default keyring is that of the session, so its keys are lost at logout',
      },
      keepElsewhere: 'keep the key somewhere else as well',
      keyWellFormed: (id: string, account: Account, name: string | undefined) =>
        `key ${id} for ${accountTitle(account)}${name ? `, which ${name} printed,` : ''} is well-formed`,
      hostAnswers: (host: string, ms: number, proxy: string | undefined) =>
        `${host} answers in ${Math.round(ms)} ms${proxy ? `, through the proxy ${proxy}` : ''}`,
      clockUnknown: (host: string) => ({
        message: `${host} does not say its time`,
        hint: "compare this machine's clock with another one",
      }),
      clockRight: (host: string, offMs: number) => `within ${duration(offMs)} of ${host}`,
      /** `ttlMs`: the lifetime of tokens. */
      clockOff: (host: string, offsetMs: number, ttlMs: number, command: string) => ({
        message: `${duration(Math.abs(offsetMs))} ${offsetMs > 0 ? 'behind' : 'ahead of'} ${host}, so that tokens ${offsetMs < 0 ? 'are from the future' : offsetMs < ttlMs ? 'expire that much sooner there, and may be refused' : 'are expired on arrival'}`,
        hint: `set it right: ${command}`,
      }),
      asAdministrator: (command: string) => `${command} (as administrator)`,
      clockFirst:
        'set the clock right first, as above: a wrong clock alone makes the service refuse',
      notTried: (account: Account | undefined) => ({
        message: 'whether the service accepts the key was not tried',
        hint: `to try it: ${program} doctor --live${account ? flagsOf(account) : ''}`,
      }),
    },
    daemon: {
      listening: (path: string, accounts: readonly Account[] | undefined): Text => ({
        message: `listening at ${path}${accounts ? `, for these accounts alone: ${accounts.map(accountTitle).join(', ')}` : ''}`,
        hint: `programs use it with GLM_TOKEN_SOCKET=${shellQuote(path)} in their environment`,
      }),
    },
  };
}

export type Messages = ReturnType<typeof english>;

type Examples = readonly (readonly [line: string, meaning: string])[];

const STORE_TEXT = 'where: the OS keychain, or an encrypted file for a machine without one';

const PLAN_TITLES: Record<PlanName, string> = {
  'pay-as-you-go': 'pay-as-you-go',
  coding: 'the GLM Coding Plan',
};

const ACCOUNT_TEXTS = {
  host: `API host that the key is for [${DEFAULT_HOST}]`,
  profile: `which of several keys [${DEFAULT_PROFILE}]`,
};

function describeProblem(problem: Problem, program: string): Text & { hint: string } {
  switch (problem.what) {
    case 'alg':
      return {
        message: `alg is ${problem.found ?? 'missing'}, and the service accepts HS256 alone`,
        hint: 'sign it with HMAC and SHA-256',
      };
    case 'sign_type':
      return {
        message: `sign_type is ${problem.found ?? 'missing'} in the header`,
        hint: 'add "sign_type": "SIGN" to the header',
      };
    case 'api_key missing':
      return {
        message: 'api_key is missing',
        hint: 'set it to the id of the key, the part before the dot',
      };
    case 'whole key':
      return {
        message: `${problem.claim} holds a whole key, with its secret, for everyone to read`,
        hint: 'put only the id into api_key, and replace the key in the console: it has leaked',
      };
    case 'time missing':
      return {
        message: `${problem.claim} is missing`,
        hint: 'add it, in milliseconds since 1970',
      };
    case 'time fractional':
      return {
        message: `${problem.claim} is not a whole number`,
        hint: 'use milliseconds since 1970',
      };
    case 'time unit':
      return {
        message: `${problem.claim} is in ${problem.unit}, and the service expects milliseconds`,
        hint: 'use milliseconds since 1970, a number of 13 digits',
      };
    case 'exp before timestamp':
      return {
        message: 'exp is not after timestamp',
        hint: 'set exp to timestamp plus the lifetime',
      };
    case 'from the future':
      return {
        message: `it was signed ${duration(problem.byMs)} in the future: one of the clocks is wrong`,
        hint: `compare this one with the service: ${program} doctor`,
      };
    case 'expired':
      return {
        message: `it expired ${duration(problem.byMs)} ago`,
        hint: `sign a new one: ${program} print; if it was just signed, its lifetime (--ttl) was too short, or the clock is wrong: ${program} doctor`,
      };
    case 'signature':
      return {
        message: 'the signature is not that of the stored key with its api_key',
        hint: `sign with the bytes of the secret as UTF-8, or store the key again: ${program} store --force`,
      };
  }
}
