import type { Check, ContainerResources } from '../../src/model.ts';
import { pass, unknown, warn } from '../verdict.ts';
import { eachContainer, section5 } from './container.ts';

/** What a container has that chose none. */
const DEFAULT_SHARES = 1024;

/** How many CPUs "0-3,6" names; null when it is no such list. */
function countCpus(cpuset: string): number | null {
  const cpus = new Set<number>();
  for (const part of cpuset.split(',')) {
    const [, first, last = first] = /^(\d{1,4})(?:-(\d{1,4}))?$/u.exec(part.trim()) ?? [];
    if (first === undefined) return null;
    for (let cpu = Number(first); cpu <= Number(last); cpu += 1) cpus.add(cpu);
  }
  return cpus.size;
}

/** What shares the CPU in time; undefined when nothing does. */
function share({ nanoCpus, cpuQuota, cpuPeriod, cpuShares }: ContainerResources): string | undefined {
  if (nanoCpus !== null && nanoCpus > 0) return `It is limited to ${nanoCpus / 1e9} CPUs`;
  if (cpuQuota !== null && cpuQuota > 0) return `It is limited to ${cpuQuota} µs of CPU in each ${cpuPeriod ?? 100_000} µs`;
  return cpuShares !== null && cpuShares > 0 && cpuShares !== DEFAULT_SHARES ? `It has ${cpuShares} CPU shares` : undefined;
}

export const check: Check<null> = {
  id: 'container.cpu-shares',
  title: 'The CPU time of the container is limited or weighted',
  rationale: 'Containers that chose nothing compete as equals: one that is busy slows down all the others.',
  evidence: 'inspect: HostConfig.CpuShares, NanoCpus, CpuQuota, CpuPeriod, CpusetCpus; GET /info: NCPU',
  passes: 'It has CPU shares other than 1024 (the unset value), a number of CPUs, a quota, or a set of CPUs that leaves some out.',
  section: 'containers',
  severity: 'low',
  level: 1,
  cis: section5(12, 'd1.11', { 'd1.6': '5.12' }),
  evaluate: (facts) => eachContainer(facts, ({ spec: { resources }, target }) => {
    const shared = share(resources);
    if (shared !== undefined) return pass(target, shared);
    if (resources.cpusetCpus !== null) {
      const { info } = facts.engine;
      const count = countCpus(resources.cpusetCpus);
      if (info.status !== 'present') return unknown(target, info.status === 'unreadable' ? info.reason : 'How many CPUs the host has is not known');
      if (count !== null && count < info.value.cpus) return pass(target, `It runs on the CPUs ${resources.cpusetCpus} only`);
      return warn(target, `It may run on the CPUs ${resources.cpusetCpus}, which leaves none to others alone`, null);
    }
    return warn(target, resources.cpuShares === DEFAULT_SHARES ? 'Its 1024 CPU shares are what every container has' : 'Its CPU time is neither limited nor weighted', null);
  }),
};
