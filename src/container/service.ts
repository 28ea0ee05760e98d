/** A swarm service's definition: which of its fields harden changes, and what an edit of a container's specification is there. Pure. */
import { isDeepStrictEqual } from 'node:util';
import { at, list, object, text } from '../collect/json.ts';
import type { ContainerFacts, ContainerSpec, Facts, Json, JsonObject, MountSpec, ServiceDefinition, SpecEdit, SwarmService } from '../model.ts';
import { valueOf } from '../model.ts';
import { bytesOf } from './parameters.ts';
import { apiMinor, healthcheckOf } from './to-create.ts';

/** Fields of Spec.TaskTemplate. Those in LISTS are lists, [] where nothing is said; the others null. */
const FIELDS = [
  'ContainerSpec.Image', 'ContainerSpec.User', 'ContainerSpec.Init', 'ContainerSpec.ReadOnly', 'ContainerSpec.CapabilityAdd', 'ContainerSpec.CapabilityDrop',
  'ContainerSpec.Ulimits', 'ContainerSpec.Mounts', 'ContainerSpec.Healthcheck', 'ContainerSpec.Privileges.NoNewPrivileges', 'ContainerSpec.Privileges.Seccomp',
  'ContainerSpec.Privileges.AppArmor', 'Resources.Limits.MemoryBytes', 'Resources.Limits.NanoCPUs', 'Resources.Limits.Pids', 'LogDriver',
] as const;
type Field = (typeof FIELDS)[number];
const LISTS: ReadonlySet<Field> = new Set<Field>(['ContainerSpec.CapabilityAdd', 'ContainerSpec.CapabilityDrop', 'ContainerSpec.Ulimits', 'ContainerSpec.Mounts']);

/** What a TaskTemplate says of each field that harden can change. */
export const serviceFields = (template: Json): JsonObject => Object.fromEntries(FIELDS.map((field) => {
  const value = at(template, ...field.split('.'));
  return [field, LISTS.has(field) ? [...list(value)] : value ?? null];
}));

/** The TaskTemplate with fields set; null and [] take one away, as if nothing had been said. */
export function withServiceFields(template: JsonObject, fields: JsonObject): JsonObject {
  return Object.entries(fields).reduce((whole, [field, value]) => withField(whole, field.split('.'), value), template);
}

function withField(whole: JsonObject, [head = '', ...tail]: readonly string[], value: Json): JsonObject {
  const { [head]: old, ...rest } = whole;
  if (tail.length === 0) return value === null || (Array.isArray(value) && value.length === 0) ? rest : { ...rest, [head]: value };
  const inner = withField(object(old ?? null), tail, value);
  // The engine shows this one with nothing in it once anything was.
  const empty = head === 'Privileges' && Object.values(inner).every((item) => item === null);
  return empty ? rest : { ...rest, [head]: inner };
}

/** The definition as GET /services shows it. */
export function serviceDefinition(service: Json): ServiceDefinition {
  const mode = object(at(service, 'Spec', 'Mode'));
  return {
    mode: 'Replicated' in mode ? 'replicated' : 'Global' in mode ? 'global' : 'other',
    updateState: text(at(service, 'UpdateStatus', 'State')),
    fields: serviceFields(at(service, 'Spec', 'TaskTemplate') ?? null),
  };
}

/**
 * The service that a container is a task of, as this manager knows it; null where there is none. Labels are anybody's: all of them, and the
 * name, have to be those that swarm gives to a task of a service which there is.
 */
export function serviceOfTask({ name, owner }: ContainerFacts, facts: Facts): SwarmService | null {
  if (owner.kind !== 'swarm' || owner.id === undefined || name !== owner.task) return null;
  const swarm = facts.swarm === undefined ? undefined : valueOf(facts.swarm);
  return valueOf(swarm?.services)?.find((service) => service.id === owner.id && service.name === owner.service && taskService(name, [service.name]) !== null) ?? null;
}

/** A task that swarm ended and keeps to look back on: it makes others instead of starting one again. */
export const isSpentTask = (container: ContainerFacts, facts: Facts): boolean => valueOf(container.runtime)?.state === 'exited'
  && valueOf(container.spec)?.restart.name === 'no' && serviceOfTask(container, facts) !== null;

/** The service among these of which a container's name is a task's: SERVICE.SLOT.TASK or SERVICE.NODE.TASK; null: of none. */
export function taskService(name: string, services: readonly string[]): string | null {
  const [, service] = /^(.+)\.(?:\d+|[a-z\d]{25})\.[a-z\d]{25}$/u.exec(name) ?? [];
  return service !== undefined && services.includes(service) ? service : null;
}

/** Names of the services that this manager knows. */
export const serviceNames = ({ swarm }: Facts): readonly string[] => valueOf(swarm === undefined ? undefined : valueOf(swarm)?.services)?.map(({ name }) => name) ?? [];

type Edited = { readonly fields: JsonObject } | { readonly refused: string; readonly needs?: string };

/** An edit that a definition cannot express, or not this one. The message completes "A service …". */
class Refusal extends Error {
  readonly needs: string | undefined;

  constructor(message: string, needs?: string) {
    super(message);
    this.needs = needs;
  }
}

/** API from which a service can say how its tasks are confined. Older engines leave it out without a word. */
const PRIVILEGES_API = 44;

/** The fields as they are after edits of the specification of its tasks; `refused`: what a service cannot say. */
export function editService(fields: JsonObject, edits: readonly SpecEdit[], apiVersion: string): Edited {
  try {
    return { fields: edits.reduce((all, edit) => ({ ...all, ...edited(all, edit, edits, apiVersion) }), fields) };
  } catch (error) {
    if (error instanceof Refusal) return { refused: error.message, ...(error.needs === undefined ? {} : { needs: error.needs }) };
    throw error;
  }
}

function edited(fields: JsonObject, edit: SpecEdit, all: readonly SpecEdit[], apiVersion: string): JsonObject {
  const newer = (field: Field, value: Json): JsonObject => {
    if (apiMinor(apiVersion) < PRIVILEGES_API) throw new Refusal(`cannot say this before API 1.${PRIVILEGES_API} (Docker 25); this engine has ${apiVersion}`, 'Docker 25 or newer on all nodes');
    return { [field]: value };
  };
  switch (edit.path) {
    case 'image.reference': return { 'ContainerSpec.Image': value(edit) };
    case 'user': return { 'ContainerSpec.User': value(edit) };
    case 'init': return { 'ContainerSpec.Init': value(edit) };
    case 'security.readonlyRootfs': return { 'ContainerSpec.ReadOnly': value(edit) === true ? true : null };
    case 'security.capAdd': return { 'ContainerSpec.CapabilityAdd': capabilities(list(fields['ContainerSpec.CapabilityAdd'] ?? null), edit) };
    case 'security.capDrop': return { 'ContainerSpec.CapabilityDrop': capabilities(list(fields['ContainerSpec.CapabilityDrop'] ?? null), edit) };
    case 'resources.ulimits': return { 'ContainerSpec.Ulimits': ulimits(list(fields['ContainerSpec.Ulimits'] ?? null), edit) };
    case 'mounts': return { 'ContainerSpec.Mounts': mounts(list(fields['ContainerSpec.Mounts'] ?? null), edit) };
    case 'healthcheck': return { 'ContainerSpec.Healthcheck': value(edit) === null ? null : healthcheckOf(value(edit) as unknown as NonNullable<ContainerSpec['healthcheck']>) };
    case 'resources.memory': return { 'Resources.Limits.MemoryBytes': value(edit) };
    case 'resources.memorySwap': {
      // The engine gives a task twice its memory with swap, which is all that a service can ask for.
      const memory = all.find((other) => other.op === 'set' && other.path === 'resources.memory');
      if (memory?.op === 'set' && typeof memory.value === 'number' && value(edit) === 2 * memory.value) return {};
      throw new Refusal('has no limit of swap');
    }
    case 'resources.nanoCpus': return { 'Resources.Limits.NanoCPUs': value(edit) };
    case 'resources.pidsLimit': return { 'Resources.Limits.Pids': value(edit) };
    case 'log': {
      const log = object(value(edit));
      return { LogDriver: value(edit) === null ? null : { Name: text(log['driver']), ...(Object.keys(object(log['options'])).length > 0 ? { Options: object(log['options']) } : {}) } };
    }
    case 'security.noNewPrivileges': return newer('ContainerSpec.Privileges.NoNewPrivileges', value(edit) === true ? true : null);
    case 'security.seccomp': return newer('ContainerSpec.Privileges.Seccomp', onlyDefault(edit, 'seccomp'));
    case 'security.apparmor': return newer('ContainerSpec.Privileges.AppArmor', onlyDefault(edit, 'AppArmor'));
    case 'restart': throw new Refusal('restarts its tasks by a condition of its own');
    case 'network.ports': throw new Refusal('publishes on every address of a node, or of all nodes');
    case 'namespaces.network': throw new Refusal('is put on another network by whoever knows what it has to reach');
    case 'resources.cpuShares': throw new Refusal('has no CPU shares, only limits and reservations of CPUs');
    case 'security.privileged': case 'security.labels': case 'security.other': case 'resources.devices': case 'resources.cgroupParent':
    case 'namespaces.pid': case 'namespaces.ipc': case 'namespaces.uts': case 'namespaces.userns': case 'namespaces.cgroup':
      throw new Refusal(`has no such setting (${edit.path})`);
  }
}

const value = (edit: SpecEdit): Json => edit.value;

const onlyDefault = (edit: SpecEdit, what: string): Json => {
  if (edit.value !== null) throw new Refusal(`gets another ${what} profile by hand only`);
  return null;
};

const bare = (name: Json): string => text(name).toUpperCase().replace(/^CAP_/u, '');

function capabilities(items: readonly Json[], edit: SpecEdit): Json[] {
  const name = bare(edit.value);
  switch (edit.op) {
    case 'add': return items.some((item) => bare(item) === name) ? [...items] : [...items, name === 'ALL' ? name : `CAP_${name}`];
    case 'remove': return items.filter((item) => bare(item) !== name);
    case 'set': case 'replace': throw new Refusal(`has no such setting (${edit.path})`);
  }
}

function ulimits(items: readonly Json[], edit: SpecEdit): Json[] {
  const { name = '', soft = 0, hard = 0 } = object(edit.value);
  const others = items.filter((item) => at(item, 'Name') !== name);
  switch (edit.op) {
    case 'add': return [...others, { Name: name, Soft: soft, Hard: hard }];
    case 'remove': return others;
    case 'set': case 'replace': throw new Refusal(`has no such setting (${edit.path})`);
  }
}

const isAt = (target: string) => (mount: Json): boolean => text(at(mount, 'Target')).replace(/\/$/u, '') === target.replace(/\/$/u, '');

function mounts(items: readonly Json[], edit: SpecEdit): Json[] {
  const mount = edit.value as unknown as MountSpec;
  if (edit.op === 'add' && mount.kind === 'tmpfs') return items.some(isAt(mount.target)) ? [...items] : [...items, tmpfsOf(mount)];
  const by = edit.op === 'replace' ? edit.by as unknown as MountSpec : null;
  const moves = by !== null && (mount.kind !== 'bind' || !isDeepStrictEqual({ ...mount, details: null }, { ...by, details: null }));
  if (moves || (edit.op !== 'remove' && by === null)) throw new Refusal(`cannot mount ${mount.target} otherwise from here`);
  const found = items.find(isAt(mount.target));
  if (found === undefined) throw new Refusal(`does not mount ${mount.target} itself: its image or its driver does`);
  // The journal keeps what is taken away, and options of a driver hold passwords.
  if (at(found, 'VolumeOptions', 'DriverConfig', 'Options') !== undefined) throw new Refusal(`mounts ${mount.target} with options of a driver, which harden does not keep`);
  if (by === null) return items.filter((item) => item !== found);
  return items.map((item) => (item === found ? { ...object(item), BindOptions: at(by.details, 'BindOptions') ?? {} } : item));
}

/** What the engine gives every tmpfs of a task, or what changes nothing. */
const USUAL: ReadonlySet<string> = new Set(['rw', 'nosuid', 'nodev', 'noexec']);

function tmpfsOf({ target, options }: MountSpec): JsonObject {
  const chosen: JsonObject = {};
  for (const option of options.split(',').filter((word) => word !== '' && !USUAL.has(word))) {
    const [name = '', amount = ''] = option.split('=');
    if (name === 'size' && /^\d+[bkmg]?$/iu.test(amount)) chosen['SizeBytes'] = bytesOf(amount);
    else if (name === 'mode' && /^[0-7]{1,4}$/u.test(amount)) chosen['Mode'] = Number.parseInt(amount, 8);
    else throw new Refusal(`knows no option "${option}" of a tmpfs`);
  }
  return { Type: 'tmpfs', Target: target, ...(Object.keys(chosen).length > 0 ? { TmpfsOptions: chosen } : {}) };
}

/** Which fields edits made different. */
export const changedFields = (before: JsonObject, after: JsonObject): string[] => Object.keys(after).filter((field) => !isDeepStrictEqual(before[field] ?? null, after[field] ?? null));

/**
 * What was done to one field, enough to take it back: of a list only the items that came and went, so that nothing else of it is kept in a
 * journal, or lost.
 */
export function fieldDelta(was: Json, will: Json): JsonObject {
  if (!Array.isArray(was) || !Array.isArray(will)) return { was, will };
  const has = (items: readonly Json[], item: Json): boolean => items.some((other) => isDeepStrictEqual(other, item));
  return { gone: was.flatMap((item, index) => (has(will, item) ? [] : [{ index, item }])), added: will.filter((item) => !has(was, item)) };
}

/** Whether a field is as it was before ("out"), as it was made ("in"), or neither: somebody else changed it. */
export function deltaState(now: Json, delta: JsonObject): 'in' | 'out' | 'other' {
  if ('was' in delta) return isDeepStrictEqual(now, delta['will']) ? 'in' : isDeepStrictEqual(now, delta['was']) ? 'out' : 'other';
  const present = (item: Json): boolean => list(now).some((other) => isDeepStrictEqual(other, item));
  const [gone, added] = [list(delta['gone'] ?? null).map((entry) => at(entry, 'item') ?? null), list(delta['added'] ?? null)];
  if (added.every(present) && !gone.some(present)) return 'in';
  return gone.every(present) && !added.some(present) ? 'out' : 'other';
}

/** The field with what was done to it taken back. */
export function takenBack(now: Json, delta: JsonObject): Json {
  if ('was' in delta) return delta['was'] ?? null;
  const added = list(delta['added'] ?? null);
  const kept = list(now).filter((item) => !added.some((other) => isDeepStrictEqual(other, item)));
  return list(delta['gone'] ?? null).reduce<Json[]>((items, entry) => {
    const [index, item] = [at(entry, 'index'), at(entry, 'item') ?? null];
    return items.some((other) => isDeepStrictEqual(other, item)) ? items : items.toSpliced(typeof index === 'number' ? index : items.length, 0, item);
  }, kept);
}
