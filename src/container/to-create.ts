import { at, object } from '../collect/json.ts';
import type { ContainerSpec, Healthcheck, Json, JsonObject, MountSpec, NetworkAttachment } from '../model.ts';
import { plainLink } from './from-inspect.ts';

/** POST /containers/create?name=NAME with `body`, then POST /networks/NETWORK/connect for each of `connect`. */
export interface CreateOptions {
  readonly name: string;
  readonly body: JsonObject;
  /** EndpointConfig by network: an API before 1.44 takes one network at creation. */
  readonly connect: readonly { readonly network: string; readonly endpoint: JsonObject }[];
}

/** "1.41" as 41. */
export const apiMinor = (apiVersion: string): number => Number(apiVersion.split('.')[1] ?? 0);

/**
 * A specification as the engine's API takes it. Anonymous volumes whose name is known stay the same volumes, without the image's content
 * copied into them once more; so `docker rm -v` of the new container leaves them. What an API cannot say is in `inexpressible`.
 */
export function toCreateOptions(spec: ContainerSpec, apiVersion: string): CreateOptions {
  const endpoints = endpointsOf(spec, apiVersion);
  const several = apiMinor(apiVersion) >= 44;
  const atOnce = several ? endpoints : endpoints.slice(0, 1);
  return {
    name: spec.name,
    body: {
      ...configOf(spec, several),
      HostConfig: hostConfigOf(spec),
      ...(atOnce.length === 0 ? {} : { NetworkingConfig: { EndpointsConfig: Object.fromEntries(atOnce.map(({ network, endpoint }) => [network, endpoint])) } }),
    },
    connect: endpoints.slice(atOnce.length),
  };
}

/** Only what was chosen: null, "" and nothing at all are the same to the engine, but not to whoever reads it. */
const set = (fields: Readonly<Record<string, Json | readonly Json[]>>): JsonObject => Object.fromEntries(Object.entries(fields).filter(([, value]) =>
  value !== null && value !== '' && value !== false && !(typeof value === 'object' && Object.keys(value).length === 0))) as JsonObject;

const portOf = ({ containerPort, protocol }: { readonly containerPort: number; readonly protocol: string }): string => `${containerPort}/${protocol}`;

function configOf(spec: ContainerSpec, macOfEndpoint: boolean): JsonObject {
  const { network } = spec;
  const volumes = spec.mounts.filter(({ via, source }) => via === 'image' || (via === 'binds' && source === '')).map(({ target }) => target);
  return {
    ...set({
      Image: spec.image.reference,
      Hostname: spec.hostname,
      Domainname: spec.domainname,
      User: spec.user,
      Tty: spec.tty,
      OpenStdin: spec.openStdin,
      StdinOnce: spec.stdinOnce,
      Env: spec.env,
      Cmd: spec.command,
      Entrypoint: spec.entrypoint,
      WorkingDir: spec.workingDir,
      Labels: { ...spec.labels },
      StopSignal: spec.stopSignal,
      StopTimeout: spec.stopTimeoutSeconds,
      Healthcheck: spec.healthcheck === null ? null : healthcheckOf(spec.healthcheck),
      ExposedPorts: Object.fromEntries([...network.exposed, ...network.ports.map(portOf)].map((port) => [port, {}])),
      Volumes: Object.fromEntries(volumes.map((target) => [target, {}])),
      MacAddress: macOfEndpoint && primaryOf(spec) !== null ? null : network.macAddress,
    }),
  };
}

/** A health check as the API takes it: what was not chosen left out. */
export const healthcheckOf = ({ test, interval, timeout, startPeriod, startInterval, retries }: Healthcheck): JsonObject => {
  const times = { Interval: interval, Timeout: timeout, StartPeriod: startPeriod, StartInterval: startInterval, Retries: retries };
  return { ...set({ Test: test }), ...Object.fromEntries(Object.entries(times).filter(([, value]) => value !== 0)) };
};

function hostConfigOf(spec: ContainerSpec): JsonObject {
  const { network, namespaces, resources, security } = spec;
  const tmpfs = spec.mounts.filter(({ via }) => via === 'tmpfs');
  return {
    ...set({
      Binds: spec.mounts.flatMap(bindOf),
      Mounts: spec.mounts.flatMap(mountOf),
      Tmpfs: Object.fromEntries(tmpfs.map((mount) => [mount.target, mountOptions(mount)])),
      VolumesFrom: spec.volumesFrom,
      NetworkMode: namespaces.network,
      PidMode: namespaces.pid,
      IpcMode: namespaces.ipc,
      UTSMode: namespaces.uts,
      UsernsMode: namespaces.userns,
      CgroupnsMode: namespaces.cgroup,
      PortBindings: Object.fromEntries([...new Set(network.ports.map(portOf))].map((port) =>
        [port, network.ports.filter((binding) => portOf(binding) === port).map(({ ip, hostPort }) => ({ HostIp: ip, HostPort: hostPort }))])),
      PublishAllPorts: network.publishAll,
      Dns: network.dns,
      DnsOptions: network.dnsOptions,
      DnsSearch: network.dnsSearch,
      ExtraHosts: network.extraHosts,
      Links: network.links.map(plainLink),
      Sysctls: { ...network.sysctls },
      RestartPolicy: spec.restart.name === 'no' ? null : { Name: spec.restart.name, MaximumRetryCount: spec.restart.maximumRetryCount },
      AutoRemove: spec.autoRemove,
      LogConfig: spec.log === null ? null : { Type: spec.log.driver, Config: { ...spec.log.options } },
      Runtime: spec.runtime,
      Isolation: spec.isolation,
      Annotations: { ...spec.annotations },
      StorageOpt: { ...spec.storageOptions },
      Init: spec.init === true,
      CapAdd: security.capAdd,
      CapDrop: security.capDrop,
      Privileged: security.privileged,
      ReadonlyRootfs: security.readonlyRootfs,
      SecurityOpt: securityOptions(spec),
      GroupAdd: security.groupAdd,
      Memory: resources.memory,
      MemorySwap: resources.memorySwap,
      MemoryReservation: resources.memoryReservation,
      MemorySwappiness: resources.memorySwappiness,
      CpuShares: resources.cpuShares,
      NanoCpus: resources.nanoCpus,
      CpuPeriod: resources.cpuPeriod,
      CpuQuota: resources.cpuQuota,
      CpuRealtimePeriod: resources.cpuRealtimePeriod,
      CpuRealtimeRuntime: resources.cpuRealtimeRuntime,
      CpusetCpus: resources.cpusetCpus,
      CpusetMems: resources.cpusetMems,
      PidsLimit: resources.pidsLimit,
      BlkioWeight: resources.blkioWeight,
      ...resources.blkioDevices,
      ShmSize: resources.shmSize,
      OomKillDisable: resources.oomKillDisable,
      OomScoreAdj: resources.oomScoreAdj,
      Ulimits: resources.ulimits.map(({ name, soft, hard }) => ({ Name: name, Soft: soft, Hard: hard })),
      CgroupParent: resources.cgroupParent,
      Devices: resources.devices.map(({ host, container, permissions }) => ({ PathOnHost: host, PathInContainer: container, CgroupPermissions: permissions })),
      DeviceCgroupRules: resources.deviceCgroupRules,
      DeviceRequests: resources.deviceRequests,
    }),
    ...(spec.init === false ? { Init: false } : {}),
    ...(security.systemPathsUnconfined ? { MaskedPaths: [], ReadonlyPaths: [] } : {}),
  };
}

/** --security-opt values but systempaths, which is the client's. */
export function securityOptions({ security }: ContainerSpec): string[] {
  const { noNewPrivileges, seccomp, apparmor, labels, other } = security;
  return [
    ...(noNewPrivileges === null ? [] : [`no-new-privileges=${String(noNewPrivileges)}`]),
    ...(seccomp === null ? [] : [`seccomp=${seccomp}`]),
    ...(apparmor === null ? [] : [`apparmor=${apparmor}`]),
    ...labels.map((label) => `label=${label}`),
    ...other,
  ];
}

/** The options of a -v or --tmpfs mount, with "ro" where the mount is read-only and nowhere else. */
function mountOptions({ options, readOnly }: MountSpec): string {
  const chosen = options.split(',').filter((option) => option !== '' && (readOnly || option !== 'ro'));
  return [...chosen, ...(readOnly && !chosen.includes('ro') ? ['ro'] : [])].join(',');
}

/** A mount as an entry of Binds, where it is one: SOURCE:TARGET[:OPTIONS]. */
export function bindOf(mount: MountSpec): string[] {
  const { via, source, target, volume } = mount;
  if (via !== 'binds' && via !== 'image') return [];
  const options = mountOptions(mount);
  if (source !== '') return [[source, target, ...(options === '' ? [] : [options])].join(':')];
  return volume === null ? [] : [[volume, target, ['nocopy', ...(options === '' ? [] : [options])].join(',')].join(':')];
}

/** A mount as an entry of HostConfig.Mounts, where it is one. */
export function mountOf({ via, kind, source, target, readOnly, details, volume }: MountSpec): JsonObject[] {
  if (via !== 'mounts') return [];
  const kept = volume === null ? {} : { VolumeOptions: { ...object(at(details, 'VolumeOptions')), NoCopy: true } };
  return [{ ...set({ Type: kind, Source: volume ?? source, Target: target, ReadOnly: readOnly }), ...object(details), ...kept }];
}

/** The network that `namespaces.network` names; null when the container has none of its own to configure. */
export function primaryOf({ namespaces: { network } }: ContainerSpec): string | null {
  if (network === 'host' || network === 'none' || network.startsWith('container:')) return null;
  return network === '' || network === 'default' ? 'bridge' : network;
}

/** Of each network that the container is on, the one of its network mode first. */
function endpointsOf(spec: ContainerSpec, apiVersion: string): { network: string; endpoint: JsonObject }[] {
  const primary = primaryOf(spec);
  if (primary === null) return [];
  const { [primary]: first, ...others } = spec.network.attachments;
  const mac = first?.macAddress ?? spec.network.macAddress;
  const plain = first === undefined ? {} : endpointOf(first, apiVersion);
  return [
    { network: primary, endpoint: mac !== null && apiMinor(apiVersion) >= 44 ? { ...plain, MacAddress: mac } : plain },
    ...Object.entries(others).map(([network, attachment]) => ({ network, endpoint: endpointOf(attachment, apiVersion) })),
  ];
}

function endpointOf(attachment: NetworkAttachment, apiVersion: string): JsonObject {
  const { aliases, links, ipv4, ipv6, linkLocalIps, macAddress, driverOptions, gatewayPriority } = attachment;
  return set({
    IPAMConfig: set({ IPv4Address: ipv4, IPv6Address: ipv6, LinkLocalIPs: linkLocalIps }),
    Aliases: aliases,
    Links: links,
    MacAddress: apiMinor(apiVersion) >= 44 ? macAddress : null,
    DriverOpts: { ...driverOptions },
    GwPriority: gatewayPriority,
  });
}
