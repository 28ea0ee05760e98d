import { userTakenAway } from '../container/as-user.ts';
import { writtenPaths } from '../container/written.ts';
import { hasSecurityOption } from '../daemon/security-options.ts';
import { messageOf } from '../errors.ts';
import type { Engine } from '../host/engine.ts';
import { byteSource } from '../image/bytes.ts';
import { tarEntries } from '../image/tar.ts';
import type { ContainerAccounts, ContainerFacts, EngineInfo, Facts, Json, Observed, Owned, OwnedFiles } from '../model.ts';
import { absent, mapObserved, present, unreadable, valueOf } from '../model.ts';
import { at, text } from './json.ts';
import type { Answer, Round } from './round.ts';

/** Containers that were told to be root although their image is not: whether they could be what the image wants is measured. */
export const toldToBeRoot = (containers: Facts['containers'], images: Facts['images']): readonly ContainerFacts[] =>
  (valueOf(containers) ?? []).filter((container) => userTakenAway(container, images) !== null && !['dead', 'removing'].includes(valueOf(container.runtime)?.state ?? 'dead'));

const MAX_ACCOUNT_BYTES = 256 * 1024;
const TIMEOUT_MS = 10_000;

/** One of its account files, as the engine reads it: links in the container's files lead nowhere else there. */
async function accountFile(engine: Engine, id: string, path: '/etc/passwd' | '/etc/group'): Promise<Observed<string>> {
  try {
    const archive = await engine.containerFile(id, path, AbortSignal.timeout(TIMEOUT_MS));
    if (archive === undefined) return absent;
    for await (const entry of tarEntries(byteSource(archive))) {
      if (entry.type !== 'file') return unreadable(`${path} in it is no regular file`);
      if (entry.size > MAX_ACCOUNT_BYTES) return unreadable(`${path} in it is larger than ${MAX_ACCOUNT_BYTES / 1024} KiB`);
      return present((await entry.head(MAX_ACCOUNT_BYTES)).toString('utf8'));
    }
    return unreadable(`the engine sent no ${path}`);
  } catch (error) {
    return unreadable(`${path} in it cannot be read: ${messageOf(error).replaceAll('\n', ' ')}`);
  }
}

const idOf = (field: string | undefined): number | null => (field !== undefined && /^\d{1,10}$/u.test(field) ? Number(field) : null);

/** passwd(5) and group(5); lines without a number where one has to be are left out, as runc reads them. */
export function parseAccounts(passwd: string, group: string): ContainerAccounts {
  const rows = (file: string): readonly string[][] => file.split('\n').filter((line) => line !== '').map((line) => line.trim().split(':'));
  return {
    users: rows(passwd).flatMap(([name = '', , uid, gid]) => {
      const ids = [idOf(uid), idOf(gid)] as const;
      return ids[0] === null ? [] : [{ name, uid: ids[0], gid: ids[1] ?? 0 }];
    }),
    groups: rows(group).flatMap(([name = '', , gid, members = '']) => {
      const id = idOf(gid);
      return id === null ? [] : [{ name, gid: id, members: members.split(',').filter((member) => member !== '') }];
    }),
  };
}

/** By id, of the containers whose accounts count. A container without the files has no accounts; the engine takes numbers then. */
export async function readContainerAccounts(engine: Engine, containers: readonly ContainerFacts[]): Promise<ReadonlyMap<string, Observed<ContainerAccounts>>> {
  return new Map(await Promise.all(containers.map(async ({ id }) => {
    const [passwd, group] = await Promise.all([accountFile(engine, id, '/etc/passwd'), accountFile(engine, id, '/etc/group')]);
    const broken = [passwd, group].find(({ status }) => status === 'unreadable');
    return [id, broken?.status === 'unreadable' ? broken : present(parseAccounts(valueOf(passwd) ?? '', valueOf(group) ?? ''))] as const;
  })));
}

/** Of what a container wrote, so many places are looked at. */
const MAX_PLACES = 32;

/** Where a container wrote outside of mounts: the file that it changed, the directory in which it made or removed one. */
function writtenPlaces({ spec, evidence }: ContainerFacts): readonly string[] {
  const own = valueOf(spec);
  const changes = valueOf(evidence?.changes);
  if (own === undefined || changes === undefined) return [];
  const kinds = new Map(changes.map(({ path, kind }) => [path, kind]));
  const places = writtenPaths(own, changes).map((path) => (kinds.get(path) === 'modified' ? path : path.slice(0, path.lastIndexOf('/'))));
  return [...new Set(places)].filter((path) => path !== '').sort().slice(0, MAX_PLACES);
}

/**
 * Declares whose the files are that some containers use, as the host sees it; the function adds it to what is known of each. `raw`: what the engine
 * says of them, by id.
 */
export function readOwnership(
  round: Round, containers: readonly ContainerFacts[], accounts: ReadonlyMap<string, Observed<ContainerAccounts>>, raw: ReadonlyMap<string, Json>, info: EngineInfo | undefined,
): (container: ContainerFacts) => ContainerFacts {
  const declared = new Map(containers.map((container) => {
    const spec = valueOf(container.spec);
    const mounts = (valueOf(container.runtime)?.applied?.mounts ?? []).filter(({ source }) => source.startsWith('/'));
    const upper = text(at(raw.get(container.id), 'GraphDriver', 'Data', 'UpperDir'));
    const isMapped = info === undefined || hasSecurityOption(info, 'rootless') || (hasSecurityOption(info, 'userns') && spec?.namespaces.userns !== 'host');
    const mapped = unreadable('its users have other numbers on the host');
    const owners = (path: string): Answer<OwnedFiles> => (isMapped ? () => mapped : round.need({ kind: 'owners', path }));
    return [container.id, {
      mounts: mounts.map(({ source, target, readOnly }) => ({ target, readOnly, files: owners(source) })),
      written: writtenPlaces(container).map((path) => ({ path, owner: isMapped ? () => mapped : layerOwner(round, upper, path) })),
      hostPortStart: spec?.namespaces.network.startsWith('container:') === true || spec?.namespaces.network === 'host' ? round.text('/proc/sys/net/ipv4/ip_unprivileged_port_start') : undefined,
    }] as const;
  }));
  return (container) => {
    const found = declared.get(container.id);
    if (found === undefined || container.evidence === undefined) return container;
    return { ...container, evidence: { ...container.evidence, ownership: {
      accounts: accounts.get(container.id) ?? absent,
      mounts: found.mounts.map(({ files, ...mount }) => ({ ...mount, files: files() })),
      written: found.written.map(({ path, owner }) => ({ path, owner: owner() })),
      ...(found.hostPortStart !== undefined && { hostPortStart: portOf(found.hostPortStart()) }),
    } } };
  };
}

const portOf = (file: Observed<string>): Observed<number> =>
  file.status !== 'present' ? file : /^\d{1,5}\s*$/u.test(file.value) ? present(Number(file.value)) : unreadable('the kernel does not tell which ports others than root may listen on');

/** Of a file in the writable layer of a container, where the storage driver keeps it as a directory of the host. */
function layerOwner(round: Round, upper: string, path: string): Answer<Owned> {
  if (!upper.startsWith('/')) return () => unreadable('the storage driver does not tell where its files are');
  const full = `${upper}${path}`;
  const stat = round.stat(full);
  // A link in it leads to the host's files, not to its own.
  return () => {
    const found = stat();
    return found.status === 'present' && found.value.realPath !== full ? unreadable('a link leads there')
      : mapObserved(found, ({ type, mode, uid, gid, mtimeMs }) => ({ type, mode, uid, gid, mtimeMs }));
  };
}
