import { applyPlan } from '../apply/apply.ts';
import { refuseUnconfirmed } from '../apply/confirm.ts';
import { refuseUnfinishedEarly } from '../apply/recover.ts';
import { DEFAULT_RETENTION } from '../apply/retention.ts';
import { askable, confirmPlan } from '../ask.ts';
import type { Wish } from '../ask.ts';
import { ceilingOffers } from '../ceilings.ts';
import { Declined, messageOf } from '../errors.ts';
import { createLocalReader } from '../host/local-reader.ts';
import { createLocalWriter } from '../host/local-writer.ts';
import type { Facts } from '../model.ts';
import { planDocument } from '../plan.ts';
import type { PlanResult } from '../plan.ts';
import type { PolicyFlags } from '../policy.ts';
import { readAnswer, withAnswers } from '../policy.ts';
import { engineLine } from '../render/common.ts';
import { renderOutcomes } from '../render/outcomes.ts';
import { namer, renderPlan } from '../render/plan.ts';
import { escapeBlock, escapeLine, printJson } from '../render/escape.ts';
import type { Layout } from '../render/layout.ts';
import type { Context, ExitCode, OutputOptions } from './context.ts';
import { matchDockerfiles, readDockerfiles } from './dockerfiles.ts';
import { look, needsDiskUsage, stateDirOf, warnOfWaivers } from './look.ts';
import { destinations, emit, layoutFor } from './output.ts';
import type { PlanChoice } from './planning.ts';
import { measuredIn, planFor } from './planning.ts';
import type { Chosen } from './saved.ts';
import { savedChoice } from './saved.ts';
import type { SessionOptions } from './session.ts';
import { openSession, requirePower } from './session.ts';

export interface ApplyOptions extends Omit<SessionOptions, 'facts'>, PolicyFlags, OutputOptions {
  readonly yes?: boolean;
  /** Seconds. */
  readonly confirmWithin?: number;
  /** IMAGE=PATH, in order: advice only. */
  readonly dockerfile?: readonly string[];
}

/** Shows a plan, asks, makes its changes, and shows what became of each finding. */
export async function apply(saved: string | undefined, options: ApplyOptions, context: Context): Promise<ExitCode> {
  const wanted = destinations(['text', 'json'], options);
  const layout = layoutFor(context.layout, options);
  const asking = layoutFor(context.errorLayout, options);
  if (context.euid === 0) {
    const ports = { stateDir: stateDirOf(options, context), reader: createLocalReader(), writer: createLocalWriter() };
    await refuseUnfinishedEarly(ports);
    await refuseUnconfirmed(ports);
  }
  const { choice, facts } = saved === undefined ? await freshChoice(options, context) : await savedChoice(saved, options, context, (found) => { requirePower(found, context); });
  requirePower(facts, context);
  const planned = planFor(choice, facts, context);
  warnOfWaivers(choice.policy, planned.findings, context);

  // Results on stdout must stay parsable: there the plan goes to where the questions are.
  const textOnStdout = wanted.some(({ format, path }) => format === 'text' && path === null);
  const show = (text: string): void => (textOnStdout ? context.out(text) : context.err(text));
  show(renderPlan(planned.plan, planned.report, textOnStdout ? layout : asking, options.limit ?? null));

  const agreed = await agree(choice, planned, facts, options, context);
  // Reports are read once: a file that is gone by the rescan must not end a run half-way.
  const { vulnerabilities: _, ...where } = options;
  const opened = await openSession({ ...where, targets: agreed.choice.policy.targets, diskUsage: needsDiskUsage(agreed.choice.policy, agreed.choice.selected) }, agreed.choice.selected, context);
  const session = { ...opened, collect: async (thorough?: boolean) => ({ ...await opened.collect(thorough), ...(facts.vulnerabilities !== undefined && { vulnerabilities: facts.vulnerabilities }) }) };
  session.holdSignals();
  try {
    const { plan } = agreed.planned;
    const settled: PlanChoice = { ...agreed.choice, policy: { ...agreed.choice.policy, recorded: measuredIn(plan.inputs) } };
    const result = await applyPlan(planDocument(plan), session, (now) => planFor(settled, now, context), { confirmWithin: options.confirmWithin ?? null, retention: { ...DEFAULT_RETENTION, ...choice.policy.history } });
    const outcomeText = (form: Layout): string => renderOutcomes(
      result.outcomes, engineLine(planned.plan.host, planned.plan.benchmark, form), namer(agreed.planned.report), form, options.limit ?? null,
    );
    let { exitCode }: { exitCode: ExitCode } = result;
    try {
      await emit(wanted, { text: outcomeText, json: () => printJson(result.outcomes) }, layout, context);
    } catch (error) {
      // The host was changed, so this must not end as "nothing was changed": what happened is said where it still can be.
      context.err(`harden: ${escapeBlock(messageOf(error))}\n${outcomeText(asking)}`);
      if (exitCode === 0) exitCode = 1;
    }
    const { interrupted, failure, leftovers, remarks } = result;
    if (interrupted !== null) {
      context.err(`harden: interrupted by ${interrupted}: ${failure === null ? 'every change was in already' : leftovers.length === 0 ? 'the change that was under way is taken back' : 'not all that was done could be taken back'}\n`);
    } else if (failure !== null) context.err(`harden: a change failed: ${escapeBlock(failure)}\n`);
    for (const remark of remarks) context.err(`harden: ${escapeBlock(remark)}\n`);
    if (leftovers.length > 0) {
      context.err(`harden: not everything could be taken back; do this by hand:\n${leftovers.map((leftover) => `- ${escapeLine(leftover)}\n`).join('')}`);
    }
    if (result.confirmBy !== null && result.outcomes.runId !== null) {
      context.err(`harden: run ${result.outcomes.runId} is undone at ${result.confirmBy} unless it is confirmed before: harden confirm\n`);
    }
    return exitCode;
  } finally {
    session.close();
  }
}

async function freshChoice(options: ApplyOptions, context: Context): Promise<Chosen> {
  const named = await readDockerfiles(options.dockerfile ?? [], context.cwd);
  const { policy, selected, facts } = await look({ ...options, evidence: true }, options, context);
  return { choice: { policy, selected, picks: null, restartCommand: options.restartCommand, dockerfiles: matchDockerfiles(named, facts) }, facts };
}

/**
 * Whatever was agreed to, with the choices that lead to it.
 * @throws Declined
 */
export async function agree(
  choice: PlanChoice, planned: PlanResult, facts: Facts, options: Pick<ApplyOptions, 'yes' | 'color'>, context: Context,
): Promise<{ readonly choice: PlanChoice; readonly planned: PlanResult | Awaited<ReturnType<typeof confirmPlan>> }> {
  const { plan } = planned;
  const talkedOver = plan.changes.length > 0 || (context.interactive && (ceilingOffers(plan).length > 0 || askable(plan).length > 0));
  if (options.yes === true || !talkedOver) return { choice, planned };
  if (!context.interactive) {
    throw new Declined('Declined: there is no terminal to confirm on. Nothing was changed.\nRead the plan, then apply it with --yes.');
  }
  const chosen = ({ maxImpact, maxRisk, picks, answers }: Wish): PlanChoice => ({ ...choice, policy: withAnswers({ ...choice.policy, maxImpact, maxRisk }, answers), picks });
  const agreed = await confirmPlan(planned, {
    prompter: await context.prompter(),
    replan: (wish) => planFor(chosen(wish), facts, context),
    read: (question, text, answers) => readAnswer(question, text, withAnswers(choice.policy, answers)),
    show: (text) => context.err(text),
    layout: layoutFor(context.errorLayout, options),
  });
  return { choice: chosen(agreed.wish), planned: agreed };
}
