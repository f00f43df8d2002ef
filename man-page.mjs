// The manual page glm-token(1), made by the build: docs/reference.md as far as its section on JSON.
import { Marked } from 'marked';
import markedMan from 'marked-man';

const HEAD = `# glm-token(1) -- fresh short-lived tokens for the GLM API

## SYNOPSIS

    glm-token COMMAND [OPTIONS]

## DESCRIPTION

`;
const TAIL = `## SEE ALSO

The package has more pages in its directory \`docs\`, in English and in Chinese; \`reference.md\` there has JSON and the helper's protocol too.
`;

/** Sections of the reference that have another name in man-pages(7). */
const TITLES = { 'Exit codes': 'EXIT STATUS', Variables: 'ENVIRONMENT' };

/**
 * @param {string} reference the text of docs/reference.md
 * @param {Date} date
 */
export function manPage(reference, date) {
  // Without its title, and the paragraph on the page itself.
  const [, body] = /^# [^\n]*\n\n[^\n]*\n\n(.*?)^## JSON$/ms.exec(reference) ?? [];
  if (!body) throw new Error('docs/reference.md has no section JSON');
  const page = body
    .replace(/^## (.*)$/gm, (_line, title) => `## ${TITLES[title] ?? title.toUpperCase()}`)
    .replace(/^\|.*\|\n\|[-|: ]+\|\n/gm, '')
    .replace(/^\|(.*)\|$/gm, (_line, row) => entry(row.split('|')))
    .replace(/\[([^\]]+)\]\(([\w.-]+)[^)]*\)/g, '$1 (`docs/$2`)');
  const { renderer, tokenizer } = markedMan;
  const options = { ...markedMan, renderer: { ...renderer }, tokenizer: { ...tokenizer }, date };
  return new Marked(options).parse(HEAD + page + TAIL);
}

/** A row of a table, which would be wider than a terminal: its first cell, and the others below it. */
function entry(cells) {
  const [term, ...about] = cells.map((cell) => cell.trim()).filter(Boolean);
  return `* ${term}\n${about.join(': ')}`;
}
