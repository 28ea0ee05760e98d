import { checks } from '../../checks/index.ts';
import type { UnfinishedRun } from '../apply/recover.ts';
import { finishRun, unfinishedRuns } from '../apply/recover.ts';
import { factsIfAny, planRollback } from '../apply/rollback.ts';
import { acquireLock } from '../lock.ts';
import { renderRollback } from '../render/history.ts';
import { agreeTo } from './agree.ts';
import type { Context, ExitCode, OutputOptions } from './context.ts';
import { layoutFor } from './output.ts';
import { undoAndReport } from './rollback.ts';
import type { SessionOptions } from './session.ts';
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
    if (unfinished.length === 0) {
      context.out(`Nothing to recover in ${session.stateDir}: every run is finished.\n`);
      return 0;
    }
    requirePower(await factsIfAny(session), context);
    // A run that is under way looks like one that was killed; only the lock tells them apart.
    await (await acquireLock(session.stateDir, session.writer)).release();
    for (const { runId, createdAt, state } of unfinished) {
      if (state === 'begun' || (state === 'complete' && options.undo === true)) {
        const planned = await planRollback(session, runId);
        context.out(renderRollback(planned, layout));
        if (planned.facts === null) context.err('harden: no engine answers: the files come back, and the daemon is started with them\n');
        await agreeTo(`undo run ${runId}`, options, context);
        session.holdSignals();
        const exitCode = await undoAndReport(session, runId, context, planned.lost);
        if (exitCode !== 0) return exitCode;
      } else {
        context.out(`Run ${runId} of ${createdAt}: ${MEANS[state]}.\n`);
        await agreeTo(`finish run ${runId}`, options, context);
        await finishRun(session, runId);
        context.out(`Run ${runId} is finished.${state === 'complete' ? ` \`harden verify --run ${runId}\` tells what became of each finding.` : ''}\n`);
      }
    }
    return 0;
  } finally {
    session.close();
  }
}
