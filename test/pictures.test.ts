/** The pictures of the pages: whether the program still shows, and the bench still says, what is in them. */

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { LANGUAGES } from '../src/settings.ts';
import { escapeXml } from './pictures/card.ts';
import { PAGE, readFigures, SECTION, speedChart, speedTable } from './pictures/chart.ts';
import { fileOf, transcriptIn } from './pictures/gallery.ts';
import type { Scene } from './pictures/scenes.ts';
import { playScenes, unavailable } from './pictures/stage.ts';
import { ROOT } from './support/environment.ts';

const CURE = 'is out of date; make it again with: npm run pictures';

const textOf = (file: string): string => readFileSync(join(ROOT, file), 'utf8');

const skip = (await unavailable()) ?? false;

describe('a picture shows what the program and gptel show now', { skip }, () => {
  let scenes: Scene[];
  before(async () => {
    scenes = await playScenes();
  });

  for (const language of LANGUAGES) {
    for (const name of ['setup', 'chat', 'clock'] as const) {
      const file = fileOf(name, language);
      test(file, () => {
        const scene = scenes.find((one) => one.name === name && one.language === language);
        assert.equal(
          transcriptIn(name, language),
          escapeXml(scene?.transcript ?? ''),
          `${file} ${CURE}`,
        );
      });
    }
  }
});

test('the times of the last bench are in the charts and in the table', () => {
  for (const language of LANGUAGES) {
    const chart = fileOf('speed', language);
    assert.equal(textOf(chart), speedChart(readFigures(), language), `${chart} ${CURE}`);
  }
  assert.equal(SECTION.exec(textOf(PAGE))?.[0], speedTable(readFigures()), `${PAGE} ${CURE}`);
});

test('every picture is on a page of its language', () => {
  const pages = ['.', 'docs'].flatMap((directory) =>
    readdirSync(join(ROOT, directory))
      .filter((name) => name.endsWith('.md'))
      .map((name) => join(directory, name)),
  );
  for (const name of readdirSync(join(ROOT, 'docs/pictures'))) {
    const shown = pages.filter((page) => textOf(page).includes(`pictures/${name})`));
    assert.ok(shown.length > 0, `no page shows ${name}`);
    for (const page of shown)
      assert.equal(page.includes('.zh-CN.'), name.includes('.zh-CN.'), page);
  }
});

test('no picture has a whole token', () => {
  for (const name of readdirSync(join(ROOT, 'docs/pictures'))) {
    assert.doesNotMatch(textOf(`docs/pictures/${name}`), /eyJ[\w-]+\.[\w-]+/, name);
  }
});
