import { remediations } from '../../remediations/index.ts';
import { checks } from '../../checks/index.ts';
import { serviceNames } from '../container/service.ts';
import { UsageError } from '../errors.ts';
import { evaluate } from '../evaluate.ts';
import { createLocalReader } from '../host/local-reader.ts';
import { listRuns, readRunPlan } from '../journal.ts';
import type { Outcomes, PlanDocument, Policy, Report } from '../model.ts';
import { sameTarget } from '../model.ts';
import type { PolicyFlags } from '../policy.ts';
import { loadPolicy } from '../policy.ts';
import { engineLine } from '../render/common.ts';
import { renderOutcomes } from '../render/outcomes.ts';
import { namer } from '../render/plan.ts';
import { selectChecks } from '../selection.ts';
import type { Baseline } from '../verify.ts';
import { countStates, verify as compare } from '../verify.ts';
import { TOOL } from '../version.ts';
import { printJson } from '../render/escape.ts';
import type { Context, ExitCode, OutputOptions, WhereOptions } from './context.ts';
import { dockerBenchText } from './docker-bench.ts';
import { planFrom, readPlan, readReport } from './documents.ts';
import { needsDiskUsage, readFacts, stateDirOf, warnOfWaivers } from './look.ts';
import { destinations, emit, layoutFor } from './output.ts';
import { policyOf } from './planning.ts';

export interface VerifyOptions extends WhereOptions, Pick<PolicyFlags, 'policy'>, OutputOptions {
  readonly run?: string;
  readonly baseline?: string;
}

/** What the host is held to: verdicts before, promises, and the policy under which they were made. */
interface Yardstick {
  readonly runId: string | null;
  readonly planId: string | null;
  readonly before: readonly Baseline[];
  readonly promises: PlanDocument['changes'][number]['promises'];
  readonly policy: Policy;
}

export async function verify(saved: string | undefined, options: VerifyOptions, context: Context): Promise<ExitCode> {
  const wanted = destinations(['table', 'json', 'docker-bench'], options);
  if ([saved, options.run, options.baseline].filter((given) => given !== undefined).length > 1) {
    throw new UsageError('verify holds the host to one thing: give PLAN, --run ID or --baseline FILE');
  }
  const { policy: today } = await loadPolicy({ flags: { policy: options.policy }, cwd: context.cwd, euid: context.euid });
  const yardstick = await yardstickOf(saved, options, today, context);
  const { selected } = selectChecks(checks, yardstick.policy);
  const facts = await readFacts({ ...options, targets: yardstick.policy.targets, diskUsage: needsDiskUsage(yardstick.policy, selected) }, context);
  const { report, findings } = evaluate(selected, remediations, facts, yardstick.policy, { now: context.now(), durationMs: 0, tool: TOOL });
  warnOfWaivers(yardstick.policy, findings, context);
  const results = compare({ before: yardstick.before, after: findings, promises: yardstick.promises, services: serviceNames(facts) });
  const { runId, planId } = yardstick;
  const outcomes: Outcomes = { schemaVersion: 1, tool: TOOL, runId, planId, changes: [], results, summary: countStates(results) };
  const layout = layoutFor(context.layout, options);
  await emit(wanted, {
    table: (form) => renderOutcomes(outcomes, engineLine(report.host, report.benchmark, form), namer(report), form, options.limit ?? null),
    json: () => printJson(outcomes),
    // That format has no place for what was promised: it tells the verdicts as they are now.
    'docker-bench': () => dockerBenchText(report, options.limit ?? null),
  }, layout, context);
  const { pending, unmet, regressed } = outcomes.summary;
  return pending + unmet + regressed > 0 ? 1 : 0;
}

async function yardstickOf(saved: string | undefined, options: VerifyOptions, today: Policy, context: Context): Promise<Yardstick> {
  if (saved !== undefined) return planYardstick(refuseOddPromises(await readPlan(saved), saved), null, today);
  if (options.baseline !== undefined) return reportYardstick(await readReport(options.baseline), today);
  const stateDir = stateDirOf(options, context);
  const reader = createLocalReader();
  const runId = options.run ?? (await listRuns(stateDir, reader)).find(({ planId, rolledBackBy }) => planId !== null && rolledBackBy === null)?.runId;
  if (runId === undefined) throw new UsageError(`There is no run in ${stateDir} to hold the host to.\nGive PLAN, --run ID or --baseline FILE.`);
  const recorded = await readRunPlan(stateDir, runId, reader);
  if (recorded === null) throw new UsageError(`Run ${runId} was a rollback: it promised nothing. \`harden history\` lists the others.`);
  return planYardstick(await planFrom(recorded, `the plan of run ${runId}`), runId, today);
}

/**
 * A plan that somebody may have edited since: a change can promise only what it is made for, and what harden has a fix for.
 * @throws UsageError
 */
export function refuseOddPromises(plan: PlanDocument, source: string): PlanDocument {
  for (const { id, because, promises } of plan.changes) {
    const odd = promises.find(({ check, target }) => !because.some((one) => one.check === check && sameTarget(one.target, target)) || !remediations.some((remediation) => remediation.check.id === check));
    if (odd !== undefined) throw new UsageError(`${source}: the change ${id} promises ${odd.check} for ${odd.target.name}, which it is not made for. The plan was edited: make a new one with harden plan -o FILE.`);
  }
  return plan;
}

/** Every finding that warned when the plan was made is in some change, or deferred; nothing else did. */
function planYardstick(plan: PlanDocument, runId: string | null, today: Policy): Yardstick {
  const warned = [...plan.changes.flatMap(({ because }) => because), ...plan.deferred];
  return {
    runId,
    planId: plan.id,
    before: warned.map(({ check, target }) => ({ check, target, outcome: 'warn' })),
    promises: plan.changes.flatMap(({ promises }) => promises),
    policy: policyOf(plan, today),
  };
}

/** A scan promises nothing: only what became worse counts. */
function reportYardstick(report: Report, today: Policy): Yardstick {
  return {
    runId: null,
    planId: null,
    before: report.results.flatMap(({ check, findings }) => findings.map(({ target, outcome }) => ({ check, target, outcome }))),
    promises: [],
    policy: { ...today, benchmark: report.benchmark, level: 2, include: report.results.map(({ check }) => check), exclude: [], targets: report.selection.targets },
  };
}
