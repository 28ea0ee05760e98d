import { sha256 } from '../digest.ts';
import type { AccountFacts, FileStat, HostFacts, MountPoint, Observed } from '../model.ts';
import { absent, mapObserved, present, unreadable, valueOf } from '../model.ts';
import type { ToolResult } from '../host/port.ts';
import { HOST_STATS, HOST_TEXTS } from './paths.ts';
import type { Answer, Round } from './round.ts';

type LocalHost = Omit<HostFacts, 'hostname' | 'architecture'> & { readonly hostname: Observed<string> };

/** Declares what describes the machine itself; `daemonPid` is that of the daemon that was proven to be its. */
export function readHost(round: Round): (daemonPid: number) => LocalHost {
  const text = (name: keyof typeof HOST_TEXTS): Answer<string> => round.text(HOST_TEXTS[name]);
  const stat = (name: keyof typeof HOST_STATS): Answer<FileStat> => round.stat(HOST_STATS[name]);
  const osRelease = [text('osRelease'), text('vendorRelease')] as const;
  const [hostname, machine, kernel, lsm, apparmor] = [text('hostname'), text('machine'), text('kernel'), text('lsm'), text('apparmor')];
  const [status, mounts, inet6, initScript] = [text('status'), text('mounts'), text('inet6'), text('initScript')];
  const [scriptPid, pidFile] = [text('scriptPid'), text('pidFile')];
  const [selinux, systemd, service] = [stat('selinux'), stat('systemd'), stat('service')];
  const tmpfiles = [stat('tmpfiles'), stat('tmpfilesInBin')];

  return (daemonPid) => ({
    hostname: mapObserved(hostname(), (name) => name.trim()),
    machine: machineOf(machine()),
    os: mapObserved(firstPresent(osRelease.map((answer) => answer())), parseOsRelease),
    kernel: mapObserved(kernel(), (release) => release.trim()),
    lsm: activeModules(lsm(), apparmor(), selinux().status === 'present'),
    serviceManager: serviceManager(systemd(), initScript(), service().status === 'present', [scriptPid(), pidFile()], daemonPid),
    euid: Number(/^Uid:\s+\d+\s+(\d+)/m.exec(valueOf(status()) ?? '')?.[1] ?? -1),
    mounts: mapObserved(mounts(), parseMountInfo),
    globalIpv6: hasGlobalIpv6(inet6()),
    tmpfiles: mapObserved(firstPresent(tmpfiles.map((answer) => answer())), () => true),
  });
}

/** An image of a machine that was never started has no id yet, or a word for it. */
function machineOf(text: Observed<string>): Observed<string> {
  const id = valueOf(text)?.trim();
  if (id === undefined) return text;
  return /^[0-9a-f]{32}$/u.test(id) ? present(sha256(`harden host ${id}`)) : absent;
}

/** The first that was read, else the first that could not be, else absent. */
const firstPresent = <T>(observed: readonly Observed<T>[]): Observed<T> =>
  observed.find(({ status }) => status === 'present') ?? observed.find(({ status }) => status === 'unreadable') ?? absent;

/** os-release(5): shell assignments, values quoted or bare. */
export function parseOsRelease(text: string): { readonly id: string; readonly versionId: string; readonly name: string } {
  const values = new Map(text.split('\n').flatMap((line) => {
    const [, name, value] = /^([A-Z_0-9]+)=(.*)$/.exec(line.trim()) ?? [];
    return name === undefined || value === undefined ? [] : [[name, value.replace(/^(["'])(.*)\1$/, '$2').replace(/\\([$"'\\`])/g, '$1')] as const];
  }));
  return { id: values.get('ID') ?? 'linux', versionId: values.get('VERSION_ID') ?? '', name: values.get('PRETTY_NAME') ?? values.get('NAME') ?? 'Linux' };
}

/** The kernel's list; where securityfs is not mounted, the two modules that Docker uses are looked at one by one. */
function activeModules(lsm: Observed<string>, apparmor: Observed<string>, selinux: boolean): Observed<readonly string[]> {
  if (lsm.status !== 'absent') return mapObserved(lsm, (text) => text.trim().split(',').filter((name) => name !== ''));
  if (apparmor.status === 'unreadable') return apparmor;
  return present([...(valueOf(apparmor)?.trim() === 'Y' ? ['apparmor'] : []), ...(selinux ? ['selinux'] : [])]);
}

/**
 * sd_booted(3) for systemd. An init script counts only when it started this very daemon: to restart through it a daemon that was
 * started by hand would leave that one running. Debian's script has a pid file of its own; others share dockerd's.
 */
function serviceManager(
  systemd: Observed<unknown>, initScript: Observed<string>, hasService: boolean, pidFiles: readonly Observed<string>[], pid: number,
): HostFacts['serviceManager'] {
  if (systemd.status !== 'absent') return mapObserved(systemd, () => 'systemd' as const);
  if (initScript.status === 'unreadable') return initScript;
  if (initScript.status === 'absent' || !hasService) return present('none');
  const pidFile = pidFiles[initScript.value.includes('-ssd.pid') ? 0 : 1] ?? absent;
  return pidFile.status === 'unreadable' ? pidFile : present(Number(valueOf(pidFile)) === pid ? 'sysvinit' : 'none');
}

/** proc(5), /proc/PID/mountinfo: optional fields end with a lone "-". */
export function parseMountInfo(text: string): MountPoint[] {
  return text.split('\n').flatMap((line) => {
    const fields = line.split(' ');
    const separator = fields.indexOf('-', 6);
    const [mountPoint, fsType, source] = [fields[4], fields[separator + 1], fields[separator + 2]];
    if (separator === -1 || mountPoint === undefined || fsType === undefined) return [];
    return [{ mountPoint: unescapeOctal(mountPoint), fsType, source: unescapeOctal(source ?? '') }];
  });
}

/** Space, tab, newline and backslash are written as \040 and so on, byte by byte. */
const unescapeOctal = (text: string): string => text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(parseInt(digits, 8)));

/** Columns: address, interface index, prefix length, scope, flags, interface. No file: the kernel has no IPv6. */
function hasGlobalIpv6(inet6: Observed<string>): Observed<boolean> {
  if (inet6.status === 'absent') return present(false);
  return mapObserved(inet6, (text) => text.split('\n').some((line) => {
    const [, , , scope, , device] = line.trim().split(/\s+/);
    return scope === '00' && device !== 'lo';
  }));
}

/** Those of the paths that have an access control list: ls(1) marks them with a "+" behind the mode. One process. */
export function readAccessLists(round: Round, paths: readonly string[]): () => ReadonlySet<string> {
  const ls = round.need({ kind: 'tool', tool: 'ls', args: ['-ldL', '--', ...paths] });
  return () => {
    const lines = (valueOf(ls())?.stdout ?? '').split('\n').filter((line) => line[10] === '+');
    return new Set(paths.filter((path) => lines.some((line) => line.endsWith(` ${path}`))));
  };
}

/**
 * Accounts as the name service knows them. A directory that does not enumerate still answers for the group that counts, so `docker` is
 * asked for by name as well. Without getent(1), the files are all there is.
 */
export function readAccounts(round: Round): () => Observed<AccountFacts> {
  const tool = (...args: string[]) => round.need({ kind: 'tool', tool: 'getent', args });
  const passwd = tool('passwd');
  const group = tool('group');
  const docker = tool('group', 'docker');
  const files = { passwd: round.text(HOST_TEXTS.passwd), group: round.text(HOST_TEXTS.group) };

  return () => {
    const users = database(passwd(), files.passwd());
    const groups = database(group(), files.group());
    if (users.status !== 'present') return users;
    if (groups.status !== 'present') return groups;
    const found = parseGroups(groups.value);
    const named = docker().status === 'present' ? parseGroups(valueOf(docker())?.stdout ?? '') : [];
    return present({ users: parseUsers(users.value), groups: [...found, ...named.filter(({ name }) => !found.some((one) => one.name === name))] });
  };
}

function database(asked: Observed<ToolResult>, file: Observed<string>): Observed<string> {
  if (asked.status === 'absent') return file;
  if (asked.status === 'unreadable') return asked;
  const { code, stdout, stderr } = asked.value;
  return code === 0 ? present(stdout) : unreadable(`getent ended with ${code}: ${stderr.trim()}`);
}

const records = (text: string): string[][] => text.split('\n').filter((line) => line.includes(':')).map((line) => line.split(':'));

const parseUsers = (text: string): AccountFacts['users'] =>
  records(text).map(([name = '', , uid, gid]) => ({ name, uid: Number(uid), gid: Number(gid) }));

const parseGroups = (text: string): AccountFacts['groups'] =>
  records(text).map(([name = '', , gid, members = '']) => ({ name, gid: Number(gid), members: members.split(',').filter((member) => member !== '') }));
