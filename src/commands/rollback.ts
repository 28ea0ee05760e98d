import { checks } from '../../checks/index.ts';
import { planRollback, rollback as undoRun, runsToUndo } from '../apply/rollback.ts';
import { Declined, UsageError } from '../errors.ts';
import { escapeLine } from '../render/escape.ts';
import { renderRollback } from '../render/history.ts';
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
    for (const [index, run] of runs.entries()) {
      // Only the newest can be judged against the host as it is; each older one once those after it are undone.
      const planned = await planRollback(session, run);
      requirePower(planned.facts, context);
      context.out(renderRollback(planned, layout));
      if (planned.facts === null) context.err('harden: no engine answers: the files come back, and the daemon is started with them\n');
      if (index === 0) {
        await agree(runs, options, context);
        session.holdSignals();
      }
      const { leftovers, exitCode } = await undoRun(session, run);
      if (exitCode !== 0) {
        context.err(`harden: run ${run} could not be undone wholly; do this by hand:\n${leftovers.map((leftover) => `- ${escapeLine(leftover)}\n`).join('')}`);
        return exitCode;
      }
      context.out(`Run ${run} is undone.\n`);
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

async function agree(runs: readonly string[], { yes }: RollbackOptions, context: Context): Promise<void> {
  if (yes === true) return;
  if (!context.interactive) throw new Declined('Declined: there is no terminal to confirm on. Nothing was changed.\nTo undo it all the same, add --yes.');
  const prompter = await context.prompter();
  const what = runs.length === 1 ? `run ${runs[0] ?? ''}` : `${runs.length} runs, from ${runs[0] ?? ''} back to ${runs.at(-1) ?? ''}`;
  if ((await prompter.text(`Type yes to undo ${what}:`)).trim() !== 'yes') throw new Declined('Declined: nothing was changed.');
}
