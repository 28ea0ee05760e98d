import { check } from '../../checks/daemon/no-tcp.ts';
import { defer, remedy } from '../remedy.ts';

export const remediation = remedy(check, {
  mode: 'manual',
  effect: 'Clients on other hosts reach the API over ssh only.',
  impact: 'restart',
  risk: 'behaviour',
  parameters: [],
  manual: 'See who is connected (ss -tnp state established \'( sport = :2375 or sport = :2376 )\'); give these clients '
    + 'DOCKER_HOST=ssh://USER@HOST; remove the tcp:// listener '
    + '(-H in the unit, "hosts" in daemon.json, or ListenStream of docker.socket); restart the daemon.',
  propose: () => defer('manual', 'Clients that use the address lose the daemon.', 'move them to ssh://, then remove the tcp:// listener '
    + 'and restart the daemon'),
});
