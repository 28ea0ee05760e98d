import { directoriesAbove } from '../collect/paths.ts';
import type { Facts, FileStat } from '../model.ts';
import { statOf, valueOf } from '../model.ts';

/** Who but root and this process's user can exchange entries of a directory; null when nobody can. */
function whoElse({ uid, gid, mode }: FileStat, euid: number): string | null {
  if (uid !== 0 && uid !== euid) return `belongs to uid ${uid}`;
  if ((mode & 0o1000) !== 0) return null;
  if ((mode & 0o002) !== 0) return 'can be written by everybody';
  return (mode & 0o020) !== 0 && gid !== 0 ? `can be written by group ${gid}` : null;
}

/**
 * The outermost directory on the way to a path in which somebody else could exchange what the path leads to, and why; null when none is
 * known. The writer refuses such a path, and with it the whole run: what is below can be planned once the directory is right, and must be
 * looked at anew then, because whoever could write there may have prepared a link.
 */
export function untrustedDirectory(facts: Facts, path: string): { readonly directory: string; readonly why: string } | null {
  const real = valueOf(statOf(facts, path))?.realPath ?? path;
  for (const directory of [...directoriesAbove(path), ...directoriesAbove(real)].sort((a, b) => a.length - b.length)) {
    const stat = valueOf(statOf(facts, directory));
    const why = stat === undefined ? null : whoElse(stat, facts.host.euid);
    if (why !== null) return { directory, why };
  }
  return null;
}
