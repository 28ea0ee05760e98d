import { placeOf } from '../../src/image/history.ts';
import { keepsApkCache } from '../../src/image/packages.ts';
import type { Check } from '../../src/model.ts';
import { pass, warn } from '../verdict.ts';
import { judgeHistories } from './images.ts';

export const check: Check<null> = {
  id: 'image.apk-cache',
  title: 'Images keep no cache of apk',
  rationale: 'Without --no-cache apk leaves its index in the layer: the image is larger, and a later apk add installs from an old index.',
  evidence: 'GET /images/ID/history, RUN instructions: apk add, update and upgrade without --no-cache, unless the same RUN removes /var/cache/apk; cache mounts of BuildKit are not in the history',
  passes: 'No RUN leaves a cache of apk in its layer.',
  section: 'images',
  severity: 'low',
  level: 2,
  cis: {},
  aliases: ['DKL-DI-0004'],
  evaluate: (facts) => judgeHistories(facts, (instructions, target) => {
    const keeping = instructions.find(({ name, text }) => name === 'RUN' && keepsApkCache(text));
    return [keeping === undefined ? pass(target, 'No RUN leaves a cache of apk in its layer') : warn(target, `${placeOf(keeping)} calls apk without --no-cache`, null)];
  }),
};
