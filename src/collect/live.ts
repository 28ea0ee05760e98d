import type { ContainerFacts, ExecHistory, InForce, Json, JsonObject, Observed } from '../model.ts';
import { absent, mapObserved, present, unreadable, valueOf } from '../model.ts';
import type { ContainerProcess } from '../host/port.ts';
import { at, flag, list, number, text, texts } from './json.ts';
import type { Round } from './round.ts';

/** GET /exec/ID/json of a container's sessions. A session without a user of its own is told to have the container's. */
export const parseExecs = (raw: readonly JsonObject[]): NonNullable<ContainerFacts['execs']> => present(raw.map((exec) => ({
  id: text(at(exec, 'ID')), privileged: flag(at(exec, 'ProcessConfig', 'privileged')), user: text(at(exec, 'ProcessConfig', 'user')),
})));

/** How many events dockerd keeps (moby, daemon/events: eventsLimit); of all kinds, the oldest go first. Seen in 20.10 and 26.1. */
const EVENTS_KEPT = 256;

/**
 * What the events in the engine's memory say of sessions. They reach back to the oldest of them; to the daemon's start while nothing
 * was dropped yet. `startedAt` is null where that is not known, or where the engine keeps its events otherwise.
 */
export function parseExecHistory(events: readonly Json[], startedAt: string | null): ExecHistory {
  const times = events.flatMap((event) => {
    const seconds = number(at(event, 'time'));
    return seconds > 0 && seconds < 1e11 ? [seconds] : [];
  });
  const oldest = times.length === events.length && times.length > 0 ? isoTime(Math.min(...times)) : null;
  return {
    since: events.length < EVENTS_KEPT && startedAt !== null ? startedAt : oldest,
    started: events.filter((event) => text(at(event, 'Action')).startsWith('exec_create')).map((event) => ({
      container: text(at(event, 'Actor', 'ID')), at: isoTime(number(at(event, 'time'))),
    })),
  };
}

const isoTime = (seconds: number): string => new Date(seconds > 0 && seconds < 1e11 ? seconds * 1000 : 0).toISOString();

/** The names in GET /containers/ID/top, whose last column is the command line. */
export function parseTop(raw: Json): Observed<readonly string[]> {
  const column = texts(at(raw, 'Titles')).findIndex((title) => title === 'CMD' || title === 'COMMAND');
  if (column === -1) return unreadable('the engine does not tell the commands of its processes');
  const words = list(at(raw, 'Processes')).map((row) => text(list(row)[column]).split(' ')[0] ?? '');
  return present(sortedNames(words.map((word) => (word.split('/').at(-1) ?? '').replace(/^-|:$/gu, '').slice(0, 64))));
}

/** From here on ports are the kernel's to give away (ip_local_port_range): a UDP socket there is a client's. */
const FIRST_EPHEMERAL = 32_768;

/** What processes listen on, from "TABLE ADDRESS:PORT" in hexadecimal, addresses in words of the machine's (little-endian) order. */
function listeningOn(processes: readonly ContainerProcess[]): { readonly port: number; readonly protocol: 'tcp' | 'udp'; readonly loopback: boolean }[] {
  const sockets = [...new Set(processes.flatMap(({ listening = [] }) => listening))].sort().flatMap((socket) => {
    const [, protocol, address = '', port = ''] = /^(tcp|udp)6? ([0-9A-F]{8}|[0-9A-F]{32}):([0-9A-F]{4})$/u.exec(socket) ?? [];
    const number = Number.parseInt(port, 16);
    const loopback = /^(?:0{16}FFFF0000)?[0-9A-F]{6}7F$|^0{24}01000000$/u.test(address);
    if ((protocol !== 'tcp' && protocol !== 'udp') || (protocol === 'udp' && number >= FIRST_EPHEMERAL)) return [];
    return [{ port: number, protocol, loopback } as const];
  });
  // What listens on all addresses listens on loopback as well.
  return [...new Map(sockets.toSorted((a, b) => Number(b.loopback) - Number(a.loopback)).map((one) => [`${one.protocol} ${one.port}`, one])).values()]
    .toSorted((a, b) => a.port - b.port || a.protocol.localeCompare(b.protocol));
}

const sortedNames = (names: readonly string[]): string[] => [...new Set(names)].filter((name) => name !== '').sort();

/** Declares what shows how the containers run here; the function adds it to what the engine says. Of `asRoot`, too, it is asked what they listen on. */
export function readLive(round: Round, containers: readonly ContainerFacts[], asRoot: readonly ContainerFacts[] = []): (container: ContainerFacts) => ContainerFacts {
  const pids = new Map(containers.flatMap(({ id, runtime }) => {
    const pid = valueOf(runtime)?.pid ?? 0;
    return Number.isSafeInteger(pid) && pid > 0 ? [[id, pid] as const] : [];
  }));
  if (pids.size === 0) return (container) => ({ ...container, ...notRunning(container) });
  const listeners = containers.filter((container) => valueOf(container.spec)?.namespaces.network === 'host' || asRoot.includes(container)).map(({ id }) => id);
  const processes = round.need({ kind: 'containerProcesses', held: [...pids.values()], ...(listeners.length > 0 && { listening: listeners }) });

  return (container) => {
    const pid = pids.get(container.id);
    if (pid === undefined) return { ...container, ...notRunning(container) };
    const found = ownProcesses(processes(), container.id, pid);
    return {
      ...container,
      processes: mapObserved(found, (own) => sortedNames(own.flatMap(({ names }) => names))),
      ...(listeners.includes(container.id) && { listening: mapObserved(found, listeningOn) }),
      inForce: found.status === 'present' ? parseInForce(found.value.find((process) => process.pid === pid)?.held) : found,
    };
  };
}

const notRunning = ({ runtime }: ContainerFacts): Pick<ContainerFacts, 'processes' | 'inForce'> => {
  const state = valueOf(runtime)?.state;
  const nothing = runtime.status !== 'present' ? runtime : state === 'running' || state === 'paused' ? unreadable('the engine does not tell its first process') : absent;
  return { processes: nothing, inForce: nothing };
};

/** All of them, on condition that the process that the engine names first is among them: otherwise its processes are not to be seen from here. */
function ownProcesses(all: Observed<readonly ContainerProcess[]>, id: string, pid: number): Observed<readonly ContainerProcess[]> {
  if (all.status !== 'present') return all.status === 'unreadable' ? all : unreadable('the processes of this host were not read');
  const own = all.value.filter(({ containers }) => containers.includes(id));
  return own.some((process) => process.pid === pid) ? present(own)
    : unreadable(`its first process (pid ${pid}) is not to be seen in a cgroup of it: it ended meanwhile, or runs where harden does not see it`);
}

/** proc(5), /proc/PID/limits. */
const LIMIT_NAMES: ReadonlyMap<string, string> = new Map([
  ['cpu time', 'cpu'], ['file size', 'fsize'], ['data size', 'data'], ['stack size', 'stack'], ['core file size', 'core'], ['resident set', 'rss'],
  ['processes', 'nproc'], ['open files', 'nofile'], ['locked memory', 'memlock'], ['address space', 'as'], ['file locks', 'locks'],
  ['pending signals', 'sigpending'], ['msgqueue size', 'msgqueue'], ['nice priority', 'nice'], ['realtime priority', 'rtprio'], ['realtime timeout', 'rttime'],
]);

/** capabilities(7), by number. */
const CAPABILITIES = [
  'CHOWN', 'DAC_OVERRIDE', 'DAC_READ_SEARCH', 'FOWNER', 'FSETID', 'KILL', 'SETGID', 'SETUID', 'SETPCAP', 'LINUX_IMMUTABLE', 'NET_BIND_SERVICE',
  'NET_BROADCAST', 'NET_ADMIN', 'NET_RAW', 'IPC_LOCK', 'IPC_OWNER', 'SYS_MODULE', 'SYS_RAWIO', 'SYS_CHROOT', 'SYS_PTRACE', 'SYS_PACCT', 'SYS_ADMIN',
  'SYS_BOOT', 'SYS_NICE', 'SYS_RESOURCE', 'SYS_TIME', 'SYS_TTY_CONFIG', 'MKNOD', 'LEASE', 'AUDIT_WRITE', 'AUDIT_CONTROL', 'SETFCAP', 'MAC_OVERRIDE',
  'MAC_ADMIN', 'SYSLOG', 'WAKE_ALARM', 'BLOCK_SUSPEND', 'AUDIT_READ', 'PERFMON', 'BPF', 'CHECKPOINT_RESTORE',
] as const;

const SECCOMP = ['off', 'strict', 'filter'] as const;

function parseInForce(held: ContainerProcess['held']): Observed<InForce> {
  const { limits, status } = held ?? { limits: '', status: '' };
  const field = (name: string): string => new RegExp(`^${name}:\\s*(\\S+)$`, 'mu').exec(status)?.[1] ?? '';
  const seccomp = SECCOMP[Number(field('Seccomp') || Number.NaN)];
  const bounding = field('CapBnd');
  const noNewPrivileges = field('NoNewPrivs');
  if (seccomp === undefined || !/^[0-9a-f]{1,16}$/u.test(bounding) || !/^[01]$/u.test(noNewPrivileges)) {
    return unreadable('the kernel does not tell what its first process is held to');
  }
  const bits = BigInt(`0x${bounding}`);
  return present({
    ulimits: limits.split('\n').flatMap((line) => {
      const [, title = '', soft = '', hard = ''] = /^Max (.+?)\s{2,}(\d+|unlimited)\s+(\d+|unlimited)/u.exec(line) ?? [];
      const name = LIMIT_NAMES.get(title);
      return name === undefined ? [] : [{ name, soft: limitOf(soft), hard: limitOf(hard) }];
    }),
    seccomp,
    noNewPrivileges: noNewPrivileges === '1',
    capabilities: Array.from({ length: 64 }, (_, bit) => CAPABILITIES[bit] ?? String(bit)).filter((_, bit) => (bits >> BigInt(bit)) % 2n === 1n),
  });
}

const limitOf = (value: string): number => (value === 'unlimited' ? -1 : Number(value));
