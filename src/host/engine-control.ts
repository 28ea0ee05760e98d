import { setTimeout as sleep } from 'node:timers/promises';
import type Dockerode from 'dockerode';
import type { Json, JsonObject } from '../model.ts';
import { at, flag, list, number, object, text, texts } from '../collect/json.ts';
import type { CreateOptions } from '../container/to-create.ts';
import { messageOf } from '../errors.ts';
import { HostError } from './port.ts';

/** What changes an engine. Only `apply` holds one. Each call throws EngineError with the engine's own words. */
export interface EngineControl {
  /** ApiVersion of GET /version. */
  apiVersion(): Promise<string>;
  /** MemTotal of GET /info, in bytes. */
  memoryBytes(): Promise<number>;
  /** GET /containers/REF/json by id or name; null when there is none. */
  inspectContainer(reference: string): Promise<JsonObject | null>;
  /** Id of the image that a reference leads to here; null when it leads to none. */
  imageId(reference: string): Promise<string | null>;
  /** GET /images/REF/json by id or name; null when there is none. */
  inspectImage(reference: string): Promise<JsonObject | null>;
  /** Names of the containers, running or not, that were made from the image with this id. */
  usersOfImage(id: string): Promise<readonly string[]>;
  /** Takes a name away from an image, and removes it with its last one; by id, removes it. Never forced. Fine when it is gone. */
  removeImage(reference: string): Promise<void>;
  /** Creates a container, on all its networks. Resolves with its id. What was made of one that failed half-way is removed again. */
  createContainer(options: CreateOptions): Promise<string>;
  /** Starts a container; fine when it runs. */
  startContainer(id: string): Promise<void>;
  /** Stops a container as `docker stop` does, with its own signal and time; resolves when it has stopped. Fine when it does not run. */
  stopContainer(id: string): Promise<void>;
  renameContainer(id: string, name: string): Promise<void>;
  /** POST /containers/ID/update. The engine ignores what it cannot do: look afterwards. */
  updateContainer(id: string, settings: JsonObject): Promise<void>;
  /** GET /containers/ID/changes. */
  containerChanges(id: string): Promise<readonly Json[]>;
  /** Its file system without its mounts as one tar (GET /containers/ID/export), streamed. */
  exportContainer(id: string): Promise<AsyncIterable<Uint8Array>>;
  /** True for a socket, and for what is gone. */
  isSocketIn(id: string, path: string): Promise<boolean>;
  /** Removes a container that does not run; its volumes stay. Fine when it is gone. */
  removeContainer(id: string): Promise<void>;
  /** GET /services/ID; null when there is none. */
  service(id: string): Promise<JsonObject | null>;
  /** GET /tasks of a service, those that ended and are remembered among them. */
  tasks(service: string): Promise<readonly Json[]>;
  /**
   * POST /services/ID/update: takes `spec` as it is, with the registry's password that the service has, if nobody updated it since `version`.
   * `back`: the engine goes back to the definition before, by the rules that the service has for that.
   */
  updateService(id: string, version: number, spec: JsonObject, back?: boolean): Promise<void>;
  /** Spec of GET /swarm. Only a manager can answer. */
  swarmSpec(): Promise<JsonObject>;
  /** GET /swarm/unlockkey: a secret; "" while autolock is off. */
  unlockKey(): Promise<string>;
  /** POST /swarm/update with what `change` makes of the Spec as it is; a change in between is refused by the engine. */
  updateSwarm(change: (spec: JsonObject) => JsonObject): Promise<void>;
}

const NOT_FOUND = 404;
const NOT_MODIFIED = 304;
/** docker stop without -t, of a container without --stop-timeout. */
const DEFAULT_STOP_SECONDS = 10;
/**
 * The longest that a busy engine takes to notice that a container has ended, in milliseconds: 20 s were seen of one whose health check began at that moment. Until
 * then it says that it is stopped, shows it as running, and keeps its ports.
 */
export const NOTICE_MS = 60_000;
const POLL_MS = 250;
/** ModeSocket of Go's io/fs. */
const GO_SOCKET = 2 ** 24;

/** A request to the engine, with its errors explained. */
export type Ask = (what: (docker: Dockerode) => Promise<unknown>) => Promise<Json>;

/** The client has no call of its own for it. */
const unlockKeyOf = (docker: Dockerode): Promise<unknown> => new Promise((resolve, reject) => {
  (docker.modem as Modem).dial({ path: '/swarm/unlockkey', method: 'GET', statusCodes: { 200: true } }, (error, answer) => {
    if (error === null || error === undefined) resolve(answer);
    else reject(error);
  });
});

/** The part of the client beneath its named calls. */
export interface Modem {
  dial: (options: {
    readonly path: string; readonly method: string; readonly statusCodes: Readonly<Record<number, boolean>>; readonly options?: object; readonly abortSignal?: AbortSignal;
    readonly isStream?: boolean;
  }, callback: (error: Error | null | undefined, answer: unknown) => void) => void;
}

/** How long a container has to end by itself before the engine kills it, in milliseconds; with no end to it (-1), as if nobody had said. */
export function stopMs(raw: JsonObject | null): number {
  const asked = at(raw, 'Config', 'StopTimeout');
  return (typeof asked === 'number' && asked >= 0 ? asked : DEFAULT_STOP_SECONDS) * 1000;
}

export function createEngineControl(ask: Ask, statusOf: (error: unknown) => number | undefined): EngineControl {
  /** null for a status that says so. */
  const unless = async (status: number, answer: Promise<Json>): Promise<Json> => {
    try {
      return await answer;
    } catch (error) {
      if (statusOf(error) === status) return null;
      throw error;
    }
  };
  const inspectContainer = async (reference: string): Promise<JsonObject | null> => {
    const found = await unless(NOT_FOUND, ask((docker) => docker.getContainer(encodeURIComponent(reference)).inspect()));
    return found === null ? null : object(found);
  };
  const inspectImage = async (reference: string): Promise<JsonObject | null> => {
    const found = await unless(NOT_FOUND, ask((docker) => docker.getImage(reference).inspect()));
    return found === null ? null : object(found);
  };
  return {
    apiVersion: async () => text(at(await ask((docker) => docker.version()), 'ApiVersion')),
    memoryBytes: async () => number(at(await ask((docker) => docker.info()), 'MemTotal')),
    inspectContainer,
    imageId: async (reference) => text(at(await inspectImage(reference), 'Id')) || null,
    inspectImage,
    usersOfImage: async (id) => list(await ask((docker) => docker.listContainers({ all: true }))).filter((container) => at(container, 'ImageID') === id)
      .map((container) => texts(at(container, 'Names'))[0]?.replace(/^\//, '') ?? text(at(container, 'Id')).slice(0, 12)),
    removeImage: async (reference) => {
      await unless(NOT_FOUND, ask((docker) => docker.getImage(reference).remove()));
    },
    createContainer: async ({ name, body, connect }) => {
      const created = await ask(async (docker) => ({ id: (await docker.createContainer({ name, ...body })).id }));
      const id = text(at(created, 'id'));
      try {
        for (const { network, endpoint } of connect) {
          await ask((docker) => docker.getNetwork(encodeURIComponent(network)).connect({ Container: id, EndpointConfig: endpoint }));
        }
      } catch (error) {
        await ask((docker) => docker.getContainer(id).remove({ v: false })).catch(() => undefined);
        throw error;
      }
      return id;
    },
    startContainer: async (id) => {
      await unless(NOT_MODIFIED, ask((docker) => docker.getContainer(id).start()));
    },
    stopContainer: async (id) => {
      const deadline = performance.now() + stopMs(await inspectContainer(id)) + NOTICE_MS;
      // One whose time to stop is longer than an answer may take goes on stopping: only looking tells when it has.
      const asked = await unless(NOT_MODIFIED, ask((docker) => docker.getContainer(id).stop())).then(() => null, messageOf);
      for (;;) {
        const state = at(await inspectContainer(id), 'State');
        if (!flag(at(state, 'Running'))) return;
        if (performance.now() >= deadline) throw new HostError(`The container ${id.slice(0, 12)} does not stop${asked === null ? '' : `: ${asked}`}.`);
        await sleep(POLL_MS);
      }
    },
    renameContainer: async (id, name) => {
      await ask((docker) => docker.getContainer(id).rename({ name }));
    },
    updateContainer: async (id, settings) => {
      await ask((docker) => docker.getContainer(id).update(settings));
    },
    containerChanges: async (id) => list(await ask((docker) => docker.getContainer(id).changes())),
    exportContainer: async (id) => await ask((docker) => docker.getContainer(id).export()) as unknown as AsyncIterable<Uint8Array>,
    isSocketIn: async (id, path) => {
      const found = await unless(NOT_FOUND, ask(async (docker) => {
        const answer = await docker.getContainer(id).infoArchive({ path }) as NodeJS.ReadableStream & { headers: Record<string, string | undefined> };
        answer.resume();
        return { stat: answer.headers['x-docker-container-path-stat'] ?? '' };
      }));
      if (found === null) return true;
      const stat = JSON.parse(Buffer.from(text(at(found, 'stat')), 'base64').toString('utf8')) as Json;
      return Math.floor(number(at(stat, 'mode')) / GO_SOCKET) % 2 === 1;
    },
    removeContainer: async (id) => {
      await unless(NOT_FOUND, ask((docker) => docker.getContainer(id).remove({ v: false })));
    },
    service: async (id) => {
      const found = await unless(NOT_FOUND, ask((docker) => docker.getService(encodeURIComponent(id)).inspect()));
      return found === null ? null : object(found);
    },
    tasks: async (service) => list(await ask((docker) => docker.listTasks({ filters: { service: [service] } }))),
    updateService: async (id, version, spec, back = false) => {
      await ask((docker) => docker.getService(encodeURIComponent(id)).update({ _query: { version, registryAuthFrom: 'spec', ...(back ? { rollback: 'previous' } : {}) }, _body: spec }));
    },
    swarmSpec: async () => object(at(await ask((docker) => docker.swarmInspect()), 'Spec')),
    unlockKey: async () => text(at(await ask(unlockKeyOf), 'UnlockKey')),
    updateSwarm: async (change) => {
      const swarm = await ask((docker) => docker.swarmInspect());
      const spec = change(object(at(swarm, 'Spec')));
      await ask((docker) => docker.swarmUpdate({ _query: { version: number(at(swarm, 'Version', 'Index')) }, _body: spec }));
    },
  };
}
