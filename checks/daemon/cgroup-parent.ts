import type { Check } from '../../src/model.ts';
import { judgeInForce, mapInForce, option } from '../in-force.ts';

export const check: Check<null> = {
  id: 'daemon.cgroup-parent',
  title: 'Containers are in the default cgroup, or in one that the policy approves of',
  rationale: 'Another parent cgroup may take containers out of the limits and the accounting that the host relies on.',
  evidence: 'daemon.json "cgroup-parent", --cgroup-parent',
  passes: 'The option is not set, or has the value of the policy\'s cgroupParent.',
  section: 'daemon',
  severity: 'low',
  level: 2,
  cis: {
    'd1.11': '2.9', 'd1.12': '2.9', 'd1.13': '2.9', 'ce1.1.0': '2.9', '1.2.0': '2.9', '1.3.1': '2.10',
    '1.4.0': '2.10', '1.5.0': '2.10', '1.6.0': '2.10', '1.7.0': '2.10', '1.8.0': '2.11',
  },
  evaluate(facts, { parameters: { cgroupParent } }) {
    const configured = mapInForce(option(facts, 'cgroup-parent'), (value) => typeof value === 'string' ? value : '');
    return judgeInForce(configured, {
      outcome: (parent) => parent === '' || parent === cgroupParent ? 'pass' : 'warn',
      says: (parent) => parent === '' ? 'Containers are in the default cgroup'
        : `Containers are in the cgroup ${parent}, which ${parent === cgroupParent ? 'the policy approves of' : 'no policy approves of'}`,
    });
  },
};
