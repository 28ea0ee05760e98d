import { listNames } from '../daemon/containers.ts';
import { configAtStart } from '../daemon/settings.ts';
import type { WayBack } from '../daemon/way-back.ts';
import { textsOnTheWay } from '../daemon/way-back.ts';
import { sha256 } from '../digest.ts';
import { messageOf, UsageError } from '../errors.ts';
import type { HealthBaseline } from '../health.ts';
import { takeBaseline } from '../health.ts';
import type { FileSnapshot } from '../host/port.ts';
import type { RunRecord } from '../journal.ts';
import { createRun, listRuns, markRolledBack, readBackup, readRun, resumeRun } from '../journal.ts';
import { acquireLock } from '../lock.ts';
import type { Action, Facts, Json, JsonObject } from '../model.ts';
import type { RestartMethod } from '../plan/restart.ts';
import { lockedByRestart, lostByRestart, restartMethod } from '../plan/restart.ts';
import { describeAction } from '../steps.ts';
import type { PerformedAction } from './actions.ts';
import { actionIn, lostBy, savedBy, touchedSince } from './actions.ts';
import { textOf } from './daemon.ts';
import { daemonOf, oneSpelling, runHeader } from './run-header.ts';
import type { Session } from './session.ts';
import type { FileUndo, RunEffects } from './undo.ts';
import { isAsBefore, undo } from './undo.ts';

/** What a rollback will do, to be shown before the confirmation. */
export interface RollbackPlan {
  readonly runId: string;
  readonly createdAt: string;
  /** Paths with what happens to them. */
  readonly restores: readonly { readonly path: string; readonly action: 'restore' | 'remove' | 'metadata' }[];
  /** What else is taken back, as lines: "taking bob out of the group docker". */
  readonly takesBack: readonly string[];
  /** What was made since, goes with what is taken back, and is saved, as sentences. */
  readonly saved: readonly string[];
  /** What the run did that nothing takes back, as sentences. */
  readonly lost: readonly string[];
  readonly daemon: RunEffects['daemon'];
  readonly effects: RunEffects;
  /** The host as it is; null: no engine answers. */
  readonly facts: Facts | null;
}

export interface RollbackResult {
  readonly runId: string;
  readonly undid: string;
  readonly exitCode: 0 | 4;
  readonly leftovers: readonly string[];
}

const text = (value: Json | undefined): string => typeof value === 'string' ? value : '';
const object = (value: Json | undefined): JsonObject | null => typeof value === 'object' && value !== null && !Array.isArray(value) ? value : null;

async function fileUndo(session: Session, run: RunRecord, entry: JsonObject): Promise<FileUndo> {
  const before = object(entry.before);
  const made = Array.isArray(entry.made) ? entry.made.filter((path) => typeof path === 'string') : [];
  return { path: text(entry.path), before: before === null ? null : await readBackup(session.stateDir, run.runId, before, session.writer), made };
}

/** Files come back wherever they are; but to restart another daemon than the one that the run changed would harm that one, and leave this one as it is. */
function refuseOtherDaemon({ runId, header }: RunRecord, facts: Facts | null, endpoint: string): void {
  const then = object(header['daemon']);
  if (facts === null) {
    if (then !== null && text(then.endpoint) === oneSpelling(endpoint)) return;
    throw new UsageError([
      `No engine answers at ${endpoint}, and run ${runId} changed the one at ${then === null ? 'an address that is not recorded' : text(then.endpoint)}. It was not undone.`,
      `Name that daemon: harden rollback ${runId} --docker-host ${then === null ? 'URL' : text(then.endpoint)}`,
    ].join('\n'));
  }
  const now = daemonOf(facts);
  if (then === null || (then.endpoint === now.endpoint && then.configPath === now.configPath)) return;
  throw new UsageError([
    `Run ${runId} changed the daemon at ${text(then.endpoint)} (${text(then.configPath)}), and this is the one at ${now.endpoint} (${now.configPath}). It was not undone.`,
    `Name that daemon: harden rollback ${runId} --docker-host ${text(then.endpoint)}`,
  ].join('\n'));
}

interface JournalledEffects extends RunEffects {
  /** What the run left at each path, as the journal has it. */
  readonly after: ReadonlyMap<string, JsonObject>;
}

/** null: no engine answers, which may be why somebody rolls back. Then the journal alone says how the daemon is restarted. */
export async function factsIfAny(session: Session): Promise<Facts | null> {
  try {
    return await session.collect();
  } catch (error) {
    if (error instanceof UsageError) return null;
    throw error;
  }
}

function methodIn(value: Json | undefined): RestartMethod | null {
  const method = object(value) ?? {};
  switch (text(method.kind)) {
    case 'systemd': return { kind: 'systemd', unit: text(method.unit) };
    case 'sysvinit': return { kind: 'sysvinit', service: text(method.service) };
    case 'command': return { kind: 'command', command: text(method.command) };
    default: return null;
  }
}

const strings = (value: Json | undefined): string[] => Array.isArray(value) ? value.filter((item) => typeof item === 'string') : [];

/** Everything that a run did or began, from its journal. */
async function effectsOf(session: Session, run: RunRecord, facts: Facts | null): Promise<JournalledEffects> {
  const files = new Map<string, FileUndo>();
  const after = new Map<string, JsonObject>();
  let systemdReloaded = false;
  let audit: RunEffects['audit'] = null;
  let daemon: RunEffects['daemon'] = null;
  let method: RestartMethod | null = null;
  let config: { readonly path: string; readonly wayBack: WayBack } | null = null;
  let running: RunEffects['alsoStart'] = [];
  const actions: PerformedAction[] = [];
  const add = async (entry: JsonObject): Promise<void> => {
    if (!files.has(text(entry.path))) files.set(text(entry.path), await fileUndo(session, run, entry));
  };
  // A transaction that the run itself took back is not there to be taken back again: somebody may have worked there since.
  const reverted = new Set(run.entries.flatMap((line) => line.type === 'reverted' ? [line.seq] : []));
  for (const entry of run.entries.flatMap((line) => line.type === 'intent' && !reverted.has(line.seq) ? [line.step] : [])) {
    switch (entry.kind) {
      case 'replaceBytes': case 'setMetadata': {
        await add(entry);
        const state = object(entry.after);
        if (state !== null) after.set(text(entry.path), state);
        const way = object(entry.wayBack);
        if (way !== null) config = { path: text(entry.path), wayBack: { explicit: object(way.explicit) ?? {}, keepContainers: way.keepContainers === true } };
        break;
      }
      case 'loadAudit': {
        for (const compiled of Array.isArray(entry.compiled) ? entry.compiled : []) {
          const file = object(compiled);
          if (file !== null) await add(file);
        }
        audit = { dropIn: text(entry.dropIn), kernelBefore: strings(entry.kernelBefore) };
        break;
      }
      case 'systemdReload': systemdReloaded = true; break;
      case 'reloadDaemon': case 'restartDaemon': {
        daemon = entry.kind === 'restartDaemon' ? 'restart' : daemon ?? 'reload';
        method = methodIn(entry.method);
        running = (Array.isArray(entry.running) ? entry.running : []).flatMap((value) => {
          const container = object(value);
          return container === null ? [] : [{ id: text(container.id), name: text(container.name), startedAt: text(container.startedAt) }];
        });
        break;
      }
      case 'act': {
        const action = actionIn(object(entry.action));
        if (action === null) throw new UsageError(`Run ${run.runId} did something that this version of harden does not know, so it cannot be undone with it. Use the version that made the run: ${text(run.header.tool.version)}.`);
        actions.push({ action, before: object(entry.before) ?? {} });
        break;
      }
      default: break;
    }
  }
  const started = facts === null ? undefined : configAtStart(facts);
  if (daemon !== null) refuseOtherDaemon(run, facts, session.endpoint);
  // What restarted this daemon then does so now, unless the operator names another way.
  const command = session.restartCommand ?? (method?.kind === 'command' ? method.command : undefined);
  return {
    files: [...files.values()], after, systemdReloaded, audit, daemon,
    configPath: config?.path ?? facts?.daemon.configPath ?? '',
    wayBack: config?.wayBack ?? { explicit: {}, keepContainers: false },
    startedWith: started?.status === 'present' ? started.value.text : started?.status === 'absent' ? null : undefined,
    method: command !== undefined ? { kind: 'command', command } : (facts === null ? null : restartMethod(facts, undefined)) ?? method,
    // A run that ended by itself has started them again; what stopped since was stopped by somebody else.
    alsoStart: run.closed ? [] : running,
    actions,
  };
}

const matches = (now: FileSnapshot | null, after: JsonObject): boolean =>
  now !== null && now.mode === after.mode && now.uid === after.uid && now.gid === after.gid
  && (after.sha256 === null || (now.content !== null && sha256(now.content) === after.sha256));

/** True when the run itself, or a rollback of it, was stopped on its way back: daemon.json may then hold what only that way needs. */
async function wasOnTheWay(session: Session, run: RunRecord): Promise<boolean> {
  if (!run.closed || run.result?.result === 'failed') return true;
  return (await rollbacksOf(session, run.runId)).length > 0;
}

/** Rollbacks of a run that did not take it back. */
async function rollbacksOf(session: Session, runId: string): Promise<RunRecord[]> {
  const rollbacks = (await listRuns(session.stateDir, session.reader)).filter(({ planId, createdAt, unreadable }) => planId === null && createdAt !== null && unreadable === null);
  const records = await Promise.all(rollbacks.map((rollback) => readRun(session.stateDir, rollback.runId, session.reader)));
  return records.filter(({ header }) => header.undoes === runId);
}

/** What an action is about, in words; null: it is never taken back. */
function subjectOf(action: Action): string | null {
  switch (action.kind) {
    case 'removeGroupMember': return `the group ${action.group}`;
    case 'changeComposeProject': return `the compose project ${action.project.project}`;
    case 'updateService': return `the service ${action.name}`;
    case 'setSwarmCertificates': return 'the lifetime of the swarm\'s certificates';
    case 'lockSwarm': return 'the lock of the swarm\'s managers';
    case 'removeContainer': case 'removeImage': return null;
    case 'createReplacement': case 'retireContainer': case 'saveLayer': case 'startReplacement': case 'stopContainer': case 'swapContainers': case 'updateContainer':
      return `the container ${action.name}`;
  }
}

/** What a run has changed and not taken back itself: paths, and what its actions are about. */
function subjectsOf({ entries }: RunRecord): ReadonlySet<string> {
  const reverted = new Set(entries.flatMap((line) => line.type === 'reverted' ? [line.seq] : []));
  return new Set(entries.flatMap((line) => {
    if (line.type !== 'intent' || reverted.has(line.seq)) return [];
    if (line.step.kind === 'replaceBytes' || line.step.kind === 'setMetadata') return [text(line.step.path)];
    const action = line.step.kind === 'act' ? actionIn(object(line.step.action)) : null;
    return action === null ? [] : subjectOf(action) ?? [];
  }));
}

/** What of a run's targets later runs changed that are in, each with the last run that did. */
async function changedLater(session: Session, run: RunRecord): Promise<ReadonlyMap<string, string>> {
  const own = subjectsOf(run);
  const later = (await listRuns(session.stateDir, session.reader)).filter(({ runId, planId, createdAt, rolledBackBy, unreadable }) =>
    runId !== run.runId && planId !== null && rolledBackBy === null && unreadable === null && createdAt !== null && createdAt > run.header.createdAt);
  const found = new Map<string, string>();
  for (const { runId } of later) {
    for (const subject of subjectsOf(await readRun(session.stateDir, runId, session.reader))) {
      if (own.has(subject) && !found.has(subject)) found.set(subject, runId);
    }
  }
  return found;
}

/** Refuses when a path is neither as the run left it nor as it was before: somebody's later work would be lost. */
async function refuseTouched(session: Session, run: RunRecord, effects: JournalledEffects): Promise<void> {
  const later = await changedLater(session, run);
  const touched: string[] = [...later].map(([subject, by]) => `${subject} (by run ${by})`);
  const onTheWay = await wasOnTheWay(session, run);
  for (const { path, before } of effects.files) {
    const state = effects.after.get(path);
    if (state === undefined || later.has(path)) continue;
    const now = await session.writer.snapshot(path);
    const { restart, reload } = textsOnTheWay(path === effects.configPath ? textOf(before) : '', effects.wayBack);
    const isOurs = onTheWay && path === effects.configPath && [restart, reload].includes(now?.content?.toString('utf8') ?? '');
    if (!isOurs && !matches(now, state) && !isAsBefore(now, before)) touched.push(path);
  }
  for (const performed of effects.actions) {
    if (later.has(subjectOf(performed.action) ?? '')) continue;
    const why = await touchedSince(performed, session).catch((error: unknown) => {
      throw new UsageError([
        `Run ${run.runId} cannot be rolled back now: whether ${subjectOf(performed.action) ?? 'what it removed'} was changed since is not known (${messageOf(error)}). Nothing was done.`,
        `When the engine answers again: harden rollback ${run.runId}`,
      ].join('\n'), { cause: error });
    });
    if (why !== null) touched.push(why);
  }
  if (touched.length > 0) {
    throw new UsageError(`Run ${run.runId} cannot be rolled back: changed since by a later run or by hand: ${touched.join(', ')}. Nothing was done. Roll back the later run first, or restore by hand from ${session.stateDir}/runs/${run.runId}/backups.`);
  }
}

/** Containers with --rm that run now would be lost, and a manager with autolock would stay locked: that is nobody's wish when he asks for the old state. */
function refuseLoss(runId: string, { daemon, actions }: RunEffects, facts: Facts | null): void {
  if (daemon !== 'restart' || facts === null) return;
  const lost = lostByRestart(facts);
  if (lost.length > 0) {
    throw new UsageError(`Run ${runId} cannot be rolled back now: the restart of the daemon would remove what was started with --rm and still runs: ${listNames(lost)}. Nothing was done. Let them end, or stop them.`);
  }
  // Autolock of the run itself is taken back before the daemon.
  const locked = actions.some(({ action }) => action.kind === 'lockSwarm') ? null : lockedByRestart(facts);
  if (locked !== null) {
    throw new UsageError(`Run ${runId} cannot be rolled back now: it needs a restart of the daemon, after which ${locked}. Nothing was done.\nTurn autolock off for the while: docker swarm update --autolock=false, roll back, then docker swarm update --autolock=true and keep the new key.`);
  }
}

/** The runs that a rollback without a name takes back: the last one that is still in, or all of them, newest first. */
export async function runsToUndo(session: Session, runId: string | undefined, all: boolean): Promise<string[]> {
  const runs = await listRuns(session.stateDir, session.reader);
  if (runId !== undefined) {
    const run = runs.find((candidate) => candidate.runId === runId);
    if (run === undefined) throw new UsageError(`There is no run ${runId} in ${session.stateDir}. \`harden history\` lists them.`);
    if (run.planId === null && run.unreadable === null) throw new UsageError(`Run ${runId} is itself a rollback. Apply the plan again instead.`);
    return run.rolledBackBy === null ? [runId] : [];
  }
  // A run that failed and was taken back wholly left nothing to undo.
  const open = runs.filter(({ planId, rolledBackBy, closed, result }) => planId !== null && rolledBackBy === null && (!closed || result?.result !== 'reverted'));
  return open.slice(0, all ? undefined : 1).map((run) => run.runId);
}

/** What undoing a run would do. Reads only. Throws UsageError when it cannot be undone. */
export async function planRollback(session: Session, runId: string): Promise<RollbackPlan> {
  const run = await readRun(session.stateDir, runId, session.reader);
  await session.writer.awaitLeftTools(LEFT_TOOLS_MS);
  const facts = await factsIfAny(session);
  const effects = await effectsOf(session, run, facts);
  await refuseTouched(session, run, effects);
  refuseLoss(runId, effects, facts);
  const restores = [...effects.files].reverse().map(({ path, before }) =>
    ({ path, action: before === null ? 'remove' as const : before.content === null ? 'metadata' as const : 'restore' as const }));
  const actions = await Promise.all([...effects.actions].reverse().map(async (performed) => ({ what: describeAction(performed.action), lost: await lostBy(performed, session) })));
  const takesBack = actions.flatMap(({ what, lost }) => (lost === null ? [what] : []));
  const saved = (await Promise.all(effects.actions.map((performed) => savedBy(performed, session)))).flatMap((what) => what ?? []);
  return { runId, createdAt: run.header.createdAt, restores, takesBack, saved, lost: actions.flatMap(({ lost }) => lost ?? []), daemon: effects.daemon, effects, facts };
}

const NOTHING_KNOWN: HealthBaseline = { containers: [], networks: [], ports: [], plugins: [], authorizationPlugins: [] };
/** What a killed run had begun with another program goes on: Compose stops a container in its own time. */
const LEFT_TOOLS_MS = 120_000;

/**
 * Undoes one run and notes that as a run of its own. What goes wrong once it has begun is a leftover, not an exception.
 * `still`: whether that is still wanted, asked once nobody else can change it.
 */
export async function rollback(session: Session, runId: string, still: (run: RunRecord) => boolean = () => true): Promise<RollbackResult> {
  const lock = await acquireLock(session.stateDir, session.writer);
  try {
    if (!still(await readRun(session.stateDir, runId, session.reader))) throw new UsageError(`Run ${runId} is not to be undone any more.`);
    const { effects, facts } = await planRollback(session, runId);
    const early = facts === null ? NOTHING_KNOWN : await takeBaseline(facts, session);
    const baseline = async (): Promise<HealthBaseline> => (facts === null || effects.actions.length === 0 ? early : takeBaseline(await session.collect(), session));
    const unfinished = (await rollbacksOf(session, runId)).filter(({ closed }) => !closed);
    const run = await createRun(session.stateDir, session.writer, { ...runHeader(session, null, facts), undoes: runId }, null);
    const sequence = await run.intent({ kind: 'rollback', change: null, undoes: runId });
    await session.record({ action: 'rollback', phase: 'start', runId: run.runId, undoes: runId });
    const leftovers = await undo(session, effects, baseline, false);
    try {
      if (leftovers.length === 0) {
        await run.done(sequence);
        await markRolledBack(session.stateDir, runId, run.runId, session.writer);
        for (const killed of unfinished) {
          await (await resumeRun(session.stateDir, killed.runId, session.writer, session.reader)).close({ result: 'finished by another', by: run.runId });
        }
      } else await run.failed(sequence, leftovers.join('; '));
      await run.close({ result: leftovers.length === 0 ? 'rolled back' : 'failed', exitCode: leftovers.length === 0 ? 0 : 4 });
    } catch (error) {
      leftovers.push(`the journal could not be finished: ${messageOf(error)}. Then run \`harden rollback ${runId}\` again`);
    }
    const exitCode = leftovers.length === 0 ? 0 : 4;
    await session.record({ action: 'rollback', phase: 'end', runId: run.runId, undoes: runId, result: exitCode === 0 ? 'rolled back' : 'failed', exitCode });
    return { runId: run.runId, undid: runId, exitCode, leftovers };
  } finally {
    await lock.release().catch(() => undefined);
  }
}
