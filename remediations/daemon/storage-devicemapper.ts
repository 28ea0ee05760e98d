import { check } from '../../checks/daemon/storage-devicemapper.ts';
import { storageDriverRemediation } from '../storage-driver.ts';

export const remediation = storageDriverRemediation(check);
