import type { Edition, HostSummary, Outcome, Section, Selection, Target } from '../model.ts';
import { escapeLine } from './escape.ts';
import type { Layout, Style } from './layout.ts';
import { paragraph, styleFor } from './layout.ts';
import { describeTargets } from '../targets.ts';

/** What tables print for an outcome. */
export const OUTCOME_WORDS: Readonly<Record<Outcome, string>> = { pass: 'PASS', warn: 'WARN', na: 'N/A', manual: 'MANUAL', unknown: 'UNKNOWN' };

/** Section titles, in the order of the benchmark. */
export const SECTION_TITLES: Readonly<Record<Section, string>> = {
  host: 'Host', daemon: 'Docker daemon', files: 'Files of the daemon', images: 'Images', containers: 'Containers', operations: 'Operations', swarm: 'Swarm',
};

export function paintOutcome(outcome: Outcome, style: Style): (text: string) => string {
  switch (outcome) {
    case 'pass': return style.green;
    case 'warn': return (text) => style.bold(style.red(text));
    case 'na': return style.dim;
    case 'manual': return style.cyan;
    case 'unknown': return style.yellow;
  }
}

/** Every text begins with it: which engine was looked at, and whether it is this host's. */
export function engineLine({ engine, hostname, os, image }: HostSummary, benchmark: Edition, layout: Layout): string {
  const style = styleFor(layout);
  if (image !== undefined) return `Image ${escapeLine(image)}${engine.endpoint === '' ? '' : ` at ${escapeLine(engine.endpoint)}`} · no host was looked at · CIS ${benchmark}`;
  const where = engine.local ? style.green('local') : style.yellow(engine.endpoint.startsWith('unix:') ? 'not proven local' : 'remote');
  const kind = engine.rootless ? ', rootless' : '';
  return `Docker ${escapeLine(engine.version)} at ${escapeLine(engine.endpoint)} (${where}${kind}) · ${escapeLine(hostname)} · ${escapeLine(os)} · CIS ${benchmark}`;
}

/** Which containers and images were left out, where any were. */
export function selectionLines({ targets }: Selection, layout: Layout): string[] {
  const words = describeTargets(targets);
  return words === null ? [] : paragraph(words, layout, 0);
}

/** A target by kind and name, safe to print. */
export const targetName = ({ kind, name }: Target): string =>
  kind === 'container' || kind === 'image' || kind === 'network' || kind === 'account' ? `${kind} ${escapeLine(name)}` : escapeLine(name);

/** Section, then CIS number, part by part as numbers; a check that the edition lacks comes last in its section. */
export function byNumber<T extends { readonly section: Section; readonly cis: string | null }>(a: T, b: T): number {
  const sections = Object.keys(SECTION_TITLES);
  const section = sections.indexOf(a.section) - sections.indexOf(b.section);
  if (section !== 0) return section;
  if (a.cis === null || b.cis === null) return Number(a.cis === null) - Number(b.cis === null);
  return a.cis.localeCompare(b.cis, 'en', { numeric: true });
}
