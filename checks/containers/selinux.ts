import type { Check } from '../../src/model.ts';
import { na, pass, unknown, warn } from '../verdict.ts';
import { eachContainer, section5 } from './container.ts';

/** Types of domains that SELinux leaves alone. */
const UNCONFINED = new Set(['spc_t', 'unconfined_t', 'unconfined_service_t', 'container_runtime_t', 'docker_t', 'init_t']);

/** The type of a context "user:role:type:level". */
const typeOf = (context: string): string => context.split(':')[2] ?? '';

export const check: Check<null> = {
  id: 'container.selinux',
  title: 'An SELinux context confines the container where the kernel has SELinux',
  rationale: 'The context of a container keeps its processes from files and processes of the host and of other containers.',
  evidence: 'inspect: ProcessLabel, HostConfig.SecurityOpt; the active LSMs of the kernel',
  passes: 'The container has an SELinux context of a confined type.',
  section: 'containers',
  severity: 'medium',
  level: 2,
  cis: section5(3, 'd1.6'),
  evaluate(facts) {
    const { lsm } = facts.host;
    return eachContainer(facts, ({ spec: { security }, runtime: { applied }, target }) => {
      if (lsm.status !== 'present') return unknown(target, lsm.status === 'unreadable' ? lsm.reason : 'The security modules of the kernel are not known');
      if (!lsm.value.includes('selinux')) return na(target, 'The kernel has no SELinux');
      if (security.labels.includes('disable')) return warn(target, 'SELinux is switched off for it', null);
      if (applied === undefined) return unknown(target, 'Its SELinux context was not recorded');
      const { processLabel } = applied;
      if (processLabel === '') {
        return warn(target, security.privileged ? 'It is privileged, so no SELinux context confines it'
          : 'It has no SELinux context: the daemon does not use SELinux, or did not when the container was created', null);
      }
      return UNCONFINED.has(typeOf(processLabel)) ? warn(target, `Its SELinux context ${processLabel} is not confined`, null)
        : pass(target, `Its SELinux context is ${processLabel}`);
    });
  },
};
