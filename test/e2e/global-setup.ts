/** Before the end-to-end tests: says what this machine cannot test, and removes what killed runs left. After them: cleans up. */
import { beginRun } from './bed/runs.ts';
import { bed, skipReason, type HostKind } from './host.ts';

const KINDS: HostKind[] = ['systemd', 'audit'];

export default async function setup(): Promise<(() => Promise<void>) | undefined> {
  const reasons = KINDS.map((kind) => ({ kind, reason: skipReason(kind) }));
  for (const { kind, reason } of reasons) {
    if (reason !== null) process.stderr.write(`e2e: tests on ${kind} hosts are skipped: ${reason}\n`);
  }
  if (reasons.every(({ reason }) => reason !== null)) return undefined;
  beginRun();
  await bed.cleanUp();
  return () => bed.cleanUp();
}
