import { checks } from '../../checks/index.ts';
import { factsIfAny, planRollback, rollback as undoRun, runsToUndo } from '../apply/rollback.ts';
import type { Session } from '../apply/session.ts';
import { UsageError } from '../errors.ts';
import { acquireLock } from '../lock.ts';
import { escapeLine } from '../render/escape.ts';
import { renderRollback } from '../render/history.ts';
import { agreeTo } from './agree.ts';
import type { Context, ExitCode, OutputOptions } from './context.ts';
import { layoutFor } from './output.ts';
import type { SessionOptions } from './session.ts';
import { openSession, requirePower } from './session.ts';

export interface RollbackOptions extends Omit<SessionOptions, 'facts'>, Pick<OutputOptions, 'color'> {
  readonly all?: boolean;
  readonly yes?: boolean;
}

/** Undoes the last run, a named one, or all, newest first, after showing what comes back. */
export async function rollback(runId: string | undefined, options: RollbackOptions, context: Context): Promise<ExitCode> {
  if (runId !== undefined && options.all === true) throw new UsageError('rollback undoes one RUN or, with --all, every run; give one of them');
  const layout = layoutFor(context.layout, options);
  const session = await openSession(options, checks, context);
  try {
    const runs = await runsToUndo(session, runId, options.all === true);
    if (runs.length === 0) {
      context.out(`Nothing to roll back in ${session.stateDir}.\n`);
      return 0;
    }
    requirePower(await factsIfAny(session), context);
    // What another harden is doing just now must not be taken for what a killed one left.
    await (await acquireLock(session.stateDir, session.writer)).release();
    for (const [index, run] of runs.entries()) {
      // Only the newest can be judged against the host as it is; each older one once those after it are undone.
      const planned = await planRollback(session, run);
      context.out(renderRollback(planned, layout));
      if (planned.facts === null) context.err('harden: no engine answers: the files come back, and the daemon is started with them\n');
      if (index === 0) {
        await agreeTo(`undo ${runs.length === 1 ? `run ${run}` : `${runs.length} runs, from ${run} back to ${runs.at(-1) ?? ''}`}`, options, context);
        session.holdSignals();
      }
      const exitCode = await undoAndReport(session, run, context, planned.lost);
      if (exitCode !== 0) return exitCode;
      const signal = session.interrupted();
      if (signal !== null && index < runs.length - 1) {
        context.err(`harden: interrupted by ${signal}: ${runs.length - 1 - index} older runs are still in\n`);
        return 1;
      }
    }
    return 0;
  } finally {
    session.close();
  }
}

/** Undoes one run, and says what became of that. `lost`: what was said of it that does not come back. */
export async function undoAndReport(session: Session, runId: string, context: Context, lost: readonly string[]): Promise<ExitCode> {
  const { leftovers, exitCode } = await undoRun(session, runId);
  if (exitCode === 0) context.out(`Run ${runId} is undone${lost.length === 0 ? '' : ', all but what was removed for good'}.\n`);
  else context.err(`harden: run ${runId} could not be undone wholly; do this by hand:\n${leftovers.map((leftover) => `- ${escapeLine(leftover)}\n`).join('')}`);
  return exitCode;
}
