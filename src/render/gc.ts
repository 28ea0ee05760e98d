import type { Kepts } from '../apply/gc.ts';
import type { GcDocument } from '../model.ts';
import { escapeLine } from './escape.ts';
import type { Layout } from './layout.ts';
import { padTo, paragraph, plural, styleFor, widthOf } from './layout.ts';

/** What is kept for an undo: what of it is to go, and what stays and why. */
export function renderKept({ containers, layers, runs }: Kepts, layout: Layout): string {
  const style = styleFor(layout);
  const rows = [
    ...containers.map(({ name, replaced, since, spared }) => ({ name, what: replaced === null ? '' : `${replaced} took its place`, since, spared })),
    ...layers.map(({ container, path, since, spared }) => ({ name: path, what: `what ${container} had written`, since, spared })),
  ].map((row) => ({ ...row, name: escapeLine(row.name), what: escapeLine(row.what) }));
  if (rows.length + runs.length === 0) return 'Nothing is kept.\n';
  const [nameWidth, whatWidth] = [Math.max(0, ...rows.map(({ name }) => widthOf(name))), Math.max(0, ...rows.map(({ what }) => widthOf(what)))];
  const expired = runs.filter(({ spared }) => spared === null);
  const group = (title: string, of: typeof rows): string[] => of.length === 0 ? [] : [
    style.bold(`${title} (${of.length})`),
    ...of.flatMap(({ name, what, since, spared }) => [
      `  ${padTo(name, nameWidth)}  ${padTo(what, whatWidth)}  ${style.dim(`since ${escapeLine(since.replace(/\.\d+Z$/, 'Z'))}`)}`,
      ...(spared === null ? [] : paragraph(spared, layout, 4)),
    ]),
  ];
  const gone = rows.filter(({ spared }) => spared === null);
  return `${[
    ...group('Stays', rows.filter(({ spared }) => spared !== null)),
    ...group('Is removed for good, its volumes stay', gone),
    ...(gone.length === 0 ? [] : ['The runs that kept it can then not be rolled back any more.']),
    ...(expired.length === 0 ? [] : [style.bold(`Journals and backups of runs, removed for good (${expired.length})`)]),
    ...expired.map(({ runId, planId, undoable }) => `  ${escapeLine(runId)}${planId === null ? '' : `  plan ${escapeLine(planId)}`}${undoable ? `  ${style.red('can then not be rolled back any more')}` : ''}`),
    ...(runs.length === expired.length ? [] : [`${plural(runs.length - expired.length, 'run stays', 'runs stay')} in the history.`]),
  ].join('\n')}\n`;
}

/** What became of it. */
export function renderGc({ containers, layers, runs }: GcDocument, layout: Layout): string {
  const kept = [...containers.map((row) => ({ ...row, name: row.target.name })), ...layers.map((row) => ({ ...row, name: row.path }))];
  const all = [...kept, ...runs.map((row) => ({ ...row, name: `run ${row.runId}` }))];
  const gone = runs.filter(({ state }) => state === 'removed').length;
  const failed = all.filter(({ state }) => state === 'failed');
  return `${[
    ...failed.flatMap(({ name, reason }) => paragraph(`${name} could not be removed: ${reason ?? ''}`, layout, 0)),
    `Removed: ${plural(kept.filter(({ state }) => state === 'removed').length, 'container or saved layer', 'containers and saved layers')}${gone === 0 ? '' : `, ${plural(gone, 'run')}`}.`,
  ].join('\n')}\n`;
}
