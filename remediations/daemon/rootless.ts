import { check } from '../../checks/daemon/rootless.ts';
import { defer, remedy } from '../remedy.ts';

export const remediation = remedy(check, {
  mode: 'manual',
  effect: 'The daemon and its containers run as an ordinary user, with a data root, a configuration and a socket of that user.',
  impact: 'data',
  risk: 'behaviour',
  parameters: [],
  manual: 'Install uidmap and dbus-user-session; give the user at least 65536 ids in /etc/subuid and /etc/subgid; stop the daemon '
    + '(systemctl disable --now docker.service docker.socket); '
    + 'as that user run dockerd-rootless-setuptool.sh install; run loginctl enable-linger USER; move images and volumes over and create '
    + 'the containers again. '
    + 'Ports below 1024, AppArmor, overlay networks and --network host work differently or not at all.',
  propose: () => defer('manual', 'Rootless mode is a new installation: images, volumes and containers have to be moved, and not every '
    + 'workload runs in it.',
    'follow "harden explain daemon.rootless", or waive it where a workload needs root'),
});
