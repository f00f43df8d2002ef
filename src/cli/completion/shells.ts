/** How each shell gives its words, and how it takes what is offered. */

/** A word that is offered, and what it is, for shells that show that. */
export interface Word {
  readonly text: string;
  readonly meaning: string;
}

/** Words of ours, or what the shell itself knows. */
export type Offer = readonly Word[] | 'commands' | 'files';

/**
 * The answer to a completion script.
 *
 * @param line what the script gave: the words up to the cursor, in bash after its word breaks
 * @param makeOffer finds out what fits some words
 */
export async function formatOffer(
  shell: string,
  line: readonly string[],
  makeOffer: (words: readonly string[]) => Promise<Offer>,
): Promise<string> {
  const bash = shell === 'bash' ? readBash(line) : undefined;
  const offer = await makeOffer(bash?.words ?? line);
  if (typeof offer === 'string') return `${offer}\n`;
  const lines = bash ? bash.format(offer) : offer.map(shell === 'zsh' ? forZsh : forFish);
  return ['words', ...lines].map((text) => `${text}\n`).join('');
}

/** As _describe takes it. */
const forZsh = ({ text, meaning }: Word): string => {
  const word = text.replace(/[\\:]/g, '\\$&');
  return meaning ? `${word}:${meaning}` : word;
};

const forFish = ({ text, meaning }: Word): string => (meaning ? `${text}\t${meaning}` : text);

/** Characters that join words of ours, and that bash may split words at. */
const JOINTS = ['=', ':', '@'];

/** What a shell would not take as it is, in ASCII. */
const SPECIAL = /[\s!"#$&'()*;<>?[\\\]^`{|}~]/g;

const unquoted = (text: string): string => text.replace(/\\(.)|["']/g, '$1');

/**
 * bash 4 splits a word at `=` and others of its word breaks, bash 3 does not; both put what is offered
 * in place of what comes after the last of them. Neither takes off quotes, or puts them on.
 */
function readBash([breaks = '', ...tokens]: readonly string[]) {
  const joints = JOINTS.filter((joint) => breaks.includes(joint));
  const isJoint = (token: string) => token !== '' && [...token].every((c) => joints.includes(c));
  const joined: string[] = [];
  for (const [at, token] of tokens.entries()) {
    const isGlued = at > 0 && (isJoint(token) || isJoint(tokens[at - 1] ?? ''));
    joined.push(isGlued ? `${joined.pop()}${token}` : token);
  }
  const words = joined.map(unquoted);
  const current = words.at(-1) ?? '';

  const last = tokens.at(-1) ?? '';
  const quote = /["']/.exec(last);
  const breakAt = Math.max(...joints.map((joint) => last.lastIndexOf(joint)), -1);
  const replaced = unquoted(last.slice((quote?.index ?? breakAt) + 1));
  const kept = current.length - replaced.length;
  const format = (offer: readonly Word[]): readonly string[] =>
    offer
      .filter(({ text }) => text.startsWith(current))
      .map(({ text }) => text.slice(kept))
      .map((text) => (quote ? text : text.replace(SPECIAL, '\\$&')));
  return { words, format };
}
