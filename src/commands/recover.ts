import { checks } from '../../checks/index.ts';
import { describeUnconfirmed, unconfirmedRuns } from '../apply/confirm.ts';
import type { UnfinishedRun } from '../apply/recover.ts';
import { finishRun, unfinishedRuns } from '../apply/recover.ts';
import { factsIfAny, planRollback } from '../apply/rollback.ts';
import { acquireLock } from '../lock.ts';
import { renderRollback } from '../render/history.ts';
import type { Layout } from '../render/layout.ts';
import { agreeTo } from './agree.ts';
import type { Context, ExitCode, OutputOptions } from './context.ts';
import { layoutFor } from './output.ts';
import { undoAndReport } from './rollback.ts';
import type { OpenSession, SessionOptions } from './session.ts';
import { openSession, requirePower } from './session.ts';

export interface RecoverOptions extends Omit<SessionOptions, 'facts'>, Pick<OutputOptions, 'color'> {
  readonly undo?: boolean;
  readonly yes?: boolean;
}

/** What giving a run its last word means for the host. */
const MEANS: Readonly<Record<Exclude<UnfinishedRun['state'], 'begun'>, string>> = {
  complete: 'all its changes are in: it is closed as applied, and nothing is changed',
  undone: 'it is a rollback that did all: it is closed, and nothing is changed',
  collected: 'it removed containers that had been kept: it is closed, and nothing is changed',
};

/** Finishes or undoes what a killed harden left, newest first. */
export async function recover(options: RecoverOptions, context: Context): Promise<ExitCode> {
  const layout = layoutFor(context.layout, options);
  const session = await openSession(options, checks, context);
  try {
    const unfinished = await unfinishedRuns(session);
    const unconfirmed = await unconfirmedRuns(session);
    for (const run of unconfirmed.filter(({ guarded }) => guarded)) context.out(`${describeUnconfirmed(run)}\n`);
    const abandoned = unconfirmed.filter(({ guarded }) => !guarded);
    if (unfinished.length + abandoned.length === 0) {
      if (unconfirmed.length > 0) return 0;
      context.out(`Nothing to recover in ${session.stateDir}: every run is finished.\n`);
      return 0;
    }
    requirePower(await factsIfAny(session), context);
    // A run that is under way looks like one that was killed; only the lock tells them apart.
    await (await acquireLock(session.stateDir, session.writer)).release();
    for (const { runId, createdAt, state } of unfinished) {
      if (state === 'begun' || (state === 'complete' && options.undo === true)) {
        const exitCode = await undo(session, runId, options, layout, context);
        if (exitCode !== 0) return exitCode;
      } else {
        context.out(`Run ${runId} of ${createdAt}: ${MEANS[state]}.\n`);
        await agreeTo(`finish run ${runId}`, options, context);
        await finishRun(session, runId);
        context.out(`Run ${runId} is finished.${state === 'complete' ? ` \`harden verify --run ${runId}\` tells what became of each finding.` : ''}\n`);
      }
    }
    for (const run of abandoned) {
      context.out(`${describeUnconfirmed(run)}\n`);
      const exitCode = await undo(session, run.runId, options, layout, context);
      if (exitCode !== 0) return exitCode;
    }
    return 0;
  } finally {
    session.close();
  }
}

/** Shows what undoing a run brings back, asks, and does it. */
async function undo(session: OpenSession, runId: string, options: RecoverOptions, layout: Layout, context: Context): Promise<ExitCode> {
  const planned = await planRollback(session, runId);
  context.out(renderRollback(planned, layout));
  if (planned.facts === null) context.err('harden: no engine answers: the files come back, and the daemon is started with them\n');
  await agreeTo(`undo run ${runId}`, options, context);
  session.holdSignals();
  return undoAndReport(session, runId, context, planned.lost);
}
