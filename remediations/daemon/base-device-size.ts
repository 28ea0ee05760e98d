import { check, setsBaseSize } from '../../checks/daemon/base-device-size.ts';
import { stringList } from '../../src/daemon/registries.ts';
import { valueOf } from '../../src/model.ts';
import { nextValue, setKeys } from '../daemon-keys.ts';
import { remedy } from '../remedy.ts';

export const remediation = remedy(check, {
  mode: 'auto',
  effect: 'New containers get the storage driver\'s own size of root file system.',
  impact: 'restart',
  risk: 'behaviour',
  parameters: [],
  propose(_, facts) {
    const kept = stringList(nextValue(facts, 'storage-opts') ?? null).filter((entry) => !setsBaseSize(entry));
    // Any other driver does not even start with the option.
    const used = valueOf(facts.engine.info)?.storageDriver === 'devicemapper';
    return setKeys(facts, { 'storage-opts': kept.length === 0 ? null : kept }, {
      impact: 'restart', undo: 'restart', risk: used ? 'behaviour' : 'safe', ...(used ? { note: 'New images and containers get 10 GB at '
        + 'most.' } : {}),
    });
  },
});
