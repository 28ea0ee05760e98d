import type { Checklist } from '../../checks/checklists.ts';
import type { Check, Edition, Remediation, RemediationMode, Report } from '../model.ts';
import { EDITIONS } from '../model.ts';
import { byNumber, SECTION_TITLES } from './common.ts';
import type { Layout } from './layout.ts';
import { padTo, paragraph, plural, styleFor } from './layout.ts';

/** A check with its remediation as `list` and `explain` show them. */
export interface CatalogueEntry {
  readonly check: string;
  readonly cis: string | null;
  /** Codes of other tools for it. */
  readonly aliases: readonly string[];
  readonly section: Check['section'];
  readonly title: string;
  readonly level: 1 | 2;
  readonly severity: Check['severity'];
  readonly remediation: Report['results'][number]['remediation'];
}

export interface Explanation extends CatalogueEntry {
  readonly editions: Check['cis'];
  readonly rationale: string;
  readonly evidence: string;
  readonly passes: string;
  readonly effect: string | null;
  readonly parameters: Remediation['parameters'];
  readonly manual: string | null;
}

export function catalogueEntry(check: Check, remediation: Remediation | undefined, edition: Edition): CatalogueEntry {
  return {
    check: check.id,
    cis: check.cis[edition] ?? null,
    aliases: check.aliases ?? [],
    section: check.section,
    title: check.title,
    level: check.level,
    severity: check.severity,
    remediation: { mode: remediation?.mode ?? 'none', impact: remediation?.impact ?? 'none', risk: remediation?.risk ?? 'safe' },
  };
}

export function explanation(check: Check, remediation: Remediation | undefined, edition: Edition): Explanation {
  return {
    ...catalogueEntry(check, remediation, edition),
    editions: check.cis,
    rationale: check.rationale,
    evidence: check.evidence,
    passes: check.passes,
    effect: remediation?.effect ?? null,
    parameters: remediation?.parameters ?? [],
    manual: remediation?.manual ?? null,
  };
}

const MODES: Readonly<Record<RemediationMode, string>> = {
  auto: 'fixed automatically', choice: 'fixed once you choose', manual: 'manual, with the steps', none: 'no fix',
};

/** `harden list`: one line per check, and how far the catalogue is covered. */
export function renderList(entries: readonly CatalogueEntry[], edition: Edition, layout: Layout): string {
  const style = styleFor(layout);
  const sorted = entries.toSorted(byNumber);
  const idWidth = Math.max(5, ...sorted.map(({ check }) => check.length));
  const lines: string[] = [];
  let section = '';
  for (const entry of sorted) {
    if (entry.section !== section) {
      section = entry.section;
      lines.push(...(lines.length === 0 ? [] : ['']), style.bold(SECTION_TITLES[entry.section]));
    }
    const { mode, impact, risk } = entry.remediation;
    const fix = mode === 'auto' || mode === 'choice' ? `${mode}, ${impact}, ${risk}` : mode;
    lines.push(`  ${padTo(entry.cis ?? '-', 6)}  ${padTo(entry.check, idWidth)}  L${entry.level}  ${padTo(fix, 28)}  ${entry.title}`);
  }
  const count = (mode: RemediationMode): number => entries.filter(({ remediation }) => remediation.mode === mode).length;
  const coverage = (Object.keys(MODES) as RemediationMode[]).filter((mode) => count(mode) > 0).map((mode) => `${count(mode)} ${MODES[mode]}`);
  return `${[...lines, '', `${plural(entries.length, 'check')} (CIS ${edition}): ${coverage.join(', ')}.`].join('\n')}\n`;
}

/** `harden explain`: everything that a person needs to decide about one check. */
export function renderExplanation(entry: Explanation, edition: Edition, layout: Layout): string {
  const style = styleFor(layout);
  const { mode, impact, risk } = entry.remediation;
  const block = (heading: string, text: string | null): string[] =>
    text === null ? [] : ['', style.bold(heading), ...text.split('\n').flatMap((line) => paragraph(line, layout, 2))];
  const numbers = EDITIONS.filter((name) => entry.editions[name] !== undefined).map((name) => `${name}: ${entry.editions[name] ?? ''}`);
  return `${[
    `${style.bold(entry.check)}  ${entry.title}`,
    `${SECTION_TITLES[entry.section]} · level ${entry.level} · severity ${entry.severity} · ${entry.cis === null ? `not in CIS ${edition}` : `CIS ${edition} ${entry.cis}`}`,
    ...block('Why', entry.rationale),
    ...block('Evidence', entry.evidence),
    ...block('Passes when', entry.passes),
    ...block('Fix', mode === 'auto' || mode === 'choice' ? `${MODES[mode]}; usually impact ${impact}, risk ${risk}` : MODES[mode]),
    ...(entry.effect === null ? [] : paragraph(entry.effect, layout, 2)),
    ...(entry.parameters.length === 0 ? [] : ['', style.bold('Parameters (harden.yaml, or --set NAME=VALUE)')]),
    ...entry.parameters.flatMap(({ name, description, example }) => [
      `  ${style.cyan(name)}`, ...paragraph(description, layout, 4), ...paragraph(example, layout, 4, 'example: '),
    ]),
    ...block('By hand', entry.manual),
    ...block('CIS numbers', numbers.length === 0 ? 'none: a check of our own' : numbers.join(', ')),
    ...block('Codes of other tools', entry.aliases.length === 0 ? null : entry.aliases.join(', ')),
  ].join('\n')}\n`;
}

/** A checklist as `harden list checks --checklist` shows it. */
export interface ChecklistEntry {
  readonly checklist: string;
  readonly title: string;
  readonly lists: readonly {
    readonly id: string;
    readonly title: string;
    readonly boxes: readonly { readonly text: string; readonly checks: readonly CatalogueEntry[]; readonly manual: string | null }[];
  }[];
}

export const checklistEntry = (
  name: string, { title, lists }: Checklist, entriesOf: (terms: readonly string[]) => readonly CatalogueEntry[],
): ChecklistEntry => ({
  checklist: name,
  title,
  lists: lists.map((list) => ({
    id: list.id, title: list.title, boxes: list.boxes.map(({ text, checks, manual }) => ({ text, checks: entriesOf(checks), manual: manual ?? null })),
  })),
});

/** Every box with the checks that answer it, and what is left to a person. */
export function renderChecklist({ title, lists }: ChecklistEntry, layout: Layout): string {
  const style = styleFor(layout);
  const named = ({ check, cis }: CatalogueEntry): string => cis === null ? check : `${check} (${cis})`;
  return `${[
    style.bold(title),
    ...lists.flatMap((list) => [
      '', style.bold(list.title),
      ...list.boxes.flatMap(({ text, checks, manual }) => [
        ...paragraph(text, layout, 2, '[ ] '),
        ...(checks.length === 0 ? [] : paragraph(checks.map(named).join(', '), layout, 6, 'checks   ')),
        ...(manual === null ? [] : paragraph(manual, layout, 6, 'by hand  ')),
      ]),
    ]),
    '', `Judge all that checks can answer with \`harden scan\`, or one box with its ids: \`harden scan -c ID,ID\`.`,
  ].join('\n')}\n`;
}
