import type { Check } from '../../src/model.ts';
import { storageDriverCheck } from '../storage-driver.ts';

export const check: Check<null> = storageDriverCheck('aufs', {
  id: 'daemon.storage-aufs',
  title: 'The storage driver is not aufs',
  rationale: 'aufs was never part of the Linux kernel, is known for crashes under load, and is gone from Docker since Engine 24.',
  severity: 'medium',
  level: 1,
  cis: {
    'd1.6': '2.7', 'd1.11': '2.5', 'd1.12': '2.5', 'd1.13': '2.5', 'ce1.1.0': '2.5', '1.2.0': '2.5',
    '1.3.1': '2.6', '1.4.0': '2.6', '1.5.0': '2.6', '1.6.0': '2.6', '1.7.0': '2.6', '1.8.0': '2.6',
  },
});
