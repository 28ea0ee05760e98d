import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { at, number, object, text } from '../../collect/json.ts';
import { healthSeconds } from '../../container/health.ts';
import { changedFields, deltaState, editService, fieldDelta, serviceDefinition, serviceFields, takenBack, withServiceFields } from '../../container/service.ts';
import { HostError } from '../../host/port.ts';
import type { Action, Json, JsonObject } from '../../model.ts';
import type { Executor } from '../actions.ts';
import type { Session } from '../session.ts';

type UpdateService = Extract<Action, { kind: 'updateService' }>;

const POLL_MS = 500;
const NS = 1e9;
/** How often an update that somebody else's came before is tried again. */
const ATTEMPTS = 5;

async function serviceOf({ service, name }: UpdateService, { engine }: Session): Promise<JsonObject> {
  const raw = await engine.service(service);
  if (raw === null) throw new HostError(`The service ${name} is gone. Plan again.`);
  return raw;
}

const templateOf = (raw: JsonObject): JsonObject => object(at(raw, 'Spec', 'TaskTemplate'));
const stateOf = (raw: JsonObject): string => text(at(raw, 'UpdateStatus', 'State'));
const versionOf = (raw: JsonObject): number => number(at(raw, 'Version', 'Index'));
const withTemplate = (raw: JsonObject, fields: JsonObject): JsonObject => ({ ...object(at(raw, 'Spec')), TaskTemplate: withServiceFields(templateOf(raw), fields) });
const pick = (fields: JsonObject, names: readonly string[]): JsonObject => Object.fromEntries(names.map((name) => [name, fields[name] ?? null]));

/** What has to run: tasks that swarm wants to run. */
const wanted = (tasks: readonly Json[]): readonly Json[] => tasks.filter((task) => text(at(task, 'DesiredState')) === 'running');
const runs = (task: Json): boolean => text(at(task, 'Status', 'State')) === 'running';

/** How many tasks there are to be; for a service on every node as many as there were. */
const count = (raw: JsonObject, before: number): number => {
  const replicas = at(raw, 'Spec', 'Mode', 'Replicated', 'Replicas');
  return typeof replicas === 'number' ? replicas : before;
};

/** Seconds until one task that was made anew is known to do, at most: pulling its image, ending the old one, its health check, the time it is watched. */
function secondsOfTask(raw: JsonObject): number {
  const container = at(raw, 'Spec', 'TaskTemplate', 'ContainerSpec');
  const update = at(raw, 'Spec', 'UpdateConfig');
  const seconds = (value: Json | undefined, otherwise: number): number => (number(value) || otherwise * NS) / NS;
  // Its image may bring a check that the definition does not show.
  const health = healthSeconds(at(container, 'Healthcheck'));
  return 60 + seconds(at(container, 'StopGracePeriod'), 10) + seconds(at(update, 'Delay'), 0) + seconds(at(update, 'Monitor'), 5) + health;
}

/** What the newest of the tasks that failed says. */
function lastError(tasks: readonly Json[]): string {
  const failed = tasks.filter((task) => text(at(task, 'Status', 'Err')) !== '').sort((a, b) => text(at(b, 'CreatedAt')).localeCompare(text(at(a, 'CreatedAt'))));
  return failed[0] === undefined ? '' : `: ${text(at(failed[0], 'Status', 'Err'))}`;
}

interface Settling {
  /** Whether the fields of a task are what they are to be. */
  readonly isNew: (fields: JsonObject) => boolean;
  readonly least: number;
  /** A state of the update that means that it will not succeed. */
  readonly gaveUp: (state: string) => boolean;
  readonly interruptible: boolean;
}

/** Waits until every task that is to run was made anew, and all of them have run for some time. */
async function settle(action: UpdateService, session: Session, { isNew, least, gaveUp, interruptible }: Settling): Promise<void> {
  const { engine } = session;
  const first = await serviceOf(action, session);
  const parallel = number(at(first, 'Spec', 'UpdateConfig', 'Parallelism'));
  const many = Math.max(1, count(first, least));
  const deadline = performance.now() + (Math.ceil(many / (parallel > 0 ? parallel : many)) * secondsOfTask(first) + action.watchSeconds) * 1000;
  let since = performance.now();
  let seen = '';
  for (;;) {
    const raw = await serviceOf(action, session);
    const tasks = await engine.tasks(action.service);
    const state = stateOf(raw);
    if (gaveUp(state)) throw new HostError(`The update of the service ${action.name} failed (${state})${lastError(tasks)}.`);
    const up = wanted(tasks);
    const well = up.length >= count(raw, least) && up.every((task) => runs(task) && isNew(serviceFields(at(task, 'Spec') ?? null)))
      && ['', 'completed', 'rollback_completed'].includes(state);
    const now = well ? up.map((task) => text(at(task, 'ID'))).sort().join(' ') : 'not yet';
    if (now !== seen) since = performance.now();
    seen = now;
    if (well && performance.now() - since >= action.watchSeconds * 1000) return;
    if (performance.now() >= deadline) {
      throw new HostError(`The service ${action.name} does not come to rest: ${up.filter(runs).length} of ${count(raw, least)} tasks run${lastError(tasks)}.`);
    }
    if (interruptible && session.interrupted() !== null) throw new HostError(`Stopped while the service ${action.name} was being updated.`);
    await sleep(POLL_MS);
  }
}

/** The engine's own way back, by the rules that the service has for it, where that undoes exactly what was done; an update otherwise. */
function wayBack(raw: JsonObject, fields: JsonObject): { readonly spec: JsonObject; readonly back: boolean } {
  const spec = withTemplate(raw, fields);
  return isDeepStrictEqual(spec, at(raw, 'PreviousSpec')) ? { spec: object(at(raw, 'Spec')), back: true } : { spec, back: false };
}

const deltasIn = (before: JsonObject): JsonObject => object(before['fields']);

export const updateService: Executor<UpdateService> = {
  async before(action, session) {
    const raw = await serviceOf(action, session);
    const up = wanted(await session.engine.tasks(action.service));
    const due = count(raw, up.length);
    if (up.length === 0 || up.length < due || !up.every(runs)) {
      throw new HostError(`Of the service ${action.name}, ${up.filter(runs).length} of ${due} tasks run: it has to be well before it is changed.`);
    }
    const { fields, updateState } = serviceDefinition(raw);
    if (!['', 'completed', 'rollback_completed'].includes(updateState)) throw new HostError(`The service ${action.name} is being updated by somebody else (${updateState}).`);
    const after = editService(fields, action.edits, await session.engine.apiVersion());
    if ('refused' in after) throw new HostError(`The service ${action.name} cannot be changed so: a service ${after.refused}.`);
    const deltas = changedFields(fields, after.fields).map((field) => [field, fieldDelta(fields[field] ?? null, after.fields[field] ?? null)] as const);
    return { version: versionOf(raw), tasks: up.length, fields: Object.fromEntries(deltas) };
  },
  async perform(action, before, session) {
    const { engine } = session;
    const raw = await serviceOf(action, session);
    if (versionOf(raw) !== before['version']) throw new HostError(`The service ${action.name} was changed while harden was at work. Plan again.`);
    const names = Object.keys(deltasIn(before));
    const after = editService(serviceFields(templateOf(raw)), action.edits, await engine.apiVersion());
    const will = 'refused' in after ? {} : pick(after.fields, names);
    // The image is sent as it stands: nobody asks a registry what it means by now.
    await engine.updateService(action.service, versionOf(raw), withTemplate(raw, will));
    const isNew = (fields: JsonObject): boolean => names.every((name) => isDeepStrictEqual(fields[name] ?? null, will[name] ?? null));
    if (!isNew(serviceFields(templateOf(await serviceOf(action, session))))) throw new HostError(`The engine took the change of the service ${action.name}, and did not make it.`);
    await settle(action, session, { isNew, least: number(before['tasks'] ?? null), gaveUp: (state) => state === 'paused' || state.startsWith('rollback_'), interruptible: true });
  },
  async undo(action, before, session) {
    const { engine } = session;
    const deltas = deltasIn(before);
    const isOld = (fields: JsonObject): boolean => Object.entries(deltas).every(([name, delta]) => deltaState(fields[name] ?? null, object(delta)) === 'out');
    for (let attempt = 1; ; attempt += 1) {
      const raw = await serviceOf(action, session);
      const now = serviceFields(templateOf(raw));
      if (isOld(now)) break;
      const { spec, back } = wayBack(raw, Object.fromEntries(Object.entries(deltas).map(([name, delta]) => [name, takenBack(now[name] ?? null, object(delta))])));
      try {
        await engine.updateService(action.service, versionOf(raw), spec, back);
      } catch (error) {
        // The engine's own rollback, or somebody else's update, may have come between.
        if (attempt === ATTEMPTS) throw error;
        await sleep(POLL_MS);
      }
    }
    await settle(action, session, { isNew: isOld, least: 1, gaveUp: (state) => state === 'rollback_paused' || state === 'paused', interruptible: false });
  },
  async touched(action, before, session) {
    const raw = await session.engine.service(action.service);
    if (raw === null) return `The service ${action.name} was removed since`;
    const now = serviceFields(templateOf(raw));
    const other = Object.entries(deltasIn(before)).filter(([name, delta]) => deltaState(now[name] ?? null, object(delta)) === 'other');
    return other.length === 0 ? null : `The service ${action.name} was changed since (${other.map(([name]) => name).join(', ')})`;
  },
};
