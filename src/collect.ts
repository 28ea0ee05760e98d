import { dirname } from 'node:path/posix';
import { auditFileRequests, auditParentPaths, auditRequests, auditStatPaths, layerDirectories, parseAudit } from './collect/audit.ts';
import { readCompose } from './collect/compose.ts';
import { parseDiskUsage } from './collect/disk-usage.ts';
import { configFlag, containerdFlag, describeDaemon, otherSockets, parseProperties, readConfig, readUnit, readUnits, socketUnit, tlsPaths } from './collect/daemon.ts';
import {
  parseContentTrust, parseEngineHost, parseImages, parseInfo, parseNetworks, parsePlugins, parseSwarm, parseSwarmState, parseVersion, parseVolumes,
} from './collect/engine-api.ts';
import { withEvidence } from './collect/evidence.ts';
import { readAccessLists, readAccounts, readHost } from './collect/host.ts';
import { parseExecHistory, parseExecs, parseTop, readLive } from './collect/live.ts';
import { readContainerAccounts, readOwnership, toldToBeRoot } from './collect/ownership.ts';
import { CONTAINERD_SOCKETS, DEFAULT_CONFIG_PATH, directoriesAbove, ENVIRONMENT_FILES, LOGIN_FILES, STAT_PATHS } from './collect/paths.ts';
import { Round } from './collect/round.ts';
import type { Answer } from './collect/round.ts';
import { parseInspect } from './container/from-inspect.ts';
import { ownerOf } from './container/owner.ts';
import { parseConfigFile } from './daemon/json-edit.ts';
import { messageOf } from './errors.ts';
import { connectEngine, EngineError } from './host/engine.ts';
import type { Engine, Endpoint, RawContainer, RawImage, RawSwarm } from './host/engine.ts';
import { createLocalReader } from './host/local-reader.ts';
import type { HostReader, SocketOwner } from './host/port.ts';
import { MANAGED_PATHS, unitDropInPath } from './managed.ts';
import type { AuditFacts, ContainerFacts, DaemonFacts, EngineFacts, Facts, FileStat, HostFacts, Json, JsonObject, Observed, TargetSelection } from './model.ts';
import { absent, mapObserved, present, unreadable, valueOf } from './model.ts';
import { readStartedWith, startedWithPath } from './started-with.ts';
import { TOOL } from './version.ts';

export { exportSnapshot, loadSnapshot } from './snapshot.ts';

export interface CollectOptions {
  /** --docker-host; else DOCKER_HOST, the docker context, the local socket. */
  readonly dockerHost?: string;
  readonly reader?: HostReader;
  readonly env?: NodeJS.ProcessEnv;
  /** Where harden keeps its journal: it may know what the daemon started with. */
  readonly stateDir?: string;
  readonly progress?: (message: string) => void;
  /** Look inside the file systems of images, and at what containers added to them. */
  readonly deep?: boolean;
  /** Which images and containers `deep` looks into; all where nothing is said. */
  readonly targets?: TargetSelection;
  /** Also measure what containers use and have written. */
  readonly evidence?: boolean;
  /** Also ask how much space is used, which may take minutes. */
  readonly diskUsage?: boolean;
}

interface EngineAnswers {
  readonly version: Observed<JsonObject>;
  readonly info: Observed<JsonObject>;
  readonly containers: Observed<readonly RawContainer[]>;
  readonly events: Observed<readonly Json[]>;
  readonly images: Observed<readonly RawImage[]>;
  readonly networks: Observed<Json>;
  readonly volumes: Observed<JsonObject>;
  readonly plugins: Observed<Json>;
  readonly swarm: Observed<RawSwarm>;
}

/**
 * Gathers everything known about a host, in three dependent rounds; all reads of a round are concurrent.
 *
 * 1. The engine's API; who serves its socket; the host; accounts; audit; files at paths that are known beforehand.
 * 2. What the daemon's process and its /info name: daemon.json, units, the data root, certificates of registries; the audit rule files.
 * 3. What those name: unit files, environment files, TLS files, parents of audited paths.
 *
 * Host facts are kept only when the engine is proven to be this host's.
 * @throws EngineError when no engine answers
 */
export async function collect(options: CollectOptions = {}): Promise<Facts> {
  const reader = options.reader ?? createLocalReader();
  const engine = await connectEngine({ dockerHost: options.dockerHost, env: options.env ?? process.env });
  try {
    options.progress?.(`reading ${engine.endpoint.url} (${engine.endpoint.source})`);
    const facts = await collectFrom(engine, reader, options.stateDir ?? '/var/lib/harden', options.evidence === true, (options.env ?? process.env)['DOCKER_CONTENT_TRUST']);
    const measured = options.diskUsage === true ? { ...facts, diskUsage: await measureDisk(engine, options.progress) } : facts;
    if (options.deep !== true) return measured;
    const [{ withFilesystems }, { withAddedFiles }] = await Promise.all([import('./image/look-inside.ts'), import('./container/look-inside.ts')]);
    const progress = options.progress ?? (() => undefined);
    return await withAddedFiles(engine, await withFilesystems(engine, measured, options.targets, progress), options.targets, progress);
  } finally {
    engine.close();
  }
}

async function measureDisk(engine: Engine, progress: CollectOptions['progress']): Promise<NonNullable<Facts['diskUsage']>> {
  progress?.('asking the engine how much space is used, which may take minutes');
  const [answer] = await Promise.allSettled([engine.diskUsage()]);
  progress?.('');
  return flattened(settled(answer), parseDiskUsage);
}

async function collectFrom(engine: Engine, reader: HostReader, stateDir: string, evidence: boolean, contentTrust: string | undefined): Promise<Facts> {
  const { endpoint } = engine;
  const first = new Round();
  const owner = endpoint.socketPath === null ? undefined : first.need({ kind: 'socketOwner', path: endpoint.socketPath });
  const host = readHost(first);
  const accounts = readAccounts(first);
  const audit = declareAudit(first);
  const files = new Files();
  files.need(first, [...STAT_PATHS, ...auditStatPaths, ...MANAGED_PATHS, ...(endpoint.socketPath === null ? [] : [endpoint.socketPath])]);
  const accessLists = readAccessLists(first, [...new Set([...CONTAINERD_SOCKETS, ...(endpoint.socketPath === null ? [] : [endpoint.socketPath])])]);
  const managed = textsOf(first, MANAGED_PATHS);
  const environment = textsOf(first, ENVIRONMENT_FILES);
  const logins = textsOf(first, LOGIN_FILES);
  const [answers] = await Promise.all([readEngine(engine, reader), first.read(reader)]);

  const measured = evidence ? await engine.evidence((valueOf(answers.containers) ?? []).map(({ id }) => id)) : null;
  const served = await proveLocal(endpoint, owner?.(), reader);
  const facts = {
    schemaVersion: 1, tool: TOOL, collectedAt: new Date().toISOString(),
    engine: engineFacts(endpoint, served, answers),
    images: mapObserved(answers.images, parseImages),
    networks: mapObserved(answers.networks, parseNetworks),
    volumes: mapObserved(answers.volumes, parseVolumes),
    plugins: mapObserved(answers.plugins, parsePlugins),
    swarm: mapObserved(answers.swarm, parseSwarm),
  } as const;
  const machine = mapObserved(answers.info, parseEngineHost);
  const containers = measured === null ? parseContainers(answers) : mapObserved(parseContainers(answers), (found) => withEvidence(found, measured));
  if (served.status !== 'present') {
    const found = { ...facts, containers: await withTop(engine, containers), execHistory: execHistory(answers.events, facts.engine, null) };
    return withoutHost(found, machine, files.paths(), whyNotLocal(endpoint, served), host(0).euid);
  }

  const serving = describeDaemon(served.value);
  const { hostname, ...local } = host(serving.owner.pid);
  const info = valueOf(facts.engine.info);
  const second = new Round(first);
  const config = readConfig(second, serving, parseConfigFile);
  const startedWith = second.text(startedWithPath(stateDir));
  const units = valueOf(local.serviceManager) === 'systemd' ? readUnits(second, serving.unit) : () => absent;
  const certs = second.need({ kind: 'list', path: serving.registryCerts, depth: 3 });
  const ruleTexts = audit.texts(second);
  files.need(second, [...serving.owner.argv.slice(0, 1), containerdFlag(serving.owner.argv) ?? '', serving.configPath, dirname(serving.configPath), serving.registryCerts]);
  if (info !== undefined) files.need(second, [info.dockerRootDir, ...layerDirectories(info.dockerRootDir, info.storageDriver)]);
  const inSwarm = info !== undefined && !['', 'inactive'].includes(info.swarm.state);
  const asRoot = evidence ? toldToBeRoot(containers, facts.images) : [];
  const live = readLive(second, valueOf(containers) ?? [], asRoot);
  const inspected = new Map((valueOf(answers.containers) ?? []).flatMap(({ id, raw }) => (raw.status === 'present' ? [[id, raw.value]] : [])));
  const owned = readOwnership(second, asRoot, await readContainerAccounts(engine, asRoot), inspected, info);
  // Only a plan edits the files of a project, and asking Compose takes its time.
  const compose = evidence ? readCompose(second, files, valueOf(containers) ?? [], local.euid) : null;
  const swarmState = inSwarm ? second.text(`${info.dockerRootDir}/swarm/docker-state.json`) : undefined;
  await second.read(reader);

  const auditFacts = audit.parse(ruleTexts());
  const daemonConfig = config();
  const third = new Round(second);
  const unit = readUnit(third, units(), serving);
  const ownDropIn = serving.unit === null ? () => [] : textsOf(third, [unitDropInPath(serving.unit)]);
  const found = valueOf(certs()) ?? [];
  const socket = socketUnit(units());
  const named = [
    ...unit.paths, ...(socket.status === 'present' ? [socket.value.fragmentPath, ...socket.value.dropInPaths] : []), ...found, ...tlsPaths(serving, daemonConfig), ...realDirectory(files, serving.configPath),
    ...(serving.unit === null ? [] : [unitDropInPath(serving.unit)]),
  ];
  files.need(third, [...named, ...named.flatMap(directoriesAbove), ...files.directories(), ...auditParentPaths(auditFacts)]);
  const composed = compose?.third(third, endpoint.url);
  await third.read(reader);

  const process = { pid: serving.owner.pid, uid: serving.owner.uid, argv: serving.owner.argv, startedAt: serving.owner.startedAt };
  const note = mapObserved(startedWith(), (text) => readStartedWith(text, process, daemonConfig));
  const known = valueOf(note);
  const daemon: DaemonFacts = {
    configPath: serving.configPath,
    config: daemonConfig,
    ...(known !== undefined && known !== null && { startedWith: known }),
    process: present(process),
    unit: unit.unit(),
    socketUnit: socket,
    otherSockets: otherSockets(units(), serving.unit),
    environmentFiles: Object.fromEntries([...environment(), ...unit.environment()]),
  };
  return {
    ...facts,
    containers: mapObserved(containers, (found) => found.map((container) => owned(live(container)))),
    execHistory: execHistory(answers.events, facts.engine, process.startedAt),
    host: { hostname: valueOf(hostname) ?? valueOf(machine)?.hostname ?? '', architecture: valueOf(machine)?.architecture ?? '', ...local },
    daemon,
    files: files.answers(accessLists()),
    registryCerts: certs(),
    managed: Object.fromEntries([...managed(), ...ownDropIn()]),
    audit: auditFacts,
    accounts: accounts(),
    swarmNode: info === undefined ? unreadable('the engine does not say whether it is in a swarm') : flattened(swarmState?.() ?? absent, parseSwarmState),
    contentTrust: parseContentTrust(contentTrust, logins()),
    ...(containers.status === 'present' && composed !== undefined && { compose: present(composed()) }),
  };
}

const flattened = <T, U>(observed: Observed<T>, f: (value: T) => Observed<U>): Observed<U> =>
  observed.status === 'present' ? f(observed.value) : observed;

/** stat(2) results by path; every path is asked for once, in the first round that needs it. */
class Files {
  private readonly asked = new Map<string, Answer<FileStat>>();

  need(round: Round, paths: readonly string[]): void {
    for (const path of paths) if (path.startsWith('/') && !this.asked.has(path)) this.asked.set(path, round.stat(path));
  }

  at(path: string): FileStat | undefined {
    const answer = this.asked.get(path);
    return answer === undefined ? undefined : valueOf(answer());
  }

  /** All directories on the way to what was found so far: who may write there decides whether a path below can be trusted. */
  directories(): readonly string[] {
    return [...this.asked].flatMap(([path, answer]) => {
      const found = valueOf(answer());
      return found === undefined ? [] : [...directoriesAbove(path), ...directoriesAbove(found.realPath)];
    });
  }

  paths(): string[] {
    return [...this.asked.keys()].sort();
  }

  answers(withAcl: ReadonlySet<string>): Record<string, Observed<FileStat>> {
    return Object.fromEntries([...this.asked].sort(([a], [b]) => (a < b ? -1 : 1)).map(([path, answer]) =>
      [path, withAcl.has(path) ? mapObserved(answer(), (stat) => ({ ...stat, hasAcl: true })) : answer()]));
  }
}

/** Where a linked daemon.json really is: a change of that directory is a change of what the daemon reads. */
function realDirectory(files: Files, path: string): readonly string[] {
  const real = files.at(path)?.realPath;
  return real === undefined || real === path ? [] : [real, dirname(real)];
}

function textsOf(round: Round, paths: readonly string[]): () => readonly (readonly [path: string, text: Observed<string>])[] {
  const texts = paths.map((path) => [path, round.text(path)] as const);
  return () => texts.map(([path, text]) => [path, text()] as const);
}

function declareAudit(round: Round): {
  readonly texts: (second: Round) => () => readonly Observed<string>[];
  readonly parse: (texts: readonly Observed<string>[]) => AuditFacts;
} {
  const [version, status, list, listed, rules, augenrules, augenrulesUsr] = auditRequests;
  const answers = [
    round.need(version), round.need(status), round.need(list), round.need(listed), round.need(rules), round.need(augenrules), round.need(augenrulesUsr),
  ] as const;
  return {
    texts: (second) => {
      const texts = auditFileRequests(answers[3]()).map((request) => second.need(request));
      return () => texts.map((text) => text());
    },
    parse: (texts) => parseAudit([answers[0](), answers[1](), answers[2](), answers[3](), answers[4](), answers[5](), answers[6]()], texts),
  };
}

async function readEngine(engine: Engine, reader: HostReader): Promise<EngineAnswers> {
  const asked = engine.info();
  const [version, info, containers, images, networks, volumes, plugins, swarm, events] = await Promise.allSettled([
    engine.version(), asked, engine.containers(), engine.images(), engine.networks(), engine.volumes(), engine.plugins(),
    asked.then(async (answer) => {
      const { swarm: { state, manager } } = parseInfo(answer);
      return manager && state === 'active' ? present(await engine.swarm()) : absent;
    }),
    engine.events(),
  ] as const);
  if (version.status === 'rejected' && info.status === 'rejected') throw await explain(version.reason, engine.endpoint, reader);
  return {
    version: settled(version), info: settled(info), containers: settled(containers), images: settled(images), networks: settled(networks),
    volumes: settled(volumes), plugins: settled(plugins), swarm: flattened(settled(swarm), (answer) => answer),
    events: settled(events),
  };
}

/** How events are called and kept is known of Docker Engine from 20.10 (API 1.41) on. */
function execHistory(events: EngineAnswers['events'], { version }: EngineFacts, startedAt: string | null): NonNullable<Facts['execHistory']> {
  if (version.status !== 'present') return version;
  if (version.value.platform === 'Podman Engine') return unreadable('Podman tells of sessions in another way');
  return mapObserved(events, (found) => parseExecHistory(found, Number(version.value.apiVersion.split('.')[1]) >= 41 ? startedAt : null));
}

const settled = <T>(result: PromiseSettledResult<T>): Observed<T> =>
  result.status === 'fulfilled' ? present(result.value) : unreadable(messageOf(result.reason).replaceAll('\n', ' '));

/** A daemon.json that is not JSON is why many a local engine does not answer. */
async function explain(error: unknown, endpoint: Endpoint, reader: HostReader): Promise<unknown> {
  if (!(error instanceof EngineError) || endpoint.socketPath === null) return error;
  const round = new Round();
  const show = round.need({ kind: 'tool', tool: 'systemctl', args: ['show', '--no-pager', '--property=ExecStart', '--', 'docker.service'] });
  const usual = round.text(DEFAULT_CONFIG_PATH);
  await round.read(reader);
  const path = unitConfigPath(valueOf(show())?.stdout ?? '') ?? DEFAULT_CONFIG_PATH;
  const [other] = path === DEFAULT_CONFIG_PATH ? [usual()] : await reader.observe([{ kind: 'text', path }]);
  const parsed = other.status === 'present' ? parseConfigFile(other.value).parsed : undefined;
  if (parsed === undefined || parsed.ok) return error;
  const [first, ...rest] = error.message.split('\n');
  return new EngineError([
    first, `${path}, line ${parsed.line}, column ${parsed.column}: ${parsed.error}. dockerd does not start with such a file: correct it, then start the engine.`, ...rest.slice(1),
  ].join('\n'), { cause: error });
}

/** "ExecStart={ path=/usr/sbin/dockerd ; argv[]=/usr/sbin/dockerd -H fd:// ; ignore_errors=no ; … }" */
function unitConfigPath(stdout: string): string | undefined {
  const line = parseProperties(stdout)[0]?.get('ExecStart')?.[0] ?? '';
  return configFlag(/argv\[\]=(.*?) ; /.exec(line)?.[1]?.split(' ') ?? []);
}

/** Proof that the engine is this host's: absent, when it is certain that it is not. */
async function proveLocal(endpoint: Endpoint, owner: Observed<SocketOwner> | undefined, reader: HostReader): Promise<Observed<SocketOwner>> {
  if (endpoint.socketPath === null || owner === undefined) {
    // Port forwarding and published sockets make even a loopback address prove nothing, in either direction.
    return isLoopback(endpoint.url) ? unreadable(`the engine at ${endpoint.url} is reached over TCP, which does not prove that it is this host's; name its unix socket`) : absent;
  }
  let seen = owner;
  // Our own request may have started the daemon: until it takes the socket over, systemd alone holds it.
  if (seen.status !== 'present') [seen] = await reader.observe([{ kind: 'socketOwner', path: endpoint.socketPath }]);
  if (seen.status === 'absent') return unreadable(`the socket of ${endpoint.url} vanished`);
  if (seen.status === 'present' && !seen.value.sameRoot) {
    return unreadable(`the daemon that serves ${endpoint.url} (pid ${seen.value.pid}) sees other files than harden does: one of them runs in a container`);
  }
  return seen;
}

const isLoopback = (url: string): boolean => /^(localhost|127\.[\d.]+|\[::1\])$/.test(new URL(url).hostname);

const whyNotLocal = (endpoint: Endpoint, served: Observed<never>): string =>
  served.status === 'unreadable' ? served.reason : `the engine at ${endpoint.url} is not this host's`;

function engineFacts(endpoint: Endpoint, served: Observed<SocketOwner>, answers: EngineAnswers): EngineFacts {
  return {
    endpoint: endpoint.url,
    local: mapObserved(served, ({ pid }) => ({ pid })),
    version: mapObserved(answers.version, parseVersion),
    info: mapObserved(answers.info, parseInfo),
  };
}

function parseContainers({ version, containers }: EngineAnswers): Facts['containers'] {
  const { apiVersion } = valueOf(mapObserved(version, parseVersion)) ?? { apiVersion: '' };
  return mapObserved(containers, (found) => found.map(({ id, name, labels, raw, execs }): ContainerFacts => raw.status === 'present'
    ? { ...parseInspect(raw.value, { apiVersion }), execs: flattened(execs, parseExecs) }
    : { id, name, spec: raw, unmodelled: [], runtime: raw, owner: ownerOf(labels) })
    .sort((a, b) => (a.name < b.name ? -1 : 1)));
}

/** Of an engine elsewhere ps(1) on its host can be asked; here that would start a process for each container. */
async function withTop(engine: Engine, containers: Facts['containers']): Promise<Facts['containers']> {
  const running = (valueOf(containers) ?? []).filter(({ runtime }) => ['running', 'paused'].includes(valueOf(runtime)?.state ?? ''));
  const answers = await engine.top(running.map(({ id }) => id));
  return mapObserved(containers, (found) => found.map((container) => {
    const answer = answers.get(container.id);
    return answer === undefined ? container : { ...container, processes: flattened(answer, parseTop) };
  }));
}

type HostOfEngine = Observed<ReturnType<typeof parseEngineHost>>;

/** Facts of an engine that is not, or not provably, this host's. */
function withoutHost(
  facts: Pick<Facts, 'schemaVersion' | 'tool' | 'collectedAt' | 'engine' | 'containers' | 'execHistory' | 'images' | 'networks' | 'volumes' | 'plugins' | 'swarm'>,
  machine: HostOfEngine, paths: readonly string[], reason: string, euid: number,
): Facts {
  const unknown = unreadable(reason);
  const host: HostFacts = {
    hostname: valueOf(machine)?.hostname ?? '',
    architecture: valueOf(machine)?.architecture ?? '',
    os: mapObserved(machine, ({ os }) => os),
    kernel: mapObserved(machine, ({ kernel }) => kernel),
    lsm: unknown, serviceManager: unknown, euid, mounts: unknown, globalIpv6: unknown, tmpfiles: unknown,
  };
  return {
    ...facts,
    host,
    daemon: { configPath: DEFAULT_CONFIG_PATH, config: unknown, process: unknown, unit: unknown, socketUnit: unknown, environmentFiles: {} },
    files: Object.fromEntries(paths.map((path) => [path, unknown])),
    registryCerts: unknown,
    audit: { version: unknown, enabled: unknown, loaded: unknown, persistent: unknown, augenrules: false },
    accounts: unknown,
    swarmNode: unknown,
    contentTrust: unknown,
  };
}
