import { readFile, stat } from 'node:fs/promises';
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import type Dockerode from 'dockerode';
import { at, object, textRecord, texts } from '../collect/json.ts';
import { sha256 } from '../digest.ts';
import { messageOf, UsageError } from '../errors.ts';
import type { Json, JsonObject, Observed } from '../model.ts';
import { mapObserved, present, unreadable } from '../model.ts';
import { CHANGING_ROUTES, READING_ROUTES, routeOf, type Route } from './authority.ts';
import type { EngineControl, Modem } from './engine-control.ts';
import { createEngineControl } from './engine-control.ts';

const DEFAULT_SOCKET = '/var/run/docker.sock';
const REQUEST_TIMEOUT_MS = 30_000;
/** The engine says nothing while it writes an archive to its disk. */
const ARCHIVE_TIMEOUT_MS = 30 * 60_000;
const CONCURRENCY = 16;
/** Sessions of one container that are looked at. */
const MAX_EXECS = 32;
/** What is asked for besides may take this long; the rest of a scan does not wait for it longer. */
const EXTRA_TIMEOUT_MS = 10_000;
const MAX_EVENT_BYTES = 4 * 1024 * 1024;
/** The engine walks the files of every container to measure them. */
const MEASURE_TIMEOUT_MS = 5 * 60_000;
/** The first version of the interface by which it can be told to leave out volumes, and whose answer is known. */
const MEASURES_PARTS = 44;

/** No engine, or none that can be talked to. Three parts: what is wrong, where, and what to do next. */
export class EngineError extends UsageError {
  override readonly name = 'EngineError';
}

/** Where an engine is, and whose choice that was. */
export interface Endpoint {
  /** unix:///var/run/docker.sock, tcp://host:2376, as the docker command writes it. */
  readonly url: string;
  /** null: reached over TCP. */
  readonly socketPath: string | null;
  readonly tls: { readonly ca?: Buffer; readonly cert?: Buffer; readonly key?: Buffer; readonly verify: boolean } | null;
  /** "--docker-host", "DOCKER_HOST", "the docker context NAME", "the default socket", "the rootless socket". */
  readonly source: string;
}

export interface EngineOptions {
  /** --docker-host. */
  readonly dockerHost?: string | undefined;
  readonly env?: NodeJS.ProcessEnv;
  /** How long `diskUsage` may take; five minutes where nothing is said. */
  readonly measureTimeoutMs?: number;
}

/** One container as the engine lists it; `raw` is what GET /containers/ID/json answers. */
export interface RawContainer {
  readonly id: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly raw: Observed<JsonObject>;
  /** What GET /exec/ID/json answers for its sessions (ExecIDs), the first `MAX_EXECS` of them; those that end meanwhile are left out. */
  readonly execs: Observed<readonly JsonObject[]>;
}

/** One image as the engine lists it, with what GET /images/ID/json and GET /images/ID/history answer. */
export interface RawImage {
  readonly listed: Json;
  readonly inspect: Observed<JsonObject>;
  readonly history: Observed<Json>;
}

/** What GET /containers/ID/changes and GET /containers/ID/stats answer about one container. */
export interface RawEvidence {
  readonly changes: Observed<Json>;
  readonly stats: Observed<Json>;
}

/** What a manager answers to GET /swarm, /nodes and /services. */
export interface RawSwarm {
  readonly swarm: JsonObject;
  readonly nodes: Observed<Json>;
  readonly services: Observed<Json>;
}

/**
 * The reads that a scan needs, as the engine's raw JSON. Each throws EngineError;
 * `containers` and `images` only when the list itself fails, `swarm` only when GET /swarm does.
 */
export interface Engine {
  readonly endpoint: Endpoint;
  version(): Promise<JsonObject>;
  info(): Promise<JsonObject>;
  /** All containers, whatever their state, inspected; those that vanish meanwhile are left out. */
  containers(): Promise<readonly RawContainer[]>;
  /**
   * The events that the engine still has in memory, oldest first. It is asked for those up to a time by its own clock, because it waits for
   * the others; what comes after that time takes room from the oldest ones, and is read afterwards, so that the number of all tells
   * whether any may be lost.
   */
  events(): Promise<readonly Json[]>;
  /** What ps(1) on the engine's host says of the processes of running containers (GET /containers/ID/top), by their ids. */
  top(ids: readonly string[]): Promise<ReadonlyMap<string, Observed<JsonObject>>>;
  /** All images that are not parts of others, inspected; those that vanish meanwhile are left out. */
  images(): Promise<readonly RawImage[]>;
  /** One image by name or id, as `images` gives it; undefined: there is none. */
  image(reference: string): Promise<RawImage | undefined>;
  /**
   * An image with all its layers as one tar (GET /images/ID/get), streamed; undefined: it vanished. The engine writes it to its data root first, which takes time
   * and as much space as the image. Whoever stops reading ends the transfer.
   */
  imageArchive(id: string): Promise<AsyncIterable<Uint8Array> | undefined>;
  /**
   * What a container changed of its image (GET /containers/ID/changes), as the JSON text of a list of { Path, Kind }, streamed; undefined: it vanished. The
   * engine may have to walk all its files first.
   */
  containerChanges(id: string, abortSignal: AbortSignal): Promise<AsyncIterable<Uint8Array> | undefined>;
  /**
   * The files of a container, whatever its state, as one tar without volumes and other mounts (GET /containers/ID/export), streamed; undefined: it vanished.
   * The engine only reads for it. Whoever stops reading ends the transfer.
   */
  containerArchive(id: string, abortSignal: AbortSignal): Promise<AsyncIterable<Uint8Array> | undefined>;
  /** One file of a container as a tar of it alone (GET /containers/ID/archive), streamed; a link is not followed; undefined: there is none, or the container vanished. */
  containerFile(id: string, path: string, abortSignal: AbortSignal): Promise<AsyncIterable<Uint8Array> | undefined>;
  /** By id; those that vanish meanwhile are left out. */
  evidence(ids: readonly string[]): Promise<ReadonlyMap<string, RawEvidence>>;
  /** GET /system/df, without volumes where the engine can leave them out. It may take minutes. */
  diskUsage(): Promise<JsonObject>;
  networks(): Promise<Json>;
  volumes(): Promise<JsonObject>;
  /** GET /plugins. */
  plugins(): Promise<Json>;
  /** Only a manager can answer. */
  swarm(): Promise<RawSwarm>;
  /** What changes it. */
  readonly control: EngineControl;
  close(): void;
}

/** Finds the engine. Nothing is sent to it yet: the first read says whether it answers. */
export async function connectEngine(options: EngineOptions = {}): Promise<Engine> {
  const endpoint = await resolveEndpoint(options.dockerHost, options.env ?? process.env);
  const Agent = endpoint.tls === null ? HttpAgent : HttpsAgent;
  const agent = new Agent({ keepAlive: true, maxSockets: CONCURRENCY, ...(endpoint.tls?.verify === false && { rejectUnauthorized: false }) });
  // docker-modem prints the options of every request in full, whether or not anyone wants its debug output: a tenth of a second for an agent.
  Object.defineProperty(agent, inspect.custom, { value: () => 'Agent' });
  /** Loaded when it is first used. */
  const clientFor = (routes: readonly Route[], timeout?: number): (() => Promise<Dockerode>) => {
    let client: Promise<Dockerode> | undefined;
    return () => (client ??= createClient(endpoint, agent, timeout).then((docker) => restricted(docker, routes)));
  };
  const patience = options.measureTimeoutMs ?? MEASURE_TIMEOUT_MS;
  const archiveClient = clientFor(READING_ROUTES, ARCHIVE_TIMEOUT_MS);
  // The signal of whoever asks comes first: a silent engine is nothing unusual there.
  const measuringClient = clientFor(READING_ROUTES, patience + REQUEST_TIMEOUT_MS);
  const askOf = (connected: () => Promise<Dockerode>) => async (what: (docker: Dockerode) => Promise<unknown>): Promise<Json> => {
    try {
      return (await what(await connected())) as Json;
    } catch (error) {
      throw engineError(error, endpoint);
    }
  };
  const ask = askOf(clientFor(READING_ROUTES));
  const expectObject = (value: Json): JsonObject => {
    if (typeof value !== 'object' || value === null || Array.isArray(value) || Buffer.isBuffer(value)) throw notDocker(endpoint, 'the answer is no JSON object');
    return value;
  };
  const expectList = (value: Json): Json[] => {
    if (isNull(value)) return [];
    if (!Array.isArray(value)) throw notDocker(endpoint, 'the answer is no JSON list');
    return value;
  };
  /** undefined: what was asked about is gone. */
  const observe = async <T>(answer: Promise<T>): Promise<Observed<T> | undefined> => {
    try {
      return present(await answer);
    } catch (error) {
      return statusOf(error) === 404 ? undefined : unreadable(messageOf(error));
    }
  };
  const listing = async (what: (docker: Dockerode) => Promise<unknown>): Promise<Observed<Json>> =>
    (await observe(ask(what).then(expectList))) ?? unreadable('the engine does not know this part of its interface');

  const sessions = async (raw: Observed<JsonObject>): Promise<Observed<readonly JsonObject[]>> => {
    if (raw.status !== 'present') return raw;
    // Each id becomes part of a URL path.
    const ids = texts(raw.value['ExecIDs']).filter((id) => /^[0-9a-f]{64}$/i.test(id)).slice(0, MAX_EXECS);
    const found = (await Promise.all(ids.map((id) => observe(ask((docker) => docker.getExec(id).inspect()).then(expectObject))))).filter((exec) => exec !== undefined);
    const failed = found.find(({ status }) => status === 'unreadable');
    return failed?.status === 'unreadable' ? failed : present(found.flatMap((exec) => (exec.status === 'present' ? [exec.value] : [])));
  };

  /** A part of a container as the engine sends it; undefined: it vanished. */
  const ofContainer = async (id: string, part: 'changes' | 'export' | `archive?path=${string}`, abortSignal: AbortSignal): Promise<AsyncIterable<Uint8Array> | undefined> => {
    // The id becomes part of a URL path.
    if (!/^[0-9a-f]{12,64}$/i.test(id)) return undefined;
    try {
      return await streamOf(await archiveClient(), `/containers/${id}/${part}`, abortSignal);
    } catch (error) {
      if (statusOf(error) === 404) return undefined;
      throw engineError(error, endpoint);
    }
  };

  return {
    endpoint,
    version: async () => {
      const version = expectObject(await ask((docker) => docker.version()));
      if (typeof version['ApiVersion'] !== 'string') throw notDocker(endpoint, '/version has no ApiVersion');
      return version;
    },
    info: async () => {
      const info = expectObject(await ask((docker) => docker.info()));
      if (typeof info['ServerVersion'] !== 'string') throw notDocker(endpoint, '/info has no ServerVersion');
      return info;
    },
    containers: async () => {
      const listed = expectList(await ask((docker) => docker.listContainers({ all: true })));
      const found = await mapConcurrently(listed, async (entry): Promise<RawContainer[]> => {
        const { Id: id, Names: names, Labels: labels } = object(entry);
        // The id becomes part of a URL path.
        if (typeof id !== 'string' || !/^[0-9a-f]{12,64}$/i.test(id)) throw notDocker(endpoint, 'a container has no id');
        const raw = await observe(ask((docker) => docker.getContainer(id).inspect()).then(expectObject));
        const name = texts(names)[0]?.replace(/^\//, '') ?? id.slice(0, 12);
        return raw === undefined ? [] : [{ id, name, labels: textRecord(labels), raw, execs: await sessions(raw) }];
      });
      return found.flat();
    },
    events: async () => {
      const abortSignal = AbortSignal.timeout(EXTRA_TIMEOUT_MS);
      const clock = async (): Promise<string> => timestampOf(expectObject(await ask((docker) => docker.info())), endpoint);
      const between = async (since: string, until: string): Promise<readonly Json[]> =>
        // Nanoseconds take a string.
        eventsOf(await ask((docker) => docker.getEvents({ since, until, abortSignal } as unknown as Dockerode.GetEventsOptions)) as unknown as NodeJS.ReadableStream, endpoint);
      const until = await clock();
      const before = await between('0', until);
      return [...before, ...await between(until, await clock())];
    },
    top: async (ids) => new Map(await mapConcurrently(ids, async (id) => [
      id, await observe(ask((docker) => docker.getContainer(id).top()).then(expectObject)) ?? unreadable('it ended meanwhile'),
    ] as const)),
    images: async () => {
      const listed = new Map(expectList(await ask((docker) => docker.listImages())).map((entry) => [object(entry)['Id'], entry]));
      const found = await mapConcurrently([...listed], async ([id, entry]): Promise<RawImage[]> => {
        // The id becomes part of a URL path.
        if (typeof id !== 'string' || !/^(sha256:)?[0-9a-f]{12,64}$/i.test(id)) throw notDocker(endpoint, 'an image has no id');
        const [inspect, history] = await Promise.all([
          observe(ask((docker) => docker.getImage(id).inspect()).then(expectObject)),
          observe(ask((docker) => docker.getImage(id).history()).then(expectList)),
        ]);
        return inspect === undefined || history === undefined ? [] : [{ listed: entry, inspect, history }];
      });
      return found.flat();
    },
    image: async (reference) => {
      // It becomes part of a URL path.
      if (!/^[A-Za-z\d][\w.:@/-]{0,511}$/u.test(reference) || reference.split('/').some((part) => /^\.*$/u.test(part))) return undefined;
      const inspect = await observe(ask((docker) => docker.getImage(reference).inspect()).then(expectObject));
      if (inspect === undefined) return undefined;
      if (inspect.status !== 'present') throw new EngineError(inspect.status === 'unreadable' ? inspect.reason : `the engine at ${endpoint.url} does not tell of ${reference}`);
      const { Id: id, RepoTags: tags, RepoDigests: digests, Created: created, Size: size } = inspect.value;
      const history = await observe(ask((docker) => docker.getImage(reference).history()).then(expectList));
      const seconds = typeof created === 'string' ? Date.parse(created) / 1000 : 0;
      return { listed: { Id: id ?? '', RepoTags: tags ?? null, RepoDigests: digests ?? null, Created: seconds, Size: size ?? 0 }, inspect, history: history ?? unreadable('the image vanished') };
    },
    containerChanges: (id, abortSignal) => ofContainer(id, 'changes', abortSignal),
    containerArchive: (id, abortSignal) => ofContainer(id, 'export', abortSignal),
    containerFile: (id, path, abortSignal) => ofContainer(id, `archive?path=${encodeURIComponent(path)}`, abortSignal),
    imageArchive: async (id) => {
      if (!/^(sha256:)?[0-9a-f]{12,64}$/i.test(id)) return undefined;
        try {
        return (await (await archiveClient()).getImage(id).get()) as AsyncIterable<Uint8Array> & NodeJS.ReadableStream;
      } catch (error) {
        if (statusOf(error) === 404) return undefined;
        throw engineError(error, endpoint);
      }
    },
    evidence: async (ids) => new Map((await mapConcurrently(ids, async (id) => {
      const container = async (what: (found: Dockerode.Container) => Promise<unknown>): Promise<Observed<Json> | undefined> => observe(ask(async (docker) => what(docker.getContainer(id))));
      const [changes, stats] = await Promise.all([container((found) => found.changes()), container((found) => found.stats({ stream: false, 'one-shot': true }))]);
      return changes === undefined || stats === undefined ? [] : [[id, { changes: mapObserved(changes, listOf), stats }] as const];
    })).flat()),
    diskUsage: async () => {
      const version = expectObject(await ask((docker) => docker.version()))['ApiVersion'];
      const inParts = typeof version === 'string' && Number(version.split('.')[1]) >= MEASURES_PARTS;
      const abortSignal = AbortSignal.timeout(patience);
      try {
        return expectObject(await measure(await measuringClient(), inParts, abortSignal));
      } catch (error) {
        throw abortSignal.aborted ? new EngineError(`the engine at ${endpoint.url} did not tell within ${Math.ceil(patience / 1000)} s how much space is used`, { cause: error }) : engineError(error, endpoint);
      }
    },
    networks: async () => expectList(await ask((docker) => docker.listNetworks())),
    volumes: async () => expectObject(await ask((docker) => docker.listVolumes())),
    plugins: async () => expectList(await ask((docker) => docker.listPlugins())),
    swarm: async () => {
      const [swarm, nodes, services] = await Promise.all([
        ask((docker) => docker.swarmInspect()).then(expectObject), listing((docker) => docker.listNodes()), listing((docker) => docker.listServices()),
      ]);
      return { swarm, nodes, services };
    },
    control: createEngineControl(askOf(clientFor(CHANGING_ROUTES)), statusOf),
    close: () => agent.destroy(),
  };
}

/** A client that sends nothing but what stands in the table: a scan cannot change an engine, whatever asks it to. */
function restricted(docker: Dockerode, routes: readonly Route[]): Dockerode {
  const modem = docker.modem as Modem;
  const dial = modem.dial.bind(modem);
  modem.dial = (options, callback) => {
    if (routeOf(routes, options.method, options.path.replace(/[?&]$/u, '')) !== null) dial(options, callback);
    else callback(new Error(`${options.method} ${options.path} is not among the requests that harden ${routes === READING_ROUTES ? 'looks' : 'makes changes'} with`), null);
  };
  return docker;
}

/** The client's own call cannot name parts, and takes the newest version of the interface, whose answer may be another one. */
const measure = (docker: Dockerode, inParts: boolean, abortSignal: AbortSignal): Promise<Json> => new Promise((resolve, reject) => {
  const what = inParts ? { path: `/v1.${MEASURES_PARTS}/system/df?`, options: { _query: { type: ['image', 'container', 'build-cache'] } } } : { path: '/system/df' };
  (docker.modem as Modem).dial({ ...what, method: 'GET', statusCodes: { 200: true }, abortSignal }, (error, answer) => {
    if (error === null || error === undefined) resolve(answer as Json);
    else reject(error);
  });
});

/** An answer as it comes: the client's own calls hold it as a whole, or take no signal. */
const streamOf = (docker: Dockerode, path: string, abortSignal: AbortSignal): Promise<AsyncIterable<Uint8Array>> => new Promise((resolve, reject) => {
  // Of a path with a query the client takes the last character away.
  (docker.modem as Modem).dial({ path: path.includes('?') ? `${path}&` : path, method: 'GET', isStream: true, statusCodes: { 200: true }, abortSignal }, (error, answer) => {
    if (error === null || error === undefined) resolve(answer as AsyncIterable<Uint8Array>);
    else reject(error);
  });
});

/** The engine's clock in GET /info as its interface takes it: seconds since 1970 with nanoseconds. */
function timestampOf(info: JsonObject, endpoint: Endpoint): string {
  const time = info['SystemTime'];
  const seconds = typeof time === 'string' ? Math.floor(Date.parse(time) / 1000) : Number.NaN;
  if (typeof time !== 'string' || !(seconds > 0)) throw new EngineError(`the engine at ${endpoint.url} does not tell its time`);
  return `${seconds}.${(/\.(\d{1,9})/.exec(time)?.[1] ?? '').padEnd(9, '0')}`;
}

/** One JSON object after the other. */
async function eventsOf(stream: NodeJS.ReadableStream, endpoint: Endpoint): Promise<readonly Json[]> {
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of stream) {
      const bytes = Buffer.from(chunk);
      size += bytes.length;
      if (size > MAX_EVENT_BYTES) throw new EngineError(`the events of ${endpoint.url} take more than ${MAX_EVENT_BYTES} bytes`);
      chunks.push(bytes);
    }
    return Buffer.concat(chunks).toString('utf8').split('\n').filter((line) => line.trim() !== '').map((line) => JSON.parse(line) as Json);
  } catch (error) {
    throw engineError(error, endpoint);
  }
}

/** Go writes null for a list that nobody put anything into, and the client hands on as bytes what is no object. */
const isNull = (value: Json): boolean => value === null || (Buffer.isBuffer(value) && value.toString('utf8', 0, 8).trim() === 'null');
const listOf = (value: Json): Json => isNull(value) ? [] : value;

async function mapConcurrently<T, U>(items: readonly T[], f: (item: T) => Promise<U>): Promise<U[]> {
  const results: U[] = [];
  const entries = items.entries();
  await Promise.all(Array.from({ length: CONCURRENCY }, async () => {
    for (const [index, item] of entries) results[index] = await f(item);
  }));
  return results;
}

async function createClient(endpoint: Endpoint, agent: HttpAgent, timeout = REQUEST_TIMEOUT_MS): Promise<Dockerode> {
  const { loadDockerode } = await import('./dockerode.ts');
  const Client = loadDockerode();
  const { hostname, port } = endpoint.socketPath === null ? new URL(endpoint.url) : { hostname: '', port: '' };
  const protocol = endpoint.tls === null ? 'http' : 'https';
  const { ca, cert, key } = endpoint.tls ?? {};
  const options: Dockerode.DockerOptions & { readonly agent: HttpAgent } = {
    ...(endpoint.socketPath === null ? { host: `${protocol}://${hostname}`, port, protocol, ca, cert, key } : { socketPath: endpoint.socketPath }),
    timeout,
    agent,
  };
  // The client mixes DOCKER_HOST into the options it is given; the endpoint is already decided.
  const { DOCKER_HOST: inherited } = process.env;
  delete process.env['DOCKER_HOST'];
  try {
    return new Client(options);
  } finally {
    if (inherited !== undefined) process.env['DOCKER_HOST'] = inherited;
  }
}

/** The same order as the docker command: flag, DOCKER_HOST, context, default; then the rootless socket if only that exists. */
export async function resolveEndpoint(dockerHost: string | undefined, env: NodeJS.ProcessEnv): Promise<Endpoint> {
  if (dockerHost !== undefined) return endpointOf(dockerHost, '--docker-host', await environmentTls(env));
  if (isSet(env['DOCKER_HOST'])) return endpointOf(env['DOCKER_HOST'], 'DOCKER_HOST', await environmentTls(env));
  const context = await currentContext(env);
  if (context !== undefined) return context;
  const rootless = isSet(env['XDG_RUNTIME_DIR']) ? join(env['XDG_RUNTIME_DIR'], 'docker.sock') : undefined;
  if (rootless !== undefined && !(await exists(DEFAULT_SOCKET)) && (await exists(rootless))) {
    return endpointOf(`unix://${rootless}`, 'the rootless socket', null);
  }
  return endpointOf(`unix://${DEFAULT_SOCKET}`, 'the default socket', null);
}

const isSet = (value: string | undefined): value is string => value !== undefined && value !== '';

const exists = async (path: string): Promise<boolean> => {
  try {
    await stat(path);
    return true;
  } catch {
    return false;
  }
};

function endpointOf(address: string, source: string, tls: Endpoint['tls']): Endpoint {
  const url = address.includes('://') ? address : `tcp://${address}`;
  const scheme = url.slice(0, url.indexOf('://'));
  if (scheme === 'unix') {
    const path = url.slice('unix://'.length) || DEFAULT_SOCKET;
    if (!path.startsWith('/')) throw new EngineError(`${source}: ${address} has no absolute path.\nWrite unix:///path/to/docker.sock.`);
    return { url: `unix://${path}`, socketPath: path, tls: null, source };
  }
  if (scheme === 'ssh') {
    throw new EngineError(`${source}: ${address}: engines behind ssh are not supported yet.\nRun harden on that host, or give it a tcp:// or unix:// address.`);
  }
  if (scheme !== 'tcp' && scheme !== 'http' && scheme !== 'https') {
    throw new EngineError(`${source}: ${address}: this kind of address is not supported.\nUse unix:///path/to/docker.sock or tcp://host:port.`);
  }
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (parsed === undefined || parsed.hostname === '') throw new EngineError(`${source}: ${address} is not an address.\nUse tcp://host:port.`);
  const secure = tls ?? (scheme === 'https' ? { verify: true } : null);
  const port = parsed.port || (secure === null ? '2375' : '2376');
  return { url: `${scheme}://${parsed.hostname}:${port}`, socketPath: null, tls: secure, source };
}

const configDirectory = (env: NodeJS.ProcessEnv): string =>
  isSet(env['DOCKER_CONFIG']) ? env['DOCKER_CONFIG'] : join(isSet(env['HOME']) ? env['HOME'] : homedir(), '.docker');

/** DOCKER_TLS_VERIFY and DOCKER_TLS count when they are not empty, whatever their value. */
async function environmentTls(env: NodeJS.ProcessEnv): Promise<Endpoint['tls']> {
  const verify = isSet(env['DOCKER_TLS_VERIFY']);
  if (!verify && !isSet(env['DOCKER_TLS'])) return null;
  return readTls(isSet(env['DOCKER_CERT_PATH']) ? env['DOCKER_CERT_PATH'] : configDirectory(env), verify);
}

async function readTls(directory: string, verify: boolean): Promise<NonNullable<Endpoint['tls']>> {
  const optional = async (name: string): Promise<Buffer | undefined> => {
    try {
      return await readFile(join(directory, name));
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
      throw new EngineError(`cannot read the engine's TLS file ${join(directory, name)}: ${messageOf(error)}.\nCorrect DOCKER_CERT_PATH or the file's mode.`);
    }
  };
  const [ca, cert, key] = await Promise.all([optional('ca.pem'), optional('cert.pem'), optional('key.pem')]);
  return { verify, ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }) };
}

/** undefined: no context is chosen, or the one called default, which stands for the default socket. */
async function currentContext(env: NodeJS.ProcessEnv): Promise<Endpoint | undefined> {
  const directory = configDirectory(env);
  const name = isSet(env['DOCKER_CONTEXT']) ? env['DOCKER_CONTEXT'] : await configuredContext(directory);
  if (name === undefined || name === '' || name === 'default') return undefined;
  const source = `the docker context ${name}`;
  const id = sha256(name);
  const path = join(directory, 'contexts', 'meta', id, 'meta.json');
  const docker = field(field(await readJson(path, source), 'Endpoints'), 'docker');
  const host = field(docker, 'Host');
  if (typeof host !== 'string' || host === '') {
    throw new EngineError(`${source} names no Docker endpoint (${path}).\nChoose another with "docker context use", or give --docker-host.`);
  }
  const directoryOfTls = join(directory, 'contexts', 'tls', id, 'docker');
  const skipVerify = field(docker, 'SkipTLSVerify') === true;
  return endpointOf(host, source, skipVerify || (await exists(directoryOfTls)) ? await readTls(directoryOfTls, !skipVerify) : null);
}

const field = (value: unknown, name: string): unknown =>
  typeof value === 'object' && value !== null && Object.hasOwn(value, name) ? (value as Record<string, unknown>)[name] : undefined;

async function configuredContext(directory: string): Promise<string | undefined> {
  const path = join(directory, 'config.json');
  if (!(await exists(path))) return undefined;
  const name = field(await readJson(path, 'the docker configuration'), 'currentContext');
  return typeof name === 'string' ? name : undefined;
}

async function readJson(path: string, source: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as unknown;
  } catch (error) {
    throw new EngineError(`${source}: cannot read ${path}: ${messageOf(error)}.\nCorrect it, or name the engine with --docker-host.`);
  }
}

const statusOf = (error: unknown): number | undefined => {
  const cause = error instanceof EngineError ? error.cause : error;
  return cause instanceof Error && 'statusCode' in cause && typeof cause.statusCode === 'number' ? cause.statusCode : undefined;
};

const notDocker = (endpoint: Endpoint, why: string, cause?: unknown): EngineError =>
  new EngineError(`what answers at ${endpoint.url} is not a Docker engine: ${why}.\nName the engine with --docker-host (this one is from ${endpoint.source}).`, { cause });

function engineError(error: unknown, endpoint: Endpoint): EngineError {
  if (error instanceof EngineError) return error;
  const make = (what: string, next: string): EngineError => new EngineError(`${what} (from ${endpoint.source}).\n${next}`, { cause: error });
  const { url } = endpoint;
  const code = error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
  const status = statusOf(error);
  const message = messageOf(error).trim();

  if (/HTTP request to an HTTPS server/i.test(message)) {
    return make(`the engine at ${url} speaks TLS only`, 'Set DOCKER_TLS_VERIFY=1, and DOCKER_CERT_PATH to the directory of its certificates.');
  }
  if (status === 401 || status === 403) {
    return make(`the engine at ${url} refused a request (HTTP ${status})`, 'An authorization plugin or a proxy in front of the engine does that; allow reads.');
  }
  if (status !== undefined) {
    // Every error of the engine's API is a JSON object with one member, the message.
    const said = at(error instanceof Error && 'json' in error ? (error.json as Json) : null, 'message');
    return typeof said === 'string'
      ? make(`the engine at ${url} refused a request (HTTP ${status}): ${said.slice(0, 200)}`, "The engine's log says more.")
      : notDocker(endpoint, `it answers with HTTP ${status}`, error);
  }
  switch (code) {
    case 'ENOENT':
      return make(`no Docker engine at ${url}: the socket does not exist`, startHint(endpoint));
    case 'ECONNREFUSED':
      return make(`no Docker engine at ${url}: nothing listens there`, startHint(endpoint));
    case 'EACCES':
    case 'EPERM':
      return make(`permission denied for the engine's socket ${url}`, 'Run as root (add sudo): what harden looks at needs it. Membership in the docker group lets it read the engine only.');
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return make(`the name in ${url} does not resolve`, 'Correct the address.');
    case 'ETIMEDOUT':
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
      return make(`the engine at ${url} does not answer`, 'See that it runs and that no firewall is in between.');
    case 'ECONNRESET':
      return make(`the engine at ${url} closed the connection, or said nothing for ${REQUEST_TIMEOUT_MS / 1000} s`, 'See that it runs; its log says more.');
  }
  if (/^(ERR_TLS|ERR_SSL|CERT_|UNABLE_TO_|DEPTH_ZERO|SELF_SIGNED|EPROTO)/.test(code)) {
    // OpenSSL's own message is a line of its source; `reason` is the part for people.
    const reason = error instanceof Error && 'reason' in error && typeof error.reason === 'string' ? error.reason : message;
    return make(`no trusted TLS connection to ${url}: ${reason}`, 'See that DOCKER_CERT_PATH holds the ca.pem, cert.pem and key.pem for this engine.');
  }
  if (code.startsWith('HPE_')) return notDocker(endpoint, 'it does not speak HTTP');
  return make(`no answer from the engine at ${url}: ${message}`, 'See that it runs; its log says more.');
}

function startHint({ socketPath, source }: Endpoint): string {
  const start = socketPath === null ? 'See that it runs and listens there' : 'Start it (systemctl start docker)';
  // sudo drops DOCKER_HOST, so what was found as a user may be lost as root.
  const sudo = source === 'the default socket' && process.env['SUDO_USER'] !== undefined ? '; sudo drops DOCKER_HOST' : '';
  return `${start}, or name another with --docker-host${sudo}.`;
}
