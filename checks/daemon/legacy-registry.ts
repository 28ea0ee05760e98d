import { compareEngines } from '../../src/daemon/keys.ts';
import type { Check } from '../../src/model.ts';
import { judgeInForce, mapInForce, option } from '../in-force.ts';
import { DAEMON, judge, na, unknown } from '../verdict.ts';

export const check: Check<null> = {
  id: 'daemon.legacy-registry',
  title: 'The registry protocol v1 is disabled',
  rationale: 'Version 1 of the protocol does not verify what it pulls. Engines from 17.12 on cannot speak it any more.',
  evidence: 'GET /version: Version; daemon.json "disable-legacy-registry", --disable-legacy-registry',
  passes: 'The option is on. It does not apply from Engine 17.12 on.',
  section: 'daemon',
  severity: 'medium',
  level: 1,
  cis: { 'd1.11': '2.13', 'd1.12': '2.13', 'd1.13': '2.13', 'ce1.1.0': '2.13' },
  evaluate: (facts) => judge(DAEMON, facts.engine.version, ({ version }) => {
    const order = compareEngines(version, '17.12');
    if (order === null) return [unknown(DAEMON, `"${version}" is no version of Docker Engine`)];
    if (order >= 0) return [na(DAEMON, `Engine ${version} has no registry protocol v1`)];
    return judgeInForce(mapInForce(option(facts, 'disable-legacy-registry'), (value) => value === true), {
      outcome: (disabled) => disabled ? 'pass' : 'warn',
      says: (disabled) => disabled ? 'The registry protocol v1 is disabled' : 'The engine may fall back to the registry protocol v1',
    });
  }, () => [unknown(DAEMON, 'the engine gave no version')]),
};
