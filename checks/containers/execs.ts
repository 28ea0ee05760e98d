import type { Check, ContainerFacts } from '../../src/model.ts';
import { manual, pass, unknown, warn } from '../verdict.ts';
import { eachContainer, isUp, section5 } from './container.ts';

type Exec = Extract<NonNullable<ContainerFacts['execs']>, { status: 'present' }>['value'][number];

interface Row {
  readonly id: string;
  readonly option: string;
  readonly title: string;
  readonly rationale: string;
  readonly number: number;
  readonly isWrong: (exec: Exec) => boolean;
}

const ROWS: readonly Row[] = [
  {
    id: 'operations.exec-privileged', option: '--privileged', number: 23, title: 'Nobody runs docker exec with --privileged',
    rationale: 'The command gets all capabilities, and is a way out of a container that was made without them.',
    isWrong: ({ privileged }) => privileged,
  },
  {
    id: 'operations.exec-root', option: '--user root', number: 24, title: 'Nobody runs docker exec with --user root',
    rationale: 'The command goes around the ordinary user as whom the container was made to run.',
    isWrong: ({ user }) => ['root', '0'].includes(user.split(':')[0] ?? ''),
  },
];

export const execChecks: readonly Check<null>[] = ROWS.map(({ id, option, title, rationale, number, isWrong }) => ({
  id,
  title,
  rationale,
  evidence: 'inspect: ExecIDs; GET /exec/ID/json of the open sessions, where they were recorded',
  passes: 'Nothing has ever run in the container. Sessions that ended leave no trace in the engine, so of others only the audit log or '
    + 'docker events can tell.',
  section: 'containers',
  severity: 'medium',
  level: 2,
  cis: section5(number, 'd1.11'),
  evaluate: (facts) => eachContainer(facts, ({ facts: { execs }, runtime, target }) => {
    // Only a container that runs takes an exec.
    if (runtime.state === 'created') return pass(target, 'It has never run');
    if (execs?.status === 'unreadable') return unknown(target, execs.reason);
    const seen = execs?.status === 'present' ? execs.value : undefined;
    if (seen?.some(isWrong) === true) return warn(target, `A docker exec ${option} session is open`, null);
    const open = seen?.length ?? (isUp(runtime) ? runtime.applied?.openExecs ?? 0 : 0);
    const past = 'sessions that ended leave no trace in the engine: search the audit log or docker events';
    return manual(target, open === 0 ? `No docker exec session is open; ${past}`
      : seen !== undefined ? `No open docker exec session has ${option}; ${past}`
      : `${open} docker exec ${open === 1 ? 'session is' : 'sessions are'} open, and whether with ${option} was not recorded; ${past}`);
  }),
}));
