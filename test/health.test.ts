import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { checkHealth, takeBaseline, type HealthBaseline } from '../src/health.ts';
import { createLocalReader } from '../src/host/local-reader.ts';
import { createLocalWriter } from '../src/host/local-writer.ts';
import { absent, present, unreadable, valueOf, type ContainerFacts, type ContainerRuntime, type Facts, type NetworkFacts } from '../src/model.ts';
import { loadHost } from './hosts.ts';

const host = { reader: createLocalReader(), writer: createLocalWriter() };

const servers = new Set<Server>();
const close = async (server: Server): Promise<void> => {
  servers.delete(server);
  await new Promise((resolve) => server.close(resolve));
};
afterEach(async () => {
  for (const server of servers) await close(server);
});
async function listen(onConnection: (socket: Socket) => void, address = '127.0.0.1', port = 0): Promise<{ server: Server; port: number }> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.on('end', () => socket.end());
    onConnection(socket);
  });
  servers.add(server);
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, address, resolve));
  return { server, port: (server.address() as AddressInfo).port };
}

const container = (name: string, runtime: Partial<ContainerRuntime> = {}): ContainerFacts => {
  const recorded = (valueOf(loadHost('stock-debian').containers) ?? [])[0];
  const old = valueOf(recorded?.runtime ?? absent);
  if (recorded === undefined || old === undefined) throw new Error('the recorded host has no container');
  return { ...recorded, id: `id-${name}`, name, runtime: present({ ...old, ports: [], ...runtime }) };
};
const network = (name: string, patch: Partial<NetworkFacts> = {}): NetworkFacts =>
  ({ id: `${name}0123456789abcdef`, name, driver: 'bridge', scope: 'local', internal: false, ipv6: false, options: {}, ...patch });
const onInterface = (name: string): NetworkFacts['options'] => ({ 'com.docker.network.bridge.name': name });
const factsOf = (containers: readonly ContainerFacts[], networks: readonly NetworkFacts[] = []): Facts =>
  ({ ...loadHost('stock-debian'), containers: present(containers), networks: present(networks) });
const port = (ip: string, hostPort: number, protocol = 'tcp'): ContainerRuntime['ports'][number] => ({ ip, hostPort, containerPort: 80, protocol });

const check = (baseline: HealthBaseline, after: Facts, samePids = true, timeoutMs = 0): Promise<string[]> =>
  checkHealth(baseline, () => Promise.resolve(after), host, { samePids, timeoutMs });

describe('takeBaseline', () => {
  it('leaves tasks and networks to a swarm that there is, and believes no label where there is none', async () => {
    const task: ContainerFacts = { ...container('web.1'), owner: { kind: 'swarm', service: 'web', task: 'web.1.x' } };
    const facts = factsOf([task, container('plain')], [network('mesh', { driver: 'overlay', scope: 'swarm' }), network('own')]);
    const info = valueOf(facts.engine.info);
    if (info === undefined) throw new Error('the recorded host has no /info');
    const inSwarm: Facts = { ...facts, engine: { ...facts.engine, info: present({ ...info, swarm: { ...info.swarm, state: 'active' } }) } };
    const names = async (seen: Facts): Promise<string[]> => (await takeBaseline(seen, host)).containers.map(({ name }) => name);
    expect(await names(inSwarm)).toEqual(['plain']);
    expect(await names(facts)).toEqual(['web.1', 'plain']);
    expect((await takeBaseline(inSwarm, host)).networks.map(({ name }) => name)).toEqual(['own']);
  });

  it('keeps what is up, which interfaces are there, and the published TCP ports that answer', async () => {
    const web = await listen(() => undefined);
    const proxy = await listen((socket) => socket.end());
    const gone = await listen(() => undefined);
    await close(gone.server);
    const baseline = await takeBaseline(factsOf([
      container('web', { pid: 7, ports: [port('0.0.0.0', web.port), port('', web.port), port('127.0.0.1', proxy.port), port('127.0.0.1', gone.port), port('0.0.0.0', web.port, 'udp')] }),
      container('paused', { state: 'paused' }), container('off', { state: 'exited', ports: [port('127.0.0.1', web.port)] }), container('looping', { state: 'restarting' }),
    ], [network('own', { options: onInterface('lo') }), network('plain'), network('odd', { options: onInterface('../net/lo') }), network('flat', { driver: 'macvlan' })]), host);
    expect(baseline.containers.map(({ name }) => name)).toEqual(['web', 'paused']);
    expect(baseline.containers[0]).toMatchObject({ id: 'id-web', pid: 7, restartPolicy: 'unless-stopped' });
    expect(baseline.networks.map(({ name, bridge }) => [name, bridge])).toEqual([['own', 'lo'], ['plain', null], ['odd', null], ['flat', null]]);
    expect(baseline.ports).toEqual([{ container: 'web', host: '127.0.0.1', port: web.port }]);
  });

  it.each<[string, Partial<Facts>]>([
    ['the containers', { containers: unreadable('denied') }],
    ['the networks', { networks: unreadable('denied') }],
    ['the state of container x', { containers: present([{ ...container('x'), runtime: unreadable('odd') }]) }],
  ])('is not taken when %s cannot be read', async (what, patch) => {
    await expect(takeBaseline({ ...factsOf([]), ...patch }, host)).rejects.toThrow(what);
  });
});

describe('checkHealth', () => {
  const before = [container('web', { pid: 7 }), container('db', { pid: 8 })];
  const networks = [network('bridge', { options: onInterface('lo') }), network('own', { options: onInterface('lo') })];

  it.each<[string, Facts, boolean, string[]]>([
    ['nothing changed', factsOf(before, networks), true, []],
    ['containers were restarted as they had to be', factsOf([container('web', { pid: 9 }), container('db', { pid: 10 })], networks), false, []],
    ['containers were restarted that should have survived', factsOf([container('web', { pid: 9 }), before[1] ?? container('db')], networks), true, ['container web was restarted (process 7 became 9)']],
    ['a container came back under its old process id', factsOf([container('web', { pid: 7, startedAt: '2026-11-22T00:00:00Z' }), before[1] ?? container('db')], networks), true, ['container web was restarted (process 7 became 7)']],
    ['one stopped, one is gone', factsOf([container('web', { state: 'exited', pid: 0 })], networks), false, ['container web does not run (exited)', 'container db is gone']],
    ['one is in a restart loop', factsOf([container('web', { state: 'restarting' }), before[1] ?? container('db')], networks), false, ['container web does not run (restarting)']],
    ['the predefined network was made anew, another is gone', factsOf(before, [network('bridge', { id: 'new' })]), true, ['network own is gone']],
    ['the engine lists nothing', { ...factsOf([]), containers: unreadable('x'), networks: unreadable('x') }, true, ['the engine does not list its containers', 'the engine does not list its networks']],
  ])('%s', async (_, after, samePids, problems) => {
    expect(await check(await takeBaseline(factsOf(before, networks), host), after, samePids)).toEqual(problems);
  });

  it('misses the interface of a network that is still listed', async () => {
    const baseline = await takeBaseline(factsOf([], networks), host);
    const gone = { ...baseline, networks: baseline.networks.map((one) => ({ ...one, bridge: 'harden-none0' })) };
    expect(await check(gone, factsOf([], networks))).toEqual(['the interface harden-none0 of network bridge is gone', 'the interface harden-none0 of network own is gone']);
  });

  it('waits for a service that comes back, and names the port of one that does not', async () => {
    const back = await listen(() => undefined);
    const dead = await listen(() => undefined);
    const facts = factsOf([container('web', { ports: [port('0.0.0.0', back.port), port('0.0.0.0', dead.port)] })]);
    const baseline = await takeBaseline(facts, host);
    expect(baseline.ports).toHaveLength(2);
    await close(back.server);
    await close(dead.server);
    // docker-proxy is back at once and closes what it accepts, the service behind it a moment later.
    const proxies = [await listen((socket) => socket.end(), '127.0.0.1', back.port), await listen((socket) => socket.end(), '127.0.0.1', dead.port)];
    const message = `port ${dead.port} of container web does not answer at 127.0.0.1 any more`;
    setTimeout(() => {
      const [proxy] = proxies;
      if (proxy !== undefined) void close(proxy.server).then(() => listen(() => undefined, '127.0.0.1', back.port));
    }, 700);
    expect(await check(baseline, facts, true, 2_500)).toEqual([message]);
    const lostPorts = (_: string, lost: number): boolean => lost === dead.port;
    expect(await checkHealth(baseline, () => Promise.resolve(facts), host, { samePids: true, timeoutMs: 0, lostPorts })).toEqual([]);
  }, 15_000);

  it('looks again at containers until the time is over', async () => {
    let looks = 0;
    const collect = (): Promise<Facts> => Promise.resolve((looks += 1) < 3 ? factsOf([container('web', { state: 'created' })]) : factsOf([container('web')]));
    expect(await checkHealth(await takeBaseline(factsOf([container('web')]), host), collect, host, { samePids: false, timeoutMs: 5_000 })).toEqual([]);
    expect(looks).toBe(3);
  });
});

describe('plugins', () => {
  const plugin = (name: string, enabled: boolean): { name: string; enabled: boolean; types: string[] } => ({ name, enabled, types: ['volumedriver'] });
  const withPlugins = (plugins: Facts['plugins'], authorizationPlugins: readonly string[]): Facts => {
    const facts = factsOf([]);
    const info = valueOf(facts.engine.info);
    if (info === undefined) throw new Error('the recorded host has no /info');
    return { ...facts, engine: { ...facts.engine, info: present({ ...info, authorizationPlugins }) }, ...(plugins !== undefined && { plugins }) };
  };

  it('that were enabled have to be so afterwards, and those that authorize calls have to be asked', async () => {
    const baseline = await takeBaseline(withPlugins(present([plugin('store:latest', true), plugin('off:latest', false)]), ['guard']), host);
    expect([baseline.plugins, baseline.authorizationPlugins]).toEqual([['store:latest'], ['guard']]);
    expect(await check(baseline, withPlugins(present([plugin('store:latest', true)]), ['guard']))).toEqual([]);
    expect(await check(baseline, withPlugins(present([plugin('store:latest', false)]), []))).toEqual([
      'plugin store:latest is not enabled any more', 'the authorization plugin guard is not asked any more',
    ]);
    expect(await check(baseline, withPlugins(unreadable('no'), ['guard']))).toEqual(['the engine does not list its plugins']);
    expect(await check(await takeBaseline(withPlugins(unreadable('no'), []), host), withPlugins(undefined, []))).toEqual([]);
  });
});
