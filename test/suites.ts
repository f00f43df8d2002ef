/** The suites of tests: what each proves, which files it has, what it needs, and where it can run. */

import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';

/** Something that a suite needs from the system. */
export interface Need {
  readonly what: string;
  /** A line of shell that succeeds where it is there. */
  readonly check: string;
  /** The Debian packages that have it; the first one that this Debian knows is installed. */
  readonly debian?: readonly string[];
  /** How it is had on macOS, where that is not said by its name. */
  readonly mac?: string;
  /** What test/support/fetch.sh fetches it with, into node_modules/.cache; and how large that is. */
  readonly fetch?: { readonly name: string; readonly size: string };
}

const CACHE = 'node_modules/.cache/glm-token';

const command = (name: string, debian: string, what = name): Need => ({
  what,
  check: `command -v ${name}`,
  debian: [debian],
});

const fetched = (name: string, what: string, size: string): Need => ({
  what,
  check: `test -e ${CACHE}/${name}/done`,
  fetch: { name, size },
});

const EMACS: Need = {
  ...command('emacs', 'emacs-nox', 'Emacs 28.1 or later'),
  mac: 'brew install emacs',
};
const PYTHON: Need = {
  what: 'python3 with PyJWT',
  check: 'python3 -c "import jwt" || /usr/bin/python3 -c "import jwt"',
  debian: ['python3-jwt'],
  mac: 'python3 -m pip install pyjwt',
};
const GPTEL = fetched('elpa', 'gptel, and what it needs', '3 MB');
const PACKAGE_MANAGERS = fetched('managers', 'npm 10, pnpm 12 and yarn 1', '90 MB');
const DISPLAY = [
  command('Xvfb', 'xvfb', 'Xvfb, a screen that nobody sees'),
  command('xdotool', 'xdotool', 'xdotool, which types into windows'),
];
const SSH = [
  command('ssh', 'openssh-client', 'ssh'),
  command('ip', 'iproute2', 'ip (iproute2)'),
  command('nsenter', 'util-linux', 'nsenter (util-linux)'),
  {
    // Not installed, since its package would open a port of this machine.
    ...fetched('sshd', 'sshd', '2 MB'),
    check: `PATH="$PATH:/usr/sbin" command -v sshd || test -e ${CACHE}/sshd/done`,
  },
];
const PASSWORD_MANAGERS = [
  command('pass', 'pass', 'pass, the password store'),
  command('gpg-agent', 'gnupg', 'GnuPG (gpg-agent)'),
  command('age', 'age'),
];
const SHELLS = [command('zsh', 'zsh'), command('fish', 'fish')];
const KWALLET: readonly Need[] = [
  {
    what: 'KWallet (kwalletd6, or kwalletd5)',
    check: 'command -v kwalletd6 || command -v kwalletd5',
    debian: ['kwallet6', 'libkf5wallet-bin'],
  },
  {
    what: 'the OpenSSL plugin of QCA, for the same Qt as KWallet',
    check:
      'q=qt5; if command -v kwalletd6; then q=qt6; fi; ls /usr/lib*/qca-$q/crypto/libqca-ossl.so /usr/lib/*/qca-$q/crypto/libqca-ossl.so | grep .',
    debian: ['libqca-qt6-plugins', 'libqca-qt5-2-plugins'],
  },
];
const PROMPTER: Need = {
  what: 'gcr, which shows the prompts of gnome-keyring',
  check: 'test -e /usr/share/dbus-1/services/org.gnome.keyring.SystemPrompter.service',
  debian: ['gcr'],
};

const MANUAL = [command('man', 'man-db', 'man (man-db)'), command('mandoc', 'mandoc', 'mandoc')];

/** What nearly every file needs: a keychain, Emacs with gptel, and the reference for tokens. */
const CORE: readonly Need[] =
  process.platform === 'linux'
    ? [
        EMACS,
        command('curl', 'curl'),
        command('git', 'git'),
        command('dbus-daemon', 'dbus-daemon', 'D-Bus (dbus-daemon)'),
        command('dbus-send', 'dbus-bin', 'the tools of D-Bus (dbus-send)'),
        command('gnome-keyring-daemon', 'gnome-keyring', 'gnome-keyring'),
        {
          what: 'libsecret',
          check: '/sbin/ldconfig -p | grep libsecret-1',
          debian: ['libsecret-1-0'],
        },
        PYTHON,
        command('systemd-socket-activate', 'systemd'),
        command('unshare', 'util-linux', 'unshare (util-linux)'),
        GPTEL,
      ]
    : process.platform === 'darwin'
      ? [EMACS, PYTHON]
      : [];

export interface Suite {
  readonly name: string;
  readonly proves: string;
  /**
   * Whether it has a file, a path below test/. Core has those that no other suite `claims`, so that a
   * new file is run by `npm test` unless something is said here.
   */
  readonly has: (file: string) => boolean;
  readonly claims: boolean;
  readonly needs: readonly Need[];
  /** Why it cannot run on this system, whatever is installed. */
  readonly unavailable?: () => string | undefined;
  /** How many files run at the same time; one, where a test has a time limit of somebody else's. */
  readonly atOnce: number;
  /** How long a file may take. */
  readonly minutes: number;
  readonly env?: Readonly<Record<string, string>>;
}

/** Whether a path begins with one of these. */
const starts =
  (...beginnings: readonly string[]) =>
  (file: string): boolean =>
    beginnings.some((beginning) => file.startsWith(beginning));

function defineSuite(
  name: string,
  proves: string,
  has: (file: string) => boolean,
  more: Partial<Suite>,
): Suite {
  return { name, proves, has, claims: true, needs: CORE, atOnce: 1, minutes: 10, ...more };
}

const onLinux = (): string | undefined =>
  process.platform === 'linux' ? undefined : 'it runs on Linux';

/** Runs a line of shell; why it cannot go on, when that failed. */
const unless = (line: string, why: string) => (): string | undefined =>
  onLinux() ?? (spawnSync('sh', ['-c', line], { stdio: 'ignore' }).status === 0 ? undefined : why);

/** Every suite, in the order in which they run. */
export const SUITES: readonly Suite[] = [
  defineSuite('core', 'the main job: units, command line, helper, gptel in Emacs', isCore, {
    claims: false,
    atOnce: 3,
  }),
  defineSuite(
    'emacs',
    'the Emacs package in a second Emacs, an older or a newer one',
    (file) => /^(elisp\/(?!straight|pass)|docs\.)/.test(file),
    {
      claims: false, // What no package manager is in, core runs with the first Emacs.
      needs: [
        ...CORE,
        PACKAGE_MANAGERS,
        {
          ...fetched('second-emacs', 'a second Emacs, with its libraries', '300 MB'),
          check: `test -n "$GLM_TEST_SECOND_EMACS" || test -e ${CACHE}/second-emacs/done`,
        },
      ],
      unavailable: onLinux,
      atOnce: 2,
      env: { GLM_TEST_EMACS: 'second' },
    },
  ),
  defineSuite('kwallet', 'KWallet as the keychain', starts('stores/kwallet.'), {
    needs: [...CORE, ...KWALLET, ...DISPLAY],
    unavailable: onLinux,
  }),
  defineSuite('keepassxc', 'KeePassXC as the keychain', starts('stores/keepassxc.'), {
    needs: [
      ...CORE,
      command('keepassxc', 'keepassxc', 'KeePassXC'),
      command('busctl', 'systemd'),
      ...DISPLAY,
    ],
    unavailable: onLinux,
  }),
  defineSuite('prompts', 'the windows in which gnome-keyring asks', starts('stores/prompter.'), {
    needs: [...CORE, PROMPTER, ...DISPLAY],
    unavailable: onLinux,
  }),
  defineSuite(
    'shells',
    'completion in bash, zsh and fish, and the manual page',
    starts('cli/completion.', 'man-page.'),
    {
      needs: [...CORE, ...SHELLS, ...MANUAL],
      unavailable: onLinux,
    },
  ),
  defineSuite(
    'passwords',
    'keys that password managers print: pass, age',
    starts('stores/key-commands.', 'elisp/pass.'),
    {
      needs: [...CORE, ...PASSWORD_MANAGERS],
      unavailable: onLinux,
    },
  ),
  defineSuite(
    'packages',
    'installing with npm, pnpm, yarn and npx, from Emacs too, and removing it',
    starts('install.', 'elisp/npm.'),
    { needs: [...CORE, PACKAGE_MANAGERS, ...MANUAL], unavailable: onLinux, minutes: 20 },
  ),
  defineSuite('sshd', 'tokens over ssh, with a real sshd', starts('daemon/ssh.'), {
    needs: [...CORE, ...SSH],
    unavailable: unless(
      'test "$(id -u)" = 0 && unshare --net --mount true',
      'a user and a network of its own need root, and namespaces',
    ),
  }),
  defineSuite('prove', 'the promises of SECURITY.md, in the short form', starts('prove.'), {
    needs: [
      ...CORE,
      ...SSH,
      ...PASSWORD_MANAGERS,
      ...DISPLAY,
      command('strace', 'strace', 'strace, which shows the order of system calls'),
      command('setpriv', 'util-linux', 'setpriv (util-linux)'),
      command('zsh', 'zsh'),
    ],
    unavailable: onLinux,
    minutes: 20,
  }),
  defineSuite('pictures', 'the pictures of the pages show what is true now', starts('pictures.'), {
    needs: [...CORE, command('ip', 'iproute2', 'ip (iproute2)')],
    unavailable: unless(
      'test "$(id -u)" = 0 || user="--user --map-root-user"; unshare --mount --net $user mount -t tmpfs tmpfs /mnt',
      'there are no namespaces for it',
    ),
  }),
  defineSuite('straight', 'straight.el and elpaca install it', starts('elisp/straight.'), {
    unavailable: unless(
      'timeout 20 git ls-remote -q https://github.com/progfolio/elpaca.git HEAD',
      'git cannot reach the repositories of straight.el and elpaca',
    ),
  }),
  defineSuite('nodes', 'each Node from the oldest to the newest', starts('nodes.'), {
    needs: [
      ...CORE,
      ...KWALLET,
      PROMPTER,
      ...DISPLAY,
      ...SHELLS,
      ...MANUAL,
      ...PASSWORD_MANAGERS,
      ...SSH,
    ],
    unavailable: onLinux,
    minutes: 60,
  }),
  defineSuite('wine', 'Windows, as Wine implements it', starts('windows/windows.'), {
    needs: [
      ...CORE,
      {
        what: 'Wine for 64-bit programs (wine64)',
        check: 'command -v wine64 || test -e /usr/lib/wine/wine64',
        debian: ['wine64'],
      },
      fetched('windows', 'Node for Windows', '75 MB'),
    ],
    unavailable: onLinux,
    minutes: 30,
  }),
  defineSuite(
    'fresh',
    'the README on other machines made new than those that CI makes',
    starts('fresh-machine.'),
    {
      needs: [
        command('mmdebstrap', 'mmdebstrap', 'mmdebstrap, which makes a Debian'),
        command('git', 'git'),
      ],
      unavailable: unless('test "$(id -u)" = 0', 'it needs root'),
      minutes: 60,
    },
  ),
];

function isCore(file: string): boolean {
  return !SUITES.some((suite) => suite.claims && suite.has(file));
}

export const suiteNamed = (name: string): Suite | undefined =>
  SUITES.find((suite) => suite.name === name);

/** Every test file, as a path below test/; those that take longest first, so that none is waited for. */
export const testFiles = (): string[] => {
  const files = readdirSync(import.meta.dirname, { recursive: true, encoding: 'utf8' })
    .map((file) => file.replaceAll('\\', '/'))
    .filter((file) => file.endsWith('.test.ts'))
    .sort();
  const isLong = starts('elisp/', 'stores/', 'daemon/');
  return [...files.filter(isLong), ...files.filter((file) => !isLong(file))];
};

/** The suite that runs a file, where one is asked for by its path. */
export const suiteOf = (file: string): Suite | undefined => SUITES.find((suite) => suite.has(file));

/** What runs on every system: it keeps away from keychains, or uses the system's with care. */
const ANYWHERE = starts(
  'core/',
  'messages/',
  'service/error-codes.',
  'service/services.',
  'commands/inspect.',
  'stores/contract.',
  'cli/command-line.',
  'cli/help.',
  'language.',
  'settings.',
);

/** Whether a file of core runs on a system; elsewhere the program would find the user's own keychain. */
export const runsOn = (file: string, platform: NodeJS.Platform): boolean =>
  platform === 'linux' ||
  ANYWHERE(file) ||
  (platform === 'darwin' && starts('elisp/install.', 'stores/private-directory.')(file));

/** Where test/support/fetch.sh puts things, below the checkout. */
export const CACHE_DIRECTORY = join(import.meta.dirname, '..', CACHE);
