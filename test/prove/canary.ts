/** A secret made up for a run, and every form in which it could turn up. */

import { randomInt } from 'node:crypto';
import { lstatSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const LETTERS = 'abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789';
/** With an id of 32, a key is short enough to be taken for a profile. */
const LENGTH = 24;

export class Canary {
  readonly text: string;
  /** The whole of it, in each form. */
  readonly forms: readonly Buffer[];
  /** Each half of it, in each form. */
  readonly halves: readonly Buffer[];

  constructor(
    text = Array.from({ length: LENGTH }, () => LETTERS[randomInt(LETTERS.length)]).join(''),
  ) {
    this.text = text;
    const middle = Math.ceil(text.length / 2);
    this.forms = formsOf(text);
    this.halves = [text.slice(0, middle), text.slice(middle)].flatMap((half) => [
      ...formsOf(half),
      Buffer.from(half.toLowerCase()), // As hosts are shown.
    ]);
  }

  /** Whether half of it, or more, is in a text in any form. */
  isIn(text: string | Buffer): boolean {
    const bytes = Buffer.from(text);
    return this.halves.some((form) => bytes.includes(form));
  }

  /** The files below a directory that have half of it in their content or name. */
  filesBelow(directory: string): { found: string[]; count: number } {
    const found: string[] = [];
    let count = 0;
    const look = (path: string): void => {
      if (this.isIn(path)) found.push(path);
      const stats = lstatSync(path, { throwIfNoEntry: false });
      if (stats?.isDirectory()) for (const name of readdirSync(path)) look(join(path, name));
      if (!stats?.isFile()) return;
      count += 1;
      if (this.isIn(readFileSync(path))) found.push(path);
    };
    look(directory);
    return { found, count };
  }
}

/** UTF-8, UTF-16 of both orders, hex in both cases, and base64 at each of its three offsets. */
function formsOf(text: string): Buffer[] {
  const utf8 = Buffer.from(text);
  const utf16 = Buffer.from(text, 'utf16le');
  const hex = utf8.toString('hex');
  const base64 = [0, 1, 2].flatMap((offset) => {
    const encoded = Buffer.concat([Buffer.alloc(offset), utf8]).toString('base64');
    // What its neighbours have no part in.
    const alone = encoded.slice(
      Math.ceil((offset * 8) / 6),
      Math.floor(((offset + utf8.length) * 8) / 6),
    );
    return [alone, alone.replaceAll('+', '-').replaceAll('/', '_')];
  });
  const texts = [hex, hex.toUpperCase(), ...base64].map((form) => Buffer.from(form));
  const all = [utf8, utf16, Buffer.from(utf16).swap16(), ...texts];
  return all.filter((form, at) => all.findIndex((other) => other.equals(form)) === at);
}
