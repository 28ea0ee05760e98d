import type { Facts, Json, ObjectChange, ObjectEdit } from '../model.ts';
import { present, valueOf } from '../model.ts';
import type { EditOf, PlannedEdit } from './planned.ts';
import { mergedFrom, ofKind, sha256 } from './planned.ts';

type Described = Pick<ObjectChange, 'kind' | 'target' | 'title' | 'actions' | 'diff'> & {
  /** What is there now, as far as the change depends on it. */
  readonly before: Json;
};

/** The id of the change that an edit ends in: edits with one id are one change. */
function objectId(edit: ObjectEdit): string {
  switch (edit.kind) {
    case 'removeGroupMember': return `group:${edit.group}`;
    case 'swarmCertificates': return 'swarm';
  }
}

/** What an edit claims, as key → value, like those of files. */
export function objectClaims(edit: ObjectEdit): readonly (readonly [key: string, value: Json])[] {
  switch (edit.kind) {
    case 'removeGroupMember': return [[`group ${edit.group}: ${edit.user}`, false]];
    case 'swarmCertificates': return [['swarm: lifetime of certificates', edit.nodeCertExpiry]];
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
    kind: 'swarm-settings',
    target: { kind: 'swarm', name: 'swarm', id: 'swarm' },
    title: 'Settings of the swarm',
    actions: [{ kind: 'setSwarmCertificates', nodeCertExpiry: wanted.nodeCertExpiry }],
    diff: `${before === null ? '' : `- lifetime of node certificates: ${days(before)}\n`}+ lifetime of node certificates: ${days(wanted.nodeCertExpiry)}\n`,
    before,
  };
}

function describe(planned: readonly PlannedEdit[], kind: ObjectEdit['kind'], facts: Facts): Described | null {
  switch (kind) {
    case 'removeGroupMember': return groupMembers(ofKind(planned, kind), facts);
    case 'swarmCertificates': return swarmSettings(ofKind(planned, kind), facts);
  }
}

/** Merges the edits of each object into one change. An edit that changes nothing makes none. */
export function buildObjectChanges(planned: readonly PlannedEdit<ObjectEdit & PlannedEdit['edit']>[], facts: Facts): ObjectChange[] {
  const groups = new Map<string, PlannedEdit<ObjectEdit & PlannedEdit['edit']>[]>();
  for (const item of planned) groups.set(objectId(item.edit), [...groups.get(objectId(item.edit)) ?? [], item]);
  return [...groups].flatMap(([id, items]): ObjectChange[] => {
    const described = items[0] === undefined ? null : describe(items, items[0].edit.kind, facts);
    if (described === null) return [];
    const { before, ...change } = described;
    return [{ id, ...change, ...mergedFrom(items), fingerprint: sha256(JSON.stringify({ id, before, actions: change.actions })) }];
  });
}
