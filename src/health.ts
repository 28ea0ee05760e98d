import { setTimeout as sleep } from 'node:timers/promises';
import { HostError, type HostReader, type HostWriter } from './host/port.ts';
import { isTask } from './plan/restart.ts';
import { valueOf, type ContainerFacts, type Facts, type NetworkFacts } from './model.ts';

/** What a restart of the daemon must leave as it is. */
export interface HealthBaseline {
  /** Running and paused ones, but not a swarm's: what becomes of a task is its manager's decision. */
  readonly containers: readonly {
    readonly id: string;
    readonly name: string;
    readonly pid: number;
    /** ISO 8601 UTC. */
    readonly startedAt: string;
    /** null when the engine's answer could not be parsed. */
    readonly restartPolicy: string | null;
    /** Ids. */
    readonly networks: readonly string[];
  }[];
  /** `bridge`: the network's interface on this host, when it was there. */
  readonly networks: readonly { readonly id: string; readonly name: string; readonly driver: string; readonly bridge: string | null }[];
  /** Published TCP ports that answered; `host` is the address that was connected to. */
  readonly ports: readonly { readonly container: string; readonly host: string; readonly port: number }[];
  /** Names of managed plugins that were enabled. */
  readonly plugins: readonly string[];
  /** Names of the authorization plugins that were asked about each call. */
  readonly authorizationPlugins: readonly string[];
}

/** What is asked of the host: whether interfaces are there and ports answer. */
interface HealthHost {
  readonly reader: HostReader;
  readonly writer: Pick<HostWriter, 'answers'>;
}

interface HealthExpectations {
  /** Containers were to survive: the same process must still be there. */
  readonly samePids: boolean;
  /** Ports that the change takes away knowingly. */
  readonly lostPorts?: (host: string, port: number) => boolean;
  /** How long containers, networks and services may take to come back. */
  readonly timeoutMs?: number;
}

const TIMEOUT_MS = 20_000;
/** Services that were started again: a database or a virtual machine of bytecode takes its time before it listens. */
const STARTED_TIMEOUT_MS = 120_000;
const POLL_MS = 500;
/** Connections at a time: a host with a thousand ports must not meet a limit on open files. */
const MAX_PROBES = 64;

/** @throws HostError when containers or networks could not be read: then nobody could tell what was lost */
export async function takeBaseline(facts: Facts, host: HealthHost): Promise<HealthBaseline> {
  const running = containersOf(facts).filter(({ owner }) => !isTask(owner, facts)).flatMap((container) => {
    const runtime = valueOf(container.runtime);
    if (runtime === undefined) throw new HostError(`the state of container ${container.name} cannot be read, so it cannot be watched over a restart`);
    return isUp(runtime.state) ? [{ container, runtime }] : [];
  });
  // A swarm's networks come and go with the tasks that use them.
  const bridges = networksOf(facts).filter(({ scope }) => scope !== 'swarm').map((network) => ({ network, bridge: bridgeName(network) }));
  const interfaces = await presentInterfaces(bridges.flatMap(({ bridge }) => bridge ?? []), host);
  const published = new Map(running.flatMap(({ container, runtime }) => runtime.ports
    .filter(({ protocol, hostPort }) => protocol === 'tcp' && hostPort > 0)
    .map(({ ip, hostPort: port }) => ({ container: container.name, host: connectAddress(ip), port }))
    .map((port) => [`${port.host} ${port.port}`, port] as const)));
  return {
    containers: running.map(({ container: { id, name, spec }, runtime }) => ({
      id, name, pid: runtime.pid, startedAt: runtime.startedAt,
      restartPolicy: valueOf(spec)?.restart.name ?? null, networks: runtime.networks.map(({ networkId }) => networkId),
    })),
    networks: bridges.map(({ network: { id, name, driver }, bridge }) => ({ id, name, driver, bridge: bridge !== null && interfaces.has(bridge) ? bridge : null })),
    ports: await answering([...published.values()], host),
    plugins: enabledPlugins(facts) ?? [],
    authorizationPlugins: valueOf(facts.engine.info)?.authorizationPlugins ?? [],
  };
}

/**
 * What a restart took away: one sentence each, without a period; none when all is well. Looks again until nothing is missing or
 * the time is over, since daemon and services need a moment. Names in the sentences are the engine's: escape them for a terminal.
 */
export async function checkHealth(baseline: HealthBaseline, collect: () => Promise<Facts>, host: HealthHost, expectations: HealthExpectations): Promise<string[]> {
  const deadline = performance.now() + (expectations.timeoutMs ?? (expectations.samePids ? TIMEOUT_MS : STARTED_TIMEOUT_MS));
  let silent = baseline.ports.filter(({ host: address, port }) => expectations.lostPorts?.(address, port) !== true);
  for (;;) {
    const facts = await collect();
    const answered = new Set(await answering(silent, host));
    silent = silent.filter((port) => !answered.has(port));
    const interfaces = await presentInterfaces(baseline.networks.flatMap(({ bridge }) => bridge ?? []), host);
    const problems = [
      ...containerProblems(baseline, facts, expectations.samePids),
      ...networkProblems(baseline, facts, interfaces),
      ...pluginProblems(baseline, facts),
      ...silent.map(({ container, host: address, port }) => `port ${port} of container ${container} does not answer at ${address} any more`),
    ];
    if (problems.length === 0 || performance.now() >= deadline) return problems;
    await sleep(POLL_MS);
  }
}

function containerProblems(baseline: HealthBaseline, facts: Facts, samePids: boolean): string[] {
  const now = valueOf(facts.containers);
  if (now === undefined) return baseline.containers.length === 0 ? [] : ['the engine does not list its containers'];
  const byId = new Map(now.map((container) => [container.id, valueOf(container.runtime)]));
  return baseline.containers.flatMap(({ id, name, pid, startedAt }) => {
    if (!byId.has(id)) return [`container ${name} is gone`];
    const runtime = byId.get(id);
    if (runtime === undefined) return [`the state of container ${name} cannot be read`];
    if (!isUp(runtime.state)) return [`container ${name} does not run (${runtime.state})`];
    if (samePids && (runtime.pid !== pid || runtime.startedAt !== startedAt)) return [`container ${name} was restarted (process ${pid} became ${runtime.pid})`];
    return [];
  });
}

function networkProblems(baseline: HealthBaseline, facts: Facts, interfaces: ReadonlySet<string>): string[] {
  const now = valueOf(facts.networks);
  if (now === undefined) return baseline.networks.length === 0 ? [] : ['the engine does not list its networks'];
  const ids = new Set(now.map(({ id }) => id));
  // The daemon makes "bridge" anew when it starts, with another id, unless a container kept it in use (live-restore).
  const hasDefault = now.some(({ name }) => name === 'bridge');
  return baseline.networks.flatMap(({ id, name, bridge }) => {
    if (!ids.has(id) && !(name === 'bridge' && hasDefault)) return [`network ${name} is gone`];
    return bridge !== null && !interfaces.has(bridge) ? [`the interface ${bridge} of network ${name} is gone`] : [];
  });
}

/** undefined: nobody knows. */
const enabledPlugins = ({ plugins }: Facts): readonly string[] | undefined =>
  plugins === undefined ? undefined : valueOf(plugins)?.filter(({ enabled }) => enabled).map(({ name }) => name);

function pluginProblems(baseline: HealthBaseline, facts: Facts): string[] {
  const enabled = enabledPlugins(facts);
  const asked = valueOf(facts.engine.info)?.authorizationPlugins ?? [];
  const gone = enabled === undefined && baseline.plugins.length > 0 ? ['the engine does not list its plugins']
    : baseline.plugins.filter((name) => enabled?.includes(name) !== true).map((name) => `plugin ${name} is not enabled any more`);
  return [...gone, ...baseline.authorizationPlugins.filter((name) => !asked.includes(name)).map((name) => `the authorization plugin ${name} is not asked any more`)];
}

/** A paused container is up: unpausing it is its owner's business. One that restarts over and over never was. */
const isUp = (state: string): boolean => state === 'running' || state === 'paused';

function containersOf(facts: Facts): readonly ContainerFacts[] {
  const containers = valueOf(facts.containers);
  if (containers === undefined) throw new HostError('the containers cannot be listed, so they cannot be watched over a restart');
  return containers;
}

function networksOf(facts: Facts): readonly NetworkFacts[] {
  const networks = valueOf(facts.networks);
  if (networks === undefined) throw new HostError('the networks cannot be listed, so they cannot be watched over a restart');
  return networks;
}

/** The name that libnetwork gives: an option, docker0 for the default network, br- and twelve digits of the id for others. */
function bridgeName({ driver, id, name, options }: NetworkFacts): string | null {
  if (driver !== 'bridge') return null;
  const chosen = options['com.docker.network.bridge.name'] ?? '';
  const bridge = chosen !== '' ? chosen : name === 'bridge' ? 'docker0' : `br-${id.slice(0, 12)}`;
  // It becomes part of a path below /sys: only what the kernel takes as an interface's name (dev_valid_name).
  return /^[^\s/:]{1,15}$/.test(bridge) && bridge !== '.' && bridge !== '..' ? bridge : null;
}

async function presentInterfaces(names: readonly string[], { reader }: HealthHost): Promise<ReadonlySet<string>> {
  const stats = await reader.observe(names.map((name) => ({ kind: 'stat' as const, path: `/sys/class/net/${name}` })));
  return new Set(names.filter((_, index) => stats[index]?.status === 'present'));
}

/** Where to connect from this host to reach what is published on an address. */
function connectAddress(ip: string): string {
  if (ip === '' || ip === '0.0.0.0') return '127.0.0.1';
  return ip === '::' ? '::1' : ip;
}

async function answering<P extends { readonly host: string; readonly port: number }>(ports: readonly P[], { writer }: HealthHost): Promise<P[]> {
  const found: P[] = [];
  for (let start = 0; start < ports.length; start += MAX_PROBES) {
    const batch = ports.slice(start, start + MAX_PROBES);
    const results = await Promise.all(batch.map(({ host, port }) => writer.answers(host, port)));
    found.push(...batch.filter((_, index) => results[index] === true));
  }
  return found;
}
