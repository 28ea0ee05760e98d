import { readFileSync } from 'node:fs';
import type { RunHeader, RunUser } from '../journal.ts';
import { newRunId } from '../journal.ts';
import type { Facts, JsonObject } from '../model.ts';
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

/** Names one daemon of a host that may have several. */
export interface DaemonOfRun extends JsonObject {
  endpoint: string;
  configPath: string;
}

/** /var/run is a link to /run (hier(7)), and both spellings of the socket are in use. */
export const oneSpelling = (endpoint: string): string => endpoint.replace(/^unix:\/\/\/var\/run\//, 'unix:///run/');

export const daemonOf = ({ engine, daemon }: Facts): DaemonOfRun => ({ endpoint: oneSpelling(engine.endpoint), configPath: daemon.configPath });

/** Who runs this process, as far as the kernel and sudo tell. */
export const currentUser = (): RunUser => ({ uid: process.geteuid?.() ?? 0, loginuid: loginuid(), sudoUser: process.env.SUDO_USER ?? null });

/** Who starts a run, when, with what, on which daemon (null when none answers). `planId` is null for a rollback. */
export function runHeader(session: Session, planId: string | null, facts: Facts | null): RunHeader {
  const now = session.now();
  return {
    runId: newRunId(now),
    planId,
    createdAt: now.toISOString(),
    tool: { ...session.tool },
    daemon: facts === null ? null : daemonOf(facts),
    user: session.user,
    ticket: session.ticket,
  };
}
