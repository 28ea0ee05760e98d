import { placeOf } from '../../src/image/history.ts';
import { unverified } from '../../src/image/packages.ts';
import type { Check } from '../../src/model.ts';
import { pass, warn } from '../verdict.ts';
import { judgeHistories, sinceD112 } from './images.ts';

export const check: Check<null> = {
  id: 'image.verified-packages',
  title: 'Images install only what was verified',
  rationale: 'A download that is run unseen, or a package whose signature is not checked, lets whoever controls the network or the server decide what runs.',
  evidence: 'GET /images/ID/history, RUN instructions: curl or wget piped into a shell, --allow-unauthenticated, --nogpgcheck, --allow-untrusted, --no-check-certificate, '
    + 'curl --insecure, --trusted-host and their like',
  passes: 'No RUN switches verification off or pipes a download into a shell.',
  section: 'images',
  severity: 'high',
  level: 2,
  cis: sinceD112('4.11'),
  aliases: ['CIS-DI-0011'],
  evaluate: (facts) => judgeHistories(facts, (instructions, target) => {
    for (const instruction of instructions) {
      const [what] = instruction.name === 'RUN' ? unverified(instruction.text) : [];
      if (what !== undefined) return [warn(target, `${placeOf(instruction)}: ${what}`, null)];
    }
    return [pass(target, 'No RUN switches verification off')];
  }),
};
