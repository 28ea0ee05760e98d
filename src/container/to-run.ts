import { at, list, number, object, text, textRecord, texts } from '../collect/json.ts';
import { maskArguments, maskEnvironment, maskJson } from '../mask.ts';
import type { ContainerSpec, Json, MountSpec, NetworkAttachment } from '../model.ts';
import { shownLine, shownWord } from '../quote.ts';
import { durationText } from '../quantities.ts';
import { plainLink } from './from-inspect.ts';
import { isCdi } from './inexpressible.ts';
import { apiMinor, bindOf, mountOf, primaryOf, securityOptions } from './to-create.ts';

/** One option of `docker run`: a flag alone ("-d", "--init=false"), or a flag and its value. */
export type RunOption = readonly [flag: string, value?: string];

/**
 * The commands that create and start a container as a specification has it, each an argv: one `docker run`; with an API before 1.44 and
 * several networks, `docker create`, `docker network connect` and `docker start` (or a run and then a connect). The order of options is always the same.
 *
 * Meant for `chosenSpec`. The values of env, labels and log options are as they are, secrets too: whoever shows them uses
 * `maskedRunLine`. What flags cannot say is in `inexpressible(spec, 'run')`; a seccomp profile is taken to be in SECCOMP_FILE.
 * A bare NAME of env takes its value from the shell that runs the line, as it did when it was chosen.
 */
export function runCommands(spec: ContainerSpec, apiVersion: string): readonly (readonly string[])[] {
  const later = connectCommands(spec, apiVersion);
  const words = [...runOptions(spec, apiVersion).flatMap(([flag, value]) => (value === undefined ? [flag] : [flag, value])), ...imageAndCommand(spec)];
  // `docker create --interactive` means standard input that ends with its client; only a detached run leaves it open.
  const runFirst = later.length === 0 || (spec.openStdin && !spec.stdinOnce);
  return [
    runFirst ? ['docker', 'run', ...(spec.stdinOnce ? [] : ['--detach']), ...words] : ['docker', 'create', ...words],
    ...later,
    ...(runFirst ? [] : [['docker', 'start', spec.name]]),
  ];
}

/** The commands that put a created container on the networks that an API before 1.44 does not take at creation. */
export function connectCommands(spec: ContainerSpec, apiVersion: string): readonly (readonly string[])[] {
  const primary = primaryOf(spec);
  const later = apiMinor(apiVersion) >= 44 || primary === null ? [] : Object.entries(spec.network.attachments).filter(([name]) => name !== primary);
  return later.map(([name, attachment]) => ['docker', 'network', 'connect', ...connectOptions(attachment), name, spec.name]);
}

/** Where the seccomp profile of a specification stands for its printed line. */
const SECCOMP_FILE = 'seccomp.json';

/** The image, what of the entrypoint --entrypoint does not take, and the command. */
const imageAndCommand = ({ image, entrypoint, command }: ContainerSpec): string[] => [image.reference, ...(entrypoint ?? []).slice(1), ...command ?? []];

export function runOptions(spec: ContainerSpec, apiVersion: string): RunOption[] {
  const { resources, security, namespaces, network } = spec;
  return [
    ...value('--name', spec.name),
    ...value('--hostname', spec.hostname),
    ...value('--domainname', spec.domainname),
    ...value('--user', spec.user),
    ...value('--workdir', spec.workingDir),
    ...spec.env.map((entry): RunOption => ['--env', entry]),
    ...pairs('--label', spec.labels),
    ...pairs('--annotation', spec.annotations),
    ...flag('--interactive', spec.openStdin),
    ...flag('--tty', spec.tty),
    ...(spec.init === null ? [] : [[spec.init ? '--init' : '--init=false'] as const]),
    ...flag('--rm', spec.autoRemove),
    ...(spec.restart.name === 'no' ? [] : value('--restart', spec.restart.maximumRetryCount === 0 ? spec.restart.name : `${spec.restart.name}:${spec.restart.maximumRetryCount}`)),
    ...value('--stop-signal', spec.stopSignal),
    ...value('--stop-timeout', spec.stopTimeoutSeconds),
    ...value('--runtime', spec.runtime),
    ...value('--isolation', spec.isolation),
    ...healthOptions(spec.healthcheck),
    ...value('--log-driver', spec.log?.driver ?? null),
    ...pairs('--log-opt', spec.log?.options ?? {}),
    ...pairs('--storage-opt', spec.storageOptions),

    ...value('--memory', size(resources.memory)),
    ...value('--memory-reservation', size(resources.memoryReservation)),
    ...value('--memory-swap', size(resources.memorySwap)),
    ...value('--memory-swappiness', resources.memorySwappiness),
    ...value('--cpus', resources.nanoCpus === null ? null : decimal(resources.nanoCpus)),
    ...value('--cpu-shares', resources.cpuShares),
    ...value('--cpu-period', resources.cpuPeriod),
    ...value('--cpu-quota', resources.cpuQuota),
    ...value('--cpu-rt-period', resources.cpuRealtimePeriod),
    ...value('--cpu-rt-runtime', resources.cpuRealtimeRuntime),
    ...value('--cpuset-cpus', resources.cpusetCpus),
    ...value('--cpuset-mems', resources.cpusetMems),
    ...value('--pids-limit', resources.pidsLimit),
    ...value('--blkio-weight', resources.blkioWeight),
    ...Object.entries(BLKIO_FLAGS).flatMap(([field, name]) => list(resources.blkioDevices[field]).map((device): RunOption =>
      [name, `${text(at(device, 'Path'))}:${number(at(device, 'Weight')) || number(at(device, 'Rate'))}`])),
    ...value('--shm-size', size(resources.shmSize)),
    ...flag('--oom-kill-disable', resources.oomKillDisable),
    ...value('--oom-score-adj', resources.oomScoreAdj),
    ...resources.ulimits.map(({ name, soft, hard }): RunOption => ['--ulimit', `${name}=${soft}:${hard}`]),
    ...value('--cgroup-parent', resources.cgroupParent),
    ...resources.devices.map(({ host, container, permissions }): RunOption =>
      ['--device', host === container && permissions === 'rwm' ? host : `${host}:${container}:${permissions}`]),
    ...resources.deviceCgroupRules.map((rule): RunOption => ['--device-cgroup-rule', rule]),
    ...resources.deviceRequests.flatMap(deviceRequest),

    ...flag('--privileged', security.privileged),
    ...security.capAdd.map((name): RunOption => ['--cap-add', name]),
    ...security.capDrop.map((name): RunOption => ['--cap-drop', name]),
    ...flag('--read-only', security.readonlyRootfs),
    ...securityOptions(spec).map((option): RunOption => ['--security-opt', option.startsWith('seccomp={') ? `seccomp=${SECCOMP_FILE}` : option]),
    ...(security.systemPathsUnconfined ? [['--security-opt', 'systempaths=unconfined'] as const] : []),
    ...security.groupAdd.map((group): RunOption => ['--group-add', group]),
    ...value('--pid', namespaces.pid),
    ...value('--ipc', namespaces.ipc),
    ...value('--uts', namespaces.uts),
    ...value('--userns', namespaces.userns),
    ...value('--cgroupns', namespaces.cgroup),

    ...networkOptions(spec, apiVersion),
    ...network.ports.map((port): RunOption => ['--publish', published(port)]),
    ...flag('--publish-all', network.publishAll),
    ...network.exposed.filter((port) => !network.ports.some(({ containerPort, protocol }) => port === `${containerPort}/${protocol}`)).map((port): RunOption => ['--expose', port]),
    ...network.dns.map((address): RunOption => ['--dns', address]),
    ...network.dnsOptions.map((option): RunOption => ['--dns-option', option]),
    ...network.dnsSearch.map((domain): RunOption => ['--dns-search', domain]),
    ...network.extraHosts.map((host): RunOption => ['--add-host', host]),
    ...pairs('--sysctl', network.sysctls),

    ...spec.mounts.map(mountOption),
    ...spec.volumesFrom.map((from): RunOption => ['--volumes-from', from]),
    ...(spec.entrypoint === null ? [] : [['--entrypoint', spec.entrypoint[0] ?? ''] as const]),
  ];
}

const flag = (name: string, on: boolean): RunOption[] => (on ? [[name]] : []);

const value = (name: string, given: string | number | null): RunOption[] => (given === null || given === '' ? [] : [[name, String(given)]]);

const pairs = (name: string, record: Readonly<Record<string, string>>): RunOption[] => Object.entries(record).map(([key, given]) => [name, `${key}=${given}`]);

const UNITS = [['g', 1024 ** 3], ['m', 1024 ** 2], ['k', 1024]] as const;

/** Bytes as the client reads them; -1 is unlimited. */
function size(bytes: number | null): string | null {
  if (bytes === null) return null;
  const unit = UNITS.find(([, factor]) => bytes > 0 && bytes % factor === 0);
  return unit === undefined ? String(bytes) : `${bytes / unit[1]}${unit[0]}`;
}

/** Billionths as a decimal number, exactly. */
function decimal(nano: number): string {
  const digits = String(nano).padStart(10, '0');
  return `${digits.slice(0, -9)}.${digits.slice(-9)}`.replace(/\.?0+$/, '');
}

const duration = (ns: number): string | null => (ns === 0 ? null : durationText(ns));

function healthOptions(health: ContainerSpec['healthcheck']): RunOption[] {
  if (health === null) return [];
  const [kind, line] = health.test;
  return [
    ...(kind === 'NONE' ? [['--no-healthcheck'] as const] : value('--health-cmd', line ?? null)),
    ...value('--health-interval', duration(health.interval)),
    ...value('--health-timeout', duration(health.timeout)),
    ...value('--health-start-period', duration(health.startPeriod)),
    ...value('--health-start-interval', duration(health.startInterval)),
    ...value('--health-retries', health.retries === 0 ? null : health.retries),
  ];
}

const BLKIO_FLAGS = {
  BlkioWeightDevice: '--blkio-weight-device',
  BlkioDeviceReadBps: '--device-read-bps',
  BlkioDeviceWriteBps: '--device-write-bps',
  BlkioDeviceReadIOps: '--device-read-iops',
  BlkioDeviceWriteIOps: '--device-write-iops',
};

/** Comma-separated fields as the client reads them (Go's encoding/csv). */
const csv = (fields: readonly string[]): string =>
  fields.map((field) => (/[",\r\n]|^\s|^$/.test(field) ? `"${field.replaceAll('"', '""')}"` : field)).join(',');

function deviceRequest(request: Json): RunOption[] {
  if (isCdi(request)) return texts(at(request, 'DeviceIDs')).map((name) => ['--device', name]);
  const ids = texts(at(request, 'DeviceIDs'));
  const count = number(at(request, 'Count'));
  const driver = text(at(request, 'Driver'));
  const capabilities = list(at(request, 'Capabilities')).flatMap(texts).filter((name) => name !== 'gpu');
  const options = Object.entries(textRecord(at(request, 'Options')));
  const fields = [
    ...(ids.length > 0 && count === 0 ? [] : [count === -1 ? 'all' : String(count)]),
    ...(ids.length > 0 ? [`device=${csv(ids)}`] : []),
    ...(driver === '' ? [] : [`driver=${driver}`]),
    ...(capabilities.length > 0 ? [`capabilities=${csv(capabilities)}`] : []),
    ...(options.length > 0 ? [`options=${csv(options.map(([name, given]) => `${name}=${given}`))}`] : []),
  ];
  return [['--gpus', csv(fields)]];
}

/** [IP:][HOST]:CONTAINER[/PROTOCOL]. */
function published({ ip, hostPort, containerPort, protocol }: ContainerSpec['network']['ports'][number]): string {
  const address = ip === '' ? '' : `${ip.includes(':') ? `[${ip}]` : ip}:`;
  const host = ip === '' && hostPort === '' ? '' : `${hostPort}:`;
  return `${address}${host}${containerPort}${protocol === 'tcp' ? '' : `/${protocol}`}`;
}

/**
 * The network and what is chosen for it. One network is said with the flags that every client has; several, for which the API takes
 * them, with --network name=…, which must then say all.
 */
function networkOptions(spec: ContainerSpec, apiVersion: string): RunOption[] {
  const { namespaces, network } = spec;
  const links = network.links.map((link): RunOption => ['--link', plainLink(link)]);
  const primary = primaryOf(spec);
  const entries = Object.entries(network.attachments);
  const others = primary === null || apiMinor(apiVersion) < 44 ? [] : entries.filter(([name]) => name !== primary);
  const first = primary !== null && Object.hasOwn(network.attachments, primary) ? network.attachments[primary] : undefined;
  const mac = first?.macAddress ?? network.macAddress;
  if (primary !== null && others.length > 0) {
    return [
      ['--network', csv(networkFields(primary, { ...first, macAddress: mac }))],
      ...others.map(([name, attachment]): RunOption => ['--network', csv(networkFields(name, attachment))]),
      ...[first, ...others.map(([, attachment]) => attachment)].flatMap((attachment) => attachment?.links ?? []).map((link): RunOption => ['--link', link]),
      ...links,
    ];
  }
  const named = namespaces.network === 'default' ? '' : namespaces.network;
  const advanced = first !== undefined && (Object.keys(first.driverOptions).length > 0 || first.gatewayPriority !== null);
  return [
    ...(advanced && primary !== null
      ? [['--network', csv(networkFields(primary, { driverOptions: first.driverOptions, gatewayPriority: first.gatewayPriority }))] as const]
      : value('--network', named)),
    ...value('--ip', first?.ipv4 ?? null),
    ...value('--ip6', first?.ipv6 ?? null),
    ...(first?.linkLocalIps ?? []).map((address): RunOption => ['--link-local-ip', address]),
    ...(first?.aliases ?? []).map((alias): RunOption => ['--network-alias', alias]),
    ...value('--mac-address', mac),
    ...(first?.links ?? []).map((link): RunOption => ['--link', link]),
    ...links,
  ];
}

function networkFields(name: string, attachment: Partial<NetworkAttachment>): string[] {
  const { aliases = [], ipv4 = null, ipv6 = null, linkLocalIps = [], macAddress = null, driverOptions = {}, gatewayPriority = null } = attachment;
  return [
    `name=${name}`,
    ...aliases.map((alias) => `alias=${alias}`),
    ...(ipv4 === null ? [] : [`ip=${ipv4}`]),
    ...(ipv6 === null ? [] : [`ip6=${ipv6}`]),
    ...linkLocalIps.map((address) => `link-local-ip=${address}`),
    ...(macAddress === null ? [] : [`mac-address=${macAddress}`]),
    ...Object.entries(driverOptions).map(([option, given]) => `driver-opt=${option}=${given}`),
    ...(gatewayPriority === null ? [] : [`gw-priority=${gatewayPriority}`]),
  ];
}

function connectOptions({ aliases, links, ipv4, ipv6, linkLocalIps, driverOptions, gatewayPriority }: NetworkAttachment): string[] {
  return [
    ...aliases.flatMap((alias) => ['--alias', alias]),
    ...(ipv4 === null ? [] : ['--ip', ipv4]),
    ...(ipv6 === null ? [] : ['--ip6', ipv6]),
    ...linkLocalIps.flatMap((address) => ['--link-local-ip', address]),
    ...links.flatMap((link) => ['--link', link]),
    ...Object.entries(driverOptions).flatMap(([name, given]) => ['--driver-opt', `${name}=${given}`]),
    ...(gatewayPriority === null ? [] : ['--gw-priority', String(gatewayPriority)]),
  ];
}

function mountOption(mount: MountSpec): RunOption {
  const { via, target, options, readOnly } = mount;
  if (via === 'tmpfs') {
    const chosen = options.split(',').filter((option) => option !== '' && (readOnly || option !== 'ro'));
    const all = [...chosen, ...(readOnly && !chosen.includes('ro') ? ['ro'] : [])].join(',');
    return ['--tmpfs', all === '' ? target : `${target}:${all}`];
  }
  const [entry] = mountOf(mount);
  if (entry === undefined) return ['--volume', bindOf(mount)[0] ?? target];
  const bind = object(entry['BindOptions']);
  const volume = object(entry['VolumeOptions']);
  const tmpfs = object(entry['TmpfsOptions']);
  const recursion = bind['NonRecursive'] === true ? ['bind-nonrecursive']
    : bind['ReadOnlyNonRecursive'] === true ? ['bind-recursive=writable'] : bind['ReadOnlyForceRecursive'] === true ? ['bind-recursive=readonly'] : [];
  const field = (name: string, given: Json | undefined): string[] => (text(given) === '' ? [] : [`${name}=${text(given)}`]);
  const fields = [
    `type=${mount.kind}`,
    ...field('source', entry['Source']),
    `target=${target}`,
    ...(readOnly ? ['readonly'] : []),
    ...field('consistency', entry['Consistency']),
    ...field('bind-propagation', bind['Propagation']),
    ...recursion,
    ...(volume['NoCopy'] === true ? ['volume-nocopy'] : []),
    ...field('volume-subpath', volume['Subpath']),
    ...Object.entries(textRecord(volume['Labels'])).map(([name, given]) => `volume-label=${name}=${given}`),
    ...field('volume-driver', at(volume, 'DriverConfig', 'Name')),
    ...Object.entries(textRecord(at(volume, 'DriverConfig', 'Options'))).map(([name, given]) => `volume-opt=${name}=${given}`),
    ...(number(tmpfs['SizeBytes']) === 0 ? [] : [`tmpfs-size=${number(tmpfs['SizeBytes'])}`]),
    ...(number(tmpfs['Mode']) === 0 ? [] : [`tmpfs-mode=${number(tmpfs['Mode']).toString(8)}`]),
  ];
  return ['--mount', csv(fields)];
}

/** The commands of `runCommands` for a POSIX shell, one a line, with secrets masked: to be shown, not to be run. */
export const maskedRunLines = (spec: ContainerSpec, apiVersion: string): string[] => runCommands(masked(spec), apiVersion).map(shownLine);

/** The specification with what looks like a secret masked, in env, labels, log options, commands and everywhere else. */
function masked(spec: ContainerSpec): ContainerSpec {
  const rest = maskJson(spec as unknown as Json) as unknown as ContainerSpec;
  return {
    ...rest,
    env: spec.env.map(maskEnvironment),
    command: spec.command === null ? null : maskArguments(spec.command),
    entrypoint: spec.entrypoint === null ? null : maskArguments(spec.entrypoint),
    healthcheck: spec.healthcheck && { ...spec.healthcheck, test: maskArguments(spec.healthcheck.test) },
  };
}

/**
 * What the `docker run` line of `after` has and that of `before` has not, and the other way round, as text for a person, secrets masked.
 * An option whose value changed is in both; two options that differ in nothing but a secret look the same.
 */
export function optionChanges(before: ContainerSpec, after: ContainerSpec, apiVersion: string): { readonly removed: readonly string[]; readonly added: readonly string[] } {
  const [old, now] = [before, after].map((spec) => [
    ...runOptions(spec, apiVersion).map((option) => ({ key: JSON.stringify(option) })),
    { key: JSON.stringify(['', ...imageAndCommand(spec)]) },
  ].map(({ key }) => key));
  const shown = [before, after].map((spec) => {
    const hidden = masked(spec);
    return [...runOptions(hidden, apiVersion).map(([name, given]) => [name, ...(given === undefined ? [] : [shownWord(given)])].join(' ')), shownLine(imageAndCommand(hidden))];
  });
  const only = (mine: readonly string[] | undefined, theirs: readonly string[] | undefined, texts: readonly string[] | undefined): string[] => {
    const left = [...theirs ?? []];
    return (mine ?? []).flatMap((key, index) => {
      const found = left.indexOf(key);
      if (found >= 0) left.splice(found, 1);
      return found >= 0 ? [] : [texts?.[index] ?? ''];
    });
  };
  return { removed: only(old, now, shown[0]), added: only(now, old, shown[1]) };
}
