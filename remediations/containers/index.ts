import type { Remediation } from '../../src/model.ts';
import * as isolation from './isolation.ts';
import * as mountsAndPorts from './mounts-and-ports.ts';
import * as operation from './operation.ts';
import { remediation as swarm } from './swarm.ts';

/** Of section 5: where another tool manages the container, the change is made there. */
export const containerRemediations: readonly Remediation[] = [
  swarm,
  ...Object.values<Remediation | readonly Remediation[]>({ ...isolation, ...mountsAndPorts, ...operation }).flat(),
];
