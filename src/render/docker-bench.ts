import type { CheckResult, Report } from '../model.ts';
import { byNumber } from './common.ts';

/**
 * The JSON that docker-bench-security writes, with the numbers of CIS 1.6.0, for what reads that. The verdicts and their words are ours
 * (docs/differences.md says where they differ): INFO for what does not apply or was waived, NOTE for what needs a person or could not be read.
 */
export interface DockerBenchDocument {
  readonly dockerbenchsecurity: string;
  /** Seconds since 1970, like `end`. */
  readonly start: number;
  readonly tests: readonly { readonly id: string; readonly desc: string; readonly results: readonly DockerBenchResult[] }[];
  readonly checks: number;
  readonly score: number;
  readonly end: number;
}

export interface DockerBenchResult {
  readonly id: string;
  readonly desc: string;
  readonly result: 'PASS' | 'WARN' | 'INFO' | 'NOTE';
  readonly details?: string;
  /** Names of containers, images, files, …: what the result is about. */
  readonly items?: readonly string[];
  /** As with its option -p, and only for WARN. */
  readonly remediation?: string;
  readonly 'remediation-impact'?: string;
}

/** What a check is called there, and what fixes it. */
export interface DockerBenchEntry {
  /** In CIS 1.6.0; without one the check is left out. */
  readonly number: string | undefined;
  readonly remediation: string | null;
}

export const DOCKER_BENCH_EDITION = '1.6.0';

const SECTIONS: Readonly<Record<string, string>> = {
  1: 'Host Configuration', 2: 'Docker daemon configuration', 3: 'Docker daemon configuration files', 4: 'Container Images and Build File',
  5: 'Container Runtime', 6: 'Docker Security Operations', 7: 'Docker Swarm Configuration',
};

/** Recommendations that count as a check there, and never for or against the score. */
const UNSCORED: ReadonlySet<string> = new Set([
  '1.2.1', '1.2.2', '2.1', '2.8', '2.17', '4.2', '4.3', '4.4', '4.7', '4.8', '4.9', '4.10', '4.11', '4.12',
  '5.18', '5.19', '5.23', '5.24', '5.28', '5.30', '6.1', '6.2', '7.4', '7.6', '7.7', '7.8', '7.9',
]);

/** A scan as docker-bench-security would have written it. `limit` caps the items of a result, as its option -n does. */
export function dockerBench(report: Report, entries: ReadonlyMap<string, DockerBenchEntry>, limit: number | null): DockerBenchDocument {
  const results = report.results
    .flatMap((result) => {
      const entry = entries.get(result.check);
      return entry?.number === undefined ? [] : [{ section: result.section, cis: entry.number, shown: resultOf(result, entry.number, entry.remediation, limit) }];
    })
    .sort(byNumber).map(({ shown }) => shown);
  const scored = results.filter(({ id }) => !UNSCORED.has(id));
  const count = (wanted: DockerBenchResult['result']): number => scored.filter(({ result }) => result === wanted).length;
  const start = Date.parse(report.startedAt);
  return {
    dockerbenchsecurity: DOCKER_BENCH_EDITION,
    start: Math.floor(start / 1000),
    tests: Object.entries(SECTIONS).map(([id, desc]) => ({ id, desc, results: results.filter((result) => result.id.startsWith(`${id}.`)) }))
      .filter((section) => section.results.length > 0),
    checks: results.length,
    score: count('PASS') - count('WARN'),
    end: Math.floor((start + report.durationMs) / 1000),
  };
}

function resultOf(result: CheckResult, id: string, remediation: string | null, limit: number | null): DockerBenchResult {
  const { title: desc, outcome, reason, findings } = result;
  const waived = findings.flatMap(({ waiver }) => waiver ?? []);
  const items = limited([...new Set(findings.filter((finding) => finding.outcome === outcome && finding.waiver === undefined && named(finding.target.kind)).map(({ target }) => target.name))], limit);
  const about = { details: reason, ...(items.length > 0 && { items }) };
  switch (outcome) {
    case 'warn': return {
      id, desc, result: 'WARN', ...about,
      ...(remediation !== null && { remediation, 'remediation-impact': `impact ${result.remediation.impact}, risk ${result.remediation.risk}` }),
    };
    case 'manual': return { id, desc, result: 'NOTE', ...about };
    case 'unknown': return { id, desc, result: 'NOTE', ...about, details: `Could not be read: ${reason}` };
    case 'pass':
    case 'na': {
      const [waiver] = waived;
      if (waiver !== undefined) return { id, desc, result: 'INFO', details: `Accepted by ${waiver.owner}${waiver.expires === null ? '' : ` until ${waiver.expires}`}: ${waiver.reason}` };
      return outcome === 'pass' ? { id, desc, result: 'PASS' } : { id, desc, result: 'INFO', details: reason };
    }
  }
}

/** The host and its daemon go without saying. */
const named = (kind: string): boolean => kind !== 'host' && kind !== 'daemon' && kind !== 'swarm';

const limited = (items: readonly string[], limit: number | null): readonly string[] =>
  (limit === null || limit === 0 || items.length <= limit ? items : [...items.slice(0, limit), '(truncated)']);
