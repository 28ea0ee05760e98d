import { CONTAINERD_SOCKETS } from '../../src/collect/paths.ts';
import { daemonSetting } from '../../src/daemon/settings.ts';
import type { Check, Edition, Facts, FileStat, Observed, Severity, Target, Verdict } from '../../src/model.ts';
import { EDITIONS, mapObserved, present, statOf, unreadable, valueOf } from '../../src/model.ts';
import { octal } from '../../src/octal.ts';
import { containerdSockets } from '../containerd-sockets.ts';
import { fileTarget, judge, manual, na, pass, unknown, warn } from '../verdict.ts';

/** What would make a mode right; null: nothing to do there. */
export interface ModeDetail {
  readonly path: string;
  /** Permission bits to set now: those that are there, without the excess. */
  readonly now: number | null;
  /** SocketMode= for docker.socket. */
  readonly next: number | null;
}

/** What would make an owner right; null: nothing to do there. */
export interface OwnerDetail {
  readonly path: string;
  readonly now: { readonly uid: number; readonly gid: number } | null;
  /** SocketUser= and SocketGroup= for docker.socket. */
  readonly next: { readonly user: string; readonly group: string } | null;
  /** The group that the daemon itself gives the socket at its next start, where that is wrong. */
  readonly daemonGroup: string | null;
}

/** Whose a file may be besides root:root. `daemon`: of the user who runs a rootless daemon. `engine`: that, or root and the group docker. */
type Owners = 'root' | 'daemon' | 'engine';

/** One file, or family of files, of section 3: an owner check and a mode check. */
interface Row {
  readonly slug: string;
  readonly name: string;
  readonly owners: Owners;
  readonly maxMode: number;
  readonly rationale: string;
  readonly evidence: string;
  readonly severity: Severity;
  readonly level: 1 | 2;
  /** Candidates: those that exist are judged. Absent: the host has none. */
  readonly paths: (facts: Facts) => Observed<readonly string[]>;
  readonly none: string;
  /** Overrides maxMode by what the file is; null: its mode does not matter. */
  readonly maxModeOf?: (path: string, stat: FileStat) => number | null;
  readonly cis: { readonly owner: Check['cis']; readonly mode: Check['cis'] };
  /** Where the ids are not `file.<slug>.owner` and `.mode`. */
  readonly ids?: { readonly owner: string; readonly mode: string };
}

/** One number from an edition on, apart from some editions. */
function numbered(number: string, since: Edition, apart: Check['cis'] = {}): Check['cis'] {
  return { ...Object.fromEntries(EDITIONS.slice(EDITIONS.indexOf(since)).map((edition) => [edition, number])), ...apart };
}

const REGISTRY_CERTS = '/etc/docker/certs.d';
const DOCKER_SOCK = '/var/run/docker.sock';
/** Where a unit file is when no running systemd can be asked for it. */
const unitFiles = (unit: string): readonly string[] => [`/etc/systemd/system/${unit}`, `/lib/systemd/system/${unit}`];

const fixed = (...paths: readonly string[]) => (): Observed<readonly string[]> => present(paths);

/** A unit's own file and its drop-ins: each can change all of it. */
const unitSources = (unit: Observed<{ readonly fragmentPath: string; readonly dropInPaths: readonly string[] }>, name: string): Observed<readonly string[]> =>
  unit.status === 'absent' ? present(unitFiles(name)) : mapObserved(unit, ({ fragmentPath, dropInPaths }) => [fragmentPath, ...dropInPaths].filter((path) => path !== ''));

/** What dockerd looks for in the directory of the docker client's configuration, when TLS is on and no path is given. */
const TLS_DEFAULTS = { tlscacert: '.docker/ca.pem', tlscert: '.docker/cert.pem', tlskey: '.docker/key.pem' } as const;

/** The home of the user who runs the daemon: a rootless one reads its configuration there. */
const homeOf = ({ daemon }: Facts): string => /^(.+)\/\.config\/docker\/daemon\.json$/u.exec(daemon.configPath)?.[1] ?? '/root';

const tlsFile = (key: keyof typeof TLS_DEFAULTS) => (facts: Facts): Observed<readonly string[]> => {
  const setting = daemonSetting(facts, key);
  if (setting.status !== 'present') return setting;
  const path = setting.value.next.value;
  if (typeof path === 'string' && path !== '') {
    return path.startsWith('/') ? present([path]) : unreadable(`${key} is ${path}, relative to the directory that the daemon was started in`);
  }
  for (const name of ['tlsverify', 'tls']) {
    const on = daemonSetting(facts, name);
    if (on.status !== 'present') return on;
    if (on.value.next.value === true) return present([`${homeOf(facts)}/${TLS_DEFAULTS[key]}`]);
  }
  return { status: 'absent' };
};

const socketPath = (facts: Facts): string =>
  facts.engine.endpoint.startsWith('unix://') ? facts.engine.endpoint.slice('unix://'.length) : DOCKER_SOCK;

const FILE_CONTROLS_DAEMON = 'Whoever can change it decides what dockerd runs as root at its next start.';
const ROOT_EQUIVALENT = 'Whoever can connect can start a privileged container, and is root on the host.';

const ROWS: readonly Row[] = [
  {
    slug: 'docker-service', name: 'docker.service', owners: 'root', maxMode: 0o644, severity: 'medium', level: 1,
    rationale: FILE_CONTROLS_DAEMON, evidence: "the unit's FragmentPath and DropInPaths",
    paths: ({ daemon }) => unitSources(daemon.unit, 'docker.service'), none: 'The unit of the daemon has no file',
    cis: { owner: numbered('3.1', 'd1.6'), mode: numbered('3.2', 'd1.6') },
  },
  {
    slug: 'docker-socket-unit', name: 'docker.socket', owners: 'root', maxMode: 0o644, severity: 'medium', level: 1,
    rationale: 'The unit decides who may connect to the API socket.', evidence: "the unit's FragmentPath and DropInPaths",
    paths: ({ daemon }) => unitSources(daemon.socketUnit, 'docker.socket'), none: 'docker.socket has no file',
    cis: { owner: numbered('3.3', 'd1.11', { 'd1.6': '3.5' }), mode: numbered('3.4', 'd1.11', { 'd1.6': '3.6' }) },
  },
  {
    slug: 'etc-docker', name: '/etc/docker', owners: 'root', maxMode: 0o755, severity: 'high', level: 1,
    rationale: 'The directory holds the configuration of the daemon, its keys and the certificates that it trusts.', evidence: '/etc/docker',
    paths: fixed('/etc/docker'), none: '/etc/docker does not exist',
    cis: { owner: numbered('3.5', 'd1.11', { 'd1.6': '3.15' }), mode: numbered('3.6', 'd1.11', { 'd1.6': '3.16' }) },
  },
  {
    slug: 'registry-certs', name: 'registry certificate files', owners: 'daemon', maxMode: 0o444, severity: 'medium', level: 1,
    rationale: 'Whoever can change them decides which registries the daemon trusts; whoever can read a client key can pull and push as this host.',
    evidence: `directories (0755), *.crt and *.cert (0444) and *.key (0400) below ${REGISTRY_CERTS} (of a rootless daemon, ~/.config/docker/certs.d)`,
    paths: ({ registryCerts }) => mapObserved(registryCerts, (paths) => [certificateRoot(paths), ...paths]),
    none: `${REGISTRY_CERTS} does not exist`, maxModeOf: certificateMode,
    cis: { owner: numbered('3.7', 'd1.11', { 'd1.6': '3.17' }), mode: numbered('3.8', 'd1.11', { 'd1.6': '3.18' }) },
  },
  {
    slug: 'tlscacert', name: 'TLS CA certificate', owners: 'daemon', maxMode: 0o444, severity: 'high', level: 1,
    rationale: 'Whoever can change it decides which clients the daemon obeys.', evidence: "the daemon's tlscacert",
    paths: tlsFile('tlscacert'), none: 'The daemon uses no TLS CA certificate',
    cis: { owner: numbered('3.9', 'd1.11', { 'd1.6': '3.19' }), mode: numbered('3.10', 'd1.11', { 'd1.6': '3.20' }) },
  },
  {
    slug: 'tlscert', name: 'TLS server certificate', owners: 'daemon', maxMode: 0o444, severity: 'medium', level: 1,
    rationale: 'Whoever can change it can cut clients off from the daemon, or stand in for it.', evidence: "the daemon's tlscert",
    paths: tlsFile('tlscert'), none: 'The daemon uses no TLS server certificate',
    cis: { owner: numbered('3.11', 'd1.11', { 'd1.6': '3.21' }), mode: numbered('3.12', 'd1.11', { 'd1.6': '3.22' }) },
  },
  {
    slug: 'tlskey', name: 'TLS server key', owners: 'daemon', maxMode: 0o400, severity: 'high', level: 1,
    rationale: 'Whoever can read it can stand in for the daemon.', evidence: "the daemon's tlskey",
    paths: tlsFile('tlskey'), none: 'The daemon uses no TLS server key',
    cis: { owner: numbered('3.13', 'd1.11', { 'd1.6': '3.23' }), mode: numbered('3.14', 'd1.11', { 'd1.6': '3.24' }) },
  },
  {
    slug: 'docker-sock', name: 'API socket', owners: 'engine', maxMode: 0o660, severity: 'high', level: 1,
    rationale: ROOT_EQUIVALENT, evidence: 'the socket of the engine in use, and what docker.socket (or dockerd) makes of it at its next start',
    paths: (facts) => present([socketPath(facts)]), none: 'The engine has no socket',
    cis: { owner: numbered('3.15', 'd1.11', { 'd1.6': '3.25' }), mode: numbered('3.16', 'd1.11', { 'd1.6': '3.26' }) },
  },
  {
    slug: 'daemon-json', name: 'daemon.json', owners: 'daemon', maxMode: 0o644, severity: 'high', level: 2,
    rationale: FILE_CONTROLS_DAEMON, evidence: 'the configuration file that the daemon reads',
    paths: ({ daemon }) => present([daemon.configPath]), none: 'The daemon reads no configuration file',
    cis: { owner: numbered('3.17', 'd1.11'), mode: numbered('3.18', 'd1.11') },
  },
  {
    slug: 'default-docker', name: '/etc/default/docker', owners: 'root', maxMode: 0o644, severity: 'high', level: 2,
    rationale: FILE_CONTROLS_DAEMON, evidence: '/etc/default/docker',
    paths: fixed('/etc/default/docker'), none: '/etc/default/docker does not exist',
    cis: {
      owner: numbered('3.19', 'd1.11'),
      mode: numbered('3.20', 'd1.11', { '1.2.0': '3.22', '1.3.1': '3.22', '1.4.0': '3.22' }),
    },
  },
  {
    slug: 'sysconfig-docker', name: '/etc/sysconfig/docker', owners: 'root', maxMode: 0o644, severity: 'high', level: 2,
    rationale: FILE_CONTROLS_DAEMON, evidence: '/etc/sysconfig/docker',
    paths: fixed('/etc/sysconfig/docker'), none: '/etc/sysconfig/docker does not exist',
    cis: {
      owner: numbered('3.22', '1.5.0', { 'd1.6': '3.7', '1.2.0': '3.20', '1.3.1': '3.21', '1.4.0': '3.21' }),
      mode: numbered('3.21', '1.5.0', { 'd1.6': '3.8', '1.2.0': '3.21', '1.3.1': '3.20', '1.4.0': '3.20' }),
    },
  },
  {
    slug: 'containerd-sock', name: 'containerd socket', owners: 'root', maxMode: 0o660, severity: 'high', level: 1,
    rationale: ROOT_EQUIVALENT, evidence: `${CONTAINERD_SOCKETS.join(' or ')}, and what --containerd of the running daemon names`,
    paths: containerdSockets, none: 'There is no containerd socket',
    cis: { owner: numbered('3.23', '1.3.1'), mode: numbered('3.24', '1.3.1') },
  },
  ...([
    ['docker-registry.service', unitFiles('docker-registry.service'), '3.3', '3.4'],
    ['/etc/sysconfig/docker-network', ['/etc/sysconfig/docker-network'], '3.9', '3.10'],
    ['/etc/sysconfig/docker-registry', ['/etc/sysconfig/docker-registry'], '3.11', '3.12'],
    ['/etc/sysconfig/docker-storage', ['/etc/sysconfig/docker-storage'], '3.13', '3.14'],
  ] as const).map(([name, paths, owner, mode]): Row => ({
    slug: name, name, owners: 'root', maxMode: 0o644, severity: 'medium', level: 1,
    rationale: 'Where it is still in use, whoever can change it changes how the daemon starts.', evidence: paths.join(' or '),
    paths: fixed(...paths), none: `${name} does not exist`,
    cis: { owner: { 'd1.6': owner }, mode: { 'd1.6': mode } },
    ids: { owner: `file.legacy.${owner}`, mode: `file.legacy.${mode}` },
  })),
];

/** Paths that the checks of files look at on every host; what they discover is the unit files, daemon.json, the socket, TLS and registry files. */
export const fileStatPaths: readonly string[] = [...new Set([
  ...unitFiles('docker.service'), ...unitFiles('docker.socket'), ...unitFiles('docker-registry.service'),
  '/etc/docker', REGISTRY_CERTS, DOCKER_SOCK, '/etc/default/docker', '/etc/sysconfig/docker', '/etc/sysconfig/docker-network',
  '/etc/sysconfig/docker-registry', '/etc/sysconfig/docker-storage', ...CONTAINERD_SOCKETS,
  ...Object.values(TLS_DEFAULTS).map((path) => `/root/${path}`),
])];

/** The directory that all are below: a rootless daemon has its own. */
const certificateRoot = ([first = '']: readonly string[]): string => /^.+?\/certs\.d(?=\/)/u.exec(first)?.[0] ?? REGISTRY_CERTS;

/** A mask for certificates would lock directories, and loosen keys. Other files below certs.d are none of the daemon's. */
function certificateMode(path: string, stat: FileStat): number | null {
  if (stat.type === 'directory') return 0o755;
  if (path.endsWith('.key')) return 0o400;
  return path.endsWith('.crt') || path.endsWith('.cert') ? 0o444 : null;
}

const where = (path: string, stat: FileStat): string => stat.realPath === path ? path : `${path} (${stat.realPath})`;

/** The verdicts on those of a row's paths that exist; one `na` when none does. */
function judgePaths<D>(row: Row, facts: Facts, judgeStat: (target: Target, path: string, stat: FileStat) => Verdict<D>): readonly Verdict<D>[] {
  const target = fileTarget(row.name);
  return judge(target, row.paths(facts), (paths) => {
    const verdicts = paths.flatMap((path) => judge<FileStat, D>(
      fileTarget(path), statOf(facts, path) ?? unreadable(`${path} was not looked at`),
      // A drop-in that is masked is a link to /dev/null.
      (stat) => stat.realPath === '/dev/null' ? [] : [judgeStat(fileTarget(path), path, stat)],
      () => [na(fileTarget(path), `${path} does not exist`)],
    ));
    const applicable = verdicts.filter(({ outcome }) => outcome !== 'na');
    return applicable.length > 0 ? applicable : verdicts.slice(0, 1).concat(verdicts.length === 0 ? [na(target, row.none)] : []);
  }, () => [na(target, row.none)]);
}

/** What the next start makes of the API socket. */
interface NextSocket {
  readonly mode: number;
  readonly user: string;
  readonly group: string;
  readonly by: 'docker.socket' | 'dockerd';
}

const withoutVar = (path: string): string => path.startsWith('/var/run/') ? path.slice('/var'.length) : path;

/** docker.socket where it is active and listens on the socket; otherwise dockerd, which makes its sockets 0660 (moby, daemon/listeners). */
function nextSocket(facts: Facts, path: string, stat: FileStat): Observed<NextSocket> {
  const { socketUnit } = facts.daemon;
  if (socketUnit.status === 'unreadable') return socketUnit;
  const ends = new Set([withoutVar(path), withoutVar(stat.realPath)]);
  if (socketUnit.status === 'present' && socketUnit.value.active && socketUnit.value.listen.some((address) => ends.has(withoutVar(address)))) {
    const { mode, user, group } = socketUnit.value;
    return present({ mode, user: user === '' ? 'root' : user, group: group === '' ? 'root' : group, by: 'docker.socket' });
  }
  const daemon = { mode: 0o660, user: 'root', by: 'dockerd' } as const;
  return mapObserved(daemonSetting(facts, 'group'), ({ next }) => ({ ...daemon, group: typeof next.value === 'string' ? next.value : 'docker' }));
}

function modeCheck(row: Row): Check<ModeDetail> {
  const limit = octal(row.maxMode);
  const isEngineSocket = row.owners === 'engine';
  return {
    id: row.ids?.mode ?? `file.${row.slug}.mode`,
    title: row.maxModeOf ? `${row.name} allow no more than ${limit}` : `${row.name} allows no more than ${limit}`,
    rationale: row.rationale,
    evidence: `stat(2), permission bits including setuid, setgid and sticky: ${row.evidence}`,
    passes: row.maxModeOf
      ? `No certificate has a bit outside ${limit}, no key one outside 0400, no directory one outside 0755.`
      : `No bit outside ${limit} is set${isEngineSocket ? ', neither now nor at the next start' : ''}.`,
    section: 'files', severity: row.severity, level: row.level, cis: row.cis.mode,
    evaluate: (facts) => judgePaths(row, facts, (target, path, stat) => {
      const max = row.maxModeOf ? row.maxModeOf(path, stat) : row.maxMode;
      const place = where(path, stat);
      if (max === null) return na(target, `${place} is neither a certificate nor a key`);
      const wrongNow = (stat.mode & ~max) !== 0;
      const now = wrongNow ? stat.mode & max : null;
      const tooMuch = `${place} has mode ${octal(stat.mode)}, which allows more than ${octal(max)}`;
      const fine = `${place} has mode ${octal(stat.mode)}`;
      // The group bits are the mask of the list: without them it grants nothing.
      const listed = stat.hasAcl === true && (stat.mode & 0o070) !== 0
        ? manual(target, `${fine}, and an access control list, which may let others connect: see getfacl ${path}`) : null;
      if (!isEngineSocket) return wrongNow ? warn(target, tooMuch, { path, now, next: null }) : listed ?? pass(target, fine);

      const following = nextSocket(facts, path, stat);
      const next = valueOf(following);
      const wrongNext = next !== undefined && (next.mode & ~max) !== 0;
      const detail: ModeDetail = { path, now, next: wrongNext ? next.mode & max : null };
      if (wrongNow) return warn(target, tooMuch, detail);
      if (wrongNext) return warn(target, `${fine}, but docker.socket will make it ${octal(next.mode)} at its next start`, detail);
      return following.status === 'unreadable' ? unknown(target, following.reason) : listed ?? pass(target, `${fine}, and keeps it at the next start`);
    }),
  };
}

interface Ownership {
  readonly uid: number;
  readonly gid: number;
  readonly label: string;
}

const ROOT: Ownership = { uid: 0, gid: 0, label: 'root:root' };

/** The owner to set. Absent, where root:root is the only right one; unreadable, where it cannot be known. */
function otherOwner(owners: Owners, facts: Facts): Observed<Ownership> {
  if (owners === 'root') return { status: 'absent' };
  const { process } = facts.daemon;
  if (process.status === 'unreadable') return process;
  const daemonUid = valueOf(process)?.uid ?? 0;
  if (daemonUid === 0 && owners === 'daemon') return { status: 'absent' };
  if (facts.accounts.status !== 'present') return facts.accounts;
  const { users, groups } = facts.accounts.value;
  if (daemonUid === 0) {
    const docker = groups.find(({ name }) => name === 'docker');
    return docker ? present({ uid: 0, gid: docker.gid, label: 'root:docker' }) : { status: 'absent' };
  }
  const user = users.find(({ uid }) => uid === daemonUid);
  return user ? present({ uid: user.uid, gid: user.gid, label: ownerName(facts, user.uid, user.gid) }) : unreadable(`uid ${daemonUid}, who runs the daemon, has no account here`);
}

/** user:group by name as far as accounts are known; for messages. */
export function ownerName(facts: Facts, uid: number, gid: number): string {
  const accounts = valueOf(facts.accounts);
  return `${accounts?.users.find((user) => user.uid === uid)?.name ?? uid}:${accounts?.groups.find((group) => group.gid === gid)?.name ?? gid}`;
}

/** Whether the owner that the next start gives the API socket is root, and its group root or docker. */
function nextOwnerIsRight(facts: Facts, next: NextSocket): Observed<boolean> {
  if (next.user !== 'root' && next.user !== '0') return present(false);
  if (['root', '0', 'docker'].includes(next.group)) return present(true);
  if (!/^\d+$/u.test(next.group)) return present(false);
  return mapObserved(facts.accounts, ({ groups }) => groups.some(({ name, gid }) => name === 'docker' && gid === Number(next.group)));
}

function ownerCheck(row: Row): Check<OwnerDetail> {
  const isEngineSocket = row.owners === 'engine';
  const wanted = isEngineSocket ? 'root:docker' : 'root:root';
  return {
    id: row.ids?.owner ?? `file.${row.slug}.owner`,
    title: row.maxModeOf ? `${row.name} belong to ${wanted}` : `${row.name} belongs to ${wanted}`,
    rationale: row.rationale,
    evidence: `stat(2), owner and group: ${row.evidence}`,
    passes: isEngineSocket ? 'Its owner is root:docker or root:root, now and at the next start; of a rootless daemon, the user who runs it.'
      : `Its owner is root:root${row.owners === 'daemon' ? '; of a rootless daemon, or the user who runs it' : ''}.`,
    section: 'files', severity: row.severity, level: row.level, cis: row.cis.owner,
    evaluate: (facts) => judgePaths(row, facts, (target, path, stat) => {
      const isRoot = stat.uid === 0 && stat.gid === 0;
      // Not looked up unless needed: a file of root:root is right whoever the others are.
      const other = isRoot ? { status: 'absent' } as const : otherOwner(row.owners, facts);
      if (other.status === 'unreadable') return unknown(target, other.reason);
      const right = valueOf(other) ?? ROOT;
      const wrongNow = !isRoot && (stat.uid !== right.uid || stat.gid !== right.gid);
      const now = wrongNow ? { uid: right.uid, gid: right.gid } : null;
      const fine = `${where(path, stat)} belongs to ${isRoot ? ROOT.label : right.label}`;
      const wrong = (): string => `${where(path, stat)} belongs to ${ownerName(facts, stat.uid, stat.gid)}, not to ${right.label}`;
      const detail: OwnerDetail = { path, now, next: null, daemonGroup: null };
      // A rootless daemon gives its socket to the user who runs it.
      if (!isEngineSocket || right.uid !== 0) return wrongNow ? warn(target, wrong(), detail) : pass(target, fine);

      const following = nextSocket(facts, path, stat);
      const next = valueOf(following);
      const nextRight: Observed<boolean> = following.status === 'present' ? nextOwnerIsRight(facts, following.value) : following;
      const wrongNext = valueOf(nextRight) === false && next !== undefined;
      const full: OwnerDetail = {
        ...detail,
        next: wrongNext && next.by === 'docker.socket' ? { user: 'root', group: hasDockerGroup(facts) ? 'docker' : 'root' } : null,
        daemonGroup: wrongNext && next.by === 'dockerd' ? next.group : null,
      };
      if (wrongNow) return warn(target, wrong(), full);
      if (wrongNext) return warn(target, `${fine}, but ${next.by} will give it to ${next.user}:${next.group} at its next start`, full);
      return nextRight.status === 'present' ? pass(target, `${fine}, and keeps that owner at the next start`)
        : unknown(target, nextRight.status === 'unreadable' ? nextRight.reason : 'There are no accounts to look up the group of docker.socket');
    }),
  };
}

/** A unit that names a group that does not exist does not start (systemd.socket(5)). */
const hasDockerGroup = (facts: Facts): boolean => valueOf(facts.accounts)?.groups.some(({ name }) => name === 'docker') === true;

export const fileOwnerChecks: readonly Check<OwnerDetail>[] = ROWS.map(ownerCheck);
export const fileModeChecks: readonly Check<ModeDetail>[] = ROWS.map(modeCheck);

const RETIRED = 1000;
/** In the order of the newest edition; retired ones last. */
const place = ({ cis }: Check): number =>
  cis['1.8.0'] === undefined ? RETIRED + Number(cis['d1.6']?.split('.')[1]) : Number(cis['1.8.0'].split('.')[1]);

/** Section 3 of the benchmark, and its retired relatives. */
export const fileChecks: readonly Check[] = [...fileOwnerChecks, ...fileModeChecks].sort((a, b) => place(a) - place(b));
