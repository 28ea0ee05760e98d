import type { CheckResult, Finding, Report } from '../model.ts';
import { byNumber, engineLine, OUTCOME_WORDS, paintOutcome, SECTION_TITLES, selectionLines, targetName } from './common.ts';
import { escapeLine } from './escape.ts';
import type { Layout, Style } from './layout.ts';
import { limited, padTo, paragraph, plural, styleFor } from './layout.ts';

type ShownFinding = Omit<Finding, 'check' | 'detail'>;

/** The scan table: per check its number, outcome and title, below it what did not pass. `limit` caps the findings of a check. */
export function renderTable(report: Report, layout: Layout, limit: number | null): string {
  const style = styleFor(layout);
  const lines = [engineLine(report.host, report.benchmark, layout), ...selectionLines(report.selection, layout)];
  const results = report.results.toSorted(byNumber);
  const numberWidth = Math.max(3, ...results.map(({ cis }) => cis?.length ?? 1));
  let section = '';
  for (const result of results) {
    if (result.section !== section) {
      section = result.section;
      lines.push('', style.bold(SECTION_TITLES[result.section]));
    }
    const outcome = paintOutcome(result.outcome, style)(padTo(OUTCOME_WORDS[result.outcome], 7));
    lines.push(`  ${padTo(result.cis ?? '-', numberWidth)}  ${outcome}  ${escapeLine(result.title)}  ${style.dim(result.check)}`);
    lines.push(...findingLines(result, layout, style, limit, numberWidth + 4));
  }
  return `${[...lines, '', ...summaryLines(report, style)].join('\n')}\n`;
}

/** What did not pass; that a check does not apply is worth a line only when nothing else is said. */
function findingLines(result: CheckResult, layout: Layout, style: Style, limit: number | null, indent: number): string[] {
  const notable = result.findings.filter(({ outcome, waiver }) =>
    waiver !== undefined || (outcome !== 'pass' && (outcome !== 'na' || result.outcome === 'na')));
  const { shown, more } = limited(notable, limit);
  const lines = shown.flatMap((finding) => describeFinding(finding, result.outcome, layout, style, indent));
  return more > 0 ? [...lines, `${' '.repeat(indent)}… and ${more} more`] : lines;
}

function describeFinding(finding: ShownFinding, whole: CheckResult['outcome'], layout: Layout, style: Style, indent: number): string[] {
  const { outcome, waiver, pending } = finding;
  const word = waiver !== undefined ? 'waived ' : outcome === whole ? '' : `${OUTCOME_WORDS[outcome]} `;
  const lines = paragraph(`${word}${subject(finding)}${finding.message}`, layout, indent, '· ');
  if (pending !== undefined) lines.push(...paragraph(`pending: waits for ${pending.waitsFor}`, layout, indent + 2).map(style.yellow));
  if (waiver !== undefined) {
    const until = waiver.expires === null ? '' : `, until ${waiver.expires}`;
    lines.push(...paragraph(`accepted by ${waiver.owner}${until}: ${waiver.reason}`, layout, indent + 2).map(style.dim));
  }
  return lines;
}

/** The target, where the message does not already name it. */
const subject = ({ target, message }: ShownFinding): string =>
  (target.kind === 'daemon' || target.kind === 'host' || message.includes(target.name) ? '' : `${targetName(target)}: `);

function summaryLines({ host, summary, results }: Report, style: Style): string[] {
  const counts = [
    style.green(`${summary.pass} PASS`), style.red(`${summary.warn} WARN`), `${summary.na} N/A`, style.cyan(`${summary.manual} MANUAL`),
    style.yellow(`${summary.unknown} UNKNOWN`), ...(summary.waived > 0 ? [`${summary.waived} waived`] : []),
  ];
  const lines = [`${plural(results.length, 'check')}: ${counts.join(', ')}. Score ${summary.score}.`];
  const warned = results.filter(({ outcome }) => outcome === 'warn');
  const count = (mode: string): number => warned.filter(({ remediation }) => remediation.mode === mode).length;
  if (warned.length > 0 && host.image !== undefined) lines.push('`harden explain CHECK` has the steps.');
  else if (warned.length > 0) {
    lines.push(`Of the WARN, harden can fix ${count('auto')}, ${count('choice')} more once you choose, and gives the steps for ${count('manual')}: see \`harden plan\`.`);
  }
  if (summary.unknown > 0) lines.push('UNKNOWN is what could not be read, and never counts as PASS; the reasons stand above.');
  return lines;
}
