import { hasSecurityOption } from '../../src/daemon/security-options.ts';
import type { Check } from '../../src/model.ts';
import { judge, pass, DAEMON, unknown, warn } from '../verdict.ts';

export const check: Check<null> = {
  id: 'daemon.rootless',
  title: 'The daemon runs without root',
  rationale: 'A flaw in a rootless daemon, or a way out of one of its containers, yields an ordinary user. Where a workload cannot do '
    + 'without root, waive this.',
  evidence: 'GET /info: SecurityOptions name=rootless',
  passes: 'The engine says that it is rootless.',
  section: 'daemon',
  severity: 'low',
  level: 1,
  cis: { '1.3.1': '2.1', '1.4.0': '2.1', '1.5.0': '2.1', '1.6.0': '2.1', '1.7.0': '2.1', '1.8.0': '2.1' },
  evaluate: (facts) => judge(DAEMON, facts.engine.info, (info) => [
    hasSecurityOption(info, 'rootless') ? pass(DAEMON, 'The daemon is rootless')
      : warn(DAEMON, 'The daemon runs as root: moving to rootless mode means a new data root and new containers', null),
  ], () => [unknown(DAEMON, 'the engine gave no information')]),
};
