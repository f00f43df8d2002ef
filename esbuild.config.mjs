// Bundles src/ into dist/, split so that `print` loads its own share alone, with the licences of what is
// bundled, and the manual page. esbuild splits ES modules only, so a second pass makes them CommonJS, which starts sooner:
// `print` takes 1.3 times as long with the first pass alone, and 1.4 times in one file (measured side by
// side, Node 20.20). Not minified: people should be able to read what handles their keys.
import { chmodSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { build } from 'esbuild';
import { manPage } from './man-page.mjs';

const { version, engines } = JSON.parse(readFileSync('package.json', 'utf8'));
const oldestNode = engines.node.replace('>=', '');
/** Licences of what is bundled, all of which go with GPL-3.0-or-later. */
const COMPATIBLE = ['Apache-2.0', 'BlueOak-1.0.0', 'ISC', 'MIT', 'MIT or Apache2'];

const common = {
  outdir: 'dist',
  outExtension: { '.js': '.cjs' },
  platform: 'node',
  target: 'node20',
  logLevel: 'warning',
};
const metaUrl = 'const importMetaUrl=require("node:url").pathToFileURL(__filename).href;';

rmSync('dist', { recursive: true, force: true });
const { metafile } = await build({
  ...common,
  entryPoints: ['src/cli.ts'],
  bundle: true,
  splitting: true,
  format: 'esm',
  external: ['keytar'],
  define: {
    GLM_TOKEN_VERSION: JSON.stringify(version),
    'import.meta.url': 'importMetaUrl',
  },
  metafile: true,
});
const outputs = Object.keys(metafile.outputs);
await build({
  ...common,
  entryPoints: outputs,
  allowOverwrite: true,
  format: 'cjs',
  loader: { '.cjs': 'js' },
  supported: { 'dynamic-import': false },
});
for (const file of outputs) {
  const code = readFileSync(file, 'utf8');
  const banner = code.includes('importMetaUrl') ? metaUrl : '';
  const start =
    file === 'dist/cli.cjs'
      ? `#!/usr/bin/env node\n'use strict';\n${firstOfAll(oldestNode)}\n`
      : '';
  writeFileSync(file, start + banner + code);
}
chmodSync('dist/cli.cjs', 0o755);

const packages = new Set(
  Object.keys(metafile.inputs).flatMap(
    (path) => path.match(/^node_modules\/(?:@[^/]+\/)?[^/]+/) ?? [],
  ),
);
const notices = [...packages].sort().map((path) => {
  const { name, version, ...rest } = JSON.parse(readFileSync(`${path}/package.json`, 'utf8'));
  const license = [rest.license].flat().join(' or ');
  if (!COMPATIBLE.includes(license)) {
    throw new Error(`${name}: is ${license} compatible with GPL-3.0-or-later?`);
  }
  return `${name} ${version} (${license})\n\n${licenceText(path)}`;
});
writeFileSync('dist/THIRD-PARTY-LICENSES.txt', notices.join(`\n${'-'.repeat(72)}\n\n`));

writeFileSync('dist/glm-token.1', manPage(readFileSync('docs/reference.md', 'utf8'), new Date()));

/**
 * What the program does before it loads anything. Without a handler, SIGUSR1 opens a port for a
 * debugger, at which every user of the machine could read a key.
 */
function firstOfAll(oldest) {
  const [major, minor] = oldest.split('.');
  return `process.on('SIGUSR1', () => {});
{
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major < ${major} || (major === ${major} && minor < ${minor})) {
    process.stderr.write(\`glm-token: it needs Node ${oldest} or later, and this is \${process.versions.node}\\n\`);
    process.exit(1);
  }
}`;
}

/** The text of a package's licence; of several, the MIT licence. */
function licenceText(path) {
  const files = readdirSync(path).filter((name) => /^licen[cs]e\b/i.test(name));
  const file = files.find((name) => /mit/i.test(name)) ?? files[0];
  if (file === undefined) throw new Error(`${path} has no text of its licence`);
  return readFileSync(`${path}/${file}`, 'utf8');
}
