/** Text in columns of a terminal, where a Chinese character takes two. */

import stringWidth from 'string-width';

export const widthOf = (text: string): number => stringWidth(text);

export const pad = (text: string, width: number): string =>
  text + ' '.repeat(Math.max(0, width - widthOf(text)));

/** What a line may be broken between: words, and single characters of Chinese with what follows them. */
const PIECES =
  /[\u3000-\u9fff\uff00-\uffef][，。；：、）」！？…]*|[^\s\u3000-\u9fff\uff00-\uffef]+|\s+/g;

/** A text in lines of a width, with all but the first indented. */
export function wrap(text: string, width: number, indent = ''): string[] {
  const lines: string[] = [];
  let line = '';
  for (const piece of text.match(PIECES) ?? []) {
    const isSpace = piece.trim() === '';
    if (line !== '' && widthOf(line + piece) > width) {
      lines.push(line.trimEnd());
      line = isSpace ? '' : indent + piece;
    } else if (!isSpace || line !== '') {
      line += piece;
    }
  }
  return [...lines, line.trimEnd()];
}
