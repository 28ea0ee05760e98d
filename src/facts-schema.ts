import { z } from 'zod';
import type {
  AccountFacts, AddedFiles, AppliedSettings, AuditFacts, AuditRule, ComposeFacts, ConfigFile, ContainerAccounts, ContainerEvidence, ContainerFacts, ContainerNamespaces, ContainerNetwork, ContainerResources,
  ContainerRuntime, ContainerSecurity, ContainerSpec, DaemonFacts, DiskUsage, EngineFacts, EngineInfo, EngineVersion, ExecHistory, Facts, FileStat, Healthcheck, HostFacts, ImageAccounts, ImageConfig,
  ImageFacts, ImageFilesystem, InForce, Json, JsonObject, MountPoint, MountSpec, NetworkAttachment, NetworkFacts, Observed, Owned, OwnedFiles, Owner, Ownership, PluginFacts, ServiceDefinition, SocketUnitFacts, SwarmFacts,
  SwarmNodeFacts, UnitFacts, VulnerabilityScan,
} from './model.ts';
import { FLAW_SEVERITIES } from './model.ts';

/*
 * The shape of Facts, field by field, as it is held against a snapshot and shipped as its JSON Schema. What a field means is said in
 * src/model/; what it may be without harm is said here: numbers are not narrowed, because engines write all that fits 64 bits.
 */

/** Every field of T, and none besides; a field that T may lack is `.exactOptional()`. Unknown ones are dropped on reading. */
const shape = <T extends object>(fields: { readonly [K in keyof T]-?: z.ZodType<T[K]> }): z.ZodType<T> => z.object(fields) as unknown as z.ZodType<T>;

const text = z.string();
const texts = z.array(text);
const number = z.number();
const flag = z.boolean();
const time = z.iso.datetime();
const json: z.ZodType<Json> = z.json();
const jsonObject: z.ZodType<JsonObject> = z.record(text, json);
const textRecord = z.record(text, text);
const orNull = <T>(schema: z.ZodType<T>): z.ZodType<T | null> => z.union([schema, z.null()]);
const list = <T>(item: z.ZodType<T>): z.ZodType<readonly T[]> => z.array(item);
const textOrNull = orNull(text);
const numberOrNull = orNull(number);
const flagOrNull = orNull(flag);
const fileType = z.enum(['file', 'directory', 'socket', 'symlink', 'fifo', 'device']);
/** Permission bits and owners of files. */
const mode = z.int().min(0).max(0o7777);
const id = z.int().min(0).max(0xffff_ffff);

const observed = <T>(value: z.ZodType<T>): z.ZodType<Observed<T>> => z.discriminatedUnion('status', [
  z.object({ status: z.literal('present'), value }), z.object({ status: z.literal('absent') }), z.object({ status: z.literal('unreadable'), reason: text }),
]);

const host = shape<HostFacts>({
  hostname: text,
  machine: observed(text).exactOptional(),
  os: observed(shape<{ readonly id: string; readonly versionId: string; readonly name: string }>({ id: text, versionId: text, name: text })),
  kernel: observed(text),
  architecture: text,
  lsm: observed(list(text)),
  serviceManager: observed(z.enum(['systemd', 'sysvinit', 'none'])),
  euid: id,
  mounts: observed(list(shape<MountPoint>({ mountPoint: text, fsType: text, source: text }))),
  globalIpv6: observed(flag),
  tmpfiles: observed(flag),
});

const engine = shape<EngineFacts>({
  endpoint: text,
  local: observed(shape<{ readonly pid: number }>({ pid: number })),
  version: observed(shape<EngineVersion>({ version: text, apiVersion: text, minApiVersion: text, experimental: flag, platform: text })),
  info: observed(shape<EngineInfo>({
    id: text, name: text, storageDriver: text, dockerRootDir: text, loggingDriver: text, cgroupDriver: text, cgroupVersion: text, securityOptions: texts,
    liveRestore: flagOrNull, debug: flag, experimental: flag, insecureRegistries: texts, registryMirrors: texts, authorizationPlugins: texts,
    swarm: shape<EngineInfo['swarm']>({ state: text, manager: flag }),
    containers: number, containersRunning: number, images: number, memoryBytes: number, cpus: number,
  })),
});

const configFile = shape<ConfigFile>({
  text, bom: flag,
  parsed: z.discriminatedUnion('ok', [
    z.object({ ok: z.literal(true), value: jsonObject }), z.object({ ok: z.literal(false), error: text, line: number, column: number }),
  ]),
});

const daemon = shape<DaemonFacts>({
  configPath: text,
  config: observed(configFile),
  startedWith: observed(configFile).exactOptional(),
  process: observed(shape<{ readonly pid: number; readonly uid: number; readonly argv: readonly string[]; readonly startedAt: string }>({ pid: number, uid: id, argv: texts, startedAt: time })),
  unit: observed(shape<UnitFacts>({
    name: text, fragmentPath: text, dropInPaths: texts, mainPid: number, killMode: text, canReload: flag,
    sources: list(shape<UnitFacts['sources'][number]>({ path: text, text })),
    environmentFiles: list(shape<UnitFacts['environmentFiles'][number]>({ path: text, optional: flag })),
  })),
  socketUnit: observed(shape<SocketUnitFacts>({ fragmentPath: text, dropInPaths: texts, listen: texts, mode, user: text, group: text, active: flag })),
  otherSockets: observed(list(shape<{ readonly name: string; readonly listen: readonly string[] }>({ name: text, listen: texts }))).exactOptional(),
  environmentFiles: z.record(text, observed(text)),
});

const fileStat = shape<FileStat>({
  type: fileType,
  realPath: text, mode, uid: id, gid: id, dev: number, ino: number, nlink: number, mtimeMs: number, ctimeMs: number,
  linksChangedMs: number.exactOptional(), isLink: z.literal(true).exactOptional(), hasAcl: z.literal(true).exactOptional(),
});

const auditSource = shape<{ readonly path: string; readonly line: number }>({ path: text, line: number });
const auditRule = shape<AuditRule>({
  text, source: auditSource.exactOptional(),
  action: z.enum(['always', 'never', 'possible']), list: text, match: z.enum(['watch', 'path', 'dir', 'any']), path: text, perms: text,
  arch: textOrNull, syscalls: orNull(list(text)), key: textOrNull, filters: texts,
});
const enabled = z.literal([0, 1, 2]);
const audit = shape<AuditFacts>({
  version: observed(text), enabled: observed(enabled), loaded: observed(list(auditRule)), persistent: observed(list(auditRule)), augenrules: flag,
  stop: shape<NonNullable<AuditFacts['stop']>>({ source: auditSource, reason: text, gluedTo: text.exactOptional() }).exactOptional(),
  continuesFrom: auditSource.exactOptional(),
  bootEnabled: enabled.exactOptional(),
});

const accounts = shape<AccountFacts>({
  users: list(shape<AccountFacts['users'][number]>({ name: text, uid: id, gid: id })),
  groups: list(shape<AccountFacts['groups'][number]>({ name: text, gid: id, members: texts })),
});

const healthcheck = shape<Healthcheck>({ test: texts, interval: number, timeout: number, startPeriod: number, startInterval: number, retries: number });
const ulimits = list(shape<InForce['ulimits'][number]>({ name: text, soft: number, hard: number }));

const resources = shape<ContainerResources>({
  memory: numberOrNull, memorySwap: numberOrNull, memoryReservation: numberOrNull, memorySwappiness: numberOrNull, cpuShares: numberOrNull, nanoCpus: numberOrNull,
  cpuPeriod: numberOrNull, cpuQuota: numberOrNull, cpuRealtimePeriod: numberOrNull, cpuRealtimeRuntime: numberOrNull, cpusetCpus: textOrNull, cpusetMems: textOrNull,
  pidsLimit: numberOrNull, blkioWeight: numberOrNull, blkioDevices: z.record(text, json), shmSize: numberOrNull, oomKillDisable: flag, oomScoreAdj: numberOrNull, ulimits,
  cgroupParent: textOrNull, devices: list(shape<ContainerResources['devices'][number]>({ host: text, container: text, permissions: text })), deviceCgroupRules: texts,
  deviceRequests: list(json),
});

const security = shape<ContainerSecurity>({
  privileged: flag, capAdd: texts, capDrop: texts, readonlyRootfs: flag, noNewPrivileges: flagOrNull, seccomp: textOrNull, apparmor: textOrNull, labels: texts,
  systemPathsUnconfined: flag, groupAdd: texts, other: texts,
});

const attachment = shape<NetworkAttachment>({
  aliases: texts, links: texts, ipv4: textOrNull, ipv6: textOrNull, linkLocalIps: texts, macAddress: textOrNull, driverOptions: textRecord, gatewayPriority: numberOrNull,
});

const network = shape<ContainerNetwork>({
  attachments: z.record(text, attachment),
  ports: list(shape<ContainerNetwork['ports'][number]>({ ip: text, hostPort: text, containerPort: number, protocol: text })),
  exposed: texts, publishAll: flag, dns: texts, dnsOptions: texts, dnsSearch: texts, extraHosts: texts, links: texts, macAddress: textOrNull, sysctls: textRecord,
});

const mount = shape<MountSpec>({
  kind: z.enum(['bind', 'volume', 'tmpfs', 'npipe', 'cluster', 'image']), via: z.enum(['binds', 'mounts', 'tmpfs', 'image']),
  source: text, target: text, readOnly: flag, options: text, details: json, volume: textOrNull,
});

const spec = shape<ContainerSpec>({
  name: text, image: shape<ContainerSpec['image']>({ reference: text, id: textOrNull }), entrypoint: orNull(list(text)), command: orNull(list(text)),
  workingDir: textOrNull, user: textOrNull, env: texts, labels: textRecord, annotations: textRecord, hostname: textOrNull, domainname: textOrNull,
  tty: flag, openStdin: flag, stdinOnce: flag, init: flagOrNull, stopSignal: textOrNull, stopTimeoutSeconds: numberOrNull,
  restart: shape<ContainerSpec['restart']>({ name: z.enum(['no', 'always', 'unless-stopped', 'on-failure']), maximumRetryCount: number }),
  autoRemove: flag, runtime: textOrNull, isolation: textOrNull, healthcheck: orNull(healthcheck),
  log: orNull(shape<NonNullable<ContainerSpec['log']>>({ driver: text, options: textRecord })),
  resources, security,
  namespaces: shape<ContainerNamespaces>({ network: text, pid: text, ipc: text, uts: text, userns: text, cgroup: text }),
  network, mounts: list(mount), volumesFrom: texts, storageOptions: textRecord,
});

const applied = shape<AppliedSettings>({
  createdAt: text, attached: flag.exactOptional(), apparmor: text, processLabel: text, openExecs: number,
  mounts: list(shape<AppliedSettings['mounts'][number]>({ kind: text, source: text, target: text, readOnly: flag, propagation: text })),
});

const runtime = shape<ContainerRuntime>({
  state: z.enum(['created', 'running', 'paused', 'restarting', 'removing', 'exited', 'dead']), pid: number, startedAt: text, restarts: number.exactOptional(), createdAt: text.exactOptional(),
  finishedAt: text.exactOptional(), health: z.enum(['starting', 'healthy', 'unhealthy', 'none']),
  ports: list(shape<ContainerRuntime['ports'][number]>({ ip: text, hostPort: number, containerPort: number, protocol: text })),
  networks: list(shape<ContainerRuntime['networks'][number]>({ name: text, networkId: text, ip: text, ip6: text })),
  applied: applied.exactOptional(),
});

type OwnerOf<K extends Owner['kind']> = Extract<Owner, { readonly kind: K }>;
const owner: z.ZodType<Owner> = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('none') }),
  z.object({
    kind: z.literal('compose'), project: text, service: text, files: texts, workingDir: text, configHash: text, environmentFiles: texts.exactOptional(), oneOff: flag.exactOptional(),
    version: text.exactOptional(),
  } satisfies { readonly [K in keyof OwnerOf<'compose'>]-?: z.ZodType }),
  z.object({ kind: z.literal('swarm'), service: text, task: text, id: text.exactOptional() } satisfies { readonly [K in keyof OwnerOf<'swarm'>]-?: z.ZodType }),
  z.object({ kind: z.literal('kubernetes'), namespace: text, pod: text }),
  z.object({ kind: z.enum(['nomad', 'portainer', 'systemd', 'podman']), name: text }),
]);

const owned = { type: fileType, mode, uid: id, gid: id, mtimeMs: number } satisfies { readonly [K in keyof Owned]-?: z.ZodType };
const ownership = shape<Ownership>({
  accounts: observed(shape<ContainerAccounts>({
    users: list(z.object({ name: text, uid: number, gid: number })), groups: list(z.object({ name: text, gid: number, members: texts })),
  })),
  mounts: list(z.object({ target: text, readOnly: flag, files: observed(shape<OwnedFiles>({ complete: flag, samples: list(z.object({ ...owned, path: text })) })) })),
  written: list(z.object({ path: text, owner: observed(z.object(owned)) })),
  hostPortStart: observed(number).exactOptional(),
});

const evidence = shape<ContainerEvidence>({
  changes: observed(list(z.object({ kind: z.enum(['modified', 'added', 'deleted']), path: text }))),
  memory: observed(z.object({ current: number, anonymous: number, peak: numberOrNull })),
  pids: observed(number),
  ownership: ownership.exactOptional(),
});

const setuid = list(shape<ImageFilesystem['setuid'][number]>({ path: text, mode: number, uid: number, gid: number }));
const imageAccounts = observed(shape<ImageAccounts>({
  duplicates: list(z.object({ kind: z.enum(['uid', 'user', 'gid', 'group']), value: text, names: texts })), emptyPasswords: list(z.object({ name: text, file: text })),
}));

const container = shape<ContainerFacts>({
  id: text, name: text, spec: observed(spec), unmodelled: texts, runtime: observed(runtime), owner,
  evidence: evidence.exactOptional(),
  processes: observed(list(text)).exactOptional(),
  execs: observed(list(z.object({ id: text, privileged: flag, user: text }))).exactOptional(),
  listening: observed(list(z.object({ port: number, protocol: z.enum(['tcp', 'udp']), loopback: flag }))).exactOptional(),
  inForce: observed(shape<InForce>({ ulimits, seccomp: z.enum(['off', 'strict', 'filter']), noNewPrivileges: flag, capabilities: texts })).exactOptional(),
  added: observed(shape<AddedFiles>({ changed: number, setuid, secrets: list(z.object({ path: text, what: text })), accounts: imageAccounts })).exactOptional(),
});

const filesystem = shape<ImageFilesystem>({
  layers: number, platform: textOrNull,
  setuid,
  secrets: list(shape<ImageFilesystem['secrets'][number]>({ path: text, what: text, layer: number, removed: flag })),
  leftovers: list(shape<ImageFilesystem['leftovers'][number]>({ kind: z.enum(['cache', 'unneeded']), path: text, files: number, layer: number, removed: flag })),
  accounts: imageAccounts,
  packages: list(shape<ImageFilesystem['packages'][number]>({ manager: z.enum(['dpkg', 'apk', 'rpm']), count: numberOrNull })),
});

const image = shape<ImageFacts>({
  id: text, tags: texts, digests: texts, createdAt: text, sizeBytes: number, lastTaggedAt: textOrNull.exactOptional(),
  config: observed(shape<ImageConfig>({
    user: text, env: texts, healthcheck: orNull(healthcheck), labels: textRecord, volumes: texts, exposed: texts, entrypoint: texts, command: texts,
    workingDir: text.exactOptional(), stopSignal: text.exactOptional(),
  })).exactOptional(),
  history: observed(list(z.object({ createdAt: text, createdBy: text, sizeBytes: number, comment: text }))).exactOptional(),
  filesystem: observed(filesystem).exactOptional(),
});

const swarm = shape<SwarmFacts>({
  id: text, createdAt: text, nodeCertExpiry: numberOrNull, autoLock: flagOrNull, ca: observed(z.object({ notBefore: text, notAfter: text })), rootRotationInProgress: flag,
  nodes: observed(list(z.object({ id: text, hostname: text, role: text, state: text, reachability: text }))),
  services: observed(list(z.object({
    id: text, name: text, env: texts, secrets: texts,
    definition: shape<ServiceDefinition>({ mode: z.enum(['replicated', 'global', 'other']), updateState: text, fields: jsonObject }).exactOptional(),
  }))),
});

const compose = shape<ComposeFacts>({
  project: text, workingDir: text, files: texts, environmentFiles: texts, texts: z.record(text, observed(text)), reads: texts,
  rehearsal: observed(z.object({ tool: z.enum(['docker', 'docker-compose']), unchanged: texts })),
});

const vulnerabilityScan = shape<VulnerabilityScan>({
  scanner: z.enum(['Trivy', 'Grype', 'Clair']), scannedAt: textOrNull, imageId: textOrNull, digests: texts, examined: flag,
  fixable: list(z.object({ id: text, package: text, fixedIn: text, severity: z.enum([...FLAW_SEVERITIES, 'unknown']) })),
});

/** `harden collect -o FILE`. */
export const factsDocument = shape<Facts>({
  schemaVersion: z.literal(1),
  tool: shape<Facts['tool']>({ name: z.literal('harden'), version: text }),
  collectedAt: time,
  masked: list(text).exactOptional(),
  host, engine, daemon,
  files: z.record(text, observed(fileStat)),
  registryCerts: observed(list(text)),
  managed: z.record(text, observed(text)).exactOptional(),
  audit,
  accounts: observed(accounts),
  containers: observed(list(container)),
  images: observed(list(image)),
  networks: observed(list(shape<NetworkFacts>({ id: text, name: text, driver: text, scope: text, internal: flag, ipv6: flag, options: textRecord }))),
  execHistory: observed(shape<ExecHistory>({ since: textOrNull, started: list(z.object({ container: text, at: text })) })).exactOptional(),
  volumes: observed(list(text)).exactOptional(),
  plugins: observed(list(shape<PluginFacts>({ name: text, enabled: flag, types: texts }))).exactOptional(),
  swarm: observed(swarm).exactOptional(),
  swarmNode: observed(shape<SwarmNodeFacts>({ listenAddress: text, advertiseAddress: text, dataPathAddress: text })).exactOptional(),
  compose: observed(list(compose)).exactOptional(),
  contentTrust: observed(list(z.object({ source: text, value: text }))).exactOptional(),
  vulnerabilities: list(vulnerabilityScan).exactOptional(),
  diskUsage: observed(shape<DiskUsage>({
    layers: number, images: list(z.object({ id: text, size: number, shared: numberOrNull })), containers: list(z.object({ id: text, written: numberOrNull })), buildCache: number,
  })).exactOptional(),
  onlyImage: text.exactOptional(),
});
