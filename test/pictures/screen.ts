/** What a terminal shows, as text and as a picture. */

import xterm, { type IBufferLine } from '@xterm/headless';
import { card, escapeXml, FOREGROUND, GREEN } from './card.ts';

/** Width of a terminal in a picture, in columns. */
export const COLUMNS = 108;

const ROWS = 100;

/** Sizes in px; a column is as wide as in most monospaced fonts. */
const [FONT_SIZE, WIDE_SIZE, COLUMN, ROW, MARGIN] = [15, 17, 9, 21, 20];

const FONTS =
  "ui-monospace,'JetBrains Mono','SF Mono',Menlo,Consolas,'DejaVu Sans Mono','Noto Sans Mono CJK SC','PingFang SC','Microsoft YaHei',monospace";

/** Colours by their number in the terminal's palette: those that glm-token uses. */
const PALETTE: Readonly<Record<number, string>> = {
  1: '#ff7b72',
  2: GREEN,
  3: '#e3b341',
  6: '#56d4dd',
};

/** Characters side by side, of one colour and one width, without spaces. */
interface Word {
  readonly column: number;
  readonly characters: string[];
  readonly color: string;
  /** Of each character, in columns. */
  readonly width: number;
}

/** What is on the screen of a terminal that was sent some bytes, without the empty lines below it. */
async function linesOf<T>(bytes: string, read: (line: IBufferLine) => T): Promise<T[]> {
  const terminal = new xterm.Terminal({ cols: COLUMNS, rows: ROWS, allowProposedApi: true });
  await new Promise<void>((resolve) => terminal.write(bytes, resolve));
  const { active } = terminal.buffer;
  const lines = Array.from({ length: ROWS }, (_, y) => active.getLine(y)).filter(
    (line) => line !== undefined,
  );
  const last = lines.findLastIndex((line) => line.translateToString(true) !== '');
  return lines.slice(0, last + 1).map(read);
}

export const textOf = async (bytes: string): Promise<string> =>
  (await linesOf(bytes, (line) => `${line.translateToString(true)}\n`)).join('');

function wordsOf(line: IBufferLine): Word[] {
  const words: Word[] = [];
  for (let column = 0; column < line.length; column += 1) {
    const cell = line.getCell(column);
    const text = cell?.getChars().trim();
    if (!cell || !text) continue;
    const color = cell.isFgDefault() ? FOREGROUND : PALETTE[cell.getFgColor()];
    if (!color) throw new Error(`no colour for number ${cell.getFgColor()}`);
    const width = cell.getWidth();
    const last = words.at(-1);
    if (last && last.color === color && last.width === width && endOf(last) === column) {
      last.characters.push(text);
    } else {
      words.push({ column, characters: [text], color, width });
    }
  }
  return words;
}

const endOf = ({ column, characters, width }: Word): number => column + characters.length * width;

/** A picture of the screen, as SVG. */
export async function drawScreen(bytes: string): Promise<string> {
  const lines = await linesOf(bytes, wordsOf);
  const width = 2 * MARGIN + Math.max(...lines.flat().map(endOf)) * COLUMN;
  const height = 2 * MARGIN + lines.length * ROW;
  const texts = lines.flatMap((words, y) =>
    words.map((word) => {
      const place = `${placeOf(word)} y="${MARGIN + y * ROW + FONT_SIZE}"`;
      const fill = word.color === FOREGROUND ? '' : ` fill="${word.color}"`;
      return `<text ${place}${fill}>${escapeXml(word.characters.join(''))}</text>`;
    }),
  );
  return card({ width, height, fonts: FONTS, fontSize: FONT_SIZE }, texts);
}

/** Attributes that keep a word in its columns, whatever font there is. */
function placeOf({ column, characters, width }: Word): string {
  const at = (n: number) => MARGIN + (column + n * width) * COLUMN;
  if (width === 2)
    return `x="${characters.map((_, n) => at(n)).join(' ')}" font-size="${WIDE_SIZE}"`;
  return `x="${at(0)}" textLength="${characters.length * COLUMN}"`;
}
