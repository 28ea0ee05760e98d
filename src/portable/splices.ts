import { diffWordsWithSpace } from 'diff';
import type { Splice } from './model.ts';
import { Refused } from './model.ts';

/**
 * The stretches of `text` that `masked`, the same text with secrets masked, does not show: [start, end) in UTF-16 code units. What stands
 * between two masks is looked for in order, so that a stretch is never shorter than the secret.
 */
export function secretStretches(text: string, masked: string): readonly (readonly [start: number, end: number])[] {
  if (text === masked) return [];
  const parts = masked.split(MASK);
  const stretches: [number, number][] = [];
  let at = 0;
  for (const [index, part] of parts.entries()) {
    // Of the last part, the end of the text is the place.
    const found = index === parts.length - 1 ? text.length - part.length : text.indexOf(part, at);
    // What masking did more than that cannot be told apart: then all of it counts.
    if (found < at || !text.startsWith(part, found)) return [[0, text.length]];
    if (index > 0 && text.slice(at, found) !== MASK && found > at) stretches.push([at, found]);
    at = found + part.length;
  }
  return stretches;
}

const MASK = '***';

/** A secret shorter than that is no evidence where it stands in another text by chance. */
const LEAST_SECRET = 4;

/**
 * The splices that make `after` of `before`, with offsets in bytes of UTF-8: word by word, so that what stays is not sent.
 * `mask` is what masks the secrets of such a text.
 * @throws Refused when an inserted text would hold a secret
 */
export function splicesBetween(before: string, after: string, mask: (text: string) => string): readonly Splice[] {
  const secretsAfter = secretStretches(after, mask(after));
  const secretsBefore = secretStretches(before, mask(before)).map(([start, end]) => before.slice(start, end));
  const splices: Splice[] = [];
  let [offset, written] = [0, 0];
  // Whether the last splice ends where the next part begins.
  let open = false;
  const extend = (length: number, text: string): void => {
    const last = open ? splices.pop() : undefined;
    splices.push({ offset: last?.offset ?? offset, length: (last?.length ?? 0) + length, text: (last?.text ?? '') + text });
    open = true;
  };
  for (const { added, removed, value } of diffWordsWithSpace(before, after)) {
    if (added) {
      if (secretsAfter.some(([start, end]) => start < written + value.length && end > written) || secretsBefore.some((secret) => secret.length >= LEAST_SECRET && value.includes(secret))) {
        throw new Refused('It would write a secret into the file, and that does not travel: only `harden apply` on the host makes this change.');
      }
      extend(0, value);
      written += value.length;
    } else if (removed) {
      extend(Buffer.byteLength(value), '');
      offset += Buffer.byteLength(value);
    } else {
      open = false;
      offset += Buffer.byteLength(value);
      written += value.length;
    }
  }
  return splices;
}

/** Makes the splices; the inverse of `splicesBetween`. */
export function spliced(before: Buffer, splices: readonly Splice[]): Buffer {
  const parts: Buffer[] = [];
  let at = 0;
  for (const { offset, length, text } of splices) {
    parts.push(before.subarray(at, offset), Buffer.from(text));
    at = offset + length;
  }
  return Buffer.concat([...parts, before.subarray(at)]);
}
