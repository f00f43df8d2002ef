/** The card that pictures are drawn on: its background can be told from light and dark pages. */

export const [FOREGROUND, FAINT, GREEN] = ['#d1d7e0', '#8b949e', '#57c764'];

const [BACKGROUND, BORDER] = ['#161b22', '#444c56'];

export interface CardOptions {
  /** In px. */
  readonly width: number;
  readonly height: number;
  readonly fonts: string;
  readonly fontSize: number;
}

/** A picture as SVG, from the elements on it. */
export function card(
  { width, height, fonts, fontSize }: CardOptions,
  elements: readonly string[],
): string {
  const size = `width="${width}" height="${height}" viewBox="0 0 ${width} ${height}"`;
  const text = `font-family="${fonts}" font-size="${fontSize}" fill="${FOREGROUND}"`;
  const edge = `x=".5" y=".5" width="${width - 1}" height="${height - 1}" rx="8"`;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" ${size} ${text}>`,
    `<rect ${edge} fill="${BACKGROUND}" stroke="${BORDER}"/>`,
    ...elements,
    '</svg>\n',
  ].join('\n');
}

/** A picture, as SVG, with words for those who cannot see it. */
export function withWords(svg: string, title: string, description = ''): string {
  const words = [
    `<title>${escapeXml(title)}</title>`,
    ...(description ? [`<desc>\n${escapeXml(description)}</desc>`] : []),
  ];
  return svg.replace(/^<svg[^>]*>\n?/, (start) => `${[start.trim(), ...words].join('\n')}\n`);
}

export const escapeXml = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
