import { checks } from '../../checks/index.ts';
import type { GuardEnd } from '../apply/guard.ts';
import { guardRun } from '../apply/guard.ts';
import { createLocalReader } from '../host/local-reader.ts';
import { readRun } from '../journal.ts';
import { escapeLine } from '../render/escape.ts';
import type { Context, ExitCode, WhereOptions } from './context.ts';
import { stateDirOf } from './look.ts';
import { openSession } from './session.ts';

const EXIT: Readonly<Record<GuardEnd, ExitCode>> = { confirmed: 0, 'rolled back': 0, 'nothing to undo': 0, 'not undone': 4 };

/** What `apply --confirm-within` starts beside itself. */
export async function guard(runId: string, where: Pick<WhereOptions, 'stateDir' | 'dockerHost'>, context: Context): Promise<ExitCode> {
  const { header: { user, ticket, planId } } = await readRun(stateDirOf(where, context), runId, createLocalReader());
  const say = (text: string): void => context.err(`${context.now().toISOString()} ${escapeLine(text)}\n`);
  const session = { ...await openSession({ ...where, user, ...(ticket != null && { ticket }) }, checks, { ...context, progress: () => undefined }), progress: say };
  try {
    await session.record({ action: 'guard', phase: 'start', runId, planId });
    session.holdSignals();
    const end = await guardRun(session, runId, say);
    say(`the guard ends: ${end}`);
    await session.record({ action: 'guard', phase: 'end', runId, planId, result: end, exitCode: EXIT[end] });
    return EXIT[end];
  } finally {
    session.close();
  }
}
