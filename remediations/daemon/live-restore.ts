import { check, inSwarm } from '../../checks/daemon/live-restore.ts';
import { valueOf } from '../../src/model.ts';
import { setKeys } from '../daemon-keys.ts';
import { defer, remedy } from '../remedy.ts';

export const remediation = remedy(check, {
  mode: 'auto',
  effect: 'Containers keep running while the daemon restarts.',
  impact: 'reload',
  risk: 'safe',
  parameters: [],
  propose(_, facts) {
    const info = valueOf(facts.engine.info);
    const cost = { impact: 'reload', risk: 'safe', undo: 'reload' } as const;
    if (info !== undefined && inSwarm(info)) {
      return setKeys(facts, { 'live-restore': false }, { ...cost, note: 'In a swarm the daemon would not start with it.' });
    }
    const { unit } = facts.daemon;
    if (unit.status === 'unreadable') return defer('guard', `Whether systemd would kill the containers with the daemon could not be `
      + `read: ${unit.reason}.`);
    if (unit.status === 'present' && unit.value.killMode !== 'process') {
      return defer('guard', `${unit.value.name} has KillMode=${unit.value.killMode}: systemd may kill containers with the daemon, `
        + `whatever live-restore says.`,
        `KillMode=process in ${unit.value.name} (systemctl edit ${unit.value.name})`);
    }
    return setKeys(facts, { 'live-restore': true }, cost);
  },
});
