import type { Check } from '../../src/model.ts';
import { na, pass, warn } from '../verdict.ts';
import { judgeImages } from './images.ts';

export const check: Check<null> = {
  id: 'image.latest-tag',
  title: 'Images have a tag that says which version they are',
  rationale: '"latest" stands for another image tomorrow: nobody can say which version runs, or go back to the one before.',
  evidence: 'GET /images/json RepoTags; an image that has another tag besides latest passes',
  passes: 'No image is known as latest only.',
  section: 'images',
  severity: 'low',
  level: 2,
  cis: {},
  aliases: ['DKL-DI-0006'],
  evaluate: (facts) => judgeImages<null>(facts, ({ tags, digests }, target) => {
    if (tags.length === 0) return [na(target, digests.length === 0 ? 'No tag leads to it' : 'It was pulled by digest')];
    return [tags.every((tag) => tag.endsWith(':latest')) ? warn(target, 'Its only tag is latest', null) : pass(target, 'It has a tag that is not latest')];
  }),
};
