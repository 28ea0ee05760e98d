import { randomBytes } from 'node:crypto';
import { link, mkdir, open, readdir, readFile, readlink, rename, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { HostError, type HostWriter } from './host/port.ts';
import { errorCode, fileError, lstatOrNull, resolveTrusted, syncDirectory } from './host/trusted-path.ts';
import { octal } from './octal.ts';

interface Lock {
  /** Safe to call twice. */
  release(): Promise<void>;
}

/** Who holds a lock. A process id alone is no proof: it is given again, and it means nothing after a reboot or in another pid namespace. */
interface Holder {
  readonly pid: number;
  /** Field 22 of /proc/PID/stat, clock ticks since boot (proc(5)). */
  readonly startTicks: number;
  readonly bootId: string;
  /** Target of /proc/self/ns/pid. */
  readonly pidNamespace: string;
  /** ISO 8601 UTC. */
  readonly since: string;
}

/** Bound on retries: every one of them means that another harden came or went meanwhile. */
const MAX_ATTEMPTS = 100;
const ABANDONED_MS = 60_000;

/**
 * Takes the lock of a state directory on this machine, and makes the directory if need be: one apply at a time per host. A holder that was killed, or did not survive a reboot, is
 * replaced; of several that try at once, one succeeds.
 * @throws HostError when somebody else holds it (naming process and time), or when the state directory is not private
 */
export async function acquireLock(stateDir: string, writer: HostWriter): Promise<Lock> {
  const directory = await ensureStateDirectory(stateDir, writer);
  const self = JSON.stringify(await thisProcess());
  const path = join(directory, 'lock');
  const release = await take(path, self);
  await removeAbandoned(directory);
  return { release };
}

/**
 * True while a process holds the lock of a state directory, or may hold it: one in another container cannot be seen.
 * @throws HostError when the lock does not say who holds it
 */
export async function isLocked(stateDir: string): Promise<boolean> {
  const text = await readIfThere(join(stateDir, 'lock'));
  return text !== null && await mayLive(text);
}

/** What a process leaves in a file so that others can tell whether it still runs. */
export const processStamp = async (): Promise<string> => JSON.stringify(await thisProcess());

/**
 * Whether the process that left a stamp runs, or may run.
 * @throws HostError when it is no stamp
 */
export async function mayLive(stamp: string): Promise<boolean> {
  const holder = parseHolder(stamp);
  if (holder === null) throw new HostError('what should name a process is damaged');
  return await stateOf(holder) !== 'dead';
}

/** Makes the state directory (0700, our own) if need be, and refuses one that others can look into or redirect. Returns where it really is. */
async function ensureStateDirectory(stateDir: string, writer: HostWriter): Promise<string> {
  await writer.makeDirectory(dirname(stateDir));
  let target = await resolveTrusted(stateDir, { followLast: true });
  if (target.stat === null) {
    try {
      await mkdir(target.path, 0o700);
      await syncDirectory(dirname(target.path));
    } catch (error) {
      if (errorCode(error) !== 'EEXIST') throw fileError('make the state directory', stateDir, error);
    }
    target = await resolveTrusted(stateDir, { followLast: true });
  }
  const { stat, path } = target;
  if (stat?.isDirectory() !== true) throw new HostError(`the state directory ${stateDir} is not a directory. Move it away or choose another with --state-dir`);
  if (stat.uid !== process.geteuid?.()) {
    throw new HostError(`the state directory ${stateDir} belongs to uid ${stat.uid}, not to the user that runs harden. Choose another with --state-dir`);
  }
  if ((stat.mode & 0o077) !== 0) {
    throw new HostError(`the state directory ${stateDir} can be used by others (mode ${octal(stat.mode & 0o7777)}). See who changed it, then run \`chmod 0700 ${stateDir}\``);
  }
  return path;
}

/**
 * link(2) decides who is first. A dead holder's file is replaced only by whoever holds `PATH.takeover`, a lock of the same kind,
 * and only after reading again, under it, that the file is still the dead one's: nobody else can change the file of a dead holder,
 * so nobody can lose a lock that he has.
 */
async function take(path: string, self: string): Promise<() => Promise<void>> {
  const candidate = join(dirname(path), `lock.new-${randomBytes(6).toString('hex')}`);
  try {
    await writeNew(candidate, self);
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt += 1) {
      if (await linked(candidate, path)) return releaseOf(path, self);
      const found = await readIfThere(path);
      if (found === null) continue;
      await refuseUnlessDead(path, found);
      const releaseTakeover = await take(`${path}.takeover`, self);
      try {
        if (await readIfThere(path) === found) {
          await rename(candidate, path);
          return releaseOf(path, self);
        }
      } finally {
        await releaseTakeover();
      }
    }
    throw new HostError(`${path} is taken and released all the time. Find out what keeps starting harden`);
  } catch (error) {
    throw error instanceof HostError ? error : fileError('take the lock', path, error);
  } finally {
    await removeIfThere(candidate);
  }
}

function releaseOf(path: string, self: string): () => Promise<void> {
  let held = true;
  return async () => {
    if (!held) return;
    held = false;
    // A person may have removed the file and somebody else taken the lock since.
    if (await readIfThere(path) === self) await removeIfThere(path);
  };
}

async function refuseUnlessDead(path: string, text: string): Promise<void> {
  const holder = parseHolder(text);
  if (holder === null) throw new HostError(`${path} is damaged, so it does not say who holds it. When no harden is running, remove it`);
  const state = await stateOf(holder);
  if (state === 'alive') {
    throw new HostError(`another harden (process ${holder.pid}) has been changing this host since ${holder.since}. Wait until it ends; if it hangs, run \`kill ${holder.pid}\` and, if it does not end, \`kill -9 ${holder.pid}\` and \`harden recover\``);
  }
  if (state === 'invisible') {
    throw new HostError(`a harden in another container (process ${holder.pid} there) has held ${path} since ${holder.since}, and from here it cannot be seen whether it still runs. When it has surely ended, remove that file`);
  }
}

async function stateOf(holder: Holder): Promise<'alive' | 'dead' | 'invisible'> {
  const self = await thisProcess();
  if (holder.bootId !== self.bootId) return 'dead';
  if (holder.pidNamespace !== self.pidNamespace) return 'invisible';
  try {
    const { state, startTicks } = await readStat(String(holder.pid));
    return startTicks === holder.startTicks && !['Z', 'X', 'x'].includes(state) ? 'alive' : 'dead';
  } catch (error) {
    if (['ENOENT', 'ESRCH'].includes(errorCode(error) ?? '')) return 'dead';
    throw error;
  }
}

async function thisProcess(): Promise<Holder> {
  const [{ startTicks }, bootId, pidNamespace] = await Promise.all([
    readStat('self'), readFile('/proc/sys/kernel/random/boot_id', 'utf8'), readlink('/proc/self/ns/pid'),
  ]);
  return { pid: process.pid, startTicks, bootId: bootId.trim(), pidNamespace, since: new Date().toISOString() };
}

/** Of /proc/PID/stat; the command name in field 2 may hold spaces and parentheses. */
async function readStat(pid: string): Promise<{ state: string; startTicks: number }> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8');
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return { state: fields[0] ?? '', startTicks: Number(fields[19]) };
}

function parseHolder(text: string): Holder | null {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null) return null;
    const { pid, startTicks, bootId, pidNamespace, since } = value as Partial<Record<keyof Holder, unknown>>;
    return typeof pid === 'number' && Number.isSafeInteger(pid) && pid > 0 && typeof startTicks === 'number'
      && typeof bootId === 'string' && typeof pidNamespace === 'string' && typeof since === 'string'
      ? { pid, startTicks, bootId, pidNamespace, since } : null;
  } catch {
    return null;
  }
}

/** Candidates of processes that were killed while they took the lock; one without content by its age, since its writer may just be at it. */
async function removeAbandoned(directory: string): Promise<void> {
  for (const name of await readdir(directory)) {
    if (!/^lock\.new-[0-9a-f]{12}$/.test(name)) continue;
    const path = join(directory, name);
    const holder = parseHolder(await readIfThere(path) ?? '');
    const age = Date.now() - ((await lstatOrNull(path))?.mtimeMs ?? Date.now());
    if (holder === null ? age > ABANDONED_MS : await stateOf(holder) === 'dead') await removeIfThere(path);
  }
}

async function writeNew(path: string, text: string): Promise<void> {
  const handle = await open(path, 'wx', 0o600);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function linked(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (error) {
    if (errorCode(error) === 'EEXIST') return false;
    throw error;
  }
}

async function readIfThere(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return null;
    throw error;
  }
}

async function removeIfThere(path: string): Promise<void> {
  try {
    await unlink(path);
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error;
  }
}
