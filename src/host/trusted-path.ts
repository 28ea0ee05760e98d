import { constants, type Stats } from 'node:fs';
import { lstat, open, readlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { HostError } from './port.ts';

/** Where a path ends once every symbolic link that may be followed is followed. */
export interface ResolvedPath {
  readonly path: string;
  /** lstat(2) of `path`; null when nothing is there. */
  readonly stat: Stats | null;
  /** The directory that holds `path`, or the nearest one above it that exists. */
  readonly directory: string;
  /** Names below `directory` that do not exist yet, the last one being the path's own; empty when the path exists. */
  readonly missing: readonly string[];
}

/** As the kernel: path_resolution(7) gives up after 40 links. */
const MAX_LINKS = 40;

/** "cannot VERB PATH: why. What to do", for an error of the file system. */
export function fileError(verb: string, path: string, error: unknown): HostError {
  const code = errorCode(error);
  const reasons: Record<string, string> = {
    ENOSPC: 'no space is left on its file system. Free some and run again',
    EDQUOT: 'the disk quota is used up. Free some space and run again',
    EROFS: 'its file system is read-only. Remount it read-write, or make the change where that file system is built',
    EPERM: 'the operation is not permitted. Run as root; if you are, look for an immutable flag with lsattr',
    EACCES: 'permission is denied. Run as root',
    EIO: 'the disk reports an error. Check the kernel log before anything else',
    ENOENT: 'it, or a directory on the way, does not exist',
    ENOTDIR: 'something on the way is not a directory',
    EBUSY: 'it is in use as a mount point',
  };
  const reason = reasons[code ?? ''] ?? (error instanceof Error ? error.message : String(error));
  return new HostError(`cannot ${verb} ${path}: ${reason}`, { cause: error });
}

export function errorCode(error: unknown): string | null {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : null;
}

/** lstat(2), or null when nothing is there. */
export async function lstatOrNull(path: string): Promise<Stats | null> {
  try {
    return await lstat(path);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return null;
    throw fileError('look at', path, error);
  }
}

/**
 * Follows a path link by link and insists that nobody but root and this process's user can redirect it: every directory
 * on the way belongs to one of them and is not writable by others, unless it is sticky (as /tmp), where the entry must
 * belong to one of them too. What holds when this returns still holds when the path is used, whatever other users do.
 * @throws HostError naming the directory or link that is not to be trusted
 */
export async function resolveTrusted(path: string, options: { readonly followLast: boolean }): Promise<ResolvedPath> {
  if (!path.startsWith('/') || path.includes('\0')) throw new HostError(`${JSON.stringify(path)} is not an absolute path. Give the full path`);
  let directory = '/';
  const pending = components(path);
  for (let links = 0; ;) {
    const name = pending.shift();
    if (name === undefined) return { path: directory, stat: await lstatOrNull(directory), directory: dirname(directory), missing: [] };
    if (name === '..') {
      directory = dirname(directory);
      continue;
    }
    const parent = await lstatOrNull(directory);
    if (parent?.isDirectory() !== true) throw new HostError(`cannot use ${path}: ${directory} is not a directory. Move it away or choose another path`);
    const doubt = distrust(parent);
    if (doubt !== null) {
      throw new HostError(`cannot safely use ${path}: ${directory} ${doubt}, who could redirect the path while it is used. Correct its owner or mode first`);
    }
    const here = join(directory, name);
    const stat = await lstatOrNull(here);
    if (stat === null) {
      if (pending.includes('..')) throw new HostError(`cannot use ${path}: ${here} does not exist`);
      return { path: join(here, ...pending), stat: null, directory, missing: [name, ...pending] };
    }
    if ((parent.mode & 0o1000) !== 0 && !isOurs(stat.uid)) {
      throw new HostError(`cannot safely use ${path}: ${here} belongs to uid ${stat.uid}, who could exchange it while it is used. Move it to a directory that only root can write`);
    }
    if (stat.isSymbolicLink() && (pending.length > 0 || options.followLast)) {
      links += 1;
      if (links > MAX_LINKS) throw new HostError(`cannot use ${path}: more than ${MAX_LINKS} symbolic links on the way. Look for a loop at ${here}`);
      const target = await readlink(here);
      if (target.startsWith('/')) directory = '/';
      pending.unshift(...components(target));
      continue;
    }
    if (pending.length === 0) return { path: here, stat, directory, missing: [] };
    directory = here;
  }
}

/** Makes directory entries durable: renames, creations and removals in it survive a power loss once this resolves. */
export async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

const components = (path: string): string[] => path.split('/').filter((name) => name !== '' && name !== '.');

const isOurs = (uid: number): boolean => uid === 0 || uid === process.geteuid?.();

/** Who else can rename or replace entries of a directory; null when nobody can. An ACL that grants writing shows in the group bits (acl(5)). */
function distrust(directory: Stats): string | null {
  if (!isOurs(directory.uid)) return `belongs to uid ${directory.uid}`;
  if ((directory.mode & 0o1000) !== 0) return null;
  if ((directory.mode & 0o002) !== 0) return 'can be written by everybody';
  if ((directory.mode & 0o020) !== 0 && directory.gid !== process.getegid?.()) return `can be written by group ${directory.gid}`;
  return null;
}
