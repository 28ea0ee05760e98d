import type { Check } from '../../src/model.ts';
import { pass, warn } from '../verdict.ts';
import { eachContainer, section5 } from './container.ts';

const MIB = 1024 * 1024;

export const check: Check<null> = {
  id: 'container.memory-limit',
  title: 'The memory of the container is limited',
  rationale: 'Without a limit one container can use up the memory of the host, and the kernel then ends processes of others.',
  evidence: 'inspect: HostConfig.Memory',
  passes: 'A limit is set. A reservation is none.',
  section: 'containers',
  severity: 'medium',
  level: 1,
  cis: section5(11, 'd1.11', { 'd1.6': '5.11' }),
  evaluate: (facts) => eachContainer(facts, ({ spec: { resources: { memory, memoryReservation } }, target }) => {
    if (memory !== null && memory > 0) return pass(target, `Its memory is limited to ${Math.round(memory / MIB)} MiB`);
    return warn(target, memoryReservation === null ? 'Its memory is not limited' : 'Its memory is reserved, but not limited', null);
  }),
};
