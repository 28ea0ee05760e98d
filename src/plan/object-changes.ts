import { areLive } from '../container/live.ts';
import { parametersFor } from '../container/parameters.ts';
import { applySpecEdits, fieldAt } from '../container/spec-edit.ts';
import { maskJson } from '../mask.ts';
import type { Action, ContainerFacts, ContainerSpec, Facts, Json, ObjectChange, ObjectEdit, Policy, SpecEdit } from '../model.ts';
import { present, valueOf } from '../model.ts';
import type { EditOf, PlannedEdit } from './planned.ts';
import { mergedFrom, ofKind, sha256 } from './planned.ts';

type Described = Pick<ObjectChange, 'id' | 'kind' | 'target' | 'title' | 'actions' | 'diff'> & {
  /** What is there now, as far as the change depends on it. */
  readonly before: Json;
};

/** What an edit is about: edits of one object are one change. */
function objectOf(edit: ObjectEdit): string {
  switch (edit.kind) {
    case 'removeGroupMember': return `group ${edit.group}`;
    case 'changeContainer': return `container ${edit.container}`;
    case 'swarmCertificates': return 'swarm';
  }
}

/** What an edit claims, as key → value, like those of files. */
export function objectClaims(edit: ObjectEdit): readonly (readonly [key: string, value: Json])[] {
  switch (edit.kind) {
    case 'removeGroupMember': return [[`group ${edit.group}: ${edit.user}`, false]];
    case 'changeContainer': return edit.edits.map((wish) => specClaim(edit.container, wish));
    case 'swarmCertificates': return [['swarm: lifetime of certificates', edit.nodeCertExpiry]];
  }
}

/** Two edits of one item of a list meet at the item, two of one field at the field. */
function specClaim(container: string, edit: SpecEdit): readonly [key: string, value: Json] {
  const place = `container ${container.slice(0, 12)}: ${edit.path}`;
  switch (edit.op) {
    case 'set': return [place, edit.value];
    case 'add': return [`${place} ${JSON.stringify(edit.value)}`, true];
    case 'remove': return [`${place} ${JSON.stringify(edit.value)}`, false];
    case 'replace': return [`${place} ${JSON.stringify(edit.value)}`, edit.by];
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

function swarmSettings(edits: readonly EditOf<'swarmCertificates'>[], facts: Facts): Described | null {
  const [wanted] = edits;
  const before = valueOf(facts.swarm ?? present(undefined))?.nodeCertExpiry ?? null;
  if (wanted === undefined || before === wanted.nodeCertExpiry) return null;
  return {
    id: 'swarm',
    kind: 'swarm-settings',
    target: { kind: 'swarm', name: 'swarm', id: 'swarm' },
    title: 'Settings of the swarm',
    actions: [{ kind: 'setSwarmCertificates', nodeCertExpiry: wanted.nodeCertExpiry }],
    diff: `${before === null ? '' : `- lifetime of node certificates: ${days(before)}\n`}+ lifetime of node certificates: ${days(wanted.nodeCertExpiry)}\n`,
    before,
  };
}

/** How long a new container is watched after its start, where nobody says otherwise. */
const WATCH_SECONDS = 10;

const wasUp = (container: ContainerFacts): boolean => valueOf(container.runtime)?.state === 'running';

/** The steps that put a new container in the place of an old one. Nothing is stopped before the new one exists. */
function replaceActions(container: ContainerFacts, edits: readonly SpecEdit[], watchSeconds: number): Action[] {
  const about = { container: container.id, name: container.name };
  return [
    { kind: 'createReplacement', ...about, edits },
    { kind: 'retireContainer', ...about },
    ...(wasUp(container) ? [{ kind: 'stopContainer', ...about } as const] : []),
    { kind: 'swapContainers', ...about },
    ...(wasUp(container) ? [{ kind: 'startReplacement', ...about, watchSeconds } as const] : []),
  ];
}

const shown = (value: Json): string => JSON.stringify(maskJson(value));

/** Each field that the edits touch, as it was and as it will be. */
function specDiff(before: ContainerSpec, after: ContainerSpec, edits: readonly SpecEdit[]): string {
  return [...new Set(edits.map(({ path }) => path))].map((path) => {
    const [was, will] = [fieldAt(before, path), fieldAt(after, path)];
    if (!Array.isArray(was) || !Array.isArray(will)) return `- ${path}: ${shown(was)}\n+ ${path}: ${shown(will)}\n`;
    const has = (items: readonly Json[], item: Json): boolean => items.some((other) => JSON.stringify(other) === JSON.stringify(item));
    return [
      ...was.filter((item) => !has(will, item)).map((item) => `- ${path}: ${shown(item)}\n`),
      ...will.filter((item) => !has(was, item)).map((item) => `+ ${path}: ${shown(item)}\n`),
    ].join('');
  }).join('');
}

function containerChange(edits: readonly EditOf<'changeContainer'>[], facts: Facts, policy: Policy): Described | null {
  const container = valueOf(facts.containers)?.find(({ id }) => id === edits[0]?.container);
  const spec = container === undefined ? undefined : valueOf(container.spec);
  if (container === undefined || spec === undefined) return null;
  const wishes = edits.flatMap((edit) => edit.edits);
  const after = applySpecEdits(spec, wishes);
  if (JSON.stringify(after) === JSON.stringify(spec)) return null;
  const { id, name } = container;
  const live = areLive(wishes);
  return {
    id: `container:${name}`,
    kind: 'container',
    target: { kind: 'container', name, id },
    title: live ? 'Changed while it runs' : 'Created anew, the old one kept beside it',
    actions: live ? [{ kind: 'updateContainer', container: id, name, edits: wishes }] : replaceActions(container, wishes, parametersFor(name, policy).watchSeconds ?? WATCH_SECONDS),
    diff: specDiff(spec, after, wishes),
    before: { id, name, spec: sha256(JSON.stringify(spec)), state: valueOf(container.runtime)?.state ?? null },
  };
}

function describe(planned: readonly PlannedEdit[], kind: ObjectEdit['kind'], facts: Facts, policy: Policy): Described | null {
  switch (kind) {
    case 'removeGroupMember': return groupMembers(ofKind(planned, kind), facts);
    case 'changeContainer': return containerChange(ofKind(planned, kind), facts, policy);
    case 'swarmCertificates': return swarmSettings(ofKind(planned, kind), facts);
  }
}

/** Merges the edits of each object into one change. An edit that changes nothing makes none. */
export function buildObjectChanges(planned: readonly PlannedEdit<ObjectEdit & PlannedEdit['edit']>[], facts: Facts, policy: Policy): ObjectChange[] {
  const groups = new Map<string, PlannedEdit<ObjectEdit & PlannedEdit['edit']>[]>();
  for (const item of planned) groups.set(objectOf(item.edit), [...groups.get(objectOf(item.edit)) ?? [], item]);
  return [...groups.values()].flatMap((items): ObjectChange[] => {
    const described = items[0] === undefined ? null : describe(items, items[0].edit.kind, facts, policy);
    if (described === null) return [];
    const { before, ...change } = described;
    return [{ ...change, ...mergedFrom(items), fingerprint: sha256(JSON.stringify({ id: change.id, before, actions: change.actions })) }];
  });
}
