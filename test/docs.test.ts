/** What users read: the same in both languages, with links that lead somewhere and code that parses. */

import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';
import { after, describe, test } from 'node:test';
import { COMMANDS } from '../src/commands/all.ts';
import type { Option } from '../src/commands/subcommand.ts';
import { EXIT_STATUS } from '../src/core/errors.ts';
import { english, type Messages } from '../src/messages/en.ts';
import { chinese } from '../src/messages/zh.ts';
import { emacsCommand } from './support/emacs.ts';
import { BARE_ENV, found, ROOT } from './support/environment.ts';
import { run } from './support/program.ts';

/** The pages that are in both languages, in English. */
const PAIRED = [
  'README.md',
  'docs/reference.md',
  'docs/emacs.md',
  'docs/integrations.md',
  'docs/troubleshooting.md',
];

const inChinese = (page: string): string => page.replace(/\.md$/, '.zh-CN.md');

/** Every page whose links are checked. */
const PAGES = ['.', 'docs'].flatMap((directory) =>
  readdirSync(join(ROOT, directory))
    .filter((name) => name.endsWith('.md'))
    .map((name) => join(directory, name)),
);

interface Block {
  readonly language: string;
  readonly code: string;
}

interface Page {
  readonly headings: readonly { readonly level: number; readonly title: string }[];
  /** Each table as its rows, of cells. */
  readonly tables: readonly (readonly (readonly string[])[])[];
  readonly blocks: readonly Block[];
  /** The page without its code blocks. */
  readonly prose: string;
}

const cellsOf = (line: string): string[] =>
  line
    .replace(/^\||\|$/g, '')
    .split(/(?<!\\)\|/)
    .map((cell) => cell.trim());

function read(page: string): Page {
  const text = readFileSync(join(ROOT, page), 'utf8');
  const blocks: Block[] = [];
  const prose = text.replace(/^```(\w*)\n(.*?)^```$/gms, (_all, language, code) => {
    blocks.push({ language, code });
    return '';
  });
  assert.doesNotMatch(prose, /^```/m, `${page}: a code block has no end`);
  const headings = [...prose.matchAll(/^(#+) (.*)$/gm)].map(([, marks = '', title = '']) => ({
    level: marks.length,
    title,
  }));
  const tables = [...prose.matchAll(/(?:^\|.*\n?)+/gm)].map(([table]) =>
    table.trim().split('\n').map(cellsOf),
  );
  return { headings, tables, blocks, prose };
}

/** What a cell has in backquotes, in any order, without texts of the program, which are translated. */
const codeWordsIn = (cell: string): string[] =>
  cell
    .split('`')
    .filter((text, at) => at % 2 === 1 && /^[-\w@./ [\]]+$/.test(text))
    .sort();

/** What starts a comment, by language. */
const COMMENT: Readonly<Record<string, RegExp>> = {
  sh: /(^|\s+)# .*$/gm,
  python: /(^|\s+)# .*$/gm,
  elisp: /(^|\s+);.*$/gm,
  js: /(^|\s+)\/\/ .*$/gm,
  mermaid: /"[^"]*"/g, // Its labels are for people.
};

/** What has to be the same in both languages. */
const withoutComments = ({ language, code }: Block): string =>
  `${language}\n${code.replace(COMMENT[language] ?? /(?!)/, '')}`;

describe('a page and its translation', () => {
  for (const page of PAIRED) {
    const [en, zh] = [read(page), read(inChinese(page))];

    test(`${page}: the same headings, tables and code`, () => {
      const levels = ({ headings }: Page) => headings.map(({ level }) => level);
      assert.deepEqual(levels(zh), levels(en));
      const sizes = ({ tables }: Page) => tables.map((rows) => rows.map(({ length }) => length));
      assert.deepEqual(sizes(zh), sizes(en));
      for (const rows of en.tables) {
        for (const { length } of rows) assert.equal(length, rows[0]?.length, rows.join('\n'));
      }
      assert.deepEqual(zh.blocks.map(withoutComments), en.blocks.map(withoutComments));
    });

    test(`${page}: the same code words in each table`, () => {
      const words = ({ tables }: Page) =>
        tables.map((rows) => rows.map(([cell = '']) => codeWordsIn(cell)));
      assert.deepEqual(words(zh), words(en));
    });
  }
});

test('README.md has at most 100 lines', () => {
  for (const page of ['README.md', 'README.zh-CN.md']) {
    assert.ok(readFileSync(join(ROOT, page), 'utf8').split('\n').length <= 101, page);
  }
});

/** A heading's anchor, as GitHub makes it. */
const anchorOf = (title: string): string =>
  title
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\p{M}_ -]/gu, '')
    .replaceAll(' ', '-');

describe('every link leads somewhere', () => {
  for (const page of PAGES) {
    test(page, () => {
      const links = [...read(page).prose.matchAll(/\]\(([^)\s]+)\)/g)].map(([, link = '']) => link);
      for (const link of links.filter((one) => !/^https?:/.test(one))) {
        const [path = '', anchor] = link.split('#');
        const target = path === '' ? join(ROOT, page) : resolve(ROOT, dirname(page), path);
        assert.ok(existsSync(target), `${page}: ${link}`);
        if (anchor === undefined) continue;
        const anchors = read(relative(ROOT, target)).headings.map(({ title }) => anchorOf(title));
        assert.ok(anchors.includes(decodeURIComponent(anchor)), `${page}: ${link}`);
      }
    });
  }

  test('a Chinese page links to Chinese pages where there are any', () => {
    for (const page of PAIRED.map(inChinese)) {
      const links = [...read(page).prose.matchAll(/\]\(([^)#\s]+)[^)\s]*\)/g)];
      for (const [, link = ''] of links.filter(([, one = '']) => !/^https?:/.test(one))) {
        if (page === 'README.zh-CN.md' && link === 'README.md') continue;
        const target = relative(ROOT, resolve(ROOT, dirname(page), link));
        assert.ok(!PAIRED.includes(target), `${page}: ${link}`);
      }
    }
  });
});

const directory = mkdtempSync(join(tmpdir(), 'glm-token-docs-'));
after(() => rmSync(directory, { recursive: true, force: true }));

/** Reads every form of every file. */
const READ_FORMS = `(dolist (file command-line-args-left)
  (with-temp-buffer
    (emacs-lisp-mode)
    (insert-file-contents file)
    (while (progn (forward-comment (buffer-size)) (not (eobp)))
      (read (current-buffer)))))`;

/** Parses every file, and runs none. */
const PARSE_PYTHON = `import ast, sys
for name in sys.argv[1:]:
    with open(name, encoding="utf-8") as file:
        ast.parse(file.read(), name)`;

/** The commands that parse files of a language, and do not run them. */
const PARSERS: Readonly<Record<string, (files: readonly string[]) => readonly string[][]>> = {
  sh: (files) => files.map((file) => ['bash', '-n', file]),
  elisp: (files) => [[found.emacs[0] ?? '', '-Q', '--batch', '--eval', READ_FORMS, ...files]],
  js: (files) => files.map((file) => [process.execPath, '--check', file]),
  python: (files) => [[found.python, '-c', PARSE_PYTHON, ...files]],
};

describe('every code block parses', () => {
  const blocks = PAGES.flatMap((page) =>
    read(page).blocks.map((block, at) => ({ ...block, name: `${page.replace('/', '-')}-${at}` })),
  );
  const PLAIN = ['text', 'mermaid'];

  test('its language is one that is known', () => {
    const known = [...Object.keys(PARSERS), ...PLAIN, 'json'];
    for (const { language, name } of blocks) assert.ok(known.includes(language), name);
  });

  test('json', () => {
    const texts = blocks.filter(({ language }) => language === 'json');
    assert.ok(texts.length > 0);
    for (const { code } of texts) assert.ok(JSON.parse(code));
  });

  for (const [language, parse] of Object.entries(PARSERS)) {
    test(language, async () => {
      const files = blocks
        .filter((block) => block.language === language)
        .map(({ name, code }) => {
          const file = join(directory, `${name}.${language === 'js' ? 'mjs' : language}`);
          writeFileSync(file, code);
          return file;
        });
      assert.ok(files.length > 0);
      for (const command of parse(files)) {
        const { status, stderr } = await run(command);
        assert.equal(status, 0, stderr);
      }
    });
  }

  test('a block that does not parse fails', async () => {
    const broken: Record<string, string> = {
      sh: 'if true',
      elisp: '(message "a"',
      js: 'const = 1;',
      python: 'def f(:',
    };
    for (const [language, parse] of Object.entries(PARSERS)) {
      const file = join(directory, `broken.${language === 'js' ? 'mjs' : language}`);
      writeFileSync(file, broken[language] ?? '');
      for (const command of parse([file]))
        assert.notEqual((await run(command)).status, 0, language);
    }
  });
});

/** Every mention of a command of glm-token in code, with its options. */
const CALL = /\bglm-token ([a-z]+)((?: +(?!#|\|)[^\s#|`&;()]+)*)/g;

test('every command line in the pages has commands and options that there are', () => {
  for (const page of [...PAIRED, ...PAIRED.map(inChinese)]) {
    const { blocks, prose } = read(page);
    const code = [
      ...blocks.filter(({ language }) => language === 'sh').map((block) => withoutComments(block)),
      ...[...prose.matchAll(/`(glm-token [^`]+)`/g)].map(([, line = '']) => line),
    ];
    for (const [call, name = '', rest = ''] of code.flatMap((text) => [...text.matchAll(CALL)])) {
      if (name === 'help') continue;
      const command = COMMANDS.find((one) => one.name === name);
      assert.ok(command, `${page}: ${call}`);
      const [own = ''] = rest.split(' -- ');
      const known = [...Object.keys(command.options), 'help'];
      for (const [, option = ''] of own.matchAll(/--([a-z][a-z-]*)/g)) {
        assert.ok(known.includes(option), `${page}: ${call}`);
      }
    }
  }
});

describe('the reference has what the program has', () => {
  const cases: [page: string, messages: Messages][] = [
    ['docs/reference.md', english('glm-token')],
    ['docs/reference.zh-CN.md', chinese('glm-token')],
  ];
  for (const [page, messages] of cases) {
    const { headings, prose, blocks, tables } = read(page);

    test(`${page}: each command and option, in the words of --help`, () => {
      const titles = headings.filter(({ level }) => level === 3).map(({ title }) => title);
      const names = COMMANDS.map(({ name }) => name as string);
      assert.deepEqual(
        titles.filter((title) => names.includes(title)),
        names,
      );
      const sections = prose.split(/^#{2,3} /m);
      for (const command of COMMANDS) {
        const { name } = command;
        const { summary, options, examples } = messages.commands[name];
        const section = sections.find((text) => text.startsWith(`${name}\n`)) ?? '';
        assert.ok(section.includes(messages.help.sentence(summary)), name);
        const rows = section.split('\n').filter((line) => line.startsWith('| `--'));
        const texts = options as Readonly<Record<string, string>>;
        assert.deepEqual(
          rows.map(cellsOf),
          Object.entries(command.options)
            .filter(([option]) => texts[option])
            .map(([option, about]) => [
              `\`--${option}${about.value ? ` ${about.value}` : ''}\``,
              meaning(texts[option] ?? '', about),
            ]),
        );
        for (const [line, comment] of examples) {
          const text = blocks
            .map(({ code }) => code)
            .join('\n')
            .replace(/ +/g, ' ');
          assert.ok(text.includes(`${line} # ${comment}`), line);
        }
      }
    });

    test(`${page}: each exit code`, () => {
      const codes = Object.entries(EXIT_STATUS).map(([code, status]) => [
        `\`${code}\``,
        String(status),
      ]);
      const rows = tables.flat().map(([code = '', status = '']) => [code, status]);
      assert.deepEqual(
        rows.filter(([code = '']) => code.startsWith('`ERR_')),
        codes,
      );
    });

    test(`${page}: each variable`, () => {
      const source = readFileSync(join(ROOT, 'src/settings.ts'), 'utf8');
      const variables = new Set(source.match(/\bGLM_[A-Z_]+/g));
      const named = tables
        .flat()
        .flatMap(([cell = '']) => cell.match(/^`(GLM_[A-Z_]+)`$/)?.[1] ?? []);
      assert.deepEqual(named.sort(), [...variables].sort());
    });

    test(`${page}: each method of the helper`, () => {
      const source = readFileSync(join(ROOT, 'src/daemon/methods.ts'), 'utf8');
      const methods = [...source.matchAll(/^ {4}async (\w+)\(/gm)].map(([, name]) => `\`${name}\``);
      const start = tables.find((rows) => rows.some(([cell]) => cell === '`initialize`')) ?? [];
      assert.deepEqual(
        start.slice(2).map(([cell]) => cell),
        methods,
      );
    });
  }
});

const meaning = (text: string, { choices, default: byDefault }: Option): string =>
  `${text}${choices.length > 0 ? ` (${choices.join(', ')})` : ''}${byDefault ? ` [${byDefault}]` : ''}`;

/** The options, the commands and the models of the Emacs package, a line each. */
const LISP_NAMES = `(progn
  (mapatoms (lambda (symbol)
    (when (and (string-match-p "\\\\\`glm-gptel-auth-[a-z]" (symbol-name symbol))
               (not (string-match-p "--\\\\|-mode\\\\\`\\\\|-mode\\\\'" (symbol-name symbol)))
               (or (custom-variable-p symbol) (commandp symbol)))
      (princ (format "%s\\n" symbol)))))
  (dolist (model (append glm-gptel-auth-models glm-gptel-auth-coding-models))
    (princ (format "%s\\n" (car model)))))`;

test('docs/emacs.md has each option, command and model of the Emacs package', async () => {
  const emacs = found.emacs[0] ?? '';
  const command = [...emacsCommand(emacs), '-l', 'glm-gptel-auth', '--eval', LISP_NAMES];
  const names = (await run(command)).stdout.trim().split('\n');
  assert.ok(names.includes('glm-gptel-auth-hosts') && names.includes('glm-5.3'), names.join(' '));
  for (const page of ['docs/emacs.md', inChinese('docs/emacs.md')]) {
    const cells = read(page)
      .tables.flat()
      .map(([cell = '']) => cell);
    for (const name of names) {
      const quoted = [`\`${name}\``, `\`M-x ${name}\``];
      assert.ok(
        cells.some((cell) => quoted.some((text) => cell.includes(text))),
        `${page}: ${name}`,
      );
    }
  }
});

test("README's lines for init.el work in Emacs with gptel", async () => {
  const block = read('README.md').blocks.find(({ code }) => code.includes('make-backend'));
  assert.ok(block);
  const lines = block.code.replace('/path/to/glm-token/elisp', `${ROOT}/elisp`);
  const shown = `(progn ${lines} (require 'gptel)
    (princ (list (gptel-backend-name gptel-backend) gptel-model
                 (gptel-backend-host (gptel-get-backend "GLM work")))))`;
  for (const emacs of found.emacs) {
    const elpa = found.elpa.flatMap((path) => ['-L', path]);
    const env = { ...BARE_ENV, HOME: directory };
    const { stdout, stderr } = await run([emacs, '-Q', '--batch', ...elpa, '--eval', shown], {
      env,
    });
    assert.equal(stdout, '(GLM glm-5.3 api.z.ai)', stderr);
  }
});
