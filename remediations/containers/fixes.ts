import { isDeepStrictEqual } from 'node:util';
import { DEFAULT_CAPABILITIES } from '../../checks/containers/capabilities.ts';
import type { DeviceDetail } from '../../checks/containers/devices.ts';
import { isWildcard } from '../../checks/containers/bind-interface.ts';
import { at, object, text } from '../../src/collect/json.ts';
import { obstaclesAs, userTakenAway } from '../../src/container/as-user.ts';
import { isKept } from '../../src/container/kept.ts';
import { bytesOf, nanosecondsOf, parametersFor } from '../../src/container/parameters.ts';
import { parsePublish } from '../../src/container/run-values.ts';
import { writtenPaths } from '../../src/container/written.ts';
import { listNames } from '../../src/daemon/containers.ts';
import { hasSecurityOption } from '../../src/daemon/security-options.ts';
import { parseUlimit } from '../../src/daemon/ulimits.ts';
import { normalReference } from '../../src/image/reference.ts';
import type { ContainerSpec, Healthcheck, Json, MountSpec, ParameterUse, SettablePath, SpecEdit } from '../../src/model.ts';
import { valueOf } from '../../src/model.ts';
import type { FixContext, Fixing } from './steps.ts';

const set = (path: SettablePath, value: Json): SpecEdit => ({ op: 'set', path, value });

/** What stands for the container below `containers` of harden.yaml. Tasks of a service have other names after each update. */
const globOf = ({ container: { name, owner } }: FixContext<unknown>): string => (owner.kind === 'swarm' && name.startsWith(`${owner.service}.`) ? `${owner.service}.*` : name);

type Wanted = Pick<Extract<Fixing, { choice: string }>, 'needs' | 'asks'>;

/** Several parameters that are needed together: `example` stands where nobody can suggest a value. */
function askingFor(context: FixContext<unknown>, parameters: readonly { readonly key: string; readonly suggested: string | null; readonly example?: string; readonly evidence?: string }[]): Wanted {
  const glob = globOf(context);
  return {
    needs: `containers: { "${glob}": { ${parameters.map(({ key, suggested, example }) => `${key}: ${suggested ?? example ?? 'VALUE'}`).join(', ')} } } below parameters in harden.yaml`,
    asks: parameters.map(({ key, suggested, evidence = '' }) => ({ parameter: ['containers', glob, key], suggested, evidence })),
  };
}

/** What a choice needs, as it is written in harden.yaml for this container, or for all; and the question for it. */
const asking = (context: FixContext<unknown>, key: string, suggested: string, evidence?: string): Wanted => askingFor(context, [{ key, suggested, ...(evidence === undefined ? {} : { evidence }) }]);

/** The same where only the owner can name a value. */
const askingOwner = (context: FixContext<unknown>, key: string, example: string, evidence?: string): Wanted =>
  askingFor(context, [{ key, suggested: null, example, ...(evidence === undefined ? {} : { evidence }) }]);

/** How far what was seen of a container can be trusted, behind a sentence about it. */
function thinness({ container, facts }: FixContext<unknown>): string {
  const runtime = valueOf(container.runtime);
  const days = runtime === undefined ? 0 : (Date.parse(facts.collectedAt) - Date.parse(runtime.startedAt)) / DAY_MS;
  return days >= ENOUGH_DAYS ? `, and it has been running for ${Math.floor(days)} days` : '; it has been running for less than a week, which says little';
}

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
    return now > chosen.pidsLimit ? { guard: `${name} has ${now} processes and threads now, more than the ${chosen.pidsLimit} that the policy allows.`, ...asking(context, 'pidsLimit', `${leastPids(now)}`, `${now} processes and threads were seen`) }
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
function memoryEvidence(context: FixContext<null>): { readonly bytes: number; readonly says: string } {
  const seen = valueOf(context.container.evidence?.memory ?? { status: 'absent' });
  if (seen === undefined) return { bytes: UNKNOWN_MEMORY, says: 'What it uses is not known: docker stats shows it after some days under load' };
  const bytes = roundUp(Math.max(LEAST_MEMORY, 2 * seen.anonymous, 1.5 * seen.current), MEMORY_STEP);
  const thin = thinness(context);
  return { bytes, says: `From what it uses now, ${bytes / MIB} MiB would do${thin.startsWith(';') ? `${thin} of its peak` : thin}` };
}

const MOST_OF_HOST = 0.8;
const mebibytes = (bytes: number): string => `${Math.floor(bytes / MIB)} MiB`;

/** Bytes that the other containers which run may use: by their limits, and by those that the policy gives to who has none. */
const promisedToOthers = ({ facts, policy, container }: FixContext<null>): number => (valueOf(facts.containers) ?? [])
  .filter((other) => other.id !== container.id && ['running', 'paused', 'restarting'].includes(valueOf(other.runtime)?.state ?? ''))
  .reduce((sum, other) => {
    const { memory } = parametersFor(other.name, policy);
    return sum + (valueOf(other.spec)?.resources.memory ?? (memory === undefined ? 0 : bytesOf(memory)));
  }, 0);

export function memoryLimit(context: FixContext<null>): Fixing {
  const { chosen, container, facts, spec: { resources: { memoryReservation, memorySwap } } } = context;
  if (chosen.memory === undefined) {
    const { bytes, says } = memoryEvidence(context);
    return { choice: `How much memory ${container.name} may use is for its owner to say. ${says}. Beyond a limit the kernel ends its processes.`, ...asking(context, 'memory', `${bytes / MIB}m`, says) };
  }
  const bytes = bytesOf(chosen.memory);
  const seen = valueOf(container.evidence?.memory ?? { status: 'absent' });
  if (seen !== undefined && seen.anonymous > bytes) {
    return { guard: `${container.name} uses ${Math.ceil(seen.anonymous / MIB)} MiB now, more than the ${Math.floor(bytes / MIB)} MiB that the policy allows: the kernel would end its processes.`, ...asking(context, 'memory', `${memoryEvidence(context).bytes / MIB}m`) };
  }
  // The engine refuses these, and less than 6 MiB.
  const above = Math.max(LEAST_OF_ENGINE, memoryReservation ?? 0, ...(memorySwap !== null && memorySwap > 0 && memorySwap < bytes ? [Infinity] : []));
  if (bytes < above) {
    return { guard: `The engine takes no limit of ${Math.floor(bytes / MIB)} MiB for ${container.name}: it has to be at least 6 MiB, its reservation, and no more than its memory and swap together.`, ...asking(context, 'memory', `${memoryEvidence(context).bytes / MIB}m`) };
  }
  const host = valueOf(facts.engine.info)?.memoryBytes ?? 0;
  const promised = bytes + promisedToOthers(context);
  const overcommit = asking(context, 'memoryOvercommit', 'true', 'It accepts that not all containers can have what they are promised');
  if (host > 0 && promised > host * MOST_OF_HOST && chosen.memoryOvercommit === undefined) {
    return {
      guard: `With ${mebibytes(bytes)} for ${container.name} the limits of all containers that run come to ${mebibytes(promised)}, more than four fifths of the ${mebibytes(host)} of this host: what is promised could not be kept.`,
      needs: `less for some of them, or ${overcommit.needs}`,
      ...(overcommit.asks && { asks: overcommit.asks }),
    };
  }
  return {
    // A limit of swap that somebody chose stays.
    edits: [set('resources.memory', bytes), ...(memorySwap === null || memorySwap === 0 ? [set('resources.memorySwap', 2 * bytes)] : [])], uses: [fromPolicy('memory', bytes)],
    note: `Memory of ${container.name}: ${mebibytes(bytes)}${host > 0 && promised > host * MOST_OF_HOST ? `, and ${mebibytes(promised)} for all that run, more than four fifths of what the host has` : ''}. The engine cannot lift the limit again while the container exists.`,
  };
}

export function cpuShares(context: FixContext<null>): Fixing {
  const { cpuShares: shares } = context.chosen;
  return shares === undefined
    ? { choice: 'Shares count against each other only: all containers get some, or none does.', needs: 'container: { cpuShares: 512 } for all, with more under containers: for some', asks: [{ parameter: ['container', 'cpuShares'], suggested: '512', evidence: 'It is for all containers that have none, which then count alike' }] }
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
    ...asking(context, 'restart', '"on-failure:5"'),
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
      ...asking(context, 'tmpfs', `[${directories.join(', ')}]`, `${says}${changes === undefined ? '' : thinness(context)}`),
    };
  }
  const mounts = chosen.tmpfs.map(tmpfsMount).filter(({ target }) => !mounted.includes(target));
  const uncovered = written.filter((path) => !isBelow(path, mounts.map(({ target }) => target)));
  if (uncovered.length > 0) return { guard: `${container.name} writes to ${listNames(uncovered, 8)}, which would be read-only.`, needs: 'a volume for it, or another entry in container.tmpfs', asks: asking(context, 'tmpfs', `[${[...chosen.tmpfs, ...uncovered].join(', ')}]`).asks ?? [] };
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
    return { choice: `Which command shows that ${container.name} works, only its owner knows. It has to be in the image, and to succeed.`, ...askingOwner(context, 'healthcheck', '{ test: COMMAND, interval: 30s, timeout: 5s, retries: 3, startPeriod: 60s }') };
  }
  const check: Healthcheck = {
    test: typeof chosen.test === 'string' ? ['CMD-SHELL', chosen.test] : chosen.test[0] === 'CMD' || chosen.test[0] === 'CMD-SHELL' ? chosen.test : ['CMD', ...chosen.test],
    interval: nanosecondsOf(chosen.interval ?? '30s'), timeout: nanosecondsOf(chosen.timeout ?? '5s'), startPeriod: nanosecondsOf(chosen.startPeriod ?? '60s'), startInterval: 0, retries: chosen.retries ?? 3,
  };
  return { edits: [set('healthcheck', check as unknown as Json)], uses: [fromPolicy('healthcheck', check as unknown as Json)], risk: 'safe' };
}

export function ulimits(context: FixContext<null>): Fixing {
  const { chosen, spec, container } = context;
  if (chosen.ulimits === undefined) return { choice: `Somebody chose the ulimits of ${container.name}: take them away, or name those that it needs.`, ...asking(context, 'ulimits', '{}') };
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
  if (chosen === undefined) return { choice: 'How much of its log is worth keeping is for its owner to say; what is older is gone.', ...asking(context, 'log', '{ maxSize: 50m, maxFile: 5 }') };
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
    return { choice: `Somebody added capabilities to ${container.name} (${listNames(security.capAdd)}): name those that it needs.`, ...asking(context, 'capabilities', `[${security.capAdd.filter((name) => name !== 'ALL').join(', ')}]`) };
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
    return { choice: `Somebody switched the option off for ${container.name}.`, ...asking(context, 'noNewPrivileges', 'true') };
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
    ? { choice: 'What the profile forbids and the container does, only a trial shows.', ...asking(context, 'confined', 'true') }
    : { edits: [set(path, null)], uses: [fromPolicy('confined', true)] };
};

/** Takes away label=disable: what confines instead is the daemon's own context. */
export function labelled(context: FixContext<null>): Fixing {
  const { spec: { security: { privileged, labels } }, chosen, container, facts } = context;
  if (privileged || !labels.includes('disable')) return 'manual';
  const info = valueOf(facts.engine.info);
  if (info !== undefined && !hasSecurityOption(info, 'selinux')) {
    return { guard: `The daemon does not use SELinux: without label=disable ${container.name} would have no context either.`, needs: '"selinux-enabled": true in force in the daemon, then plan again' };
  }
  return chosen.confined === undefined ? { choice: 'Which files of the host it may then no longer reach, only a trial shows: mounts need :z or :Z.', ...asking(context, 'confined', 'true') }
    : { edits: [{ op: 'remove', path: 'security.labels', value: 'disable' }], uses: [fromPolicy('confined', true)] };
}

/** A network has to be there first. Where nobody sees the engine's, it is for whoever runs the text. */
const missing = (network: string, context: FixContext<null>): Fixing | null => network === projectNetwork(context) || valueOf(context.facts.networks)?.some(({ name }) => name === network) !== false ? null
  : { guard: `There is no network ${network}.`, needs: `docker network create ${network}`, asks: askingFor(context, [networkQuestion(context)]).asks ?? [] };

/** The network that Compose makes for the services of a project; null: of no project. */
const projectNetwork = ({ container: { owner } }: FixContext<null>): string | null => (owner.kind === 'compose' ? `${owner.project}_default` : null);

function networkQuestion(context: FixContext<null>): Parameters<typeof askingFor>[1][number] {
  const own = projectNetwork(context);
  const there = (valueOf(context.facts.networks) ?? []).map(({ name }) => name).filter((name) => !['bridge', 'host', 'none', 'docker_gwbridge', 'ingress'].includes(name));
  const evidence = own !== null ? 'It is the network of its project' : there.length === 0 ? 'This engine has no network but its own: docker network create NAME makes one' : `There is ${listNames(there, 8)}`;
  return { key: 'network', suggested: own ?? (there.length === 1 ? there[0] ?? null : null), example: 'NAME', evidence };
}

export const privateNamespace = (kind: 'network' | 'pid' | 'ipc' | 'uts' | 'userns') => (context: FixContext<null>): Fixing => {
  const { spec, chosen, container } = context;
  // One that joins another container's namespace is changed there.
  if (spec.namespaces[kind] !== 'host') return 'manual';
  const question = { key: 'privateNamespaces', suggested: `[${[...chosen.privateNamespaces ?? [], kind].join(', ')}]`, evidence: '' };
  if (kind === 'network') return offHostNetwork(context, question);
  return chosen.privateNamespaces?.includes(kind) === true ? { edits: [set(`namespaces.${kind}`, '')], uses: [fromPolicy('privateNamespaces', [kind])] }
    : { choice: `Whether ${container.name} needs the ${kind} namespace of the host, only its owner knows.`, ...askingFor(context, [question]) };
};

/** What it serves has to be published, since it is no longer the host that listens. */
function offHostNetwork(context: FixContext<null>, question: Parameters<typeof askingFor>[1][number]): Fixing {
  const { spec, chosen, container } = context;
  const open = [
    ...(chosen.privateNamespaces?.includes('network') === true ? [] : [question]),
    ...(chosen.network === undefined ? [networkQuestion(context)] : []),
    ...(chosen.publish === undefined ? [servedPorts(context)] : []),
  ];
  const { network = '', publish = [] } = chosen;
  if (open.length > 0) {
    return { choice: `Whether ${container.name} needs the network of the host, and which of its ports others use, only its owner knows; what listens on the host's loopback it reaches no more.`, ...askingFor(context, open) };
  }
  const ports = publish.flatMap((text) => [...parsePublish(text)]).filter((port) => !spec.network.ports.some((other) => isDeepStrictEqual(other, port)));
  const taken = ports.flatMap((port) => takenBy(context, port));
  return missing(network, context) ?? (taken.length > 0 ? { guard: `Another container publishes that port already: ${listNames([...new Set(taken)])}.`, ...askingFor(context, [servedPorts(context)]) } : {
    edits: [set('namespaces.network', network), ...ports.map((port): SpecEdit => ({ op: 'add', path: 'network.ports', value: { ...port } }))],
    uses: [fromPolicy('privateNamespaces', ['network']), fromPolicy('network', network), fromPolicy('publish', [...publish])],
    note: ports.length === 0 ? `${container.name} publishes no port: what it listens on can be reached in its network only.` : `Of ${container.name} can be reached: ${listNames([...publish])}.`,
  });
}

/** The ports that its processes listen on, else those that its image exposes. */
function servedPorts({ container, spec }: FixContext<null>): Parameters<typeof askingFor>[1][number] {
  const listening = valueOf(container.listening ?? { status: 'absent' });
  const exposed = spec.network.exposed.map((port) => port.replace(/\/tcp$/u, ''));
  if (listening === undefined) {
    return {
      key: 'publish', suggested: exposed.length === 0 ? null : publishText(exposed), example: '["127.0.0.1:8080:80"]',
      evidence: exposed.length === 0 ? 'What it listens on was not seen, and its image names no port; [] for none' : 'It is what its image exposes; what it listens on was not seen',
    };
  }
  const local = listening.filter(({ loopback }) => loopback).map(({ port, protocol }) => `${port}/${protocol}`);
  const reachable = listening.filter(({ loopback }) => !loopback).map(({ port, protocol }) => `${port}${protocol === 'tcp' ? '' : `/${protocol}`}`);
  return {
    key: 'publish', suggested: publishText([...new Set(reachable)]),
    evidence: `${reachable.length === 0 ? 'Its processes listen on no address that others reach' : 'It is what its processes listen on now'}${local.length === 0 ? '' : `; on the loopback address they listen on ${listNames([...new Set(local)])}, which cannot be published`}`,
  };
}

const publishText = (ports: readonly string[]): string => JSON.stringify(ports.map((port) => `${port.split('/')[0] ?? ''}:${port}`)).replaceAll(',', ', ');

/** Names of other containers that have a port of the host, as they are configured or as they run. */
function takenBy({ facts, container }: FixContext<null>, { ip, hostPort, protocol }: Port): readonly string[] {
  const everywhere = (address: string): boolean => address === '' || isWildcard(address);
  const meets = (other: { readonly ip: string; readonly hostPort: string | number; readonly protocol: string }): boolean =>
    String(other.hostPort) === hostPort && hostPort !== '' && other.protocol === protocol && (everywhere(ip) || everywhere(other.ip) || ip === other.ip);
  return (valueOf(facts.containers) ?? []).filter((other) => other.id !== container.id && !isKept(other)
    && [...valueOf(other.spec)?.network.ports ?? [], ...valueOf(other.runtime)?.ports ?? []].some(meets)).map(({ name }) => name);
}

type Port = ContainerSpec['network']['ports'][number];

const LAST_PRIVILEGED = 1023;

/** Ports of the host below 1024 become another one, or none. */
export function hostPorts(context: FixContext<null>): Fixing {
  const { spec: { network: { ports } }, chosen: { hostPorts: chosen = {} }, container } = context;
  const isLow = ({ hostPort }: Port): boolean => Number(hostPort) > 0 && Number(hostPort) <= LAST_PRIVILEGED;
  const low = ports.filter(isLow);
  if (low.length === 0 || ports.some(({ hostPort }) => hostPort.includes('-') && Number.parseInt(hostPort, 10) <= LAST_PRIVILEGED)) return 'manual';
  const question = (): Wanted => {
    const used = new Set(ports.map(({ hostPort }) => Number(hostPort)));
    const suggestions = Object.fromEntries([...new Set(low.map(({ hostPort }) => hostPort))].map((hostPort) => {
      const free = [8000, 10_000, 20_000, 30_000].map((offset) => offset + Number(hostPort))
        .find((port) => !used.has(port) && low.filter((one) => one.hostPort === hostPort).every((one) => takenBy(context, { ...one, hostPort: String(port) }).length === 0));
      if (free !== undefined) used.add(free);
      return [hostPort, chosen[hostPort] ?? free ?? 'none'];
    }));
    return asking(context, 'hostPorts', `{ ${Object.entries(suggestions).map(([port, by]) => `${port}: ${by}`).join(', ')} }`,
      'No container publishes these; what else listens on this host was not looked at. "none" takes the port away');
  };
  if (!low.every(({ hostPort }) => Object.hasOwn(chosen, hostPort))) return { choice: `The clients of ${container.name} use its port: they would have to use another. Where they cannot, waive the finding.`, ...question() };
  const moved = low.map((port): { port: Port; by: Port | null } => ({ port, by: chosen[port.hostPort] === 'none' ? null : { ...port, hostPort: String(chosen[port.hostPort]) } }));
  const kept = ports.filter((port) => !isLow(port));
  const clash = moved.find(({ port, by }) => by !== null
    && (takenBy(context, by).length > 0 || [...kept, ...moved.filter((other) => other.port.hostPort !== port.hostPort).flatMap((other) => other.by ?? [])].some((other) => other.hostPort === by.hostPort && other.protocol === by.protocol)));
  if (clash !== undefined) return { guard: `The port ${clash.by?.hostPort ?? ''} of the host is published already.`, ...question() };
  return {
    edits: moved.map(({ port, by }): SpecEdit => (by === null ? { op: 'remove', path: 'network.ports', value: { ...port } } : { op: 'replace', path: 'network.ports', value: { ...port }, by: { ...by } })),
    uses: [fromPolicy('hostPorts', { ...chosen })],
    note: `${container.name}: ${listNames(moved.map(({ port, by }) => `port ${port.hostPort} ${by === null ? 'is published no more' : `becomes ${by.hostPort}`}`))}.`,
  };
}

const BY_ID = /^(?:sha256:)?[0-9a-f]{12,64}$/u;
const repositoryOf = (reference: string): string => normalReference(reference.replace(/@.*$/su, '')).replace(/:[^/:]*$/u, '');

/** The digest under which a registry knows the image that runs: the same program, whatever becomes of its tag. */
export function pinImage(context: FixContext<null>): Fixing {
  const { spec: { image: { reference, id } }, chosen, container, facts } = context;
  if (chosen.pinImage === undefined) {
    return { choice: `A new image is a new version of the program: ${container.name} can be pinned to the one that it runs, or be created anew from the newer one, which is for a person.`, ...asking(context, 'pinImage', 'true', 'It keeps the program as it is, older flaws included') };
  }
  const image = valueOf(facts.images)?.find((candidate) => candidate.id === id);
  const digests = image?.digests ?? [];
  const byId = BY_ID.test(reference);
  const own = digests.filter((digest) => byId || repositoryOf(digest) === repositoryOf(reference));
  const [digest] = own;
  if (digest === undefined || (byId && own.length > 1)) {
    return {
      guard: image === undefined ? `The image of ${container.name} is not known here.` : digests.length === 0 ? `The image of ${container.name} has no digest: it was built or loaded here, and no registry gave it one.`
        : `Which of its digests the image of ${container.name} is meant by is not clear: ${listNames(digests)}.`,
      needs: 'docker push it to a registry or pull it from there, which gives it a digest; or waive the finding',
    };
  }
  return { edits: [set('image.reference', digest)], uses: [fromPolicy('pinImage', true)], note: `${container.name} stays with the image that it runs, ${digest}, until somebody names another.` };
}

/** Of the mounts that a finding names, those whose removal the owner asked for; all of them have to be. */
export function withoutMounts(context: FixContext<{ readonly targets: readonly string[] }>): Fixing {
  const { detail: { targets }, chosen, spec } = context;
  const own = spec.mounts.filter(({ target }) => targets.includes(target));
  if (own.length < targets.length) return 'manual';
  if (!targets.every((target) => chosen.withoutMounts?.includes(target) === true)) {
    return { choice: 'What the container does with these files of the host, only its owner knows. A socket of the engine is as good as root, read-only or not: a filtering proxy, or none at all.', ...asking(context, 'withoutMounts', `[${[...new Set([...chosen.withoutMounts ?? [], ...targets])].join(', ')}]`) };
  }
  return { edits: own.map((mount): SpecEdit => ({ op: 'remove', path: 'mounts', value: mount as unknown as Json })), uses: [fromPolicy('withoutMounts', [...targets])] };
}

const AS_SLAVE: Readonly<Record<string, string>> = { shared: 'slave', rshared: 'rslave' };

function asSlave(mount: MountSpec): MountSpec {
  if (mount.via === 'binds') return { ...mount, options: mount.options.split(',').map((option) => AS_SLAVE[option] ?? option).join(',') };
  const options = object(at(mount.details, 'BindOptions'));
  return { ...mount, details: { ...object(mount.details), BindOptions: { ...options, Propagation: AS_SLAVE[text(options['Propagation'])] ?? 'rslave' } } };
}

/** Mounts that were asked for as shared are still seen by the container as slaves: what it mounts stays inside. */
export function slavePropagation({ detail: { targets }, spec }: FixContext<{ readonly targets: readonly string[] }>): Fixing {
  const own = spec.mounts.filter(({ kind, target }) => kind === 'bind' && targets.includes(target));
  if (own.length < targets.length) return 'manual';
  return { edits: own.map((mount): SpecEdit => ({ op: 'replace', path: 'mounts', value: mount as unknown as Json, by: asSlave(mount) as unknown as Json })) };
}

export function withoutDevices(context: FixContext<DeviceDetail>): Fixing {
  const { spec: { security, resources, mounts }, chosen, container, detail: { targets } } = context;
  const mounted = mounts.filter(({ target }) => targets.includes(target));
  if (security.privileged || resources.deviceRequests.length > 0 || resources.deviceCgroupRules.length > 0 || mounted.length < targets.length) return 'manual';
  const hosts = resources.devices.map(({ host }) => host);
  const all = (named: readonly string[] | undefined, needed: readonly string[]): boolean => needed.every((one) => named?.includes(one) === true);
  const open = [
    ...(all(chosen.withoutDevices, hosts) ? [] : [{ key: 'withoutDevices', suggested: `[${[...new Set([...chosen.withoutDevices ?? [], ...hosts])].join(', ')}]` }]),
    ...(all(chosen.withoutMounts, targets) ? [] : [{ key: 'withoutMounts', suggested: `[${[...new Set([...chosen.withoutMounts ?? [], ...targets])].join(', ')}]` }]),
  ];
  if (open.length > 0) return { choice: `Which devices ${container.name} needs, only its owner knows.`, ...askingFor(context, open) };
  return {
    edits: [
      ...resources.devices.map((device): SpecEdit => ({ op: 'remove', path: 'resources.devices', value: { ...device } })),
      ...mounted.map((mount): SpecEdit => ({ op: 'remove', path: 'mounts', value: mount as unknown as Json })),
    ],
    uses: [...(hosts.length === 0 ? [] : [fromPolicy('withoutDevices', hosts)]), ...(targets.length === 0 ? [] : [fromPolicy('withoutMounts', [...targets])])],
  };
}

export function defaultCgroup(context: FixContext<null>): Fixing {
  return context.chosen.defaultCgroup === undefined
    ? { choice: 'Somebody chose this cgroup: approve of it (parameter cgroupParent), or take the container out of it.', ...asking(context, 'defaultCgroup', 'true') }
    : { edits: [set('resources.cgroupParent', null)], uses: [fromPolicy('defaultCgroup', true)] };
}

export function publishAddress(context: FixContext<null>): Fixing {
  const { spec: { network: { ports, publishAll } }, chosen: { publishAddress: address }, container } = context;
  if (publishAll) return 'manual';
  if (address === undefined) return { choice: `Where the clients of ${container.name} are, only its owner knows: 127.0.0.1 lets in this host only.`, ...asking(context, 'publishAddress', '127.0.0.1') };
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
  const { spec, chosen: { network }, container } = context;
  if (!['', 'default', 'bridge'].includes(spec.namespaces.network)) return 'manual';
  if (network === undefined) return { choice: `Which containers ${container.name} has to reach, only its owner knows. On a network of its own it finds others there by name, and those on the default bridge no more.`, ...askingFor(context, [networkQuestion(context)]) };
  // Links to others on the default bridge end there.
  if (spec.network.links.length > 0) return 'manual';
  return missing(network, context) ?? { edits: [set('namespaces.network', network)], uses: [fromPolicy('network', network)] };
}

/** Of a container that was told to be root although its image is not. */
export function user(context: FixContext<null>): Fixing {
  const { chosen, container, spec, facts } = context;
  const own = userTakenAway(container, facts.images);
  if (chosen.user === undefined) {
    const choice = `${container.name} was told to run as ${spec.user ?? 'root'}, and files that it wrote as such stay that user's.`;
    if (own === null) return { choice, ...askingOwner(context, 'user', 'UID:GID') };
    const { certain, possible, unknown, partly } = obstaclesAs(own, container, spec, facts);
    const against = [...certain, ...possible];
    const unseen = [...unknown, ...partly].slice(0, MOST_OBSTACLES).map((sentence) => ` ${sentence}.`).join('');
    if (against.length > 0) {
      const says = `As ${own}, the user of its image, it could not ${cannot(against)}.`;
      return { choice: `${choice} ${says}`, ...askingOwner(context, 'user', 'UID:GID', says) };
    }
    return unknown.length === 0 ? { choice, ...asking(context, 'user', JSON.stringify(own), `It is the user of its image, which may use the files and ports that were seen.${unseen}`) }
      : { choice: `${choice} Whether it could be ${own}, the user of its image, is not known.${unseen}`, ...askingOwner(context, 'user', 'UID:GID', `Its image has the user ${own}.${unseen}`) };
  }
  const { certain, possible } = obstaclesAs(chosen.user, container, spec, facts);
  if (certain.length > 0) {
    return {
      guard: `As ${chosen.user} ${container.name} could not ${cannot(certain)}.`,
      needs: `give it what it lacks (chown of the files, a port that it may listen on), or name another user: ${askingOwner(context, 'user', 'UID:GID').needs}`,
      asks: askingOwner(context, 'user', 'UID:GID', `${chosen.user} would not do`).asks ?? [],
    };
  }
  return {
    edits: [set('user', chosen.user)], uses: [fromPolicy('user', chosen.user)],
    ...(possible.length > 0 && { note: `As ${chosen.user} ${container.name} cannot ${cannot(possible)}.` }),
  };
}

const MOST_OBSTACLES = 4;
const cannot = (what: readonly string[]): string => [...what.slice(0, MOST_OBSTACLES), ...(what.length > MOST_OBSTACLES ? [`do ${what.length - MOST_OBSTACLES} more things`] : [])].join(', nor ');
