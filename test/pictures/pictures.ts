/**
 * Makes the pictures of the pages, and the table of times in docs/design.md (`npm run pictures`). Its argument is
 * an Emacs that draws its own frame.
 */

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { LANGUAGES } from '../../src/settings.ts';
import { ROOT } from '../support/environment.ts';
import { PAGE, readFigures, SECTION, speedChart, speedTable } from './chart.ts';
import { fileOf, hang } from './gallery.ts';
import { playScenes, unavailable } from './stage.ts';

const figures = readFigures();
for (const language of LANGUAGES) {
  writeFileSync(join(ROOT, fileOf('speed', language)), speedChart(figures, language));
}
const page = readFileSync(join(ROOT, PAGE), 'utf8');
writeFileSync(
  join(ROOT, PAGE),
  page.replace(SECTION, () => speedTable(figures)),
);

const reason = await unavailable();
if (reason) throw new Error(`the pictures of the program need a stage: ${reason}`);
for (const scene of await playScenes(process.argv[2])) await hang(scene);
