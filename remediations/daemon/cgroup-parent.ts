import { check } from '../../checks/daemon/cgroup-parent.ts';
import { fromPolicy, setKeys } from '../daemon-keys.ts';
import { ask, defer, remedy } from '../remedy.ts';

export const remediation = remedy(check, {
  mode: 'choice',
  effect: 'Containers start in another cgroup, and are under its limits instead.',
  impact: 'restart',
  risk: 'behaviour',
  parameters: [{ name: 'cgroupParent', description: 'The parent cgroup that you approve of', example: 'containers.slice' }],
  manual: 'Look at the limits of the cgroup (systemctl show NAME.slice). If it is meant, approve of it with cgroupParent; if not, remove '
    + '"cgroup-parent" and restart the daemon.',
  propose: (_, facts, { parameters: { cgroupParent } }) => cgroupParent === undefined
    ? defer('choice', 'Somebody chose this cgroup, and may rely on its limits.', 'cgroupParent in the policy approves of it; or remove '
      + '"cgroup-parent" and restart the daemon', [ask('cgroupParent', null, 'The cgroup that you approve of')])
    : setKeys(facts, { 'cgroup-parent': cgroupParent }, {
      impact: 'restart', risk: 'behaviour', undo: 'restart', note: `Each container moves to ${cgroupParent} when it next starts.`,
    }, [fromPolicy('cgroupParent', cgroupParent)]),
});
