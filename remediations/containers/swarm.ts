import { check } from '../../checks/containers/swarm.ts';
import { defer, remedy } from '../remedy.ts';

export const remediation = remedy(check, {
  mode: 'manual',
  effect: 'The engine leaves the swarm; its tasks stop, and with the last manager all services, overlay networks, secrets and configs are gone.',
  impact: 'data',
  risk: 'irreversible',
  parameters: [],
  manual: 'A worker: docker node update --availability drain NODE (on a manager), then docker swarm leave. A manager: docker node demote NODE first, '
    + 'as long as others keep the majority. The last manager, when nothing is needed any more: docker swarm leave --force. A swarm that is meant: waive the check.',
  propose: ({ detail: { manager } }) => defer('manual', 'Leaving a swarm ends what runs in it, and cannot be undone; whether this one is used, only a person can say.',
    `where the swarm is meant, waive swarm.disabled; otherwise ${manager ? 'docker node demote this node, unless it is the last manager, ' : 'drain this node '}and docker swarm leave${manager ? ' (--force on the last manager)' : ''}`),
});
