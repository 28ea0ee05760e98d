import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf, UsageError } from '../errors.ts';
import { HostError } from '../host/port.ts';
import type { RunRecord } from '../journal.ts';
import { awaitsConfirmation, guardFiles, markNotReverted, readRun } from '../journal.ts';
import { isLocked, processStamp } from '../lock.ts';
import type { ChangeDocument } from '../model.ts';
import { listNames } from '../daemon/containers.ts';
import { isGuarded } from './confirm.ts';
import { finishRun, unfinishedRuns } from './recover.ts';
import { factsIfAny, rollback } from './rollback.ts';
import type { Session } from './session.ts';

/*
 * A guard is a process of its own that is started before a run's first step. It holds no lock while it waits. It undoes the run when nobody confirms it in
 * time, and at once when the process that made it is gone with the run half done.
 */

const POLL_MS = 500;
const READY_TIMEOUT_MS = 30_000;
/** An engine that is just coming up, or a container that must not be lost, may stand in the way of an undo for a while. */
const PATIENCE = { retryMs: 15_000, giveUpMs: 5 * 60_000 };

/** A guard could not keep its word for what nothing takes back. @throws UsageError naming it */
export function refuseIrreversible(changes: readonly Pick<ChangeDocument, 'id' | 'title' | 'undo'>[]): void {
  const lasting = changes.filter(({ undo }) => undo === 'impossible');
  if (lasting.length === 0) return;
  throw new UsageError(`--confirm-within: nothing takes back ${listNames(lasting.map(({ id, title }) => `${id} (${title})`))}. Nothing was changed.\nApply that by itself, without --confirm-within.`);
}

/**
 * Starts the guard of a run, and waits until it is there.
 * @throws HostError when it does not come up
 */
export async function startGuard(session: Session, runId: string): Promise<void> {
  const { stateDir, endpoint, writer } = session;
  const { log } = guardFiles(stateDir, runId);
  await writer.startSelf(['guard', runId, '--state-dir', stateDir, '--docker-host', endpoint], { unit: `harden-guard-${runId}`, log });
  const deadline = performance.now() + READY_TIMEOUT_MS;
  while (!await isGuarded(session, runId)) {
    if (performance.now() >= deadline) throw new HostError(`The guard of the run did not come up within ${READY_TIMEOUT_MS / 1000} s. ${log} may say why`);
    await sleep(POLL_MS / 10);
  }
}

/** How a guard ended. */
export type GuardEnd = 'confirmed' | 'rolled back' | 'nothing to undo' | 'not undone';

/** Waits for a run to be confirmed, and undoes it when it is not. `say` writes to the guard's log. */
export async function guardRun(session: Session, runId: string, say: (text: string) => void, { retryMs, giveUpMs }: typeof PATIENCE = PATIENCE): Promise<GuardEnd> {
  // Whatever an undo needs is loaded now: later this program may have been replaced by another version.
  await factsIfAny(session);
  await session.writer.replace(guardFiles(session.stateDir, runId).process, Buffer.from(await processStamp()), { mode: 0o600, uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 });
  say(`guarding run ${runId}`);
  let timeIsOver: number | null = null;
  let givesUp: number | null = null;
  let said = '';
  for (;;) {
    try {
      // The lock is looked at first: whoever made the run closes it before he lets go.
      const busy = await isLocked(session.stateDir);
      const run = await readRun(session.stateDir, runId, session.reader);
      const end = endOf(run);
      if (end !== null) return end;
      const { confirmation } = run;
      if (confirmation !== null) {
        // Counted by a clock that nobody sets, from when the end of the run was seen.
        timeIsOver ??= performance.now() + Math.min(confirmation.within * 1000, Math.max(0, Date.parse(confirmation.by) - session.now().getTime()));
      } else if (!busy && await isWhole(session, runId)) {
        say('the process that made the run is gone, with all changes in: the run is closed, and waits to be confirmed');
        await finishRun(session, runId);
        continue;
      }
      const due = confirmation === null ? !busy : timeIsOver !== null && performance.now() >= timeIsOver;
      if (due && !busy) {
        givesUp ??= performance.now() + giveUpMs;
        say(confirmation === null ? 'the process that made the run is gone, with the run half done: it is undone' : 'nobody confirmed the run in time: it is undone');
        const { leftovers } = await rollback(session, runId, (now) => endOf(now) === null);
        for (const leftover of leftovers) say(`could not be undone: ${leftover}`);
        if (leftovers.length > 0) return await notUndone(session, runId, leftovers.join('; '));
      }
    } catch (error) {
      const why = messageOf(error);
      if (why !== said) say(why);
      said = why;
      if (givesUp !== null && performance.now() >= givesUp) return notUndone(session, runId, why);
      await sleep(givesUp === null || await isLocked(session.stateDir).catch(() => false) ? POLL_MS : retryMs);
    }
    await sleep(POLL_MS);
  }
}

const isWhole = async (session: Session, runId: string): Promise<boolean> =>
  (await unfinishedRuns(session)).some((unfinished) => unfinished.runId === runId && unfinished.state === 'complete');

/** How a run ended that needs no guard any more; null while it does. */
function endOf(run: RunRecord): GuardEnd | null {
  if (run.rolledBackBy !== null) return 'rolled back';
  if (run.confirmation?.confirmedAt != null) return 'confirmed';
  return run.closed && !awaitsConfirmation(run) ? 'nothing to undo' : null;
}

async function notUndone(session: Session, runId: string, reason: string): Promise<GuardEnd> {
  await markNotReverted(session.stateDir, runId, reason, session.writer);
  return 'not undone';
}
