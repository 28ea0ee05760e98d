import { rootOf } from '../container/dependants.ts';
import type { Facts, Json, ObjectChange, ObjectEdit, Policy, SpecEdit } from '../model.ts';
import { present, valueOf } from '../model.ts';
import { containerChange } from './container-changes.ts';
import { isAmount, serviceChange } from './service-change.ts';
import type { Described, EditOf, PlannedEdit } from './planned.ts';
import { mergedFrom, ofKind, sha256 } from './planned.ts';

/** What an edit is about: edits of one object are one change. */
function objectOf(edit: ObjectEdit, facts: Facts): string {
  switch (edit.kind) {
    case 'removeGroupMember': return `group ${edit.group}`;
    case 'changeContainer': {
      const container = valueOf(facts.containers)?.find(({ id }) => id === edit.container);
      return `container ${container === undefined ? edit.container : rootOf(container, facts).id}`;
    }
    case 'changeService': return `service ${edit.service}`;
    case 'swarmCertificates': return 'swarm';
  }
}

/** What an edit claims, as key → value, like those of files. */
export function objectClaims(edit: ObjectEdit): readonly (readonly [key: string, value: Json])[] {
  switch (edit.kind) {
    case 'removeGroupMember': return [[`group ${edit.group}: ${edit.user}`, false]];
    case 'changeContainer': return edit.edits.map((wish) => specClaim(`container ${edit.container.slice(0, 12)}`, wish));
    // Of amounts that its tasks need, each by what was seen of it, a service gets the largest.
    case 'changeService': return edit.edits.filter((wish) => !isAmount(wish)).map((wish) => specClaim(`service ${edit.service}`, wish));
    case 'swarmCertificates': return [['swarm: lifetime of certificates', edit.nodeCertExpiry]];
  }
}

/** Two edits of one item of a list meet at the item, two of one field at the field. */
function specClaim(owner: string, edit: SpecEdit): readonly [key: string, value: Json] {
  const place = `${owner}: ${edit.path}`;
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

function describe(planned: readonly PlannedEdit[], kind: ObjectEdit['kind'], facts: Facts, policy: Policy): Described | null {
  switch (kind) {
    case 'removeGroupMember': return groupMembers(ofKind(planned, kind), facts);
    case 'changeContainer': return containerChange(ofKind(planned, kind), facts, policy);
    case 'changeService': return serviceChange(ofKind(planned, kind), facts, policy);
    case 'swarmCertificates': return swarmSettings(ofKind(planned, kind), facts);
  }
}

/** Merges the edits of each object into one change. An edit that changes nothing makes none. */
export function buildObjectChanges(planned: readonly PlannedEdit<ObjectEdit & PlannedEdit['edit']>[], facts: Facts, policy: Policy): ObjectChange[] {
  const groups = new Map<string, PlannedEdit<ObjectEdit & PlannedEdit['edit']>[]>();
  for (const item of planned) {
    const object = objectOf(item.edit, facts);
    groups.set(object, [...groups.get(object) ?? [], item]);
  }
  return [...groups.values()].flatMap((items): ObjectChange[] => {
    const described = items[0] === undefined ? null : describe(items, items[0].edit.kind, facts, policy);
    if (described === null) return [];
    const { before, ...change } = described;
    return [{ ...change, ...mergedFrom(items), fingerprint: sha256(JSON.stringify({ id: change.id, before, actions: change.actions })) }];
  });
}
