import type { Check } from '../../src/model.ts';
import { storageDriverCheck } from '../storage-driver.ts';

export const check: Check<null> = storageDriverCheck('devicemapper', {
  id: 'daemon.storage-devicemapper',
  title: 'The storage driver is not devicemapper',
  rationale: 'devicemapper gets no more fixes: it is off by default since Engine 23 and gone since Engine 25, so a host that uses it '
    + 'cannot be updated.',
  severity: 'medium',
  level: 1,
  cis: { '1.8.0': '2.7' },
});
