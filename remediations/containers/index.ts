import type { Remediation } from '../../src/model.ts';
import { isolationRemediations } from './isolation.ts';
import { mountAndPortRemediations } from './mounts-and-ports.ts';
import { operationRemediations } from './operation.ts';
import { remediation as swarm } from './swarm.ts';

/** Of section 5: where another tool manages the container, the change is made there. */
export const containerRemediations: readonly Remediation[] = [swarm, ...isolationRemediations, ...mountAndPortRemediations, ...operationRemediations];
