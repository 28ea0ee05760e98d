import type { Remediation } from '../src/model.ts';
import { containerRemediations } from './containers/index.ts';
import { daemonRemediations } from './daemon/index.ts';
import { fileRemediations } from './files/files.ts';
import { auditRemediations } from './host/audit.ts';
import { dockerGroup } from './host/docker-group.ts';
import { engineVersion, hostReviews } from './host/engine-version.ts';
import { kernel } from './host/kernel.ts';
import { partition } from './host/partition.ts';
import { imageRemediations } from './images/index.ts';
import { operationsRemediations } from './operations/index.ts';
import { swarmRemediations } from './swarm/index.ts';

/** Every remediation, in the order of the checks' sections. */
export const remediations: readonly Remediation[] = [
  partition, dockerGroup, ...auditRemediations, engineVersion, kernel, ...hostReviews,
  ...daemonRemediations,
  ...fileRemediations,
  ...imageRemediations,
  ...containerRemediations,
  ...operationsRemediations,
  ...swarmRemediations,
];

/** The remediation of a check; undefined for a check that has none. */
export const remediationFor = (checkId: string): Remediation | undefined => remediations.find(({ check }) => check.id === checkId);
