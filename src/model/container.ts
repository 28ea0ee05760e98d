import type { Json, Observed } from './base.ts';
import type { FileStat, ImageAccounts, ImageFilesystem } from './facts.ts';

export interface ContainerFacts {
  readonly id: string;
  /** Without the leading slash. */
  readonly name: string;
  readonly spec: Observed<ContainerSpec>;
  /** JSON paths of the inspect object that the model has no place for, e.g. "HostConfig.NewField". */
  readonly unmodelled: readonly string[];
  readonly runtime: Observed<ContainerRuntime>;
  readonly owner: Owner;
  /** What was measured for parameters and guards; missing when nobody asked, as in a scan. */
  readonly evidence?: ContainerEvidence;
  /** Names of its processes, seen from outside (/proc, or GET /containers/ID/top of an engine elsewhere); absent: nothing runs; missing when nobody asked. */
  readonly processes?: Observed<readonly string[]>;
  /** Its `docker exec` sessions that are open (ExecIDs, GET /exec/ID/json); missing when nobody asked. `user` is "" for the container's own. */
  readonly execs?: Observed<readonly { readonly id: string; readonly privileged: boolean; readonly user: string }[]>;
  /** What its processes listen on, of one that is on the network of the host, or was told to be root although its image is not; absent: nothing runs; missing for others, and when nobody asked. `loopback`: only the host itself reaches it. */
  readonly listening?: Observed<readonly { readonly port: number; readonly protocol: 'tcp' | 'udp'; readonly loopback: boolean }[]>;
  /** What holds for its first process (/proc/PID/limits, /proc/PID/status); absent: nothing runs; missing where the engine is not this host's. */
  readonly inForce?: Observed<InForce>;
  /** What it added to the files of its image or changed of them; missing where nobody looked inside (--deep). */
  readonly added?: Observed<AddedFiles>;
}

/**
 * What checks ask about the files that a container wrote outside of mounts. What its image has in the same way is left out, as far as somebody looked
 * into the image. Paths are absolute; contents are never kept.
 */
export interface AddedFiles {
  /** How many files and directories it added or changed, apart from what the engine makes. */
  readonly changed: number;
  readonly setuid: ImageFilesystem['setuid'];
  /** Private keys and credentials: `what` says which kind. */
  readonly secrets: readonly { readonly path: string; readonly what: string }[];
  /** Of passwd, shadow and group those that it changed; absent: none. */
  readonly accounts: Observed<ImageAccounts>;
}

/** What the kernel holds a process to. */
export interface InForce {
  /** By the names of `docker run --ulimit`; -1: unlimited. */
  readonly ulimits: readonly { readonly name: string; readonly soft: number; readonly hard: number }[];
  readonly seccomp: 'off' | 'strict' | 'filter';
  readonly noNewPrivileges: boolean;
  /** The bounding set: what any process of it can ever have. Upper case, without CAP_. */
  readonly capabilities: readonly string[];
}

/** What a container uses and has written: nothing that it was configured with. */
export interface ContainerEvidence {
  /** Its writable layer against its image (GET /containers/ID/changes). */
  readonly changes: Observed<readonly { readonly kind: 'modified' | 'added' | 'deleted'; readonly path: string }[]>;
  /** Bytes (GET /containers/ID/stats): `anonymous` is what cannot be given back under pressure, `peak` the most since it started, page cache included; null: not said. */
  readonly memory: Observed<{ readonly current: number; readonly anonymous: number; readonly peak: number | null }>;
  /** Processes and threads now. */
  readonly pids: Observed<number>;
  /** Of containers that were told to be root although their image is not; missing of others, and where the engine is not this host's. */
  readonly ownership?: Ownership;
}

/** What decides whether a container could run as somebody else. */
export interface Ownership {
  /** Of the container's own files; a container without such files has none. */
  readonly accounts: Observed<ContainerAccounts>;
  /** What is mounted from the host, volumes included. */
  readonly mounts: readonly { readonly target: string; readonly readOnly: boolean; readonly files: Observed<OwnedFiles> }[];
  /** In its writable layer: files that it changed, and directories in which it made or removed some. */
  readonly written: readonly { readonly path: string; readonly owner: Observed<Owned> }[];
  /** The first port that others than root may listen on, on the network of the host (net.ipv4.ip_unprivileged_port_start); missing of those with a network of their own. */
  readonly hostPortStart?: Observed<number>;
}

/** passwd(5) and group(5) of a container. */
export interface ContainerAccounts {
  readonly users: readonly { readonly name: string; readonly uid: number; readonly gid: number }[];
  readonly groups: readonly { readonly name: string; readonly gid: number; readonly members: readonly string[] }[];
}

/** Whose a file is, and who may use it; `mode` as in FileStat. */
export type Owned = Pick<FileStat, 'type' | 'mode' | 'uid' | 'gid' | 'mtimeMs'>;

/** One file of each owner, mode and type below a directory, "" for itself: the one that changed last. `complete`: none was left out. */
export interface OwnedFiles {
  readonly complete: boolean;
  readonly samples: readonly (Owned & { readonly path: string })[];
}

/** Who would undo or fight a change that is made behind its back. */
export type Owner =
  | { readonly kind: 'none' }
  | {
    readonly kind: 'compose'; readonly project: string; readonly service: string; readonly files: readonly string[]; readonly workingDir: string; readonly configHash: string;
    /** `--env-file`; missing in snapshots of an older harden, as is `oneOff`. */
    readonly environmentFiles?: readonly string[];
    /** Made by `compose run`: no `up` makes it again. */
    readonly oneOff?: boolean;
    /** Of the Compose that made it: "1.29.2"; missing in snapshots of an older harden, and where no label says it. */
    readonly version?: string;
  }
  /** `id` is the service's; missing in snapshots of an older harden, and where no label says it. */
  | { readonly kind: 'swarm'; readonly service: string; readonly task: string; readonly id?: string }
  | { readonly kind: 'kubernetes'; readonly namespace: string; readonly pod: string }
  | { readonly kind: 'nomad' | 'portainer' | 'systemd' | 'podman'; readonly name: string };

/** What is true of a container now and was not chosen by the user. */
export interface ContainerRuntime {
  readonly state: 'created' | 'running' | 'paused' | 'restarting' | 'removing' | 'exited' | 'dead';
  readonly pid: number;
  readonly startedAt: string;
  /** How often its restart policy started it since somebody last did (RestartCount); missing in snapshots of an older harden. */
  readonly restarts?: number;
  /** When it was created and when it last stopped, as the engine writes it; "0001-01-01T00:00:00Z" for never. */
  readonly createdAt?: string;
  readonly finishedAt?: string;
  readonly health: 'starting' | 'healthy' | 'unhealthy' | 'none';
  /** Published ports in force (NetworkSettings.Ports). */
  readonly ports: readonly { readonly ip: string; readonly hostPort: number; readonly containerPort: number; readonly protocol: string }[];
  readonly networks: readonly { readonly name: string; readonly networkId: string; readonly ip: string; readonly ip6: string }[];
  /** What inspect shows beyond that; missing in snapshots of an older harden. */
  readonly applied?: AppliedSettings;
}

/** What the engine made of the user's choices. */
export interface AppliedSettings {
  /** ISO 8601, when the container was created. */
  readonly createdAt: string;
  /** It was started so that a client is attached to its streams (docker run without -d). */
  readonly attached?: boolean;
  /** AppArmorProfile of the last start; "" before the first one, and where nothing confines it. */
  readonly apparmor: string;
  /** ProcessLabel: the SELinux context; "" without SELinux. */
  readonly processLabel: string;
  /** How many `docker exec` sessions are open (ExecIDs). */
  readonly openExecs: number;
  /** Everything that is mounted, also what comes from other containers' volumes. `source` is a host path. */
  readonly mounts: readonly {
    readonly kind: string; readonly source: string; readonly target: string; readonly readOnly: boolean; readonly propagation: string;
  }[];
}

/**
 * What the user chose for a container, whatever it was read from (inspect, compose, `docker run`). Field names follow the
 * Engine API; `null` and [] mean "not chosen: the engine's or the image's default".
 *
 * Parsers keep what was written and add no default of the daemon or the image, so that the same container gives the same specification
 * from a `docker run` line, a compose file and, after src/container/chosen.ts, from inspect.
 */
export interface ContainerSpec {
  readonly name: string;
  readonly image: { readonly reference: string; readonly id: string | null };
  /** [""] takes away the image's, as `--entrypoint ""` does. With one of its own, a container does not get the image's command. */
  readonly entrypoint: readonly string[] | null;
  readonly command: readonly string[] | null;
  readonly workingDir: string | null;
  readonly user: string | null;
  /** NAME=value, or a bare NAME. Values may be secret. */
  readonly env: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly hostname: string | null;
  readonly domainname: string | null;
  readonly tty: boolean;
  readonly openStdin: boolean;
  /** What `-i` without `-d` asks for: standard input ends with the client that attached to it. */
  readonly stdinOnce: boolean;
  readonly init: boolean | null;
  readonly stopSignal: string | null;
  readonly stopTimeoutSeconds: number | null;
  readonly restart: { readonly name: 'no' | 'always' | 'unless-stopped' | 'on-failure'; readonly maximumRetryCount: number };
  readonly autoRemove: boolean;
  readonly runtime: string | null;
  readonly isolation: string | null;
  readonly healthcheck: Healthcheck | null;
  readonly log: { readonly driver: string; readonly options: Readonly<Record<string, string>> } | null;
  readonly resources: ContainerResources;
  readonly security: ContainerSecurity;
  readonly namespaces: ContainerNamespaces;
  readonly network: ContainerNetwork;
  readonly mounts: readonly MountSpec[];
  readonly volumesFrom: readonly string[];
  readonly storageOptions: Readonly<Record<string, string>>;
}

export interface Healthcheck {
  /** ["NONE"], ["CMD", …] or ["CMD-SHELL", line]. */
  readonly test: readonly string[];
  /** Nanoseconds, as in the API; 0 means the default. */
  readonly interval: number;
  readonly timeout: number;
  readonly startPeriod: number;
  readonly startInterval: number;
  readonly retries: number;
}

/** Sizes in bytes; null: not chosen. */
export interface ContainerResources {
  readonly memory: number | null;
  readonly memorySwap: number | null;
  readonly memoryReservation: number | null;
  readonly memorySwappiness: number | null;
  readonly cpuShares: number | null;
  readonly nanoCpus: number | null;
  readonly cpuPeriod: number | null;
  readonly cpuQuota: number | null;
  readonly cpuRealtimePeriod: number | null;
  readonly cpuRealtimeRuntime: number | null;
  readonly cpusetCpus: string | null;
  readonly cpusetMems: string | null;
  readonly pidsLimit: number | null;
  readonly blkioWeight: number | null;
  /** BlkioWeightDevice, BlkioDeviceReadBps, … by API name. */
  readonly blkioDevices: Readonly<Record<string, Json>>;
  readonly shmSize: number | null;
  readonly oomKillDisable: boolean;
  readonly oomScoreAdj: number | null;
  readonly ulimits: readonly { readonly name: string; readonly soft: number; readonly hard: number }[];
  readonly cgroupParent: string | null;
  readonly devices: readonly { readonly host: string; readonly container: string; readonly permissions: string }[];
  readonly deviceCgroupRules: readonly string[];
  /** DeviceRequests as the API gives them (GPUs, CDI). */
  readonly deviceRequests: readonly Json[];
}

export interface ContainerSecurity {
  readonly privileged: boolean;
  /** Upper case, without CAP_; "ALL" as is. */
  readonly capAdd: readonly string[];
  readonly capDrop: readonly string[];
  readonly readonlyRootfs: boolean;
  readonly noNewPrivileges: boolean | null;
  /** unconfined, builtin, or the profile's JSON as a string. */
  readonly seccomp: string | null;
  readonly apparmor: string | null;
  /** SELinux: label=… options, without "label=". */
  readonly labels: readonly string[];
  /** --security-opt systempaths=unconfined. */
  readonly systemPathsUnconfined: boolean;
  readonly groupAdd: readonly string[];
  /** Any other --security-opt, verbatim. */
  readonly other: readonly string[];
}

/** As the API has them: "", "host", "private", "shareable", "container:<name or id>", a network's name. */
export interface ContainerNamespaces {
  readonly network: string;
  readonly pid: string;
  readonly ipc: string;
  readonly uts: string;
  readonly userns: string;
  readonly cgroup: string;
}

export interface ContainerNetwork {
  /** By network name. A network that `namespaces.network` names need not be here when nothing was chosen for it. */
  readonly attachments: Readonly<Record<string, NetworkAttachment>>;
  readonly ports: readonly { readonly ip: string; readonly hostPort: string; readonly containerPort: number; readonly protocol: string }[];
  /** "80/tcp"; those of published ports may be among them or not. */
  readonly exposed: readonly string[];
  readonly publishAll: boolean;
  readonly dns: readonly string[];
  readonly dnsOptions: readonly string[];
  readonly dnsSearch: readonly string[];
  readonly extraHosts: readonly string[];
  /** "name:alias"; from inspect "/name:/self/alias". */
  readonly links: readonly string[];
  /** Of the network that `namespaces.network` names. */
  readonly macAddress: string | null;
  readonly sysctls: Readonly<Record<string, string>>;
}

export interface NetworkAttachment {
  readonly aliases: readonly string[];
  readonly links: readonly string[];
  readonly ipv4: string | null;
  readonly ipv6: string | null;
  readonly linkLocalIps: readonly string[];
  readonly macAddress: string | null;
  readonly driverOptions: Readonly<Record<string, string>>;
  readonly gatewayPriority: number | null;
}

export interface MountSpec {
  readonly kind: 'bind' | 'volume' | 'tmpfs' | 'npipe' | 'cluster' | 'image';
  /** How it was asked for: `-v`, `--mount`, `--tmpfs`, or an image's VOLUME. */
  readonly via: 'binds' | 'mounts' | 'tmpfs' | 'image';
  /** Host path, volume name, or "" (anonymous, tmpfs). */
  readonly source: string;
  readonly target: string;
  readonly readOnly: boolean;
  /** -v's third field, or --tmpfs options, verbatim. */
  readonly options: string;
  /** BindOptions, VolumeOptions, TmpfsOptions of --mount, as the API gives them. */
  readonly details: Json;
  /** The volume that an anonymous one is in force with: its 64-hex name. null: a new one, or not anonymous. */
  readonly volume: string | null;
}

/** What an edit of a specification may set as a whole: the dotted path of a field of ContainerSpec. */
export const SETTABLE = [
  'image.reference', 'user', 'restart', 'healthcheck', 'log', 'init',
  'resources.memory', 'resources.memorySwap', 'resources.cpuShares', 'resources.nanoCpus', 'resources.pidsLimit', 'resources.cgroupParent',
  'security.privileged', 'security.readonlyRootfs', 'security.noNewPrivileges', 'security.seccomp', 'security.apparmor',
  'namespaces.network', 'namespaces.pid', 'namespaces.ipc', 'namespaces.uts', 'namespaces.userns', 'namespaces.cgroup',
] as const;
/** Lists of ContainerSpec of which an edit adds, removes or replaces single items. */
export const LISTS = [
  'security.capAdd', 'security.capDrop', 'security.labels', 'security.other', 'resources.ulimits', 'resources.devices', 'network.ports', 'mounts',
] as const;

export type SettablePath = (typeof SETTABLE)[number];
export type ListPath = (typeof LISTS)[number];

/**
 * One intended change of a container, in the words of ContainerSpec: the same for a live update, a recreate, a compose file, a service
 * and a `docker run` line. `value` has the type of the field or of the list's items; null sets back to "not chosen".
 */
export type SpecEdit =
  | { readonly op: 'set'; readonly path: SettablePath; readonly value: Json }
  /** Adds an item unless an equal one is there. */
  | { readonly op: 'add'; readonly path: ListPath; readonly value: Json }
  /** Removes the item that equals `value`. */
  | { readonly op: 'remove'; readonly path: ListPath; readonly value: Json }
  /** Puts `by` where the item that equals `value` stands. */
  | { readonly op: 'replace'; readonly path: ListPath; readonly value: Json; readonly by: Json };
