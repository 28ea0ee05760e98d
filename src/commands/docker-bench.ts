import { checks } from '../../checks/index.ts';
import { remediationFor } from '../../remediations/index.ts';
import type { Report } from '../model.ts';
import type { DockerBenchEntry } from '../render/docker-bench.ts';
import { DOCKER_BENCH_EDITION, dockerBench } from '../render/docker-bench.ts';
import { printJson } from '../render/escape.ts';

/** Verdicts as docker-bench-security's JSON. */
export const dockerBenchText = (report: Report, limit: number | null): string => printJson(dockerBench(report, dockerBenchEntries(), limit));

function dockerBenchEntries(): ReadonlyMap<string, DockerBenchEntry> {
  return new Map(checks.map(({ id, cis }) => {
    const { mode, effect, manual } = remediationFor(id) ?? {};
    const remediation = mode === undefined ? null : mode === 'manual' ? (manual ?? null) : `harden plan -c ${id} shows the change. ${effect ?? ''}`;
    return [id, { number: cis[DOCKER_BENCH_EDITION], remediation }];
  }));
}
