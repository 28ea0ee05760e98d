import type { Check } from '../../src/model.ts';
import { DAEMON, judge, na, pass, unknown, warn } from '../verdict.ts';

export const check: Check<{ readonly manager: boolean }> = {
  id: 'swarm.disabled',
  title: 'Swarm mode is off where it is not used',
  rationale: 'A node of a swarm listens on more ports and runs what its managers tell it to. One that needs neither should offer neither.',
  evidence: 'GET /info: Swarm.LocalNodeState',
  passes: 'The engine is in no swarm. On a node that is meant to be in one, waive the check.',
  section: 'containers',
  severity: 'medium',
  level: 1,
  cis: {
    'd1.12': '2.15', 'd1.13': '2.15', 'ce1.1.0': '7.1', '1.2.0': '7.1', '1.3.1': '7.1', '1.4.0': '7.1', '1.5.0': '7.1',
    '1.6.0': '5.1', '1.7.0': '5.1', '1.8.0': '5.1',
  },
  evaluate: ({ engine: { info, version } }) => judge(DAEMON, info, ({ swarm: { state, manager } }) => {
    if (state === 'inactive') return [pass(DAEMON, 'The engine is in no swarm')];
    if (state !== '') {
      return [warn(DAEMON, state === 'active' ? `The engine is ${manager ? 'a manager' : 'a worker'} of a swarm` : `The engine is set up for a swarm (${state})`, { manager })];
    }
    return [version.status === 'present' && version.value.platform === 'Podman Engine' ? na(DAEMON, 'Podman has no swarm mode')
      : unknown(DAEMON, 'The engine does not say whether it is in a swarm')];
  }, () => [unknown(DAEMON, 'The engine does not say whether it is in a swarm')]),
};
