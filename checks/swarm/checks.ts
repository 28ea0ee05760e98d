import { secretIn } from '../../src/image/secrets.ts';
import { listNames } from '../../src/daemon/containers.ts';
import type { Check, Facts, SwarmFacts, Target, Verdict } from '../../src/model.ts';
import { ageInDays } from '../age.ts';
import { judge, manual, na, pass, unknown, warn } from '../verdict.ts';
import { judgeNode, judgeSwarm, numbers, SWARM } from './swarm.ts';

const MOST_MANAGERS = 7;
const DAY_NS = 86_400e9;
/** What the engine chooses for certificates of nodes (swarmkit, ca.DefaultNodeCertExpiration). */
const DEFAULT_CERTIFICATE_DAYS = 90;
/** A CA that ends this soon is a matter of now. */
const CA_ENDS_SOON_DAYS = 90;

export const managers: Check<null> = {
  id: 'swarm.managers',
  title: 'The swarm has an odd and small number of managers',
  rationale: 'Every manager holds all secrets of the swarm; an even one adds no fault tolerance, and too many slow it down.',
  evidence: `GET /nodes Spec.Role; policy parameter swarm.managers, otherwise any odd number up to ${MOST_MANAGERS}`,
  passes: 'The number of managers is that of the policy, or odd and at most seven.',
  section: 'swarm',
  severity: 'medium',
  level: 1,
  cis: numbers('7.1', '7.2', { 'd1.12': '2.16', 'd1.13': '2.16' }),
  evaluate: (facts, { parameters }) => judgeSwarm(facts, (swarm) => judge(SWARM, swarm.nodes, (nodes) => {
    const count = nodes.filter(({ role }) => role === 'manager').length;
    if (count === 0) return [unknown(SWARM, 'The list of nodes names no manager')];
    const wanted = parameters.swarm?.managers;
    const says = `The swarm has ${count} ${count === 1 ? 'manager' : 'managers'}`;
    if (wanted !== undefined) return [count === wanted ? pass(SWARM, says) : warn(SWARM, `${says}; the policy says ${wanted}`, null)];
    if (count % 2 === 0) return [warn(SWARM, `${says}: an even number tolerates no more failures than one less`, null)];
    return [count > MOST_MANAGERS ? warn(SWARM, `${says}; more than ${MOST_MANAGERS} only slow it down`, null) : pass(SWARM, says)];
  }, () => [unknown(SWARM, 'The nodes of the swarm are not known')])),
};

/** ADDRESS:PORT, [ADDRESS]:PORT or an address alone. */
const hostOf = (address: string): string => /^\[(.*)\](?::\d+)?$/u.exec(address)?.[1] ?? (address.split(':').length === 2 ? (address.split(':')[0] ?? '') : address);
const isWildcard = (address: string): boolean => ['', '0.0.0.0', '::', '*'].includes(hostOf(address));

export const listenAddress: Check<null> = {
  id: 'swarm.listen-addr',
  title: 'The swarm listens on one address only',
  rationale: 'A port of the management plane that is open on every interface can be reached by whoever reaches any of them.',
  evidence: 'DATA/swarm/docker-state.json ListenAddr, which docker swarm init and join write; firewalls are not seen',
  passes: 'The listening address is not a wildcard.',
  section: 'swarm',
  severity: 'medium',
  level: 1,
  cis: numbers('7.2', '7.3', { 'd1.12': '2.17', 'd1.13': '2.17' }),
  evaluate: (facts) => judgeNode(facts, ({ listenAddress: address }) => [isWildcard(address)
    ? warn(SWARM, `The swarm listens on all addresses (${address === '' ? 'nothing was said' : address})`, null)
    : pass(SWARM, `The swarm listens on ${address}`)]),
};

const NETWORKS: Target = { kind: 'network', name: 'overlay networks', id: 'overlay' };

export const overlayEncryption: Check<null> = {
  id: 'swarm.overlay-encryption',
  title: 'Overlay networks are encrypted',
  rationale: 'Traffic between containers on two hosts crosses the network of the hosts, readable for everybody on it.',
  evidence: 'GET /networks: driver overlay, option encrypted; the ingress network counts as well',
  passes: 'Every overlay network has the option encrypted.',
  section: 'swarm',
  severity: 'medium',
  level: 1,
  cis: numbers('7.3', '7.4', { 'd1.13': '2.19' }),
  evaluate: (facts: Facts) => judgeSwarm(facts, (): readonly Verdict<null>[] => judge(NETWORKS, facts.networks, (networks) => {
    const overlays = networks.filter(({ driver }) => driver === 'overlay');
    if (overlays.length === 0) return [na(NETWORKS, 'There are no overlay networks')];
    return overlays.map(({ id, name, options }) => {
      const target: Target = { kind: 'network', name, id };
      const encrypted = Object.hasOwn(options, 'encrypted') ? options['encrypted'] : undefined;
      return encrypted === '' || encrypted === 'true' ? pass(target, 'Traffic between hosts is encrypted') : warn(target, 'Traffic between hosts is not encrypted', null);
    });
  }, () => [unknown(NETWORKS, 'The networks of the engine are not known')])),
};

export const secrets: Check<null> = {
  id: 'swarm.secrets',
  title: 'Services get secrets as swarm secrets, not as environment variables',
  rationale: 'Environment variables of a service are readable in its definition and in every task; swarm secrets are encrypted and only in memory of the tasks.',
  evidence: 'GET /services Spec.TaskTemplate.ContainerSpec.Env and Secrets, by the names and shapes that image.no-secrets knows; values are never shown',
  passes: 'No environment variable of a service sounds or looks like a secret.',
  section: 'swarm',
  severity: 'high',
  level: 1,
  cis: numbers('7.4', '7.5', { 'd1.13': '2.22' }),
  evaluate: (facts, { parameters: { images } }) => judgeSwarm(facts, (swarm) => judge(SWARM, swarm.services, (services) => {
    if (services.length === 0) return [na(SWARM, 'The swarm has no services')];
    return services.map(({ id, name, env, secrets: used }) => {
      const target: Target = { kind: 'swarm', name: `service ${name}`, id };
      const found = env.flatMap((entry) => secretIn(entry, images?.publicNames) ?? []);
      return found.length > 0 ? warn(target, `What sounds or looks like a secret is in its environment: ${listNames(found)}`, null)
        : pass(target, used.length === 0 ? 'Nothing in its environment sounds or looks like a secret' : `It uses ${used.length} swarm ${used.length === 1 ? 'secret' : 'secrets'}`);
    });
  }, () => [unknown(SWARM, 'The services of the swarm are not known')])),
};

export const autolock: Check<null> = {
  id: 'swarm.autolock',
  title: 'Managers are locked after a restart',
  rationale: 'Without a lock the key of the swarm\'s store lies beside it on the disk of every manager: whoever gets a disk or a backup has all secrets.',
  evidence: 'GET /swarm Spec.EncryptionConfig.AutoLockManagers',
  passes: 'Autolock is on.',
  section: 'swarm',
  severity: 'medium',
  level: 1,
  cis: numbers('7.5', '7.6', { 'd1.13': '2.23' }),
  evaluate: (facts) => judgeSwarm(facts, ({ autoLock }) => {
    if (autoLock === true) return [pass(SWARM, 'Managers are locked after a restart')];
    return [autoLock === false ? warn(SWARM, 'Managers unlock themselves after a restart', null) : unknown(SWARM, 'The engine does not say whether managers are locked')];
  }),
};

export const autolockRotation: Check<never> = {
  id: 'swarm.autolock-rotate',
  title: 'The unlock key is rotated regularly',
  rationale: 'Everybody who has once unlocked a manager knows the key.',
  evidence: 'GET /swarm: only whether there is a key; the engine does not say since when',
  passes: 'Never by itself: a person keeps track of when the key was rotated.',
  section: 'swarm',
  severity: 'low',
  level: 1,
  cis: numbers('7.6', '7.7', { 'd1.13': '2.24' }),
  evaluate: (facts) => judgeSwarm(facts, ({ autoLock }) => {
    if (autoLock === true) return [manual(SWARM, 'See when the unlock key was rotated: the engine does not say')];
    return [autoLock === false ? na(SWARM, 'Autolock is off: there is no unlock key') : unknown(SWARM, 'The engine does not say whether managers are locked')];
  }),
};

export const nodeCertificates: Check<null> = {
  id: 'swarm.node-cert-expiry',
  title: 'Certificates of nodes have a short lifetime that somebody chose',
  rationale: 'A node\'s certificate that was stolen lets its holder join in until it expires.',
  evidence: `GET /swarm Spec.CAConfig.NodeCertExpiry; policy parameter swarm.certificateDays, otherwise less than the engine's default of ${DEFAULT_CERTIFICATE_DAYS} days`,
  passes: 'The lifetime is at most swarm.certificateDays, or shorter than the default.',
  section: 'swarm',
  severity: 'low',
  level: 1,
  cis: numbers('7.7', '7.8'),
  evaluate: (facts, { parameters }) => judgeSwarm(facts, ({ nodeCertExpiry }) => {
    if (nodeCertExpiry === null || !(nodeCertExpiry > 0)) return [unknown(SWARM, 'The engine does not say how long certificates of nodes live')];
    const days = Math.round((nodeCertExpiry / DAY_NS) * 10) / 10;
    const says = `Certificates of nodes live for ${days} days`;
    const limit = parameters.swarm?.certificateDays;
    if (limit !== undefined) return [days <= limit ? pass(SWARM, says) : warn(SWARM, `${says}; ${limit} are allowed`, null)];
    return [days < DEFAULT_CERTIFICATE_DAYS ? pass(SWARM, says) : warn(SWARM, `${says}${days === DEFAULT_CERTIFICATE_DAYS ? ', which is the engine\'s default' : ''}`, null)];
  }),
};

function judgeCa({ ca, rootRotationInProgress }: SwarmFacts, now: string, limit: number | undefined): readonly Verdict<null>[] {
  return judge(SWARM, ca, ({ notBefore, notAfter }) => {
    const left = ageInDays(now, notAfter);
    const age = ageInDays(notBefore, now);
    if (left === null || age === null) return [unknown(SWARM, 'The dates of the root CA cannot be read')];
    if (left < 0) return [warn(SWARM, `The root CA expired on ${notAfter.slice(0, 10)}`, null)];
    if (left < CA_ENDS_SOON_DAYS) return [warn(SWARM, `The root CA expires in ${left} days, on ${notAfter.slice(0, 10)}`, null)];
    if (rootRotationInProgress) return [manual(SWARM, 'A rotation of the root CA is in progress: see that it ends')];
    if (limit === undefined) return [manual(SWARM, `The root CA is ${age} days old, and nobody said how old it may be`)];
    return [age > limit ? warn(SWARM, `The root CA is ${age} days old; ${limit} are allowed`, null) : pass(SWARM, `The root CA is ${age} days old`)];
  }, () => [unknown(SWARM, 'The root CA of the swarm is not known')]);
}

export const caRotation: Check<null> = {
  id: 'swarm.ca-rotate',
  title: 'The root CA of the swarm is rotated',
  rationale: 'Whoever once had the key of the CA can make nodes of the swarm until it is replaced.',
  evidence: `GET /swarm TLSInfo.TrustRoot: dates of the certificate; policy parameter swarm.rootCaDays. One that ends within ${CA_ENDS_SOON_DAYS} days warns in any case`,
  passes: 'The certificate of the CA is not older than swarm.rootCaDays.',
  section: 'swarm',
  severity: 'medium',
  level: 1,
  cis: numbers('7.8', '7.9'),
  evaluate: (facts, { parameters }) => judgeSwarm(facts, (swarm) => judgeCa(swarm, facts.collectedAt, parameters.swarm?.rootCaDays)),
};

export const dataPath: Check<null> = {
  id: 'swarm.data-path',
  title: 'Traffic of containers and of the swarm\'s management use separate addresses',
  rationale: 'On one network, whoever floods or listens to the traffic of containers reaches the management plane as well.',
  evidence: 'DATA/swarm/docker-state.json DataPathAddr and AdvertiseAddr, which docker swarm init and join write',
  passes: 'A data path address was given, and it is not the advertised one.',
  section: 'swarm',
  severity: 'low',
  level: 1,
  cis: numbers('7.9', '7.10'),
  evaluate: (facts) => judgeNode(facts, ({ dataPathAddress, advertiseAddress }) => {
    if (dataPathAddress === '') return [warn(SWARM, 'No data path address was given: both kinds of traffic use one address', null)];
    return [hostOf(dataPathAddress) === hostOf(advertiseAddress) ? warn(SWARM, `Both kinds of traffic use ${dataPathAddress}`, null)
      : pass(SWARM, `Traffic of containers uses ${dataPathAddress}, management ${advertiseAddress}`)];
  }),
};

/** Section 7, in the order of the newest edition. */
export const swarmChecks: readonly Check[] = [
  managers, listenAddress, overlayEncryption, secrets, autolock, autolockRotation, nodeCertificates, caRotation, dataPath,
];
