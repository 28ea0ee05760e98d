import { readFileSync } from 'node:fs';
import type { RunHeader } from '../journal.ts';
import { newRunId } from '../journal.ts';
import type { Session } from './session.ts';

/** The kernel's word for "nobody logged in": (uid_t)-1, proc_pid_loginuid(5). */
const UNSET_LOGINUID = 4_294_967_295;

function loginuid(): number | null {
  try {
    const uid = Number(readFileSync('/proc/self/loginuid', 'utf8'));
    return uid === UNSET_LOGINUID ? null : uid;
  } catch {
    return null;
  }
}

/** Who starts a run, when, with what. `planId` is null for a rollback. */
export function runHeader(session: Session, planId: string | null): RunHeader {
  const now = session.now();
  return {
    runId: newRunId(now),
    planId,
    createdAt: now.toISOString(),
    tool: { ...session.tool },
    user: { uid: process.geteuid?.() ?? 0, loginuid: loginuid(), sudoUser: process.env.SUDO_USER ?? null },
  };
}
