import type { Check } from '../../src/model.ts';
import { pass, warn } from '../verdict.ts';
import { eachContainer, section5 } from './container.ts';

/** The engine's own parents: cgroupfs, systemd. */
const DEFAULTS = new Set(['/docker', 'docker', 'system.slice']);

export const check: Check<null> = {
  id: 'container.cgroup-parent',
  title: 'The container is in the default cgroup, or in one that the policy approves of',
  rationale: 'In another cgroup a container may be outside the limits and the accounting that the host relies on.',
  evidence: 'inspect: HostConfig.CgroupParent',
  passes: 'No parent is chosen, or the engine\'s default, or the policy\'s cgroupParent; of a Kubernetes pod, one that the kubelet makes.',
  section: 'containers',
  severity: 'low',
  level: 1,
  cis: section5(25, 'd1.11'),
  evaluate: (facts, { parameters: { cgroupParent } }) => eachContainer(facts, ({ facts: { owner }, spec: { resources }, target }) => {
    const parent = resources.cgroupParent ?? '';
    if (parent === '' || DEFAULTS.has(parent)) return pass(target, 'It is in the default cgroup');
    if (parent === cgroupParent) return pass(target, `It is in the cgroup ${parent}, which the policy approves of`);
    if (owner.kind === 'kubernetes' && /^\/?kubepods/u.test(parent)) return pass(target, 'It is in the cgroup that Kubernetes gave its pod');
    return warn(target, `It is in the cgroup ${parent}, which no policy approves of`, null);
  }),
};
