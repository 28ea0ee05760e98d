import {
  autolock, autolockRotation, caRotation, dataPath, listenAddress, managers, nodeCertificates, overlayEncryption, secrets,
} from '../../checks/swarm/checks.ts';
import type { Remediation } from '../../src/model.ts';
import { absent, valueOf } from '../../src/model.ts';
import { byHand } from '../by-hand.ts';
import { ask, defer, edits, remedy } from '../remedy.ts';

const JOINED = 'Addresses are fixed when a node joins; leaving and joining again moves its tasks.';
const REJOIN = 'One node at a time, a manager last: docker node update --availability drain NODE; docker node demote NODE for a manager; on the node docker swarm leave; on a manager docker node rm NODE; '
  + 'then join again with the options below, and promote it. With one node only, docker swarm leave --force loses services, networks, secrets and configs: note them first.';

const DAY_NS = 86_400_000_000_000;

const certificateLifetime = remedy(nodeCertificates, {
  mode: 'choice',
  effect: 'Nodes renew their certificates more often, by themselves. A node that is off for longer than the lifetime has to join again.',
  impact: 'none',
  risk: 'behaviour',
  parameters: [{ name: 'swarm.certificateDays', description: 'The longest lifetime of a node\'s certificate', example: '30' }],
  manual: 'docker swarm update --cert-expiry 720h (30 days).',
  propose(_finding, _facts, { parameters: { swarm } }) {
    const days = swarm?.certificateDays;
    if (days === undefined) {
      return defer('choice', 'A node that is off for longer than the lifetime has to join again: how long that may be is for the owner to say.',
        'the parameter swarm.certificateDays (--set swarm.certificateDays=30)', [ask('swarm.certificateDays', '30', 'The default of the engine is 90 days')]);
    }
    return edits(
      [{ kind: 'swarmCertificates', nodeCertExpiry: days * DAY_NS, impact: 'none', risk: 'behaviour', undo: 'none' }],
      [{ name: 'swarm.certificateDays', value: days, source: 'policy', evidence: 'GET /swarm Spec.CAConfig.NodeCertExpiry' }],
    );
  },
});

const LOCK_STEPS = 'On a manager: docker swarm update --autolock=true prints the key. Keep it outside of the swarm, in two places, before any daemon restarts (docker swarm unlock-key shows it again as long as '
  + 'a manager is unlocked). After a restart: docker swarm unlock.';

const lockManagers = remedy(autolock, {
  mode: 'choice',
  effect: 'After each restart of its daemon a manager waits for docker swarm unlock. The unlock key is written once, to a new file that only root can read: carry it off this host and keep it in two places, since a '
    + 'restarted manager is lost without it, and a key beside what it locks protects nothing.',
  impact: 'none',
  risk: 'behaviour',
  parameters: [{ name: 'swarm.unlockKeyFile', description: 'The new file for the unlock key, in a directory that only root can write to. Set it when somebody will carry the key off this host and keep it', example: '/root/swarm-unlock-key' }],
  manual: LOCK_STEPS,
  propose(_finding, facts, { parameters: { swarm } }) {
    const keyFile = swarm?.unlockKeyFile;
    if (keyFile === undefined) {
      return defer('choice', 'Without the unlock key a restarted manager is lost: somebody has to keep it.',
        `once it is settled who keeps the key, the parameter swarm.unlockKeyFile (--set swarm.unlockKeyFile=/root/swarm-unlock-key), and the key goes into that new file; or by hand: ${LOCK_STEPS}`, [ask('swarm.unlockKeyFile', '/root/swarm-unlock-key', 'Give it only if somebody will carry the key off this host and keep it')]);
    }
    const nodes = valueOf(valueOf(facts.swarm ?? absent)?.nodes ?? absent) ?? [];
    const only = nodes.filter(({ role }) => role === 'manager').length === 1;
    return edits([{
      kind: 'swarmAutolock', keyFile, impact: 'none', risk: 'behaviour', undo: 'none',
      ...(only && { note: 'It is the only manager: from a restart until it is unlocked, services do not run here and the swarm cannot be managed.' }),
    }], [{ name: 'swarm.unlockKeyFile', value: keyFile, source: 'policy', evidence: 'GET /swarm Spec.EncryptionConfig.AutoLockManagers' }]);
  },
});

/** Section 7, in the order of its checks. */
export const swarmRemediations: readonly Remediation[] = [
  byHand(managers, {
    effect: 'The swarm decides by an odd number of managers.',
    why: 'Which node is to be a manager is for the owner of the swarm to say.',
    steps: 'docker node ls shows the managers. docker node demote NODE makes one a worker, docker node promote NODE a worker a manager; three tolerate the loss of one, five of two. '
      + 'Never demote so many that the rest is no majority.',
    parameters: [{ name: 'swarm.managers', description: 'How many managers the swarm is to have', example: '3' }],
  }),
  byHand(listenAddress, {
    effect: 'The ports of the swarm are open on one network only.',
    why: JOINED,
    steps: `${REJOIN} Options: --listen-addr ADDRESS:2377 --advertise-addr ADDRESS. Until then let a firewall accept 2377/tcp, 7946/tcp, 7946/udp and 4789/udp from nodes only.`,
    impact: 'recreate',
  }),
  byHand(overlayEncryption, {
    effect: 'Traffic between containers on different hosts is encrypted, at some cost in throughput.',
    why: 'The option of a network cannot be changed: services have to move to another one.',
    steps: 'docker network create -d overlay --opt encrypted NEW; docker service update --network-add NEW --network-rm OLD SERVICE for each service; docker network rm OLD. For ingress: remove services with '
      + 'published ports, docker network rm ingress, docker network create -d overlay --ingress --opt encrypted ingress, create the services again. Nodes need protocol 50 (ESP) open between them.',
    impact: 'recreate',
  }),
  byHand(secrets, {
    effect: 'Tasks read the secret from a file in memory.',
    why: 'The program has to read the secret from a file, and the known value has to be replaced.',
    steps: 'Replace the secret where it is valid. docker secret create NAME - <file; docker service update --secret-add NAME --env-rm VARIABLE --env-add VARIABLE_FILE=/run/secrets/NAME SERVICE, '
      + 'where the program knows such a variable. If a name only sounds like a secret, add it to images.publicNames.',
    impact: 'recreate',
    parameters: [{ name: 'images.publicNames', description: 'Names of variables and build arguments that hold no secret', example: '[PASSWORD_HASH_ROUNDS]' }],
  }),
  lockManagers,
  byHand(autolockRotation, {
    effect: 'A key that somebody once knew is worth nothing.',
    why: 'The new key has to be kept by somebody.',
    steps: 'docker swarm unlock-key --rotate prints the new key. Keep it beside the old one until every manager has it, and note the date.',
  }),
  certificateLifetime,
  byHand(caRotation, {
    effect: 'The swarm has a new root CA, and every node a certificate of it.',
    why: 'All nodes have to be reachable, and whatever pins the old CA stops to work.',
    steps: 'docker node ls: all nodes are Ready. docker swarm ca --rotate replaces CA and certificates node by node; wait until it ends. Then note new join tokens (docker swarm join-token worker).',
    parameters: [{ name: 'swarm.rootCaDays', description: 'The greatest age of the root CA', example: '365' }],
  }),
  byHand(dataPath, {
    effect: 'Traffic of containers has a network of its own.',
    why: JOINED,
    steps: `${REJOIN} Options: --data-path-addr ADDRESS of the interface for containers, --advertise-addr ADDRESS of the one for management.`,
    impact: 'recreate',
  }),
];
