import { execFile } from 'node:child_process';
import { constants, readdirSync, readFileSync, readlinkSync, realpathSync, statSync } from 'node:fs';
import type { Stats } from 'node:fs';
import { access, lstat, mkdtemp, open, readdir, readlink, realpath, rm, stat } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import type { FileStat, FileType, Observed, Owned, OwnedFiles } from '../model.ts';
import { absent, present, unreadable } from '../model.ts';
import { isReadingCommand } from './authority.ts';
import { NOTHING_FROM_ELSEWHERE } from './port.ts';
import type { ContainerProcess, HostReader, ReadRequest, ReadResult, SocketOwner, Tool, ToolResult } from './port.ts';

const DEFAULT_MAX_BYTES = 1024 * 1024;
const MAX_LISTED = 10_000;
const TOOL_TIMEOUT_MS = 10_000;
const TOOL_MAX_OUTPUT = 16 * 1024 * 1024;
/** A daemon that is up accepts a connection within milliseconds. */
const ACCEPT_TIMEOUT_MS = 2000;
const ACCEPT_POLL_MS = 5;
/** Where tools are looked up: the system's directories only, so that no PATH decides what root runs. */
const TOOL_DIRECTORIES = ['/usr/sbin', '/usr/bin', '/sbin', '/bin'];

/** Reads this machine. Requests of one call run concurrently; equal ones are read once. */
export function createLocalReader(): HostReader {
  return {
    observe: async (requests) => {
      const pending = new Map<string, Promise<Observed<unknown>>>();
      const results = await Promise.all(requests.map((request) => {
        const key = JSON.stringify(request);
        const known = pending.get(key);
        if (known !== undefined) return known;
        const result = read(request).catch((error: unknown) => failure(error, pathOf(request)));
        pending.set(key, result);
        return result;
      }));
      // Each result is made by the branch of `read` for its own request.
      return results as unknown as { readonly [K in keyof typeof requests]: Observed<ReadResult<(typeof requests)[K]>> };
    },
  };
}

async function read(request: ReadRequest): Promise<Observed<unknown>> {
  switch (request.kind) {
    case 'text': return readText(request.path, request.maxBytes ?? DEFAULT_MAX_BYTES);
    case 'stat': return readStat(request.path);
    case 'list': return list(request.path, request.depth);
    case 'tool': return isReadingCommand(request.tool, request.args) ? runTool(request.tool, request.args)
      : unreadable(`${[request.tool, ...request.args].join(' ')} is not among the commands that harden looks with`);
    case 'socketOwner': return findSocketOwner(request.path);
    case 'owners': return present(await owners(request.path));
    case 'containerProcesses': return present(containerProcesses(new Set(request.held), new Set(request.listening)));
  }
}

const pathOf = (request: ReadRequest): string =>
  request.kind === 'tool' ? request.tool : request.kind === 'containerProcesses' ? '/proc' : request.path;

/** What a failed system call says about a path: absent when nothing can be there, else why it could not be read. */
function failure(error: unknown, path: string): Observed<never> {
  const code = errorCode(error);
  if (code === 'ENOENT' || code === 'ENOTDIR') return absent;
  if (code === 'EACCES' || code === 'EPERM') return unreadable(`permission denied: ${path}: run as root`);
  return unreadable(`${path}: ${error instanceof Error ? error.message : String(error)}`);
}

const errorCode = (error: unknown): string | undefined =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;

async function readText(path: string, maxBytes: number): Promise<Observed<string>> {
  // Non-blocking: opening a FIFO that nobody writes to must not hang.
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  try {
    if (!(await file.stat()).isFile()) return unreadable(`${path} is not a regular file`);
    const chunks: Buffer[] = [];
    let size = 0;
    // Files below /proc and /sys say size 0, so only the end of the file ends the loop.
    for (;;) {
      const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(64 * 1024));
      if (bytesRead === 0) break;
      size += bytesRead;
      if (size > maxBytes) return unreadable(`${path} is larger than ${maxBytes} bytes`);
      chunks.push(buffer.subarray(0, bytesRead));
    }
    return decode(Buffer.concat(chunks), path);
  } finally {
    await file.close();
  }
}

function decode(bytes: Buffer, path: string): Observed<string> {
  try {
    return present(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch {
    return unreadable(`${path} is not UTF-8 text`);
  }
}

async function readStat(path: string): Promise<Observed<FileStat>> {
  const [stats, realPath] = await Promise.all([stat(path), realpath(path)]);
  return present({
    type: fileType(stats),
    realPath,
    mode: stats.mode & 0o7777,
    uid: stats.uid,
    gid: stats.gid,
    dev: stats.dev,
    ino: stats.ino,
    nlink: stats.nlink,
    mtimeMs: stats.mtimeMs,
    ctimeMs: stats.ctimeMs,
    ...(realPath !== path && { linksChangedMs: await lastLinkChange(path), ...((await lstat(path)).isSymbolicLink() && { isLink: true as const }) }),
  });
}

/** As the kernel: path_resolution(7) gives up after 40 links. */
const MAX_LINKS = 40;

/** The latest ctime of the symbolic links on the way to a path that exists; 0 when there are none (a path spelt with ".." or "//"). */
async function lastLinkChange(path: string): Promise<number> {
  const pending = path.split('/');
  let here = '/';
  let latest = 0;
  for (let links = 0; links <= MAX_LINKS;) {
    const name = pending.shift();
    if (name === undefined) return latest;
    const next = join(here, name);
    const stats = await lstat(next);
    if (!stats.isSymbolicLink()) {
      here = next;
      continue;
    }
    links += 1;
    latest = Math.max(latest, stats.ctimeMs);
    const target = await readlink(next);
    if (target.startsWith('/')) here = '/';
    pending.unshift(...target.split('/'));
  }
  throw new Error('too many symbolic links');
}

function fileType(stats: Stats): FileType {
  if (stats.isFile()) return 'file';
  if (stats.isDirectory()) return 'directory';
  if (stats.isSocket()) return 'socket';
  if (stats.isFIFO()) return 'fifo';
  if (stats.isSymbolicLink()) return 'symlink';
  return 'device';
}

/** Follows links to directories as the programs that use the tree do; a link back to a directory on its own path is not entered. */
async function list(path: string, depth: number): Promise<Observed<readonly string[]>> {
  const found: string[] = [];
  const walk = async (directory: string, levels: number, above: readonly string[]): Promise<void> => {
    const here = identity(await stat(directory));
    if (levels === 0 || above.includes(here)) return;
    const entries = await readdir(directory, { withFileTypes: true });
    found.push(...entries.map((entry) => join(directory, entry.name)));
    if (found.length > MAX_LISTED) throw new Error(`more than ${MAX_LISTED} entries`);
    await Promise.all(entries.map(async (entry) => {
      const child = join(directory, entry.name);
      if (entry.isDirectory() || (entry.isSymbolicLink() && (await leadsToDirectory(child)))) await walk(child, levels - 1, [...above, here]);
    }));
  };
  await walk(path, depth, []);
  return present(found.sort());
}

/** Of a tree, so many files and directories are looked at, those nearest to its root first. */
const MAX_OWNED = 5000;
/** Of owners, modes and types in one tree; more are those of nobody's plan. */
const MAX_SAMPLES = 64;

async function owners(path: string): Promise<OwnedFiles> {
  const top = await lstat(path);
  const samples = new Map<string, Owned & { readonly path: string }>();
  let seen = 0;
  const add = (stats: Stats, relative: string): void => {
    seen += 1;
    const sample = { path: relative, type: fileType(stats), mode: stats.mode & 0o7777, uid: stats.uid, gid: stats.gid, mtimeMs: stats.mtimeMs };
    const key = [sample.type, sample.mode, sample.uid, sample.gid].join(' ');
    const known = samples.get(key);
    if (known === undefined ? samples.size < MAX_SAMPLES : known.mtimeMs < sample.mtimeMs) samples.set(key, sample);
  };
  add(top, '');
  const pending = top.isDirectory() ? [''] : [];
  let complete = true;
  for (let directory = pending.shift(); directory !== undefined; directory = pending.shift()) {
    const entries = await entriesOf(join(path, directory));
    for (const name of entries.sort()) {
      if (seen >= MAX_OWNED) return { complete: false, samples: [...samples.values()] };
      const relative = join(directory, name);
      const stats = await lstatIfThere(join(path, relative));
      if (stats === undefined) continue;
      add(stats, relative);
      if (!stats.isDirectory()) continue;
      if (stats.dev === top.dev) pending.push(relative);
      else complete = false;
    }
  }
  return { complete: complete && samples.size < MAX_SAMPLES, samples: [...samples.values()] };
}

/** Nothing of what vanished meanwhile. */
const ifThere = <T, O>(found: Promise<T>, otherwise: O): Promise<T | O> => found.catch((error: unknown) => {
  if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ENOTDIR') return otherwise;
  throw error;
});
const entriesOf = (path: string): Promise<string[]> => ifThere(readdir(path), []);
const lstatIfThere = (path: string): Promise<Stats | undefined> => ifThere(lstat(path), undefined);

const leadsToDirectory = async (path: string): Promise<boolean> => {
  try {
    return (await stat(path)).isDirectory();
  } catch (error) {
    if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ELOOP') return false;
    throw error;
  }
};

const identity = (stats: Stats): string => `${stats.dev}:${stats.ino}`;

async function runTool(tool: Tool, args: readonly string[]): Promise<Observed<ToolResult>> {
  const path = await findTool(tool);
  if (path === undefined) return absent;
  if (tool !== 'docker' && tool !== 'docker-compose') return start(tool, path, args, {});
  // Compose keeps a lock and a note of its builder even when it only rehearses: not among the files of whoever looks.
  let directory: string;
  try {
    directory = await mkdtemp(join(tmpdir(), 'harden-compose-'));
  } catch (error) {
    return failure(error, tmpdir());
  }
  try {
    return await start(tool, path, args, { BUILDX_CONFIG: directory });
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

function start(tool: Tool, path: string, args: readonly string[], environment: Readonly<Record<string, string>>): Promise<Observed<ToolResult>> {
  return new Promise((resolve) => {
    const child = execFile(path, [...args], {
      cwd: '/',
      env: { PATH: TOOL_DIRECTORIES.join(':'), LC_ALL: 'C', ...NOTHING_FROM_ELSEWHERE, ...environment },
      timeout: TOOL_TIMEOUT_MS,
      killSignal: 'SIGKILL',
      maxBuffer: TOOL_MAX_OUTPUT,
      encoding: 'utf8',
    }, (error, stdout, stderr) => {
      if (error === null) resolve(present({ code: 0, stdout, stderr }));
      else if (typeof error.code === 'number') resolve(present({ code: error.code, stdout, stderr }));
      else if (error.signal === 'SIGKILL') resolve(unreadable(`${tool} did not end within ${TOOL_TIMEOUT_MS / 1000} s`));
      else resolve(unreadable(`${tool}: ${error.message.split('\n')[0] ?? ''}`));
    });
    child.stdin?.end();
  });
}

async function findTool(tool: Tool): Promise<string | undefined> {
  for (const directory of TOOL_DIRECTORIES) {
    const path = join(directory, tool);
    try {
      await access(path, constants.X_OK);
      return path;
    } catch {
      continue;
    }
  }
  return undefined;
}

/** USER_HZ, the unit of times in /proc, is 100 on every Linux ABI that Node runs on. */
const TICKS_PER_SECOND = 100;

interface Process {
  readonly pid: number;
  readonly comm: string;
}

/**
 * Finds the docker daemon that listens on a unix socket. /proc is read synchronously on purpose: it is memory, and a system
 * call there costs less than a trip through the thread pool.
 *
 * The proof has five parts: the path is bound by listening sockets of a network namespace that we can see (proc(5), net/unix),
 * a process that is a docker daemon holds one of them, that process sees the same socket file, and the same root as we do,
 * and it is the one that takes a connection to that path.
 */
async function findSocketOwner(path: string): Promise<Observed<SocketOwner>> {
  const realPath = realpathSync(path);
  if (!statSync(realPath).isSocket()) return unreadable(`${path} is not a socket`);
  const bound = findBinder(path, realPath);
  if (bound.status !== 'present' || !bound.value.sameRoot) return bound;
  const { pid } = bound.value;
  return await accepts(pid, realPath) ? bound : unreadable(
    `the daemon (pid ${pid}) bound ${path}, but a connection to it did not reach that daemon: it is not up yet, or another socket was put over its own`,
  );
}

/** By the tables of the kernel, which keep the path that a socket was bound to, whatever that path leads to today. */
function findBinder(path: string, realPath: string): Observed<SocketOwner> {
  const processes = allProcesses();
  const daemons = processes.filter(({ pid, comm }) => isDaemon(pid, comm));
  const denied = new Set<string>();
  const guard = <T>(action: () => T, otherwise: T): T => {
    try {
      return action();
    } catch (error) {
      const code = errorCode(error);
      if (code === 'EACCES' || code === 'EPERM') denied.add(code);
      return otherwise;
    }
  };

  const ours = boundSockets('/proc/net/unix', realPath, 'listening');
  const owners = daemons.flatMap(({ pid }) => guard(() => {
    const foreign = readlinkSync(`/proc/${pid}/ns/net`) !== readlinkSync('/proc/self/ns/net');
    const inodes = foreign ? boundSockets(`/proc/${pid}/net/unix`, realPath, 'listening') : ours;
    return holds(pid, inodes) ? [describe(pid, realPath)] : [];
  }, []));

  const seen = owners.filter(({ sameRoot }) => sameRoot);
  const [owner] = seen.length > 0 ? seen : owners;
  if (seen.length > 1) {
    return unreadable(`several daemons (pids ${seen.map(({ pid }) => pid).join(', ')}) are bound to ${path}: which one answers cannot be told`);
  }
  if (owner !== undefined) return present(owner);

  // Whatever else holds it is worth naming: it tells a forwarded socket (ssh, socat) from one that we may not look into.
  const holder = processes.find(({ pid }) => guard(() => holds(pid, ours), false));
  if (holder?.pid === 1) return unreadable(`${path} is held by pid 1 (${holder.comm}) alone: the daemon has not taken it over yet`);
  if (holder !== undefined) {
    return unreadable(`${path} is served by ${holder.comm} (pid ${holder.pid}), which is not a docker daemon: the engine behind it may be another machine's`);
  }
  return unreadable(denied.size > 0
    ? `permission denied: run as root to see which process serves ${path}`
    : `no process that can be seen from here serves ${path}: it may belong to another namespace or machine`);
}

function allProcesses(): Process[] {
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name)).flatMap((name) => {
    try {
      return [{ pid: Number(name), comm: readFileSync(`/proc/${name}/comm`, 'utf8').trimEnd() }];
    } catch {
      return []; // It ended meanwhile, or is hidden (hidepid).
    }
  });
}

/** "sshd: user [priv]" and "-sh" are how programs name themselves. */
const programName = (word: string): string => basename(word.split(' ')[0] ?? '').replace(/^-|:$/g, '').slice(0, 64);

/** Like `findSocketOwner` synchronous: two or four small reads of memory for each process. */
function containerProcesses(held: ReadonlySet<number>, asked: ReadonlySet<string>): ContainerProcess[] {
  return allProcesses().flatMap(({ pid, comm }) => {
    try {
      const containers = new Set(readFileSync(`/proc/${pid}/cgroup`, 'utf8').match(/[0-9a-f]{64}/g));
      if (containers.size === 0) return [];
      const names = new Set([comm, programName(commandLine(pid)[0] ?? ''), executable(pid)].filter((name) => name !== ''));
      const read = (name: string): string => readFileSync(`/proc/${pid}/${name}`, 'utf8');
      return [{ pid, containers: [...containers], names: [...names], ...(held.has(pid) && { held: { limits: read('limits'), status: read('status') } }), ...([...containers].some((id) => asked.has(id)) && { listening: listeningSockets(pid) }) }];
    } catch (error) {
      // It ended meanwhile.
      if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ESRCH') return [];
      throw error;
    }
  });
}

/** proc(5), /proc/PID/net/tcp and udp: TCP sockets that listen, and UDP sockets without a peer, of one process. */
function listeningSockets(pid: number): string[] {
  const inodes = new Set(readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
    try {
      return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1] ?? [];
    } catch {
      return []; // It was closed meanwhile.
    }
  }));
  return inodes.size === 0 ? [] : ['tcp', 'tcp6', 'udp', 'udp6'].flatMap((table) => {
    try {
      return readFileSync(`/proc/${pid}/net/${table}`, 'utf8').split('\n').flatMap((line) => {
        const [, local = '', , state = '', , , , , , inode = ''] = line.trim().split(/\s+/);
        return state === (table.startsWith('tcp') ? '0A' : '07') && inodes.has(inode) ? [`${table} ${local}`] : [];
      });
    } catch (error) {
      // A kernel without IPv6.
      if (errorCode(error) === 'ENOENT') return [];
      throw error;
    }
  });
}

/** "" where only root may see it. */
function executable(pid: number): string {
  try {
    return basename(readlinkSync(`/proc/${pid}/exe`)).replace(/ \(deleted\)$/, '');
  } catch {
    return '';
  }
}

/** By the program's own name, never by arguments: `tail -f dockerd.log` and cri-dockerd are no daemons. */
function isDaemon(pid: number, comm: string): boolean {
  if (comm === 'dockerd' || comm === 'dockerd-current' || comm === 'podman') return true;
  if (comm !== 'docker' && comm !== 'docker-current') return false;
  try {
    return ['daemon', '-d'].includes(commandLine(pid)[1] ?? '');
  } catch {
    return false;
  }
}

const commandLine = (pid: number): string[] => {
  const text = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  return text === '' ? [] : text.replace(/\0$/, '').split('\0');
};

/** Inodes of the sockets that are bound to `realPath` according to a net/unix table. Bound paths are compared by where they lead. */
function boundSockets(table: string, realPath: string, kind: 'listening' | 'connected'): Set<string> {
  const name = basename(realPath);
  const inodes = readFileSync(table, 'utf8').split('\n').flatMap((line) => {
    // Num RefCount Protocol Flags Type St Inode Path; flag 0x10000 is __SO_ACCEPTCON.
    const fields = /^\S+: \S+ \S+ (\S+) \S+ \S+\s+(\d+) (\/.*)$/.exec(line);
    const [, flags = '', inode = '', bound = ''] = fields ?? [];
    const listens = (parseInt(flags, 16) & 0x10000) !== 0;
    return listens === (kind === 'listening') && basename(bound) === name && leadsTo(bound, realPath) ? [inode] : [];
  });
  return new Set(inodes);
}

const leadsTo = (path: string, realPath: string): boolean => {
  try {
    return path === realPath || realpathSync(path) === realPath;
  } catch {
    return false;
  }
};

/** Inodes of the sockets that a process has open. */
function* socketsOf(pid: number): Generator<string> {
  for (const fd of readdirSync(`/proc/${pid}/fd`)) {
    try {
      const inode = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1];
      if (inode !== undefined) yield inode;
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') throw error; // Closed meanwhile.
    }
  }
}

function holds(pid: number, inodes: ReadonlySet<string>): boolean {
  if (inodes.size === 0) return false;
  for (const inode of socketsOf(pid)) {
    if (inodes.has(inode)) return true;
  }
  return false;
}

/**
 * Whether a connection to a path ends in this process. The socket file may have been replaced, moved or covered by a mount since the
 * process bound it; nothing below /proc tells which file a socket belongs to. But an accepted socket has the path of its
 * listener and is in the connecting side's network namespace, so that the table there shows what the process has newly accepted.
 */
async function accepts(pid: number, realPath: string): Promise<boolean> {
  const before = new Set(socketsOf(pid));
  const connection = connect(realPath);
  // Refused, it reaches nobody, and the time runs out.
  connection.on('error', () => undefined);
  try {
    const deadline = performance.now() + ACCEPT_TIMEOUT_MS;
    while (performance.now() < deadline) {
      await sleep(ACCEPT_POLL_MS);
      const accepted = boundSockets('/proc/net/unix', realPath, 'connected');
      for (const inode of before) accepted.delete(inode);
      if (holds(pid, accepted)) return true;
    }
    return false;
  } finally {
    connection.destroy();
  }
}

function describe(pid: number, realPath: string): SocketOwner {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return {
    pid,
    // Effective uid, the second of the four.
    uid: Number(/^Uid:\s+\d+\s+(\d+)/m.exec(status)?.[1] ?? Number.NaN),
    argv: commandLine(pid),
    startedAt: startTime(pid).toISOString(),
    cgroup: readFileSync(`/proc/${pid}/cgroup`, 'utf8').split('\n').filter((line) => line !== ''),
    home: environment(pid, 'HOME'),
    sameRoot: sameFile(pid, realPath) && (sameFile(pid, '/') || sameFile(pid, '/etc')),
  };
}

/** `/` alone would refuse a snap (its root is its own, its /etc is the host's); the socket alone would accept a container that shares /run. */
function sameFile(pid: number, path: string): boolean {
  try {
    return identity(statSync(`/proc/${pid}/root${path}`)) === identity(statSync(path));
  } catch (error) {
    if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ENOTDIR') return false;
    throw error;
  }
}

function environment(pid: number, name: string): string | null {
  const entry = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0').find((line) => line.startsWith(`${name}=`));
  return entry === undefined ? null : entry.slice(name.length + 1);
}

/**
 * When a process started. Two clocks are asked, and the earlier answer is taken: /proc/uptime is the container's own under lxcfs,
 * which would put a daemon's start after changes that it never saw; our own start is known late when a shell exec'ed us.
 */
function startTime(pid: number): Date {
  const started = startSeconds(String(pid));
  const uptime = Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0]);
  const byUptime = Date.now() - (uptime - started) * 1000;
  const bySelf = performance.timeOrigin - (startSeconds('self') - started) * 1000;
  return new Date(Math.min(byUptime, bySelf));
}

/** proc(5), stat field 22: seconds since boot. The command name before it may hold spaces and parentheses. */
function startSeconds(pid: string): number {
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  return Number(text.slice(text.lastIndexOf(')') + 2).split(' ')[19]) / TICKS_PER_SECOND;
}
