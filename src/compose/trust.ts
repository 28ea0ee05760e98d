import type { FileStat } from '../model.ts';

/** Who but root and this process's user can write a file or directory of which root would run what it says; null when nobody can. */
export function writerDoubt({ type, uid, gid, mode, hasAcl }: FileStat, euid: number): string | null {
  if (uid !== 0 && uid !== euid) return `belongs to uid ${uid}, who would decide what root runs`;
  // In a sticky directory only the owner of an entry exchanges it.
  if (type === 'directory' && (mode & 0o1000) !== 0) return null;
  if ((mode & 0o002) !== 0) return 'can be written by everybody';
  if ((mode & 0o020) !== 0 && gid !== 0) return `can be written by group ${gid}`;
  return hasAcl === true ? 'has an access control list' : null;
}
