import type { Change, DeferReason, Plan, Report, Target } from '../model.ts';
import { isFileChange } from '../model.ts';
import { ceilingOffers } from '../ceilings.ts';
import { listNames } from '../daemon/containers.ts';
import { engineLine, selectionLines, targetName } from './common.ts';
import { renderDiff } from './diff.ts';
import { escapeLine } from './escape.ts';
import type { Layout, Style } from './layout.ts';
import { limited, paragraph, plural, styleFor } from './layout.ts';

/** What each reason to defer means, as the heading of its group, in the order in which they are worth reading. */
const REASONS: Readonly<Record<DeferReason, string>> = {
  ceiling: 'Above the ceiling',
  choice: 'Waiting for your choice',
  guard: 'Would break something that harden can see',
  conflict: 'In conflict with another check',
  owner: 'Belongs to another owner',
  pending: 'Done, not in force yet',
  manual: 'For a person to do',
  unsupported: 'Cannot be fixed here',
};

/** The plan as text: every change with its diff, then what is deferred and why, then what higher ceilings would add. */
export function renderPlan(plan: Plan, report: Report, layout: Layout, limit: number | null): string {
  const style = styleFor(layout);
  const name = namer(report);
  const { maxImpact, maxRisk, picks } = plan.inputs;
  const lines = [
    engineLine(plan.host, plan.benchmark, layout),
    ...selectionLines(plan.inputs.selection, layout),
    `Plan ${escapeLine(plan.id)} within --max-impact ${maxImpact} --max-risk ${maxRisk}${picks === null ? '' : `, ${picks.length} picked`}`,
  ];
  for (const change of plan.changes) lines.push('', ...renderChange(change, name, layout, limit));
  lines.push(...restartLines(plan, layout, style), ...deferredLines(plan, name, layout, style, limit), ...adviceLines(plan, name, layout, style), ...offerLines(plan, name, layout, style));
  lines.push('', summaryLine(plan, style));
  return `${lines.join('\n')}\n`;
}

/** One change: what it is, what it costs and risks, its diff, whom it answers, what it promises. */
export function renderChange(change: Change, name: (check: string) => string, layout: Layout, limit: number | null): string[] {
  const style = styleFor(layout);
  const symbol = isFileChange(change) && change.before === null ? style.green('+') : style.yellow('~');
  const passes = change.promises.filter(({ expect }) => expect === 'pass');
  const pending = change.promises.filter(({ expect }) => expect === 'pending');
  const list = (lead: string, items: readonly string[]): string[] => {
    if (items.length === 0) return [];
    const { shown, more } = limited([...new Set(items)], limit);
    return paragraph(`${shown.join(', ')}${more > 0 ? ` and ${more} more` : ''}`, layout, 4, lead);
  };
  return [
    `${symbol} ${style.bold(targetName(change.target))}  ${escapeLine(change.title)}`,
    `    impact ${change.impact} · risk ${change.risk} · undo ${change.undo}`,
    ...paragraph(change.effect, layout, 4),
    ...renderDiff(change.diff, layout, 4),
    ...list('because  ', change.because.map(({ check }) => name(check))),
    ...list('promises ', passes.map(({ check }) => name(check))),
    ...pending.flatMap(({ check, waitsFor }) => paragraph(`${name(check)} waits for ${waitsFor ?? 'a restart'}`, layout, 4, 'pending  ')),
    ...list('requires ', change.requires),
  ];
}

/** Check ids with the number that they have in the report's edition. */
export function namer(report: Pick<Report, 'results'>): (check: string) => string {
  const numbers = new Map(report.results.map(({ check, cis }) => [check, cis]));
  return (check) => {
    const number = numbers.get(check);
    return typeof number === 'string' ? `${number} ${check}` : check;
  };
}

function restartLines({ restart, inputs }: Plan, layout: Layout, style: Style): string[] {
  if (restart === null) return [];
  const heading = ['', style.bold('The daemon restarts')];
  const back = [
    'the API', 'what runs now', 'every network',
    ...(restart.ports === undefined || restart.ports.length === 0 ? [] : [`the published ports that answer now (${restart.ports.map(({ container, port }) => `${port} of ${container}`).join(', ')})`]),
    ...(restart.plugins === undefined || restart.plugins.length === 0 ? [] : [`${restart.plugins.length === 1 ? 'the plugin' : 'the plugins'} ${listNames(restart.plugins)}`]),
  ];
  const afterwards = paragraph(`What has to be back afterwards, or all is undone: ${back.join(', ')}.`, layout, 2);
  if (restart.containersSurvive) return [...heading, ...paragraph('Running containers keep running: live-restore is on when the daemon goes down.', layout, 2), ...afterwards];
  if (restart.stops.length === 0) return [...heading, ...paragraph('No container is running.', layout, 2), ...afterwards];
  return [
    ...heading,
    ...paragraph(`${plural(restart.stops.length, 'running container')} will stop${inputs.maxImpact === 'restart' ? '' : ' for a moment'}:`, layout, 2),
    ...restart.stops.flatMap(({ name, restartPolicy, startedByHarden }) => paragraph(
      `${name} (restart policy ${restartPolicy}) ${startedByHarden ? 'would stay down, so harden starts it again' : 'comes back by itself'}`, layout, 4, '- ',
    )),
    ...afterwards,
  ];
}

function deferredLines(plan: Plan, name: (check: string) => string, layout: Layout, style: Style, limit: number | null): string[] {
  return (Object.keys(REASONS) as DeferReason[]).flatMap((reason) => {
    const group = plan.deferred.filter((item) => item.reason === reason);
    if (group.length === 0) return [];
    const { shown, more } = limited(group, limit);
    return [
      '', `${style.bold(REASONS[reason])} (${group.length}, ${reason})`,
      ...shown.flatMap(({ check, target, explanation, needs }) => [
        `  ${name(check)}${about(target)}`,
        ...explanation.split('\n').flatMap((line) => paragraph(line, layout, 4)),
        ...(needs === null ? [] : needs.split('\n').flatMap((line, index) => paragraph(line.trimStart(), layout, 4, (index === 0 ? 'needs ' : '      ') + indentOf(line))).map(style.cyan)),
      ]),
      ...(more > 0 ? [`  … and ${more} more`] : []),
    ];
  });
}

/** Lines of YAML stand as they are written. */
const indentOf = (line: string): string => /^ */.exec(line)?.[0] ?? '';

/** The patches for Dockerfiles: below the deferred items that point at them. */
function adviceLines({ advice = [] }: Plan, name: (check: string) => string, layout: Layout, style: Style): string[] {
  return advice.flatMap(({ check, target, path, diff, notes }) => [
    '', `${style.bold('Advice on a Dockerfile')} (harden does not write it)`,
    `  ${escapeLine(path)}  ${targetName(target)}`,
    ...(diff === '' ? ['    There is nothing that a patch can answer.'] : renderDiff(diff, layout, 4)),
    ...(check.length === 0 ? [] : paragraph(check.map(name).join(', '), layout, 4, 'answers  ')),
    ...notes.flatMap((note) => paragraph(note, layout, 4, '- ')),
  ]);
}

/** The target, where it says more than the check does. */
const about = (target: Target): string => (target.kind === 'host' || target.kind === 'daemon' ? '' : `  ${targetName(target)}`);

function offerLines(plan: Plan, name: (check: string) => string, layout: Layout, style: Style): string[] {
  const offers = ceilingOffers(plan);
  if (offers.length === 0) return [];
  return [
    '', style.bold('Higher ceilings would add'),
    ...offers.flatMap(({ flags, adds }) => paragraph([...new Set(adds.map(({ check }) => name(check)))].join(', '), layout, 2, `${flags}: `)),
  ];
}

function summaryLine({ summary, promises }: Plan, style: Style): string {
  if (summary.warns === 0) return style.green('No WARN among the selected checks: nothing to do.');
  const fixed = `${summary.fixable} of ${plural(summary.warns, 'finding')} that warn`;
  return style.bold(
    `${plural(summary.changes, 'change')} for ${fixed}; ${plural(promises.length, 'check')} will pass, ${summary.deferred} deferred.`,
  );
}
