import type { RawEvidence } from '../host/engine.ts';
import type { ContainerEvidence, ContainerFacts, Json, Observed } from '../model.ts';
import { absent, mapObserved, present } from '../model.ts';
import { at, list, number, text } from './json.ts';

const KINDS = ['modified', 'added', 'deleted'] as const;

type Memory = ContainerEvidence['memory'] extends Observed<infer T> ? T : never;

/**
 * Bytes; undefined of one that does not run, for which the engine answers without numbers. On cgroup v1 the engine says "total_rss" and a peak,
 * and shared memory is in `current` only; on v2 "anon" and "shmem", and no peak.
 */
function memoryOf(answer: Json): Memory | undefined {
  const memory = at(answer, 'memory_stats');
  const details = at(memory, 'stats');
  const [current, peak] = [number(at(memory, 'usage')), number(at(memory, 'max_usage'))];
  return current === 0 ? undefined : {
    current, anonymous: number(at(details, 'anon') ?? at(details, 'total_rss')) + number(at(details, 'shmem')), peak: peak > 0 ? peak : null,
  };
}

const known = <T>(observed: Observed<T | undefined>): Observed<T> =>
  observed.status !== 'present' ? observed : observed.value === undefined ? absent : present(observed.value);

/** Evidence for parameters and guards. */
const parseEvidence = ({ changes, stats }: RawEvidence): ContainerEvidence => ({
  changes: mapObserved(changes, (entries) => list(entries).map((entry) => ({ kind: KINDS[number(at(entry, 'Kind'))] ?? 'modified', path: text(at(entry, 'Path')) }))),
  memory: known(mapObserved(stats, memoryOf)),
  pids: mapObserved(stats, (answer) => number(at(answer, 'pids_stats', 'current'))),
});

export const withEvidence = (containers: readonly ContainerFacts[], measured: ReadonlyMap<string, RawEvidence>): readonly ContainerFacts[] => containers.map((container) => {
  const evidence = measured.get(container.id);
  return evidence === undefined ? container : { ...container, evidence: parseEvidence(evidence) };
});
