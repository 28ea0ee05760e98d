import type { Check, Json } from '../../src/model.ts';
import { mapObserved, present } from '../../src/model.ts';
import { judgeInForce, mapInForce, options } from '../in-force.ts';

interface Logging {
  readonly level: string;
  readonly debug: boolean;
}

const logging = (values: Readonly<Record<'log-level' | 'debug', Json>>): Logging => ({
  level: typeof values['log-level'] === 'string' && values['log-level'] !== '' ? values['log-level'].toLowerCase() : 'info',
  debug: values.debug === true,
});

export const check: Check<null> = {
  id: 'daemon.log-level',
  title: 'The daemon logs at level info',
  rationale: 'A higher level leaves out what an investigation needs; debug writes request bodies and floods the log.',
  evidence: 'daemon.json "log-level" and "debug", --log-level, --debug; GET /info: Debug',
  passes: 'The level is info, and debug is off: debug overrides the level.',
  section: 'daemon',
  severity: 'low',
  level: 1,
  cis: {
    'd1.6': '2.3', 'd1.11': '2.2', 'd1.12': '2.2', 'd1.13': '2.2', 'ce1.1.0': '2.2', '1.2.0': '2.2',
    '1.3.1': '2.3', '1.4.0': '2.3', '1.5.0': '2.3', '1.6.0': '2.3', '1.7.0': '2.3', '1.8.0': '2.3',
  },
  evaluate(facts) {
    const configured = mapInForce(options(facts, ['log-level', 'debug']), logging);
    // Debug is reloadable and reported; the level is neither.
    const live = mapObserved(facts.engine.info, ({ debug }) => debug);
    const level = configured.status === 'present' ? mapObserved(configured.value.now, (now) => now.level) : configured;
    return judgeInForce(configured, {
      live: live.status !== 'present' ? live
        : live.value ? present({ level: 'debug', debug: true })
        : level.status === 'present' ? present({ level: level.value, debug: false }) : level,
      outcome: ({ level: value, debug }) => value === 'info' && !debug ? 'pass' : 'warn',
      says: ({ level: value, debug }) => debug ? 'The daemon logs at level debug' : `The daemon logs at level ${value}`,
    });
  },
};
