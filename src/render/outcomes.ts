import type { FindingState, Outcomes, VerifiedFinding } from '../model.ts';
import { OUTCOME_WORDS, paintOutcome, targetName } from './common.ts';
import { escapeLine } from './escape.ts';
import type { Layout, Style } from './layout.ts';
import { limited, padTo, paragraph, plural, styleFor } from './layout.ts';

/** Headings per state, worst first. */
const STATES: Readonly<Record<FindingState, string>> = {
  failed: 'Failed',
  reverted: 'Taken back',
  regressed: 'Worse than before',
  unmet: 'Promised, and still not so',
  pending: 'Done, not in force yet',
  fixed: 'Fixed',
  unchanged: 'Still WARN, not part of this plan',
};

const BAD: ReadonlySet<FindingState> = new Set(['failed', 'reverted', 'regressed', 'unmet']);

/** What became of each change and each finding, before → after, and what to do next. `first` is the line that names the engine. */
export function renderOutcomes(outcomes: Outcomes, first: string, name: (check: string) => string, layout: Layout, limit: number | null): string {
  const style = styleFor(layout);
  const lines = [first];
  if (outcomes.runId !== null) lines.push(`Run ${escapeLine(outcomes.runId)}`);
  for (const { id, state, reason } of outcomes.changes) {
    const paint = state === 'applied' ? style.green : state === 'skipped' ? style.yellow : style.red;
    lines.push(`  ${paint(padTo(state, 8))}  ${escapeLine(id)}`, ...(reason === null ? [] : paragraph(reason, layout, 12)));
  }
  for (const state of Object.keys(STATES) as FindingState[]) {
    const group = outcomes.results.filter((result) => result.state === state);
    if (group.length === 0) continue;
    const { shown, more } = limited(group, limit);
    const heading = `${STATES[state]} (${group.length})`;
    lines.push('', BAD.has(state) ? style.bold(style.red(heading)) : style.bold(heading));
    lines.push(...shown.flatMap((result) => resultLines(result, name, layout, style)));
    if (more > 0) lines.push(`  … and ${more} more`);
  }
  return `${[...lines, '', ...nextLines(outcomes)].join('\n')}\n`;
}

function resultLines({ check, target, before, after, state, reason }: VerifiedFinding, name: (check: string) => string, layout: Layout, style: Style): string[] {
  const word = (outcome: VerifiedFinding['before']): string => (outcome === null ? 'gone' : paintOutcome(outcome, style)(OUTCOME_WORDS[outcome]));
  return [
    `  ${before === null ? 'new' : word(before)} → ${word(after)}  ${name(check)}  ${targetName(target)}`,
    ...(state === 'fixed' ? [] : paragraph(reason, layout, 4)),
  ];
}

function nextLines({ summary, runId }: Outcomes): string[] {
  const counts = (Object.keys(STATES) as FindingState[]).filter((state) => summary[state] > 0).map((state) => `${summary[state]} ${state}`);
  const lines = [counts.length === 0 ? 'Nothing was promised and nothing changed.' : `${plural(sum(summary), 'finding')}: ${counts.join(', ')}.`];
  if (summary.failed + summary.reverted > 0) lines.push('Correct what failed, then run `harden plan` again: it plans only what is still open.');
  if (summary.regressed > 0 && runId !== null) lines.push(`If this run made it worse, \`harden rollback ${escapeLine(runId)}\` undoes it.`);
  if (summary.pending > 0) lines.push('Once what is pending is released, `harden verify` tells whether it holds.');
  return lines;
}

const sum = (counts: Outcomes['summary']): number => Object.values(counts).reduce((total, count) => total + count, 0);
