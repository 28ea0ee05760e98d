import type { Check } from '../../src/model.ts';
import { mapObserved } from '../../src/model.ts';
import { judgeInForce, mapInForce, option } from '../in-force.ts';

export const check: Check<null> = {
  id: 'daemon.experimental',
  title: 'Experimental features of the daemon are off',
  rationale: 'They are not meant for production: they may change or go with any update, and get less review.',
  evidence: 'GET /version: Experimental; daemon.json "experimental", --experimental',
  passes: 'They are off in the running daemon and for its next start.',
  section: 'daemon',
  severity: 'low',
  level: 1,
  cis: {
    'd1.13': '2.21', 'ce1.1.0': '2.17', '1.2.0': '2.16', '1.3.1': '2.18', '1.4.0': '2.18',
    '1.5.0': '2.18', '1.6.0': '2.18', '1.7.0': '2.18', '1.8.0': '2.19',
  },
  evaluate: (facts) => judgeInForce(mapInForce(option(facts, 'experimental'), (value) => value === true), {
    live: mapObserved(facts.engine.version, ({ experimental }) => experimental),
    outcome: (on) => on ? 'warn' : 'pass',
    says: (on) => on ? 'Experimental features are on' : 'Experimental features are off',
  }),
};
