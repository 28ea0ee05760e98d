import type { Check } from '../../src/model.ts';
import { judgeInForce, option } from '../in-force.ts';

export const check: Check<null> = {
  id: 'daemon.iptables',
  title: 'The daemon manages its own iptables rules',
  rationale: 'Without them nothing isolates the networks of containers from each other, and options such as "icc" have nothing to work '
    + 'with.',
  evidence: 'daemon.json "iptables", --iptables',
  passes: 'The option is on, which is the default.',
  section: 'daemon',
  severity: 'medium',
  level: 1,
  cis: {
    'd1.6': '2.4', 'd1.11': '2.3', 'd1.12': '2.3', 'd1.13': '2.3', 'ce1.1.0': '2.3', '1.2.0': '2.3',
    '1.3.1': '2.4', '1.4.0': '2.4', '1.5.0': '2.4', '1.6.0': '2.4', '1.7.0': '2.4', '1.8.0': '2.4',
  },
  evaluate: (facts) => judgeInForce(option(facts, 'iptables'), {
    outcome: (value) => value === false ? 'warn' : 'pass',
    says: (value) => value === false ? 'The daemon leaves iptables alone, so networks of containers are not isolated' : 'The daemon '
      + 'manages its iptables rules',
  }),
};
