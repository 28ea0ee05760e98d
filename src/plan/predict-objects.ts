import { serviceOfTask } from '../container/service.ts';
import { applySpecEdits } from '../container/spec-edit.ts';
import type { Action, ContainerFacts, ContainerRuntime, ContainerSpec, Facts, ObjectChange } from '../model.ts';
import { mapObserved, present, valueOf } from '../model.ts';

const withContainer = (facts: Facts, id: string, change: (container: ContainerFacts) => ContainerFacts): Facts => ({
  ...facts, containers: mapObserved(facts.containers, (containers) => containers.map((container) => container.id === id ? change(container) : container)),
});

/** The ports that a start publishes, as the engine reports them: on every address where none was chosen. */
const publishedBy = ({ network }: ContainerSpec): ContainerRuntime['ports'] => network.ports.flatMap(({ ip, hostPort, containerPort, protocol }) =>
  hostPort.includes('-') ? [] : [{ ip: ip === '' ? '0.0.0.0' : ip, hostPort: Number(hostPort), containerPort, protocol }]);

const networksOf = ({ namespaces: { network }, network: { attachments } }: ContainerSpec): readonly string[] => {
  if (network === 'host' || network === 'none' || network.startsWith('container:')) return [];
  return [...new Set([network === '' || network === 'default' ? 'bridge' : network, ...Object.keys(attachments)])];
};

/**
 * A container that was just started as it is configured: what the kernel holds it to follows from that, nobody is in it, and its health
 * check has passed, since the run watches for that.
 */
function restarted({ inForce, processes, execs, ...container }: ContainerFacts): ContainerFacts {
  const spec = valueOf(container.spec);
  if (spec === undefined) return container;
  const mounted = new Set(spec.mounts.map(({ target }) => target));
  return {
    ...container,
    execs: present([]),
    runtime: mapObserved(container.runtime, ({ applied, ...runtime }) => ({
      ...runtime,
      ports: publishedBy(spec),
      networks: networksOf(spec).map((name) => runtime.networks.find((network) => network.name === name) ?? { name, networkId: '', ip: '', ip6: '' }),
      health: spec.healthcheck === null || spec.healthcheck.test[0] === 'NONE' ? 'none' : 'healthy',
      ...(applied === undefined ? {} : {
        applied: { ...applied, openExecs: 0, mounts: spec.volumesFrom.length > 0 ? applied.mounts : applied.mounts.filter(({ target }) => mounted.has(target)) },
      }),
    })),
  };
}

function afterAction(facts: Facts, action: Action): Facts {
  switch (action.kind) {
    case 'removeGroupMember': return {
      ...facts,
      accounts: mapObserved(facts.accounts, (accounts) => ({
        ...accounts,
        groups: accounts.groups.map((group) => group.name !== action.group ? group : { ...group, members: group.members.filter((member) => member !== action.user) }),
      })),
    };
    case 'updateContainer': case 'createReplacement': return withContainer(facts, action.container, (container) =>
      ({ ...container, spec: mapObserved(container.spec, (spec) => applySpecEdits(spec, action.edits)) }));
    case 'changeComposeProject': return action.services.reduce((seen, { edits, start, containers }) => containers.reduce((current, { id }) => withContainer(current, id, (container) => {
      const edited = { ...container, spec: mapObserved(container.spec, (spec) => applySpecEdits(spec, edits)) };
      return start ? restarted(edited) : edited;
    }), seen), facts);
    case 'startReplacement': return withContainer(facts, action.container, restarted);
    case 'updateService': return {
      ...facts,
      containers: mapObserved(facts.containers, (containers) => containers.map((container) => serviceOfTask(container, facts)?.id !== action.service ? container
        : restarted({ ...container, spec: mapObserved(container.spec, (spec) => applySpecEdits(spec, action.edits)) }))),
    };
    case 'saveLayer': case 'retireContainer': case 'stopContainer': case 'swapContainers': return facts;
    case 'lockSwarm': return facts.swarm === undefined ? facts : { ...facts, swarm: mapObserved(facts.swarm, (swarm) => ({ ...swarm, autoLock: true })) };
    case 'removeContainer': return { ...facts, containers: mapObserved(facts.containers, (containers) => containers.filter(({ id }) => id !== action.container)) };
    case 'removeImage': return { ...facts, images: mapObserved(facts.images, (images) => images.filter(({ id }) => id !== action.image)) };
    case 'setSwarmCertificates': return facts.swarm === undefined ? facts
      : { ...facts, swarm: mapObserved(facts.swarm, (swarm) => ({ ...swarm, nodeCertExpiry: action.nodeCertExpiry })) };
  }
}

/** The facts as they would be once the actions of the changes are done. Pure. */
export const predictObjects = (facts: Facts, changes: readonly ObjectChange[]): Facts =>
  changes.flatMap(({ actions }) => actions).reduce(afterAction, facts);
