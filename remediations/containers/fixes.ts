import { DEFAULT_CAPABILITIES } from '../../checks/containers/capabilities.ts';
import { isWildcard } from '../../checks/containers/bind-interface.ts';
import { bytesOf, nanosecondsOf } from '../../src/container/parameters.ts';
import { writtenPaths } from '../../src/container/written.ts';
import { listNames } from '../../src/daemon/containers.ts';
import { parseUlimit } from '../../src/daemon/ulimits.ts';
import type { Facts, Healthcheck, Json, MountSpec, ParameterUse, SettablePath, SpecEdit } from '../../src/model.ts';
import { valueOf } from '../../src/model.ts';
import type { FixContext, Fixing } from './steps.ts';

const set = (path: SettablePath, value: Json): SpecEdit => ({ op: 'set', path, value });

/** What a choice needs, as it is written in harden.yaml for this container, or for all. */
const parameter = ({ container: { name, owner } }: FixContext<unknown>, key: string, value: string): string =>
  // Tasks of a service have other names after each update.
  `containers: { "${owner.kind === 'swarm' && name.startsWith(`${owner.service}.`) ? `${owner.service}.*` : name}": { ${key}: ${value} } } below parameters in harden.yaml`;

const fromPolicy = (key: string, value: Json): ParameterUse => ({ name: `container.${key}`, value, source: 'policy', evidence: 'harden.yaml or --set' });

const MIB = 1024 ** 2;
const roundUp = (value: number, step: number): number => Math.ceil(value / step) * step;

const LEAST_PIDS = 2048;
/** PID_MAX_LIMIT of a 64-bit kernel. */
const MOST_PIDS = 4_194_304;
const PIDS_STEP = 256;

/** max(2048, 4 × what runs now), in steps that do not change with every look. */
const leastPids = (now: number): number => Math.max(LEAST_PIDS, roundUp(4 * now, PIDS_STEP));

export function pidsLimit(context: FixContext<null>): Fixing {
  const { container: { id, name, evidence }, chosen, policy } = context;
  const now = valueOf(evidence?.pids ?? { status: 'absent' }) ?? 0;
  if (chosen.pidsLimit !== undefined) {
    return now > chosen.pidsLimit ? { guard: `${name} has ${now} processes and threads now, more than the ${chosen.pidsLimit} that the policy allows.`, needs: parameter(context, 'pidsLimit', `${leastPids(now)}`) }
      : { edits: [set('resources.pidsLimit', chosen.pidsLimit)], uses: [fromPolicy('pidsLimit', chosen.pidsLimit)] };
  }
  const recorded = policy.recorded?.find((use) => use.check === 'container.pids-limit' && use.target.id === id && use.name === 'container.pidsLimit');
  // A recorded value comes from a file: it can never be less than what is safe without one, nor more than a kernel has.
  const limit = typeof recorded?.value === 'number' && Number.isSafeInteger(recorded.value) ? Math.min(MOST_PIDS, Math.max(LEAST_PIDS, recorded.value)) : leastPids(now);
  return {
    edits: [set('resources.pidsLimit', limit)],
    uses: [{ name: 'container.pidsLimit', value: limit, source: 'evidence', evidence: recorded?.evidence ?? (now === 0 ? `nothing of it runs; at least ${LEAST_PIDS}` : `${now} processes and threads were seen; at least ${LEAST_PIDS}`) }],
  };
}

const LEAST_MEMORY = 256 * MIB;
const UNKNOWN_MEMORY = 512 * MIB;
const MEMORY_STEP = 64 * MIB;
const LEAST_OF_ENGINE = 6 * MIB;
const ENOUGH_DAYS = 7;
const DAY_MS = 86_400_000;

/** What the container has shown that it needs: max(256 MiB, 2 × anonymous, 1.5 × current), and on how much that rests. */
function memoryEvidence({ container, facts }: FixContext<null>): { readonly bytes: number; readonly says: string } {
  const seen = valueOf(container.evidence?.memory ?? { status: 'absent' });
  if (seen === undefined) return { bytes: UNKNOWN_MEMORY, says: 'What it uses is not known: docker stats shows it after some days under load' };
  const bytes = roundUp(Math.max(LEAST_MEMORY, 2 * seen.anonymous, 1.5 * seen.current), MEMORY_STEP);
  const runtime = valueOf(container.runtime);
  const days = runtime === undefined ? 0 : (Date.parse(facts.collectedAt) - Date.parse(runtime.startedAt)) / DAY_MS;
  const enough = `From what it uses now, ${bytes / MIB} MiB would do`;
  return { bytes, says: days >= ENOUGH_DAYS ? `${enough}, and it has been running for ${Math.floor(days)} days` : `${enough}; it has been running for less than a week, which says little of its peak` };
}

export function memoryLimit(context: FixContext<null>): Fixing {
  const { chosen, container, facts, spec: { resources: { memoryReservation, memorySwap } } } = context;
  if (chosen.memory === undefined) {
    const { bytes, says } = memoryEvidence(context);
    return { choice: `How much memory ${container.name} may use is for its owner to say. ${says}. Beyond a limit the kernel ends its processes.`, needs: parameter(context, 'memory', `${bytes / MIB}m`) };
  }
  const bytes = bytesOf(chosen.memory);
  const seen = valueOf(container.evidence?.memory ?? { status: 'absent' });
  if (seen !== undefined && seen.anonymous > bytes) {
    return { guard: `${container.name} uses ${Math.ceil(seen.anonymous / MIB)} MiB now, more than the ${Math.floor(bytes / MIB)} MiB that the policy allows: the kernel would end its processes.`, needs: parameter(context, 'memory', `${memoryEvidence(context).bytes / MIB}m`) };
  }
  // The engine refuses these, and less than 6 MiB.
  const above = Math.max(LEAST_OF_ENGINE, memoryReservation ?? 0, ...(memorySwap !== null && memorySwap > 0 && memorySwap < bytes ? [Infinity] : []));
  if (bytes < above) {
    return { guard: `The engine takes no limit of ${Math.floor(bytes / MIB)} MiB for ${container.name}: it has to be at least 6 MiB, its reservation, and no more than its memory and swap together.`, needs: 'another container.memory' };
  }
  const host = valueOf(facts.engine.info)?.memoryBytes ?? 0;
  return {
    // A limit of swap that somebody chose stays.
    edits: [set('resources.memory', bytes), ...(memorySwap === null || memorySwap === 0 ? [set('resources.memorySwap', 2 * bytes)] : [])], uses: [fromPolicy('memory', bytes)],
    note: `Memory of ${container.name}: ${Math.floor(bytes / MIB)} MiB${host > 0 && bytes > host * 0.8 ? ', more than four fifths of what the host has' : ''}. The engine cannot lift the limit again while the container exists.`,
  };
}

export function cpuShares(context: FixContext<null>): Fixing {
  const { cpuShares: shares } = context.chosen;
  return shares === undefined
    ? { choice: 'Shares count against each other only: all containers get some, or none does.', needs: 'container: { cpuShares: 512 } for all, with more under containers: for some' }
    : { edits: [set('resources.cpuShares', shares)], uses: [fromPolicy('cpuShares', shares)] };
}

const FIVE_RETRIES = { name: 'on-failure', maximumRetryCount: 5 };

export function restartPolicy(context: FixContext<null>): Fixing {
  const { spec, chosen, container } = context;
  if (chosen.restart !== undefined) {
    const [name = 'no', count = '0'] = chosen.restart.split(':');
    return { edits: [set('restart', { name, maximumRetryCount: Number(count) })], uses: [fromPolicy('restart', chosen.restart)] };
  }
  if (spec.restart.name === 'on-failure') return { edits: [set('restart', FIVE_RETRIES)], risk: 'safe', uses: [{ name: 'container.restart', value: 'on-failure:5', source: 'default', evidence: 'it restarts without end when it fails' }] };
  return {
    choice: `With on-failure ${container.name} would stay down after a restart of the daemon or the host when it ends well on a signal. Where it has to come back, waive the finding.`,
    needs: parameter(context, 'restart', '"on-failure:5"'),
  };
}

/** As --tmpfs PATH or PATH:OPTIONS asks for it; without options one on which no program runs. */
const tmpfsMount = (text: string): MountSpec => {
  const [path = '', ...options] = text.split(':');
  const target = path.replace(/\/+/gu, '/').replace(/(.)\/$/u, '$1');
  const usual = target === '/run' ? 'rw,nosuid,nodev,noexec,size=16m,mode=755' : target === '/tmp' ? 'rw,nosuid,nodev,noexec,size=64m,mode=1777' : 'rw,nosuid,nodev,noexec,size=64m';
  const chosen = options.join(':') || usual;
  return { kind: 'tmpfs', via: 'tmpfs', source: '', target, readOnly: chosen.split(',').includes('ro'), options: chosen, details: null, volume: null };
};

const isBelow = (path: string, targets: readonly string[]): boolean => targets.some((target) => path === target || path.startsWith(`${target.replace(/\/$/u, '')}/`));
/** Directories that no tmpfs should hide. */
const PROGRAMS = ['/', '/etc', '/usr', '/bin', '/lib', '/sbin'];

export function readonlyRootfs(context: FixContext<null>): Fixing {
  const { chosen, container, spec } = context;
  const changes = valueOf(container.evidence?.changes ?? { status: 'absent' });
  const mounted = spec.mounts.map(({ target }) => target);
  const written = writtenPaths(spec, changes ?? []);
  if (chosen.tmpfs === undefined) {
    const parents = written.map((path) => path.slice(0, Math.max(1, path.lastIndexOf('/')))).filter((path) => !PROGRAMS.includes(path));
    const directories = [...new Set(['/tmp', '/run', ...parents])].filter((path, _, all) => !isBelow(path, mounted) && !isBelow(path, all.filter((other) => other !== path))).slice(0, 8);
    const says = changes === undefined ? 'What it has written outside of them, docker diff shows' : written.length === 0 ? 'It has written nothing outside of its volumes so far' : `It has written ${listNames(written, 8)}`;
    return {
      choice: `${container.name} could write to its volumes and tmpfs mounts only. ${says}; a tmpfs is empty at each start, and hides what the image has there.`,
      needs: parameter(context, 'tmpfs', `[${directories.join(', ')}]`),
    };
  }
  const mounts = chosen.tmpfs.map(tmpfsMount).filter(({ target }) => !mounted.includes(target));
  const uncovered = written.filter((path) => !isBelow(path, mounts.map(({ target }) => target)));
  if (uncovered.length > 0) return { guard: `${container.name} writes to ${listNames(uncovered, 8)}, which would be read-only.`, needs: 'a volume for it, or another entry in container.tmpfs' };
  return {
    edits: [set('security.readonlyRootfs', true), ...mounts.map((mount): SpecEdit => ({ op: 'add', path: 'mounts', value: mount as unknown as Json }))],
    uses: [fromPolicy('tmpfs', [...chosen.tmpfs])],
  };
}

export function healthcheck(context: FixContext<null>): Fixing {
  const { chosen: { healthcheck: chosen }, spec, container } = context;
  const kind = spec.healthcheck?.test[0];
  if (kind !== undefined && kind !== 'NONE') return 'manual';
  if (chosen === undefined) {
    return { choice: `Which command shows that ${container.name} works, only its owner knows. It has to be in the image, and to succeed.`, needs: parameter(context, 'healthcheck', '{ test: COMMAND, interval: 30s, timeout: 5s, retries: 3, startPeriod: 60s }') };
  }
  const check: Healthcheck = {
    test: typeof chosen.test === 'string' ? ['CMD-SHELL', chosen.test] : chosen.test[0] === 'CMD' || chosen.test[0] === 'CMD-SHELL' ? chosen.test : ['CMD', ...chosen.test],
    interval: nanosecondsOf(chosen.interval ?? '30s'), timeout: nanosecondsOf(chosen.timeout ?? '5s'), startPeriod: nanosecondsOf(chosen.startPeriod ?? '60s'), startInterval: 0, retries: chosen.retries ?? 3,
  };
  return { edits: [set('healthcheck', check as unknown as Json)], uses: [fromPolicy('healthcheck', check as unknown as Json)], risk: 'safe' };
}

export function ulimits(context: FixContext<null>): Fixing {
  const { chosen, spec, container } = context;
  if (chosen.ulimits === undefined) return { choice: `Somebody chose the ulimits of ${container.name}: take them away, or name those that it needs.`, needs: parameter(context, 'ulimits', '{}') };
  const wanted = Object.entries(chosen.ulimits).flatMap(([name, value]) => {
    const limit = typeof value === 'number' ? { soft: value, hard: value } : parseUlimit(value);
    return limit === null ? [] : [{ name, ...limit }];
  });
  const has = (items: typeof wanted | typeof spec.resources.ulimits, { name, soft, hard }: (typeof wanted)[number]): boolean =>
    items.some((item) => item.name === name && item.soft === soft && item.hard === hard);
  return {
    edits: [
      ...spec.resources.ulimits.filter((value) => !has(wanted, value)).map((value): SpecEdit => ({ op: 'remove', path: 'resources.ulimits', value: { ...value } })),
      ...wanted.filter((value) => !has(spec.resources.ulimits, value)).map((value): SpecEdit => ({ op: 'add', path: 'resources.ulimits', value })),
    ],
    uses: [fromPolicy('ulimits', { ...chosen.ulimits })],
  };
}

export function logRotation(context: FixContext<null>): Fixing {
  const { chosen: { log: chosen }, spec: { log } } = context;
  if (log?.driver !== 'json-file') return 'manual';
  if (chosen === undefined) return { choice: 'How much of its log is worth keeping is for its owner to say; what is older is gone.', needs: parameter(context, 'log', '{ maxSize: 50m, maxFile: 5 }') };
  return {
    edits: [set('log', { driver: log.driver, options: { ...log.options, 'max-size': chosen.maxSize, 'max-file': String(chosen.maxFile) } })],
    uses: [fromPolicy('log', { ...chosen })],
  };
}

const names = (capabilities: readonly string[]): string[] => capabilities.map((name) => name.toUpperCase().replace(/^CAP_/, ''));

/** NET_RAW is what the engine grants beyond the need of nearly all; what somebody added is never taken away unasked. */
export function capabilities(context: FixContext<null>): Fixing {
  const { spec: { security }, chosen, container } = context;
  if (security.privileged) return 'manual';
  if (chosen.capabilities !== undefined) {
    const keep = names(chosen.capabilities);
    return {
      edits: [
        ...security.capDrop.filter((name) => name !== 'ALL').map((value): SpecEdit => ({ op: 'remove', path: 'security.capDrop', value })),
        { op: 'add', path: 'security.capDrop', value: 'ALL' },
        ...security.capAdd.filter((name) => !keep.includes(name)).map((value): SpecEdit => ({ op: 'remove', path: 'security.capAdd', value })),
        ...keep.map((value): SpecEdit => ({ op: 'add', path: 'security.capAdd', value })),
      ],
      uses: [fromPolicy('capabilities', keep)],
    };
  }
  const extra = security.capAdd.filter((name) => name !== 'NET_RAW');
  if (security.capAdd.includes('ALL') || security.capAdd.includes('NET_RAW') || extra.some((name) => !DEFAULT_CAPABILITIES.some((known) => known === name))) {
    return { choice: `Somebody added capabilities to ${container.name} (${listNames(security.capAdd)}): name those that it needs.`, needs: parameter(context, 'capabilities', `[${security.capAdd.filter((name) => name !== 'ALL').join(', ')}]`) };
  }
  return {
    edits: [{ op: 'add', path: 'security.capDrop', value: 'NET_RAW' }],
    note: `${container.name} can no longer open raw sockets (ping of old images, packet capture).`,
    uses: [{ name: 'container.capabilities', value: 'without NET_RAW', source: 'default', evidence: 'the engine grants it to every container' }],
  };
}

export function noNewPrivileges(context: FixContext<null>): Fixing {
  const { chosen, container, spec } = context;
  if (spec.security.noNewPrivileges === false && chosen.noNewPrivileges === undefined) {
    return { choice: `Somebody switched the option off for ${container.name}.`, needs: parameter(context, 'noNewPrivileges', 'true') };
  }
  return {
    edits: [set('security.noNewPrivileges', true)],
    uses: chosen.noNewPrivileges === undefined ? [] : [fromPolicy('noNewPrivileges', true)],
    note: `Programs with setuid bits or file capabilities in ${container.name} run without them.`,
  };
}

/** Removes what was chosen to be unconfined; what confines instead is the engine's own profile. */
export const confined = (path: 'security.seccomp' | 'security.apparmor') => (context: FixContext<null>): Fixing => {
  const { spec, chosen } = context;
  const value = path === 'security.seccomp' ? spec.security.seccomp : spec.security.apparmor;
  if (spec.security.privileged || value === null) return 'manual';
  return chosen.confined === undefined
    ? { choice: 'What the profile forbids and the container does, only a trial shows.', needs: parameter(context, 'confined', 'true') }
    : { edits: [set(path, null)], uses: [fromPolicy('confined', true)] };
};

/** A network has to be there first. Where nobody sees the engine's, it is for whoever runs the text. */
const missing = (network: string, facts: Facts): Fixing | null => valueOf(facts.networks)?.some(({ name }) => name === network) === false
  ? { guard: `There is no network ${network}.`, needs: `docker network create ${network}` } : null;

export const privateNamespace = (kind: 'network' | 'pid' | 'ipc' | 'uts' | 'userns') => (context: FixContext<null>): Fixing => {
  const { spec, chosen, container, facts } = context;
  // One that joins another container's namespace is changed there; the network also needs ports.
  if (spec.namespaces[kind] !== 'host') return 'manual';
  if (chosen.privateNamespaces?.includes(kind) !== true) {
    return { choice: `Whether ${container.name} needs the ${kind} namespace of the host, only its owner knows.`, needs: parameter(context, 'privateNamespaces', `[${kind}]`) };
  }
  if (kind === 'network' && chosen.network === undefined) return { choice: 'It needs a network in place of the host\'s.', needs: parameter(context, 'network', 'NAME') };
  return (kind === 'network' ? missing(chosen.network ?? '', facts) : null) ?? {
    edits: [set(`namespaces.${kind}`, kind === 'network' ? chosen.network ?? '' : '')],
    uses: [fromPolicy('privateNamespaces', [kind])],
    ...(kind === 'network' ? { note: `${container.name} publishes no port: what it listens on can be reached in its network only.` } : {}),
  };
};

/** Of the mounts that a finding names, those whose removal the owner asked for; all of them have to be. */
export function withoutMounts(context: FixContext<{ readonly targets: readonly string[] }>): Fixing {
  const { detail: { targets }, chosen, spec } = context;
  const own = spec.mounts.filter(({ target }) => targets.includes(target));
  if (own.length < targets.length) return 'manual';
  if (!targets.every((target) => chosen.withoutMounts?.includes(target) === true)) {
    return { choice: 'What the container does with these files of the host, only its owner knows. A socket of the engine is as good as root, read-only or not: a filtering proxy, or none at all.', needs: parameter(context, 'withoutMounts', `[${targets.join(', ')}]`) };
  }
  return { edits: own.map((mount): SpecEdit => ({ op: 'remove', path: 'mounts', value: mount as unknown as Json })), uses: [fromPolicy('withoutMounts', [...targets])] };
}

/** Mounts that were asked for as shared are still seen by the container as slaves: what it mounts stays inside. */
export function slavePropagation({ detail: { targets }, spec }: FixContext<{ readonly targets: readonly string[] }>): Fixing {
  const own = spec.mounts.filter(({ target, via }) => targets.includes(target) && via === 'binds');
  if (own.length < targets.length) return 'manual';
  return {
    edits: own.map((mount): SpecEdit => ({
      op: 'replace', path: 'mounts', value: mount as unknown as Json,
      by: { ...mount, options: mount.options.split(',').map((option) => option === 'shared' ? 'slave' : option === 'rshared' ? 'rslave' : option).join(',') } as unknown as Json,
    })),
  };
}

export function withoutDevices(context: FixContext<null>): Fixing {
  const { spec: { security, resources }, chosen, container } = context;
  const plain = resources.devices.length > 0 && resources.deviceRequests.length === 0 && resources.deviceCgroupRules.length === 0;
  if (security.privileged || !plain) return 'manual';
  const hosts = resources.devices.map(({ host }) => host);
  if (!hosts.every((host) => chosen.withoutDevices?.includes(host) === true)) return { choice: `Which devices ${container.name} needs, only its owner knows.`, needs: parameter(context, 'withoutDevices', `[${hosts.join(', ')}]`) };
  return { edits: resources.devices.map((device): SpecEdit => ({ op: 'remove', path: 'resources.devices', value: { ...device } })), uses: [fromPolicy('withoutDevices', hosts)] };
}

export function defaultCgroup(context: FixContext<null>): Fixing {
  return context.chosen.defaultCgroup === undefined
    ? { choice: 'Somebody chose this cgroup: approve of it (parameter cgroupParent), or take the container out of it.', needs: parameter(context, 'defaultCgroup', 'true') }
    : { edits: [set('resources.cgroupParent', null)], uses: [fromPolicy('defaultCgroup', true)] };
}

export function publishAddress(context: FixContext<null>): Fixing {
  const { spec: { network: { ports, publishAll } }, chosen: { publishAddress: address }, container } = context;
  if (publishAll) return 'manual';
  if (address === undefined) return { choice: `Where the clients of ${container.name} are, only its owner knows: 127.0.0.1 lets in this host only.`, needs: parameter(context, 'publishAddress', '127.0.0.1') };
  const open = ports.filter(({ ip }) => ip === '' || isWildcard(ip));
  const place = (port: (typeof ports)[number]): string => `${port.hostPort} ${port.containerPort}/${port.protocol}`;
  // What is published on 0.0.0.0 and on :: is published once: an address cannot be bound twice.
  const taken = new Set(ports.filter(({ ip }) => ip === address).map(place));
  return {
    edits: open.map((port): SpecEdit => {
      if (taken.has(place(port))) return { op: 'remove', path: 'network.ports', value: { ...port } };
      taken.add(place(port));
      return { op: 'replace', path: 'network.ports', value: { ...port }, by: { ...port, ip: address } };
    }),
    uses: [fromPolicy('publishAddress', address)],
  };
}

export function ownNetwork(context: FixContext<null>): Fixing {
  const { spec, chosen: { network }, container, facts } = context;
  if (!['', 'default', 'bridge'].includes(spec.namespaces.network)) return 'manual';
  if (network === undefined) return { choice: `Which containers ${container.name} has to reach, only its owner knows. On a network of its own it finds others there by name, and those on the default bridge no more.`, needs: parameter(context, 'network', 'NAME') };
  // Links to others on the default bridge end there.
  if (spec.network.links.length > 0) return 'manual';
  return missing(network, facts) ?? { edits: [set('namespaces.network', network)], uses: [fromPolicy('network', network)] };
}

/** Of a container that was told to be root although its image is not. */
export function user(context: FixContext<null>): Fixing {
  const { chosen, container, spec } = context;
  return chosen.user === undefined
    ? { choice: `${container.name} was told to run as ${spec.user ?? 'root'}, and files that it wrote as such stay that user's.`, needs: parameter(context, 'user', 'UID:GID') }
    : { edits: [set('user', chosen.user)], uses: [fromPolicy('user', chosen.user)] };
}
