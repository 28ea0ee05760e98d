import { check } from '../../checks/daemon/icc.ts';
import { containersOnDefaultBridge, listNames } from '../../src/daemon/containers.ts';
import { setKeys } from '../daemon-keys.ts';
import { remedy } from '../remedy.ts';

export const remediation = remedy(check, {
  mode: 'auto',
  effect: 'Containers on the default bridge stop reaching each other; those that belong together need a network of their own.',
  impact: 'restart',
  risk: 'behaviour',
  parameters: [],
  propose(_, facts) {
    const peers = containersOnDefaultBridge(facts);
    const cost = { impact: 'restart', undo: 'restart' } as const;
    if (peers.status !== 'present') {
      return setKeys(facts, { icc: false }, { ...cost, risk: 'behaviour', note: 'Which containers are on the default bridge could not be '
        + 'read.' });
    }
    return setKeys(facts, { icc: false }, peers.value.length < 2 ? { ...cost, risk: 'safe' }
      : { ...cost, risk: 'behaviour', note: `On the default bridge are ${listNames(peers.value)}: they lose each other.` });
  },
});
