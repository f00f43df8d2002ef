/** The files by which systemd and launchd start the helper, with the paths and options of this one. */

export interface Unit {
  readonly node: string;
  readonly script: string;
  /** Where the helper is to listen; by default, in the runtime directory of the user. */
  readonly socket: string | undefined;
  readonly env: NodeJS.ProcessEnv;
}

/** Idle time after which a helper ends that systemd starts again when it is needed. */
const EXIT_AFTER = '1h';

/** The options that the helper is to be started with, as they were given here. */
const KEPT_OPTIONS = ['accounts', 'allow-write', 'lock-after', 'exit-after'] as const;

/** Settings that a session's services do not get from a shell. GLM_API_KEY is none: it is a key. */
const KEPT_VARIABLES = [
  'GLM_TOKEN_HOST',
  'GLM_TOKEN_PROFILE',
  'GLM_TOKEN_STORE',
  'GLM_TOKEN_PASSPHRASE_FILE',
  'GLM_TOKEN_PROMPT_TIMEOUT',
  'XDG_DATA_HOME',
  'XDG_CONFIG_HOME',
] as const;

type Options = Readonly<
  Partial<Record<(typeof KEPT_OPTIONS)[number], string | boolean | undefined>>
>;

const optionWords = (args: Options): string[] =>
  KEPT_OPTIONS.flatMap((name) => {
    const value = args[name];
    if (value === undefined || value === false) return [];
    return [value === true ? `--${name}` : `--${name}=${value}`];
  });

const settingsOf = ({ env }: Unit): [name: string, value: string][] =>
  KEPT_VARIABLES.flatMap((name): [string, string][] => (env[name] ? [[name, env[name]]] : []));

/** systemd.unit(5): `%` starts a specifier. */
const escapeSpecifiers = (text: string): string => text.replaceAll('%', '%%');

/** systemd.syntax(7): a word in quotes, when it needs them. */
const quoteWord = (word: string): string =>
  /^[\w./:@+=,%-]+$/.test(word) ? word : `"${word.replace(/[\\"]/g, '\\$&')}"`;

/** systemd.service(5), "Command lines": besides, `$` starts a variable. */
const commandWord = (word: string): string =>
  quoteWord(escapeSpecifiers(word).replaceAll('$', '$$$$'));

/**
 * A socket and the service behind it. What needs a namespace for mounts is not among the
 * restrictions: a user's own systemd cannot make one everywhere.
 */
export function systemdUnits(unit: Unit, args: Options): string {
  const { node, script, socket } = unit;
  const path = socket === undefined ? '%t/glm-token/agent.sock' : escapeSpecifiers(socket);
  const socketWord = quoteWord(`--socket=${path.replaceAll('$', '$$$$')}`);
  const options = optionWords({ 'exit-after': EXIT_AFTER, ...args }).map(commandWord);
  // The program's own path is not searched for variables.
  const program = quoteWord(escapeSpecifiers(node));
  const command = [program, commandWord(script), 'daemon', socketWord];
  return [
    '# glm-token.socket',
    '[Unit]',
    'Description=Tokens for the GLM API, on a socket',
    '',
    '[Socket]',
    `ListenStream=${path}`,
    'DirectoryMode=0700',
    'SocketMode=0600',
    'RemoveOnStop=yes',
    '',
    '[Install]',
    'WantedBy=sockets.target',
    '',
    '# glm-token.service',
    '[Unit]',
    'Description=Tokens for the GLM API',
    'Requires=glm-token.socket',
    '',
    '[Service]',
    `ExecStart=${[...command, ...options].join(' ')}`,
    ...settingsOf(unit).map(
      ([name, value]) => `Environment=${quoteWord(escapeSpecifiers(`${name}=${value}`))}`,
    ),
    'NoNewPrivileges=yes',
    '# No network. It keeps doctor from reaching the API host, and a command that reads the key from',
    '# a server from working: leave the next line out where you need one of them.',
    'RestrictAddressFamilies=AF_UNIX',
    'RestrictNamespaces=yes',
    'RestrictRealtime=yes',
    'RestrictSUIDSGID=yes',
    'LockPersonality=yes',
    'SystemCallArchitectures=native',
    'LimitCORE=0',
    'UMask=0077',
  ].join('\n');
}

const escapeXml = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');

/**
 * An agent that runs from login on: launchd passes sockets by a function of its own, which Node has
 * no way to call.
 */
export function launchdUnit(unit: Unit, args: Options): string {
  const { node, script, socket } = unit;
  const { 'exit-after': _, ...lasting } = args;
  const string = (text: string) => `<string>${escapeXml(text)}</string>`;
  const words = [
    node,
    script,
    'daemon',
    socket === undefined ? '--socket' : `--socket=${socket}`,
    ...optionWords(lasting),
  ];
  const settings = settingsOf(unit).flatMap(([name, value]) => [
    `    <key>${name}</key>`,
    `    ${string(value)}`,
  ]);
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    '<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">',
    '<!-- ~/Library/LaunchAgents/glm-token.plist; written from the documentation, not tested. -->',
    '<plist version="1.0">',
    '<dict>',
    '  <key>Label</key>',
    '  <string>glm-token</string>',
    '  <key>ProgramArguments</key>',
    '  <array>',
    ...words.map((word) => `    ${string(word)}`),
    '  </array>',
    ...(settings.length > 0
      ? ['  <key>EnvironmentVariables</key>', '  <dict>', ...settings, '  </dict>']
      : []),
    '  <key>RunAtLoad</key>',
    '  <true/>',
    '  <key>KeepAlive</key>',
    '  <dict>',
    '    <key>SuccessfulExit</key>',
    '    <false/>',
    '  </dict>',
    '  <key>Umask</key>',
    '  <integer>63</integer>',
    '  <key>HardResourceLimits</key>',
    '  <dict>',
    '    <key>Core</key>',
    '    <integer>0</integer>',
    '  </dict>',
    '</dict>',
    '</plist>',
  ].join('\n');
}
