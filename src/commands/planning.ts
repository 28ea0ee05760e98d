import { isDeepStrictEqual } from 'node:util';
import { remediations } from '../../remediations/index.ts';
import { UsageError } from '../errors.ts';
import { maskJson } from '../mask.ts';
import type { Check, Facts, Impact, JsonObject, PlanDocument, Policy, Risk } from '../model.ts';
import { impactExceeds, riskExceeds } from '../model.ts';
import { makePlan } from '../plan.ts';
import type { PlanResult } from '../plan.ts';
import type { GivenDockerfile } from '../plan/dockerfile.ts';
import { restartMethod } from '../plan/restart.ts';
import type { PolicyFlags } from '../policy.ts';
import { TOOL } from '../version.ts';
import type { Context } from './context.ts';

/** All that decides a plan, apart from the facts. */
export interface PlanChoice {
  readonly policy: Policy;
  readonly selected: readonly Check[];
  readonly picks: readonly string[] | null;
  readonly restartCommand: string | undefined;
  readonly dockerfiles?: readonly GivenDockerfile[];
}

export const planFor = ({ policy, selected, picks, restartCommand, dockerfiles = [] }: PlanChoice, facts: Facts, context: Context): PlanResult => makePlan({
  facts, policy, checks: selected, remediations, tool: TOOL, now: context.now(), restart: restartMethod(facts, restartCommand), picks, dockerfiles,
});

/**
 * The policy under which a saved plan was made. Its waivers are today's. Its parameters were masked when it was saved: where today's
 * are the same ones, they stand in for them; otherwise a masked one makes another change than the saved one, which is refused as stale.
 */
export function policyOf({ benchmark, inputs }: PlanDocument, today: Policy): Policy {
  const { selection, maxImpact, maxRisk, policyParameters } = inputs;
  const same = isDeepStrictEqual(maskJson(today.parameters as JsonObject), policyParameters);
  return {
    benchmark, level: selection.level, include: selection.include, exclude: selection.exclude, targets: selection.targets, maxImpact, maxRisk,
    parameters: same ? today.parameters : policyParameters,
    recorded: measuredIn(inputs),
    waivers: today.waivers,
    ...(today.history !== undefined && { history: today.history }),
  };
}

/** The values of a plan that were measured. */
export const measuredIn = ({ parameters }: PlanDocument['inputs']): NonNullable<Policy['recorded']> => parameters.filter(({ source }) => source === 'evidence');

/**
 * A saved plan keeps its own choices; flags may only lower its ceilings.
 * @throws UsageError for any other flag
 */
export function lowered(policy: Policy, flags: PolicyFlags): Policy {
  const others = ([
    ['--check', flags.check], ['--exclude', flags.exclude], ['--include', flags.include], ['--exclude-name', flags.excludeName], ['--label', flags.label], ['--level', flags.level], ['--benchmark', flags.benchmark],
    ['--trusted-users', flags.trustedUsers], ['--set', flags.set],
  ] as const).filter(([, value]) => value !== undefined).map(([name]) => name);
  if (others.length > 0) throw new UsageError(`${others.join(', ')}: a saved plan keeps its own; make a new plan to choose otherwise`);
  const raised = (name: string, flag: string, own: string): UsageError =>
    new UsageError(`--${name} ${flag} is above the saved plan's ${own}, and flags may only lower it; make a new plan with --${name} ${flag}`);
  const impact: Impact = flags.maxImpact ?? policy.maxImpact;
  const risk: Risk = flags.maxRisk ?? policy.maxRisk;
  if (impactExceeds(impact, policy.maxImpact)) throw raised('max-impact', impact, policy.maxImpact);
  if (riskExceeds(risk, policy.maxRisk)) throw raised('max-risk', risk, policy.maxRisk);
  return { ...policy, maxImpact: impact, maxRisk: risk };
}
