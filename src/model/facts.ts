import type { ContainerFacts, Healthcheck } from './container.ts';
import type { JsonObject, Observed, ToolStamp } from './base.ts';

/**
 * Everything known about one host, gathered once. Plain JSON, so any run can become a fixture.
 * When the engine is not proven to be this host's, everything but `engine`, `containers`, `images`, `networks`
 * is `unreadable: the engine is remote`.
 */
export interface Facts {
  readonly schemaVersion: 1;
  readonly tool: ToolStamp;
  /** ISO 8601 UTC. */
  readonly collectedAt: string;
  /** Files whose text here is not theirs, because a snapshot has no secrets: what a change of them would write cannot be said. Missing where there are none. */
  readonly masked?: readonly string[];
  readonly host: HostFacts;
  readonly engine: EngineFacts;
  readonly daemon: DaemonFacts;
  /** By absolute path as it was asked for; a path that nobody asked for is missing. */
  readonly files: Readonly<Record<string, Observed<FileStat>>>;
  /** Absolute paths of everything below /etc/docker/certs.d (each is in `files` too); absent when the directory is. */
  readonly registryCerts: Observed<readonly string[]>;
  /** Texts of the files that harden manages as a whole (src/managed.ts), by path. */
  readonly managed?: Readonly<Record<string, Observed<string>>>;
  readonly audit: AuditFacts;
  readonly accounts: Observed<AccountFacts>;
  readonly containers: Observed<readonly ContainerFacts[]>;
  readonly images: Observed<readonly ImageFacts[]>;
  readonly networks: Observed<readonly NetworkFacts[]>;
  /** Which `docker exec` sessions were started, as far as the engine's events tell (GET /events); missing in a snapshot that did not ask. */
  readonly execHistory?: Observed<ExecHistory>;
  /** Names of volumes (GET /volumes); missing in a snapshot that did not ask. */
  readonly volumes?: Observed<readonly string[]>;
  /** Plugins that the engine manages (GET /plugins); missing in a snapshot that did not ask. */
  readonly plugins?: Observed<readonly PluginFacts[]>;
  /** What takes space on the engine's disk (GET /system/df); missing where nobody asked, since measuring may take the engine minutes. */
  readonly diskUsage?: Observed<DiskUsage>;
  /** What only a manager of an active swarm knows; absent: this node is none. Missing in a snapshot that did not ask. */
  readonly swarm?: Observed<SwarmFacts>;
  /** How this node listens in its swarm (DATA/swarm/docker-state.json); absent: it is in no swarm. */
  readonly swarmNode?: Observed<SwarmNodeFacts>;
  /** The projects of Docker Compose that have containers here; missing where no plan is made, and in a snapshot that did not ask. */
  readonly compose?: Observed<readonly ComposeFacts[]>;
  /** Where DOCKER_CONTENT_TRUST is set, and to what: this process, and the files that logins read. */
  readonly contentTrust?: Observed<readonly { readonly source: string; readonly value: string }[]>;
  /** What scanners wrote about images (--vulnerabilities); missing when nobody gave a report. */
  readonly vulnerabilities?: readonly VulnerabilityScan[];
  /** What --image named, a reference or a path: nothing but that image was looked at. */
  readonly onlyImage?: string;
}

/** A plugin that the engine manages. */
export interface PluginFacts {
  /** As `docker plugin ls` shows it. */
  readonly name: string;
  readonly enabled: boolean;
  /** What it does for the engine: "volumedriver", "networkdriver", "logdriver", "authz", … */
  readonly types: readonly string[];
}

/** Bytes; null: the engine does not say. Volumes are not measured: what is in one is data, whether or not a container uses it now. */
export interface DiskUsage {
  /** All layers of all images, each counted once. */
  readonly layers: number;
  /** `shared`: what of an image's layers others have too. */
  readonly images: readonly { readonly id: string; readonly size: number; readonly shared: number | null }[];
  /** What containers wrote outside of their mounts. */
  readonly containers: readonly { readonly id: string; readonly written: number | null }[];
  /** Of the build cache what no build uses now and no image shares. */
  readonly buildCache: number;
}

/** A project of Docker Compose, by the labels of its containers, which anybody may write: paths are a claim until `rehearsal` is there. */
export interface ComposeFacts {
  readonly project: string;
  /** Absolute: --project-directory. */
  readonly workingDir: string;
  /** Absolute, in the order of `-f`. */
  readonly files: readonly string[];
  /** Absolute: --env-file; [] for the project directory's own .env. */
  readonly environmentFiles: readonly string[];
  /** Of `files`, and of the files that `extends` names there, by path. They may hold secrets, and no snapshot has them. */
  readonly texts: Readonly<Record<string, Observed<string>>>;
  /** Files besides `texts` that Compose reads, as far as the texts name them: env files, included ones. Each is in Facts.files. */
  readonly reads: readonly string[];
  /** What `up` would do now, with the files as they are: asked of Compose itself. */
  readonly rehearsal: Observed<ComposeRehearsal>;
}

export interface ComposeRehearsal {
  readonly tool: 'docker' | 'docker-compose';
  /** Names of containers that `up` would leave as they are: made of these files, with the image that the tag stands for now. */
  readonly unchanged: readonly string[];
}

export type ServiceManager = 'systemd' | 'sysvinit' | 'none';

export interface HostFacts {
  readonly hostname: string;
  /** Tells machines of one name apart: SHA-256, in hex, of "harden host " and /etc/machine-id, which itself is nobody's business (machine-id(5)). Snapshots of earlier versions lack it. */
  readonly machine?: Observed<string>;
  /** From os-release(5). */
  readonly os: Observed<{ readonly id: string; readonly versionId: string; readonly name: string }>;
  /** uname -r of the engine's host. */
  readonly kernel: Observed<string>;
  /** Kernel architecture as uname -m says it: x86_64, aarch64, … */
  readonly architecture: string;
  /** Active security modules (/sys/kernel/security/lsm): apparmor, selinux, … */
  readonly lsm: Observed<readonly string[]>;
  readonly serviceManager: Observed<ServiceManager>;
  /** Effective uid of this process: 0 is what most host facts need. */
  readonly euid: number;
  /** /proc/self/mountinfo. */
  readonly mounts: Observed<readonly MountPoint[]>;
  /** True when an interface has an IPv6 address of global scope (/proc/net/if_inet6). */
  readonly globalIpv6: Observed<boolean>;
  /** True when systemd-tmpfiles is there to make directories below /run at boot (tmpfiles.d(5)). */
  readonly tmpfiles: Observed<boolean>;
}

export interface MountPoint {
  readonly mountPoint: string;
  readonly fsType: string;
  readonly source: string;
}

export interface EngineFacts {
  /** unix:///var/run/docker.sock, tcp://…, as used. */
  readonly endpoint: string;
  /** Present only when a dockerd process that we can see holds the endpoint's socket and sees the same files as we do. absent: proven remote. */
  readonly local: Observed<{ readonly pid: number }>;
  readonly version: Observed<EngineVersion>;
  readonly info: Observed<EngineInfo>;
}

/** GET /version. */
export interface EngineVersion {
  readonly version: string;
  readonly apiVersion: string;
  readonly minApiVersion: string;
  readonly experimental: boolean;
  /** Docker Engine says "Docker Engine - Community" or ""; Podman says "Podman Engine". */
  readonly platform: string;
}

/** GET /info, the fields that are looked at. */
export interface EngineInfo {
  readonly id: string;
  readonly name: string;
  readonly storageDriver: string;
  readonly dockerRootDir: string;
  readonly loggingDriver: string;
  readonly cgroupDriver: string;
  readonly cgroupVersion: string;
  /** "name=seccomp,profile=default", "name=rootless", "name=userns", "name=no-new-privileges", … */
  readonly securityOptions: readonly string[];
  /** null when the engine does not say. */
  readonly liveRestore: boolean | null;
  readonly debug: boolean;
  readonly experimental: boolean;
  /** InsecureRegistryCIDRs plus the names of IndexConfigs with Secure=false. */
  readonly insecureRegistries: readonly string[];
  readonly registryMirrors: readonly string[];
  readonly authorizationPlugins: readonly string[];
  readonly swarm: { readonly state: string; readonly manager: boolean };
  readonly containers: number;
  readonly containersRunning: number;
  readonly images: number;
  readonly memoryBytes: number;
  readonly cpus: number;
}

export interface DaemonFacts {
  /** The file that the daemon reads: --config-file, else ~/.config/docker/daemon.json (rootless), else /etc/docker/daemon.json. */
  readonly configPath: string;
  readonly config: Observed<ConfigFile>;
  /**
   * The daemon.json that the running daemon started with, when that is known: the file itself if it has not changed since,
   * or what harden noted when it changed the file without a restart. absent: it started without a file.
   */
  readonly startedWith?: Observed<ConfigFile>;
  /** The dockerd process that serves the endpoint. */
  readonly process: Observed<DaemonProcess>;
  /** The unit whose main process the daemon is (its name from /proc/PID/cgroup, the rest from systemctl show). absent: not run by a systemd system unit. */
  readonly unit: Observed<UnitFacts>;
  /** docker.socket, when the host has it. */
  readonly socketUnit: Observed<SocketUnitFacts>;
  /** Socket units of other names that systemd hands to the daemon's unit: active ones and enabled ones. */
  readonly otherSockets?: Observed<readonly { readonly name: string; readonly listen: readonly string[] }[]>;
  /** /etc/default/docker, /etc/sysconfig/docker and the unit's EnvironmentFiles, by path. */
  readonly environmentFiles: Readonly<Record<string, Observed<string>>>;
}

/** daemon.json as it is on disk. */
export interface ConfigFile {
  /** The whole text, without a byte order mark. */
  readonly text: string;
  readonly bom: boolean;
  /** The object that dockerd reads from it ({} for an empty file), or why it cannot. Lines and columns count from 1. */
  readonly parsed: { readonly ok: true; readonly value: JsonObject } | { readonly ok: false; readonly error: string; readonly line: number; readonly column: number };
}

export interface DaemonProcess {
  readonly pid: number;
  readonly uid: number;
  readonly argv: readonly string[];
  /** ISO 8601 UTC, precise to 10 ms or so (/proc/PID/stat field 22). */
  readonly startedAt: string;
}

export interface UnitFacts {
  readonly name: string;
  readonly fragmentPath: string;
  readonly dropInPaths: readonly string[];
  readonly mainPid: number;
  readonly killMode: string;
  readonly canReload: boolean;
  /** Text of the fragment and of each drop-in, by path, in the order in which systemd reads them. */
  readonly sources: readonly { readonly path: string; readonly text: string }[];
  /** EnvironmentFile= entries in order; `optional` when written with a leading "-". */
  readonly environmentFiles: readonly { readonly path: string; readonly optional: boolean }[];
}

export interface SocketUnitFacts {
  readonly fragmentPath: string;
  readonly dropInPaths: readonly string[];
  /** Listen= paths and addresses. */
  readonly listen: readonly string[];
  /** SocketMode= as octal number. */
  readonly mode: number;
  readonly user: string;
  readonly group: string;
  readonly active: boolean;
}

export type FileType = 'file' | 'directory' | 'socket' | 'symlink' | 'fifo' | 'device';

/** stat(2) of what a path leads to; symbolic links are followed and `realPath` says where they ended. */
export interface FileStat {
  readonly type: FileType;
  readonly realPath: string;
  /** Permission bits including setuid, setgid, sticky (07777). */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly dev: number;
  readonly ino: number;
  readonly nlink: number;
  readonly mtimeMs: number;
  readonly ctimeMs: number;
  /** The latest ctime of the symbolic links that were followed to `realPath`; missing when none was. */
  readonly linksChangedMs?: number;
  /** The path itself is a symbolic link; links among its directories (/var/run, /lib) are none. */
  readonly isLink?: true;
  /** An access control list (acl(5)) lets in others than owner, group and mode say. Looked at for sockets only: elsewhere the group bits show it. */
  readonly hasAcl?: true;
}

export interface AccountFacts {
  readonly users: readonly { readonly name: string; readonly uid: number; readonly gid: number }[];
  readonly groups: readonly { readonly name: string; readonly gid: number; readonly members: readonly string[] }[];
}

export interface AuditFacts {
  /** auditctl -v; absent when there is no auditctl. */
  readonly version: Observed<string>;
  /** auditctl -s: 0 off, 1 on, 2 on and locked until reboot. */
  readonly enabled: Observed<0 | 1 | 2>;
  /** auditctl -l, in the kernel's order (first match wins). */
  readonly loaded: Observed<readonly AuditRule[]>;
  /** What the next boot loads, in load order: the merged order of rules.d/*.rules, or audit.rules where augenrules is missing. */
  readonly persistent: Observed<readonly AuditRule[]>;
  /** Whether the next boot's rules are made from rules.d; false also where audit.rules is written by hand. */
  readonly augenrules: boolean;
  /** The first persistent line at which loading ends (auditctl -R stops at an error unless -c or -i came before): nothing after it is loaded. */
  readonly stop?: {
    readonly source: AuditSource;
    readonly reason: string;
    /** The file whose first line is glued to this one, which has no final newline: a file between the two parts them. */
    readonly gluedTo?: string;
  };
  /** The first -c or -i: errors after it do not end the load. */
  readonly continuesFrom?: AuditSource;
  /** The value of the last persistent -e. */
  readonly bootEnabled?: 0 | 1 | 2;
}

export interface AuditSource {
  readonly path: string;
  readonly line: number;
}

/**
 * One audit rule: a watch (-w), a syscall rule on a path (-a … -F path= / -F dir=), or one that names no path and keeps
 * records from being made (never, task, exclude, filesystem). Rules about anything else are not kept.
 */
export interface AuditRule {
  readonly text: string;
  /** Where a persistent rule stands. */
  readonly source?: AuditSource;
  readonly action: 'always' | 'never' | 'possible';
  readonly list: string;
  /** `watch`: -w, a file or a directory with all below it. `path`: one inode. `dir`: recursive. `any`: no path. */
  readonly match: 'watch' | 'path' | 'dir' | 'any';
  /** Empty for `any`. */
  readonly path: string;
  /** Subset of "rwxa", in that order. */
  readonly perms: string;
  /** b64, b32; null: all. */
  readonly arch: string | null;
  /** null: all. */
  readonly syscalls: readonly string[] | null;
  readonly key: string | null;
  /** Fields that narrow the rule, verbatim: "auid>=1000", "uid=0", … */
  readonly filters: readonly string[];
}

export interface ImageFacts {
  readonly id: string;
  readonly tags: readonly string[];
  readonly digests: readonly string[];
  readonly createdAt: string;
  readonly sizeBytes: number;
  /** When a tag was last put on it here (GET /images/ID/json Metadata.LastTagTime); null: never, or not said. */
  readonly lastTaggedAt?: string | null;
  /** What containers of it start with (GET /images/ID/json Config). */
  readonly config?: Observed<ImageConfig>;
  /** GET /images/ID/history, oldest first. */
  readonly history?: Observed<readonly ImageHistoryEntry[]>;
  /** What its layers hold; missing where nobody looked inside (--deep). */
  readonly filesystem?: Observed<ImageFilesystem>;
}

/**
 * What checks ask about the files of an image, read from its layers as a tar stream. Paths are absolute, as in a container; contents are
 * never kept. `layer` counts from 1 at the lowest; `removed`: a layer above removed or replaced it, and the image still carries it.
 */
export interface ImageFilesystem {
  readonly layers: number;
  /** "linux/amd64", where the image is one of several of a list; null: it is the only one. */
  readonly platform: string | null;
  /** Setuid and setgid files that a container sees; mode as in chmod(1), special bits included. */
  readonly setuid: readonly { readonly path: string; readonly mode: number; readonly uid: number; readonly gid: number }[];
  /** Private keys and credentials, in any layer: `what` says which kind. */
  readonly secrets: readonly { readonly path: string; readonly what: string; readonly layer: number; readonly removed: boolean }[];
  readonly leftovers: readonly ImageLeftover[];
  /** absent: the image has no passwd, shadow and group. */
  readonly accounts: Observed<ImageAccounts>;
  /** By the database of each package manager that is there; null: it is there, and its count is not known. */
  readonly packages: readonly { readonly manager: 'dpkg' | 'apk' | 'rpm'; readonly count: number | null }[];
}

/** Files that nothing needs at run time: `cache` of a package manager, or `unneeded`. */
export interface ImageLeftover {
  readonly kind: 'cache' | 'unneeded';
  readonly path: string;
  readonly files: number;
  readonly layer: number;
  readonly removed: boolean;
}

export interface ImageAccounts {
  /** What several accounts or groups share: `value` is the number or the name, `names` who has it. */
  readonly duplicates: readonly { readonly kind: 'uid' | 'user' | 'gid' | 'group'; readonly value: string; readonly names: readonly string[] }[];
  /** Accounts whose password field is empty, which lets anybody in. */
  readonly emptyPasswords: readonly { readonly name: string; readonly file: string }[];
}

export interface ImageConfig {
  /** "", or a name or number with an optional group: what follows ":". */
  readonly user: string;
  /** NAME=value. Values may be secret. */
  readonly env: readonly string[];
  /** null: the image says nothing about health. */
  readonly healthcheck: Healthcheck | null;
  readonly labels: Readonly<Record<string, string>>;
  /** Mount points that are volumes. */
  readonly volumes: readonly string[];
  readonly exposed: readonly string[];
  readonly entrypoint: readonly string[];
  readonly command: readonly string[];
  /** "" where the image says nothing; missing in snapshots of an older harden. */
  readonly workingDir?: string;
  readonly stopSignal?: string;
}

/** An engine keeps its last events in memory, and loses them when it ends. */
export interface ExecHistory {
  /** Since when no session is missing, ISO 8601 UTC; null: nothing is known of the past. */
  readonly since: string | null;
  /** All sessions that were started since, by the container's id. Health checks are sessions, too. */
  readonly started: readonly { readonly container: string; readonly at: string }[];
}

export interface ImageHistoryEntry {
  readonly createdAt: string;
  /** The instruction as the builder noted it; "" for what was imported. */
  readonly createdBy: string;
  readonly sizeBytes: number;
  readonly comment: string;
}

/** Ordered; `unknown` ranks nowhere: nobody said. */
export const FLAW_SEVERITIES = ['negligible', 'low', 'medium', 'high', 'critical'] as const;
export type FlawSeverity = (typeof FLAW_SEVERITIES)[number];

/** One report of a scanner about one image. Texts are the scanner's. */
export interface VulnerabilityScan {
  readonly scanner: 'Trivy' | 'Grype' | 'Clair';
  /** ISO 8601 UTC, as the report says it; null: it does not. */
  readonly scannedAt: string | null;
  /** sha256:… of the image's configuration; null: not said. */
  readonly imageId: string | null;
  /** sha256:… of manifests and indexes under which registries know the image. */
  readonly digests: readonly string[];
  /** The report shows that packages were looked at: where none was, finding nothing says nothing. */
  readonly examined: boolean;
  /** Known flaws for which there is a fixed version; the others are left out. */
  readonly fixable: readonly FixableFlaw[];
}

export interface FixableFlaw {
  /** CVE-…, GHSA-… */
  readonly id: string;
  readonly package: string;
  /** The version with the fix, or several, as the scanner names them. */
  readonly fixedIn: string;
  readonly severity: FlawSeverity | 'unknown';
}

/** GET /swarm, /nodes and /services. Join tokens and keys are not kept. */
export interface SwarmFacts {
  readonly id: string;
  readonly createdAt: string;
  /** Spec.CAConfig.NodeCertExpiry, nanoseconds; null: not said. */
  readonly nodeCertExpiry: number | null;
  /** Spec.EncryptionConfig.AutoLockManagers; null: not said. */
  readonly autoLock: boolean | null;
  /** The certificate at TLSInfo.TrustRoot, ISO 8601 UTC; unreadable where it cannot be parsed. */
  readonly ca: Observed<{ readonly notBefore: string; readonly notAfter: string }>;
  readonly rootRotationInProgress: boolean;
  readonly nodes: Observed<readonly SwarmNode[]>;
  readonly services: Observed<readonly SwarmService[]>;
}

export interface SwarmNode {
  readonly id: string;
  readonly hostname: string;
  readonly role: string;
  /** ready, down, disconnected, unknown. */
  readonly state: string;
  /** reachable, unreachable; "" for a worker. */
  readonly reachability: string;
}

export interface SwarmService {
  readonly id: string;
  readonly name: string;
  /** NAME=value. Values may be secret. */
  readonly env: readonly string[];
  /** Names of the swarm secrets that its tasks get. */
  readonly secrets: readonly string[];
  /** Missing in snapshots of an older harden. */
  readonly definition?: ServiceDefinition;
}

/** What a change of a service depends on. */
export interface ServiceDefinition {
  /** Other: a job, which runs to its end. */
  readonly mode: 'replicated' | 'global' | 'other';
  /** UpdateStatus.State: "updating", "paused", "completed", "rollback_started" …; "" when it was never updated. */
  readonly updateState: string;
  /** What Spec.TaskTemplate says of each field that harden can change, by its dotted path; null or [] where it says nothing. */
  readonly fields: JsonObject;
}

/** Addresses as `docker swarm init` and `join` were given them; "" where nothing was said. */
export interface SwarmNodeFacts {
  /** ADDRESS:PORT; "0.0.0.0:2377" unless said otherwise. */
  readonly listenAddress: string;
  readonly advertiseAddress: string;
  readonly dataPathAddress: string;
}

export interface NetworkFacts {
  readonly id: string;
  readonly name: string;
  readonly driver: string;
  readonly scope: string;
  readonly internal: boolean;
  readonly ipv6: boolean;
  readonly options: Readonly<Record<string, string>>;
}

/** What is known of a path: undefined when nobody looked at it. Safe for any text, `__proto__` too. */
export const statOf = (facts: Facts, path: string): Observed<FileStat> | undefined =>
  Object.hasOwn(facts.files, path) ? facts.files[path] : undefined;
