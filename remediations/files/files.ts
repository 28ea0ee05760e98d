import { fileModeChecks, fileOwnerChecks, ownerName } from '../../checks/files/files.ts';
import type { ModeDetail, OwnerDetail } from '../../checks/files/files.ts';
import { daemonSetting } from '../../src/daemon/settings.ts';
import type { Check, Facts, FileStat, Proposal, ProposedEdit, Remediation } from '../../src/model.ts';
import { statOf, valueOf } from '../../src/model.ts';
import { octal } from '../../src/octal.ts';
import { defer, edits, remedy } from '../remedy.ts';

/** What decides who can use a file. */
type Access = Pick<FileStat, 'mode' | 'uid' | 'gid'>;

const READ = 0o4;
const WRITE = 0o2;

/** Who can use a file now and not afterwards: read it, or for a socket connect to it, which takes write permission (unix(7)). */
function shutOut(stat: FileStat, after: Access, facts: Facts): readonly string[] {
  const isSocket = stat.type === 'socket';
  const may = (access: Access, shift: number): boolean => ((access.mode >> shift) & (isSocket ? WRITE : READ)) !== 0;
  const [user = '', group = ''] = ownerName(facts, stat.uid, stat.gid).split(':');
  const lost: string[] = [];
  if (stat.uid !== 0 && may(stat, 6) && !may(after, after.uid === stat.uid ? 6 : 0)) lost.push(`user ${user}`);
  if (stat.gid !== 0 && may(stat, 3) && !may(after, after.gid === stat.gid ? 3 : 0)) lost.push(`group ${group}`);
  // A key that lies open to all does so by mistake; an open socket may well be in use.
  if (isSocket && may(stat, 0) && !may(after, 0)) lost.push('every other account');
  return lost;
}

/** The file that a path is a symbolic link to; null when it is none. */
function linkedTo(facts: Facts, path: string): string | null {
  const stat = valueOf(statOf(facts, path));
  return stat?.isLink === true ? stat.realPath : null;
}

/** The writer changes no metadata through a link: what it leads to may be kept by somebody else, for others as well. */
const leaveLink = (path: string, real: string, command: string): Proposal =>
  defer('owner', `${path} is a symbolic link, and ${real} may be kept by somebody else, or be used by others.`, `if it is the daemon's alone: ${command} ${real}`);

/** A change of metadata costs nothing now; it is a risk for those who can no longer use the file. */
function metadata(edit: { kind: 'setMode'; path: string; mode: number } | { kind: 'setOwner'; path: string; uid: number; gid: number }, facts: Facts): ProposedEdit {
  const stat = valueOf(statOf(facts, edit.path));
  const lost = stat ? shutOut(stat, { ...stat, ...edit }, facts) : [];
  const notes = [
    ...(lost.length > 0 ? [`From now on, ${lost.join(' and ')} cannot ${stat?.type === 'socket' ? 'connect to' : 'read'} ${edit.path}.`] : []),
    ...(edit.path.endsWith('/containerd.sock') ? ['containerd makes its socket anew at each start: mode 0660, owner as [grpc] uid and gid in its configuration say.'] : []),
  ];
  return {
    ...edit, impact: 'none', undo: 'none', risk: lost.length > 0 ? 'behaviour' : 'safe', ...(notes.length > 0 ? { note: notes.join(' ') } : {}),
  };
}

const socketDropIn = (settings: readonly (readonly [string, string])[], note: string): ProposedEdit =>
  ({ kind: 'unitDropIn', unit: 'docker.socket', section: 'Socket', settings, impact: 'none', risk: 'behaviour', undo: 'none', note });

/** The socket is what people and programs connect to; the other files are the daemon's own. */
const usualRisk = ({ id }: Check): Remediation['risk'] => id.startsWith('file.docker-sock.') || id.startsWith('file.containerd-sock.') ? 'behaviour' : 'safe';

const modeRemediation = (check: Check<ModeDetail>): Remediation<ModeDetail> => remedy(check, {
  mode: 'auto',
  effect: 'Takes away the permission bits that are too many; those that remain stay as they are.',
  impact: 'none',
  risk: usualRisk(check),
  parameters: [],
  propose({ detail: { path, now, next } }, facts) {
    const linked = linkedTo(facts, path);
    if (now !== null && linked !== null) return leaveLink(path, linked, `chmod ${octal(now)}`);
    return edits([
      ...(now === null ? [] : [metadata({ kind: 'setMode', path, mode: now }, facts)]),
      ...(next === null ? [] : [socketDropIn([['SocketMode', octal(next)]], `From its next start on, docker.socket makes ${path} with mode ${octal(next)}.`)]),
    ]);
  },
});

const ownerRemediation = (check: Check<OwnerDetail>): Remediation<OwnerDetail> => remedy(check, {
  mode: 'auto',
  effect: 'Gives the file to its proper owner and group; its mode stays.',
  impact: 'none',
  risk: usualRisk(check),
  parameters: [],
  propose({ detail: { path, now, next, daemonGroup } }, facts) {
    if (daemonGroup !== null) {
      const place = valueOf(daemonSetting(facts, 'group'))?.next.source === 'flag' ? 'the flag --group from the command line of dockerd' : `"group" from ${facts.daemon.configPath}`;
      return defer('manual', `dockerd gives ${path} to the group ${daemonGroup} at each start, so that a change of the socket alone would not last.`,
        `put the accounts that need it into the group docker, remove ${place}, and restart the daemon`);
    }
    const linked = linkedTo(facts, path);
    if (now !== null && linked !== null) return leaveLink(path, linked, `chown ${now.uid}:${now.gid}`);
    return edits([
      ...(now === null ? [] : [metadata({ kind: 'setOwner', path, ...now }, facts)]),
      ...(next === null ? [] : [socketDropIn([['SocketUser', next.user], ['SocketGroup', next.group]],
        `From its next start on, docker.socket gives ${path} to ${next.user}:${next.group}.`)]),
    ]);
  },
});

export const fileRemediations: readonly Remediation[] = [...fileOwnerChecks.map(ownerRemediation), ...fileModeChecks.map(modeRemediation)];
