/** The pictures of the pages: their files, and the transcript that each of them was made from. */

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { optimize } from 'svgo';
import type { Language } from '../../src/settings.ts';
import { ROOT } from '../support/environment.ts';
import { FAINT, withWords } from './card.ts';
import type { Scene } from './scenes.ts';
import { drawScreen } from './screen.ts';

/** Where a picture is, from the root of the checkout. */
export const fileOf = (name: string, language: Language): string =>
  `docs/pictures/${name}${language === 'zh' ? '.zh-CN' : ''}.svg`;

/** Draws a scene, and writes it with its transcript, for the test and for people who cannot see it. */
export async function hang({ name, language, transcript, shown }: Scene): Promise<void> {
  const svg = name === 'chat' ? finishFrame(shown) : await drawScreen(shown);
  const [title = ''] = transcript.replace(/^\$ /, '').split('\n');
  writeFileSync(join(ROOT, fileOf(name, language)), withWords(svg, title, transcript));
}

/** The transcript in a picture, with what has to be escaped in XML. */
export function transcriptIn(name: string, language: Language): string | undefined {
  const svg = readFileSync(join(ROOT, fileOf(name, language)), 'utf8');
  return /<desc>\n([\s\S]*)<\/desc>/.exec(svg)?.[1];
}

/** Makes Emacs' drawing of its frame smaller, and gives it a border. */
function finishFrame(frame: string): string {
  const [, width = '', height = ''] = /viewBox="0 0 (\d+) (\d+)"/.exec(frame) ?? [];
  const sized = frame.replace(
    /width="\d+pt" height="\d+pt"/,
    `width="${width}" height="${height}"`,
  );
  const { data } = optimize(sized, { multipass: true, floatPrecision: 2 });
  const border = `<path fill="none" stroke="${FAINT}" d="M.5.5h${Number(width) - 1}v${Number(height) - 1}H.5z"/>`;
  return data.replace(/<\/svg>$/, `${border}</svg>\n`);
}
