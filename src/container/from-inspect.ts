import { at, flag, list, number, object, text, textOrNull, textRecord, texts } from '../collect/json.ts';
import type {
  AppliedSettings, ContainerFacts, ContainerNamespaces, ContainerNetwork, ContainerResources, ContainerRuntime, ContainerSecurity, ContainerSpec, Healthcheck,
  Json, JsonObject, MountSpec, NetworkAttachment, Observed,
} from '../model.ts';
import { present, unreadable } from '../model.ts';
import { ownerOf } from './owner.ts';

/**
 * GET /containers/ID/json as a specification, from engine 20.10 on and from Podman.
 *
 * It subtracts what inspect itself shows to be the engine's doing (a hostname or alias that is the short id, a MAC made of the IP address,
 * zeros that mean "not set"). What only the image or the daemon could tell (their env, labels, command, log options, shm size) stays in.
 */
export function parseInspect(raw: JsonObject, { apiVersion }: { readonly apiVersion: string }): ContainerFacts {
  const id = text(at(raw, 'Id'));
  const name = text(at(raw, 'Name')).replace(/^\//, '');
  const labels = textRecord(at(raw, 'Config', 'Labels'));
  const { mounts, unexplained } = parseMounts(raw);
  const lacking = Object.entries(REQUIRED).find(([path, isUsable]) => !isUsable(at(raw, ...path.split('.'))))?.[0];
  return {
    id,
    name,
    spec: lacking === undefined ? present(parseSpec(raw, { id, name, labels, mounts, apiVersion })) : unreadable(`what the engine tells of it has no usable ${lacking}`),
    unmodelled: [...unknownFields(raw), ...unexplained],
    runtime: parseRuntime(raw),
    owner: ownerOf(labels),
  };
}

type Shape = (value: Json | undefined) => boolean;
const isText: Shape = (value) => typeof value === 'string';
const isRecord: Shape = (value) => typeof value === 'object' && value !== null && !Array.isArray(value);
/** Go writes null where nothing was put in. */
const isListOrNull: Shape = (value) => value === null || Array.isArray(value);

/** What every engine writes, and what would look harmless if it were missing: no privileges, no mounts, no host namespaces. */
const REQUIRED: Readonly<Record<string, Shape>> = {
  Config: isRecord,
  HostConfig: isRecord,
  Mounts: isListOrNull,
  'HostConfig.Privileged': (value) => typeof value === 'boolean',
  'HostConfig.NetworkMode': isText,
  'HostConfig.PidMode': isText,
  'HostConfig.IpcMode': isText,
  'HostConfig.UTSMode': isText,
  'HostConfig.UsernsMode': isText,
  'HostConfig.Binds': isListOrNull,
  'HostConfig.CapAdd': isListOrNull,
  'HostConfig.CapDrop': isListOrNull,
  'HostConfig.Devices': isListOrNull,
  'HostConfig.SecurityOpt': isListOrNull,
  'HostConfig.Ulimits': isListOrNull,
  'HostConfig.PortBindings': (value) => value === null || (isRecord(value) && Object.values(object(value)).every(isListOrNull)),
  'HostConfig.RestartPolicy': isRecord,
  'NetworkSettings.Networks': (value) => value === null || isRecord(value),
};

interface Parsed {
  readonly id: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly mounts: readonly MountSpec[];
  readonly apiVersion: string;
}

function parseSpec(raw: JsonObject, { id, name, labels, mounts, apiVersion }: Parsed): ContainerSpec {
  const config = object(at(raw, 'Config'));
  const host = object(at(raw, 'HostConfig'));
  const hostname = textOrNull(config['Hostname']);
  const init = host['Init'];
  const log = textOrNull(at(host, 'LogConfig', 'Type'));
  return {
    name,
    image: { reference: text(config['Image']), id: textOrNull(raw['Image']) },
    entrypoint: words(config['Entrypoint']),
    command: words(config['Cmd']),
    workingDir: textOrNull(config['WorkingDir']),
    user: textOrNull(config['User']),
    env: texts(config['Env']),
    labels,
    annotations: textRecord(host['Annotations']),
    hostname: isShortId(hostname, id) ? null : hostname,
    domainname: textOrNull(config['Domainname']),
    tty: flag(config['Tty']),
    openStdin: flag(config['OpenStdin']),
    stdinOnce: flag(config['StdinOnce']),
    init: typeof init === 'boolean' ? init : null,
    stopSignal: textOrNull(config['StopSignal']),
    stopTimeoutSeconds: typeof config['StopTimeout'] === 'number' ? config['StopTimeout'] : null,
    restart: { name: restartName(host) ?? 'no', maximumRetryCount: number(at(host, 'RestartPolicy', 'MaximumRetryCount')) },
    autoRemove: flag(host['AutoRemove']),
    runtime: textOrNull(host['Runtime']),
    isolation: textOrNull(host['Isolation']),
    healthcheck: parseHealthcheck(config['Healthcheck']),
    log: log === null ? null : { driver: log, options: textRecord(at(host, 'LogConfig', 'Config')) },
    resources: parseResources(host),
    security: parseSecurity(host),
    namespaces: parseNamespaces(raw, host),
    network: parseNetwork(raw, id, apiVersion),
    mounts,
    volumesFrom: texts(host['VolumesFrom']),
    storageOptions: textRecord(host['StorageOpt']),
  };
}

export const isShortId = (name: string | null, id: string): boolean => name !== null && name.length >= 12 && id.startsWith(name);

/** A string stands for a list of one in what old clients created. */
const words = (value: Json | undefined): string[] | null => (Array.isArray(value) ? texts(value) : typeof value === 'string' ? [value] : null);

const RESTART_NAMES = ['no', 'always', 'unless-stopped', 'on-failure'] as const;

const restartName = (host: JsonObject): (typeof RESTART_NAMES)[number] | undefined => {
  const name = text(at(host, 'RestartPolicy', 'Name')) || 'no';
  return RESTART_NAMES.find((known) => known === name);
};

function parseHealthcheck(raw: Json | undefined): Healthcheck | null {
  const test = texts(at(raw, 'Test'));
  const known = { interval: number(at(raw, 'Interval')), timeout: number(at(raw, 'Timeout')), startPeriod: number(at(raw, 'StartPeriod')),
    startInterval: number(at(raw, 'StartInterval')), retries: number(at(raw, 'Retries')) };
  return test.length === 0 && Object.values(known).every((value) => value === 0) ? null : { test, ...known };
}

/** 0 stands for "not set" in every numeric field of HostConfig; -1 is "unlimited" in some. */
const chosen = (value: Json | undefined): number | null => (typeof value === 'number' && value !== 0 ? value : null);

const positive = (value: Json | undefined): number | null => (typeof value === 'number' && value > 0 ? value : null);

const BLKIO_DEVICES = ['BlkioWeightDevice', 'BlkioDeviceReadBps', 'BlkioDeviceWriteBps', 'BlkioDeviceReadIOps', 'BlkioDeviceWriteIOps'];

function parseResources(host: JsonObject): ContainerResources {
  // Old engines write -1 where nobody chose a swappiness; 0 is a choice.
  const swappiness = host['MemorySwappiness'];
  return {
    memory: positive(host['Memory']),
    memorySwap: chosen(host['MemorySwap']),
    memoryReservation: positive(host['MemoryReservation']),
    memorySwappiness: typeof swappiness === 'number' && swappiness >= 0 ? swappiness : null,
    cpuShares: positive(host['CpuShares']),
    nanoCpus: positive(host['NanoCpus']),
    cpuPeriod: positive(host['CpuPeriod']),
    cpuQuota: chosen(host['CpuQuota']),
    cpuRealtimePeriod: positive(host['CpuRealtimePeriod']),
    cpuRealtimeRuntime: positive(host['CpuRealtimeRuntime']),
    cpusetCpus: textOrNull(host['CpusetCpus']),
    cpusetMems: textOrNull(host['CpusetMems']),
    pidsLimit: positive(host['PidsLimit']),
    blkioWeight: positive(host['BlkioWeight']),
    blkioDevices: Object.fromEntries(BLKIO_DEVICES.filter((name) => list(host[name]).length > 0).map((name) => [name, host[name] ?? null])),
    shmSize: positive(host['ShmSize']),
    oomKillDisable: flag(host['OomKillDisable']),
    oomScoreAdj: chosen(host['OomScoreAdj']),
    ulimits: list(host['Ulimits']).map((limit) => ({ name: text(at(limit, 'Name')), soft: number(at(limit, 'Soft')), hard: number(at(limit, 'Hard')) })),
    cgroupParent: textOrNull(host['CgroupParent']),
    devices: list(host['Devices']).map((device) => ({
      host: text(at(device, 'PathOnHost')), container: text(at(device, 'PathInContainer')), permissions: text(at(device, 'CgroupPermissions')),
    })),
    deviceCgroupRules: texts(host['DeviceCgroupRules']),
    deviceRequests: list(host['DeviceRequests']),
  };
}

function parseSecurity(host: JsonObject): ContainerSecurity {
  return {
    privileged: flag(host['Privileged']),
    capAdd: texts(host['CapAdd']).map(capability),
    capDrop: texts(host['CapDrop']).map(capability),
    readonlyRootfs: flag(host['ReadonlyRootfs']),
    ...parseSecurityOptions(texts(host['SecurityOpt'])),
    systemPathsUnconfined: systemPathsUnconfined(host),
    groupAdd: texts(host['GroupAdd']),
  };
}

/** What `--security-opt` values choose, by the rules of the engine. */
export function parseSecurityOptions(options: readonly string[]): Pick<ContainerSecurity, 'noNewPrivileges' | 'seccomp' | 'apparmor' | 'labels' | 'other'> {
  // Docker took "name:value" before it took "name=value"; old containers still have it.
  const split = options.map((option) => [option, /^([a-z-]+)(?:[=:](.*))?$/s.exec(option)] as const);
  const values = (name: string): (string | undefined)[] => split.filter(([, match]) => match?.[1] === name).map(([, match]) => match?.[2]);
  const last = (name: string): string | null => values(name).at(-1) ?? null;
  const noNewPrivileges = values('no-new-privileges');
  const known = ['no-new-privileges', 'seccomp', 'apparmor', 'label'];
  return {
    noNewPrivileges: noNewPrivileges.length === 0 ? null : !['false', 'f', '0'].includes((noNewPrivileges.at(-1) ?? 'true').toLowerCase()),
    seccomp: last('seccomp'),
    apparmor: last('apparmor'),
    labels: values('label').filter((value) => value !== undefined),
    other: split.filter(([, match]) => !known.includes(match?.[1] ?? '')).map(([option]) => option),
  };
}

/** "cap_net_raw", "NET_RAW" and "CAP_NET_RAW" are one. */
export const capability = (name: string): string => name.toUpperCase().replace(/^CAP_/, '');

/** The client turns --security-opt systempaths=unconfined into two empty lists; null is what a privileged container has. */
const systemPathsUnconfined = (host: JsonObject): boolean => isEmptyList(host['MaskedPaths']) && isEmptyList(host['ReadonlyPaths']);

const isEmptyList = (value: Json | undefined): boolean => Array.isArray(value) && value.length === 0;

/** HostConfig.NetworkMode, where it is the id of a network that the container is on: the name of that. */
export function networkMode(raw: JsonObject): string {
  const mode = text(at(raw, 'HostConfig', 'NetworkMode'));
  const networks = Object.entries(object(at(raw, 'NetworkSettings', 'Networks')));
  if (!/^[0-9a-f]{12,64}$/.test(mode) || networks.some(([name]) => name === mode)) return mode;
  // Before the first start nothing says which network has the id.
  const found = networks.find(([, endpoint]) => text(at(endpoint, 'NetworkID')).startsWith(mode)) ?? (networks.length === 1 ? networks[0] : undefined);
  return found?.[0] ?? mode;
}

const parseNamespaces = (raw: JsonObject, host: JsonObject): ContainerNamespaces => ({
  network: networkMode(raw),
  pid: text(host['PidMode']),
  ipc: text(host['IpcMode']),
  uts: text(host['UTSMode']),
  userns: text(host['UsernsMode']),
  cgroup: text(host['CgroupnsMode']),
});

export function parseNetwork(raw: JsonObject, id: string, apiVersion: string): ContainerNetwork {
  const config = object(at(raw, 'Config'));
  const host = object(at(raw, 'HostConfig'));
  const networks = Object.entries(object(at(raw, 'NetworkSettings', 'Networks')));
  return {
    attachments: Object.fromEntries(networks.map(([name, endpoint]) => [name, parseAttachment(endpoint, id, apiVersion)])),
    ports: Object.entries(object(host['PortBindings'])).flatMap(([port, bindings]) => {
      const { containerPort, protocol } = parsePort(port);
      return list(bindings).map((binding) => ({ ip: text(at(binding, 'HostIp')), hostPort: text(at(binding, 'HostPort')), containerPort, protocol }));
    }),
    exposed: Object.keys(object(config['ExposedPorts'])),
    publishAll: flag(host['PublishAllPorts']),
    dns: texts(host['Dns']),
    dnsOptions: texts(host['DnsOptions']),
    dnsSearch: texts(host['DnsSearch']),
    extraHosts: texts(host['ExtraHosts']),
    // The engine answers with another order each time.
    links: texts(host['Links']).sort(),
    macAddress: textOrNull(config['MacAddress']),
    sysctls: textRecord(host['Sysctls']),
  };
}

/** "/name:/self/alias", as inspect has it, as "name:alias". */
export function plainLink(link: string): string {
  const [target = '', alias = ''] = link.split(':');
  return link.startsWith('/') ? `${target.slice(1)}:${alias.slice(alias.lastIndexOf('/') + 1)}` : link;
}

/** "80/tcp"; a bare number is TCP. */
function parsePort(port: string): { readonly containerPort: number; readonly protocol: string } {
  const [digits = '', protocol = 'tcp'] = port.split('/');
  return { containerPort: Number(digits), protocol };
}

function parseAttachment(endpoint: Json, id: string, apiVersion: string): NetworkAttachment {
  const mac = textOrNull(at(endpoint, 'MacAddress'));
  return {
    aliases: texts(at(endpoint, 'Aliases')).filter((alias) => !isShortId(alias, id)),
    links: texts(at(endpoint, 'Links')),
    ipv4: textOrNull(at(endpoint, 'IPAMConfig', 'IPv4Address')),
    ipv6: textOrNull(at(endpoint, 'IPAMConfig', 'IPv6Address')),
    linkLocalIps: texts(at(endpoint, 'IPAMConfig', 'LinkLocalIPs')),
    macAddress: mac !== null && isGeneratedMac(mac, text(at(endpoint, 'IPAddress')), apiVersion) ? null : mac,
    driverOptions: textRecord(at(endpoint, 'DriverOpts')),
    gatewayPriority: chosen(at(endpoint, 'GwPriority')),
  };
}

/** Bridges made 02:42 and the bytes of the IPv4 address until engine 28 (API 1.51), and random ones since, which nothing tells from chosen ones. */
function isGeneratedMac(mac: string, ip: string, apiVersion: string): boolean {
  const fromIp = ['02', '42', ...ip.split('.').map((byte) => Number(byte).toString(16).padStart(2, '0'))].join(':');
  return mac.toLowerCase() === fromIp || Number(apiVersion.split('.')[1] ?? 0) >= 48;
}

/** All that is mounted, by how it was asked for; and mounts in force that nothing explains, and anonymous volumes that nothing names. */
function parseMounts(raw: JsonObject): { readonly mounts: readonly MountSpec[]; readonly unexplained: readonly string[] } {
  const host = object(at(raw, 'HostConfig'));
  const inForce = list(at(raw, 'Mounts'));
  const volumeOn = (target: string): Json | undefined =>
    inForce.find((mount) => at(mount, 'Type') === 'volume' && clean(text(at(mount, 'Destination'))) === clean(target));
  const volumeAt = (target: string): string | null => textOrNull(at(volumeOn(target), 'Name'));
  const asked: MountSpec[] = [
    ...texts(host['Binds']).map((bind) => parseBind(bind, volumeAt)),
    ...list(host['Mounts']).map((mount) => parseMount(mount, volumeAt)),
    ...Object.entries(textRecord(host['Tmpfs'])).map(([target, options]): MountSpec => ({
      kind: 'tmpfs', via: 'tmpfs', source: '', target, readOnly: options.split(',').includes('ro'), options, details: null, volume: null,
    })),
  ];
  const targets = new Set(asked.map(({ target }) => clean(target)));
  const declared = Object.keys(object(at(raw, 'Config', 'Volumes'))).filter((target) => !targets.has(clean(target))).map((target): MountSpec => ({
    kind: 'volume', via: 'image', source: '', target, readOnly: at(volumeOn(target), 'RW') === false, options: '', details: null, volume: volumeAt(target),
  }));
  const mounts = [...asked, ...declared];
  const explained = new Set(mounts.map(({ target }) => clean(target)));
  const inherited = list(host['VolumesFrom']).length > 0;
  const nameless = mounts.filter(({ kind, source, volume }) => kind === 'volume' && source === '' && volume === null).map(({ target }) => target);
  const unasked = inherited ? [] : inForce.map((mount) => text(at(mount, 'Destination'))).filter((target) => !explained.has(clean(target)));
  return { mounts, unexplained: [...unasked, ...nameless].map((target) => `Mounts[${target}]`) };
}

/** The engine cleans targets when it mounts them: -v x:/data/ is in force at /data. */
const clean = (path: string): string => path.replace(/\/+/g, '/').replace(/(.)\/$/, '$1');

/** "SOURCE:TARGET[:OPTIONS]", or a TARGET alone for an anonymous volume. */
function parseBind(bind: string, volumeAt: (target: string) => string | null): MountSpec {
  const parts = bind.split(':');
  const [source, target, options] = parts.length === 1 ? ['', parts[0] ?? '', ''] : [parts[0] ?? '', parts[1] ?? '', parts.slice(2).join(':')];
  const kind = source.startsWith('/') ? 'bind' : 'volume';
  return {
    kind, via: 'binds', source, target, readOnly: options.split(',').includes('ro'), options, details: null,
    volume: source === '' ? volumeAt(target) : null,
  };
}

const MOUNT_KINDS = ['bind', 'volume', 'tmpfs', 'npipe', 'cluster', 'image'] as const;

function parseMount(mount: Json, volumeAt: (target: string) => string | null): MountSpec {
  const { Type: type, Source: source, Target: target, ReadOnly: readOnly, ...details } = object(mount);
  const kind = MOUNT_KINDS.find((known) => known === type) ?? 'volume';
  return {
    kind, via: 'mounts', source: text(source), target: text(target), readOnly: flag(readOnly), options: '', details,
    volume: kind === 'volume' && text(source) === '' ? volumeAt(text(target)) : null,
  };
}

const STATES = ['created', 'running', 'paused', 'restarting', 'removing', 'exited', 'dead'] as const;
/** States of Podman that Docker has other names for. */
const PODMAN_STATES: Readonly<Record<string, ContainerRuntime['state']>> = {
  configured: 'created', initialized: 'created', stopping: 'running', stopped: 'exited',
};

function parseRuntime(raw: JsonObject): Observed<ContainerRuntime> {
  const status = text(at(raw, 'State', 'Status'));
  const state = STATES.find((known) => known === status) ?? (Object.hasOwn(PODMAN_STATES, status) ? PODMAN_STATES[status] : undefined);
  if (state === undefined) return unreadable(`the engine reports the unknown state "${status}"`);
  const health = text(at(raw, 'State', 'Health', 'Status'));
  return present({
    state,
    pid: number(at(raw, 'State', 'Pid')),
    startedAt: text(at(raw, 'State', 'StartedAt')),
    restarts: number(raw['RestartCount']),
    createdAt: text(at(raw, 'Created')),
    finishedAt: text(at(raw, 'State', 'FinishedAt')),
    health: (['starting', 'healthy', 'unhealthy'] as const).find((known) => known === health) ?? 'none',
    ports: Object.entries(object(at(raw, 'NetworkSettings', 'Ports'))).flatMap(([port, bindings]) => list(bindings).map((binding) => ({
      ip: text(at(binding, 'HostIp')), hostPort: Number(text(at(binding, 'HostPort'))), ...parsePort(port),
    }))),
    networks: Object.entries(object(at(raw, 'NetworkSettings', 'Networks'))).map(([name, endpoint]) => ({
      name, networkId: text(at(endpoint, 'NetworkID')), ip: text(at(endpoint, 'IPAddress')), ip6: text(at(endpoint, 'GlobalIPv6Address')),
    })),
    applied: parseApplied(raw),
  });
}

const parseApplied = (raw: JsonObject): AppliedSettings => ({
  createdAt: text(raw['Created']),
  apparmor: text(raw['AppArmorProfile']),
  processLabel: text(raw['ProcessLabel']),
  attached: flag(at(raw, 'Config', 'AttachStdout')) || flag(at(raw, 'Config', 'AttachStdin')),
  openExecs: list(raw['ExecIDs']).length,
  mounts: list(raw['Mounts']).map((mount) => ({
    kind: text(at(mount, 'Type')), source: text(at(mount, 'Source')), target: text(at(mount, 'Destination')),
    readOnly: at(mount, 'RW') === false, propagation: text(at(mount, 'Propagation')),
  })),
});

/** Every field that a specification is made of, by object, and those that hold nothing which a recreate could lose. */
const MODELLED: Readonly<Record<string, readonly string[]>> = {
  Config: [
    'Hostname', 'Domainname', 'User', 'ExposedPorts', 'Tty', 'OpenStdin', 'StdinOnce', 'Env', 'Cmd', 'Healthcheck', 'Image', 'Volumes',
    'WorkingDir', 'Entrypoint', 'MacAddress', 'Labels', 'StopSignal', 'StopTimeout',
    // Of the client's session; of the image.
    'AttachStdin', 'AttachStdout', 'AttachStderr', 'OnBuild',
  ],
  HostConfig: [
    'Binds', 'LogConfig', 'NetworkMode', 'PortBindings', 'RestartPolicy', 'AutoRemove', 'VolumesFrom', 'Annotations', 'CapAdd', 'CapDrop',
    'CgroupnsMode', 'Dns', 'DnsOptions', 'DnsSearch', 'ExtraHosts', 'GroupAdd', 'IpcMode', 'Links', 'OomScoreAdj', 'PidMode', 'Privileged',
    'PublishAllPorts', 'ReadonlyRootfs', 'SecurityOpt', 'StorageOpt', 'Tmpfs', 'UTSMode', 'UsernsMode', 'ShmSize', 'Sysctls', 'Runtime',
    'Isolation', 'CpuShares', 'Memory', 'NanoCpus', 'CgroupParent', 'BlkioWeight', ...BLKIO_DEVICES, 'CpuPeriod', 'CpuQuota',
    'CpuRealtimePeriod', 'CpuRealtimeRuntime', 'CpusetCpus', 'CpusetMems', 'Devices', 'DeviceCgroupRules', 'DeviceRequests',
    'MemoryReservation', 'MemorySwap', 'MemorySwappiness', 'OomKillDisable', 'PidsLimit', 'Ulimits', 'Mounts', 'MaskedPaths',
    'ReadonlyPaths', 'Init',
    // Of the client: where it wrote the id, how large its terminal was.
    'ContainerIDFile', 'ConsoleSize',
  ],
  'HostConfig.RestartPolicy': ['Name', 'MaximumRetryCount'],
  'HostConfig.LogConfig': ['Type', 'Config'],
  'Config.Healthcheck': ['Test', 'Interval', 'Timeout', 'StartPeriod', 'StartInterval', 'Retries'],
};

const MODELLED_ENDPOINT: ReadonlySet<string> = new Set([
  'IPAMConfig', 'Links', 'Aliases', 'MacAddress', 'DriverOpts', 'GwPriority',
  // Computed by the engine.
  'NetworkID', 'EndpointID', 'Gateway', 'IPAddress', 'IPPrefixLen', 'IPv6Gateway', 'GlobalIPv6Address', 'GlobalIPv6PrefixLen', 'DNSNames',
]);

function unknownFields(raw: JsonObject): string[] {
  const fields = Object.entries(MODELLED).flatMap(([path, known]) =>
    Object.entries(object(at(raw, ...path.split('.')))).filter(([name, value]) => !known.includes(name) && isSet(value)).map(([name]) => `${path}.${name}`));
  const endpoints = Object.entries(object(at(raw, 'NetworkSettings', 'Networks'))).flatMap(([network, endpoint]) =>
    Object.entries(object(endpoint)).filter(([name, value]) => !MODELLED_ENDPOINT.has(name) && isSet(value))
      .map(([name]) => `NetworkSettings.Networks[${network}].${name}`));
  const host = object(at(raw, 'HostConfig'));
  return [
    ...fields,
    ...endpoints,
    ...(restartName(host) === undefined ? ['HostConfig.RestartPolicy.Name'] : []),
    // Taken off the network that it was created on: one that is created anew is on it again.
    ...(isOffItsNetwork(raw) ? ['NetworkSettings.Networks'] : []),
    ...['MaskedPaths', 'ReadonlyPaths'].filter((name) => !systemPathsUnconfined(host) && isOwnList(host[name])).map((name) => `HostConfig.${name}`),
  ];
}

const isOffItsNetwork = (raw: JsonObject): boolean => {
  const networks = at(raw, 'NetworkSettings', 'Networks');
  const mode = networkMode(raw);
  return networks !== undefined && mode !== '' && !mode.startsWith('container:') && !Object.hasOwn(object(networks), mode === 'default' ? 'bridge' : mode);
};

const isSet = (value: Json): boolean =>
  !(value === null || value === '' || value === 0 || value === false || (typeof value === 'object' && Object.keys(value).length === 0));

/** The engine's own lists grow with its version, but these have been in them from the start. */
const isOwnList = (value: Json | undefined): boolean =>
  Array.isArray(value) && !['/proc/kcore', '/proc/sysrq-trigger'].some((path) => value.includes(path));
