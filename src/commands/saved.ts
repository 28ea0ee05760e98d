import { checks } from '../../checks/index.ts';
import { refuseStale } from '../apply/apply.ts';
import { UsageError } from '../errors.ts';
import type { Facts } from '../model.ts';
import type { PolicyFlags } from '../policy.ts';
import { loadPolicy } from '../policy.ts';
import { selectChecks } from '../selection.ts';
import { requireTargets } from '../targets.ts';
import type { Context, WhereOptions } from './context.ts';
import { readPlan } from './documents.ts';
import { needsDiskUsage, readFacts } from './look.ts';
import type { PlanChoice } from './planning.ts';
import { lowered, planFor, policyOf } from './planning.ts';

/** What decides a plan, with the facts that it is made of. */
export interface Chosen {
  readonly choice: PlanChoice;
  readonly facts: Facts;
}

interface SavedOptions extends WhereOptions, PolicyFlags {
  readonly restartCommand?: string;
  readonly dockerfile?: readonly string[];
}

/**
 * A saved plan is made again from what it records, and refused if that gives anything else. Lower ceilings apply after that.
 * `require` throws where the host that was looked at will not do.
 * @throws StalePlanError
 */
export async function savedChoice(path: string, options: SavedOptions, context: Context, require: (facts: Facts) => void = () => undefined): Promise<Chosen> {
  if (options.dockerfile !== undefined) throw new UsageError('--dockerfile: a saved plan keeps the advice that it has; make a new plan to have other');
  const plan = await readPlan(path);
  const { policy: today } = await loadPolicy({
    flags: { policy: options.policy }, cwd: context.cwd, euid: context.euid,
  });
  const own = policyOf(plan, today);
  const policy = lowered(own, options);
  const choice = { policy: own, selected: selectChecks(checks, own).selected, picks: plan.inputs.picks, restartCommand: options.restartCommand };
  const facts = await readFacts({ ...options, evidence: true, targets: own.targets, diskUsage: needsDiskUsage(own, choice.selected) }, context);
  require(facts);
  requireTargets(own.targets, facts);
  refuseStale(plan, planFor(choice, facts, context).plan, facts);
  return { choice: { ...choice, policy }, facts };
}
