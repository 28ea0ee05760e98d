import { join, normalize } from 'node:path/posix';
import { capability, parseSecurityOptions } from '../container/from-inspect.ts';
import type {
  ContainerNamespaces, ContainerNetwork, ContainerResources, ContainerSecurity, ContainerSpec, Json, JsonObject, MountSpec, NetworkAttachment,
} from '../model.ts';
import { isObject, placeOf, valueAt } from './document.ts';
import type { Place } from './document.ts';
import { engineName, networksOf, serviceOf } from './project.ts';
import type { ComposeProject, Service } from './project.ts';
import {
  bytesOf, commandOf, dependsOnVariable, deviceOf, healthcheckOf, listOf, nanosecondsOf, portOf, recordOf, textRecordOf, textsOf, volumeOf,
} from './values.ts';

/** A service of compose files, as what it asks of the engine. */
export interface ComposeService {
  readonly name: string;
  readonly spec: ContainerSpec;
  /** Keys of the service that the specification has no place for, e.g. "secrets". */
  readonly unmodelled: readonly string[];
  /** Keys whose value is not known before Compose has put variables in, or which may come from a file that is not known. */
  readonly unresolved: readonly { readonly key: string; readonly why: string }[];
  /** Where each key of the service stands; the last place is the one that counts. */
  readonly places: Readonly<Record<string, readonly (Place & { readonly path: string })[]>>;
}

/** Of Compose, or of building an image: not a choice for the container. */
const OF_COMPOSE = ['build', 'depends_on', 'deploy', 'develop', 'extends', 'platform', 'profiles', 'pull_policy', 'pull_refresh_after', 'scale', 'attach'];
const MODELLED = [
  'image', 'entrypoint', 'command', 'working_dir', 'user', 'environment', 'labels', 'annotations', 'hostname', 'domainname', 'tty', 'stdin_open', 'init',
  'stop_signal', 'stop_grace_period', 'restart', 'runtime', 'isolation', 'healthcheck', 'logging', 'mem_limit', 'memswap_limit', 'mem_reservation',
  'mem_swappiness', 'cpu_shares', 'cpus', 'cpu_period', 'cpu_quota', 'cpu_rt_period', 'cpu_rt_runtime', 'cpuset', 'pids_limit', 'shm_size', 'oom_kill_disable',
  'oom_score_adj', 'ulimits', 'cgroup_parent', 'devices', 'device_cgroup_rules', 'privileged', 'cap_add', 'cap_drop', 'read_only', 'security_opt',
  'group_add', 'network_mode', 'pid', 'ipc', 'uts', 'userns_mode', 'cgroup', 'networks', 'ports', 'expose', 'dns', 'dns_opt', 'dns_search', 'extra_hosts',
  'links', 'external_links', 'mac_address', 'sysctls', 'volumes', 'tmpfs', 'volumes_from', 'storage_opt', 'container_name',
];

/**
 * A service of a project; null when its files do not have it. What variables stand for is not known: such values stay as they are
 * written where the specification has text, are "not chosen" where it has numbers, and are named in `unresolved`.
 */
export function composeService(project: ComposeProject, name: string): ComposeService | null {
  const service = serviceOf(project, name);
  if (service === null) return null;
  const { data, layers, missing } = service;
  const keys = Object.keys(data);
  const own = layers.filter((layer) => layer.own);
  return {
    name,
    spec: specOf(project, service),
    unmodelled: keys.filter((key) => !MODELLED.includes(key) && !OF_COMPOSE.includes(key) && !key.startsWith('x-')),
    unresolved: [
      ...keys.filter((key) => dependsOnVariable(data[key])).map((key) => ({ key, why: 'it depends on a variable' })),
      ...missing.map((what) => ({ key: 'extends', why: `${what} is not known` })),
    ],
    places: Object.fromEntries(keys.map((key) => [key, own.flatMap(({ document }) => {
      const place = placeOf(document, ['services', name, key]);
      return place === null ? [] : [{ path: document.path, ...place }];
    })])),
  };
}

const text = (value: Json | undefined): string | null => (typeof value === 'string' || typeof value === 'number' ? textsOf(value)[0] ?? null : null);
const flag = (value: Json | undefined): boolean => value === true || value === 'true';
const number = (value: Json | undefined): number | null => {
  const parsed = typeof value === 'string' && /^-?\d+(?:\.\d+)?$/.test(value) ? Number(value) : value;
  return typeof parsed === 'number' ? parsed : null;
};
const positive = (value: number | null): number | null => (value !== null && value > 0 ? value : null);

function specOf(project: ComposeProject, { name, data }: Service): ContainerSpec {
  const grace = nanosecondsOf(data['stop_grace_period']);
  const init = data['init'];
  const logging = data['logging'];
  const environment = recordOf(data['environment']);
  return {
    name: text(data['container_name']) ?? name,
    image: { reference: text(data['image']) ?? '', id: null },
    entrypoint: commandOf(data['entrypoint']),
    command: commandOf(data['command']),
    workingDir: text(data['working_dir']),
    user: text(data['user']),
    env: Object.entries(environment).map(([variable, value]) => (value === null ? variable : `${variable}=${value}`)),
    labels: textRecordOf(data['labels']),
    annotations: textRecordOf(data['annotations']),
    hostname: text(data['hostname']),
    domainname: text(data['domainname']),
    tty: flag(data['tty']),
    openStdin: flag(data['stdin_open']),
    stdinOnce: false,
    init: typeof init === 'boolean' ? init : null,
    stopSignal: text(data['stop_signal']),
    stopTimeoutSeconds: grace === null ? null : Math.ceil(grace / 1e9),
    restart: restartOf(data),
    autoRemove: false,
    runtime: text(data['runtime']),
    isolation: text(data['isolation']),
    healthcheck: healthcheckOf(data['healthcheck']),
    log: isObject(logging) ? { driver: text(logging['driver']) ?? '', options: textRecordOf(logging['options']) } : null,
    resources: resourcesOf(data),
    security: securityOf(data),
    namespaces: namespacesOf(project, data),
    network: networkOf(project, data),
    mounts: mountsOf(project, data),
    volumesFrom: textsOf(data['volumes_from']),
    storageOptions: textRecordOf(data['storage_opt']),
  };
}

const RESTARTS = ['no', 'always', 'unless-stopped', 'on-failure'] as const;
/** deploy.restart_policy.condition, which wins over `restart`. */
const CONDITIONS: Readonly<Record<string, ContainerSpec['restart']['name']>> = { none: 'no', 'on-failure': 'on-failure', any: 'unless-stopped' };

function restartOf(data: JsonObject): ContainerSpec['restart'] {
  const deployed = valueAt(data, ['deploy', 'restart_policy']);
  if (isObject(deployed)) {
    const condition = text(deployed['condition']) ?? 'any';
    return { name: CONDITIONS[condition] ?? 'no', maximumRetryCount: number(deployed['max_attempts']) ?? 0 };
  }
  const [policy = '', count = '0'] = (data['restart'] === false ? 'no' : text(data['restart']) ?? 'no').split(':');
  return { name: RESTARTS.find((known) => known === policy) ?? 'no', maximumRetryCount: Number(count) || 0 };
}

function resourcesOf(data: JsonObject): ContainerResources {
  const limits = valueAt(data, ['deploy', 'resources', 'limits']);
  const limit = (name: string): Json | undefined => (isObject(limits) ? limits[name] : undefined);
  const cpus = number(limit('cpus') ?? data['cpus']);
  const gpus = valueAt(data, ['deploy', 'resources', 'reservations', 'devices']);
  const blkio = isObject(data['blkio_config']) ? data['blkio_config'] : {};
  return {
    memory: positive(bytesOf(limit('memory') ?? data['mem_limit'])),
    memorySwap: bytesOf(data['memswap_limit']),
    memoryReservation: positive(bytesOf(valueAt(data, ['deploy', 'resources', 'reservations', 'memory']) ?? data['mem_reservation'])),
    memorySwappiness: number(data['mem_swappiness']),
    cpuShares: positive(number(data['cpu_shares'])),
    nanoCpus: cpus === null ? null : positive(Math.round(cpus * 1e9)),
    cpuPeriod: positive(number(data['cpu_period'])),
    cpuQuota: number(data['cpu_quota']),
    cpuRealtimePeriod: positive(number(data['cpu_rt_period'])),
    cpuRealtimeRuntime: positive(number(data['cpu_rt_runtime'])),
    cpusetCpus: text(data['cpuset']),
    cpusetMems: null,
    pidsLimit: positive(number(limit('pids') ?? data['pids_limit'])),
    blkioWeight: positive(number(blkio['weight'])),
    blkioDevices: Object.fromEntries(Object.entries(blkio).filter(([key]) => key !== 'weight')),
    shmSize: positive(bytesOf(data['shm_size'])),
    oomKillDisable: flag(data['oom_kill_disable']),
    oomScoreAdj: number(data['oom_score_adj']),
    ulimits: ulimitsOf(data['ulimits']),
    cgroupParent: text(data['cgroup_parent']),
    devices: listOf(data['devices']).flatMap((item) => deviceOf(item) ?? []),
    deviceCgroupRules: textsOf(data['device_cgroup_rules']),
    deviceRequests: [...listOf(gpus), ...listOf(data['gpus'])],
  };
}

/** A limit is a number, or soft and hard apart. */
function ulimitsOf(value: Json | undefined): ContainerResources['ulimits'] {
  return Object.entries(isObject(value) ? value : {}).flatMap(([name, limit]) => {
    const [soft, hard] = isObject(limit) ? [number(limit['soft']), number(limit['hard'])] : [number(limit), number(limit)];
    return soft === null || hard === null ? [] : [{ name, soft, hard }];
  });
}

function securityOf(data: JsonObject): ContainerSecurity {
  const { other, ...options } = parseSecurityOptions(textsOf(data['security_opt']));
  return {
    privileged: flag(data['privileged']),
    capAdd: textsOf(data['cap_add']).map(capability),
    capDrop: textsOf(data['cap_drop']).map(capability),
    readonlyRootfs: flag(data['read_only']),
    ...options,
    systemPathsUnconfined: other.some((option) => /^systempaths[=:]unconfined$/.test(option)),
    groupAdd: textsOf(data['group_add']),
    other: other.filter((option) => !/^systempaths[=:]unconfined$/.test(option)),
  };
}

/** By the engine's names. A service that names none is in the project's own default network. */
const joinedNetworks = (project: ComposeProject, data: JsonObject): readonly (readonly [name: string, options: Json])[] => {
  if (text(data['network_mode']) !== null) return [];
  const named = Object.entries(networksOf(data['networks']));
  return (named.length === 0 ? [['default', null] as const] : named).map(([key, options]) => [engineName(project, 'networks', key), options]);
};

const namespacesOf = (project: ComposeProject, data: JsonObject): ContainerNamespaces => ({
  network: text(data['network_mode']) ?? joinedNetworks(project, data)[0]?.[0] ?? '',
  pid: text(data['pid']) ?? '',
  ipc: text(data['ipc']) ?? '',
  uts: text(data['uts']) ?? '',
  userns: text(data['userns_mode']) ?? '',
  cgroup: text(data['cgroup']) ?? '',
});

function networkOf(project: ComposeProject, data: JsonObject): ContainerNetwork {
  const ports = listOf(data['ports']).flatMap((item) => {
    const entry = portOf(item);
    if (entry === null) return [];
    const targets = portRange(entry.target);
    const published = portRange(entry.published);
    return targets.map((containerPort, index) => ({
      ip: entry.ip, containerPort, protocol: entry.protocol,
      hostPort: published.length === targets.length ? String(published[index] ?? '') : entry.published,
    }));
  });
  return {
    attachments: Object.fromEntries(joinedNetworks(project, data).map(([network, options]) => [network, attachmentOf(options)])),
    ports,
    exposed: textsOf(data['expose']).map((port) => (port.includes('/') ? port : `${port}/tcp`)),
    publishAll: false,
    dns: textsOf(data['dns']),
    dnsOptions: textsOf(data['dns_opt']),
    dnsSearch: textsOf(data['dns_search']),
    extraHosts: isObject(data['extra_hosts'])
      ? Object.entries(data['extra_hosts']).flatMap(([host, addresses]) => textsOf(addresses).map((address) => `${host}:${address}`))
      : textsOf(data['extra_hosts']).map((entry) => entry.replace('=', ':')),
    links: [...textsOf(data['links']), ...textsOf(data['external_links'])],
    macAddress: text(data['mac_address']),
    sysctls: textRecordOf(data['sysctls']),
  };
}

/** Longer ranges are not written out: nobody publishes them one by one. */
const MAX_RANGE = 1024;

function portRange(written: string): readonly number[] {
  const [first = NaN, last = first] = written === '' ? [] : written.split('-').map(Number);
  return Number.isInteger(first) && last >= first ? Array.from({ length: Math.min(MAX_RANGE, last - first + 1) }, (_, index) => first + index) : [];
}

function attachmentOf(options: Json): NetworkAttachment {
  const given = isObject(options) ? options : {};
  return {
    aliases: textsOf(given['aliases']), links: [], ipv4: text(given['ipv4_address']), ipv6: text(given['ipv6_address']),
    linkLocalIps: textsOf(given['link_local_ips']), macAddress: text(given['mac_address']), driverOptions: textRecordOf(given['driver_opts']),
    gatewayPriority: number(given['gw_priority']),
  };
}

function mountsOf({ directory }: ComposeProject, data: JsonObject): readonly MountSpec[] {
  const volumes = listOf(data['volumes']).flatMap((item): MountSpec[] => {
    const entry = volumeOf(item);
    if (entry === null) return [];
    const source = entry.kind === 'bind' && /^\.{1,2}(?:\/|$)/.test(entry.source) ? normalize(join(directory, entry.source)) : entry.source;
    const details: JsonObject = isObject(item) && entry.propagation !== '' ? { BindOptions: { Propagation: entry.propagation } } : {};
    return [{
      kind: entry.kind, via: isObject(item) ? 'mounts' : 'binds', source: source === '/' ? source : source.replace(/\/$/, ''), target: entry.target,
      readOnly: entry.readOnly, options: entry.options.join(','), details: isObject(item) ? details : null, volume: null,
    }];
  });
  const tmpfs = textsOf(data['tmpfs']).map((item): MountSpec => {
    const [target = '', options = ''] = item.split(/:(.*)/s);
    return { kind: 'tmpfs', via: 'tmpfs', source: '', target, readOnly: options.split(',').includes('ro'), options, details: null, volume: null };
  });
  return [...volumes, ...tmpfs];
}
