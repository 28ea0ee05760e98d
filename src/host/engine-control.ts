import type Dockerode from 'dockerode';
import type { Json, JsonObject } from '../model.ts';
import { at, number, object } from '../collect/json.ts';

/** What changes an engine. Only `apply` holds one. Each call throws EngineError with the engine's own words. */
export interface EngineControl {
  /** Starts a container; fine when it runs. */
  startContainer(id: string): Promise<void>;
  /** Spec of GET /swarm. Only a manager can answer. */
  swarmSpec(): Promise<JsonObject>;
  /** POST /swarm/update with what `change` makes of the Spec as it is; a change in between is refused by the engine. */
  updateSwarm(change: (spec: JsonObject) => JsonObject): Promise<void>;
}

/** A request to the engine, with its errors explained. */
export type Ask = (what: (docker: Dockerode) => Promise<unknown>) => Promise<Json>;

export function createEngineControl(ask: Ask, statusOf: (error: unknown) => number | undefined): EngineControl {
  return {
    startContainer: async (id) => {
      try {
        await ask((docker) => docker.getContainer(id).start());
      } catch (error) {
        if (statusOf(error) !== 304) throw error;
      }
    },
    swarmSpec: async () => object(at(await ask((docker) => docker.swarmInspect()), 'Spec')),
    updateSwarm: async (change) => {
      const swarm = await ask((docker) => docker.swarmInspect());
      const spec = change(object(at(swarm, 'Spec')));
      await ask((docker) => docker.swarmUpdate({ _query: { version: number(at(swarm, 'Version', 'Index')) }, _body: spec }));
    },
  };
}
