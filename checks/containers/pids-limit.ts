import type { Check } from '../../src/model.ts';
import { pass, warn } from '../verdict.ts';
import { eachContainer, section5 } from './container.ts';

export const check: Check<null> = {
  id: 'container.pids-limit',
  title: 'The number of processes of the container is limited',
  rationale: 'A process that only makes more of itself fills the process table of the host, until nobody can log in to stop it.',
  evidence: 'inspect: HostConfig.PidsLimit',
  passes: 'A limit is set.',
  section: 'containers',
  severity: 'medium',
  level: 1,
  cis: section5(29, 'd1.12'),
  evaluate: (facts) => eachContainer(facts, ({ spec: { resources: { pidsLimit } }, target }) => pidsLimit !== null && pidsLimit > 0
    ? pass(target, `It may have ${pidsLimit} processes`) : warn(target, 'The number of its processes is not limited', null)),
};
