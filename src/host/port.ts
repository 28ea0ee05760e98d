import type { FileStat, Observed, OwnedFiles } from '../model.ts';

/** Programs that harden may run on a host; nothing named by a container, an image or a config file ever runs. */
export type Tool =
  | 'auditctl' | 'augenrules' | 'docker' | 'docker-compose' | 'dockerd' | 'getent' | 'gpasswd' | 'ls' | 'service' | 'systemctl' | 'systemd-run' | 'systemd-tmpfiles' | 'sh' | 'logger';

/** Of a tool's environment: Docker Compose takes in no files from other machines. */
export const NOTHING_FROM_ELSEWHERE = { COMPOSE_EXPERIMENTAL_GIT_REMOTE: 'false', COMPOSE_EXPERIMENTAL_OCI_REMOTE: 'false' };

export interface ToolResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** The process that listens on a unix socket, as far as this process may see it. */
export interface SocketOwner {
  readonly pid: number;
  readonly uid: number;
  readonly argv: readonly string[];
  /** ISO 8601 UTC. */
  readonly startedAt: string;
  /** The lines of /proc/PID/cgroup. */
  readonly cgroup: readonly string[];
  /** HOME of the process, for a rootless daemon's files. */
  readonly home: string | null;
  /** True when the socket file seen through /proc/PID/root is the very file that we see (same device and inode). */
  readonly sameRoot: boolean;
}

/** A process that a container's cgroup holds. */
export interface ContainerProcess {
  readonly pid: number;
  /** Ids of containers in the paths of its cgroups: the one that it belongs to, and those that this one runs in. */
  readonly containers: readonly string[];
  /** What it is called: its own name (comm), the file that it runs, and the first word of its command line, without directories. */
  readonly names: readonly string[];
  /** /proc/PID/limits and /proc/PID/status, where they were asked for. */
  readonly held?: { readonly limits: string; readonly status: string };
  /** What it listens on, "TABLE ADDRESS:PORT" as /proc/PID/net/TABLE writes it, where that was asked for. */
  readonly listening?: readonly string[];
}

/** What a collector can ask of a host. */
export type ReadRequest =
  /** A text file, decoded as UTF-8 (a BOM is kept). Longer than `maxBytes` (default 1 MiB) is unreadable. */
  | { readonly kind: 'text'; readonly path: string; readonly maxBytes?: number }
  | { readonly kind: 'stat'; readonly path: string }
  /** Absolute paths of all that is below a directory, down to `depth` levels, sorted. */
  | { readonly kind: 'list'; readonly path: string; readonly depth: number }
  /** A tool that only reads; a missing tool is `absent`, a non-zero exit is still a result. */
  | { readonly kind: 'tool'; readonly tool: Tool; readonly args: readonly string[] }
  | { readonly kind: 'socketOwner'; readonly path: string }
  /** Whose a file is, and what is below it on the same file system, as far as a few thousand files reach. No link is followed. */
  | { readonly kind: 'owners'; readonly path: string }
  /** All processes in cgroups of containers, in one pass over /proc; what the kernel holds those of the given pids to. */
  | {
    readonly kind: 'containerProcesses'; readonly held: readonly number[];
    /** Ids of containers of whose processes it is asked what they listen on. */
    readonly listening?: readonly string[];
  };

export type ReadResult<R extends ReadRequest> =
  R extends { kind: 'text' } ? string
  : R extends { kind: 'stat' } ? FileStat
  : R extends { kind: 'list' } ? readonly string[]
  : R extends { kind: 'tool' } ? ToolResult
  : R extends { kind: 'owners' } ? OwnedFiles
  : R extends { kind: 'containerProcesses' } ? readonly ContainerProcess[]
  : SocketOwner;

/** Reads a host. Batched: one call is one round trip for a remote implementation, and concurrent for the local one. Never throws. */
export interface HostReader {
  observe<const R extends readonly ReadRequest[]>(requests: R): Promise<{ readonly [K in keyof R]: Observed<ReadResult<R[K]>> }>;
}

/** A path as it was found, whole: what a backup keeps and a rollback restores. */
export interface FileSnapshot {
  /** Where the path really ends, symbolic links followed. */
  readonly realPath: string;
  /** null for anything but a regular file. */
  readonly content: Buffer | null;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

/**
 * Changes a host. Only `apply` and the journal hold one. Every method makes its effect durable (fsync of file and directory)
 * before it resolves, and throws HostError with what, where and what to do.
 */
export interface HostWriter {
  /** null when nothing is there. */
  snapshot(path: string): Promise<FileSnapshot | null>;
  /** Why a path cannot be replaced atomically (bind mount, immutable, read-only file system, hard links, a directory others can write, …); null when it can. */
  refusal(path: string): Promise<string | null>;
  /** Why mode and owner of a path cannot be set (missing, a symbolic link, immutable, …); null when they can. */
  metadataRefusal(path: string): Promise<string | null>;
  /** Writes a new file beside the target and renames it in; keeps ACL, xattrs and SELinux label of an existing one. Follows symbolic links to their end. */
  replace(path: string, content: Buffer, metadata: { readonly mode: number; readonly uid: number; readonly gid: number }): Promise<void>;
  /** Writes a new file of ours (0600), as its bytes come; one that is there is an error, and nothing is left of one that could not be written wholly. */
  create(path: string, content: AsyncIterable<Uint8Array>): Promise<void>;
  /** Removes a file, symbolic links followed as by `replace`; fine when it is gone. */
  remove(path: string): Promise<void>;
  /** Removes what a killed `replace` of this path left beside it; returns the paths. */
  removeLeftovers(path: string): Promise<readonly string[]>;
  /** Makes a directory and missing parents (0755 root:root); returns those that it made, outermost first. */
  makeDirectory(path: string): Promise<readonly string[]>;
  /** Removes a directory if it is empty. */
  removeDirectory(path: string): Promise<void>;
  /** Mode and owner without following a symbolic link in the last component. */
  setMetadata(path: string, metadata: { readonly mode: number; readonly uid: number; readonly gid: number }): Promise<void>;
  /**
   * Runs a tool to its end, without a shell, in a session of its own. A daemon that it leaves behind is not waited for.
   * @throws HostError when it is missing, or when it had to be ended because the time was over (default 60 s)
   */
  run(tool: Tool, args: readonly string[], options?: { readonly timeoutMs?: number }): Promise<ToolResult>;
  /**
   * Starts this very program once more, with these arguments, as a process that outlives this one, its session and its terminal: as the
   * transient unit `unit` where systemd runs and we are root, since a login may end with all of its processes. What it prints goes to `log`.
   * @throws HostError
   */
  startSelf(args: readonly string[], how: { readonly unit: string; readonly log: string }): Promise<void>;
  /**
   * Waits until the tools that a killed harden left at work have ended: what they do goes on without it. Whoever asks holds the lock, so that
   * no other harden is at work. Not `service` and `sh`, which may have left a daemon behind.
   * @throws HostError naming one that does not end in time
   */
  awaitLeftTools(timeoutMs: number): Promise<void>;
  /** Sends a signal to a process that the caller has proven to be the daemon. */
  signal(pid: number, signal: 'SIGHUP'): Promise<void>;
  /** Appends one line to a file of ours (0600) and fsyncs it. */
  append(path: string, line: string): Promise<void>;
  /** True when a TCP connection to the address is accepted and not closed again within 300 ms, or data arrives. */
  answers(host: string, port: number): Promise<boolean>;
}

/** What, where and what to do next. */
export class HostError extends Error {
  override readonly name = 'HostError';
}
