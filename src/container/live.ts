import type { ContainerSpec, JsonObject, SettablePath, SpecEdit } from '../model.ts';

/** What POST /containers/ID/update changes of a container that runs. */
const LIVE: ReadonlySet<SettablePath> = new Set([
  'resources.memory', 'resources.memorySwap', 'resources.cpuShares', 'resources.nanoCpus', 'resources.pidsLimit', 'restart',
]);

/** True when the engine makes all of the edits without a new container. */
export const areLive = (edits: readonly SpecEdit[]): boolean => edits.every((edit) => edit.op === 'set' && LIVE.has(edit.path));

const UNLIMITED_PIDS = -1;
/** The weight of a container that nobody gave one (docker run --cpu-shares). */
const DEFAULT_SHARES = 1024;

/**
 * The body of POST /containers/ID/update that makes the fields of the edits what they are in `spec`. The engine takes 0 for "leave it": a
 * process limit is lifted by -1, shares go back to their default, and a memory limit cannot be lifted, so that it becomes `memoryBytes`,
 * all the memory of the host.
 */
export function updateBody(spec: ContainerSpec, edits: readonly SpecEdit[], memoryBytes: number): JsonObject {
  const { resources, restart } = spec;
  const body: JsonObject = {};
  const paths: readonly string[] = edits.map(({ path }) => path);
  for (const path of paths) {
    switch (path) {
      case 'resources.memory': case 'resources.memorySwap':
        body['Memory'] = resources.memory ?? memoryBytes;
        // The engine refuses a limit above the one of memory and swap together: both go in one request.
        body['MemorySwap'] = resources.memory === null ? -1 : resources.memorySwap ?? resources.memory * 2;
        break;
      case 'resources.cpuShares': body['CpuShares'] = resources.cpuShares ?? DEFAULT_SHARES; break;
      case 'resources.nanoCpus': body['NanoCPUs'] = resources.nanoCpus ?? 0; break;
      case 'resources.pidsLimit': body['PidsLimit'] = resources.pidsLimit ?? UNLIMITED_PIDS; break;
      case 'restart': body['RestartPolicy'] = { Name: restart.name, MaximumRetryCount: restart.maximumRetryCount }; break;
      default: break;
    }
  }
  return body;
}
