import type { RollbackPlan } from '../apply/rollback.ts';
import type { RunSummary } from '../journal.ts';
import { awaitsConfirmation } from '../journal.ts';
import { escapeLine } from './escape.ts';
import type { Layout } from './layout.ts';
import { padTo, paragraph, styleFor } from './layout.ts';

/** The runs of a state directory, newest first as they come. */
export function renderHistory(runs: readonly RunSummary[], stateDir: string, layout: Layout): string {
  if (runs.length === 0) return `No run in ${escapeLine(stateDir)}.\n`;
  const style = styleFor(layout);
  const lines = runs.flatMap((run) => {
    const word = stateOf(run);
    const paint = word === 'applied' ? style.green : word === 'unconfirmed' ? style.yellow : word === 'undone' || word === 'rollback' ? style.dim : style.red;
    return [
      `${escapeLine(run.runId)}  ${paint(padTo(word, 11))}  ${escapeLine(run.createdAt ?? 'unknown time')}${run.planId === null ? '' : `  plan ${escapeLine(run.planId)}`}`,
      ...remark(run).flatMap((text) => paragraph(text, layout, 4)),
    ];
  });
  return `${lines.join('\n')}\n`;
}

function stateOf({ unreadable, closed, rolledBackBy, planId, result, confirmation }: RunSummary): string {
  if (unreadable !== null) return 'unreadable';
  if (!closed) return 'unfinished';
  if (rolledBackBy !== null) return 'undone';
  if (awaitsConfirmation({ confirmation, rolledBackBy })) return 'unconfirmed';
  const word = result?.['result'];
  return typeof word === 'string' ? word : planId === null ? 'rollback' : 'closed';
}

function remark({ unreadable, rolledBackBy, result, user, ticket, confirmation }: RunSummary): string[] {
  const failure = result?.['failure'];
  const who = user === null ? [] : [user.sudoUser ?? (user.loginuid === null ? null : `uid ${user.loginuid}`)].filter((name) => name !== null).map((name) => `by ${name}`);
  const about = [...(ticket === null ? [] : [`ticket ${ticket}`]), ...who].join(', ');
  return [
    ...(about === '' ? [] : [about]),
    ...(confirmation === null || rolledBackBy !== null ? [] : [confirmation.confirmedAt === null ? `to be confirmed by ${confirmation.by}` : `confirmed at ${confirmation.confirmedAt}`]),
    ...(confirmation?.notReverted == null ? [] : [`nobody confirmed it in time, and it could not be undone: ${confirmation.notReverted}`]),
    ...(unreadable === null ? [] : [unreadable]),
    ...(rolledBackBy === null ? [] : [`undone by ${rolledBackBy}`]),
    ...(typeof failure === 'string' ? [failure] : []),
  ];
}

const ACTIONS: Readonly<Record<RollbackPlan['restores'][number]['action'], string>> = {
  restore: '~ bytes, mode and owner come back', remove: '- is removed: it was not there before', metadata: '~ mode and owner come back',
};

/** What undoing a run brings back. */
export function renderRollback({ runId, createdAt, restores, takesBack, saved, lost, daemon, effects: { method } }: RollbackPlan, layout: Layout): string {
  const style = styleFor(layout);
  const how = method?.kind === 'command' ? `: ${escapeLine(method.command)}` : '';
  const then = daemon === null ? [] : [daemon === 'restart' ? `  The daemon restarts${how}.` : '  The daemon is reloaded.'];
  return `${[
    style.bold(`Undo run ${escapeLine(runId)} of ${escapeLine(createdAt)}`),
    ...takesBack.map((what) => `  ~ ${style.dim('taken back:')} ${escapeLine(what)}`),
    ...restores.map(({ path, action }) => `  ${ACTIONS[action].slice(0, 1)} ${escapeLine(path)}  ${style.dim(ACTIONS[action].slice(2))}`),
    ...then,
    ...saved.map((what) => `  ${style.red('!')} ${escapeLine(what)}`),
    ...lost.map((what) => `  ${style.red('!')} ${escapeLine(what)}: it does not come back`),
  ].join('\n')}\n`;
}
