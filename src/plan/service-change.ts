import { parametersFor } from '../container/parameters.ts';
import { changedFields, editService, fieldDelta } from '../container/service.ts';
import { at, list } from '../collect/json.ts';
import { sha256 } from '../digest.ts';
import { maskJson } from '../mask.ts';
import type { Facts, Json, JsonObject, Policy, SpecEdit } from '../model.ts';
import { valueOf } from '../model.ts';
import type { Described, EditOf } from './planned.ts';

/** How long all tasks have to run, where nobody says otherwise. */
const WATCH_SECONDS = 10;

/** A limit that a task is given by what was seen of it. */
export const isAmount = (edit: SpecEdit): boolean => edit.op === 'set' && edit.path.startsWith('resources.') && typeof edit.value === 'number';

/** The edits that all tasks ask for, each once; of an amount the largest. */
function merged(edits: readonly SpecEdit[]): SpecEdit[] {
  const byPlace = new Map<string, SpecEdit>();
  for (const edit of edits) {
    const key = isAmount(edit) ? edit.path : JSON.stringify(edit);
    const other = byPlace.get(key);
    if (other === undefined || (isAmount(edit) && Number(edit.value) > Number(other.value))) byPlace.set(key, edit);
  }
  return [...byPlace.values()];
}

/** Each field as it is and as it will be: of lists what comes and goes. */
function fieldDiff(field: string, was: Json, will: Json): string {
  const delta = fieldDelta(was, will);
  const line = (sign: string, item: Json): string => `${sign} ${field}: ${JSON.stringify(maskJson(item))}\n`;
  if (!('was' in delta)) return [...list(delta['gone'] ?? null).map((entry) => line('-', at(entry, 'item') ?? null)), ...list(delta['added'] ?? null).map((item) => line('+', item))].join('');
  return (was === null ? '' : line('-', was)) + (will === null ? '' : line('+', will));
}

/** A node that reaches the registry asks it for every new task what a tag means. */
const floats = (fields: JsonObject): boolean => {
  const image = fields['ContainerSpec.Image'];
  return typeof image === 'string' && !image.includes('@');
};

/** One change of a service, whatever number of its tasks asked for it. */
export function serviceChange(wishes: readonly EditOf<'changeService'>[], facts: Facts, policy: Policy): Described | null {
  const swarm = facts.swarm === undefined ? undefined : valueOf(facts.swarm);
  const service = valueOf(swarm?.services)?.find(({ id }) => id === wishes[0]?.service);
  if (service?.definition === undefined) return null;
  const { id, name, definition: { fields: before, mode, updateState } } = service;
  const edits = merged(wishes.flatMap((wish) => wish.edits));
  const after = editService(before, edits, valueOf(facts.engine.version)?.apiVersion ?? '');
  if ('refused' in after) return null;
  const changed = changedFields(before, after.fields);
  if (changed.length === 0) return null;
  const watchSeconds = parametersFor(`${name}.`, policy).watchSeconds ?? WATCH_SECONDS;
  return {
    id: `service:${name}`,
    kind: 'service',
    target: { kind: 'swarm', name: `service ${name}`, id },
    title: `Updated in its definition; swarm makes its tasks anew by the service's own rules${floats(after.fields) ? ', from what its image\'s tag means then: it has no digest' : ''}`,
    actions: [{ kind: 'updateService', service: id, name, edits, watchSeconds }],
    diff: changed.map((field) => fieldDiff(field, before[field] ?? null, after.fields[field] ?? null)).join(''),
    before: { id, mode, updateState, fields: sha256(JSON.stringify(before)) },
  };
}
