import type { Check, ContainerFacts, ContainerSpec, Facts, Parameters } from '../../src/model.ts';
import { manual, pass, unknown, warn } from '../verdict.ts';
import type { Container } from './container.ts';
import { eachContainer, isUp, section5 } from './container.ts';

type Exec = Extract<NonNullable<ContainerFacts['execs']>, { status: 'present' }>['value'][number];

interface Row {
  readonly id: string;
  readonly option: string;
  readonly title: string;
  readonly rationale: string;
  readonly number: number;
  readonly isWrong: (exec: Exec, spec: ContainerSpec) => boolean;
}

const isRoot = (user: string): boolean => /^(?:root|0+)(?::|$)/u.test(user);

const ROWS: readonly Row[] = [
  {
    id: 'operations.exec-privileged', option: '--privileged', number: 23, title: 'Nobody runs docker exec with --privileged',
    rationale: 'The command gets all capabilities, and is a way out of a container that was made without them.',
    isWrong: ({ privileged }) => privileged,
  },
  {
    id: 'operations.exec-root', option: '--user root', number: 24, title: 'Nobody runs docker exec with --user root',
    rationale: 'The command goes around the ordinary user as whom the container was made to run.',
    // A session that names no user has the container's, and so has a health check.
    isWrong: ({ user }, spec) => isRoot(user) && user !== (spec.user ?? ''),
  },
];

/** What the engine's events say of the time for which nobody may have run docker exec. */
function history(facts: Facts, { facts: { id }, runtime }: Container, { operations }: Parameters): { readonly quiet: boolean; readonly says: string } {
  const unknownPast = (why: string) => ({ quiet: false, says: `sessions that ended leave no trace in the engine${why}: search the audit log or docker events` });
  const { execHistory } = facts;
  if (execHistory?.status !== 'present') return unknownPast('');
  const created = Date.parse(runtime.applied?.createdAt ?? runtime.createdAt ?? '');
  const hours = operations?.execWindowHours;
  const opened = hours === undefined ? created : Math.max(Date.parse(facts.collectedAt) - hours * 3_600_000, Number.isNaN(created) ? -Infinity : created);
  const { since, started } = execHistory.value;
  // A container that nobody knows the age of is as old as can be.
  const window = hours === undefined || opened === created ? 'since it was created' : `in the last ${hours} ${hours === 1 ? 'hour' : 'hours'}`;
  const count = started.filter(({ container, at }) => container === id && !(Date.parse(at) < opened)).length;
  const isWhole = since !== null && Date.parse(since) <= opened;
  if (count > 0) return unknownPast(`, and ${isWhole ? '' : 'at least '}${count} ${count === 1 ? 'was' : 'were'} started ${window}, health checks included`);
  if (!isWhole) return unknownPast(since === null ? '' : `, whose events reach back to ${since} only`);
  return { quiet: true, says: `the engine's events, which reach back to ${since}, show that none was started ${window}` };
}

export const execChecks: readonly Check<null>[] = ROWS.map(({ id, option, title, rationale, number, isWrong }) => ({
  id,
  title,
  rationale,
  evidence: 'inspect: ExecIDs; GET /exec/ID/json of the open sessions; GET /events: exec_create, of which the engine keeps the last 256 events of all kinds since its start; '
    + 'policy parameter operations.execWindowHours',
  passes: 'Nothing has ever run in the container; or no session is open with the option, and the engine\'s events reach back over the whole window '
    + '(operations.execWindowHours, or the life of the container) and show that none was started.',
  section: 'containers',
  severity: 'medium',
  level: 2,
  cis: section5(number, 'd1.11'),
  evaluate: (facts, { parameters }) => eachContainer(facts, (container) => {
    const { facts: { execs }, spec, runtime, target } = container;
    // Only a container that runs takes an exec.
    if (runtime.state === 'created') return pass(target, 'It has never run');
    if (execs?.status === 'unreadable') return unknown(target, execs.reason);
    const seen = execs?.status === 'present' ? execs.value : undefined;
    if (seen?.some((exec) => isWrong(exec, spec)) === true) return warn(target, `A docker exec ${option} session is open`, null);
    const open = isUp(runtime) ? Math.max(runtime.applied?.openExecs ?? 0, seen?.length ?? 0) : 0;
    const { quiet, says } = history(facts, container, parameters);
    if (seen !== undefined && seen.length < open) return manual(target, `Of ${open} open docker exec sessions ${seen.length} were looked at, and none has ${option}; ${says}`);
    if (open > 0 && seen === undefined) return manual(target, `${open} docker exec ${open === 1 ? 'session is' : 'sessions are'} open, and whether with ${option} was not recorded; ${says}`);
    const now = open === 0 ? 'No docker exec session is open' : `No open docker exec session has ${option}`;
    return quiet ? pass(target, `${now}, and ${says}`) : manual(target, `${now}; ${says}`);
  }),
}));
