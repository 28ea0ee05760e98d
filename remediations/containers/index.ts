import { isolationRemediations } from './isolation.ts';
import { mountAndPortRemediations } from './mounts-and-ports.ts';
import { operationRemediations } from './operation.ts';
import type { ContainerRemediation } from './steps.ts';
import { remediation as swarm } from './swarm.ts';

/** Of section 5: where another tool manages the container, the change is made there. */
export const containerRemediations: readonly ContainerRemediation[] = [swarm, ...isolationRemediations, ...mountAndPortRemediations, ...operationRemediations];
