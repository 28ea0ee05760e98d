import { X509Certificate } from 'node:crypto';
import { serviceDefinition } from '../container/service.ts';
import type {
  EngineInfo, EngineVersion, Healthcheck, ImageConfig, ImageFacts, ImageHistoryEntry, Json, NetworkFacts, Observed, PluginFacts, SwarmFacts, SwarmNode, SwarmNodeFacts, SwarmService,
} from '../model.ts';
import { mapObserved, present, unreadable } from '../model.ts';
import type { RawImage, RawSwarm } from '../host/engine.ts';
import type { ArchiveImage } from '../image/archive.ts';
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

/** Seconds since 1970 as ISO 8601; a number that no clock shows counts as 1970. */
function isoOf(seconds: number): string {
  const date = new Date(seconds * 1000);
  return Number.isNaN(date.getTime()) ? new Date(0).toISOString() : date.toISOString();
}

/** GET /images/json with what inspecting each image and its history gave. `Created` is in seconds. */
export function parseImages(raw: readonly RawImage[]): ImageFacts[] {
  return raw.map(({ listed, inspect, history }) => ({
    id: text(at(listed, 'Id')),
    // Engines before 25 write <none> where there is no tag or digest.
    tags: texts(at(listed, 'RepoTags')).filter((tag) => tag !== '<none>:<none>'),
    digests: texts(at(listed, 'RepoDigests')).filter((digest) => digest !== '<none>@<none>'),
    createdAt: isoOf(number(at(listed, 'Created'))),
    sizeBytes: number(at(listed, 'Size')),
    lastTaggedAt: inspect.status === 'present' ? taggedAt(text(at(inspect.value, 'Metadata', 'LastTagTime'))) : null,
    config: inspect.status !== 'present' ? inspect
      : at(inspect.value, 'Config') === undefined || at(inspect.value, 'Config') === null ? unreadable('what the engine tells of the image has no Config')
      : present(parseImageConfig(at(inspect.value, 'Config'))),
    history: mapObserved(history, (entries) => list(entries).map(parseHistoryEntry).reverse()),
  }));
}

/** An image of an archive, as the engine would tell it once it was loaded. The configuration document has times as text. */
export function parseArchiveImage({ id, tags, document, sizeBytes, filesystem }: ArchiveImage): ImageFacts {
  const iso = (time: Json | undefined): string => isoOf(Date.parse(text(time)) / 1000);
  return {
    id, tags, digests: [], createdAt: iso(at(document, 'created')), sizeBytes, lastTaggedAt: null,
    config: present(parseImageConfig(at(document, 'config'))),
    history: present(list(at(document, 'history')).map((entry) => ({
      createdAt: iso(at(entry, 'created')), createdBy: text(at(entry, 'created_by')), sizeBytes: 0, comment: text(at(entry, 'comment')),
    }))),
    ...(filesystem !== undefined && { filesystem }),
  };
}

/** Go's zero time stands for never. */
const taggedAt = (time: string): string | null => (time === '' || time.startsWith('0001-') ? null : time);

function parseImageConfig(raw: Json | undefined): ImageConfig {
  return {
    user: text(at(raw, 'User')),
    env: texts(at(raw, 'Env')),
    healthcheck: parseHealthcheck(at(raw, 'Healthcheck')),
    labels: textRecord(at(raw, 'Labels')),
    volumes: Object.keys(object(at(raw, 'Volumes'))),
    exposed: Object.keys(object(at(raw, 'ExposedPorts'))),
    entrypoint: texts(at(raw, 'Entrypoint')),
    command: texts(at(raw, 'Cmd')),
    workingDir: text(at(raw, 'WorkingDir')),
    stopSignal: text(at(raw, 'StopSignal')),
  };
}

function parseHealthcheck(raw: Json | undefined): Healthcheck | null {
  const test = texts(at(raw, 'Test'));
  return test.length === 0 ? null : {
    test,
    interval: number(at(raw, 'Interval')),
    timeout: number(at(raw, 'Timeout')),
    startPeriod: number(at(raw, 'StartPeriod')),
    startInterval: number(at(raw, 'StartInterval')),
    retries: number(at(raw, 'Retries')),
  };
}

const parseHistoryEntry = (raw: Json): ImageHistoryEntry => ({
  createdAt: isoOf(number(at(raw, 'Created'))),
  createdBy: text(at(raw, 'CreatedBy')),
  sizeBytes: number(at(raw, 'Size')),
  comment: text(at(raw, 'Comment')),
});

/** GET /plugins. */
export const parsePlugins = (raw: Json): PluginFacts[] => list(raw).map((plugin) => ({
  name: text(at(plugin, 'Name')), enabled: flag(at(plugin, 'Enabled')),
  // "docker.volumedriver/1.0", which older engines write as an object.
  types: list(at(plugin, 'Config', 'Interface', 'Types')).map((type) => (typeof type === 'string' ? type.replace(/^docker\./, '').replace(/\/.*$/, '') : text(at(type, 'Capability')))),
}));

/** GET /volumes: names. */
export const parseVolumes = (raw: Json): string[] => list(at(raw, 'Volumes')).map((volume) => text(at(volume, 'Name')));

/** GET /swarm, /nodes, /services. */
export function parseSwarm({ swarm, nodes, services }: RawSwarm): SwarmFacts {
  const expiry = at(swarm, 'Spec', 'CAConfig', 'NodeCertExpiry');
  const autoLock = at(swarm, 'Spec', 'EncryptionConfig', 'AutoLockManagers');
  return {
    id: text(at(swarm, 'ID')),
    createdAt: text(at(swarm, 'CreatedAt')),
    nodeCertExpiry: typeof expiry === 'number' ? expiry : null,
    autoLock: typeof autoLock === 'boolean' ? autoLock : null,
    ca: parseCertificate(text(at(swarm, 'TLSInfo', 'TrustRoot'))),
    rootRotationInProgress: flag(at(swarm, 'RootRotationInProgress')),
    nodes: mapObserved(nodes, (found) => list(found).map((node): SwarmNode => ({
      id: text(at(node, 'ID')),
      hostname: text(at(node, 'Description', 'Hostname')),
      role: text(at(node, 'Spec', 'Role')),
      state: text(at(node, 'Status', 'State')),
      reachability: text(at(node, 'ManagerStatus', 'Reachability')),
    }))),
    services: mapObserved(services, (found) => list(found).map((service): SwarmService => ({
      id: text(at(service, 'ID')),
      name: text(at(service, 'Spec', 'Name')),
      env: texts(at(service, 'Spec', 'TaskTemplate', 'ContainerSpec', 'Env')),
      secrets: list(at(service, 'Spec', 'TaskTemplate', 'ContainerSpec', 'Secrets')).map((secret) => text(at(secret, 'SecretName'))),
      definition: serviceDefinition(service),
    }))),
  };
}

function parseCertificate(pem: string): SwarmFacts['ca'] {
  if (pem === '') return unreadable('the engine does not show the root CA of the swarm');
  try {
    const { validFrom, validTo } = new X509Certificate(pem);
    return present({ notBefore: new Date(validFrom).toISOString(), notAfter: new Date(validTo).toISOString() });
  } catch {
    return unreadable('the root CA of the swarm is no certificate that can be parsed');
  }
}

/** DATA/swarm/docker-state.json, which dockerd writes on init and join (moby, daemon/cluster/cluster.go). */
export function parseSwarmState(file: string): Observed<SwarmNodeFacts> {
  try {
    const state = JSON.parse(file) as Json;
    if (typeof at(state, 'ListenAddr') !== 'string') return unreadable('the state file of the swarm names no listening address');
    return present({
      listenAddress: text(at(state, 'ListenAddr')),
      advertiseAddress: text(at(state, 'AdvertiseAddr')),
      dataPathAddress: text(at(state, 'DataPathAddr')),
    });
  } catch {
    return unreadable('the state file of the swarm is not JSON');
  }
}

/** A line of a file that logins read; null when it sets nothing. */
const ASSIGNMENT = /^\s*(?:export\s+)?DOCKER_CONTENT_TRUST=(["']?)([^"'\s;#]*)\1/u;

/** Where DOCKER_CONTENT_TRUST is set: the last line of each file that sets it counts. */
export function parseContentTrust(
  environment: string | undefined, files: readonly (readonly [path: string, text: Observed<string>])[],
): Observed<readonly { source: string; value: string }[]> {
  const found = environment === undefined ? [] : [{ source: 'the environment of harden', value: environment }];
  for (const [path, content] of files) {
    if (content.status === 'unreadable') return content;
    if (content.status === 'absent') continue;
    const value = content.value.split('\n').map((line) => ASSIGNMENT.exec(line)?.[2]).findLast((setting) => setting !== undefined);
    if (value !== undefined) found.push({ source: path, value });
  }
  return present(found);
}

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
