/**
 * Characters that could move the cursor, recolour, reorder or hide text on a terminal: C0, DEL, C1, line and paragraph
 * separators, bidirectional controls (Unicode TR 9), invisible format characters, tags, and lone surrogates.
 */
const UNSAFE = /[\p{Cc}\p{Cf}\p{Cs}\u2028\u2029\u115f\u1160\u3164\uffa0]/gu;

const SHORT: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t', '\u001b': '\\e' };

const visible = (character: string): string => SHORT[character] ?? `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`;

/** Text from anywhere, safe inside one line of terminal output: what is unsafe is shown as an escape. */
export const escapeLine = (text: string): string => text.replace(UNSAFE, visible);

/** The same for text of several lines: line ends and tabs stay. */
export const escapeBlock = (text: string): string =>
  text.replace(UNSAFE, (character) => (character === '\n' || character === '\t' ? character : visible(character)));

/** A document as printed JSON. What a terminal would act on stands as \uXXXX, which means the same to a parser. */
export const printJson = (document: unknown): string => `${JSON.stringify(document, null, 2).replace(UNSAFE, (character) =>
  (character === '\n' ? character : [...Array(character.length).keys()].map((unit) => `\\u${character.charCodeAt(unit).toString(16).padStart(4, '0')}`).join('')))}\n`;
