import { HostError } from '../host/port.ts';
import type { Confirmation, RunSummary } from '../journal.ts';
import { awaitsConfirmation, guardFiles, listRuns, markConfirmed } from '../journal.ts';
import { acquireLock, mayLive } from '../lock.ts';
import type { Session } from './session.ts';

type Ports = Pick<Session, 'stateDir' | 'reader'>;

/** A run that is in, and that somebody still has to confirm. */
export interface UnconfirmedRun {
  readonly runId: string;
  readonly createdAt: string;
  readonly confirmation: Confirmation;
  /** Its guard is there and undoes it in time. Else the machine went down since, or somebody ended it: then nothing happens by itself. */
  readonly guarded: boolean;
}

/** True while the process that guards a run is there, or may be. */
export async function isGuarded({ stateDir, reader }: Ports, runId: string): Promise<boolean> {
  const [stamp] = await reader.observe([{ kind: 'text', path: guardFiles(stateDir, runId).process }]);
  if (stamp.status === 'unreadable') throw new HostError(`whether the guard of run ${runId} is there cannot be read: ${stamp.reason}`);
  return stamp.status === 'present' && await mayLive(stamp.value);
}

/** Newest first. @throws HostError */
export async function unconfirmedRuns(ports: Ports): Promise<UnconfirmedRun[]> {
  const found = await Promise.all((await listRuns(ports.stateDir, ports.reader)).map((run) => waiting(run, ports)));
  return found.filter((run) => run !== null);
}

async function waiting(run: RunSummary, ports: Ports): Promise<UnconfirmedRun | null> {
  const { runId, createdAt, confirmation } = run;
  if (!awaitsConfirmation(run) || confirmation === null) return null;
  return { runId, createdAt: createdAt ?? '', confirmation, guarded: confirmation.notReverted === null && await isGuarded(ports, runId) };
}

/** What an unconfirmed run waits for, and what to do, as one or two sentences. */
export function describeUnconfirmed({ runId, confirmation: { by, notReverted }, guarded }: UnconfirmedRun): string {
  if (guarded) return `Run ${runId} is undone at ${by} unless it is confirmed: harden confirm. To undo it now: harden rollback ${runId}`;
  const why = notReverted === null ? 'its guard is gone (the machine went down, or somebody ended it)' : `its guard could not undo it: ${notReverted}`;
  return `Run ${runId} was to be confirmed by ${by}, and ${why}. It is still in. Keep it: harden confirm. Undo it: harden recover`;
}

/** Refuses while a run is in that may be taken back any moment. @throws HostError */
export async function refuseUnconfirmed(ports: Ports): Promise<void> {
  const [run] = await unconfirmedRuns(ports);
  if (run !== undefined) throw new HostError(describeUnconfirmed(run));
}

/**
 * Says that a run is to stay. Resolves with the seconds that were left, less than 0 when its time was over and nobody undid it.
 * @throws HostError when it does not wait for that any more, or is being undone
 */
export async function confirmRun(session: Session, runId: string): Promise<number> {
  const lock = await acquireLock(session.stateDir, session.writer);
  try {
    const run = (await unconfirmedRuns(session)).find((candidate) => candidate.runId === runId);
    if (run === undefined) throw new HostError(`Run ${runId} is not as it was a moment ago. See \`harden history\``);
    await markConfirmed(session.stateDir, runId, session.user, session.ticket, session.writer);
    return (Date.parse(run.confirmation.by) - session.now().getTime()) / 1000;
  } finally {
    await lock.release().catch(() => undefined);
  }
}
