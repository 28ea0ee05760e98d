import type { Check } from '../../src/model.ts';
import { pass, warn } from '../verdict.ts';
import { eachContainer, section5 } from './container.ts';

export const check: Check<null> = {
  id: 'container.readonly-rootfs',
  title: 'The root file system of the container is read-only',
  rationale: 'Who breaks in can neither change the programs of the container nor leave tools behind, and data ends up in volumes, where it belongs.',
  evidence: 'inspect: HostConfig.ReadonlyRootfs',
  passes: 'It is read-only.',
  section: 'containers',
  severity: 'medium',
  level: 1,
  cis: section5(13, 'd1.11', { 'd1.6': '5.13' }),
  evaluate: (facts) => eachContainer(facts, ({ spec, target }) => spec.security.readonlyRootfs ? pass(target, 'Its root file system is read-only')
    : warn(target, 'Its root file system is writable', null)),
};
