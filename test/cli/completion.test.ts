import assert from 'node:assert/strict';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { makeOffer } from '../../src/cli/completion/offer.ts';
import { SCRIPTS, SHELLS, type Shell } from '../../src/cli/completion/scripts.ts';
import { formatOffer } from '../../src/cli/completion/shells.ts';
import { COMMANDS } from '../../src/commands/all.ts';
import { english } from '../../src/messages/en.ts';
import { BARE_ENV, type Env, found, PROGRAM, ROOT } from '../support/environment.ts';
import { KeychainSession } from '../support/keychain.ts';
import { CALL, glmToken, run } from '../support/program.ts';

const messages = english('glm-token');

const ACCOUNTS = [
  { host: 'open.bigmodel.cn', profile: 'default' },
  { host: 'api.z.ai', profile: 'work' },
  { host: 'localhost:8080', profile: 'my work' },
];

/** The words that are offered at the end of a line, or what else is. */
function offered(line: string): string {
  const words = line.split(' ');
  const offer = makeOffer(words, { commands: COMMANDS, messages, accounts: ACCOUNTS });
  return typeof offer === 'string' ? offer : offer.map(({ text }) => text).join(' ');
}

describe('what fits a place', () => {
  const names = COMMANDS.map(({ name }) => name).join(' ');
  const hosts = 'open.bigmodel.cn api.z.ai localhost:8080';
  const cases: [line: string, words: string][] = [
    ['', `${names} help`],
    ['-', '--help --version'],
    ['help ', names],
    ['help print ', ''],
    ['frobnicate ', ''],
    ['print ', '--host --profile --ttl --format --store'],
    ['print --t', '--host --profile --ttl --format --store --help'],
    ['print --ttl 5m --host=x -', '--profile --format --store --help'],
    ['print --ttl ', '3m'],
    ['print --format ', 'token header json'],
    ['print --format=', '--format=token --format=header --format=json'],
    ['print --host ', hosts],
    ['print --host=', hosts.replace(/^| /g, (before) => `${before}--host=`)],
    ['print --profile ', 'default work my work'],
    ['print --host api.z.ai --profile ', 'default work'],
    ['print --host=localhost:8080 --profile ', 'default my work'],
    ['print --toString ', '--host --profile --ttl --format --store'],
    ['print -- ', ''],
    ['store --store ', 'keychain file'],
    ['setup ', 'emacs --host --profile --plan --store --all --check --force --rehearse'],
    ['setup emacs --pl', '--host --profile --plan --store --all --check --force --rehearse --help'],
    ['setup e', 'emacs'],
    ['completion ', 'bash zsh fish'],
    ['completion bash ', ''],
    ['exec ', '--host --profile --env --ttl --'],
    ['exec --env ', 'OPENAI_API_KEY ZAI_API_KEY'],
    ['exec p', 'commands'],
    ['exec -- ', 'commands'],
    ['exec --ttl 1h -- ', 'commands'],
    ['exec -- print --', 'files'],
    ['exec python ', 'files'],
  ];
  for (const [line, words] of cases) {
    test(`glm-token ${line}`, () => assert.equal(offered(line), words));
  }
});

describe('bash gets what is to stand in place of the end of a word', () => {
  const breaks = ' \t\n"\'@><=;|&(:';
  const cases: [tokens: string[], lines: string[]][] = [
    [['pr'], ['print']],
    [['print', '--host', '=', 'a'], ['api.z.ai']],
    [
      ['print', '--host', '='],
      ['open.bigmodel.cn', 'api.z.ai', 'localhost:8080'],
    ],
    [['print', '--host=a'], ['api.z.ai']],
    [['print', '--host', 'localhost', ':', '80'], ['8080']],
    [['print', '--host', '"localhost:80'], ['localhost:8080']],
    [['print', '--profile', 'm'], ['my\\ work']],
    [['print', '--profile', '"m'], ['my work']],
    [['print', '--profile', 'my\\ w'], ['my\\ work']],
    [
      ['print', '--host', "'api.z.ai'", '--profile', ''],
      ['default', 'work'],
    ],
  ];
  for (const [tokens, lines] of cases) {
    test(tokens.join(' '), async () => {
      const answer = await formatOffer('bash', [breaks, ...tokens], async (words) =>
        makeOffer(words, { commands: COMMANDS, messages, accounts: ACCOUNTS }),
      );
      assert.equal(answer, ['words', ...lines, ''].join('\n'));
    });
  }
});

describe('completion', { concurrency: 2 }, () => {
  for (const shell of SHELLS) {
    test(`${shell}, named or told by SHELL, gets its script`, async () => {
      const stdout = `${SCRIPTS[shell]}\n`;
      const outcome = { status: 0, signal: null, stdout, stderr: '' };
      assert.deepEqual(await glmToken(['completion', shell]), outcome);
      const env = { ...BARE_ENV, SHELL: `/usr/local/bin/${shell}` };
      assert.deepEqual(await glmToken(['completion'], { env }), outcome);
    });
  }

  const name = `hint: name the shell: ${SHELLS.map((shell) => `${CALL} completion ${shell}`).join(', ')}\n`;
  const cases: [args: string[], shell: string, message: string][] = [
    [['completion'], '', `cannot tell which shell this is: SHELL is not set\n${name}`],
    [
      ['completion'],
      '/bin/tcsh',
      `there is no completion for "tcsh", the shell that SHELL names\n${name}`,
    ],
    [
      ['completion', 'tcsh'],
      '/bin/bash',
      'glm-token completion does not take "tcsh"\nhint: use one of: bash, zsh, fish\n',
    ],
    [
      ['completion', 'zsh', 'bash'],
      '/bin/bash',
      'glm-token completion does not take "bash"\nhint: use one of: bash, zsh, fish\n',
    ],
  ];
  for (const [args, shell, message] of cases) {
    test(`${args.join(' ')}, where SHELL is "${shell}", exits 2`, async () => {
      const { status, stdout, stderr } = await glmToken(args, {
        env: { ...BARE_ENV, SHELL: shell },
      });
      assert.equal(stderr, `glm-token: ${message}`);
      assert.deepEqual([status, stdout], [2, '']);
    });
  }
});

/** How often TAB is pressed for what has to be found out in time. */
const MAX_TRIES = 20;

/** How each shell is started so that Ctrl-G appends the line, as it is, to the file in LINES. */
const START: Readonly<Record<Shell, { rc: string; text: string; command: string[] }>> = {
  bash: {
    rc: 'bashrc',
    text: [
      'eval "$(glm-token completion bash)"',
      // A macro, since bash 3.2 has no READLINE_LINE.
      'append() { printf "%s\\n" "$1" >>"$LINES_FILE"; }',
      `bind '"\\C-g": "\\C-aappend \\047\\C-e\\047\\C-m"'`,
      "PS1='ready> '",
    ].join('\n'),
    command: ['bash', '--noprofile', '--rcfile', 'bashrc', '-i'],
  },
  zsh: {
    rc: '.zshrc',
    text: [
      'eval "$(glm-token completion zsh)"',
      'append() { print -r -- "$BUFFER" >>"$LINES_FILE" }',
      'zle -N append',
      "bindkey -e; bindkey '^G' append",
      "PS1='ready> '",
    ].join('\n'),
    command: ['zsh', '-d', '-i'],
  },
  fish: {
    rc: '.config/fish/config.fish',
    text: [
      'glm-token completion fish | source',
      'set -g fish_greeting',
      'function fish_prompt; printf "ready> "; end',
      'bind \\cg \'commandline >>"$LINES_FILE"\'',
    ].join('\n'),
    command: ['fish', '-i'],
  },
};

describe('in the real shells, with a real keychain', () => {
  let session: KeychainSession;
  let home: string;
  let env: Env;

  before(async () => {
    session = await KeychainSession.start();
    home = mkdtempSync(join(tmpdir(), 'glm-token-tab-'));
    mkdirSync(join(home, 'bin'));
    symlinkSync(PROGRAM, join(home, 'bin/glm-token'));
    writeFileSync(join(home, 'bin/frobnicator'), '#!/bin/sh\n');
    chmodSync(join(home, 'bin/frobnicator'), 0o755);
    writeFileSync(join(home, 'unusual file.txt'), '');
    env = {
      ...session.env,
      HOME: home,
      ZDOTDIR: home,
      TERM: 'xterm',
      COLUMNS: '80',
      PATH: `${home}/bin:${session.env.PATH}`,
    };
    const stored = ['--host api.z.ai --profile work', '--host localhost:8080 --profile $(id)'];
    for (const flags of stored) {
      const input = '0123456789abcdef.SuperSecretSecret';
      const { status, stderr } = await glmToken(['store', ...flags.split(' ')], { env, input });
      assert.equal(status, 0, stderr);
    }
    for (const { rc, text } of Object.values(START)) {
      const path = join(home, rc);
      mkdirSync(join(path, '..'), { recursive: true });
      writeFileSync(path, `${text}\n`);
    }
  });
  after(async () => {
    await session.stop();
    rmSync(home, { recursive: true, force: true });
  });

  /** What lines have become after TAB, and what the terminal showed. */
  async function pressTab(
    shell: Shell,
    lines: readonly string[],
  ): Promise<{ completed: string[]; shown: string }> {
    const file = join(home, `${shell}-${crypto.randomUUID()}`);
    const tab = [
      found.python,
      `${ROOT}/test/support/tab.py`,
      'ready> ',
      file,
      JSON.stringify(lines),
    ];
    const { status, stdout, stderr } = await run([...tab, ...START[shell].command], {
      env: { ...env, LINES_FILE: file },
      cwd: home,
    });
    assert.equal(status, 0, stderr);
    return { completed: readFileSync(file, 'utf8').trimEnd().split('\n'), shown: stdout };
  }

  /** TAB pressed again, as a person would, where a busy machine had nothing to offer in time. */
  async function pressTabAgain(shell: Shell, lines: Readonly<Record<string, string>>) {
    const results = new Map<string, string | undefined>();
    const left = () => Object.keys(lines).filter((line) => results.get(line) !== lines[line]);
    for (let tries = 0; tries < MAX_TRIES && left().length > 0; tries += 1) {
      const pressed = left();
      const { completed } = await pressTab(shell, pressed);
      for (const [at, line] of pressed.entries()) results.set(line, completed[at]?.trimEnd());
    }
    assert.deepEqual(Object.fromEntries(results), lines);
  }

  for (const shell of SHELLS) {
    test(`${shell} completes commands, options, choices and known hosts`, async () => {
      const lines: Record<string, string> = {
        'glm-token pri': 'glm-token print',
        'glm-token help doc': 'glm-token help doctor',
        'glm-token print --fo': 'glm-token print --format',
        'glm-token print --format h': 'glm-token print --format header',
        'glm-token print --format=h': 'glm-token print --format=header',
        'glm-token print --host ap': 'glm-token print --host api.z.ai',
        'glm-token print --host=ap': 'glm-token print --host=api.z.ai',
        'glm-token completion f': 'glm-token completion fish',
        'glm-token print --format zzz': 'glm-token print --format zzz',
      };
      const { completed, shown } = await pressTab(shell, Object.keys(lines));
      assert.deepEqual(
        completed.map((line) => line.trimEnd()),
        Object.values(lines),
      );
      assert.doesNotMatch(shown, /glm-token:|command not found|Killed|passphrase/i);
    });

    test(`${shell} completes stored hosts and profiles`, async () => {
      await pressTabAgain(shell, {
        'glm-token print --host lo': 'glm-token print --host localhost:8080',
        'glm-token print --host localhost:8': 'glm-token print --host localhost:8080',
        'glm-token delete --profile wo': 'glm-token delete --profile work',
        'glm-token print --profile=wo': 'glm-token print --profile=work',
        'glm-token print --host localhost:8080 --profile \\$':
          'glm-token print --host localhost:8080 --profile \\$\\(id\\)',
      });
    });

    test(`${shell} completes a command after exec --, and files after that`, async () => {
      const lines: Record<string, string> = {
        'glm-token exec -- frobn': 'glm-token exec -- frobnicator',
        'glm-token exec --ttl 2h frobn': 'glm-token exec --ttl 2h frobnicator',
        'glm-token exec -- cat unus': 'glm-token exec -- cat unusual\\ file.txt',
      };
      const { completed } = await pressTab(shell, Object.keys(lines));
      assert.deepEqual(
        completed.map((line) => line.trimEnd()),
        Object.values(lines),
      );
    });
  }

  const offer = (words: readonly string[], extra: Env = {}) =>
    glmToken(['completion', '--offer', 'fish', ...words], { env: { ...env, ...extra } });
  const hosts =
    'words\nopen.bigmodel.cn\tChina (open.bigmodel.cn)\napi.z.ai\tinternational (api.z.ai)\n';

  test('the encrypted file, a bad setting and a missing bus leave the words that are known', async () => {
    const passphraseFile = join(home, 'passphrase');
    writeFileSync(passphraseFile, 'open sesame\n');
    const file = {
      XDG_DATA_HOME: join(home, 'data'),
      GLM_TOKEN_STORE: 'file',
      GLM_TOKEN_PASSPHRASE_FILE: passphraseFile,
    };
    const key = { env: { ...env, ...file }, input: '0123456789abcdef.SuperSecretSecret' };
    assert.equal((await glmToken(['store', '--host', 'glm.example'], key)).status, 0);
    const settings: Env[] = [
      file,
      { GLM_TOKEN_HOST: 'not a host' },
      { HOME: 'relative' },
      { DBUS_SESSION_BUS_ADDRESS: 'unix:path=/nonexistent' },
      { DBUS_SESSION_BUS_ADDRESS: 'nonsense' },
    ];
    for (const extra of settings) {
      const outcome = { status: 0, signal: null, stdout: hosts, stderr: '' };
      assert.deepEqual(await offer(['print', '--host', ''], extra), outcome);
    }
  });

  test('the host and profile of the environment are offered', async () => {
    const extra = { GLM_TOKEN_HOST: 'glm.example', GLM_TOKEN_PROFILE: 'mine' };
    assert.match((await offer(['print', '--host', ''], extra)).stdout, /^glm\.example$/m);
    assert.match((await offer(['print', '--profile', ''], extra)).stdout, /^mine$/m);
  });

  test('a locked keychain stays locked, and nobody is asked', async () => {
    await session.lock();
    await session.askNobody();
    try {
      await pressTabAgain('bash', {
        'glm-token print --host ap': 'glm-token print --host api.z.ai',
        'glm-token print --profile wo': 'glm-token print --profile work',
      });
      assert.equal(await session.isLocked(), true);
    } finally {
      await session.unlock();
    }
  });

  test('a keychain that does not answer leaves the words that are known without it', async () => {
    session.signal('SIGSTOP');
    try {
      for (const shell of SHELLS) {
        const { completed, shown } = await pressTab(shell, [
          'glm-token print --host ap',
          'glm-token print --profile wo',
        ]);
        assert.deepEqual(
          completed.map((line) => line.trimEnd()),
          ['glm-token print --host api.z.ai', 'glm-token print --profile wo'],
        );
        assert.doesNotMatch(shown, /glm-token:|Killed/);
      }
    } finally {
      session.signal('SIGCONT');
    }
  });
});
