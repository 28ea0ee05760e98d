/**
 * From what inspect shows to what is sent, and to what was chosen.
 *
 * `exactSpec` is for a recreate: all that is in force is sent again, defaults of the daemon included, so that nothing changes but what is
 * meant to. It leaves out only what the engine makes anew of the rest (a `label=disable` of a privileged container must go with the
 * privilege) and what the daemon applies at each start anyway (`default-ulimits`). What it cannot hold off is in `gains`.
 *
 * `chosenSpec` is for a person: a `docker run` line without what its image and the daemon add by themselves. What nobody can tell from a
 * choice (an env entry that is equal to the image's) counts as not chosen there; `exactSpec` sends it.
 */
import { isDeepStrictEqual } from 'node:util';
import { daemonSetting } from '../daemon/settings.ts';
import { ulimitsOf } from '../daemon/ulimits.ts';
import { textRecord } from '../collect/json.ts';
import { normalReference } from '../image/reference.ts';
import type { ContainerSpec, Facts, Healthcheck, ImageConfig, ImageFacts, Json, NetworkAttachment } from '../model.ts';
import { valueOf } from '../model.ts';
import { parseSize } from '../quantities.ts';
import { below } from './differences.ts';
import { plainLink } from './from-inspect.ts';

/** What the daemon gives to a container that does not say otherwise; null: not known, so that nothing counts as its doing. */
export interface DaemonDefaults {
  /** The name that a container on the host's network has. */
  readonly hostname: string | null;
  readonly logDriver: string | null;
  readonly logOptions: Readonly<Record<string, string>> | null;
  readonly ulimits: readonly { readonly name: string; readonly soft: number; readonly hard: number }[] | null;
  /** Bytes. */
  readonly shmSize: number | null;
  readonly ipcMode: string | null;
  readonly cgroupnsMode: string | null;
  readonly runtime: string | null;
  readonly noNewPrivileges: boolean | null;
}

/** Of whom nothing is known. */
export const NO_DEFAULTS: DaemonDefaults = {
  hostname: null, logDriver: null, logOptions: null, ulimits: null, shmSize: null, ipcMode: null, cgroupnsMode: null, runtime: null, noNewPrivileges: null,
};

/** What the running daemon gives to new containers, as far as its flags and its file prove it. */
export function daemonDefaults(facts: Facts): DaemonDefaults {
  const now = (key: string): Json | undefined => {
    const setting = valueOf(daemonSetting(facts, key));
    return setting === undefined ? undefined : valueOf(setting.now);
  };
  const textNow = (key: string): string | null => {
    const value = now(key);
    return typeof value === 'string' && value !== '' ? value : null;
  };
  const info = valueOf(facts.engine.info);
  const [options, ulimits, noNewPrivileges, size, cgroups] = [now('log-opts'), now('default-ulimits'), now('no-new-privileges'), now('default-shm-size'), now('default-cgroupns-mode')];
  return {
    hostname: info?.name ?? null,
    logDriver: info?.loggingDriver ?? null,
    logOptions: options === undefined ? null : textRecord(options),
    ulimits: ulimits === undefined ? null : ulimitsOf(ulimits).map(({ name, soft, hard }) => ({ name, soft, hard })),
    shmSize: typeof size === 'string' ? parseSize(size) : null,
    ipcMode: textNow('default-ipc-mode'),
    cgroupnsMode: cgroups === undefined || info === undefined ? null : textNow('default-cgroupns-mode') ?? (info.cgroupVersion === '2' ? 'private' : 'host'),
    runtime: textNow('default-runtime'),
    noNewPrivileges: typeof noNewPrivileges === 'boolean' ? noNewPrivileges : null,
  };
}

/** What a specification is held against. `image`: the configuration of the image that the container was made of; undefined: not known. */
export interface Surroundings {
  readonly image: ImageConfig | undefined;
  readonly defaults: DaemonDefaults;
}

/** The surroundings of a container on its host. */
export function surroundingsOf(facts: Facts, spec: ContainerSpec): Surroundings {
  const image = valueOf(facts.images)?.find(({ id }) => id === spec.image.id);
  return { image: image?.config === undefined ? undefined : valueOf(image.config), defaults: daemonDefaults(facts) };
}

/**
 * What to send to get the container that inspect shows: see the top of this file. It takes the specification as inspect gave it, before
 * any edit, and needs the image: without it a container that took the image's entrypoint away cannot be told from one of an image without.
 */
export function exactSpec(spec: ContainerSpec, { image, defaults }: Surroundings): ContainerSpec {
  const { namespaces, resources, security } = spec;
  // The engine refuses a name for a container that shares another's network, or the host's UTS namespace.
  const nameless = namespaces.network.startsWith('container:') || namespaces.uts === 'host' || (namespaces.network === 'host' && spec.hostname === defaults.hostname);
  const unlabelled = security.privileged || namespaces.pid === 'host' || namespaces.ipc === 'host';
  return {
    ...spec,
    entrypoint: (spec.entrypoint ?? []).length === 0 && image !== undefined && image.entrypoint.length > 0 ? [''] : spec.entrypoint,
    hostname: nameless ? null : spec.hostname,
    resources: {
      ...resources,
      memorySwap: resources.memory !== null && resources.memorySwap === 2 * resources.memory ? null : resources.memorySwap,
      ulimits: resources.ulimits.filter((limit) => !(defaults.ulimits ?? []).some((other) => isDeepStrictEqual(limit, other))),
    },
    security: { ...security, labels: unlabelled && isDeepStrictEqual(security.labels, ['disable']) ? [] : security.labels },
  };
}

/** Something that a container gets when it is created again, although it does not have it and nobody asked. */
export interface Gain {
  /** As `differences` writes it; "NoNewPrivileges" is not shown by inspect. */
  readonly path: string;
  readonly value: string;
}

/**
 * What the daemon adds to a container that is created again, whatever is sent: it merges its log options into those of the same driver,
 * and its no-new-privileges (which inspect does not show: the container may have it already) into what does not say otherwise.
 */
export function gains(spec: ContainerSpec, { logDriver, logOptions, noNewPrivileges }: DaemonDefaults): readonly Gain[] {
  const merged = spec.log === null || spec.log.driver === logDriver ? Object.entries(logOptions ?? {}) : [];
  return [
    ...merged.filter(([name]) => !Object.hasOwn(spec.log?.options ?? {}, name)).map(([name, value]) => ({ path: below('HostConfig.LogConfig.Config', name), value })),
    ...(noNewPrivileges === true && spec.security.noNewPrivileges === null ? [{ path: 'NoNewPrivileges', value: 'true' }] : []),
  ];
}

/**
 * What the user chose, for a `docker run` line: the specification of `exactSpec` without what the image and the daemon add by
 * themselves. `nameOf`: containers by id, for references that a person can read.
 */
export function chosenSpec(exact: ContainerSpec, { image, defaults }: Surroundings, nameOf: ReadonlyMap<string, string> = new Map()): ContainerSpec {
  const { resources, namespaces, network } = exact;
  const named = (mode: string): string => mode.replace(/^container:(.*)$/s, (_, id: string) => `container:${nameOf.get(id) ?? id}`);
  const published = new Set(network.ports.map(({ containerPort, protocol }) => `${containerPort}/${protocol}`));
  const networkMode = ['', 'bridge'].includes(namespaces.network) ? 'default' : named(namespaces.network);
  return {
    ...exact,
    ...chosenCommand(exact, image),
    workingDir: unless(exact.workingDir, image?.workingDir),
    user: unless(exact.user, image?.user),
    env: exact.env.filter((entry) => image?.env.includes(entry) !== true),
    labels: without(exact.labels, image?.labels),
    stopSignal: unless(exact.stopSignal, image?.stopSignal ?? ''),
    isolation: unless(exact.isolation, 'default'),
    runtime: unless(exact.runtime, defaults.runtime),
    healthcheck: chosenHealthcheck(exact.healthcheck, image?.healthcheck ?? null),
    log: chosenLog(exact.log, defaults),
    resources: { ...resources, shmSize: resources.shmSize === defaults.shmSize ? null : resources.shmSize },
    namespaces: {
      ...namespaces, network: networkMode, pid: named(namespaces.pid),
      ipc: namespaces.ipc === defaults.ipcMode ? '' : named(namespaces.ipc),
      cgroup: namespaces.cgroup === defaults.cgroupnsMode ? '' : namespaces.cgroup,
    },
    network: {
      ...network,
      attachments: Object.fromEntries(Object.entries(network.attachments).flatMap(([name, attachment]) => chosenAttachment(name, attachment, exact))),
      exposed: network.exposed.filter((port) => image?.exposed.includes(port) !== true && !published.has(port)),
      links: network.links.map(plainLink),
    },
  };
}

const unless = (value: string | null, given: string | null | undefined): string | null => (value === given || value === '' ? null : value);

const without = (record: Readonly<Record<string, string>>, given: Readonly<Record<string, string>> | undefined): Readonly<Record<string, string>> =>
  Object.fromEntries(Object.entries(record).filter(([name, value]) => given === undefined || !Object.hasOwn(given, name) || given[name] !== value));

/** A container without an entrypoint of its own gets the image's, and then the image's command if it has none. */
function chosenCommand({ entrypoint, command }: ContainerSpec, image: ImageConfig | undefined): Pick<ContainerSpec, 'entrypoint' | 'command'> {
  if (image === undefined || !isDeepStrictEqual(entrypoint ?? [], image.entrypoint)) return { entrypoint, command };
  const inForce = command ?? [];
  if (isDeepStrictEqual(inForce, image.command)) return { entrypoint: null, command: null };
  return inForce.length === 0 ? { entrypoint, command } : { entrypoint: null, command };
}

/** Field by field: the engine takes from the image what the container leaves open. */
function chosenHealthcheck(health: Healthcheck | null, image: Healthcheck | null): Healthcheck | null {
  if (health === null || image === null) return health;
  const open = (field: 'interval' | 'timeout' | 'startPeriod' | 'startInterval' | 'retries'): number => (health[field] === image[field] ? 0 : health[field]);
  const rest = {
    test: isDeepStrictEqual(health.test, image.test) ? [] : health.test,
    interval: open('interval'), timeout: open('timeout'), startPeriod: open('startPeriod'), startInterval: open('startInterval'), retries: open('retries'),
  };
  return rest.test.length === 0 && Object.values(rest).every((value) => Array.isArray(value) || value === 0) ? null : rest;
}

function chosenLog(log: ContainerSpec['log'], { logDriver, logOptions }: DaemonDefaults): ContainerSpec['log'] {
  if (log === null || log.driver !== logDriver) return log;
  const options = without(log.options, logOptions ?? {});
  return Object.keys(options).length === 0 ? null : { driver: log.driver, options };
}

/** Nothing for the network that the mode names, or the default one, when nothing was chosen for it. */
function chosenAttachment(name: string, attachment: NetworkAttachment, { namespaces, network }: ContainerSpec): [string, NetworkAttachment][] {
  const primary = name === (namespaces.network === 'default' || namespaces.network === '' ? 'bridge' : namespaces.network);
  const chosen = { ...attachment, macAddress: primary && attachment.macAddress === network.macAddress ? null : attachment.macAddress };
  return primary && Object.values(chosen).every((value) => value === null || Object.keys(value as object).length === 0) ? [] : [[name, chosen]];
}

/**
 * How to name the container's image so that it is the same one: by its reference while that stands for it, else by its id. With an id
 * that is not known: by its reference.
 */
export function imageToCreateFrom({ image: { reference, id } }: ContainerSpec, images: readonly ImageFacts[]): string {
  if (id === null || id.startsWith(reference) || id.startsWith(`sha256:${reference}`)) return reference;
  const wanted = normalReference(reference);
  const image = images.find((candidate) => candidate.id === id);
  return [...image?.tags ?? [], ...image?.digests ?? []].some((name) => normalReference(name) === wanted) ? reference : id;
}
