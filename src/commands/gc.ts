import { checks } from '../../checks/index.ts';
import type { GcWish, Kepts } from '../apply/gc.ts';
import { findKept, removeKept } from '../apply/gc.ts';
import { DEFAULT_RETENTION } from '../apply/retention.ts';
import type { GcDocument } from '../model.ts';
import type { PolicyFlags } from '../policy.ts';
import { loadPolicy } from '../policy.ts';
import { printJson } from '../render/escape.ts';
import { renderGc, renderKept } from '../render/gc.ts';
import { TOOL } from '../version.ts';
import { agreeTo } from './agree.ts';
import type { Context, ExitCode, OutputOptions } from './context.ts';
import { destinations, emit, layoutFor } from './output.ts';
import type { SessionOptions } from './session.ts';
import { openSession, requirePower } from './session.ts';

export interface GcOptions extends Omit<SessionOptions, 'facts' | 'restartCommand'>, Pick<PolicyFlags, 'policy'>, OutputOptions {
  /** Days. */
  readonly olderThan?: number;
  readonly yes?: boolean;
}

const DEFAULT_DAYS = 7;

/** Removes what was kept for an undo and is old enough, after showing it. */
export async function gc(named: readonly string[], options: GcOptions, context: Context): Promise<ExitCode> {
  const wanted = destinations(['text', 'json'], options);
  const layout = layoutFor(context.layout, options);
  const { policy } = await loadPolicy({ flags: { policy: options.policy }, cwd: context.cwd, euid: context.euid });
  const wish: GcWish = { olderThanDays: options.olderThan ?? DEFAULT_DAYS, named, retention: { ...DEFAULT_RETENTION, ...policy.history } };
  const session = await openSession(options, checks, context);
  try {
    const facts = await session.collect();
    requirePower(facts, context);
    const kept = await findKept(session, facts, wish);
    const textOnStdout = wanted.some(({ format, path }) => format === 'text' && path === null);
    const show = (text: string): void => (textOnStdout ? context.out(text) : context.err(text));
    show(renderKept(kept, textOnStdout ? layout : layoutFor(context.errorLayout, options)));
    const chosen = [...kept.containers, ...kept.layers, ...kept.runs].filter(({ spared }) => spared === null).length;
    if (chosen > 0) {
      await agreeTo('remove what is shown, for good', options, context);
      session.holdSignals();
    }
    const document: GcDocument = { schemaVersion: 1, tool: TOOL, olderThanDays: wish.olderThanDays, ...chosen > 0 ? await removeKept(session, kept, wish) : untouched(kept) };
    await emit(wanted, { text: (form) => renderGc(document, form), json: () => printJson(document) }, layout, context);
    return [...document.containers, ...document.layers, ...document.runs].some(({ state }) => state === 'failed') ? 1 : 0;
  } finally {
    session.close();
  }
}

const untouched = ({ containers, layers, runs }: Kepts): Pick<GcDocument, 'containers' | 'layers' | 'runs'> => ({
  containers: containers.map(({ id, name, replaced, since, spared }) => ({ target: { kind: 'container', name, id }, replaced, since, state: 'kept', reason: spared })),
  layers: layers.map(({ runId, container, path, since, spared }) => ({ runId, container, path, since, state: 'kept', reason: spared })),
  runs: runs.map(({ runId, planId, undoable, since, spared }) => ({ runId, planId, undoable, since, state: 'kept', reason: spared })),
});
