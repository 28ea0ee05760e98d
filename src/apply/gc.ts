import { join } from 'node:path';
import { object, text } from '../collect/json.ts';
import { isKept } from '../container/kept.ts';
import { messageOf, UsageError } from '../errors.ts';
import { HostError } from '../host/port.ts';
import { createRun, listRuns, readRun, removeRun } from '../journal.ts';
import { acquireLock } from '../lock.ts';
import type { ContainerFacts, Facts, GcDocument, JsonObject, Retention } from '../model.ts';
import { valueOf } from '../model.ts';
import { LAYER_FILE } from './actions/layer.ts';
import { refuseUnconfirmed } from './confirm.ts';
import { refuseUnfinished } from './recover.ts';
import { judgeRuns } from './retention.ts';
import { runHeader } from './run-header.ts';
import type { Session } from './session.ts';

/** What is asked for. A container that is named goes whatever its age, and whatever became of its replacement. */
export interface GcWish {
  readonly olderThanDays: number;
  /** Names of kept containers; empty: all. */
  readonly named: readonly string[];
  readonly retention: Retention;
}

/** What was kept for an undo. `spared`: why it stays, as a sentence; null: it is to be removed. */
interface Kept {
  /** ISO 8601 UTC. */
  readonly since: string;
  readonly spared: string | null;
}
interface KeptContainer extends Kept {
  readonly id: string;
  readonly name: string;
  /** The name that its replacement got; null: no journal tells. */
  readonly replaced: string | null;
}
/** A writable layer that was saved when its container was replaced. */
interface KeptLayer extends Kept {
  readonly runId: string;
  /** The name that the container had. */
  readonly container: string;
  readonly path: string;
}
/** The journal of a run with its backups. */
interface KeptRun extends Kept {
  readonly runId: string;
  readonly planId: string | null;
  /** With it goes the way back. */
  readonly undoable: boolean;
}
export interface Kepts {
  readonly containers: readonly KeptContainer[];
  readonly layers: readonly KeptLayer[];
  readonly runs: readonly KeptRun[];
}

interface Told {
  /** By the id of the container that was replaced. */
  readonly replaced: ReadonlyMap<string, { readonly runId: string; readonly name: string; readonly at: string; readonly ran: boolean }>;
  readonly layers: readonly { readonly runId: string; readonly id: string; readonly container: string; readonly path: string; readonly at: string }[];
}

const DAY_MS = 86_400_000;

/** What the journals tell of containers that were replaced and of layers that were saved. Journals that cannot be read tell nothing. */
async function told({ stateDir, reader }: Session): Promise<Told> {
  const replaced = new Map<string, { runId: string; name: string; at: string; ran: boolean }>();
  const layers: { runId: string; id: string; container: string; path: string; at: string }[] = [];
  for (const { runId, planId, unreadable } of await listRuns(stateDir, reader)) {
    if (planId === null || unreadable !== null) continue;
    const acts = (await readRun(stateDir, runId, reader)).entries.flatMap((entry) =>
      entry.type === 'intent' && entry.step.kind === 'act' ? [{ at: entry.at, action: object(entry.step['action']), before: object(entry.step['before']) }] : []);
    for (const { at, action, before } of acts) {
      const [id, name] = [text(action['container']), text(action['name'])];
      if (action['kind'] === 'swapContainers' && !replaced.has(id)) {
        replaced.set(id, { runId, name, at, ran: acts.some((other) => other.action['kind'] === 'startReplacement' && other.action['container'] === id) });
      }
      // What a new container wrote is saved when a rollback removes it: that may be long after the run, and nothing has its id any more.
      if ((action['kind'] === 'saveLayer' || action['kind'] === 'createReplacement') && LAYER_FILE.test(text(before['file']))) {
        const path = join(stateDir, text(before['file']));
        const [stat] = await reader.observe([{ kind: 'stat', path }]);
        if (stat.status !== 'present') continue;
        layers.push(action['kind'] === 'saveLayer' ? { runId, id, container: name, path, at } : { runId, id: '', container: name, path, at: latest(at, new Date(stat.value.mtimeMs).toISOString()) });
      }
    }
  }
  return { replaced, layers };
}

/** Why a container that was replaced may still be needed, as a sentence; null when its replacement does well. */
function doubt(replaced: { readonly name: string; readonly ran: boolean } | undefined, containers: readonly ContainerFacts[]): string | null {
  if (replaced === undefined) return 'No journal tells what took its place.';
  const replacement = containers.find(({ name }) => name === replaced.name);
  const runtime = replacement === undefined ? undefined : valueOf(replacement.runtime);
  if (replacement === undefined) return `There is no container ${replaced.name} any more.`;
  if (runtime === undefined) return `The state of ${replaced.name} is not known.`;
  if (!replaced.ran) return null;
  if (runtime.state !== 'running') return `${replaced.name}, which took its place, does not run (${runtime.state}).`;
  return runtime.health === 'healthy' || runtime.health === 'none' ? null : `${replaced.name}, which took its place, is not healthy (${runtime.health}).`;
}

/** A container that had ended long before it was replaced is kept only since then. */
const latest = (...times: readonly (string | undefined)[]): string => times.reduce<string>((a, b) => Date.parse(b ?? '') > Date.parse(a) ? b ?? a : a, '1970-01-01T00:00:00Z');

/**
 * What is kept for an undo on this host, and what of it is to go.
 * @throws UsageError when nothing is kept under a name that was given
 */
export async function findKept(session: Session, facts: Facts, wish: GcWish): Promise<Kepts> {
  if (facts.containers.status !== 'present') throw new UsageError(`The containers cannot be listed${facts.containers.status === 'unreadable' ? `: ${facts.containers.reason}` : ''}. Nothing was removed.`);
  const all = facts.containers.value;
  const { replaced, layers } = await told(session);
  const kept = all.filter(isKept);
  const missing = wish.named.find((name) => !kept.some((container) => container.name === name));
  if (missing !== undefined) throw new UsageError(`There is no kept container ${missing}. Nothing was removed.\n\`harden gc\` without a name shows those that there are.`);
  const before = session.now().getTime() - wish.olderThanDays * DAY_MS;
  const young = (since: string): string | null => Date.parse(since) <= before ? null : `It is kept for less than ${wish.olderThanDays} days.`;
  return {
    containers: kept.filter(({ name }) => wish.named.length === 0 || wish.named.includes(name)).map((container): KeptContainer => {
      const { id, name } = container;
      const runtime = valueOf(container.runtime);
      const since = latest(runtime?.createdAt, runtime?.finishedAt, replaced.get(id)?.at);
      const spared = wish.named.length > 0 ? null : young(since) ?? doubt(replaced.get(id), all);
      return { id, name, replaced: replaced.get(id)?.name ?? null, since, spared };
    }),
    layers: wish.named.length > 0 ? [] : layers.map(({ runId, id, container, path, at }) =>
      ({ runId, container, path, since: at, spared: all.some((other) => other.id === id) ? 'Its container is still there.' : young(at) })),
    runs: wish.named.length > 0 ? [] : judgeRuns(await listRuns(session.stateDir, session.reader), wish.retention, session.now()).map(({ run, undoable, spared }): KeptRun => {
      // Nobody could tell otherwise what took whose place.
      const holds = kept.find(({ id }) => replaced.get(id)?.runId === run.runId)?.name ?? layers.find(({ runId }) => runId === run.runId)?.path;
      return { runId: run.runId, planId: run.planId, undoable, since: run.createdAt ?? '', spared: spared ?? (holds === undefined ? null : `What it kept is still there: ${holds}.`) };
    }),
  };
}

/**
 * Removes what was shown, as far as it would still be chosen; volumes stay. Noted as a run of its own, which no rollback takes back.
 * @throws HostError, UsageError before anything is removed
 */
export async function removeKept(session: Session, shown: Kepts, wish: GcWish): Promise<Pick<GcDocument, 'containers' | 'layers' | 'runs'>> {
  const lock = await acquireLock(session.stateDir, session.writer);
  try {
    await refuseUnfinished(session);
    await refuseUnconfirmed(session);
    const facts = await session.collect();
    const now = await findKept(session, facts, { ...wish, named: wish.named.filter((name) => valueOf(facts.containers)?.some((container) => container.name === name && isKept(container))) });
    const run = await createRun(session.stateDir, session.writer, runHeader(session, null, facts), null);
    await session.record({ action: 'gc', phase: 'start', runId: run.runId });
    const attempt = async (step: JsonObject & { kind: string }, chosen: boolean, act: () => Promise<void>): Promise<{ state: 'removed' | 'kept' | 'failed'; reason: string | null }> => {
      if (!chosen) return { state: 'kept', reason: 'It is not as it was shown any more.' };
      const sequence = await run.intent({ ...step, change: null });
      try {
        await act();
      } catch (error) {
        await run.failed(sequence, messageOf(error));
        return { state: 'failed', reason: messageOf(error) };
      }
      await run.done(sequence);
      return { state: 'removed', reason: null };
    };
    const containers: GcDocument['containers'][number][] = [];
    for (const { id, name, replaced, since, spared } of shown.containers) {
      const chosen = now.containers.some((container) => container.id === id && container.spared === null);
      const what = { target: { kind: 'container', name, id } as const, replaced, since };
      containers.push({ ...what, ...spared !== null ? { state: 'kept', reason: spared } as const
        : await attempt({ kind: 'removeContainer', container: id, name }, chosen, () => session.engine.removeContainer(id)) });
    }
    const layers: GcDocument['layers'][number][] = [];
    for (const { runId, container, path, since, spared } of shown.layers) {
      const chosen = now.layers.some((layer) => layer.path === path && layer.spared === null);
      layers.push({ runId, container, path, since, ...spared !== null ? { state: 'kept', reason: spared } as const
        : await attempt({ kind: 'removeLayer', run: runId, path }, chosen, () => session.writer.remove(path)) });
    }
    const runs: GcDocument['runs'][number][] = [];
    for (const { runId, planId, undoable, since, spared } of shown.runs) {
      const chosen = now.runs.some((one) => one.runId === runId && one.spared === null);
      runs.push({ runId, planId, undoable, since, ...spared !== null ? { state: 'kept', reason: spared } as const
        : await attempt({ kind: 'removeRun', run: runId }, chosen, async () => {
          if (!await removeRun(session.stateDir, runId, session.writer, session.reader)) throw new HostError('it holds what a container wrote, or cannot be listed');
        }) });
    }
    const result = [...containers, ...layers, ...runs].some(({ state }) => state === 'failed') ? 'failed' : 'removed';
    await run.close({ result });
    await session.record({ action: 'gc', phase: 'end', runId: run.runId, result });
    return { containers, layers, runs };
  } finally {
    await lock.release().catch(() => undefined);
  }
}
