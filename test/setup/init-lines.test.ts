/** The lines for init.el, as a real Emacs with a real gptel reads them. */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { english } from '../../src/messages/en.ts';
import { chinese } from '../../src/messages/zh.ts';
import { type Backend, initLines } from '../../src/setup/init-lines.ts';
import { emacsen } from '../support/emacs.ts';
import { BARE_ENV, found, PROGRAM, ROOT } from '../support/environment.ts';
import { run } from '../support/program.ts';

const PATHS = { command: [process.execPath, PROGRAM], elisp: `${ROOT}/elisp` };
const MOVED = { command: ['/gone/node', '/gone/cli.cjs'], elisp: '/gone/elisp' };
const ACCOUNT = { host: 'open.bigmodel.cn', profile: 'default' };
const PAY = 'pay-as-you-go';

const BACKENDS: readonly [Backend, ...Backend[]] = [
  { account: { host: 'api.z.ai', profile: 'work' }, plan: 'coding' },
  { account: ACCOUNT, plan: PAY },
  { account: { ...ACCOUNT, profile: String.raw`工"作\n'$(x)` }, plan: PAY },
];

for (const { emacs, version } of await emacsen()) {
  describe(`Emacs ${version}`, () => {
    /** Evaluates lines, then a form whose value is printed. */
    async function read(lines: readonly string[], form: string) {
      const elpa = found.elpa.flatMap((path) => ['-L', path]);
      const program = `(progn ${lines.join('\n')}\n(princ ${form}))`;
      const { status, stdout, stderr } = await run(
        [emacs, '-Q', '--batch', ...elpa, '--eval', program],
        { env: { ...BARE_ENV, LANG: 'C.UTF-8' } },
      );
      assert.equal(status, 0, stderr);
      return { stdout, stderr };
    }

    test('gptel has each account by a name of its own, and begins with the first', async () => {
      const backend = (name: string) =>
        `(let ((backend (gptel-get-backend ${JSON.stringify(name)})))
           (list (gptel-backend-name backend) (gptel-backend-host backend)
                 (gptel-backend-endpoint backend)))`;
      const names = ['GLM work@api.z.ai', 'GLM', String.raw`GLM 工"作\n'$(x)`];
      const form = `(progn (require 'gptel)
        (json-encode (list (gptel-backend-name gptel-backend) ${names.map(backend).join(' ')})))`;
      const { stdout } = await read(initLines(BACKENDS, PATHS, english('glm-token')), form);
      assert.deepEqual(JSON.parse(stdout), [
        names[0],
        [names[0], 'api.z.ai', '/api/coding/paas/v4/chat/completions'],
        [names[1], 'open.bigmodel.cn', '/api/paas/v4/chat/completions'],
        [names[2], 'open.bigmodel.cn', '/api/paas/v4/chat/completions'],
      ]);
    });

    test('when the files moved, a warning says how to get new lines, in both languages', async () => {
      const [first, , odd = first] = BACKENDS;
      for (const [messages, backend, again] of [
        [english('glm-token'), first, '--host api.z.ai --profile work --plan coding'],
        [chinese('glm-token'), odd, String.raw`--profile '工"作\n'\''$(x)'`],
      ] as const) {
        const { stdout, stderr } = await read(
          initLines([backend], MOVED, messages),
          '(featurep (quote gptel))',
        );
        assert.equal(stdout, 'nil');
        assert.match(stderr, /Warning \(glm-gptel-auth\): /);
        assert.ok(stderr.includes(`glm-token setup emacs ${again}`), stderr);
      }
      const all = await read(initLines(BACKENDS, MOVED, english('glm-token'), true), 'nil');
      assert.match(all.stderr, /glm-token setup emacs --all --plan coding\n/);
    });
  });
}
