import { at, object } from '../../collect/json.ts';
import { HostError } from '../../host/port.ts';
import type { Action, JsonObject } from '../../model.ts';
import type { Executor } from '../actions.ts';

type SetSwarmCertificates = Extract<Action, { kind: 'setSwarmCertificates' }>;

const lifetimeIn = (spec: JsonObject): number => {
  const lifetime = at(spec, 'CAConfig', 'NodeCertExpiry');
  if (typeof lifetime !== 'number') throw new HostError('The engine does not say how long certificates of nodes live.');
  return lifetime;
};

const withLifetime = (nodeCertExpiry: number) => (spec: JsonObject): JsonObject => ({ ...spec, CAConfig: { ...object(at(spec, 'CAConfig')), NodeCertExpiry: nodeCertExpiry } });

export const setSwarmCertificates: Executor<SetSwarmCertificates> = {
  before: async (_action, { engine }) => ({ nodeCertExpiry: lifetimeIn(await engine.swarmSpec()) }),
  perform: ({ nodeCertExpiry }, _before, { engine }) => engine.updateSwarm(withLifetime(nodeCertExpiry)),
  async undo(_action, { nodeCertExpiry }, { engine }) {
    if (typeof nodeCertExpiry === 'number' && lifetimeIn(await engine.swarmSpec()) !== nodeCertExpiry) await engine.updateSwarm(withLifetime(nodeCertExpiry));
  },
  async touched(action, before, { engine }) {
    const now = lifetimeIn(await engine.swarmSpec());
    return now === action.nodeCertExpiry || now === before.nodeCertExpiry ? null : 'The lifetime of the swarm\'s certificates was changed since';
  },
};
