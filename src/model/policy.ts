import type { Edition, Impact, Json, Risk, Target } from './base.ts';
import type { FlawSeverity } from './facts.ts';

/** What the owner of the host decided: harden.yaml with the command line over it. */
export interface Policy {
  readonly benchmark: Edition;
  readonly level: 1 | 2;
  /** Ids, id prefixes, CIS numbers or codes of other tools; empty: all. */
  readonly include: readonly string[];
  readonly exclude: readonly string[];
  readonly targets: TargetSelection;
  readonly maxImpact: Impact;
  readonly maxRisk: Risk;
  readonly parameters: Parameters;
  /** What an earlier look measured and a plan recorded: such values are taken from there, and never measured again. */
  readonly recorded?: readonly { readonly check: string; readonly target: Target; readonly name: string; readonly value: Json; readonly evidence: string }[];
  readonly waivers: readonly Waiver[];
  /** How long runs are kept with their backups; what is missing has a default. */
  readonly history?: Partial<Retention>;
  /** Which of the parameters somebody gave when harden asked for them, and what they were told with the question. */
  readonly asked?: readonly { readonly parameter: readonly string[]; readonly evidence: string }[];
}

/** A run that can be rolled back goes after `maxAgeDays`; any other then, and also when `keep` newer ones are there. */
export interface Retention {
  readonly keep: number;
  readonly maxAgeDays: number;
}

/** Which containers and images are judged; empty lists leave nothing out. Everything else of a host is always judged. */
export interface TargetSelection {
  /** Names: globs, or `/expressions/`. Of an image: a tag, a repository, a digest or an id. */
  readonly include: readonly string[];
  readonly exclude: readonly string[];
  /** `key` or `key=value`; all of them are asked for. */
  readonly labels: readonly string[];
}

/** All that narrows what is judged, as plans and scans record it. */
export type Selection = Pick<Policy, 'include' | 'exclude' | 'level' | 'targets'>;

/** Every choice that a remediation needs; an absent one is not chosen. `harden explain CHECK` lists those of a check. */
export interface Parameters {
  /** Accounts that may be in the docker group (daemon access is root access). */
  readonly trustedUsers?: readonly string[];
  readonly logDriver?: { readonly driver: string; readonly options?: Readonly<Record<string, string>> };
  /** daemon.json default-ulimits: name → "soft:hard" or one number for both. */
  readonly defaultUlimits?: Readonly<Record<string, string | number>>;
  /** daemon.json authorization-plugins. */
  readonly authorizationPlugins?: readonly string[];
  /** A cgroup parent that the owner approves of. */
  readonly cgroupParent?: string;
  /** Path of a seccomp profile that the owner approves of as the daemon's default. */
  readonly seccompProfile?: string;
  /** Registries that may stay insecure; setting it allows removing the others. */
  readonly insecureRegistries?: readonly string[];
  /** Allow daemon.json "iptables": true where it is false. */
  readonly iptables?: boolean;
  /** Allow daemon.json "experimental": false where it is true. */
  readonly experimental?: boolean;
  /** daemon.json userns-remap, planned only on a host without images, containers and volumes. */
  readonly usernsRemap?: string;
  readonly registryMirrors?: readonly string[];
  readonly audit?: {
    /** Watch the data root: all of it, or all but layers and volumes. */
    readonly dataRoot?: 'all' | 'except-layers';
    /** Watch /run/containerd, recursively. */
    readonly runContainerd?: boolean;
    /** How rules are written; default by the version of auditd. */
    readonly style?: 'watch' | 'syscall';
  };
  readonly engine?: {
    /** Release lines ("20.10", "26.1", "25.0") that somebody supports for the owner, such as the distribution. */
    readonly supportedReleases?: readonly string[];
  };
  readonly images?: {
    /** Repositories that images may come from, with `*` for anything: "docker.io/library/*", "registry.example.com/base/*". */
    readonly trustedSources?: readonly string[];
    /** Images older than this count as stale. */
    readonly maxAgeDays?: number;
    /** Names of environment variables and build arguments that hold no secret although they sound like it. */
    readonly publicNames?: readonly string[];
    /** How old a scan for known flaws may be; 30 where nothing is said. */
    readonly maxScanAgeDays?: number;
    /** Flaws with a fix are to be fixed from this severity on; high where nothing is said. */
    readonly fixSeverity?: FlawSeverity;
    /** What advice on a Dockerfile writes behind USER. */
    readonly user?: string;
    /** What advice on a Dockerfile writes as health check: a command, or a JSON array of words. */
    readonly healthcheck?: string;
    /** How many packages an image may have. */
    readonly maxPackages?: number;
    /** Paths of setuid and setgid files that images may have, with `*` for anything. */
    readonly setuidFiles?: readonly string[];
    /** Paths of files that hold no secret although they look like it, with `*` for anything. */
    readonly publicFiles?: readonly string[];
  };
  readonly operations?: {
    /** How long an image may lie around without a container; 30 where nothing is said, 0 for not at all. */
    readonly unusedImageDays?: number;
    /** How long a stopped container may lie around; 30 where nothing is said, 0 for not at all. */
    readonly stoppedContainerDays?: number;
    /** How much may lie around in unused images, stopped containers and the build cache: bytes, or with the suffix b, k, m or g. It is measured only where this is set. */
    readonly maxReclaimable?: string | number;
    /** Names of images, as globs, that are removed once they are unused for that long: all tags of an image have to match; of one without a tag, the id. */
    readonly removeUnusedImages?: readonly string[];
    /** Names of containers, as globs, that are removed once they are stopped for that long. */
    readonly removeStoppedContainers?: readonly string[];
    /** For how many hours back nobody may have run docker exec; since the container was created where nothing is said. */
    readonly execWindowHours?: number;
  };
  readonly swarm?: {
    /** How many managers the swarm is to have. */
    readonly managers?: number;
    /** The longest lifetime of a node's certificate. */
    readonly certificateDays?: number;
    /** The new file for the unlock key, absolute, in a directory that only root can write to. Setting it says that somebody carries the key off this host, and keeps it. */
    readonly unlockKeyFile?: string;
    /** The greatest age of the root CA's certificate. */
    readonly rootCaDays?: number;
  };
  /** For every container; `containers` over it for those whose name a glob matches, the last one that says something counts. */
  readonly container?: ContainerParameters;
  readonly containers?: Readonly<Record<string, ContainerParameters>>;
}

/** Choices for a container. Nothing of it is done while its ceiling is not allowed. */
export interface ContainerParameters {
  /** Bytes, or with the suffix b, k, m or g. */
  readonly memory?: string | number;
  /** The limits of all containers that run may come to more than four fifths of the host's memory. */
  readonly memoryOvercommit?: true;
  /** Overrides what the plan makes of the processes that it saw. */
  readonly pidsLimit?: number;
  readonly cpuShares?: number;
  /** NAME, UID or UID:GID that its processes run as. */
  readonly user?: string;
  /** Paths that become a tmpfs when its root file system becomes read-only, as for --tmpfs: PATH or PATH:OPTIONS. [] allows read-only without any. */
  readonly tmpfs?: readonly string[];
  /** Capabilities to keep when all are dropped; [] drops all. */
  readonly capabilities?: readonly string[];
  /** Times as in compose files: 30s, 1m30s. */
  readonly healthcheck?: {
    readonly test: string | readonly string[]; readonly interval?: string; readonly timeout?: string; readonly startPeriod?: string; readonly retries?: number;
  };
  /** no, or on-failure:COUNT. */
  readonly restart?: string;
  /** The address of the host on which ports are published that are published on all. */
  readonly publishAddress?: string;
  /** By ports of the host below 1024 on which it is published: the port that takes the place of each, or "none". */
  readonly hostPorts?: Readonly<Record<string, number | 'none'>>;
  /** What it publishes when it leaves the network of the host, as for docker run -p; [] for nothing. */
  readonly publish?: readonly string[];
  /** Pin its image to the digest of the one that it runs. */
  readonly pinImage?: true;
  /** The user-defined network that takes the place of the default bridge, or of the host's. */
  readonly network?: string;
  /** Its own ulimits, as in daemon.json default-ulimits; {} takes them away. */
  readonly ulimits?: Readonly<Record<string, string | number>>;
  /** Namespaces of the host that it gives up. */
  readonly privateNamespaces?: readonly ('network' | 'pid' | 'ipc' | 'uts' | 'userns')[];
  /** Mount points in it that are taken away. */
  readonly withoutMounts?: readonly string[];
  /** Devices (host paths) that are taken away. */
  readonly withoutDevices?: readonly string[];
  /** Take away seccomp=unconfined, apparmor=unconfined and label=disable. */
  readonly confined?: true;
  /** Allow no-new-privileges where setuid programs may be in use. */
  readonly noNewPrivileges?: true;
  /** json-file options that keep its log bounded. */
  readonly log?: { readonly maxSize: string; readonly maxFile: number };
  /** Take it out of the cgroup that somebody chose for it. */
  readonly defaultCgroup?: true;
  /** It may be recreated although its writable layer holds files: they are saved beside the backups, and not carried over. */
  readonly writableLayer?: 'save';
  /** Nobody is attached to it, although it was started without -d. */
  readonly detached?: true;
  /** Seconds for which a new container is watched after its start. */
  readonly watchSeconds?: number;
}

/** An accepted risk. The finding is still shown, and counted as waived. */
export interface Waiver {
  readonly check: string;
  /** kind:glob, label=…, image=…, project=…, service=…; undefined: every target. */
  readonly target?: string;
  readonly reason: string;
  readonly owner: string;
  /** YYYY-MM-DD; the waiver ends when that day is over, in UTC. */
  readonly expires?: string;
  /** Where it stands in harden.yaml, for messages. */
  readonly source?: { readonly path: string; readonly line: number; readonly column: number };
}
