import { check } from '../../checks/daemon/experimental.ts';
import { compareEngines } from '../../src/daemon/keys.ts';
import { valueOf } from '../../src/model.ts';
import { fromPolicy, nextValue, setKeys } from '../daemon-keys.ts';
import { ask, defer, remedy } from '../remedy.ts';

export const remediation = remedy(check, {
  mode: 'choice',
  effect: 'Experimental features, such as docker checkpoint, are gone.',
  impact: 'restart',
  risk: 'behaviour',
  parameters: [{ name: 'experimental', description: 'Set to false to switch experimental features off where they are on',
    example: 'false' }],
  propose(_, facts, { parameters }) {
    // Verified on 20.10.24: "ip6tables rules are only available if experimental features are enabled".
    const before27 = (compareEngines(valueOf(facts.engine.version)?.version ?? '', '27.0') ?? -1) < 0;
    if (before27 && nextValue(facts, 'ip6tables') === true) {
      return defer('guard', 'ip6tables is on, and this engine does not start with it unless experimental features are on.',
        'remove "ip6tables", or update to Engine 27');
    }
    return parameters.experimental !== false
      ? defer('choice', 'Somebody switched experimental features on, and may use one.', '--set experimental=false', [ask('experimental', 'false')])
      : setKeys(facts, { experimental: false }, { impact: 'restart', risk: 'behaviour', undo: 'restart' },
        [fromPolicy('experimental', false)]);
  },
});
