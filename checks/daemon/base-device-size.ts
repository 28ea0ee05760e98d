import { listNames } from '../../src/daemon/containers.ts';
import { stringList } from '../../src/daemon/registries.ts';
import type { Check } from '../../src/model.ts';
import { judgeInForce, mapInForce, option } from '../in-force.ts';

/** An entry of "storage-opts" that sets the size of the base device. */
export const setsBaseSize = (entry: string): boolean => /^\s*dm\.basesize\s*=/i.test(entry);

export const check: Check<null> = {
  id: 'daemon.base-device-size',
  title: 'The base device size of devicemapper is left alone',
  rationale: 'A larger base device lets every image and container grow to that size, which can fill the disk; other storage drivers do '
    + 'not start with the option.',
  evidence: 'daemon.json "storage-opts", --storage-opt: dm.basesize',
  passes: 'No storage option sets dm.basesize.',
  section: 'daemon',
  severity: 'low',
  level: 2,
  cis: {
    'd1.11': '2.10', 'd1.12': '2.10', 'd1.13': '2.10', 'ce1.1.0': '2.10', '1.2.0': '2.10', '1.3.1': '2.11',
    '1.4.0': '2.11', '1.5.0': '2.11', '1.6.0': '2.11', '1.7.0': '2.11', '1.8.0': '2.12',
  },
  evaluate: (facts) => judgeInForce(mapInForce(option(facts, 'storage-opts'), stringList), {
    outcome: (entries) => entries.some(setsBaseSize) ? 'warn' : 'pass',
    says: (entries) => entries.some(setsBaseSize)
      ? `The base device size is set: ${listNames(entries.filter(setsBaseSize))}` : 'The base device size is not set',
  }),
};
