import type { Check } from '../../src/model.ts';
import { pass, warn } from '../verdict.ts';
import { judgeConfigs, sinceD112 } from './images.ts';

export const check: Check<null> = {
  id: 'image.healthcheck',
  title: 'Images say how their health is checked',
  rationale: 'Without a HEALTHCHECK the engine takes a process that hangs for one that works, and nothing restarts it.',
  evidence: 'GET /images/ID/json Config.Healthcheck; HEALTHCHECK NONE switches an inherited check off and counts as none',
  passes: 'Every image has a HEALTHCHECK.',
  section: 'images',
  severity: 'low',
  level: 1,
  cis: sinceD112('4.6'),
  aliases: ['CIS-DI-0006'],
  evaluate: (facts) => judgeConfigs(facts, ({ healthcheck }, target) => {
    if (healthcheck?.test[0] === 'NONE') return [warn(target, 'HEALTHCHECK NONE switches the check of health off', null)];
    return [healthcheck === null || healthcheck.test.length === 0 ? warn(target, 'The image has no HEALTHCHECK', null) : pass(target, 'The image has a HEALTHCHECK')];
  }),
};
