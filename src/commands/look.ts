import { resolve } from 'node:path';
import { checks } from '../../checks/index.ts';
import { reclaimable } from '../../checks/operations/reclaimable.ts';
import { remediations } from '../../remediations/index.ts';
import { describeUnconfirmed, unconfirmedRuns } from '../apply/confirm.ts';
import { evaluate } from '../evaluate.ts';
import { createLocalReader } from '../host/local-reader.ts';
import { UsageError } from '../errors.ts';
import type { Check, Facts, Finding, Policy, Report } from '../model.ts';
import { loadPolicy, waiverProblems } from '../policy.ts';
import type { PolicyFlags } from '../policy.ts';
import { escapeLine } from '../render/escape.ts';
import { selectChecks } from '../selection.ts';
import { requireTargets } from '../targets.ts';
import { TOOL } from '../version.ts';
import type { Context, WhereOptions } from './context.ts';

/** Where journal, backups and lock live unless --state-dir says otherwise. */
const STATE_DIR = '/var/lib/harden';

export const stateDirOf = ({ stateDir }: Pick<WhereOptions, 'stateDir'>, { cwd }: Context): string => resolve(cwd, stateDir ?? STATE_DIR);

/** What every command that judges a host starts from. */
export interface Look {
  readonly policy: Policy;
  readonly selected: readonly Check[];
  readonly facts: Facts;
  readonly durationMs: number;
}

/** Policy and selection are read first: a mistake in them costs no look at the host. */
export async function look(where: WhereOptions, flags: PolicyFlags, context: Context): Promise<Look> {
  const { policy, path } = await loadPolicy({ flags, cwd: context.cwd, euid: context.euid });
  if (path !== null) context.progress(`policy ${path}`);
  const { selected } = selectChecks(checks, policy);
  const start = context.now().getTime();
  const facts = await readFacts({ ...where, targets: policy.targets, diskUsage: needsDiskUsage(policy, selected) }, context);
  requireTargets(policy.targets, facts);
  if (where.facts === undefined && context.euid === 0) await tellOfUnconfirmed(where, context);
  return { policy, selected, facts, durationMs: context.now().getTime() - start };
}

/** Measuring how much space is used takes time, so it is done only for the check that asks, with the limit that it needs. */
export const needsDiskUsage = ({ parameters }: Policy, selected: readonly Check[]): boolean =>
  parameters.operations?.maxReclaimable !== undefined && selected.some(({ id }) => id === reclaimable.id);

/** What is judged may be taken back any moment. A state that cannot be read is no reason not to judge the host. */
async function tellOfUnconfirmed(where: WhereOptions, context: Context): Promise<void> {
  const runs = await unconfirmedRuns({ stateDir: stateDirOf(where, context), reader: createLocalReader() }).catch(() => []);
  for (const run of runs) context.err(`harden: ${escapeLine(describeUnconfirmed(run))}\n`);
}

/**
 * The facts of a host, or of a snapshot, with what scanners wrote about its images.
 * @throws UsageError when no engine answers, or a report cannot be used
 */
export async function readFacts(where: WhereOptions, context: Context): Promise<Facts> {
  if (where.vulnerabilities === undefined) return readHost(where, context);
  const { readScans, withScans } = await import('./vulnerabilities.ts');
  const scans = await readScans(where.vulnerabilities);
  return withScans(await readHost(where, context), scans, context);
}

async function readHost(where: WhereOptions, context: Context): Promise<Facts> {
  const { dockerHost, facts: snapshot, deep } = where;
  const { collect, loadSnapshot } = await import('../collect.ts');
  if (snapshot !== undefined) {
    if (dockerHost !== undefined) throw new UsageError('--facts reads a snapshot and --docker-host an engine; give one of them');
    if (deep === true) throw new UsageError('--deep looks inside the images of an engine, and --facts reads a snapshot\nGive --deep to the `harden collect` that makes it.');
    return loadSnapshot(snapshot);
  }
  const facts = await collect({ ...(dockerHost !== undefined && { dockerHost }), evidence: where.evidence === true, diskUsage: where.diskUsage === true, stateDir: stateDirOf(where, context), ...(deep !== undefined && { deep }), ...(where.targets !== undefined && { targets: where.targets }), progress: (text) => context.progress(text) });
  const { version, endpoint } = facts.engine;
  if (version.status !== 'present') {
    const reason = version.status === 'absent' ? 'nothing answers there' : version.reason;
    throw new UsageError(
      `No engine answers at ${endpoint}: ${reason}\nStart it, name another with --docker-host, or run as a user that may use it (root).`,
    );
  }
  return facts;
}

/** Judges what was seen, and says on stderr which waivers are out of order. */
export function judge({ policy, selected, facts, durationMs }: Look, context: Context): { readonly report: Report; readonly findings: readonly Finding[] } {
  const judged = evaluate(selected, remediations, facts, policy, { now: context.now(), durationMs, tool: TOOL });
  warnOfWaivers(policy, judged.findings, context);
  return judged;
}

export function warnOfWaivers(policy: Policy, findings: readonly Finding[], context: Context): void {
  for (const problem of waiverProblems(policy, findings, checks, context.now())) context.err(`harden: ${escapeLine(problem)}\n`);
}
