import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { at, flag, list, number, object, text } from '../../collect/json.ts';
import { exactSpec, surroundingsOf } from '../../container/chosen.ts';
import { differences } from '../../container/differences.ts';
import { parseInspect, plainLink } from '../../container/from-inspect.ts';
import { healthSeconds } from '../../container/health.ts';
import { keptName, replacementName } from '../../container/kept.ts';
import { updateBody } from '../../container/live.ts';
import { SHOWN_IN } from '../../container/shown-in.ts';
import { applySpecEdits, fieldAt, joinedEdits } from '../../container/spec-edit.ts';
import { toCreateOptions } from '../../container/to-create.ts';
import type { HealthBaseline } from '../../health.ts';
import { messageOf } from '../../errors.ts';
import { NOTICE_MS, stopMs } from '../../host/engine-control.ts';
import { HostError } from '../../host/port.ts';
import type { Action, ContainerSpec, Json, JsonObject, SpecEdit } from '../../model.ts';
import type { Executor } from '../actions.ts';
import type { Session } from '../session.ts';
import type { About } from './layer.ts';
import { layerFile, layerToSave, saveBeforeRemoval } from './layer.ts';

type Of<K extends Action['kind']> = Extract<Action, { kind: K }>;
const nameOf = (raw: JsonObject): string => text(raw['Name']).replace(/^\//, '');
export const isRunning = (raw: JsonObject | null): boolean => flag(at(raw, 'State', 'Running'));

/** The container as it is. It may have been removed, renamed or recreated since it was looked at. */
async function original({ container, name }: About, { engine }: Session): Promise<JsonObject> {
  const raw = await engine.inspectContainer(container);
  if (raw === null) throw new HostError(`The container ${name} is gone. Plan again.`);
  return raw;
}

function specOf(raw: JsonObject, apiVersion: string): ContainerSpec {
  const { spec, unmodelled } = parseInspect(raw, { apiVersion });
  if (unmodelled.length > 0) throw new HostError(`The container ${nameOf(raw)} has settings that harden cannot carry over: ${unmodelled.join(', ')}.`);
  if (spec.status !== 'present') throw new HostError(`The container ${nameOf(raw)} cannot be understood.`);
  return spec.value;
}

/** The container that was created to take another's place, under either of the names that it can have; null when there is none. */
async function replacementOf({ container, name }: About, { engine }: Session): Promise<JsonObject | null> {
  const waiting = await engine.inspectContainer(replacementName(container));
  if (waiting !== null) return waiting;
  const named = await engine.inspectContainer(name);
  return named === null || text(named['Id']) === container ? null : named;
}

const fieldsOf = (spec: ContainerSpec, edits: readonly SpecEdit[]): JsonObject => Object.fromEntries(edits.map(({ path }) => [path, fieldAt(spec, path)]));

/** What the engine makes of a namespace for which nothing is chosen, by its own settings. */
const OF_THE_ENGINE: Readonly<Partial<Record<SpecEdit['path'], readonly string[]>>> = { 'namespaces.ipc': ['private', 'shareable'], 'namespaces.cgroup': ['private', 'host'] };

/** Whether a field is what an edit makes of it. Of a list only what the edit is about counts: the engine has an order, and names for volumes, of its own. */
function isMade(edit: SpecEdit, wanted: ContainerSpec, now: ContainerSpec): boolean {
  const value = fieldAt(now, edit.path);
  const has = (item: Json): boolean => (value as readonly Json[]).some((other) => isDeepStrictEqual(other, item));
  switch (edit.op) {
    case 'set': return isDeepStrictEqual(fieldAt(wanted, edit.path), value) || (fieldAt(wanted, edit.path) === '' && OF_THE_ENGINE[edit.path]?.some((mode) => mode === value) === true);
    case 'add': return has(edit.value);
    case 'remove': return !has(edit.value);
    case 'replace': return has(edit.by) && !has(edit.value);
  }
}

/** The engine answers 200 to what it cannot do. */
function requireFields(name: string, wanted: ContainerSpec, now: ContainerSpec, edits: readonly SpecEdit[]): void {
  const missing = joinedEdits(edits).filter((edit) => !isMade(edit, wanted, now)).map(({ path }) => path);
  if (missing.length > 0) throw new HostError(`The engine took the change of ${name}, and did not make it: ${[...new Set(missing)].join(', ')}.`);
}

export const updateContainer: Executor<Of<'updateContainer'>> = {
  async before(action, session) {
    const apiVersion = await session.engine.apiVersion();
    return { fields: fieldsOf(specOf(await original(action, session), apiVersion), action.edits) };
  },
  async perform(action, _before, session) {
    const apiVersion = await session.engine.apiVersion();
    const wanted = applySpecEdits(specOf(await original(action, session), apiVersion), action.edits);
    await session.engine.updateContainer(action.container, updateBody(wanted, action.edits, 0));
    requireFields(action.name, wanted, specOf(await original(action, session), apiVersion), action.edits);
  },
  async undo(action, { fields }, session) {
    const { engine } = session;
    const apiVersion = await engine.apiVersion();
    const now = specOf(await original(action, session), apiVersion);
    const back = action.edits.filter(({ path }) => !isDeepStrictEqual(fieldAt(now, path), object(fields)[path] ?? null))
      .map(({ path }): SpecEdit => ({ op: 'set', path: path as Extract<SpecEdit, { op: 'set' }>['path'], value: object(fields)[path] ?? null }));
    if (back.length === 0) return;
    const body = updateBody(applySpecEdits(now, back), back, await engine.memoryBytes());
    // With cgroups v1, runc up to 1.1 does not raise the limit of memory in the request that lifts the one of memory and swap.
    if (body['MemorySwap'] === -1) await engine.updateContainer(action.container, { Memory: number(body['Memory']), MemorySwap: 2 * number(body['Memory']) });
    await engine.updateContainer(action.container, body);
  },
  async touched(action, { fields }, session) {
    const raw = await session.engine.inspectContainer(action.container);
    if (raw === null) return `The container ${action.name} was removed since`;
    if (nameOf(raw) !== action.name) return `The container ${action.name} was replaced or renamed since`;
    const now = specOf(raw, await session.engine.apiVersion());
    const planned = applySpecEdits(now, action.edits);
    const other = action.edits.filter(({ path }) => ![fieldAt(planned, path), object(fields)[path] ?? null].some((value) => isDeepStrictEqual(value, fieldAt(now, path))));
    return other.length === 0 ? null : `The container ${action.name} was changed since (${other.map(({ path }) => path).join(', ')})`;
  },
};

const isBelow = (path: string, root: string): boolean => path === root || path.startsWith(`${root}.`) || path.startsWith(`${root}[`);

/** The replacement differs from the original in what the edits say, and in nothing else. */
function requireSame(name: string, before: JsonObject, after: JsonObject, edits: readonly SpecEdit[], also: readonly string[], apiVersion: string): void {
  const allowed = [...also, ...edits.flatMap(({ path }) => SHOWN_IN[path])];
  const other = differences(before, after, apiVersion).filter((path) => !allowed.some((root) => isBelow(path, root)));
  if (other.length > 0) throw new HostError(`The replacement of ${name} would differ in more than what was asked for: ${other.join(', ')}. Please report it.`);
}

/** The engine wants the id of a container that another is to share a namespace with; by then, its replacement has the name. */
const resolved = (edits: readonly SpecEdit[], { engine }: Session): Promise<SpecEdit[]> => Promise.all(edits.map(async (edit) => {
  if (edit.op !== 'set' || !edit.path.startsWith('namespaces.') || typeof edit.value !== 'string' || !edit.value.startsWith('container:')) return edit;
  const provider = await engine.inspectContainer(edit.value.slice('container:'.length));
  if (provider === null) throw new HostError(`The container ${edit.value.slice('container:'.length)} is gone.`);
  return { ...edit, value: `container:${text(provider['Id'])}` };
}));

/** The engine shows a link to a container by the name that it has now: one that was replaced has given its name away. */
function relinked(spec: ContainerSpec, follows: Of<'createReplacement'>['follows']): ContainerSpec {
  const names = new Map(follows.map(({ container, name }) => [keptName(container), name]));
  const links = spec.network.links.map(plainLink).map((link) => link.replace(/^[^:]+/, (target) => names.get(target) ?? target));
  return { ...spec, network: { ...spec.network, links } };
}

/** States that a container is left alone in, as the plan does; a run of many takes long enough for one to get there. */
function refuseState(raw: JsonObject, name: string): void {
  const state = ['Dead', 'Restarting', 'Paused'].find((word) => flag(at(raw, 'State', word))) ?? (text(at(raw, 'State', 'Status')) === 'removing' ? 'Removing' : undefined);
  if (state !== undefined) throw new HostError(`The container ${name} is not at rest any more (${state.toLowerCase()}). Plan again.`);
}

export const createReplacement: Executor<Of<'createReplacement'>> = {
  async before(action, session, run) {
    const { engine } = session;
    const { container, name } = action;
    const raw = await original(action, session);
    if (nameOf(raw) !== name) throw new HostError(`The container ${name} has another name now. Plan again.`);
    refuseState(raw, name);
    for (const taken of [replacementName(container), keptName(container)]) {
      if (await engine.inspectContainer(taken) !== null) throw new HostError(`There is a container ${taken} already, which an earlier run left. Look at it, then remove it: docker rm ${taken}.`);
    }
    return layerFile(name, run, 'new');
  },
  async perform(action, _before, session, { facts }) {
    const { engine } = session;
    const { container, name, edits } = action;
    const apiVersion = await engine.apiVersion();
    const raw = await original(action, session);
    const now = specOf(raw, apiVersion);
    const surroundings = surroundingsOf(facts, now);
    const wanted = relinked(applySpecEdits(exactSpec(now, surroundings), await resolved(edits, session)), action.follows);
    const image = await engine.imageId(wanted.image.reference);
    if (image !== now.image.id) {
      throw new HostError(`${now.image.reference} is no longer the image that ${name} was made of: a new container would run another program. Pull or tag the old image, or recreate the container with the new one.`);
    }
    const id = await engine.createContainer(toCreateOptions({ ...wanted, name: replacementName(container) }, apiVersion));
    const made = await engine.inspectContainer(id);
    if (made === null) throw new HostError(`The replacement of ${name} vanished.`);
    requireFields(name, exactSpec(wanted, surroundings), exactSpec(specOf(made, apiVersion), surroundings), edits);
    requireSame(name, raw, made, edits, action.follows.length > 0 ? ['HostConfig.Links'] : [], apiVersion);
  },
  async undo(action, before, session) {
    const { engine } = session;
    const made = await engine.inspectContainer(replacementName(action.container));
    if (made === null) return;
    const id = text(made['Id']);
    await engine.stopContainer(id);
    try {
      await saveBeforeRemoval({ container: id, name: action.name }, before, session, specOf(made, await engine.apiVersion()));
    } catch (error) {
      throw new HostError(`${messageOf(error)} So the new container stays, stopped: once nobody needs what it wrote, docker rm ${replacementName(action.container)}.`);
    }
    await engine.removeContainer(id);
  },
  touched: () => Promise.resolve(null),
  async saves(action, before, session) {
    const made = await replacementOf(action, session);
    if (made === null || before['file'] === undefined) return null;
    return layerToSave({ container: text(made['Id']), name: action.name }, before, session, specOf(made, await session.engine.apiVersion()));
  },
};

const wouldRestart = (policy: JsonObject, exitCode: number): boolean =>
  ['always', 'unless-stopped'].includes(text(policy['Name'])) || (policy['Name'] === 'on-failure' && exitCode !== 0);

export const retireContainer: Executor<Of<'retireContainer'>> = {
  async before(action, session) {
    const raw = await original(action, session);
    return { restart: object(at(raw, 'HostConfig', 'RestartPolicy')), running: isRunning(raw) };
  },
  async perform({ container }, _before, { engine }) {
    await engine.updateContainer(container, { RestartPolicy: { Name: 'no', MaximumRetryCount: 0 } });
    if (text(at(await engine.inspectContainer(container), 'HostConfig', 'RestartPolicy', 'Name')) !== 'no') throw new HostError('The engine did not change the restart policy.');
  },
  async undo({ container }, { restart, running }, { engine }) {
    const policy = object(restart);
    const now = await engine.inspectContainer(container);
    if (now === null) return;
    if (text(at(now, 'HostConfig', 'RestartPolicy', 'Name')) !== text(policy['Name'])) await engine.updateContainer(container, { RestartPolicy: policy });
    // It ended by itself while it had no policy: the engine would have started it again.
    if (running === true && !isRunning(now) && wouldRestart(policy, number(at(now, 'State', 'ExitCode')))) await engine.startContainer(container);
  },
  touched: () => Promise.resolve(null),
};

/** Beyond the time that a container has to end by itself, what a stop takes that a killed run had asked for, in milliseconds. */
const KILL_MS = 2_000;

/** Whether the first process of a container that looks as if it ran does (proc(5)); where that cannot be seen, it does. */
async function processLives(raw: JsonObject | null, { reader }: Session): Promise<boolean> {
  const [stat] = await reader.observe([{ kind: 'text', path: `/proc/${number(at(raw, 'State', 'Pid'))}/stat` }]);
  return stat.status === 'present' ? !/\) [ZXx] [^)]*$/u.test(stat.value) : stat.status !== 'absent';
}

/** Whether a container has ended, and a busy engine has not noticed yet. */
export const isUnnoticed = async (raw: JsonObject | null, session: Session): Promise<boolean> => isRunning(raw) && !await processLives(raw, session);

/** A container by its id or name, looked at until it is as wanted, or for so many milliseconds; null when there is none. */
async function inspectUntil(reference: string, { engine }: Session, milliseconds: number, wanted: (raw: JsonObject | null) => boolean | Promise<boolean>): Promise<JsonObject | null> {
  const end = performance.now() + milliseconds;
  for (;;) {
    const raw = await engine.inspectContainer(reference);
    if (performance.now() >= end || await wanted(raw)) return raw;
    await sleep(POLL_MS);
  }
}

/** A container by its id or name, as it is once the engine has noticed that it ended, if it did; null when there is none. */
export const inspectNoticed = (reference: string, session: Session): Promise<JsonObject | null> =>
  inspectUntil(reference, session, NOTICE_MS, async (raw) => !await isUnnoticed(raw, session));

export const stopContainer: Executor<Of<'stopContainer'>> = {
  async before(action, session) {
    // Only of one that ran it is planned, and that its replacement is started.
    if (!isRunning(await original(action, session))) throw new HostError(`The container ${action.name} was stopped while harden was at work. Plan again.`);
    return { running: true };
  },
  perform: ({ container }, _before, { engine }) => engine.stopContainer(container),
  async undo({ container }, { running }, session) {
    if (running !== true) return;
    const { engine } = session;
    // What a killed run asked for goes on in the engine: a container that is being stopped still looks as if it ran, and so does one that has just ended.
    const time = stopMs(await engine.inspectContainer(container)) + KILL_MS;
    await inspectUntil(container, session, time, (raw) => !isRunning(raw));
    await inspectNoticed(container, session);
    await engine.startContainer(container);
  },
  touched: () => Promise.resolve(null),
};

async function requireReplacement(action: About, session: Session): Promise<JsonObject> {
  const replacement = await replacementOf(action, session);
  if (replacement === null) throw new HostError(`The replacement of ${action.name} is gone.`);
  return replacement;
}

export const swapContainers: Executor<Of<'swapContainers'>> = {
  async before(action, session) {
    return { replacement: text((await requireReplacement(action, session))['Id']) };
  },
  async perform({ container, name }, { replacement }, { engine }) {
    await engine.renameContainer(container, keptName(container));
    await engine.renameContainer(text(replacement), name);
  },
  async undo({ container, name }, { replacement }, { engine }) {
    const made = await engine.inspectContainer(text(replacement));
    if (made !== null && nameOf(made) === name) await engine.renameContainer(text(replacement), replacementName(container));
    const kept = await engine.inspectContainer(container);
    if (kept === null) throw new HostError(`The container that was replaced, ${keptName(container)}, is gone.`);
    if (nameOf(kept) !== name) await engine.renameContainer(container, name);
  },
  async touched({ container, name }, { replacement }, { engine }) {
    if (await engine.inspectContainer(container) === null) return `The container that ${name} took the place of was removed since`;
    const named = await engine.inspectContainer(name);
    const ours = named === null || [container, text(replacement)].includes(text(named['Id']));
    return ours ? null : `The container ${name} was created anew since`;
  },
};

const POLL_MS = 500;

/** Why a container that was started is not well, as a sentence; null when it is; undefined while its health check has not decided. */
function trouble(raw: JsonObject, startedAt: string): string | null | undefined {
  const state = at(raw, 'State');
  if (!flag(at(state, 'Running')) || flag(at(state, 'Restarting'))) {
    const killed = flag(at(state, 'OOMKilled')) ? ', killed for want of memory' : '';
    return `it ended with exit code ${number(at(state, 'ExitCode'))}${killed}; \`docker logs\` of it says more`;
  }
  if (text(at(state, 'StartedAt')) !== startedAt || number(raw['RestartCount']) > 0) return 'it restarted by itself';
  const health = text(at(state, 'Health', 'Status'));
  if (health === 'unhealthy') return `its health check fails with exit code ${number(at(list(at(state, 'Health', 'Log')).at(-1), 'ExitCode'))}`;
  return health === 'starting' ? undefined : null;
}

/** Ports that answered before, as far as the replacement still publishes them there. */
function portsToAnswer({ name }: { readonly name: string }, raw: JsonObject, baseline: HealthBaseline): HealthBaseline['ports'] {
  const published = Object.values(object(at(raw, 'NetworkSettings', 'Ports'))).flatMap((bindings) => list(bindings))
    .map((binding) => ({ ip: text(at(binding, 'HostIp')), port: Number(text(at(binding, 'HostPort'))) }));
  return baseline.ports.filter(({ container, host, port }) => container === name
    && published.some((binding) => binding.port === port && (['', '0.0.0.0', '::', host].includes(binding.ip))));
}

/**
 * Looks at a container that was just started, for so many seconds and until its health check, where it has one, has passed.
 * @throws HostError when it ends, restarts, is unhealthy, or no longer answers where it did before
 */
export async function watchStarted(action: { readonly name: string; readonly watchSeconds: number }, id: string, session: Session, baseline: HealthBaseline): Promise<void> {
  const { engine, writer } = session;
  const first = await engine.inspectContainer(id);
  const startedAt = text(at(first, 'State', 'StartedAt'));
  const start = performance.now();
  const enough = start + action.watchSeconds * 1000;
  const atLast = Math.max(enough, start + (first === null ? 0 : healthSeconds(at(first, 'Config', 'Healthcheck')) * 1000));
  for (;;) {
    const raw = await engine.inspectContainer(id);
    const problem = raw === null ? 'it is gone' : trouble(raw, startedAt);
    if (typeof problem === 'string') throw new HostError(`The new container ${action.name} does not do: ${problem}.`);
    const silent = raw === null || problem === undefined ? [] : (await Promise.all(portsToAnswer(action, raw, baseline).map(async (port) =>
      ({ port, answers: await writer.answers(port.host, port.port) })))).filter(({ answers }) => !answers);
    if (problem === null && silent.length === 0 && performance.now() >= enough) return;
    const signal = session.interrupted();
    if (signal !== null) throw new HostError(`${signal} came while the new container ${action.name} was watched, before it was known to do.`);
    // A program may take its time before it listens; one with a health check says itself when it does.
    if (performance.now() >= Math.max(atLast, enough + LISTEN_MS)) {
      const [port] = silent;
      throw new HostError(`The new container ${action.name} does not do: ${port === undefined ? 'its health check has not passed' : `port ${port.port.port} does not answer at ${port.port.host} any more`}.`);
    }
    await sleep(POLL_MS);
  }
}

const LISTEN_MS = 60_000;

export const startReplacement: Executor<Of<'startReplacement'>> = {
  async before(action, session) {
    return { replacement: text((await requireReplacement(action, session))['Id']) };
  },
  async perform(action, { replacement }, session, { baseline }) {
    await session.engine.startContainer(text(replacement));
    await watchStarted(action, text(replacement), session, baseline);
  },
  async undo(_action, { replacement }, { engine }) {
    if (await engine.inspectContainer(text(replacement)) !== null) await engine.stopContainer(text(replacement));
  },
  touched: () => Promise.resolve(null),
};
