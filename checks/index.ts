import type { Check } from '../src/model.ts';
import { containerChecks } from './containers/index.ts';
import { daemonChecks } from './daemon/index.ts';
import { fileChecks } from './files/files.ts';
import { auditChecks } from './host/audit.ts';
import { check as dockerGroup } from './host/docker-group.ts';
import { check as engineVersion } from './host/engine-version.ts';
import { check as kernel } from './host/kernel.ts';
import { check as partition } from './host/partition.ts';
import { imageChecks } from './images/index.ts';
import { operationsChecks } from './operations/index.ts';
import { hardened, retiredHostReviews } from './reviews.ts';
import { swarmChecks } from './swarm/checks.ts';

/** Every check, in the order of the benchmark's sections; retired ones last in theirs. */
export const checks: readonly Check[] = [
  partition, dockerGroup, ...auditChecks, hardened, engineVersion, kernel, ...retiredHostReviews,
  ...daemonChecks,
  ...fileChecks,
  ...imageChecks,
  ...containerChecks,
  ...operationsChecks,
  ...swarmChecks,
];
