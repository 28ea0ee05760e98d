import { escapeLine } from './escape.ts';

/** What a text is rendered for. No terminal: no colour, and one line per item however long, so that pipes can be searched. */
export interface Layout {
  readonly color: boolean;
  /** Columns; Infinity when it is no terminal. */
  readonly width: number;
}

export const PLAIN: Layout = { color: false, width: Infinity };

type Paint = (text: string) => string;
type Colour = 'bold' | 'dim' | 'red' | 'green' | 'yellow' | 'cyan';

/** SGR parameters (ECMA-48): on, off. */
const SGR: Readonly<Record<Colour, readonly [number, number]>> = {
  bold: [1, 22], dim: [2, 22], red: [31, 39], green: [32, 39], yellow: [33, 39], cyan: [36, 39],
};

export type Style = Readonly<Record<Colour, Paint>>;

export function styleFor({ color }: Layout): Style {
  const paint = (colour: Colour): Paint => (text) => (color ? `\u001b[${SGR[colour][0]}m${text}\u001b[${SGR[colour][1]}m` : text);
  return { bold: paint('bold'), dim: paint('dim'), red: paint('red'), green: paint('green'), yellow: paint('yellow'), cyan: paint('cyan') };
}

/** Columns that a text takes: two for East Asian wide characters and emoji, none for combining marks. */
export function widthOf(text: string): number {
  let width = 0;
  for (const character of text) {
    if (/\p{M}/u.test(character)) continue;
    width += /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|\p{Emoji_Presentation}/u.test(character) ? 2 : 1;
  }
  return width;
}

export const padTo = (text: string, width: number): string => text + ' '.repeat(Math.max(0, width - widthOf(text)));

/**
 * Untrusted text as lines below an indent: escaped, and wrapped at spaces to the width. The first line begins with `lead`,
 * the others are indented as far.
 */
export function paragraph(text: string, layout: Layout, indent: number, lead = ''): string[] {
  const start = ' '.repeat(indent);
  const room = Math.max(20, layout.width - indent - widthOf(lead));
  const lines: string[] = [];
  let line = '';
  for (const word of escapeLine(text).split(' ')) {
    if (line !== '' && widthOf(line) + 1 + widthOf(word) > room) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  lines.push(line);
  return lines.map((content, index) => start + (index === 0 ? lead : ' '.repeat(widthOf(lead))) + content);
}

/** The first `limit` of a list (null: all) and how many are left. */
export function limited<T>(items: readonly T[], limit: number | null): { readonly shown: readonly T[]; readonly more: number } {
  const shown = limit === null ? items : items.slice(0, limit);
  return { shown, more: items.length - shown.length };
}

export const plural = (count: number, singular: string, many = `${singular}s`): string => `${count} ${count === 1 ? singular : many}`;
