import { listNames } from '../../src/daemon/containers.ts';
import type { Check } from '../../src/model.ts';
import { exposure } from '../exposure.ts';
import { judgeInForce } from '../in-force.ts';

export const check: Check<null> = {
  id: 'daemon.tls',
  title: 'The API on TCP asks every client for a certificate',
  rationale: 'Whoever reaches the API is root on this host. A loopback address is no protection: containers on the host network and '
    + 'every local user reach it.',
  evidence: 'daemon.json "hosts", "tls", "tlsverify" and the flags -H, --tls, --tlsverify; ListenStream of docker.socket',
  passes: 'Nothing listens on TCP (does not apply), or "tlsverify" is on.',
  section: 'daemon',
  severity: 'high',
  level: 1,
  cis: {
    'd1.6': '2.9', 'd1.11': '2.6', 'd1.12': '2.6', 'd1.13': '2.6', 'ce1.1.0': '2.6', '1.2.0': '2.6',
    '1.3.1': '2.7', '1.4.0': '2.7', '1.5.0': '2.7', '1.6.0': '2.7', '1.7.0': '2.7', '1.8.0': '2.8',
  },
  evaluate: (facts) => judgeInForce(exposure(facts), {
    outcome: ({ tcp, verified }) => tcp.length === 0 ? 'na' : verified ? 'pass' : 'warn',
    says: ({ tcp, verified }) => tcp.length === 0 ? 'The API is not served on TCP'
      : `The API is served on ${listNames(tcp)}, ${verified ? 'to clients with a certificate' : 'and clients need no certificate'}`,
  }),
};
