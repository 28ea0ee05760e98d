import { rootOf } from '../container/dependants.ts';
import { replacedFields } from '../container/spec-edit.ts';
import { sha256 } from '../digest.ts';
import type { Action, ContainerFacts, Facts, Json, ObjectChange, ObjectEdit, Policy, SpecEdit } from '../model.ts';
import { present, valueOf } from '../model.ts';
import { escapeLine } from '../render/escape.ts';
import { plural } from '../render/layout.ts';
import { composeChange } from './compose-changes.ts';
import { containerChange } from './container-changes.ts';
import { isAmount, serviceChange } from './service-change.ts';
import type { Described, EditOf, PlannedEdit } from './planned.ts';
import { mergedFrom, ofKind } from './planned.ts';

const REMOVED_CONTAINERS = 'removed containers';

/** What an edit is about: edits of one object are one change. What is removed is not changed as well. */
function objectOf(edit: ObjectEdit, removed: ReadonlySet<string>, facts: Facts): string {
  switch (edit.kind) {
    case 'removeGroupMember': return `group ${edit.group}`;
    case 'changeContainer': {
      if (removed.has(edit.container)) return REMOVED_CONTAINERS;
      const container = valueOf(facts.containers)?.find(({ id }) => id === edit.container);
      return `container ${container === undefined ? edit.container : rootOf(container, facts).id}`;
    }
    case 'changeComposeService': return `compose ${edit.project}`;
    case 'removeContainer': return REMOVED_CONTAINERS;
    case 'removeImage': return 'removed images';
    case 'swarmCertificates': case 'swarmAutolock': return 'swarm';
    case 'changeService': return `service ${edit.service}`;
  }
}

/** What an edit claims, as key → value, like those of files. */
export function objectClaims(edit: ObjectEdit): readonly (readonly [key: string, value: Json])[] {
  switch (edit.kind) {
    case 'removeGroupMember': return [[`group ${edit.group}: ${edit.user}`, false]];
    case 'changeContainer': return edit.edits.flatMap((wish) => specClaims(`container ${edit.container.slice(0, 12)}`, wish));
    // Of amounts that its tasks need, each by what was seen of it, a service gets the largest.
    case 'changeService': return edit.edits.filter((wish) => !isAmount(wish)).flatMap((wish) => specClaims(`service ${edit.service}`, wish));
    case 'changeComposeService': return edit.edits.flatMap((wish) => specClaims(`service ${edit.service} of ${edit.project}`, wish));
    case 'swarmCertificates': return [['swarm: lifetime of certificates', edit.nodeCertExpiry]];
    case 'swarmAutolock': return [['swarm: file of the unlock key', edit.keyFile]];
    case 'removeContainer': return [[`container ${edit.container.slice(0, 12)}`, false]];
    case 'removeImage': return [[`image ${edit.image}`, false]];
  }
}

/** Two edits of one item of a list meet at the item, or at the field of it that they change; two of one field at the field. */
function specClaims(owner: string, edit: SpecEdit): readonly (readonly [key: string, value: Json])[] {
  const place = `${owner}: ${edit.path}`;
  switch (edit.op) {
    case 'set': return [[place, edit.value]];
    case 'add': return [[`${place} ${JSON.stringify(edit.value)}`, true]];
    case 'remove': return [[`${place} ${JSON.stringify(edit.value)}`, false]];
    case 'replace': return typeof edit.value !== 'object' ? [[`${place} ${JSON.stringify(edit.value)}`, edit.by]]
      : Object.entries(replacedFields(edit)).map(([field, by]) => [`${place} ${JSON.stringify(edit.value)} ${field}`, by] as const);
  }
}

const DAY_NS = 86_400_000_000_000;
const days = (nanoseconds: number): string => `${Math.round((nanoseconds / DAY_NS) * 100) / 100} days`;

function groupMembers(edits: readonly EditOf<'removeGroupMember'>[], facts: Facts): Described | null {
  const group = edits[0]?.group ?? '';
  const before = valueOf(facts.accounts)?.groups.find(({ name }) => name === group)?.members ?? [];
  const gone = [...new Set(edits.map(({ user }) => user))].filter((user) => before.includes(user));
  if (gone.length === 0) return null;
  return {
    id: `group:${group}`,
    kind: 'group-members',
    target: { kind: 'account', name: group, id: group },
    title: `Members of the group ${group}`,
    actions: gone.map((user) => ({ kind: 'removeGroupMember', group, user })),
    diff: gone.map((user) => `- member ${user}\n`).join(''),
    before: [...before],
  };
}

function swarmSettings(planned: readonly PlannedEdit[], facts: Facts): Described | null {
  const swarm = valueOf(facts.swarm ?? present(undefined));
  const before = { nodeCertExpiry: swarm?.nodeCertExpiry ?? null, autoLock: swarm?.autoLock ?? null };
  const lifetime = ofKind(planned, 'swarmCertificates').map(({ nodeCertExpiry }) => nodeCertExpiry).find((wanted) => wanted !== before.nodeCertExpiry);
  const keyFile = before.autoLock === true ? undefined : ofKind(planned, 'swarmAutolock')[0]?.keyFile;
  const actions: Action[] = [
    ...(lifetime === undefined ? [] : [{ kind: 'setSwarmCertificates', nodeCertExpiry: lifetime } as const]),
    ...(keyFile === undefined ? [] : [{ kind: 'lockSwarm', keyFile } as const]),
  ];
  if (actions.length === 0) return null;
  return {
    id: 'swarm',
    kind: 'swarm-settings',
    target: { kind: 'swarm', name: 'swarm', id: 'swarm' },
    title: 'Settings of the swarm',
    actions,
    diff: [
      ...(lifetime === undefined ? [] : [...(before.nodeCertExpiry === null ? [] : [`- lifetime of node certificates: ${days(before.nodeCertExpiry)}`]), `+ lifetime of node certificates: ${days(lifetime)}`]),
      ...(keyFile === undefined ? [] : ['- managers unlock themselves after a restart', `+ managers wait for docker swarm unlock after a restart; the key is in ${escapeLine(keyFile)}`]),
    ].map((line) => `${line}\n`).join(''),
    before,
  };
}

const since = (days: number, what: string): string => (days === 0 ? `${what} since today` : `${what} for ${plural(days, 'day')}`);

/** Files that a container wrote outside of volumes, which go with it. */
function written({ evidence, spec }: ContainerFacts): string {
  const changes = valueOf(evidence?.changes);
  if (changes === undefined) return '; what it wrote could not be seen';
  const mounted = valueOf(spec)?.mounts.map(({ target }) => target) ?? [];
  const holdsOthers = (path: string): boolean => [...mounted, ...changes.map((other) => other.path)].some((other) => other.startsWith(`${path}/`));
  const paths = changes.filter(({ kind, path }) => kind !== 'deleted' && !mounted.includes(path) && !holdsOthers(path)).map(({ path }) => path);
  if (paths.length === 0) return '; it wrote no files';
  return `; wrote ${paths.slice(0, SHOWN_PATHS).join(', ')}${paths.length > SHOWN_PATHS ? ` and ${paths.length - SHOWN_PATHS} more` : ''}`;
}

const SHOWN_PATHS = 5;

/** One line for each: what a name or a path holds must not make it two. */
const removedLines = (lines: readonly string[]): string => lines.map((line) => `- ${escapeLine(line)}\n`).join('');

function removedContainers(edits: readonly EditOf<'removeContainer'>[], facts: Facts): Described | null {
  const gone = edits.flatMap(({ container: id, days: idle }) => {
    const container = valueOf(facts.containers)?.find((candidate) => candidate.id === id);
    const runtime = valueOf(container?.runtime);
    return container === undefined || runtime === undefined ? [] : [{ container, idle, finishedAt: runtime.finishedAt ?? '' }];
  });
  if (gone.length === 0) return null;
  return {
    id: 'removed-containers',
    kind: 'removed-containers',
    target: { kind: 'container', name: 'stopped containers', id: 'containers' },
    title: `${plural(gone.length, 'container')} removed for good`,
    actions: gone.map(({ container: { id, name }, finishedAt }) => ({ kind: 'removeContainer', container: id, name, finishedAt })),
    diff: removedLines(gone.map(({ container, idle }) =>
      `${container.name} (${container.id.slice(0, 12)}, ${valueOf(container.spec)?.image.reference ?? 'unknown image'}, ${since(idle, 'stopped')}${written(container)})`)),
    before: gone.map(({ container: { id, name }, finishedAt }) => [id, name, finishedAt]),
  };
}

function removedImages(edits: readonly EditOf<'removeImage'>[], facts: Facts): Described | null {
  const gone = edits.flatMap(({ image: id, name, days: idle }) => {
    const image = valueOf(facts.images)?.find((candidate) => candidate.id === id);
    return image === undefined ? [] : [{ id, name, idle, sizeBytes: image.sizeBytes, references: [...image.tags, ...image.digests] }];
  });
  if (gone.length === 0) return null;
  return {
    id: 'removed-images',
    kind: 'removed-images',
    target: { kind: 'image', name: 'unused images', id: 'images' },
    title: `${plural(gone.length, 'image')} removed for good`,
    actions: gone.map(({ id, name, references }) => ({ kind: 'removeImage', image: id, name, references })),
    diff: removedLines(gone.map(({ id, name, idle, sizeBytes, references }) => {
      const others = references.filter((reference) => reference !== name && !reference.includes('@'));
      return `${[name, ...others].join(', ')} (${id.slice(0, 19)}, ${inMegabytes(sizeBytes)}, ${since(idle, 'unused')})`;
    })),
    before: gone.map(({ id, references }) => [id, [...references]]),
  };
}

/** As `docker image ls` counts: powers of 1000. */
const inMegabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(bytes < 10e6 ? 1 : 0)} MB`;

function describe(planned: readonly PlannedEdit[], kind: ObjectEdit['kind'], facts: Facts, policy: Policy): Described | null {
  switch (kind) {
    case 'removeGroupMember': return groupMembers(ofKind(planned, kind), facts);
    case 'changeContainer': return containerChange(ofKind(planned, kind), facts, policy);
    case 'changeComposeService': return composeChange(ofKind(planned, kind), facts, policy);
    case 'swarmCertificates': case 'swarmAutolock': return swarmSettings(planned, facts);
    case 'removeContainer': return removedContainers(ofKind(planned, kind), facts);
    case 'removeImage': return removedImages(ofKind(planned, kind), facts);
    case 'changeService': return serviceChange(ofKind(planned, kind), facts, policy);
  }
}

type Planned = PlannedEdit<ObjectEdit & PlannedEdit['edit']>;

/** What becomes of an object, of all that was asked for it: a removal makes every other edit of it moot. */
const decisive = (items: readonly Planned[]): readonly Planned[] => {
  const removals = items.filter(({ edit }) => edit.kind === 'removeContainer');
  return removals.length > 0 ? removals : items;
};

/** Images go last: until then a container may use them that goes too. */
const LAST: ObjectChange['kind'] = 'removed-images';

/** Merges the edits of each object into one change. An edit that changes nothing makes none. */
export function buildObjectChanges(planned: readonly Planned[], facts: Facts, policy: Policy): ObjectChange[] {
  const removed = new Set(ofKind(planned, 'removeContainer').map(({ container }) => container));
  const groups = new Map<string, Planned[]>();
  for (const item of planned) {
    const object = objectOf(item.edit, removed, facts);
    groups.set(object, [...groups.get(object) ?? [], item]);
  }
  const changes = [...groups.values()].flatMap((items): ObjectChange[] => {
    const [first, ...others] = decisive(items);
    const described = first === undefined ? null : describe([first, ...others], first.edit.kind, facts, policy);
    if (first === undefined || described === null) return [];
    const { before, ...change } = described;
    const { because } = mergedFrom(items);
    return [{ ...change, ...mergedFrom([first, ...others]), because, fingerprint: sha256(JSON.stringify({ id: change.id, before, premises: change.premises, actions: change.actions })) }];
  });
  return [...changes.filter(({ kind }) => kind !== LAST), ...changes.filter(({ kind }) => kind === LAST)];
}
