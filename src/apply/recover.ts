import { HostError } from '../host/port.ts';
import type { RunRecord } from '../journal.ts';
import { listRuns, readRun, resumeRun } from '../journal.ts';
import { acquireLock } from '../lock.ts';
import type { Session } from './session.ts';

/** A run that ended before its last word: killed, or the machine went down. */
export interface UnfinishedRun {
  readonly runId: string;
  readonly createdAt: string;
  /**
   * `complete`: every step is in; `begun`: some are, or one is half done; `undone`: a rollback that did all and could not say so;
   * `collected`: containers that nobody needs any more were being removed.
   */
  readonly state: 'complete' | 'begun' | 'undone' | 'collected';
  /** It was being taken back when its rollback was killed. */
  readonly rollingBack: boolean;
}

const RESULTS: Readonly<Record<Exclude<UnfinishedRun['state'], 'begun'>, string>> = { complete: 'applied', undone: 'rolled back', collected: 'removed' };

/** True when as many steps are done as the run set out to do, and none failed or was taken back. */
function isComplete({ header: { steps }, entries }: RunRecord): boolean {
  const begun = entries.flatMap((entry) => entry.type === 'intent' ? [entry.seq] : []);
  const done = new Set(entries.flatMap((entry) => entry.type === 'done' ? [entry.seq] : []));
  return begun.length === steps && begun.every((seq) => done.has(seq)) && !entries.some(({ type }) => type === 'failed' || type === 'reverted');
}

/**
 * What was not finished, newest first. A run whose rollback was killed stands here once, as the run that is to be undone.
 * @throws HostError when a journal cannot be read
 */
export async function unfinishedRuns({ stateDir, reader }: Pick<Session, 'stateDir' | 'reader'>): Promise<UnfinishedRun[]> {
  const found = new Map<string, UnfinishedRun>();
  const rollingBack = new Set<string>();
  for (const { runId, closed, unreadable } of await listRuns(stateDir, reader)) {
    if (closed) continue;
    if (unreadable !== null) throw new HostError(unreadable);
    const run = await readRun(stateDir, runId, reader);
    const { createdAt, planId, undoes } = run.header;
    if (typeof undoes === 'string') {
      const undone = await readRun(stateDir, undoes, reader);
      if (undone.rolledBackBy !== null) found.set(runId, { runId, createdAt, state: 'undone', rollingBack: false });
      else {
        rollingBack.add(undoes);
        found.set(undoes, { runId: undoes, createdAt: undone.header.createdAt, state: 'begun', rollingBack: true });
      }
    } else if (!rollingBack.has(runId)) {
      found.set(runId, { runId, createdAt, state: planId === null ? 'collected' : isComplete(run) ? 'complete' : 'begun', rollingBack: false });
    }
  }
  return [...found.values()];
}

/** Refuses while a run is unfinished of which something may be half done. One that only lacks its last word after a rollback or `gc` is no obstacle. */
export async function refuseUnfinished(session: Pick<Session, 'stateDir' | 'reader'>): Promise<void> {
  const run = (await unfinishedRuns(session)).find(({ state }) => state === 'begun' || state === 'complete');
  if (run === undefined) return;
  const what = run.rollingBack ? `The rollback of run ${run.runId}` : `Run ${run.runId}`;
  throw new HostError(`${what} was not finished (killed, or the machine went down). Finish or undo it first: harden recover`);
}

/**
 * The same before the host is looked at: half-way through a change it may not even have what a plan is asked about. A run that is
 * under way is told from one that was killed by the lock.
 * @throws HostError
 */
export async function refuseUnfinishedEarly({ stateDir, reader, writer }: Pick<Session, 'stateDir' | 'reader' | 'writer'>): Promise<void> {
  if ((await unfinishedRuns({ stateDir, reader })).length === 0) return;
  const lock = await acquireLock(stateDir, writer);
  try {
    await refuseUnfinished({ stateDir, reader });
  } finally {
    await lock.release().catch(() => undefined);
  }
}

/**
 * Gives a run its last word, when nothing else is missing.
 * @throws HostError when it is not in that state any more, or another harden is at work
 */
export async function finishRun(session: Session, runId: string): Promise<void> {
  const { stateDir, writer, reader } = session;
  const lock = await acquireLock(stateDir, writer);
  try {
    const run = (await unfinishedRuns({ stateDir, reader })).find((candidate) => candidate.runId === runId);
    if (run === undefined || run.state === 'begun') throw new HostError(`Run ${runId} is not as it was a moment ago. Run \`harden recover\` again`);
    await (await resumeRun(stateDir, runId, writer, reader)).close({ result: RESULTS[run.state], exitCode: 0, recovered: true });
    await session.record({ action: 'recover', phase: 'end', runId, result: RESULTS[run.state], exitCode: 0 });
  } finally {
    await lock.release().catch(() => undefined);
  }
}
