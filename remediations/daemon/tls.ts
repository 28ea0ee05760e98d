import { check } from '../../checks/daemon/tls.ts';
import { defer, remedy } from '../remedy.ts';

export const remediation = remedy(check, {
  mode: 'manual',
  effect: 'Only clients with a certificate of your CA reach the API over TCP.',
  impact: 'restart',
  risk: 'behaviour',
  parameters: [],
  manual: 'Best: remove the tcp:// listener (-H or "hosts", or ListenStream of docker.socket) and use DOCKER_HOST=ssh://USER@HOST. '
    + 'Otherwise: make a CA, a server certificate for each name '
    + 'and address of this host, and one client certificate per client; put ca.pem, server-cert.pem (0444) and server-key.pem (0400) '
    + 'into /etc/docker/tls; write '
    + '"tlsverify": true, "tlscacert": "/etc/docker/tls/ca.pem", "tlscert": "/etc/docker/tls/server-cert.pem", "tlskey": '
    + '"/etc/docker/tls/server-key.pem" into daemon.json; '
    + 'change the port to 2376; restart the daemon. Who is connected now: ss -tnp state established \'( sport = :2375 )\'.',
  propose: () => defer('manual', 'Every client needs a certificate, which only you can hand out; until then whoever reaches the address '
    + 'is root here.',
    'remove the tcp:// listener and use ssh://, or follow "harden explain daemon.tls"'),
});
