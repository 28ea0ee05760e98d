import { applySpecEdits } from '../container/spec-edit.ts';
import type { Action, ContainerFacts, Facts, ObjectChange } from '../model.ts';
import { mapObserved } from '../model.ts';

const withContainer = (facts: Facts, id: string, change: (container: ContainerFacts) => ContainerFacts): Facts => ({
  ...facts, containers: mapObserved(facts.containers, (containers) => containers.map((container) => container.id === id ? change(container) : container)),
});

/** A container that was just started: what the engine applies follows what was asked for, and nobody is in it. */
const restarted = (container: ContainerFacts): ContainerFacts => container;

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
    case 'startReplacement': return withContainer(facts, action.container, restarted);
    case 'retireContainer': case 'stopContainer': case 'swapContainers': return facts;
    case 'setSwarmCertificates': return facts.swarm === undefined ? facts
      : { ...facts, swarm: mapObserved(facts.swarm, (swarm) => ({ ...swarm, nodeCertExpiry: action.nodeCertExpiry })) };
  }
}

/** The facts as they would be once the actions of the changes are done. Pure. */
export const predictObjects = (facts: Facts, changes: readonly ObjectChange[]): Facts =>
  changes.flatMap(({ actions }) => actions).reduce(afterAction, facts);
