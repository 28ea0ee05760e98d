import { check } from '../../checks/daemon/storage-aufs.ts';
import { storageDriverRemediation } from '../storage-driver.ts';

export const remediation = storageDriverRemediation(check);
