import { checks } from '../../checks/index.ts';
import { confirmRun, unconfirmedRuns } from '../apply/confirm.ts';
import { UsageError } from '../errors.ts';
import type { RunSummary } from '../journal.ts';
import { listRuns } from '../journal.ts';
import { isLocked } from '../lock.ts';
import { escapeLine } from '../render/escape.ts';
import { plural } from '../render/layout.ts';
import type { Context, ExitCode, WhereOptions } from './context.ts';
import type { SessionOptions } from './session.ts';
import { openSession } from './session.ts';

export interface ConfirmOptions extends Pick<WhereOptions, 'stateDir' | 'dockerHost'>, Pick<SessionOptions, 'ticket'> {}

/** Keeps what `apply --confirm-within` did. */
export async function confirm(named: string | undefined, options: ConfirmOptions, context: Context): Promise<ExitCode> {
  const session = await openSession(options, checks, context);
  try {
    const runs = await listRuns(session.stateDir, session.reader);
    if (named !== undefined && !runs.some(({ runId }) => runId === named)) throw new UsageError(`There is no run ${named} in ${session.stateDir}. \`harden history\` lists them.`);
    const waiting = (await unconfirmedRuns(session)).filter(({ runId }) => named === undefined || runId === named);
    const [run] = waiting;
    if (run === undefined) return sayWhyNot(runs, named, context, session.stateDir);
    if (run.guarded && Date.parse(run.confirmation.by) <= context.now().getTime() && await isLocked(session.stateDir)) {
      throw new UsageError(`Too late: the time of run ${run.runId} was over at ${run.confirmation.by}, and it is being undone.`);
    }
    const left = Math.floor(await confirmRun(session, run.runId));
    await session.record({ action: 'confirm', phase: 'end', runId: run.runId, result: 'confirmed', exitCode: 0 });
    context.out(`Run ${run.runId} stays: ${left >= 0 ? `${plural(left, 'second')} of ${run.confirmation.within} were left` : `its time was over ${plural(-left, 'second')} ago, and nobody had undone it`}.\n`);
    return 0;
  } finally {
    session.close();
  }
}

/** Of the run that is meant, or else of the last one that was to be confirmed. */
function sayWhyNot(runs: readonly RunSummary[], named: string | undefined, context: Context, stateDir: string): ExitCode {
  const underWay = runs.find(({ runId, closed }) => !closed && (named === undefined || runId === named));
  if (underWay !== undefined) throw new UsageError(`Run ${underWay.runId} has not ended yet: it can be confirmed once it has.\nIf nothing works on it any more: harden recover`);
  const last = runs.find(({ runId, confirmation }) => (named === undefined ? confirmation !== null : runId === named));
  if (last?.confirmation == null) {
    if (named !== undefined && last !== undefined) throw new UsageError(`Run ${named} does not wait to be confirmed: it was made without --confirm-within, or nothing of it is in.`);
    context.out(`Nothing waits to be confirmed in ${escapeLine(stateDir)}.\n`);
    return 0;
  }
  if (last.rolledBackBy !== null) throw new UsageError(`Too late: run ${last.runId} was to be confirmed by ${last.confirmation.by}, and was undone by ${last.rolledBackBy}.`);
  context.out(`Run ${last.runId} was confirmed already, at ${last.confirmation.confirmedAt ?? 'an unknown time'}.\n`);
  return 0;
}
