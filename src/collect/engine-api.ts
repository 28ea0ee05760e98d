import type { EngineInfo, EngineVersion, ImageFacts, Json, NetworkFacts } from '../model.ts';
import { at, flag, list, number, object, text, textRecord, texts } from './json.ts';

/** GET /version. */
export function parseVersion(raw: Json): EngineVersion {
  const podman = list(at(raw, 'Components')).some((component) => at(component, 'Name') === 'Podman Engine');
  return {
    version: text(at(raw, 'Version')),
    apiVersion: text(at(raw, 'ApiVersion')),
    minApiVersion: text(at(raw, 'MinAPIVersion')),
    experimental: flag(at(raw, 'Experimental')),
    platform: podman ? 'Podman Engine' : text(at(raw, 'Platform', 'Name')),
  };
}

/** GET /info. */
export function parseInfo(raw: Json): EngineInfo {
  const registries = at(raw, 'RegistryConfig');
  const liveRestore = at(raw, 'LiveRestoreEnabled');
  return {
    id: text(at(raw, 'ID')),
    name: text(at(raw, 'Name')),
    storageDriver: text(at(raw, 'Driver')),
    dockerRootDir: text(at(raw, 'DockerRootDir')),
    loggingDriver: text(at(raw, 'LoggingDriver')),
    cgroupDriver: text(at(raw, 'CgroupDriver')),
    cgroupVersion: text(at(raw, 'CgroupVersion')),
    securityOptions: texts(at(raw, 'SecurityOptions')),
    liveRestore: typeof liveRestore === 'boolean' ? liveRestore : null,
    debug: flag(at(raw, 'Debug')),
    experimental: flag(at(raw, 'ExperimentalBuild')),
    insecureRegistries: [
      ...texts(at(registries, 'InsecureRegistryCIDRs')),
      ...Object.entries(object(at(registries, 'IndexConfigs'))).filter(([, config]) => at(config, 'Secure') === false).map(([name]) => name),
    ],
    registryMirrors: texts(at(registries, 'Mirrors')),
    authorizationPlugins: texts(at(raw, 'Plugins', 'Authorization')),
    swarm: { state: text(at(raw, 'Swarm', 'LocalNodeState')), manager: flag(at(raw, 'Swarm', 'ControlAvailable')) },
    containers: number(at(raw, 'Containers')),
    containersRunning: number(at(raw, 'ContainersRunning')),
    images: number(at(raw, 'Images')),
    memoryBytes: number(at(raw, 'MemTotal')),
    cpus: number(at(raw, 'NCPU')),
  };
}

/** What /info says of the machine that the engine runs on. */
export function parseEngineHost(raw: Json): { hostname: string; os: { id: string; versionId: string; name: string }; kernel: string; architecture: string } {
  return {
    hostname: text(at(raw, 'Name')),
    os: { id: '', versionId: text(at(raw, 'OSVersion')), name: text(at(raw, 'OperatingSystem')) },
    kernel: text(at(raw, 'KernelVersion')),
    architecture: text(at(raw, 'Architecture')),
  };
}

/** GET /images/json. `Created` is in seconds. */
export function parseImages(raw: Json): ImageFacts[] {
  return list(raw).map((image) => ({
    id: text(at(image, 'Id')),
    // Engines before 25 write <none> where there is no tag or digest.
    tags: texts(at(image, 'RepoTags')).filter((tag) => tag !== '<none>:<none>'),
    digests: texts(at(image, 'RepoDigests')).filter((digest) => digest !== '<none>@<none>'),
    createdAt: new Date(number(at(image, 'Created')) * 1000).toISOString(),
    sizeBytes: number(at(image, 'Size')),
  }));
}

/** GET /volumes. `Volumes` is null where there are none. */
export const parseVolumes = (raw: Json): string[] => list(at(raw, 'Volumes')).map((volume) => text(at(volume, 'Name')));

/** GET /networks. */
export function parseNetworks(raw: Json): NetworkFacts[] {
  return list(raw).map((network) => ({
    id: text(at(network, 'Id')),
    name: text(at(network, 'Name')),
    driver: text(at(network, 'Driver')),
    scope: text(at(network, 'Scope')),
    internal: flag(at(network, 'Internal')),
    ipv6: flag(at(network, 'EnableIPv6')),
    options: textRecord(at(network, 'Options')),
  }));
}
