import { isDeepStrictEqual } from 'node:util';
import type { ContainerSpec, Json, JsonObject, ListPath, SettablePath, SpecEdit } from '../model.ts';

/** The field at a path of a specification. */
export function fieldAt(spec: ContainerSpec, path: SettablePath | ListPath): Json {
  const [head = '', tail] = path.split('.');
  const value = (spec as unknown as JsonObject)[head] ?? null;
  return tail === undefined ? value : (value as JsonObject)[tail] ?? null;
}

function withField(spec: ContainerSpec, path: SettablePath | ListPath, value: Json): ContainerSpec {
  const [head = '', tail] = path.split('.');
  const whole = spec as unknown as JsonObject;
  return { ...whole, [head]: tail === undefined ? value : { ...(whole[head] as JsonObject), [tail]: value } } as unknown as ContainerSpec;
}

function editedList(items: readonly Json[], edit: Exclude<SpecEdit, { op: 'set' }>): readonly Json[] {
  const isIt = (item: Json): boolean => isDeepStrictEqual(item, edit.value);
  switch (edit.op) {
    case 'add': return items.some(isIt) ? items : [...items, edit.value];
    case 'remove': return items.filter((item) => !isIt(item));
    case 'replace': return items.map((item) => isIt(item) ? edit.by : item);
  }
}

/** A container that changes its network leaves the old one, with what was chosen for it there; one without networks of its own leaves all. */
function moved(spec: ContainerSpec, network: string): ContainerSpec {
  const primary = (mode: string): string => (mode === '' || mode === 'default' ? 'bridge' : mode);
  const from = primary(spec.namespaces.network);
  if (primary(network) === from) return spec;
  const kept = ['host', 'none'].includes(network) || network.startsWith('container:') ? [] : Object.entries(spec.network.attachments).filter(([name]) => name !== from);
  return { ...spec, network: { ...spec.network, attachments: Object.fromEntries(kept), macAddress: null } };
}

function applySpecEdit(spec: ContainerSpec, edit: SpecEdit): ContainerSpec {
  if (edit.op !== 'set') return withField(spec, edit.path, [...editedList(fieldAt(spec, edit.path) as readonly Json[], edit)]);
  return withField(edit.path === 'namespaces.network' ? moved(spec, typeof edit.value === 'string' ? edit.value : '') : spec, edit.path, edit.value);
}

const replacesObject = (edit: SpecEdit): edit is Extract<SpecEdit, { op: 'replace' }> => edit.op === 'replace' && typeof edit.value === 'object' && edit.value !== null;

/** The fields in which what stands in place of an item differs from it. */
export const replacedFields = ({ value, by }: Extract<SpecEdit, { op: 'replace' }>): JsonObject =>
  Object.fromEntries(Object.entries(by as JsonObject).filter(([field, inner]) => !isDeepStrictEqual(inner, (value as JsonObject)[field])));

/** Edits of one item that were asked for apart made one: each changes its own fields of it, and one that is removed is not changed. */
export function joinedEdits(edits: readonly SpecEdit[]): readonly SpecEdit[] {
  const of = (edit: SpecEdit): readonly SpecEdit[] => edits.filter((other) => other.path === edit.path && isDeepStrictEqual(other.value, edit.value));
  return edits.flatMap((edit): SpecEdit[] => {
    if (!replacesObject(edit)) return [edit];
    const same = of(edit);
    const replacing = same.filter(replacesObject);
    if (same.some(({ op }) => op === 'remove') || replacing[0] !== edit) return [];
    return [{ ...edit, by: Object.assign({}, edit.by, ...replacing.map(replacedFields)) as JsonObject }];
  });
}

/** The specification with the edits made, in their order. An edit that finds nothing to remove or replace changes nothing. */
export const applySpecEdits = (spec: ContainerSpec, edits: readonly SpecEdit[]): ContainerSpec => joinedEdits(edits).reduce(applySpecEdit, spec);
