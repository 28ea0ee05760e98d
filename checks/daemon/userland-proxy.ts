import type { Check } from '../../src/model.ts';
import { judgeInForce, option } from '../in-force.ts';

export const check: Check<null> = {
  id: 'daemon.userland-proxy',
  title: 'Published ports are forwarded by the kernel alone',
  rationale: 'The userland proxy is one more root process per published port, and hides the address of the client; the kernel forwards '
    + 'ports without it.',
  evidence: 'daemon.json "userland-proxy", --userland-proxy',
  passes: 'The option is off in the running daemon and for its next start.',
  section: 'daemon',
  severity: 'low',
  level: 1,
  cis: {
    'd1.12': '2.18', 'd1.13': '2.18', 'ce1.1.0': '2.15', '1.2.0': '2.14', '1.3.1': '2.16',
    '1.4.0': '2.16', '1.5.0': '2.16', '1.6.0': '2.16', '1.7.0': '2.16', '1.8.0': '2.17',
  },
  evaluate: (facts) => judgeInForce(option(facts, 'userland-proxy'), {
    outcome: (value) => value === false ? 'pass' : 'warn',
    says: (value) => value === false ? 'The userland proxy is off' : 'The userland proxy is on',
  }),
};
