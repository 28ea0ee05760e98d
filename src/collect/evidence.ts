import type { RawEvidence } from '../host/engine.ts';
import type { ContainerEvidence, ContainerFacts } from '../model.ts';
import { mapObserved } from '../model.ts';
import { at, list, number, text } from './json.ts';

const KINDS = ['modified', 'added', 'deleted'] as const;

/** Evidence for parameters and guards: sizes in bytes. On cgroup v1 the engine says "total_rss" and a peak, on v2 "anon" and none. */
function parseEvidence({ changes, stats }: RawEvidence): ContainerEvidence {
  return {
    changes: mapObserved(changes, (entries) => list(entries).map((entry) => ({ kind: KINDS[number(at(entry, 'Kind'))] ?? 'modified', path: text(at(entry, 'Path')) }))),
    memory: mapObserved(stats, (answer) => {
      const memory = at(answer, 'memory_stats');
      const details = at(memory, 'stats');
      const peak = number(at(memory, 'max_usage'));
      return {
        current: number(at(memory, 'usage')),
        anonymous: number(at(details, 'anon') ?? at(details, 'total_rss')) + number(at(details, 'shmem') ?? 0),
        peak: peak > 0 ? peak : null,
      };
    }),
    pids: mapObserved(stats, (answer) => number(at(answer, 'pids_stats', 'current'))),
  };
}

export const withEvidence = (containers: readonly ContainerFacts[], measured: ReadonlyMap<string, RawEvidence>): readonly ContainerFacts[] => containers.map((container) => {
  const evidence = measured.get(container.id);
  return evidence === undefined ? container : { ...container, evidence: parseEvidence(evidence) };
});
