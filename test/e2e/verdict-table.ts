/** fixtures/verdicts.json: the outcome of every check on real hosts of several kinds, one line for each check. */
import { readFileSync, writeFileSync } from 'node:fs';
import { outcomes, type ScanDocument } from './support.ts';
import type { Suite } from './host.ts';

const TABLE = 'fixtures/verdicts.json';

/** The same on all suites that the kind has, or one for each. */
type Cell = string | Readonly<Record<string, string>>;
type Table = Readonly<Record<string, Readonly<Record<string, Cell>>>>;

const readTable = (): Table => JSON.parse(readFileSync(TABLE, 'utf8')) as Table;

/** What the file says of a kind of host, by check. */
export const recordedVerdicts = (kind: string, suite: Suite): Record<string, string | undefined> =>
  Object.fromEntries(Object.entries(readTable()).map(([check, row]) => {
    const cell = row[kind];
    return [check, typeof cell === 'object' ? cell[suite] : cell];
  }));

/** With HARDEN_WRITE_VERDICTS=1: puts what was seen of a kind of host into the file, in the order of the scan. */
export function recordVerdicts(kind: string, reports: Readonly<Partial<Record<Suite, ScanDocument>>>): void {
  if (process.env['HARDEN_WRITE_VERDICTS'] !== '1') return;
  const seen = Object.entries(reports).map(([suite, report]) => [suite, outcomes(report)] as const);
  const table = readTable();
  const rows = Object.keys(seen[0]?.[1] ?? {}).map((check) => {
    const found = seen.map(([suite, verdicts]) => [suite, verdicts[check] ?? 'missing'] as const);
    const [first = ['', '']] = found;
    const cell: Cell = found.every(([, verdict]) => verdict === first[1]) ? first[1] : Object.fromEntries(found);
    return `  ${JSON.stringify(check)}: ${JSON.stringify({ ...table[check], [kind]: cell })}`;
  });
  writeFileSync(TABLE, `{\n${rows.join(',\n')}\n}\n`);
}
