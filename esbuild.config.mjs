// Bundles src/ into dist/ (CommonJS: it starts 5 ms sooner than ESM, and that is a tenth of the
// whole; split, so that `print` loads its own share alone), with the licences of what is bundled.
import { chmodSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { build } from 'esbuild';

const { version } = JSON.parse(readFileSync('package.json', 'utf8'));
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
  define: { GLM_TOKEN_VERSION: JSON.stringify(version), 'import.meta.url': 'importMetaUrl' },
  metafile: true,
});
const outputs = Object.keys(metafile.outputs);
await build({
  ...common,
  entryPoints: outputs,
  allowOverwrite: true,
  format: 'cjs',
  loader: { '.cjs': 'js' },
  minify: true,
  supported: { 'dynamic-import': false },
});
for (const file of outputs) {
  const code = readFileSync(file, 'utf8');
  const banner = code.includes('importMetaUrl') ? metaUrl : '';
  const shebang = file === 'dist/cli.cjs' ? '#!/usr/bin/env node\n' : '';
  writeFileSync(file, shebang + banner + code);
}
chmodSync('dist/cli.cjs', 0o755);

const packages = new Set(
  Object.keys(metafile.inputs).flatMap(
    (path) => path.match(/^node_modules\/(?:@[^/]+\/)?[^/]+/) ?? [],
  ),
);
const notices = [...packages].sort().map((path) => {
  const { name, version, license } = JSON.parse(readFileSync(`${path}/package.json`, 'utf8'));
  return `${name} ${version} (${license})\n\n${licenceText(path)}`;
});
writeFileSync('dist/THIRD-PARTY-LICENSES.txt', notices.join(`\n${'-'.repeat(72)}\n\n`));

function licenceText(path) {
  for (const name of [
    'LICENSE',
    'LICENSE.md',
    'LICENSE.txt',
    'License.txt',
    'LICENCE',
    'license',
  ]) {
    try {
      return readFileSync(`${path}/${name}`, 'utf8');
    } catch {}
  }
  return '(the package has no licence file)\n';
}
