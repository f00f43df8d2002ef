/** How long a token takes, by the last `npm run bench`: as a chart, and as a section of docs/design.md. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Language } from '../../src/settings.ts';
import { ROOT } from '../support/environment.ts';

import { card, escapeXml, FAINT, FOREGROUND, GREEN, withWords } from './card.ts';

/** Where bench.ts leaves them. */
export const FIGURES = join(ROOT, 'test/bench/figures.json');

/** What is compared, in the order of the table. */
const ROWS = ['helper', 'true', 'print', 'python'] as const;
export type Row = (typeof ROWS)[number];

/** What the chart shows of it. */
const BARS = ['helper', 'print', 'python'] as const;

/** A run of bench.ts. */
export interface Figures {
  /** As in ISO 8601. */
  readonly date: string;
  readonly glmToken: string;
  readonly cpu: string;
  readonly cores: number;
  readonly node: string;
  readonly keyring: string;
  readonly emacs: readonly {
    readonly version: string;
    readonly medianMs: Readonly<Record<Row, number>>;
  }[];
}

export const readFigures = (): Figures => JSON.parse(readFileSync(FIGURES, 'utf8'));

const FRAME_MS = 1000 / 60;

interface Texts {
  readonly rows: Readonly<Record<(typeof BARS)[number], string>>;
  readonly title: (emacs: string) => string;
  readonly frame: string;
}

const TEXTS: Record<Language, Texts> = {
  en: {
    rows: {
      helper: "glm-token's helper, real keychain read included",
      print: '`call-process` of `glm-token print`',
      python: "`call-process` of the service's Python sample (PyJWT)",
    },
    title: (emacs) => `One token in Emacs ${emacs}: median time`,
    frame: 'one frame of a display at 60 Hz: 16.7 ms',
  },
  zh: {
    rows: {
      helper: 'glm-token 的后台进程，包含真实的钥匙串读取',
      print: '`call-process` 运行 `glm-token print`',
      python: '`call-process` 运行服务官方的 Python 示例（PyJWT）',
    },
    title: (emacs) => `在 Emacs ${emacs} 里取得一个令牌：耗时中位数`,
    frame: '60 Hz 屏幕的一帧：16.7 ms',
  },
};

const inMs = (ms: number): string => `${ms < 10 ? ms.toFixed(1) : ms.toFixed(0)} ms`;

const lead = ({ date, glmToken, cpu, cores, node, keyring }: Figures): string => {
  const day = new Date(date).toLocaleDateString('en-GB', { dateStyle: 'long' });
  return `Median times for one token in Emacs, from one run of \`npm run bench\` on ${day} (glm-token ${glmToken}, ${cpu} with ${cores} cores, Node ${node}, gnome-keyring ${keyring}):`;
};

/** The section of docs/design.md between its markers. */
export function speedTable(figures: Figures): string {
  const texts = { ...TEXTS.en.rows, true: '`call-process` of `true`, which does nothing' };
  const cells = (row: Row, of: (text: string) => string) =>
    [texts[row], ...figures.emacs.map(({ medianMs }) => inMs(medianMs[row]))].map(of).join(' | ');
  return [
    lead(figures),
    '',
    `| ${['How', ...figures.emacs.map(({ version }) => `Emacs ${version}`)].join(' | ')} |`,
    `|---|${figures.emacs.map(() => '---:|').join('')}`,
    ...ROWS.map((row) => `| ${cells(row, (text) => (row === 'helper' ? `**${text}**` : text))} |`),
  ].join('\n');
}

/** The page that has the section, and its markers there. */
export const PAGE = 'docs/design.md';
export const SECTION = /(?<=<!-- speed: npm run pictures -->\n\n)[\s\S]*?(?=\n\n<!-- \/speed -->)/;

/** Sizes in px. */
const [WIDTH, MARGIN, HEAD, ROW, BAR] = [850, 24, 64, 52, 18];

const FONTS =
  "system-ui,-apple-system,'Segoe UI','Noto Sans','PingFang SC','Microsoft YaHei','Noto Sans CJK SC',sans-serif";

/** A chart of the newest Emacs, as SVG. */
export function speedChart({ emacs }: Figures, language: Language): string {
  const { rows, title, frame } = TEXTS[language];
  const { version, medianMs } = emacs.at(-1) ?? emacs[0] ?? { version: '', medianMs: undefined };
  if (!medianMs) throw new Error('there are no figures');
  const longest = Math.max(...Object.values(medianMs), FRAME_MS);
  const scale = (WIDTH - 2 * MARGIN - 80) / longest;
  const height = HEAD + BARS.length * ROW + 2 * MARGIN;
  const frameX = MARGIN + FRAME_MS * scale;
  const bottom = HEAD + BARS.length * ROW;
  const bars = BARS.flatMap((row, at) => {
    const y = HEAD + at * ROW;
    const width = medianMs[row] * scale;
    const label = rows[row].replaceAll('`', '');
    const weight = row === 'helper' ? ' font-weight="600"' : '';
    return [
      `<text x="${MARGIN}" y="${y + 14}"${weight}>${escapeXml(label)}</text>`,
      `<rect x="${MARGIN}" y="${y + 21}" width="${width.toFixed(1)}" height="${BAR}" rx="2" fill="${row === 'helper' ? GREEN : '#6e7681'}"/>`,
      `<text x="${(MARGIN + width + 8).toFixed(1)}" y="${y + 35}"${weight}>${inMs(medianMs[row])}</text>`,
    ];
  });
  const ticks = BARS.map((_, at) => `M${frameX.toFixed(1)} ${HEAD + at * ROW + 18}v${BAR + 6}`);
  const chart = card({ width: WIDTH, height, fonts: FONTS, fontSize: 14 }, [
    `<text x="${MARGIN}" y="36" font-size="17" font-weight="600">${escapeXml(title(version))}</text>`,
    ...bars,
    `<path d="${ticks.join('')}" stroke="${FOREGROUND}" stroke-dasharray="3 3"/>`,
    `<text x="${frameX.toFixed(1)}" y="${bottom + 22}" text-anchor="middle" font-size="13" fill="${FAINT}">${escapeXml(frame)}</text>`,
  ]);
  return withWords(chart, title(version));
}
