import { check } from '../../checks/daemon/legacy-registry.ts';
import { defer, remedy } from '../remedy.ts';

export const remediation = remedy(check, {
  mode: 'manual',
  effect: 'Images of a registry that speaks only version 1 can no longer be pulled.',
  impact: 'restart',
  risk: 'behaviour',
  parameters: [],
  manual: 'Update the engine: it gets no security fixes any more. Until then, write "disable-legacy-registry": true into daemon.json and '
    + 'restart the daemon; remove the key before the update, '
    + 'because Engine 17.12 and newer do not start with it.',
  propose: () => defer('manual', 'An engine this old gets no security fixes, and the option would keep a newer one from starting.',
    'update the engine'),
});
