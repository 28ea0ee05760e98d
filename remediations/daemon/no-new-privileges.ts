import { check } from '../../checks/daemon/no-new-privileges.ts';
import { setKeys } from '../daemon-keys.ts';
import { remedy } from '../remedy.ts';

export const remediation = remedy(check, {
  mode: 'auto',
  effect: 'In containers created from then on, setuid programs and file capabilities have no effect.',
  impact: 'restart',
  risk: 'behaviour',
  parameters: [],
  propose: (_, facts) => setKeys(facts, { 'no-new-privileges': true }, {
    impact: 'restart', risk: 'behaviour', undo: 'restart',
    note: 'Existing containers keep what they have; once recreated, those whose entry point needs sudo, su or another setuid program '
      + 'fail, unless they set no-new-privileges=false.',
  }),
});
