import type { Check } from '../../src/model.ts';
import { ageInDays } from '../age.ts';
import { manual, pass, unknown, warn } from '../verdict.ts';
import { IMAGES, judgeImages } from './images.ts';

export const check: Check<null> = {
  id: 'image.age',
  title: 'Images are rebuilt regularly',
  rationale: 'An image gets no fixes after it was built: the older it is, the more known flaws it carries.',
  evidence: 'GET /images/json Created; policy parameter images.maxAgeDays. Builds that are made reproducible by a fixed date in the past are told to be old',
  passes: 'No image is older than images.maxAgeDays.',
  section: 'images',
  severity: 'medium',
  level: 2,
  cis: {},
  evaluate: (facts, { parameters: { images } }) => {
    const limit = images?.maxAgeDays;
    if (limit === undefined && facts.images.status === 'present' && facts.images.value.length > 0) {
      return [manual(IMAGES, 'Nobody said how old an image may be: review when the images were built')];
    }
    return judgeImages<null>(facts, ({ createdAt }, target) => {
      const age = ageInDays(createdAt, facts.collectedAt);
      if (age === null || limit === undefined) return [unknown(target, 'When the image was built is not known')];
      return [age > limit ? warn(target, `It was built ${age} days ago; ${limit} are allowed`, null) : pass(target, `It was built ${age} days ago`)];
    });
  },
};
