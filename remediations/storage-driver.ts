import type { Check, Remediation } from '../src/model.ts';
import { defer, remedy } from './remedy.ts';

/** A new storage driver starts with an empty store, so the way there is a person's. */
export const storageDriverRemediation = (check: Check<null>): Remediation<null> => remedy(check, {
  mode: 'manual',
  effect: 'The daemon gets another storage driver; images and containers of the old one are out of sight.',
  impact: 'data',
  risk: 'behaviour',
  parameters: [],
  manual: 'Save each image that is in no registry (docker save), commit containers whose own files matter, and copy the volumes; stop '
    + 'the daemon; remove "storage-driver" and the '
    + '"storage-opts" of the old driver from daemon.json, and name no other driver: the engine takes the best that the host supports; '
    + 'start it, load the images, create the '
    + 'containers again. Volumes stay where they are. Remove the old store once all works.',
  propose: () => defer('manual', 'Images and containers of the old storage driver are not visible to another one.',
    `migrate as in "harden explain ${check.id}"`),
});
