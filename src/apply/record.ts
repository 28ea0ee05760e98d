import type { HostReader, HostWriter } from '../host/port.ts';
import type { RunUser } from '../journal.ts';
import { messageOf } from '../errors.ts';
import { escapeLine } from '../render/escape.ts';

/** What is left in syslog at the start and at the end of what changes a host. */
export interface RunNote {
  readonly action: 'apply' | 'rollback' | 'recover' | 'gc' | 'confirm' | 'guard';
  readonly phase: 'start' | 'end';
  readonly runId: string;
  /** null: it carries out no plan. */
  readonly planId?: string | null;
  /** The run that is undone. */
  readonly undoes?: string;
  /** How it ended, in the words of the history. */
  readonly result?: string;
  readonly exitCode?: number;
}

/** syslog(3) takes a line of 1 KiB everywhere; what is longer is cut. */
const MAX_LENGTH = 1000;
const MAX_VALUE = 256;

/** A value that a reader cannot take for another field: bare where it is plain, else quoted, with nothing that a terminal would act on. */
function quoted(value: string): string {
  const short = value.length > MAX_VALUE ? `${value.slice(0, MAX_VALUE)}…` : value;
  return /^[\w.:@/+-]+$/.test(short) ? short : escapeLine(JSON.stringify(short));
}

/** One line: who did what, for which plan and run, and how it ended. */
export function noteText({ action, phase, runId, planId, undoes, result, exitCode }: RunNote, user: RunUser, ticket: string | null): string {
  const fields: readonly (readonly [name: string, value: string | null | undefined])[] = [
    ['action', action], ['phase', phase], ['run', runId], ['plan', planId], ['undoes', undoes], ['uid', String(user.uid)],
    ['loginuid', user.loginuid === null ? 'unset' : String(user.loginuid)], ['sudo_user', user.sudoUser], ['result', result], ['exit', exitCode === undefined ? null : String(exitCode)], ['ticket', ticket],
  ];
  return fields.flatMap(([name, value]) => (value == null ? [] : [`${name}=${quoted(value)}`])).join(' ').slice(0, MAX_LENGTH);
}

/** What journald or a syslog daemon listens on. */
const SOCKET = '/dev/log';

/** Leaves a line in syslog, as auth.log and its like keep it. Returns why that could not be done, as a sentence; null when it was. */
export async function leaveNote(text: string, { reader, writer }: { readonly reader: HostReader; readonly writer: Pick<HostWriter, 'run'> }): Promise<string | null> {
  const why = await (async (): Promise<string | null> => {
    // logger(1) fails in silence where nothing listens and systemd does not run.
    const [socket] = await reader.observe([{ kind: 'stat', path: SOCKET }]);
    if (socket.status !== 'present') return `there is no ${SOCKET}`;
    try {
      const { code, stderr } = await writer.run('logger', ['-t', 'harden', '-p', 'authpriv.notice', '--', text], { timeoutMs: 10_000 });
      return code === 0 ? null : stderr.trim();
    } catch (error) {
      return messageOf(error);
    }
  })();
  return why === null ? null : `Nothing about this run could be left in syslog: ${why}.`;
}
