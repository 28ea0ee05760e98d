import { createHash } from 'node:crypto';
import { UsageError } from '../errors.ts';
import { takeBaseline } from '../health.ts';
import type { FileSnapshot } from '../host/port.ts';
import type { RunRecord } from '../journal.ts';
import { createRun, listRuns, markRolledBack, readBackup, readRun } from '../journal.ts';
import { acquireLock } from '../lock.ts';
import type { Facts, Json, JsonObject } from '../model.ts';
import type { RestartMethod } from '../plan/restart.ts';
import { restartMethod } from '../plan/restart.ts';
import { daemonOf, runHeader } from './run-header.ts';
import type { Session } from './session.ts';
import type { FileUndo, RunEffects } from './undo.ts';
import { undo } from './undo.ts';
import { configAtStart } from '../daemon/settings.ts';

/** What a rollback will do, to be shown before the confirmation. */
export interface RollbackPlan {
  readonly runId: string;
  readonly createdAt: string;
  /** Paths with what happens to them. */
  readonly restores: readonly { readonly path: string; readonly action: 'restore' | 'remove' | 'metadata' }[];
  readonly daemon: RunEffects['daemon'];
  readonly effects: RunEffects;
}

export interface RollbackResult {
  readonly runId: string;
  readonly undid: string;
  readonly exitCode: 0 | 4;
  readonly leftovers: readonly string[];
}

const text = (value: Json | undefined): string => typeof value === 'string' ? value : '';
const object = (value: Json | undefined): JsonObject | null => typeof value === 'object' && value !== null && !Array.isArray(value) ? value : null;
const digest = (content: Buffer): string => createHash('sha256').update(content).digest('hex');

async function fileUndo(session: Session, run: RunRecord, entry: JsonObject): Promise<FileUndo> {
  const before = object(entry.before);
  const made = Array.isArray(entry.made) ? entry.made.filter((path) => typeof path === 'string') : [];
  return { path: text(entry.path), before: before === null ? null : await readBackup(session.stateDir, run.runId, before, session.writer), made };
}

/** Files come back wherever they are; but to restart another daemon than the one that the run changed would harm that one, and leave this one as it is. */
function refuseOtherDaemon({ runId, header }: RunRecord, facts: Facts): void {
  const then = object(header['daemon']);
  const now = daemonOf(facts);
  if (then === null || (then.endpoint === now.endpoint && then.configPath === now.configPath)) return;
  throw new UsageError([
    `Run ${runId} changed the daemon at ${text(then.endpoint)} (${text(then.configPath)}), and this is the one at ${now.endpoint} (${now.configPath}). It was not undone.`,
    `Name that daemon: harden rollback ${runId} --docker-host ${text(then.endpoint)}`,
  ].join('\n'));
}

/** Everything that a run did or began, from its journal. */
async function effectsOf(session: Session, run: RunRecord): Promise<RunEffects & { readonly after: ReadonlyMap<string, JsonObject> }> {
  const files = new Map<string, FileUndo>();
  const after = new Map<string, JsonObject>();
  let command: string | undefined;
  const effects = { systemdReloaded: false, audit: null as RunEffects['audit'], daemon: null as RunEffects['daemon'], method: null as RestartMethod | null };
  const add = async (entry: JsonObject): Promise<void> => {
    if (!files.has(text(entry.path))) files.set(text(entry.path), await fileUndo(session, run, entry));
  };
  for (const entry of run.entries.flatMap((line) => line.type === 'intent' ? [line.step] : [])) {
    switch (entry.kind) {
      case 'replaceBytes': case 'setMetadata': {
        await add(entry);
        const state = object(entry.after);
        if (state !== null) after.set(text(entry.path), state);
        break;
      }
      case 'loadAudit': {
        for (const compiled of Array.isArray(entry.compiled) ? entry.compiled : []) {
          const file = object(compiled);
          if (file !== null) await add(file);
        }
        const kernelBefore = Array.isArray(entry.kernelBefore) ? entry.kernelBefore.filter((rule) => typeof rule === 'string') : [];
        effects.audit = { dropIn: (await session.writer.snapshot(text(entry.path)))?.content?.toString('utf8') ?? '', kernelBefore };
        break;
      }
      case 'systemdReload': effects.systemdReloaded = true; break;
      case 'reloadDaemon': effects.daemon ??= 'reload'; break;
      case 'restartDaemon': {
        effects.daemon = 'restart';
        const method = object(entry.method);
        if (method?.kind === 'command') command = text(method.command);
        break;
      }
      default: break;
    }
  }
  const facts = await session.collect();
  if (effects.daemon !== null) refuseOtherDaemon(run, facts);
  const { configPath } = facts.daemon;
  const started = configAtStart(facts);
  return {
    files: [...files.values()],
    after,
    ...effects,
    configPath,
    configWritten: after.has(configPath) ? (await session.writer.snapshot(configPath))?.content?.toString('utf8') ?? null : null,
    startedWith: started.status === 'present' ? started.value.text : started.status === 'absent' ? null : undefined,
    // What restarted this daemon then does so now, unless the operator names another way.
    method: restartMethod(facts, session.restartCommand ?? command),
  };
}

const matches = (now: FileSnapshot | null, after: JsonObject): boolean =>
  now !== null && now.mode === after.mode && now.uid === after.uid && now.gid === after.gid
  && (after.sha256 === null || (now.content !== null && digest(now.content) === after.sha256));

const equals = (now: FileSnapshot | null, before: FileSnapshot | null): boolean =>
  now === null || before === null ? now === before
    : now.mode === before.mode && now.uid === before.uid && now.gid === before.gid && (before.content === null || now.content?.equals(before.content) === true);

/** Refuses when a path is neither as the run left it nor as it was before: somebody's later work would be lost. */
async function refuseTouched(session: Session, run: RunRecord, effects: RunEffects & { readonly after: ReadonlyMap<string, JsonObject> }): Promise<void> {
  const touched: string[] = [];
  for (const { path, before } of effects.files) {
    const state = effects.after.get(path);
    if (state === undefined) continue;
    const now = await session.writer.snapshot(path);
    if (!matches(now, state) && !equals(now, before)) touched.push(path);
  }
  if (touched.length > 0) {
    throw new UsageError(`Run ${run.runId} cannot be rolled back: changed since by a later run or by hand: ${touched.join(', ')}. Nothing was done. Roll back the later run first, or restore by hand from ${session.stateDir}/runs/${run.runId}/backups.`);
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
  const effects = await effectsOf(session, run);
  await refuseTouched(session, run, effects);
  const restores = [...effects.files].reverse().map(({ path, before }) =>
    ({ path, action: before === null ? 'remove' as const : before.content === null ? 'metadata' as const : 'restore' as const }));
  return { runId, createdAt: run.header.createdAt, restores, daemon: effects.daemon, effects };
}

/** Undoes one run and notes that as a run of its own. */
export async function rollback(session: Session, runId: string): Promise<RollbackResult> {
  const lock = await acquireLock(session.stateDir, session.writer);
  try {
    const { effects } = await planRollback(session, runId);
    const facts = await session.collect();
    const baseline = await takeBaseline(facts, session);
    const run = await createRun(session.stateDir, session.writer, { ...runHeader(session, null, facts), undoes: runId }, null);
    const sequence = await run.intent({ kind: 'rollback', change: null, undoes: runId });
    const leftovers = await undo(session, effects, baseline, false);
    if (leftovers.length === 0) await run.done(sequence);
    else await run.failed(sequence, leftovers.join('; '));
    const exitCode = leftovers.length === 0 ? 0 : 4;
    if (leftovers.length === 0) await markRolledBack(session.stateDir, runId, run.runId, session.writer);
    await run.close({ result: leftovers.length === 0 ? 'rolled back' : 'failed', exitCode });
    return { runId: run.runId, undid: runId, exitCode, leftovers };
  } finally {
    await lock.release();
  }
}
