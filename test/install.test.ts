/** The packed program as strangers install, use, upgrade and remove it, with each package manager. */

import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type Certificate, makeCertificate } from './support/certificate.ts';
import { type Env, ROOT } from './support/environment.ts';
import { GlmServer } from './support/glm-server.ts';
import { run } from './support/program.ts';
import { Machine, Stranger } from './support/stranger.ts';

const KEY = '0123456789abcdef.TopSecretSecret1';

interface Manager {
  readonly name: string;
  /** What is in the user's ~/.profile before. */
  readonly profile?: string;
  readonly install: (tarball: string) => string;
  /** How the program is called. */
  readonly call?: string;
  readonly uninstall: string;
  /** The package manager's caches, which may have a copy of the package. */
  readonly caches: readonly string[];
  /** What else it keeps for itself. */
  readonly keeps: readonly string[];
}

/** With a prefix of one's own, as docs/troubleshooting.md has it. */
const npm: Manager = {
  name: 'npm',
  profile: 'PATH=~/.local/bin:$PATH',
  install: (tarball) => `npm config set prefix ~/.local && npm install -g ${tarball}`,
  uninstall: 'npm uninstall -g glm-token',
  caches: ['.npm'],
  keeps: ['.npmrc', '.local/bin', '.local/lib/node_modules', '.local/share/man'],
};

const MANAGERS: readonly Manager[] = [
  npm,
  {
    ...npm,
    name: 'npm --ignore-scripts',
    install: (tarball) => `${npm.install(tarball)} --ignore-scripts`,
  },
  {
    name: 'pnpm',
    profile: 'export PNPM_HOME=~/.local/share/pnpm; PATH=$PNPM_HOME/bin:$PATH',
    install: (tarball) => `pnpm add -g ${tarball}`,
    uninstall: 'pnpm remove -g glm-token',
    caches: ['.cache/pnpm', '.local/share/pnpm/store'],
    keeps: ['.local/share/pnpm', '.local/state/pnpm'],
  },
  {
    name: 'yarn',
    profile: 'PATH=$PATH:~/.yarn/bin',
    install: (tarball) => `yarn global add file:${tarball}`,
    uninstall: 'yarn global remove glm-token',
    caches: ['.cache/yarn'],
    keeps: ['.config/yarn', '.yarn'],
  },
  {
    name: 'npx',
    install: (tarball) => `cp ${tarball} . && npx --yes ./glm-token-*.tgz --version`,
    call: 'npx --yes ./glm-token-*.tgz',
    uninstall: 'rm ./glm-token-*.tgz',
    caches: ['.npm'],
    keeps: [],
  },
];

/** Sends one request with gptel, and prints the answer. */
const CHAT = `(let (answer)
  (require 'gptel)
  (gptel-request "Hi" :stream nil
    :callback (lambda (text info) (setq answer (or text (plist-get info :status)))))
  (with-timeout (30) (while (not answer) (accept-process-output nil 0.05)))
  (princ answer))`;

let machine: Machine;
let certificate: Certificate;
let glm: GlmServer;
let tarball: string;
let newer: string;
/** What makes Node and curl trust the stand-in for the service. */
let trust: Env;

/** Packs a directory; returns the tarball, where strangers can read it. */
async function pack(directory: string): Promise<string> {
  const place = mkdtempSync(join(tmpdir(), 'glm-token-pack-'));
  const { status, stderr } = await run(
    // What npm test has built: a build now would take it away from the tests beside this one.
    ['npm', 'pack', '--ignore-scripts', '--pack-destination', place],
    { cwd: directory, env: { ...process.env } as Env },
  );
  assert.equal(status, 0, stderr);
  const [name = ''] = readdirSync(place);
  const path = machine.put(name, readFileSync(join(place, name)));
  rmSync(place, { recursive: true });
  return path;
}

/** Packs what a tarball has with a later version number. */
async function packNewer(): Promise<string> {
  const place = mkdtempSync(join(tmpdir(), 'glm-token-newer-'));
  await run(['tar', '-xzf', tarball, '-C', place]);
  const file = join(place, 'package/package.json');
  const about = JSON.parse(readFileSync(file, 'utf8'));
  writeFileSync(file, JSON.stringify({ ...about, version: '99.0.0' }));
  const path = await pack(join(place, 'package'));
  rmSync(place, { recursive: true });
  return path;
}

before(async () => {
  machine = await Machine.start();
  certificate = await makeCertificate();
  glm = await GlmServer.start({ '0123456789abcdef': 'TopSecretSecret1' }, { tls: certificate });
  const file = machine.put('service.pem', certificate.cert);
  trust = { NODE_EXTRA_CA_CERTS: file, CURL_CA_BUNDLE: file };
  tarball = await pack(ROOT);
  newer = await packNewer();
});
after(async () => {
  await glm?.stop();
  certificate?.remove();
  machine?.stop();
});

/** Runs lines that have to succeed; returns what the line printed on standard output. */
const shellOf =
  (stranger: Stranger) =>
  async (line: string, options: { env?: Env; input?: string } = {}): Promise<string> => {
    const { status, stdout, stderr } = await stranger.run(line, options);
    assert.equal(status, 0, `${line}\n${stdout}${stderr}`);
    return stdout;
  };

const isBelow = (path: string, directory: string): boolean =>
  `${path}/`.startsWith(`${directory}/`);

/** What a home has more than before, without what the package manager keeps for itself. */
function leftBehind(
  before: Record<string, string>,
  after: Record<string, string>,
  { caches, keeps }: Manager,
): string[] {
  for (const [path, content] of Object.entries(after)) {
    assert.ok(!content.includes('TopSecret'), `the key is in ${path}`);
    const isSpared = before[path] !== undefined || caches.some((cache) => isBelow(path, cache));
    if (!isSpared) assert.ok(!content.includes('glm-token'), `${path} speaks of glm-token`);
  }
  for (const [path, content] of Object.entries(before)) assert.equal(after[path], content, path);
  const own = [...caches, ...keeps];
  return Object.keys(after).filter(
    (path) =>
      before[path] === undefined && !own.some((one) => isBelow(path, one) || isBelow(one, path)),
  );
}

describe('from an empty home and back', () => {
  for (const manager of MANAGERS) {
    const { name, profile = '', install, call = 'glm-token', uninstall } = manager;
    test(name, async () => {
      const stranger = await Stranger.start(machine, profile);
      try {
        const shell = shellOf(stranger);
        const before = stranger.tree();
        const host = `--host ${glm.host}`;
        await shell(install(tarball));
        const setup = await shell(`${call} setup --check ${host}`, { env: trust, input: KEY });
        await stranger.write('init.el', setup);
        // The lines survive an upgrade; npx has none.
        if (manager.call === undefined) await shell(install(newer));
        const emacs = (name: string, options: string, FORM: string) =>
          shell(`${name} --batch ${options} --eval "$FORM"`, { env: { ...trust, FORM } });
        for (const name of machine.emacs) {
          const options = `${machine.gptel.join(' ')} -l ./init.el`;
          assert.equal(await emacs(name, options, CHAT), 'Hello from GLM');
        }
        // Lisp files from elsewhere find the program that they have no lines for.
        if (manager.call === undefined) {
          await shell(`tar -xzf ${tarball} package/elisp`);
          const form = `(princ (glm-gptel-auth-token "${glm.host}"))`;
          const options = '-L package/elisp -l glm-gptel-auth';
          assert.match(await emacs(machine.emacs[0] ?? '', options, form), /^eyJ/);
          await shell('rm -r package');
        }
        await shell(`${call} delete --force ${host}`);
        assert.equal(await shell(`${call} list`), '');
        await shell(uninstall);
        await shell('rm init.el');
        assert.deepEqual(leftBehind(before, stranger.tree(), manager), []);
      } finally {
        await stranger.stop();
      }
    });
  }
});

test('without rights and without a keychain, the cures of the docs work', async () => {
  const stranger = await Stranger.start(machine, npm.profile ?? '');
  try {
    const shell = shellOf(stranger);
    await stranger.write('passphrase', 'correct horse');
    const before = stranger.tree();
    const denied = await stranger.run(`npm install -g ${tarball}`);
    assert.notEqual(denied.status, 0);
    assert.match(denied.stderr, /^npm error code EACCES$/m);
    await shell(npm.install(tarball));
    const manual = '/glm-token/dist/glm-token.1\n';
    assert.ok((await shell('man -w glm-token')).endsWith(manual));

    const env = { DBUS_SESSION_BUS_ADDRESS: 'disabled:', GLM_TOKEN_PASSPHRASE_FILE: 'passphrase' };
    const refused = await stranger.run('glm-token store', { env, input: KEY });
    assert.equal(refused.status, 5, refused.stderr);
    assert.match(refused.stderr, /^hint: .*: glm-token store --store file$/m);
    await shell('glm-token store --store file', { env, input: KEY });
    assert.match(await shell('glm-token print', { env }), /^eyJ/);

    await shell('glm-token delete --force', { env });
    await shell(npm.uninstall);
    const directory = '.local/share/glm-token';
    assert.deepEqual(leftBehind(before, stranger.tree(), npm), [directory]);
    await shell(`rmdir ${directory}`);
  } finally {
    await stranger.stop();
  }
});
