import { placeOf } from '../../src/image/history.ts';
import { sudoIn } from '../../src/image/packages.ts';
import type { Check } from '../../src/model.ts';
import { pass, warn } from '../verdict.ts';
import { judgeHistories } from './images.ts';

/** sudo as a word of ENTRYPOINT, CMD or HEALTHCHECK, in JSON or not. */
const STARTS_SUDO = /(?:^|[\s"'[/])sudo(?=["'\s]|$)/u;

export const check: Check<null> = {
  id: 'image.no-sudo',
  title: 'Images neither use nor install sudo',
  rationale: 'sudo makes root of a process that was meant to have less, often without a password, and it passes no signals on. A build is root already until USER says otherwise.',
  evidence: 'GET /images/ID/history: sudo as a command or a package of RUN, and as a word of ENTRYPOINT, CMD and HEALTHCHECK',
  passes: 'No instruction uses or installs sudo.',
  section: 'images',
  severity: 'medium',
  level: 1,
  cis: {},
  aliases: ['DKL-DI-0001'],
  evaluate: (facts) => judgeHistories(facts, (instructions, target) => {
    for (const instruction of instructions) {
      const { name, text } = instruction;
      const how = name === 'RUN' ? sudoIn(text) : ['ENTRYPOINT', 'CMD', 'HEALTHCHECK'].includes(name) && STARTS_SUDO.test(text) ? 'uses' : null;
      if (how !== null) return [warn(target, `${placeOf(instruction)} ${how} sudo`, null)];
    }
    return [pass(target, 'No instruction uses or installs sudo')];
  }),
};
