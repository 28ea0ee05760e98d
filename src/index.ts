/**
 * The public API: the stages and the model. Pure but for `collect` and `applyPlan`.
 *
 *     const facts = await collect();
 *     const { plan, report } = makePlan({ facts, policy: defaultPolicy, checks, remediations, tool: TOOL, now: new Date(), restart: restartMethod(facts, undefined) });
 */
export { checks } from '../checks/index.ts';
export { remediationFor, remediations } from '../remediations/index.ts';
export { applyPlan } from './apply/apply.ts';
export type { ApplyResult } from './apply/apply.ts';
export { planRollback, rollback, runsToUndo } from './apply/rollback.ts';
export type { Session } from './apply/session.ts';
export { collect } from './collect.ts';
export { evaluate } from './evaluate.ts';
export { createLocalReader } from './host/local-reader.ts';
export { createLocalWriter } from './host/local-writer.ts';
export type { HostReader, HostWriter } from './host/port.ts';
export * from './model.ts';
export { makePlan, planDocument } from './plan.ts';
export type { PlanRequest, PlanResult } from './plan.ts';
export { restartMethod } from './plan/restart.ts';
export type { PortablePlan, PortableStep, PortableUnit, Word } from './portable/model.ts';
export { portablePlan } from './portable/plan.ts';
export { defaultPolicy, loadPolicy, parsePolicy } from './policy.ts';
export { selectChecks } from './selection.ts';
export { exportSnapshot, loadSnapshot } from './snapshot.ts';
export { countStates, verify } from './verify.ts';
export { TOOL } from './version.ts';
