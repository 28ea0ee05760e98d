import { check } from '../../checks/host/partition.ts';
import { defer, remedy } from '../remedy.ts';

const steps = (dataRoot: string): string => [
  `1. Make a file system on a volume of its own, with room for what \`du -sx ${dataRoot}\` shows and for growth.`,
  '2. Stop what uses it: `systemctl stop docker.socket docker.service containerd.service`. Every container stops.',
  `3. Mount it elsewhere, say at /mnt, and copy: \`cp -a --sparse=always ${dataRoot}/. /mnt/\`. Keep the old tree until all is proven.`,
  `4. \`umount /mnt\`, move the old tree aside, make an empty ${dataRoot} (0710 root:root), and add the volume to /etc/fstab with ${dataRoot} as its mount point.`,
  `5. \`systemctl daemon-reload && mount ${dataRoot}\`, then \`systemctl start containerd.service docker.socket docker.service\`, and see that containers and volumes are there.`,
].join('\n');

export const partition = remedy(check, {
  mode: 'manual',
  effect: 'Docker can no longer fill the file system of the host; every container is down while its data is moved.',
  impact: 'data',
  risk: 'behaviour',
  parameters: [],
  manual: steps('/var/lib/docker'),
  propose: ({ detail: { dataRoot } }) => defer('manual', 'Moving the data root takes a volume that only the host\'s owner can provide.', steps(dataRoot)),
});
