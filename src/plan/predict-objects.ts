import type { Action, Facts, ObjectChange } from '../model.ts';
import { mapObserved } from '../model.ts';

function afterAction(facts: Facts, action: Action): Facts {
  switch (action.kind) {
    case 'removeGroupMember': return {
      ...facts,
      accounts: mapObserved(facts.accounts, (accounts) => ({
        ...accounts,
        groups: accounts.groups.map((group) => group.name !== action.group ? group : { ...group, members: group.members.filter((member) => member !== action.user) }),
      })),
    };
    case 'setSwarmCertificates': return facts.swarm === undefined ? facts
      : { ...facts, swarm: mapObserved(facts.swarm, (swarm) => ({ ...swarm, nodeCertExpiry: action.nodeCertExpiry })) };
  }
}

/** The facts as they would be once the actions of the changes are done. Pure. */
export const predictObjects = (facts: Facts, changes: readonly ObjectChange[]): Facts =>
  changes.flatMap(({ actions }) => actions).reduce(afterAction, facts);
