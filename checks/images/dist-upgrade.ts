import { placeOf } from '../../src/image/history.ts';
import { distUpgrade } from '../../src/image/packages.ts';
import type { Check } from '../../src/model.ts';
import { pass, warn } from '../verdict.ts';
import { judgeHistories } from './images.ts';

export const check: Check<null> = {
  id: 'image.dist-upgrade',
  title: 'Images stay with the release of their base image',
  rationale: 'apt-get dist-upgrade and apt full-upgrade may remove and replace any package of the base: what comes out is no longer what its publisher tested.',
  evidence: 'GET /images/ID/history, RUN instructions: dist-upgrade and full-upgrade of apt, apt-get and aptitude; a plain upgrade removes nothing and brings fixes, and is not counted',
  passes: 'No RUN upgrades the distribution.',
  section: 'images',
  severity: 'low',
  level: 2,
  cis: {},
  aliases: ['DKL-DI-0003'],
  evaluate: (facts) => judgeHistories(facts, (instructions, target) => {
    for (const instruction of instructions) {
      const call = instruction.name === 'RUN' ? distUpgrade(instruction.text) : null;
      if (call !== null) return [warn(target, `${placeOf(instruction)} calls ${call}`, null)];
    }
    return [pass(target, 'No RUN upgrades the distribution')];
  }),
};
