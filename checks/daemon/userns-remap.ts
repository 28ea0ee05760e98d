import { hasSecurityOption } from '../../src/daemon/security-options.ts';
import type { Check } from '../../src/model.ts';
import { mapObserved } from '../../src/model.ts';
import { judgeInForce, mapInForce, option } from '../in-force.ts';
import { DAEMON, pass } from '../verdict.ts';

export const check: Check<null> = {
  id: 'daemon.userns-remap',
  title: 'Root in a container is an ordinary user of the host',
  rationale: 'With user namespace remapping, a process that breaks out of its container as root arrives as a user without any rights.',
  evidence: 'GET /info: SecurityOptions name=userns or name=rootless; daemon.json "userns-remap", --userns-remap',
  passes: 'The running daemon remaps users and will after its next start, or it runs rootless.',
  section: 'daemon',
  severity: 'medium',
  level: 2,
  cis: {
    'd1.11': '2.8', 'd1.12': '2.8', 'd1.13': '2.8', 'ce1.1.0': '2.8', '1.2.0': '2.8', '1.3.1': '2.9',
    '1.4.0': '2.9', '1.5.0': '2.9', '1.6.0': '2.9', '1.7.0': '2.9', '1.8.0': '2.10',
  },
  evaluate(facts) {
    const { info } = facts.engine;
    if (info.status === 'present' && hasSecurityOption(info.value, 'rootless')) return [pass(DAEMON,
      'The daemon is rootless: all containers are in its user namespace')];
    return judgeInForce(mapInForce(option(facts, 'userns-remap'), (value) => typeof value === 'string' && value !== ''), {
      live: mapObserved(info, (value) => hasSecurityOption(value, 'userns')),
      outcome: (remapped) => remapped ? 'pass' : 'warn',
      says: (remapped) => remapped ? 'Users of containers are remapped' : 'Root in a container is root on the host',
    });
  },
};
