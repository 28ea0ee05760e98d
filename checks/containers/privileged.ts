import type { Check } from '../../src/model.ts';
import { pass, warn } from '../verdict.ts';
import { eachContainer, section5 } from './container.ts';

export const check: Check<null> = {
  id: 'container.privileged',
  title: 'The container is not privileged',
  rationale: 'A privileged container has all capabilities and devices and neither seccomp nor AppArmor: root in it is root on the host.',
  evidence: 'inspect: HostConfig.Privileged',
  passes: 'The flag is not set.',
  section: 'containers',
  severity: 'high',
  level: 1,
  cis: section5(5, 'd1.11', { 'd1.6': '5.5' }),
  evaluate: (facts) => eachContainer(facts, ({ spec, target }) => spec.security.privileged ? warn(target, 'It is privileged', null)
    : pass(target, 'It is not privileged')),
};
