import { listNames } from '../../src/daemon/containers.ts';
import type { Check } from '../../src/model.ts';
import { pass, unknown, warn } from '../verdict.ts';
import { eachContainer, section5 } from './container.ts';
import { hostMounts } from './mounts.ts';
import type { MountDetail } from './sensitive-mounts.ts';

export const check: Check<MountDetail> = {
  id: 'container.mount-propagation',
  title: 'No mount of the container propagates to the host',
  rationale: 'What a container mounts below a shared mount appears on the host and in every container that shares it, hiding what was there.',
  evidence: 'inspect: the propagation of HostConfig.Binds, HostConfig.Mounts and Mounts',
  passes: 'No bind mount is shared or rshared; slave and private ones are fine.',
  section: 'containers',
  severity: 'medium',
  level: 1,
  cis: section5(20, 'd1.11'),
  evaluate: (facts) => eachContainer(facts, (container) => {
    const { target } = container;
    const mounts = hostMounts(container);
    if (mounts.status !== 'present') return unknown(target, mounts.status === 'unreadable' ? mounts.reason : 'Its mounts are not known');
    const shared = mounts.value.filter(({ propagation }) => propagation === 'shared' || propagation === 'rshared');
    return shared.length > 0 ? warn(target, `Mounts propagate to the host: ${listNames(shared.map(({ source, propagation }) => `${source} (${propagation})`))}`,
      { targets: shared.map((mount) => mount.target) })
      : pass(target, 'No mount propagates to the host');
  }),
};
