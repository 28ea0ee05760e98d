import { planDocument } from '../plan.ts';
import type { PolicyFlags } from '../policy.ts';
import { renderPlan } from '../render/plan.ts';
import { printJson } from '../render/escape.ts';
import type { Context, ExitCode, OutputOptions, WhereOptions } from './context.ts';
import { matchDockerfiles, readDockerfiles } from './dockerfiles.ts';
import { look, warnOfWaivers } from './look.ts';
import { destinations, emit, layoutFor, writeResult } from './output.ts';
import { planFor } from './planning.ts';

export interface PlanOptions extends WhereOptions, PolicyFlags, OutputOptions {
  readonly restartCommand?: string;
  /** IMAGE=PATH, in order. */
  readonly dockerfile?: readonly string[];
  /** Exit 1 when there are changes. */
  readonly exitCode?: boolean;
}

/** Shows what apply would do. `-o` saves it, besides what is printed. */
export async function plan({ output, ...options }: PlanOptions, context: Context): Promise<ExitCode> {
  const wanted = destinations(['text', 'json'], options);
  const named = await readDockerfiles(options.dockerfile ?? [], context.cwd);
  const { policy, selected, facts } = await look({ ...options, evidence: true }, options, context);
  const dockerfiles = matchDockerfiles(named, facts);
  const planned = planFor({ policy, selected, picks: null, restartCommand: options.restartCommand, dockerfiles }, facts, context);
  warnOfWaivers(policy, planned.findings, context);
  await emit(wanted, {
    text: (layout) => renderPlan(planned.plan, planned.report, layout, options.limit ?? null) + (planned.plan.changes.length > 0 ? 'Apply it with `harden apply`.\n' : ''),
    json: () => printJson(planDocument(planned.plan)),
  }, layoutFor(context.layout, options), context);
  if (output !== undefined) {
    await writeResult(output, printJson(planDocument(planned.plan)), 0o600);
    context.err(`harden: saved the plan; \`harden apply ${output}\` makes these changes and no others\n`);
  }
  return options.exitCode === true && planned.plan.changes.length > 0 ? 1 : 0;
}
