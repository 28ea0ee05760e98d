import { check } from '../../checks/daemon/lxc.ts';
import { byHand } from '../by-hand.ts';

export const remediation = byHand(check, {
  effect: 'Containers are started by the engine itself.',
  why: 'An engine this old gets no security fixes.',
  steps: 'Update the engine. Until then remove --exec-driver (-e) from the command line of the daemon and restart it; containers that were made for LXC are created again.',
  impact: 'restart',
});
