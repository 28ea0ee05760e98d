import { listNames } from '../../src/daemon/containers.ts';
import type { Check } from '../../src/model.ts';
import { exposure } from '../exposure.ts';
import { judgeInForce } from '../in-force.ts';

export const check: Check<null> = {
  id: 'daemon.no-tcp',
  title: 'The API is served on unix sockets alone',
  rationale: 'A unix socket has an owner and a mode; an address on the network has neither. Remote use works over ssh:// without a '
    + 'listener.',
  evidence: 'daemon.json "hosts" and -H; ListenStream of docker.socket',
  passes: 'Neither the running daemon nor its next start listens on TCP.',
  section: 'daemon',
  severity: 'medium',
  level: 1,
  cis: { 'd1.6': '2.8' },
  evaluate: (facts) => judgeInForce(exposure(facts), {
    outcome: ({ tcp }) => tcp.length === 0 ? 'pass' : 'warn',
    says: ({ tcp }) => tcp.length === 0 ? 'The API is not served on TCP' : `The API is served on ${listNames(tcp)}`,
  }),
};
