import { check } from '../../checks/host/kernel.ts';
import { defer, remedy } from '../remedy.ts';

const STEPS = 'Upgrade to a release of the distribution that is still maintained, and boot its kernel.';

export const kernel = remedy(check, {
  mode: 'manual',
  effect: 'The host boots a kernel that its distribution still maintains.',
  impact: 'restart',
  risk: 'behaviour',
  parameters: [],
  manual: STEPS,
  propose: () => defer('manual', 'A newer kernel comes with a newer release of the distribution, and a reboot.', STEPS),
});
