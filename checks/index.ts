import type { Check } from '../src/model.ts';
import { containerChecks } from './containers/index.ts';
import { daemonChecks } from './daemon/index.ts';
import { fileChecks } from './files/files.ts';
import { auditChecks } from './host/audit.ts';
import { check as dockerGroup } from './host/docker-group.ts';
import { check as kernel } from './host/kernel.ts';
import { check as partition } from './host/partition.ts';

/** Every check, in the order of the benchmark's sections; retired ones last in theirs. */
export const checks: readonly Check[] = [
  partition, dockerGroup, ...auditChecks, kernel,
  ...daemonChecks,
  ...fileChecks,
  ...containerChecks,
];
