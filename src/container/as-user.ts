import { listNames } from '../daemon/containers.ts';
import type { ContainerAccounts, ContainerFacts, ContainerSpec, Facts, MountSpec, Owned, Ownership } from '../model.ts';
import { valueOf } from '../model.ts';
import { at } from '../collect/json.ts';
import { octal } from '../octal.ts';

/** Whether a USER is root: "", root and every spelling of 0, with or without a group. What passwd(5) of the image calls 0 besides is not seen. */
export const isRoot = (user: string): boolean => /^(?:root|[+-]?0*)(?::|$)/u.test(user);

/** The user of the image of a container that was told to be root although its image is not; null of all others. */
export function userTakenAway({ spec }: ContainerFacts, images: Facts['images']): string | null {
  const { user, image } = valueOf(spec) ?? { user: null, image: { id: null } };
  const config = valueOf(images)?.find(({ id }) => id === image.id)?.config;
  const own = config === undefined ? undefined : valueOf(config)?.user;
  return user !== null && isRoot(user) && own !== undefined && !isRoot(own) ? own : null;
}

interface Who {
  readonly uid: number;
  readonly groups: ReadonlySet<number>;
}

const numeric = (text: string): number | null => (/^\d{1,10}$/u.test(text) ? Number(text) : null);
const has = (entry: { readonly name: string }, id: number, wanted: string): boolean => entry.name === wanted || id === numeric(wanted);

/**
 * Who a container's USER is, as runc's GetExecUser and the engine have it: the first entry with the name or the number; a number without an
 * entry is one of the group 0. A sentence where the engine would refuse; null where that depends on files that nobody has read.
 */
function whoIs(user: string, accounts: ContainerAccounts | undefined, groupAdd: readonly string[]): Who | string | null {
  const [name = '', group = ''] = user.split(':', 2);
  if (accounts === undefined) {
    const [uid, gid] = [numeric(name), numeric(group)];
    return uid === null || gid === null ? null : { uid, groups: new Set([gid]) };
  }
  const entry = accounts.users.find((one) => has(one, one.uid, name));
  const uid = entry?.uid ?? numeric(name);
  if (uid === null) return `there is no user ${name} in it`;
  const named = (wanted: string): number | null => accounts.groups.find((one) => has(one, one.gid, wanted))?.gid ?? numeric(wanted);
  const gid = group === '' ? entry?.gid ?? 0 : named(group);
  if (gid === null) return `there is no group ${group} in it`;
  const member = group !== '' || entry === undefined ? [] : accounts.groups.filter(({ members }) => members.includes(entry.name)).map((one) => one.gid);
  return { uid, groups: new Set([gid, ...member, ...groupAdd.flatMap((one) => named(one) ?? [])]) };
}

const [READ, WRITE, SEARCH] = [4, 2, 1];

/** By owner, group and mode alone: an access control list may allow more. */
function may({ uid, groups }: Who, { mode, uid: owner, gid }: Owned, wanted: number): boolean {
  const bits = uid === owner ? mode >> 6 : groups.has(gid) ? mode >> 3 : mode;
  return uid === 0 || (bits & wanted) === wanted;
}

const shown = (path: string, { uid, gid, mode }: Owned): string => `${path} (${uid}:${gid}, mode ${octal(mode)})`;

/** What keeps a container from running as somebody. */
export interface Obstacles {
  /** It would fail: by what it listens on, what it wrote, or since the engine does not know the user. Each completes "it could not …". */
  readonly certain: readonly string[];
  /** It would fail if it does what it has not been seen to do. */
  readonly possible: readonly string[];
  /** What was not seen, as sentences without their stop. */
  readonly unknown: readonly string[];
  /** What was seen in part only, likewise. */
  readonly partly: readonly string[];
}

const NONE: Obstacles = { certain: [], possible: [], unknown: [], partly: [] };

/** From Docker 20.10 (API 1.41) on the engine lets everybody listen on all ports of a network that it makes for a container. */
const OPEN_PORTS_SINCE = 41;
const PORT_START = 'net.ipv4.ip_unprivileged_port_start';
const FIRST_UNPRIVILEGED = 1024;

/** The first port that its processes may listen on without a right of root; null: not known. */
function portStart(container: ContainerFacts, spec: ContainerSpec, facts: Facts, seen: ReadonlySet<string> = new Set()): number | null {
  const { network: mode } = spec.namespaces;
  if (mode === 'host') return valueOf(container.evidence?.ownership?.hostPortStart ?? { status: 'absent' }) ?? null;
  if (mode.startsWith('container:')) {
    const wanted = mode.slice('container:'.length);
    const other = (valueOf(facts.containers) ?? []).find(({ id, name }) => id === wanted || name === wanted);
    const theirs = valueOf(other?.spec);
    // The host's is measured for those that are told to be root themselves.
    return other === undefined || theirs === undefined || seen.has(other.id) ? null : portStart({ ...container, id: other.id }, theirs, facts, new Set([...seen, other.id]));
  }
  const chosen = spec.network.sysctls[PORT_START];
  if (chosen !== undefined) return numeric(chosen);
  const minor = Number(valueOf(facts.engine.version)?.apiVersion.split('.')[1]);
  return Number.isNaN(minor) ? null : minor >= OPEN_PORTS_SINCE ? 0 : FIRST_UNPRIVILEGED;
}

function portObstacles(container: ContainerFacts, spec: ContainerSpec, facts: Facts): Obstacles {
  const start = portStart(container, spec, facts);
  if (start === 0) return NONE;
  if (start === null) return { ...NONE, unknown: ['Which ports others than root may listen on is not known there'] };
  const listening = valueOf(container.listening ?? { status: 'absent' });
  const served = listening?.map(({ port }) => port) ?? [...spec.network.ports.map(({ containerPort }) => containerPort), ...spec.network.exposed.map((port) => Number.parseInt(port, 10))];
  const ports = [...new Set(served)].filter((port) => port > 0 && port < start).sort((a, b) => a - b);
  return {
    ...NONE,
    certain: ports.map((port) => `listen on port ${port} (there others than root may from ${start} on)`),
    unknown: listening === undefined ? ['What it listens on was not seen'] : [],
  };
}

/** A clock that is read when a container is made, and a volume just after it. */
const SOON_MS = 2000;

/** The directory that a tmpfs is, by its options; the engine's default is 1777. */
function tmpfsRoot({ options, details }: MountSpec): Owned {
  const option = (name: string): string | undefined => new RegExp(`(?:^|,)${name}=(\\d+)(?:,|$)`, 'u').exec(options)?.[1];
  const mode = at(details, 'TmpfsOptions', 'Mode');
  return {
    type: 'directory', mode: typeof mode === 'number' && mode > 0 ? mode : Number.parseInt(option('mode') ?? '1777', 8),
    uid: Number(option('uid') ?? 0), gid: Number(option('gid') ?? 0), mtimeMs: 0,
  };
}

/** What a user lacks at a file: to use a socket or a pipe is to write to it. */
function lacking(who: Who, file: Owned, readOnly: boolean): 'read' | 'write to' | 'use' | null {
  if (file.type === 'symlink') return null;
  if (file.type !== 'file' && file.type !== 'directory') return may(who, file, READ | WRITE) ? null : 'use';
  if (!may(who, file, file.type === 'directory' ? READ | SEARCH : READ)) return 'read';
  return readOnly || may(who, file, WRITE) ? null : 'write to';
}

function fileObstacles(who: Who, ownership: Ownership, { runtime }: ContainerFacts, spec: ContainerSpec): Obstacles {
  const createdAt = Date.parse(valueOf(runtime)?.applied?.createdAt ?? '') + SOON_MS;
  const certain: string[] = [];
  const possible: string[] = [];
  const unknown: string[] = [];
  const partly: string[] = [];
  for (const { path, owner } of ownership.written) {
    if (owner.status !== 'present') unknown.push(`Whose ${path} is, where it wrote, is not known${owner.status === 'unreadable' ? `: ${owner.reason}` : ''}`);
    else if (!may(who, owner.value, owner.value.type === 'directory' ? WRITE | SEARCH : WRITE)) certain.push(`write to ${shown(path, owner.value)}`);
  }
  for (const { target, readOnly, files } of ownership.mounts) {
    if (files.status !== 'present') unknown.push(`Whose the files in ${target} are is not known${files.status === 'unreadable' ? `: ${files.reason}` : ''}`);
    else {
      if (!files.value.complete) partly.push(`Of ${target} only the first files were looked at`);
      for (const { path, ...file } of files.value.samples) {
        const what = lacking(who, file, readOnly);
        if (what === null) continue;
        const where = shown(path === '' ? target : `${target.replace(/\/$/u, '')}/${path}`, file);
        // What changed since the container was made, somebody writes there: most likely the container.
        if (!readOnly && file.mtimeMs > createdAt) certain.push(`${what} ${where}, which changed since the container was made`);
        else possible.push(`${what} ${where}`);
      }
    }
  }
  possible.push(...spec.mounts.filter(({ kind, readOnly }) => kind === 'tmpfs' && !readOnly).map((mount) => ({ mount, root: tmpfsRoot(mount) }))
    .filter(({ root }) => !may(who, root, WRITE | SEARCH)).map(({ mount, root }) => `write to the tmpfs ${shown(mount.target, root)}`));
  return { certain, possible, unknown, partly };
}

/** What files and ports say against running a container as `user`, which is not root. */
export function obstaclesAs(user: string, container: ContainerFacts, spec: ContainerSpec, facts: Facts): Obstacles {
  const ownership = container.evidence?.ownership;
  const accounts = ownership?.accounts ?? { status: 'absent' };
  const who = whoIs(user, valueOf(accounts), spec.security.groupAdd);
  const ports = portObstacles(container, spec, facts);
  if (typeof who === 'string') return { ...ports, certain: [`start, since ${who}`, ...ports.certain] };
  const unseen = (sentence: string): Obstacles => ({ ...NONE, unknown: [sentence] });
  const files = ownership === undefined ? unseen('Whose the files are that it uses was not looked at')
    : who === null ? unseen(`Who ${user} is in it is not known${accounts.status === 'unreadable' ? `: ${accounts.reason}` : ''}`)
      : fileObstacles(who, ownership, container, spec);
  const added = spec.security.capAdd;
  return {
    certain: [...ports.certain, ...files.certain],
    possible: [...files.possible, ...(added.length === 0 ? [] : [`use the capabilities that it was given (${listNames(added)})`])],
    unknown: [...ports.unknown, ...files.unknown],
    partly: files.partly,
  };
}
