/** No input crashes or hangs the program, is accepted in two ways, or makes it tell a secret. */

import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import fc from 'fast-check';
import { FlattenedEncrypt } from 'jose/jwe/flattened/encrypt';
import { readFully, readQuickly } from '../../src/cli/command-line.ts';
import { COMMANDS } from '../../src/commands/all.ts';
import {
  accountName,
  parseAccountName,
  parseHost,
  parseProfile,
  sameAccount,
} from '../../src/core/account.ts';
import { parseDuration, splitDuration } from '../../src/core/duration.ts';
import {
  asGlmTokenError,
  type ErrorCode,
  EXIT_STATUS,
  GlmTokenError,
} from '../../src/core/errors.ts';
import { type ApiKey, formatKey, parseKey, tryParseKey } from '../../src/core/key.ts';
import {
  findProblems,
  isSignedBy,
  parseToken,
  withoutSecrets,
} from '../../src/core/parsed-token.ts';
import { seal, unseal } from '../../src/core/sealed-keys.ts';
import { hasUnsafeCharacters, printable, shown } from '../../src/core/text.ts';
import { signToken } from '../../src/core/token.ts';
import { helperMethods } from '../../src/daemon/methods.ts';
import { serve } from '../../src/daemon/stdio.ts';
import { english } from '../../src/messages/en.ts';
import { readSettings } from '../../src/settings.ts';
import { FileStore } from '../../src/stores/file.ts';
import { openStores, type Stores } from '../../src/stores/registry.ts';
import { BARE_ENV, PROGRAM } from '../support/environment.ts';
import { Helper, type Reply } from '../support/helper.ts';
import { run } from '../support/program.ts';
import { openDirectory } from '../support/stores.ts';
import { each, oneRow, type Row, type Trial, type Trials } from './row.ts';

/** Rounds of PBKDF2: the properties are about everything else. */
const ROUNDS = 1000;

/** A real key's shape; the secret is looked for in everything that is said. */
const KEY: ApiKey = { id: '0123456789abcdef0123456789abcdef', secret: 'AbCdEfGh1jKlMn0p' };
const WHOLE = formatKey(KEY);

const messages = english('glm-token');

/** What a failure says must be usage's own, and have nothing of the key in it. */
function checkFailure(thrown: unknown, ...codes: ErrorCode[]): void {
  if (!(thrown instanceof GlmTokenError)) throw thrown;
  if (!codes.includes(thrown.code)) throw new Error(`it failed with ${thrown.code}`);
  const { message, hint } = messages.describe(thrown);
  for (const text of [message, hint ?? ''].flat()) checkSays(printable(text));
}

/** Halves of id and secret, of which none may be said. */
const PARTS = [KEY.secret, KEY.id].flatMap((part) => [
  part.slice(0, part.length / 2).toLowerCase(),
  part.slice(part.length / 2).toLowerCase(),
]);

function checkSays(text: string): void {
  const lower = text.toLowerCase();
  if (PARTS.slice(0, 2).some((part) => lower.includes(part))) throw new Error(`it says: ${text}`);
  if (hasUnsafeCharacters(text)) throw new Error(`it is not printable: ${JSON.stringify(text)}`);
}

/** Either a result, which is looked at, or a failure with one of some codes. */
function tryTo<T>(act: () => T, codes: ErrorCode[], look: (result: T) => void): void {
  let result: T;
  try {
    result = act();
  } catch (error) {
    checkFailure(error, ...codes);
    return;
  }
  look(result);
}

const assertSame = (a: unknown, b: unknown): void => {
  if (JSON.stringify(a) !== JSON.stringify(b)) {
    throw new Error(`${JSON.stringify(a)} is not ${JSON.stringify(b)}`);
  }
};

/* ---- Generators */

/** Strings of every kind: any code units, printable, and what is likely to hurt. */
const text = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 80 }),
  fc.string({ unit: 'grapheme', maxLength: 80 }),
  fc
    .array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 20 })
    .map((units) => String.fromCharCode(...units)),
  fc.constantFrom(
    '',
    ' ',
    '.',
    '..',
    '__proto__',
    'toString',
    'constructor',
    '\0',
    '\ud800',
    '\u202e',
    'x'.repeat(5000),
  ),
);

/** A text with the key, or a part of one, somewhere in it. */
const textWithKey = fc
  .tuple(text, fc.constantFrom(WHOLE, KEY.secret, `.${KEY.secret}`, `${KEY.id}.`), text)
  .map((parts) => parts.join(''));

const anyText = fc.oneof(
  { weight: 3, arbitrary: text },
  { weight: 1, arbitrary: textWithKey },
  { weight: 1, arbitrary: fc.constantFrom(WHOLE, KEY.secret) },
);

const key: fc.Arbitrary<ApiKey> = fc
  .record({
    id: fc.stringMatching(/^[\w!#$%&*+/?@^|~-]{1,64}$/),
    secret: fc.stringMatching(/^[!-\-/-~]{1,64}$/),
  })
  .filter(
    (made) => tryParseKey(formatKey(made)) !== undefined && !/[,;"'`]$/.test(formatKey(made)),
  );

const host = fc.oneof(
  fc.webAuthority({ withIPv4: true, withIPv6: true, withPort: true }),
  fc.webUrl(),
  fc.domain(),
  anyText,
  fc
    .tuple(fc.constantFrom('http://', 'HTTPS://', 'foo://', ' ', '//', 'user@'), fc.domain())
    .map((parts) => parts.join('')),
);

const json = fc.jsonValue({ maxDepth: 3 });

/** JSON with the key in any place of it. */
const jsonWithKey = fc.object({
  maxDepth: 3,
  values: [
    fc.string(),
    fc.integer(),
    fc.boolean(),
    fc.constant(null),
    textWithKey,
    fc.constant(WHOLE),
  ],
});

const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');

/* ---- Properties */

interface Tried {
  /** How many of all the cases. */
  readonly share: number;
  // biome-ignore lint/suspicious/noExplicitAny: properties of different arguments.
  readonly property: fc.IAsyncPropertyWithHooks<any>;
}

const PROPERTIES: Readonly<Record<string, Tried>> = {
  'keys: a text is one key, or refused without repeating it': {
    share: 0.2,
    property: fc.asyncProperty(anyText, key, async (given, made) => {
      tryTo(
        () => parseKey(given),
        ['ERR_KEY_MALFORMED'],
        (parsed) => {
          assertSame(parseKey(formatKey(parsed)), parsed);
          if (hasUnsafeCharacters(formatKey(parsed))) throw new Error('an invisible character');
        },
      );
      assertSame(parseKey(` "${formatKey(made)}"\r\n`), made);
    }),
  },
  'hosts: a host is parsed to itself': {
    share: 0.1,
    property: fc.asyncProperty(host, async (given) => {
      tryTo(
        () => parseHost(given),
        ['ERR_USAGE'],
        (parsed) => {
          assertSame(parseHost(parsed), parsed);
          assertSame(parseHost(`https://${parsed}/path?query`), parsed);
          if (parsed !== parsed.toLowerCase() || /[\s/?#@\\]/.test(parsed)) throw new Error(parsed);
          const account = { host: parsed, profile: 'a@b' };
          const back = parseAccountName(accountName(account));
          if (!back || !sameAccount(back, account)) throw new Error('another account');
        },
      );
    }),
  },
  'profiles: a name is one name, however it is typed': {
    share: 0.1,
    property: fc.asyncProperty(anyText, async (given) => {
      tryTo(
        () => parseProfile(given),
        ['ERR_USAGE'],
        (profile) => {
          assertSame(parseProfile(profile), profile);
          assertSame(parseProfile(profile.normalize('NFD')), profile);
          if (hasUnsafeCharacters(profile)) throw new Error('an invisible character');
          const account = { host: 'localhost', profile };
          const back = parseAccountName(accountName(account));
          if (!back || !sameAccount(back, account)) throw new Error('another account');
          const said = messages.describe(
            new GlmTokenError('keyNotFound', { account, others: [], inEnvironment: undefined }),
          );
          for (const line of [said.message, said.hint ?? ''].flat()) checkNoKey(printable(line));
        },
      );
    }),
  },
  'lifetimes: within their limits, or refused': {
    share: 0.1,
    property: fc.asyncProperty(
      fc.oneof(
        anyText,
        fc
          .tuple(fc.nat(), fc.constantFrom('s', 'm', 'h', 'd', 'w', 'ms', ''))
          .map((parts) => parts.join('')),
      ),
      fc.double(),
      async (given, ms) => {
        tryTo(
          () => parseDuration(given),
          ['ERR_USAGE'],
          (parsed) => {
            if (!Number.isSafeInteger(parsed) || parsed < 1000 || parsed > 365 * 86_400_000) {
              throw new Error(`${parsed}`);
            }
            if (splitDuration(parsed).length < 1) throw new Error('no parts');
          },
        );
        if (Number.isFinite(ms)) splitDuration(ms);
      },
    ),
  },
  'texts: what is shown is printable, and JSON stays the same': {
    share: 0.1,
    property: fc.asyncProperty(anyText, json, async (given, value) => {
      if (hasUnsafeCharacters(printable(given))) throw new Error('not printable');
      assertSame(JSON.parse(printable(JSON.stringify(value))), value);
      checkSays(shown(given));
    }),
  },
  'tokens: signed ones verify, changed ones do not': {
    share: 0.05,
    property: fc.asyncProperty(
      key,
      fc.integer({ min: 1.5e12, max: 4e12 }),
      fc.integer({ min: 1000, max: 365 * 86_400_000 }),
      fc.nat(),
      async (made, nowMs, ttlMs, place) => {
        const { token } = await signToken(made, nowMs, ttlMs);
        const parsed = parseToken(`Authorization: Bearer ${token}\r\n`);
        assertSame(parsed.token, token);
        assertSame(parsed.claims, { api_key: made.id, exp: nowMs + ttlMs, timestamp: nowMs });
        assertSame(
          [...findProblems(parsed, nowMs)].filter(({ what }) => what !== 'whole key'),
          [],
        );
        if (!(await isSignedBy(parsed, made))) throw new Error('it does not verify');
        if (token.includes(made.secret) && made.secret.length > 8)
          throw new Error('the secret is in it');
        const [, payload = '', signature = ''] = token.split('.');
        const bytes = Buffer.from(signature, 'base64url');
        bytes[place % bytes.length] = (bytes[place % bytes.length] ?? 0) ^ (1 << (place % 8));
        const changed = `${token.split('.')[0]}.${payload}.${bytes.toString('base64url')}`;
        if (await isSignedBy(parseToken(changed), made)) throw new Error('a changed one verifies');
      },
    ),
  },
  'texts that may be tokens: understood without a secret, or refused': {
    share: 0.1,
    property: fc.asyncProperty(
      fc.oneof(jsonWithKey, json),
      fc.oneof(jsonWithKey, json),
      anyText,
      fc.integer(),
      async (header, claims, around, nowMs) => {
        const texts = [`${around} ${encode(header)}.${encode(claims)}.c2ln`, around];
        for (const given of texts) {
          tryTo(
            () => parseToken(given),
            ['ERR_USAGE'],
            (parsed) => {
              for (const problem of findProblems(parsed, nowMs)) {
                const { message, hint } = messages.inspect.problem(problem);
                checkNoKey(printable(`${message} ${hint}`));
              }
              checkNoKey(JSON.stringify(withoutSecrets([parsed.header, parsed.claims])));
            },
          );
        }
      },
    ),
  },
  'encrypted file: what is sealed is unsealed, and nothing else': {
    share: 0.02,
    property: fc.asyncProperty(
      fc.dictionary(fc.string({ minLength: 1 }), fc.string(), { maxKeys: 5 }),
      fc.uint8Array({ minLength: 1, maxLength: 64 }),
      fc.uint8Array({ minLength: 1, maxLength: 64 }),
      fc.nat(),
      async (keys, passphrase, other, place) => {
        const entries = Object.entries(keys);
        const sealed = await seal(new Map(entries), passphrase.slice(), ROUNDS);
        const back = await unseal(sealed, passphrase.slice(), 'x');
        assertSame([...back].sort(), entries.filter(([name]) => Object.hasOwn(keys, name)).sort());
        if (!Buffer.from(passphrase).equals(other)) {
          await refuses(sealed, other, 'ERR_PASSPHRASE');
        }
        // By somebody who can write the file, and make its checksum right again.
        await refuses(forged(sealed, place), passphrase, 'ERR_PASSPHRASE', 'ERR_STORE_CORRUPT');
      },
    ),
  },
  'encrypted file: under its passphrase, content of another kind is corrupt': {
    share: 0.01,
    property: fc.asyncProperty(
      fc.oneof(
        text,
        json.map((value) => JSON.stringify(value)),
        fc.record({ keys: json }).map((value) => JSON.stringify(value)),
      ),
      async (content) => {
        const passphrase = Buffer.from('correct horse');
        const keys = await unseal(await sealText(content, passphrase), passphrase, 'x').catch(
          (error) => checkFailure(error, 'ERR_STORE_CORRUPT'),
        );
        for (const [, value] of keys ?? []) {
          if (typeof value !== 'string') throw new Error('it has keys that are no text');
        }
      },
    ),
  },
  'encrypted file: any other text is refused': {
    share: 0.05,
    property: fc.asyncProperty(
      fc.oneof(
        text,
        json.map((value) => JSON.stringify(value)),
        fc
          .record({
            protected: fc.string(),
            encrypted_key: fc.string(),
            iv: fc.string(),
            ciphertext: fc.string(),
            tag: fc.string(),
          })
          .map((jwe) => withChecksum(jwe)),
      ),
      (given) => refuses(given, Buffer.from('x'), 'ERR_STORE_CORRUPT', 'ERR_PASSPHRASE'),
    ),
  },
  'command line: read quickly and read fully, it is the same': {
    share: 0.1,
    property: fc.asyncProperty(fc.array(word(), { maxLength: 6 }), checkLine),
  },
  'wire: every request is answered once, whatever is asked, and in whatever pieces': {
    share: 0.08,
    property: fc.asyncProperty(
      fc.array(fc.record({ method: method(), params: params(), isRaw: fc.boolean() }), {
        minLength: 1,
        maxLength: 5,
      }),
      fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 30 }),
      checkWire,
    ),
  },
};

/** Cases after which other trials have their turn: most properties never wait for anything. */
const TURN = 20;

const trialOf = (trial: string, { share, property }: Tried): Trial =>
  oneRow(async ({ cases, seed }) => {
    let count = 0;
    property.beforeEach(async () => {
      count += 1;
      if (count % TURN === 0) await new Promise((resolve) => setImmediate(resolve));
    });
    const numRuns = Math.max(1, Math.ceil(cases * share));
    const details = await fc.check(property, { seed, numRuns });
    return {
      trial,
      count: `${details.numRuns} cases`,
      seen: details.failed ? `failed after ${details.numShrinks} shrinks` : 'as it should be',
      faults: details.failed
        ? [`${details.errorInstance}\n${await fc.asyncDefaultReportMessage(details)}`]
        : [],
    };
  });

export const nothingBreaksIt: Trials = {
  ...Object.fromEntries(
    Object.entries(PROPERTIES).map(([name, tried]) => [name, trialOf(name, tried)]),
  ),
  'encrypted file, every bit': oneRow(everyBit),
  'odd command lines': oneRow(({ isShort, seed }) => programLines(isShort ? 40 : 400, seed)),
  'long texts': oneRow(({ isShort }) => longInputs(isShort)),
};

/* ---- The encrypted file */

async function refuses(
  sealed: string,
  passphrase: Uint8Array,
  ...codes: ErrorCode[]
): Promise<void> {
  try {
    await unseal(sealed, passphrase.slice(), 'x');
  } catch (error) {
    return checkFailure(error, ...codes);
  }
  throw new Error('it was accepted');
}

/** Any text sealed as keys are. */
async function sealText(content: string, passphrase: Uint8Array): Promise<string> {
  const {
    protected: header,
    encrypted_key,
    iv,
    ciphertext,
    tag,
  } = await new FlattenedEncrypt(Buffer.from(content))
    .setProtectedHeader({ alg: 'PBES2-HS512+A256KW', enc: 'A256GCM', typ: 'glm-token' })
    .setKeyManagementParameters({ p2c: ROUNDS })
    .encrypt(passphrase);
  return withChecksum({ protected: header, encrypted_key, iv, ciphertext, tag });
}

function withChecksum(jwe: object): string {
  const checksum = createHash('sha256').update(JSON.stringify(jwe)).digest('base64url');
  return `${JSON.stringify({ ...jwe, checksum })}\n`;
}

/** A sealed file with one bit of one part flipped, and the right checksum for that. */
function forged(sealed: string, place: number): string {
  const { checksum: _, ...jwe } = JSON.parse(sealed);
  const parts = ['encrypted_key', 'iv', 'ciphertext', 'tag'];
  const part = parts[place % parts.length] ?? '';
  const bytes = Buffer.from(jwe[part], 'base64url');
  bytes[place % bytes.length] = (bytes[place % bytes.length] ?? 0) ^ (1 << (place % 8));
  return withChecksum({ ...jwe, [part]: bytes.toString('base64url') });
}

/** Every bit of one file flipped, and the file cut off at every length. */
async function everyBit(): Promise<Row> {
  const passphrase = Buffer.from('correct horse battery staple');
  const sealed = Buffer.from(await seal(new Map([['a@b', WHOLE]]), passphrase.slice(), ROUNDS));
  const faults: string[] = [];
  let count = 0;
  const check = async (text: string, what: string) => {
    count += 1;
    await refuses(text, passphrase, 'ERR_STORE_CORRUPT', 'ERR_PASSPHRASE').catch((error) =>
      faults.push(`${what}: ${error}`),
    );
  };
  for (let bit = 0; bit < sealed.length * 8; bit += 1) {
    const flipped = Buffer.from(sealed);
    flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    await check(flipped.toString(), `bit ${bit}`);
  }
  for (let length = 0; length < sealed.length; length += 1) {
    await check(sealed.toString('utf8', 0, length), `${length} bytes of it`);
  }
  return {
    trial: 'encrypted file: every bit flipped, every truncation',
    count: `${count} files`,
    seen: `${faults.length} accepted`,
    faults,
  };
}

/** Not the whole key, nor its secret after its id. The secret alone looks like any other word. */
function checkNoKey(text: string): void {
  const [half = ''] = [KEY.secret.slice(0, 8)];
  if (text.includes(`${KEY.id}.${half}`)) throw new Error(`it says: ${text}`);
}

/* ---- The command line */

function word(): fc.Arbitrary<string> {
  const names = COMMANDS.map(({ name }) => name as string);
  const options = [...new Set(COMMANDS.flatMap((command) => Object.keys(command.options)))];
  const values = [
    'api.z.ai',
    'work',
    '5m',
    'json',
    'token',
    'file',
    'keychain',
    'zsh',
    '',
    '-',
    WHOLE,
    KEY.secret,
  ];
  const option = fc.constantFrom(
    ...options,
    'help',
    'version',
    'toString',
    '_',
    '__proto__',
    '$0',
    'no-json',
  );
  return fc.oneof(
    { weight: 3, arbitrary: fc.constantFrom(...names, 'print', 'daemon', 'help', 'completion') },
    { weight: 3, arbitrary: option.map((name) => `--${name}`) },
    {
      weight: 3,
      arbitrary: fc
        .tuple(option, fc.constantFrom(...values))
        .map(([name, value]) => `--${name}=${value}`),
    },
    { weight: 2, arbitrary: fc.constantFrom(...values, '--', '-h', '-v', '-x', '--=', '-=') },
    { weight: 2, arbitrary: anyText },
  );
}

async function checkLine(argv: readonly string[]): Promise<void> {
  // Only these are ever read quickly; the first word decides.
  const [first, ...rest] = argv;
  const command = COMMANDS.find(({ name }) => name === first && ['print', 'daemon'].includes(name));
  const quick = command && readQuickly(command, rest);
  try {
    const full = await readFully(argv, COMMANDS, messages, '0.0.0');
    if ('output' in full) {
      if (quick) throw new Error('quickly a command, fully an output');
      return checkSays(full.output.replaceAll('\n', ' '));
    }
    if (quick) {
      const order = (args: object) => Object.entries(args).sort();
      assertSame(order(quick.args), order(full.args));
      assertSame(quick.operands, full.operands);
      assertSame(command?.name, full.command.name);
    }
  } catch (error) {
    if (quick) throw new Error(`quickly read, and fully: ${error}`);
    checkFailure(error, 'ERR_USAGE');
  }
}

/** Whether a secret alone is given as a host or a profile. */
const namesAccount = (args: readonly string[]): boolean =>
  args.some(
    (word, at) =>
      /^--(host|profile)(=|$)/.test(word) && `${word}${args[at + 1]}`.includes(KEY.secret),
  );

/** Lines that the built program is started with; their words can do no harm. */
async function programLines(count: number, seed: number): Promise<Row> {
  const home = mkdtempSync(join(tmpdir(), 'glm-token-test-'));
  const harmless = word().filter(
    (given) => !given.includes('\0') && !/[/]/.test(given) && given.length < 4000,
  );
  const lines = fc.sample(fc.tuple(fc.array(harmless, { maxLength: 5 }), anyText), {
    seed,
    numRuns: count,
  });
  const env = {
    ...BARE_ENV,
    HOME: home,
    PATH: '/nonexistent',
    GLM_TOKEN_STORE: 'file',
    GLM_TOKEN_PASSPHRASE_FILE: join(home, 'passphrase'),
    https_proxy: 'http://127.0.0.1:1',
  };
  const { writeFileSync } = await import('node:fs');
  writeFileSync(env.GLM_TOKEN_PASSPHRASE_FILE, 'correct horse', { mode: 0o600 });
  const faults: string[] = [];
  const statuses = [0, ...Object.values(EXIT_STATUS), 126, 127].filter((status) => status !== 1);
  await each(lines, 2, async ([args, input]) => {
    const timeout = ['/usr/bin/env', 'timeout', '20'];
    const { status, stdout, stderr } = await run(
      [...(process.platform === 'linux' ? timeout : []), process.execPath, PROGRAM, ...args],
      { env: { ...env, PATH: process.env.PATH ?? '' }, input },
    );
    const what = JSON.stringify(args);
    if (status === null || !statuses.includes(status))
      faults.push(`${what}: status ${status}: ${stderr}`);
    const said = args[0] === 'exec' ? stderr : stdout + stderr;
    // Half a key may be the name of an account, for all that anyone can tell.
    const check = namesAccount(args) ? checkNoKey : checkSays;
    for (const line of said.split('\n')) {
      try {
        check(line);
      } catch (error) {
        faults.push(`${what}: ${error}`);
      }
    }
  });
  rmSync(home, { recursive: true });
  return {
    trial: 'the built program, started with words of all kinds',
    count: `${count} command lines`,
    seen: `${faults.length} that crashed, hung, or said a secret`,
    faults,
  };
}

/** Inputs as long as the system takes them, for what takes more than its share of time for each. */
async function longInputs(isShort: boolean): Promise<Row> {
  const LENGTH = 120_000; // The system's limit for one argument or variable is 128 kB.
  const home = mkdtempSync(join(tmpdir(), 'glm-token-test-'));
  const patterns = isShort
    ? ['.', 'eyJ.']
    : [' ', '.', 'a', '"', 'eyJ.', 'a.b ', '://', '\u202e', '工', '-', '@'];
  const places: Record<
    string,
    (long: string) => { args: string[]; env?: Record<string, string>; input?: string }
  > = {
    'standard input of inspect': (input) => ({ args: ['inspect'], input: input.repeat(8) }),
    'standard input of store': (input) => ({ args: ['store'], input: input.repeat(8) }),
    'an argument of inspect': (long) => ({ args: ['inspect', long] }),
    'a profile': (long) => ({ args: ['print', `--profile=${long}`] }),
    'a host': (long) => ({ args: ['print', `--host=${long}`] }),
    'a lifetime': (long) => ({ args: ['print', `--ttl=${long}`] }),
    'a command': (long) => ({ args: [long] }),
    'an option': (long) => ({ args: ['print', `--${long}`] }),
    GLM_API_KEY: (GLM_API_KEY) => ({ args: ['print'], env: { GLM_API_KEY } }),
    GLM_TOKEN_HOST: (GLM_TOKEN_HOST) => ({ args: ['print'], env: { GLM_TOKEN_HOST } }),
    https_proxy: (https_proxy) => ({ args: ['doctor'], env: { https_proxy } }),
  };
  const faults: string[] = [];
  const tries = Object.entries(places).flatMap(([place, make]) =>
    patterns.map((pattern) => ({
      what: `${pattern} in ${place}`,
      ...make(repeat(pattern, LENGTH)),
    })),
  );
  await each(tries, 2, async ({ what, args, env = {}, input = '' }) => {
    const { status, stdout, stderr } = await run(
      ['timeout', '10', process.execPath, PROGRAM, ...args],
      { env: { ...BARE_ENV, HOME: home, GLM_TOKEN_STORE: 'file', ...env }, input },
    );
    if (status === null || ![2, 3, 4, 5, 7, 10].includes(status)) {
      faults.push(`${what}: status ${status}`);
    }
    if (stdout.length + stderr.length > 5000) faults.push(`${what}: ${stderr.length} characters`);
  });
  rmSync(home, { recursive: true });
  return {
    trial: 'texts of 120 kB and more in every place',
    count: `${tries.length} command lines`,
    seen: `${faults.length} that hung, crashed, or were repeated`,
    faults,
  };
}

const repeat = (pattern: string, bytes: number): string =>
  pattern.repeat(Math.floor(bytes / Buffer.byteLength(pattern)));

/* ---- The wire */

function method(): fc.Arbitrary<unknown> {
  const names = [
    'initialize',
    'token',
    'accounts',
    'store',
    'delete',
    'unlock',
    'lock',
    'status',
    'explain',
    'doctor',
  ];
  return fc.oneof(
    { weight: 8, arbitrary: fc.constantFrom(...names) },
    {
      weight: 1,
      arbitrary: fc.constantFrom(
        '__proto__',
        'toString',
        'constructor',
        '',
        WHOLE,
        '$/cancelRequest',
      ),
    },
    { weight: 1, arbitrary: text },
  );
}

function params(): fc.Arbitrary<unknown> {
  const value = fc.oneof(
    anyText,
    json,
    fc.constantFrom('5m', 'work', 'localhost', WHOLE, 1, 'zh', '1004'),
  );
  const names = [
    'host',
    'profile',
    'ttl',
    'key',
    'replace',
    'passphrase',
    'protocol',
    'locale',
    'code',
    '__proto__',
  ];
  return fc.oneof(
    { weight: 6, arbitrary: fc.dictionary(fc.constantFrom(...names), value, { maxKeys: 4 }) },
    { weight: 1, arbitrary: json },
    { weight: 1, arbitrary: fc.constant(undefined) },
  );
}

interface Asked {
  readonly method: unknown;
  readonly params: unknown;
  /** Whether it is no request of JSON-RPC, but JSON of another kind. */
  readonly isRaw: boolean;
}

async function checkWire(asked: readonly Asked[], pieces: readonly number[]): Promise<void> {
  const home = mkdtempSync(join(tmpdir(), 'glm-token-test-'));
  const input = new PassThrough();
  const output = new PassThrough();
  let answered = '';
  output.on('data', (chunk) => {
    answered += chunk;
  });
  const served = serve(input, output, makeHelper(home));
  const ended = served.done.then(
    () => undefined,
    (error) => asGlmTokenError(error),
  );
  const ids = asked.flatMap(({ isRaw }, at) => (isRaw ? [] : [at + 1]));
  const frames = asked.map(({ method: name, params: given, isRaw }, at) => {
    if (!isRaw) return Helper.frame({ id: at + 1, method: String(name), params: given });
    const body = JSON.stringify(given ?? null);
    return `Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
  });
  const bytes = Buffer.from(frames.join(''));
  let at = 0;
  for (let piece = 0; at < bytes.length; piece += 1) {
    const length = pieces[piece % pieces.length] ?? 1;
    input.write(bytes.subarray(at, at + length * (1 + Math.floor(bytes.length / 1000))));
    at += length * (1 + Math.floor(bytes.length / 1000));
  }
  const until = Date.now() + 20_000;
  const missing = () =>
    ids.filter((id) => !answered.includes(`"id":${id},`) && !answered.includes(`"id":${id}}`));
  let failure: GlmTokenError | undefined;
  void ended.then((error) => {
    failure = error;
  });
  while (missing().length > 0 && !failure) {
    if (Date.now() > until) throw new Error(`no answer to ${missing()}: ${answered}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
  input.end();
  await ended;
  rmSync(home, { recursive: true, force: true });
  if (failure) throw new Error(`the connection ended: ${failure.reason}`);
  for (const reply of repliesIn(answered)) {
    if (reply.error?.data?.code === 'ERR_INTERNAL') throw new Error(reply.error.message);
    if (reply.error) checkSays(`${reply.error.message} ${reply.error.data?.hint ?? ''}`);
    if (reply.result) checkNoKey(JSON.stringify(reply.result));
  }
  const all = repliesIn(answered).flatMap(({ id }) => (typeof id === 'number' ? [id] : []));
  assertSame(all.sort(), ids);
}

function repliesIn(answered: string): Reply[] {
  const replies: Reply[] = [];
  let bytes = Buffer.from(answered);
  for (;;) {
    const end = bytes.indexOf('\r\n\r\n');
    if (end < 0) return replies;
    const length = Number(/Content-Length: (\d+)/.exec(bytes.toString('latin1', 0, end))?.[1]);
    replies.push(JSON.parse(bytes.toString('utf8', end + 4, end + 4 + length)));
    bytes = bytes.subarray(end + 4 + length);
  }
}

/** The helper's methods on an encrypted file of their own, with a key in the environment too. */
function makeHelper(home: string) {
  const directory = () => openDirectory(join(home, 'data'));
  // Nobody listens there, so that `doctor` ends at once, whatever host it is asked about.
  const env = { https_proxy: 'http://127.0.0.1:1' };
  process.env.https_proxy = env.https_proxy;
  const settings = readSettings(env);
  const storesWorld = {
    ...settings,
    platform: process.platform,
    env,
    apiKey: WHOLE,
    store: 'file' as const,
    directory,
    configDirectory: directory,
    accounts: undefined,
    hasTerminal: () => false,
    onWaiting: () => {},
    askPassphrase: async () => undefined,
    lockAfterMs: Number.POSITIVE_INFINITY,
    now: Date.now,
  };
  const file = new FileStore(storesWorld, ROUNDS);
  const all = openStores(storesWorld);
  const opened = { environment: all.open('environment'), command: all.open('command') };
  const stores: Stores = {
    ...all,
    open: async (name) => ({ ...opened, keychain: file, file })[name] as never,
    lock: () => file.forget(),
  };
  const world = {
    env,
    platform: process.platform,
    settings,
    messages,
    messagesFor: async () => messages,
    paths: { node: process.execPath },
    version: '0.0.0',
    now: Date.now,
  };
  return helperMethods(world, stores);
}
