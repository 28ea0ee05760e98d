import { isDeepStrictEqual } from 'node:util';
import type { ContainerSpec, Json, JsonObject } from '../model.ts';

/** What an edit of a specification may set as a whole: the dotted path of a field of ContainerSpec. */
export const SETTABLE = [
  'image.reference', 'user', 'restart', 'healthcheck', 'log', 'init',
  'resources.memory', 'resources.memorySwap', 'resources.cpuShares', 'resources.nanoCpus', 'resources.pidsLimit', 'resources.cgroupParent',
  'security.privileged', 'security.readonlyRootfs', 'security.noNewPrivileges', 'security.seccomp', 'security.apparmor',
  'namespaces.network', 'namespaces.pid', 'namespaces.ipc', 'namespaces.uts', 'namespaces.userns', 'namespaces.cgroup',
] as const;
/** Lists of ContainerSpec of which an edit adds, removes or replaces single items. */
export const LISTS = [
  'security.capAdd', 'security.capDrop', 'security.labels', 'security.other', 'resources.ulimits', 'resources.devices', 'network.ports', 'mounts',
] as const;

export type SettablePath = (typeof SETTABLE)[number];
export type ListPath = (typeof LISTS)[number];

/**
 * One intended change of a container, in the words of ContainerSpec: the same for a live update, a recreate, a compose file, a service
 * and a `docker run` line. `value` has the type of the field or of the list's items; null sets back to "not chosen".
 */
export type SpecEdit =
  | { readonly op: 'set'; readonly path: SettablePath; readonly value: Json }
  /** Adds an item unless an equal one is there. */
  | { readonly op: 'add'; readonly path: ListPath; readonly value: Json }
  /** Removes the item that equals `value`. */
  | { readonly op: 'remove'; readonly path: ListPath; readonly value: Json }
  /** Puts `by` where the item that equals `value` stands. */
  | { readonly op: 'replace'; readonly path: ListPath; readonly value: Json; readonly by: Json };

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

/** The specification with the edits made, in their order. An edit that finds nothing to remove or replace changes nothing. */
export const applySpecEdits = (spec: ContainerSpec, edits: readonly SpecEdit[]): ContainerSpec =>
  edits.reduce((edited, edit) => withField(edited, edit.path,
    edit.op === 'set' ? edit.value : [...editedList(fieldAt(edited, edit.path) as readonly Json[], edit)]), spec);
