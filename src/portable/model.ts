import type { Change, Impact, Risk } from '../model.ts';
import type { RestartMethod } from '../plan/restart.ts';

/**
 * A plan in a form that travels: what a script or a playbook needs to make the same changes as `apply`, and nothing that is secret. What may
 * be secret is read on the host when it is needed (`Word`), and files are changed by splices between digests.
 */
export interface PortablePlan {
  /** In the order in which they are made. Each is in as a whole or not at all, and one that fails holds nobody else up. */
  readonly units: readonly PortableUnit[];
  /** Changes that only `harden apply` makes, each with the reason: a sentence. */
  readonly refused: readonly { readonly change: ChangeSummary; readonly reason: string }[];
  readonly daemon: DaemonAccess;
}

/** Changes that are made together: one alone, or those that one restart of the daemon brings into force. */
export interface PortableUnit {
  readonly changes: readonly ChangeSummary[];
  readonly steps: readonly PortableStep[];
}

/** What a person is told of a change. `diff` has its secrets masked. */
export type ChangeSummary = Pick<Change, 'id' | 'kind' | 'title' | 'effect' | 'diff' | 'target'> & {
  readonly impact: Impact;
  readonly risk: Risk;
  readonly undo: Impact | 'impossible';
  /** Ids, each once. */
  readonly checks: readonly string[];
};

/** How a script gets at the daemon that has the plan's host. */
export interface DaemonAccess {
  /** Of the engine: unix:///var/run/docker.sock. */
  readonly endpoint: string;
  readonly method: RestartMethod | null;
  /** Name of its systemd unit; null where it has none. */
  readonly unit: string | null;
  readonly pidFile: string;
  readonly configPath: string;
  /** The daemon can be asked whether it takes a daemon.json (`dockerd --validate`, from 23.0). */
  readonly validates: boolean;
}

/** A word of a command: itself, or what `docker inspect --format FORMAT CONTAINER` says on the host, which may be secret. */
export type Word = string | { readonly container: string; readonly format: string };

/**
 * Replaces `length` bytes at `offset` of the bytes before. Splices of a file are in ascending order and do not overlap; all offsets count in
 * the file as it was.
 */
export interface Splice {
  readonly offset: number;
  readonly length: number;
  readonly text: string;
}

export interface FileMetadata {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

/** `sha256`, in hex, and `size` of the bytes. */
export type FileDigest = FileMetadata & { readonly sha256: string; readonly size: number };

/** What the answer of `docker inspect --format` (of a container, or as `of` says) has to be: one of the texts, without the final newline. */
export interface Guard {
  readonly of: 'container' | 'image' | 'info';
  /** Container or image; "" for info. */
  readonly subject: string;
  readonly format: string;
  readonly expected: readonly string[];
  /** What it means when it is something else: "its image's tag was moved on". */
  readonly otherwise: string;
}

/**
 * The way back from a new daemon.json to the old one: a key that is gone keeps its value over a reload, and a daemon that starts without
 * live-restore stops the containers that survived under it. Splices of the file before.
 */
export interface PortableWayBack {
  /** With this the daemon is restarted; []: with the file before. */
  readonly restart: readonly Splice[];
  /** With this it is then reloaded, before the file before is put back; []: it needs no such reload. */
  readonly reload: readonly Splice[];
  /** The new file turned live-restore on: the daemon restarts with it still on, and the reload turns it off. */
  readonly keepContainers: boolean;
}

/** A container and the name that it has. */
interface About {
  readonly container: string;
  readonly name: string;
}

export type PortableStep =
  /** Bytes by splices of those before (`before` is there), or a new file (`before` is null, and the one splice is its text). Symbolic links are followed. */
  | {
    readonly kind: 'changeFile'; readonly change: string; readonly path: string; readonly before: FileDigest | null; readonly after: FileDigest; readonly splices: readonly Splice[];
    /** Of daemon.json alone: what it holds for a moment while it is undone. */
    readonly wayBack: PortableWayBack | null;
  }
  | { readonly kind: 'setMetadata'; readonly change: string; readonly path: string; readonly before: FileMetadata; readonly after: FileMetadata }
  | { readonly kind: 'systemdReload' }
  /** `rules`: lines of the drop-in as auditctl(8) takes them. */
  | { readonly kind: 'loadAudit'; readonly path: string; readonly rules: readonly AuditLine[]; readonly augenrules: boolean }
  /** SIGHUP; `liveRestore`: what the engine says afterwards, null where the reload does not concern it. */
  | { readonly kind: 'reloadDaemon'; readonly liveRestore: boolean | null }
  | { readonly kind: 'restartDaemon'; readonly method: RestartMethod }
  | { readonly kind: 'awaitHealthy'; readonly containersSurvive: boolean; readonly toleratesIpv6Loss: boolean }
  | { readonly kind: 'removeGroupMember'; readonly group: string; readonly user: string; readonly members: readonly string[] }
  /** `update` and `undo`: arguments of `docker update` without the container; `undo` as several calls. `state`: a format and what it says before and after. */
  | (About & {
    readonly kind: 'updateContainer'; readonly update: readonly string[]; readonly undo: readonly (readonly string[])[];
    readonly state: { readonly format: string; readonly before: readonly string[]; readonly after: readonly string[] };
  })
  | CreateReplacement
  /** `restart`: its restart policy as `docker update --restart` takes it. */
  | (About & { readonly kind: 'retireContainer'; readonly restart: string })
  | (About & { readonly kind: 'stopContainer' })
  /** The container gets the name `kept`, and `replacement` the container's. */
  | (About & { readonly kind: 'swapContainers'; readonly replacement: string; readonly kept: string })
  /** Starts what has the name now, and watches it for so many seconds, and until it is healthy for at most `healthSeconds` (0: it has no check). */
  | (About & { readonly kind: 'startReplacement'; readonly watchSeconds: number; readonly healthSeconds: number })
  | ComposeStep
  /** `update`: options of `docker service update`. `state`: a format of `docker service inspect`, and what it says before and after: lines, sorted. */
  | {
    readonly kind: 'updateService'; readonly service: string; readonly name: string; readonly update: readonly string[]; readonly watchSeconds: number;
    readonly state: { readonly format: string; readonly before: readonly string[]; readonly after: readonly string[] };
  }
  /** Durations as `docker swarm update --cert-expiry` takes them, and nanoseconds as the engine shows them. */
  | { readonly kind: 'setSwarmCertificates'; readonly before: number; readonly after: number }
  | { readonly kind: 'lockSwarm'; readonly keyFile: string }
  /** `finishedAt`: when it last stopped, as the engine writes it. */
  | (About & { readonly kind: 'removeContainer'; readonly finishedAt: string })
  | { readonly kind: 'removeImage'; readonly image: string; readonly name: string; readonly references: readonly string[] };

/** A rule: what auditctl(8) takes, and words that a line of `auditctl -l` has in it once the rule is loaded. */
export interface AuditLine {
  readonly words: readonly string[];
  readonly listed: readonly string[];
}

/** Creates, beside a container, the one that is to take its place, by `docker create`. */
export interface CreateReplacement extends About {
  readonly kind: 'createReplacement';
  /** The name until it has the old one's. */
  readonly replacement: string;
  readonly kept: string;
  /**
   * Words after `docker create`: options, image, command. Env and labels are not among them: they are read of the container,
   * one per line, into files that only root can read, for --env-file and --label-file.
   */
  readonly words: readonly Word[];
  /** How many there are: a value that spans lines would make more. */
  readonly env: number;
  readonly labels: number;
  /** Words after `docker network connect`, the network and the container included. */
  readonly connect: readonly (readonly string[])[];
  /** What must be so, or the container is not as it was planned. */
  readonly guards: readonly Guard[];
  /** A format whose answer, line by line and in any order, must be the same of both containers: what was not asked for does not change. */
  readonly same: string;
}

export interface ComposeStep {
  readonly kind: 'changeComposeProject';
  readonly project: string;
  /** The change of each file, by splices. */
  readonly files: readonly Extract<PortableStep, { kind: 'changeFile' }>[];
  /** docker or docker-compose, with its arguments. `rehearse` is `make` as a dry run. `start`: null where nothing ran. */
  readonly rehearse: readonly string[];
  readonly make: readonly string[];
  readonly start: readonly string[] | null;
  /** `start`: it ran, and shall run again. */
  readonly containers: readonly (About & { readonly start: boolean; readonly healthSeconds: number })[];
  /** Names of containers of the other services of the project. */
  readonly others: readonly string[];
  readonly watchSeconds: number;
}

/** A change that cannot travel. The message is a sentence. */
export class Refused extends Error {
  override readonly name = 'Refused';
}
