import { placeOf } from '../../src/image/history.ts';
import { updateAlone } from '../../src/image/packages.ts';
import type { Check } from '../../src/model.ts';
import { pass, warn } from '../verdict.ts';
import { judgeHistories, sinceD112 } from './images.ts';

export const check: Check<null> = {
  id: 'image.update-alone',
  title: 'Package indexes are fetched in the RUN that installs from them',
  rationale: 'A layer that only fetches the index is cached: builds months later install from it, without the fixes published since.',
  evidence: 'GET /images/ID/history, RUN instructions: apt-get update, apk update, dnf makecache, zypper refresh without an install or upgrade after it in the same RUN',
  passes: 'No RUN fetches an index without installing from it.',
  section: 'images',
  severity: 'medium',
  level: 1,
  cis: sinceD112('4.7'),
  aliases: ['CIS-DI-0007'],
  evaluate: (facts) => judgeHistories(facts, (instructions, target) => {
    for (const instruction of instructions) {
      const manager = instruction.name === 'RUN' ? updateAlone(instruction.text) : null;
      if (manager !== null) return [warn(target, `${placeOf(instruction)} fetches the index of ${manager} and installs nothing from it`, null)];
    }
    return [pass(target, 'No RUN fetches an index without installing from it')];
  }),
};
