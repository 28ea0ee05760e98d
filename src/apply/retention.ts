import type { RunSummary } from '../journal.ts';
import { awaitsConfirmation, listRuns, removeRun } from '../journal.ts';
import type { Retention } from '../model.ts';
import type { Session } from './session.ts';

/** Where the policy says nothing. */
export const DEFAULT_RETENTION: Retention = { keep: 50, maxAgeDays: 365 };

/** True of a run whose changes are in, as far as its journal tells: its backups are the way back. */
const canBeUndone = ({ planId, rolledBackBy, result, createdAt }: RunSummary): boolean =>
  createdAt !== null && rolledBackBy === null && (planId === null ? result?.result === 'failed' : result?.result !== 'reverted');

const DAY_MS = 86_400_000;

/** Of its id, which every run has: the journal of one that was killed early holds no time. Milliseconds. */
const beganAt = ({ runId }: RunSummary): number => Date.parse(runId.slice(0, 16).replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z'));

/** A run, whether a rollback of it is given up with its backups, and why it stays, as a sentence; null: it may go. */
export interface JudgedRun {
  readonly run: RunSummary;
  readonly undoable: boolean;
  readonly spared: string | null;
}

/**
 * Which runs may go, of those that there are, newest first. One that can still be rolled back goes by its age alone; any other also when so many
 * newer ones are there. What is not finished, waits for a person, or is the last of its kind always stays.
 */
export function judgeRuns(runs: readonly RunSummary[], { keep, maxAgeDays }: Retention, now: Date): JudgedRun[] {
  const lastUndoable = runs.find(canBeUndone);
  return runs.map((run, index) => {
    const undoable = canBeUndone(run);
    const old = now.getTime() - beganAt(run) > maxAgeDays * DAY_MS;
    const spared = run.unreadable !== null ? 'Its journal cannot be read, so what it did is not known.'
      : !run.closed ? 'It is not finished.'
      : awaitsConfirmation(run) ? 'It waits to be confirmed.'
      : index === 0 ? 'It is the last run.'
      : run === lastUndoable ? 'It is the last run that can be rolled back.'
      : undoable && !old ? `It can be rolled back, and is younger than ${maxAgeDays} days.`
      : !old && index < keep ? `It is one of the last ${keep}, and younger than ${maxAgeDays} days.`
      : null;
    return { run, undoable, spared };
  });
}

/** Removes what nobody can miss: runs that may go, and that nothing can be rolled back with. The others go with `harden gc`, which shows them. */
export async function pruneRuns({ stateDir, writer, reader, now }: Pick<Session, 'stateDir' | 'writer' | 'reader' | 'now'>, retention: Retention): Promise<string[]> {
  const removed: string[] = [];
  for (const { run, undoable, spared } of judgeRuns(await listRuns(stateDir, reader), retention, now())) {
    if (!undoable && spared === null && await removeRun(stateDir, run.runId, writer, reader)) removed.push(run.runId);
  }
  return removed;
}
