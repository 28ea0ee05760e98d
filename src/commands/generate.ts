import { UsageError } from '../errors.ts';
import type { Facts, Plan } from '../model.ts';
import type { PolicyFlags } from '../policy.ts';
import { restartMethod } from '../plan/restart.ts';
import { portablePlan } from '../portable/plan.ts';
import type { PortablePlan } from '../portable/model.ts';
import { escapeLine } from '../render/escape.ts';
import { plural } from '../render/layout.ts';
import { renderScript } from '../render/shell.ts';
import { look, warnOfWaivers } from './look.ts';
import type { Context, ExitCode, WhereOptions } from './context.ts';
import { writeResult } from './output.ts';
import { planFor } from './planning.ts';
import type { Chosen } from './saved.ts';
import { savedChoice } from './saved.ts';

export interface GenerateOptions extends WhereOptions, PolicyFlags {
  readonly output: string;
  readonly restartCommand?: string;
}

/** What is generated from. */
export interface Generated {
  readonly plan: Plan;
  readonly portable: PortablePlan;
  readonly facts: Facts;
}

/**
 * The plan of this host or of a snapshot, a new one or a saved one made again, in the form that travels.
 * @throws StalePlanError when a saved plan would be another one now
 */
export async function portableFor(saved: string | undefined, options: GenerateOptions, context: Context): Promise<Generated> {
  const { choice, facts } = saved === undefined ? await freshChoice(options, context) : await savedChoice(saved, options, context);
  const planned = planFor(choice, facts, context);
  warnOfWaivers(choice.policy, planned.findings, context);
  const portable = portablePlan(planned.plan, { facts, method: restartMethod(facts, options.restartCommand), fromSnapshot: options.facts !== undefined });
  return { plan: planned.plan, portable, facts };
}

async function freshChoice(options: GenerateOptions, context: Context): Promise<Chosen> {
  const { policy, selected, facts } = await look({ ...options, evidence: true }, options, context);
  return { choice: { policy, selected, picks: null, restartCommand: options.restartCommand }, facts };
}

/** Says what was made, and what of the plan it does not do. */
export function tellOf({ plan, portable }: Generated, what: string, context: Context): void {
  const made = portable.units.reduce((sum, { changes }) => sum + changes.length, 0);
  context.err(`harden: wrote ${what}: ${plural(made, 'change')} of plan ${plan.id}\n`);
  for (const { change, reason } of portable.refused) context.err(`harden: left to \`harden apply\`: ${escapeLine(`${change.id}: ${reason}`)}\n`);
}

/** Writes the plan as one shell script. */
export async function generateShell(saved: string | undefined, options: GenerateOptions, context: Context): Promise<ExitCode> {
  if (options.output === '') throw new UsageError('-o: name the file of the script, or - for standard output');
  const generated = await portableFor(saved, options, context);
  const script = renderScript(generated.plan, generated.portable, generated.facts);
  if (options.output === '-') context.out(script);
  else await writeResult(options.output, script, 0o700);
  tellOf(generated, options.output === '-' ? 'the script' : escapeLine(options.output), context);
  return 0;
}
