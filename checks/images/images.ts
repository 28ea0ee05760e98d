import type { Instruction } from '../../src/image/history.ts';
import { instructionsOf, saysHow } from '../../src/image/history.ts';
import type { Facts, ImageConfig, ImageFacts, Observed, Target, Verdict } from '../../src/model.ts';
import { valueOf } from '../../src/model.ts';
import { manual, na, unknown } from '../verdict.ts';

/** Where a check of images has nothing to point at. */
export const IMAGES: Target = { kind: 'image', name: 'images', id: 'images' };

const imageTarget = ({ id, tags }: ImageFacts): Target => ({ kind: 'image', name: tags[0] ?? id.replace(/^sha256:/u, '').slice(0, 12), id });

/** A verdict for each image of the engine; na where it has none. */
export function judgeImages<D>(facts: Facts, judgeOne: (image: ImageFacts, target: Target) => readonly Verdict<D>[]): readonly Verdict<D>[] {
  switch (facts.images.status) {
    case 'unreadable': return [unknown(IMAGES, facts.images.reason)];
    case 'absent': return [unknown(IMAGES, 'The images of the engine are not known')];
    case 'present': return facts.images.value.length === 0 ? [na(IMAGES, 'The engine has no images')]
      : facts.images.value.flatMap((image) => judgeOne(image, imageTarget(image)));
  }
}

/** A verdict by a part of an image that was read. */
export function judgePart<T, D>(target: Target, part: Observed<T> | undefined, what: string, judgePart: (value: T) => readonly Verdict<D>[]): readonly Verdict<D>[] {
  const value = valueOf(part);
  if (value !== undefined) return judgePart(value);
  return [unknown(target, part?.status === 'unreadable' ? part.reason : `${what} of the image is not known`)];
}

/** A verdict for each image by its configuration. */
export const judgeConfigs = <D>(facts: Facts, judgeOne: (config: ImageConfig, target: Target) => readonly Verdict<D>[]): readonly Verdict<D>[] =>
  judgeImages(facts, ({ config }, target) => judgePart(target, config, 'The configuration', (value) => judgeOne(value, target)));

/** A verdict for each image by the instructions that made it; manual for one whose history does not say. */
export const judgeHistories = <D>(
  facts: Facts, judgeOne: (instructions: readonly Instruction[], target: Target, image: ImageFacts) => readonly Verdict<D>[],
): readonly Verdict<D>[] => judgeImages(facts, (image, target) => judgePart(target, image.history, 'The history', (history) => {
  const instructions = instructionsOf(history);
  return saysHow(instructions) ? judgeOne(instructions, target, image)
    : [manual(target, 'The image was imported or committed as a whole: its history does not say how it was made')];
}));

/** `*` stands for anything, slashes too. */
export const matchesPattern = (pattern: string, text: string): boolean =>
  new RegExp(`^${pattern.split('*').map((part) => part.replaceAll(/[\\^$.|?+()[\]{}/-]/gu, String.raw`\$&`)).join('.*')}$`, 'su').test(text);

/** Editions with the recommendations of images that came with Docker 1.12. */
export const sinceD112 = (number: string): Record<string, string> => Object.fromEntries(
  ['d1.12', 'd1.13', 'ce1.1.0', '1.2.0', '1.3.1', '1.4.0', '1.5.0', '1.6.0', '1.7.0', '1.8.0'].map((edition) => [edition, number]));
export const sinceD111 = (number: string): Record<string, string> => ({ 'd1.11': number, ...sinceD112(number) });
export const always = (number: string): Record<string, string> => ({ 'd1.6': number, ...sinceD111(number) });
