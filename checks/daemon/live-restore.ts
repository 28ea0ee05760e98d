import type { Check, EngineInfo } from '../../src/model.ts';
import { present, unreadable } from '../../src/model.ts';
import { judgeInForce, mapInForce, option, RELOAD } from '../in-force.ts';
import { DAEMON, na, unknown, warn } from '../verdict.ts';

/** Swarm state on disk keeps a daemon with live-restore from starting, whatever the node's role. */
export const inSwarm = ({ swarm }: EngineInfo): boolean => swarm.state !== '' && swarm.state !== 'inactive';

export const check: Check<null> = {
  id: 'daemon.live-restore',
  title: 'Containers keep running while the daemon is down',
  rationale: 'Without it every update or crash of the daemon stops all containers, so updates are put off. Swarm restarts its tasks '
    + 'elsewhere and excludes it.',
  evidence: 'GET /info: LiveRestoreEnabled; daemon.json "live-restore", --live-restore',
  passes: 'It is on in the running daemon and for its next start. It does not apply in a swarm.',
  section: 'daemon',
  severity: 'medium',
  level: 1,
  cis: {
    'd1.12': '2.14', 'd1.13': '2.14', 'ce1.1.0': '2.14', '1.2.0': '2.13', '1.3.1': '2.15',
    '1.4.0': '2.15', '1.5.0': '2.15', '1.6.0': '2.15', '1.7.0': '2.15', '1.8.0': '2.16',
  },
  evaluate(facts) {
    const { info } = facts.engine;
    const configured = mapInForce(option(facts, 'live-restore'), (value) => value === true);
    if (info.status === 'present' && inSwarm(info.value)) {
      if (configured.status !== 'present') return [unknown(DAEMON, configured.status === 'unreadable' ? configured.reason : 'the '
        + 'configuration of the daemon was not read')];
      return configured.value.next
        ? [warn(DAEMON, 'The node is in a swarm and live-restore is configured: the next start of the daemon will fail', null)]
        : [na(DAEMON, 'The node is in a swarm, which excludes live-restore')];
    }
    return judgeInForce(configured, {
      live: info.status !== 'present' ? info
        : info.value.liveRestore === null ? unreadable('the engine does not report live-restore') : present(info.value.liveRestore),
      outcome: (on) => on ? 'pass' : 'warn',
      says: (on) => on ? 'Containers keep running while the daemon is down' : 'Containers stop when the daemon stops',
      waitsFor: RELOAD,
    });
  },
};
