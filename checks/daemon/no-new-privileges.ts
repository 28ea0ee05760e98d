import { hasSecurityOption } from '../../src/daemon/security-options.ts';
import type { Check } from '../../src/model.ts';
import { mapObserved, present } from '../../src/model.ts';
import { judgeInForce, mapInForce, option } from '../in-force.ts';

export const check: Check<null> = {
  id: 'daemon.no-new-privileges',
  title: 'Processes in new containers gain no privileges',
  rationale: 'A setuid program or file capabilities in an image let a process become more than it was started as; with the option the '
    + 'kernel ignores them.',
  evidence: 'daemon.json "no-new-privileges", --no-new-privileges; GET /info: SecurityOptions name=no-new-privileges, where the engine '
    + 'reports it',
  passes: 'The option is on in the running daemon and for its next start. Containers keep what they were created with.',
  section: 'daemon',
  severity: 'medium',
  level: 1,
  cis: {
    'ce1.1.0': '2.18', '1.2.0': '2.17', '1.3.1': '2.14', '1.4.0': '2.14',
    '1.5.0': '2.14', '1.6.0': '2.14', '1.7.0': '2.14', '1.8.0': '2.15',
  },
  evaluate(facts) {
    const configured = mapInForce(option(facts, 'no-new-privileges'), (value) => value === true);
    const { info } = facts.engine;
    // Engines before 25 may not report it, so only its presence proves something.
    const reported = mapObserved(info, (value) => hasSecurityOption(value, 'no-new-privileges'));
    return judgeInForce(configured, {
      live: reported.status !== 'present' ? reported
        : reported.value ? present(true)
        : configured.status === 'present' ? configured.value.now : configured,
      outcome: (on) => on ? 'pass' : 'warn',
      says: (on) => on ? 'Processes in new containers gain no privileges' : 'Processes in new containers may gain privileges through '
        + 'setuid programs',
    });
  },
};
