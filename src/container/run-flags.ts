/** How the docker client reads a flag's value, in the words of its own --help. */
type FlagType =
  | 'bool' | 'string' | 'list' | 'map' | 'int' | 'uint' | 'uint16' | 'bytes' | 'decimal' | 'duration' | 'mount' | 'network' | 'ulimit' | 'gpu-request';

/** One flag of `docker run` and `docker create`. */
export interface RunFlag {
  /** Without dashes, as --help has it. */
  readonly name: string;
  readonly short: string | null;
  readonly type: FlagType;
  /** Names that the client takes as well and does not show. */
  readonly aliases: readonly string[];
  /** `docker create` does not have it. */
  readonly runOnly: boolean;
  /** For Windows containers: the client refuses it for others. */
  readonly windows: boolean;
  /** Dotted paths of ContainerSpec to which it contributes; none: it is the client's own, or the model has no place for it. */
  readonly fields: readonly string[];
}

type Row = readonly [name: string, type: FlagType, fields?: readonly string[], more?: Partial<Pick<RunFlag, 'short' | 'aliases' | 'runOnly' | 'windows'>>];

/** Every flag of the clients 20.10 to 29, in the order of their --help (docker/cli, cli/command/container/opts.go). */
const ROWS: readonly Row[] = [
  ['add-host', 'list', ['network.extraHosts']],
  ['annotation', 'map', ['annotations']],
  ['attach', 'list', ['stdinOnce'], { short: 'a' }],
  ['blkio-weight', 'uint16', ['resources.blkioWeight']],
  ['blkio-weight-device', 'list', ['resources.blkioDevices']],
  ['cap-add', 'list', ['security.capAdd']],
  ['cap-drop', 'list', ['security.capDrop']],
  ['cgroup-parent', 'string', ['resources.cgroupParent']],
  ['cgroupns', 'string', ['namespaces.cgroup']],
  ['cidfile', 'string'],
  ['cpu-count', 'int', [], { windows: true }],
  ['cpu-percent', 'int', [], { windows: true }],
  ['cpu-period', 'int', ['resources.cpuPeriod']],
  ['cpu-quota', 'int', ['resources.cpuQuota']],
  ['cpu-rt-period', 'int', ['resources.cpuRealtimePeriod']],
  ['cpu-rt-runtime', 'int', ['resources.cpuRealtimeRuntime']],
  ['cpu-shares', 'int', ['resources.cpuShares'], { short: 'c' }],
  ['cpus', 'decimal', ['resources.nanoCpus']],
  ['cpuset-cpus', 'string', ['resources.cpusetCpus']],
  ['cpuset-mems', 'string', ['resources.cpusetMems']],
  ['detach', 'bool', ['stdinOnce'], { short: 'd', runOnly: true }],
  ['detach-keys', 'string', [], { runOnly: true }],
  ['device', 'list', ['resources.devices', 'resources.deviceRequests']],
  ['device-cgroup-rule', 'list', ['resources.deviceCgroupRules']],
  ['device-read-bps', 'list', ['resources.blkioDevices']],
  ['device-read-iops', 'list', ['resources.blkioDevices']],
  ['device-write-bps', 'list', ['resources.blkioDevices']],
  ['device-write-iops', 'list', ['resources.blkioDevices']],
  ['disable-content-trust', 'bool'],
  ['dns', 'list', ['network.dns']],
  ['dns-option', 'list', ['network.dnsOptions'], { aliases: ['dns-opt'] }],
  ['dns-search', 'list', ['network.dnsSearch']],
  ['domainname', 'string', ['domainname']],
  ['entrypoint', 'string', ['entrypoint']],
  ['env', 'list', ['env'], { short: 'e' }],
  ['env-file', 'list', ['env']],
  ['expose', 'list', ['network.exposed']],
  ['gpus', 'gpu-request', ['resources.deviceRequests']],
  ['group-add', 'list', ['security.groupAdd']],
  ['health-cmd', 'string', ['healthcheck']],
  ['health-interval', 'duration', ['healthcheck']],
  ['health-retries', 'int', ['healthcheck']],
  ['health-start-interval', 'duration', ['healthcheck']],
  ['health-start-period', 'duration', ['healthcheck']],
  ['health-timeout', 'duration', ['healthcheck']],
  ['help', 'bool'],
  ['hostname', 'string', ['hostname'], { short: 'h' }],
  ['init', 'bool', ['init']],
  ['interactive', 'bool', ['openStdin', 'stdinOnce'], { short: 'i' }],
  ['io-maxbandwidth', 'bytes', [], { windows: true }],
  ['io-maxiops', 'uint', [], { windows: true }],
  ['ip', 'string', ['network.attachments']],
  ['ip6', 'string', ['network.attachments']],
  ['ipc', 'string', ['namespaces.ipc']],
  ['isolation', 'string', ['isolation']],
  ['kernel-memory', 'bytes'],
  ['label', 'list', ['labels'], { short: 'l' }],
  ['label-file', 'list', ['labels']],
  ['link', 'list', ['network.links', 'network.attachments']],
  ['link-local-ip', 'list', ['network.attachments']],
  ['log-driver', 'string', ['log']],
  ['log-opt', 'list', ['log']],
  ['mac-address', 'string', ['network.macAddress', 'network.attachments']],
  ['memory', 'bytes', ['resources.memory'], { short: 'm' }],
  ['memory-reservation', 'bytes', ['resources.memoryReservation']],
  ['memory-swap', 'bytes', ['resources.memorySwap']],
  ['memory-swappiness', 'int', ['resources.memorySwappiness']],
  ['mount', 'mount', ['mounts']],
  ['name', 'string', ['name']],
  ['network', 'network', ['namespaces.network', 'network.attachments'], { aliases: ['net'] }],
  ['network-alias', 'list', ['network.attachments'], { aliases: ['net-alias'] }],
  ['no-healthcheck', 'bool', ['healthcheck']],
  ['oom-kill-disable', 'bool', ['resources.oomKillDisable']],
  ['oom-score-adj', 'int', ['resources.oomScoreAdj']],
  ['pid', 'string', ['namespaces.pid']],
  ['pids-limit', 'int', ['resources.pidsLimit']],
  ['platform', 'string'],
  ['privileged', 'bool', ['security.privileged']],
  ['publish', 'list', ['network.ports', 'network.exposed'], { short: 'p' }],
  ['publish-all', 'bool', ['network.publishAll'], { short: 'P' }],
  ['pull', 'string'],
  ['quiet', 'bool', [], { short: 'q' }],
  ['read-only', 'bool', ['security.readonlyRootfs']],
  ['restart', 'string', ['restart']],
  ['rm', 'bool', ['autoRemove']],
  ['runtime', 'string', ['runtime']],
  ['security-opt', 'list', [
    'security.noNewPrivileges', 'security.seccomp', 'security.apparmor', 'security.labels', 'security.systemPathsUnconfined', 'security.other',
  ]],
  ['shm-size', 'bytes', ['resources.shmSize']],
  ['sig-proxy', 'bool', [], { runOnly: true }],
  ['stop-signal', 'string', ['stopSignal']],
  ['stop-timeout', 'int', ['stopTimeoutSeconds']],
  ['storage-opt', 'list', ['storageOptions']],
  ['sysctl', 'map', ['network.sysctls']],
  ['tmpfs', 'list', ['mounts']],
  ['tty', 'bool', ['tty'], { short: 't' }],
  ['ulimit', 'ulimit', ['resources.ulimits']],
  ['use-api-socket', 'bool', ['mounts']],
  ['user', 'string', ['user'], { short: 'u' }],
  ['userns', 'string', ['namespaces.userns']],
  ['uts', 'string', ['namespaces.uts']],
  ['volume', 'list', ['mounts'], { short: 'v' }],
  ['volume-driver', 'string'],
  ['volumes-from', 'list', ['volumesFrom']],
  ['workdir', 'string', ['workingDir'], { short: 'w' }],
];

export const RUN_FLAGS: readonly RunFlag[] = ROWS.map(([name, type, fields = [], { short = null, aliases = [], runOnly = false, windows = false } = {}]) => ({
  name, short, type, aliases, runOnly, windows, fields,
}));

export const FLAG_BY_NAME: ReadonlyMap<string, RunFlag> = new Map(RUN_FLAGS.flatMap((flag) => [flag.name, ...flag.aliases].map((name) => [name, flag])));
export const FLAG_BY_SHORT: ReadonlyMap<string, RunFlag> = new Map(RUN_FLAGS.flatMap((flag) => flag.short === null ? [] : [[flag.short, flag]]));

/** Flags of `docker` itself, which stand before the command; those of `sudo` that change nothing of the line. True: a value follows. */
export const DOCKER_FLAGS: ReadonlyMap<string, boolean> = new Map([
  ['--config', true], ['--context', true], ['-c', true], ['--host', true], ['-H', true], ['--log-level', true], ['-l', true],
  ['--tlscacert', true], ['--tlscert', true], ['--tlskey', true], ['--debug', false], ['-D', false], ['--tls', false], ['--tlsverify', false],
]);
export const SUDO_FLAGS: ReadonlyMap<string, boolean> = new Map([
  ['--user', true], ['-u', true], ['--group', true], ['-g', true], ['--preserve-env', false], ['-E', false], ['--non-interactive', false], ['-n', false],
  ['--set-home', false], ['-H', false], ['--', false],
]);
