import type { Check, ContainerSpec } from '../../src/model.ts';
import { manual, na, pass, unknown, warn } from '../verdict.ts';
import { eachContainer, isUp, ownKernel, section5 } from './container.ts';

const SERVERS = new Set(['sshd', 'sshd-session', 'sshd-auth', 'dropbear', 'dropbearmulti', 'tinysshd']);

/** The last part of each word: "/usr/sbin/sshd -D" may be one word of a shell. */
const namesServer = (words: readonly string[]): boolean => words.some((word) => word.split(/[\s;&|]+/u)
  .some((part) => SERVERS.has(part.split('/').at(-1) ?? '')));

const startsServer = ({ entrypoint, command }: ContainerSpec): boolean => namesServer([...entrypoint ?? [], ...command ?? []]);

export const check: Check<null> = {
  id: 'container.sshd',
  title: 'No SSH server runs in the container',
  rationale: 'A second way in has its own keys, passwords and updates that nobody looks after; docker exec does the same and is logged.',
  evidence: 'inspect: Config.Entrypoint, Config.Cmd; the names of its processes: /proc/PID/cgroup, comm, exe and cmdline, or GET /containers/ID/top of an engine elsewhere',
  passes: 'It does not start an SSH server, and none is among its processes.',
  section: 'containers',
  severity: 'medium',
  level: 1,
  cis: section5(7, 'd1.11', { 'd1.6': '5.7' }),
  evaluate: (facts) => eachContainer(facts, ({ facts: { processes }, spec, runtime, target }) => {
    if (startsServer(spec)) return warn(target, 'Its command starts an SSH server', null);
    if (!isUp(runtime)) return na(target, 'It does not run, and its command does not name an SSH server');
    if (processes === undefined && spec.namespaces.pid === 'host') return na(target, 'Its processes are those of the host');
    if (processes === undefined) return manual(target, 'Its command does not name an SSH server; whether one runs, docker top shows');
    if (processes.status !== 'present') return unknown(target, processes.status === 'unreadable' ? processes.reason : 'Its processes are not known');
    if (namesServer(processes.value)) return warn(target, 'An SSH server runs in it', null);
    const hidden = ownKernel(spec);
    return hidden === null ? pass(target, 'No SSH server is among its processes') : unknown(target, hidden);
  }),
};
