import type { Check } from '../src/model.ts';
import { mapObserved } from '../src/model.ts';
import { judgeInForce, mapInForce, option } from './in-force.ts';

/** A check that a storage driver that has come to its end is not used. An engine that is told none chooses one that it supports. */
export const storageDriverCheck = (
  driver: string, meta: Pick<Check, 'id' | 'title' | 'rationale' | 'severity' | 'level' | 'cis'>,
): Check<null> => ({
  ...meta,
  evidence: 'GET /info: Driver; daemon.json "storage-driver", --storage-driver',
  passes: `Neither the running daemon nor its next start uses ${driver}.`,
  section: 'daemon',
  evaluate: (facts) => judgeInForce(mapInForce(option(facts, 'storage-driver'), (value) => typeof value === 'string' ? value : ''), {
    live: mapObserved(facts.engine.info, ({ storageDriver }) => storageDriver),
    outcome: (used) => used === driver ? 'warn' : 'pass',
    says: (used) => used === driver ? `The storage driver is ${driver}` : `The storage driver is not ${driver}`,
  }),
});
