import { readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { createHash } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { fileStatPaths } from '../checks/files/files.ts';
import { auditStatPaths } from '../src/collect/audit.ts';
import { checks } from '../checks/index.ts';
import { collect } from '../src/collect.ts';
import { systemUnit } from '../src/collect/daemon.ts';
import { parseInfo, parseVersion } from '../src/collect/engine-api.ts';
import { parseMountInfo, parseOsRelease } from '../src/collect/host.ts';
import { parseInspect } from '../src/container/from-inspect.ts';
import { connectEngine, EngineError, resolveEndpoint } from '../src/host/engine.ts';
import type { HostReader, ReadRequest, SocketOwner } from '../src/host/port.ts';
import type { Facts, JsonObject, Observed } from '../src/model.ts';
import { absent, present, unreadable, valueOf } from '../src/model.ts';
import { defaultPolicy } from '../src/policy.ts';
import { exportSnapshot, loadSnapshot } from '../src/snapshot.ts';

/** What scripts/record-host.mjs wrote on a real host. */
interface Recording {
  readonly engine: Readonly<Record<'version' | 'info', JsonObject>> & Readonly<Record<'images' | 'networks' | 'containers', readonly JsonObject[]>> & { readonly volumes: JsonObject };
  readonly reads: readonly { readonly request: ReadRequest; readonly result: Observed<unknown> }[];
}

const recording = (name: string): Recording =>
  JSON.parse(readFileSync(new URL(`../fixtures/raw/systemd/${name}.json`, import.meta.url), 'utf8')) as Recording;

const SOCKET = '/var/run/docker.sock';
const keyOf = (request: ReadRequest): string => JSON.stringify(request);

/** Answers as the recorded host did, but for what `change` knows better; keeps the rounds that were asked. */
function replay({ reads }: Recording, change: (request: ReadRequest) => Observed<unknown> | undefined = () => undefined): HostReader & { readonly rounds: (readonly ReadRequest[])[] } {
  const known = new Map(reads.map(({ request, result }) => [keyOf(request), result]));
  const rounds: (readonly ReadRequest[])[] = [];
  return {
    rounds,
    observe: (requests) => {
      rounds.push(requests);
      const results = requests.map((request) => change(request) ?? known.get(keyOf(request.kind === 'socketOwner' ? { ...request, path: SOCKET } : request)) ?? absent);
      return Promise.resolve(results as never);
    },
  };
}

type Answers = (path: string) => { readonly status: number; readonly body: unknown };

const answersOf = ({ engine }: Recording): Answers => (path) => {
  const id = /^\/containers\/([0-9a-f]{64})\/json$/.exec(path)?.[1];
  const container = engine.containers.find(({ Id }) => Id === id);
  if (container !== undefined) return { status: 200, body: container };
  const image = engine.images.find(({ Id }) => path.startsWith(`/images/${Id as string}/`));
  if (image !== undefined) return { status: 200, body: path.endsWith('/history') ? [{ Comment: 'Imported from -', Created: image['Created'], CreatedBy: '', Size: image['Size'] }] : { ...image, Config: { Cmd: ['sh'] } } };
  switch (path.replace(/\?.*/, '')) {
    case '/version': return { status: 200, body: engine.version };
    case '/info': return { status: 200, body: engine.info };
    case '/images/json': return { status: 200, body: engine.images };
    case '/networks': return { status: 200, body: engine.networks };
    case '/volumes': return { status: 200, body: engine.volumes };
    case '/containers/json': return { status: 200, body: engine.containers.map(({ Id, Name, Config }) => ({ Id, Names: [Name], Labels: (Config as JsonObject)['Labels'] })) };
    default: return { status: 404, body: { message: 'page not found' } };
  }
};

let directory: string;
let socket: string;
const servers: Server[] = [];
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'harden-collect-'));
  socket = join(directory, 'engine.sock');
});
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});
afterAll(() => rm(directory, { recursive: true }));

async function listen(handler: (request: IncomingMessage, response: ServerResponse) => void, tcp = false): Promise<Server> {
  const server = createServer(handler);
  servers.push(server);
  await rm(socket, { force: true });
  await new Promise<void>((resolve) => tcp ? server.listen(0, '127.0.0.1', resolve) : server.listen(socket, resolve));
  return server;
}

/** An engine that answers over a real socket; returns what was asked of it. */
async function serve(answers: Answers, tcp = false): Promise<{ readonly asked: string[]; readonly dockerHost: string }> {
  const asked: string[] = [];
  const server = await listen((request, response) => {
    asked.push(request.url ?? '');
    const { status, body } = answers(request.url ?? '');
    response.writeHead(status, { 'content-type': 'application/json' }).end(typeof body === 'string' ? body : JSON.stringify(body));
  }, tcp);
  return { asked, dockerHost: tcp ? `tcp://127.0.0.1:${(server.address() as AddressInfo).port}` : `unix://${socket}` };
}

const reasonsOf = (facts: Facts): Set<string> => new Set(
  [facts.host.lsm, facts.host.serviceManager, facts.host.mounts, facts.daemon.config, facts.daemon.process, facts.daemon.unit, facts.daemon.socketUnit,
    facts.registryCerts, facts.audit.loaded, facts.audit.persistent, facts.accounts, ...Object.values(facts.files)].map((observed) => observed.status === 'unreadable' ? observed.reason : observed.status));

describe.each([
  ['bookworm', '20.10.24+dfsg1', '1.41', '/lib/systemd/system/docker.service'],
  ['trixie', '26.1.5+dfsg1', '1.45', '/usr/lib/systemd/system/docker.service'],
])('a recorded host: %s', (name, version, apiVersion, fragmentPath) => {
  const recorded = recording(name);
  let facts: Facts;
  const reader = replay(recorded);
  let asked: string[];
  beforeAll(async () => {
    const engine = await serve(answersOf(recorded));
    facts = await collect({ dockerHost: engine.dockerHost, reader });
    ({ asked } = engine);
  });

  it('is known whole', () => {
    const owner = recorded.reads.find(({ request }) => request.kind === 'socketOwner')?.result as Observed<SocketOwner>;
    const { pid, startedAt } = valueOf(owner) ?? { pid: 0, startedAt: '' };
    expect(facts).toMatchObject({
      schemaVersion: 1,
      host: { hostname: 'host1', architecture: 'x86_64', euid: 0, os: { value: { id: 'debian' } }, kernel: { value: '6.18.44' }, serviceManager: { value: 'systemd' }, tmpfiles: { value: true } },
      engine: { endpoint: `unix://${socket}`, local: { value: { pid } }, version: { value: { version, apiVersion } }, info: { value: { dockerRootDir: '/var/lib/docker', liveRestore: false } } },
      daemon: {
        configPath: '/etc/docker/daemon.json',
        config: { value: { bom: false, parsed: { ok: true, value: { 'log-level': 'info', tlscacert: '/etc/docker/ca.pem' } } } },
        process: { value: { pid, uid: 0, startedAt, argv: ['/usr/sbin/dockerd', '-H', 'fd://', '--containerd=/run/containerd/containerd.sock'] } },
        unit: { value: { name: 'docker.service', fragmentPath, mainPid: pid, killMode: 'process', canReload: true, environmentFiles: [{ path: '/etc/default/docker', optional: true }] } },
        socketUnit: { value: { listen: ['/run/docker.sock'], mode: 0o660, user: 'root', group: 'docker', active: true } },
        environmentFiles: { '/etc/default/docker': { status: 'present' }, '/etc/sysconfig/docker': { status: 'absent' } },
      },
      registryCerts: { value: ['/etc/docker/certs.d/registry.test:5000', '/etc/docker/certs.d/registry.test:5000/ca.crt'] },
    });
    expect(valueOf(facts.daemon.unit)?.sources.map(({ path }) => path)).toEqual([fragmentPath]);
    expect(valueOf(facts.containers)?.map(({ name: container, runtime }) => [container, valueOf(runtime)?.state])).toEqual([['db', 'running'], ['web', 'running']]);
    expect(valueOf(facts.containers)?.[1]).toMatchObject({ spec: { value: { restart: { name: 'always' }, network: { ports: [{ hostPort: '8080', containerPort: 80 }] } } } });
    expect(valueOf(facts.networks)?.find((network) => network.name === 'bridge')?.options).toMatchObject({ 'com.docker.network.bridge.enable_icc': 'true' });
    expect(valueOf(facts.accounts)?.groups.find((group) => group.name === 'docker')).toBeDefined();
    expect([facts.volumes, facts.daemon.otherSockets]).toEqual([present([]), present([])]);
  });

  it('was looked at wherever a check may look', () => {
    const looked = Object.keys(facts.files);
    expect(looked).toEqual([...looked].sort());
    expect(looked).toEqual(expect.arrayContaining([...fileStatPaths, ...auditStatPaths, socket, '/etc/docker/ca.pem', '/etc/docker/certs.d/registry.test:5000/ca.crt', fragmentPath, fragmentPath.replace('.service', '.socket'), '/usr', '/etc/docker/certs.d']));
  });

  it('was asked for everything once, in three rounds', () => {
    expect(reader.rounds).toHaveLength(3);
    const requests = reader.rounds.flat().map(keyOf);
    expect(requests.filter((request, index) => requests.indexOf(request) !== index)).toEqual([]);
    // The time is asked for apart, right before the events.
    expect(asked.filter((path, index) => asked.indexOf(path) !== index)).toEqual(['/info']);
    expect(asked).toHaveLength(9 + recorded.engine.containers.length + 2 * recorded.engine.images.length);
    expect(reader.rounds.flat().filter(({ kind }) => kind === 'tool').length).toBeLessThanOrEqual(8);
  });

  it('tells how much space is used where that is asked for', async () => {
    const measured = { LayersSize: 30, Images: [{ Id: 'sha256:a', Size: 20, SharedSize: 5 }, { Id: 'sha256:b', Size: 15, SharedSize: -1 }], Containers: [{ Id: 'c', SizeRw: 7 }, { Id: 'd' }, { Id: 'e', SizeRw: -1 }],
      BuildCache: [{ Size: 1, InUse: true, Shared: false }, { Size: 2, InUse: false, Shared: true }, { Size: 4, InUse: false, Shared: false }], Volumes: null };
    const usageOf = async (body: unknown, status = 200): Promise<readonly [Facts['diskUsage'], readonly string[]]> => {
      const { asked: seen, dockerHost } = await serve((path) => path.includes('/system/df') ? { status, body } : answersOf(recorded)(path));
      const { diskUsage } = await collect({ dockerHost, reader: replay(recorded), diskUsage: true });
      return [diskUsage, seen.filter((path) => path.includes('/system/df'))];
    };
    expect(facts.diskUsage).toBeUndefined();
    const images = [{ id: 'sha256:a', size: 20, shared: 5 }, { id: 'sha256:b', size: 15, shared: null }];
    // Volumes are left out where the engine can do that: measuring them takes longest.
    expect(await usageOf(measured)).toEqual([
      present({ layers: 30, images, containers: [{ id: 'c', written: 7 }, { id: 'd', written: 0 }, { id: 'e', written: null }], buildCache: 4 }),
      [apiVersion === '1.41' ? '/system/df' : '/v1.44/system/df?type=image&type=container&type=build-cache'],
    ]);
    expect((await usageOf({ LayersSize: 0, Images: null, Containers: null, BuildCache: null }))[0]).toEqual(present({ layers: 0, images: [], containers: [], buildCache: 0 }));
    for (const body of [{}, { ...measured, LayersSize: -1 }, { ...measured, Images: [{ Id: 'sha256:a', Size: -1 }] }, { ...measured, Containers: 'many' }]) expect((await usageOf(body))[0]).toMatchObject({ status: 'unreadable' });
    expect((await usageOf({ message: 'a disk usage operation is already running' }, 500))[0]).toMatchObject({ status: 'unreadable', reason: expect.stringContaining('already running') as string });
  });

  it('is plain JSON, and comes back from a snapshot as it was', async () => {
    expect(JSON.parse(JSON.stringify(facts))).toEqual(facts);
    const path = join(directory, `${name}.json`);
    await writeFile(path, JSON.stringify(exportSnapshot(facts)));
    expect(await loadSnapshot(path)).toEqual(facts);
  });
});

it('does not wait for ever for an engine that measures its disk', async () => {
  await listen((request, response) => { if (request.url === '/version') response.end('{"ApiVersion":"1.41"}'); });
  const engine = await connectEngine({ dockerHost: `unix://${socket}`, measureTimeoutMs: 200 });
  try {
    await expect(engine.diskUsage()).rejects.toThrow('did not tell within 1 s how much space is used');
  } finally {
    engine.close();
  }
});

describe('proof that the engine is this host\'s', () => {
  const recorded = recording('bookworm');
  const owner = valueOf(recorded.reads.find(({ request }) => request.kind === 'socketOwner')?.result as Observed<SocketOwner>);
  if (owner === undefined) throw new Error('the recording has no owner');

  const withOwner = async (changed: Observed<SocketOwner>, change: (request: ReadRequest) => Observed<unknown> | undefined = () => undefined): Promise<Facts> => {
    const { dockerHost } = await serve(answersOf(recorded));
    return collect({ dockerHost, reader: replay(recorded, (request) => request.kind === 'socketOwner' ? changed : change(request)) });
  };

  it.each([
    ['nobody could be seen', unreadable('run as root to see which process serves it'), 'run as root to see which process serves it'],
    ['the daemon is in a container', present({ ...owner, sameRoot: false }), `(pid ${owner.pid}) sees other files than harden does`],
    ['the socket is gone', absent, 'vanished'],
  ])('keeps nothing of the host when %s', async (_, observed, reason) => {
    const facts = await withOwner(observed);
    expect(facts.engine.local).toMatchObject({ status: 'unreadable', reason: expect.stringContaining(reason) as string });
    expect([...reasonsOf(facts)]).toEqual([(facts.engine.local as { reason: string }).reason]);
    expect(facts.containers.status).toBe('present');
    expect(facts.host).toMatchObject({ hostname: 'host1', kernel: { status: 'present' }, os: { value: { name: 'Debian GNU/Linux 12 (bookworm) (containerized)' } } });
  });

  it('keeps nothing of the host for an engine behind TCP, loopback or not', async () => {
    const { dockerHost } = await serve(answersOf(recorded), true);
    const reader = replay(recorded);
    const facts = await collect({ dockerHost, reader });
    expect(facts.engine).toMatchObject({ endpoint: dockerHost, local: { status: 'unreadable' } });
    expect([...reasonsOf(facts)]).toEqual([expect.stringContaining('reached over TCP')]);
    expect(reader.rounds.flat().some(({ kind }) => kind === 'socketOwner')).toBe(false);
  });

  it('asks again when its own request may have started the daemon', async () => {
    const answers: Observed<SocketOwner>[] = [unreadable('held by pid 1'), present(owner)];
    const { dockerHost } = await serve(answersOf(recorded));
    const facts = await collect({ dockerHost, reader: replay(recorded, (request) => request.kind === 'socketOwner' ? answers.shift() : undefined) });
    expect(facts.engine.local).toEqual(present({ pid: owner.pid }));
  });

  it.each([
    ['--config-file=X', { argv: ['/usr/sbin/dockerd', '--config-file=/srv/d.json'] }, '/srv/d.json'],
    ['--config-file X', { argv: ['/usr/sbin/dockerd', '--config-file', '/srv/d.json'] }, '/srv/d.json'],
    ['a rootless daemon', { uid: 1000, home: '/home/me' }, '/home/me/.config/docker/daemon.json'],
    ['a rootless daemon with a flag', { uid: 1000, home: '/home/me', argv: ['dockerd', '--config-file=/srv/d.json'] }, '/srv/d.json'],
  ])('reads the daemon.json of %s', async (_, patch, path) => {
    const facts = await withOwner(present({ ...owner, ...patch }), (request) =>
      request.kind === 'text' && request.path === path ? present('\ufeff{"icc": false}') : undefined);
    expect(facts.daemon).toMatchObject({ configPath: path, config: { value: { text: '{"icc": false}', bom: true, parsed: { ok: true, value: { icc: false } } } } });
    expect(Object.keys(facts.files)).toEqual(expect.arrayContaining([path, dirname(path)]));
  });

  it('does not take a relative path, or what Podman does not read, for the daemon\'s file', async () => {
    expect((await withOwner(present({ ...owner, argv: ['dockerd', '--config-file=d.json'] }))).daemon.config).toMatchObject({ status: 'unreadable' });
    expect((await withOwner(present({ ...owner, argv: ['/usr/bin/podman', 'system', 'service'] }))).daemon.config).toEqual(unreadable('Podman has no daemon.json'));
  });

  it('knows a unit only as the one whose main process the daemon is', async () => {
    expect((await withOwner(present({ ...owner, pid: owner.pid + 1 }))).daemon.unit).toEqual(absent);
    expect((await withOwner(present({ ...owner, cgroup: ['0::/user.slice/user-0.slice/session-1.scope'] }))).daemon.unit).toEqual(absent);
    const gone = await withOwner(present(owner), (request) => request.kind === 'text' && request.path === '/lib/systemd/system/docker.service' ? absent : undefined);
    expect(gone.daemon.unit).toMatchObject({ status: 'unreadable', reason: expect.stringContaining('is gone since systemd read it') as string });
    const failed = await withOwner(present(owner), (request) => request.kind === 'tool' && request.tool === 'systemctl' ? present({ code: 1, stdout: '', stderr: 'no bus\n' }) : undefined);
    expect([failed.daemon.unit, failed.daemon.socketUnit]).toEqual(Array(2).fill(unreadable('systemctl show ended with 1: no bus')));
  });

  const systemctlSays = (change: (stdout: string) => string): Promise<Facts> => withOwner(present(owner), (request) => {
    const said = recorded.reads.find((read) => keyOf(read.request) === keyOf(request))?.result as Observed<{ readonly stdout: string }> | undefined;
    return request.kind === 'tool' && request.tool === 'systemctl' && said?.status === 'present' ? present({ code: 0, stderr: '', stdout: change(said.value.stdout) }) : undefined;
  });

  it('finds sockets of other names that systemd hands to the daemon', async () => {
    const other = (name: string, state: string, file: string, triggers: string): string =>
      `\nId=${name}\nLoadState=loaded\nListen=[::]:2375 (Stream)\nActiveState=${state}\nUnitFileState=${file}\nTriggers=${triggers}\n`;
    const facts = await systemctlSays((stdout) => stdout + other('docker-tcp.socket', 'active', 'disabled', 'docker.service') + other('later.socket', 'inactive', 'enabled', 'docker.service')
      + other('off.socket', 'inactive', 'disabled', 'docker.service') + other('web.socket', 'active', 'enabled', 'web.service'));
    expect(facts.daemon.otherSockets).toEqual(present([{ name: 'docker-tcp.socket', listen: ['[::]:2375'] }, { name: 'later.socket', listen: ['[::]:2375'] }]));
  });

  it('sees an access control list on a socket', async () => {
    const facts = await withOwner(present(owner), (request) => request.kind === 'tool' && request.tool === 'ls'
      ? present({ code: 0, stdout: 'srw-rw----+ 1 root root 0 Nov 22 04:25 /run/containerd/containerd.sock\nsrw-rw---- 1 root docker 0 Nov 22 04:25 /var/run/docker.sock\n', stderr: '' }) : undefined);
    expect(facts.files['/run/containerd/containerd.sock']).toMatchObject({ value: { hasAcl: true } });
    expect(Object.entries(facts.files).filter(([, stat]) => valueOf(stat)?.hasAcl === true)).toHaveLength(1);
  });

  it('takes no unit for known that changed after systemd read it', async () => {
    const facts = await systemctlSays((stdout) => stdout.replaceAll('NeedDaemonReload=no', 'NeedDaemonReload=yes'));
    for (const [observed, name] of [[facts.daemon.unit, 'docker.service'], [facts.daemon.socketUnit, 'docker.socket']] as const) {
      expect(observed).toMatchObject({ status: 'unreadable', reason: expect.stringMatching(`${name}.*systemctl daemon-reload`) as string });
    }
  });

  it.each([
    ['a drop-in that systemd has not read', '/etc/systemd/system/docker.service.d', '/etc/systemd/system/docker.service.d/new.conf', 'daemon-reload'],
    ['one of a package', '/lib/systemd/system/docker.service.d', '/lib/systemd/system/docker.service.d/new.conf', 'daemon-reload'],
    ['a unit in front of the packaged one', '/etc/systemd/system/docker.service', '', '/etc/systemd/system/docker.service changed'],
    ['what is no drop-in', '/etc/systemd/system/docker.service.d', '/etc/systemd/system/docker.service.d/notes.txt', null],
  ])('sees %s, of which systemd itself does not speak', async (_, path, found, reason) => {
    const { daemon } = await withOwner(present(owner), (request) => 'path' in request && request.path === path ? present(request.kind === 'list' ? [found] : { realPath: path }) : undefined);
    if (reason === null) expect(daemon.unit.status).toBe('present');
    else expect(daemon.unit).toMatchObject({ status: 'unreadable', reason: expect.stringContaining(reason) as string });
    expect(daemon.socketUnit.status).toBe('present');
  });

  it('does not count on a drop-in that the next boot will not have', async () => {
    const facts = await systemctlSays((stdout) => stdout.replaceAll('DropInPaths=\n', 'DropInPaths=/run/systemd/system/docker.service.d/x.conf\n'));
    expect(facts.daemon.unit).toMatchObject({ status: 'unreadable', reason: '/run/systemd/system/docker.service.d/x.conf is gone after the next boot' });
  });

  it.each([
    ['the script started it', { '/etc/init.d/docker': 'PID=$BASE-ssd.pid', '/run/docker-ssd.pid': `${owner.pid}\n` }, 'sysvinit'],
    ['a script without a pid file of its own did', { '/etc/init.d/docker': 'x', '/run/docker.pid': `${owner.pid}` }, 'sysvinit'],
    ['somebody else started it', { '/etc/init.d/docker': 'PID=$BASE-ssd.pid', '/run/docker.pid': `${owner.pid}` }, 'none'],
    ['there is no script', { '/run/docker.pid': `${owner.pid}` }, 'none'],
  ])('without systemd, when %s', async (_, texts: Readonly<Record<string, string>>, manager) => {
    const facts = await withOwner(present(owner), (request) => {
      if (request.kind === 'tool') return request.tool === 'systemctl' ? unreadable('must not be asked') : undefined;
      if (!('path' in request)) return undefined;
      if (request.path === '/run/systemd/system') return absent;
      if (request.path === '/usr/sbin/service') return present({});
      if (request.kind === 'text' && /^\/(etc\/init\.d|run)\/docker/.test(request.path)) return texts[request.path] === undefined ? absent : present(texts[request.path]);
      return undefined;
    });
    expect(facts.host.serviceManager).toEqual(present(manager));
    expect([facts.daemon.unit, facts.daemon.socketUnit]).toEqual([absent, absent]);
  });
});

describe('engines that answer otherwise', () => {
  const recorded = recording('trixie');
  const usual = answersOf(recorded);
  const gone = recorded.engine.containers[0]?.['Id'] as string;
  const failing = (matches: (path: string) => boolean, status: number, body: unknown = { message: 'no' }): Answers => (path) => matches(path) ? { status, body } : usual(path);
  const from = async (answers: Answers): Promise<Facts> => collect({ dockerHost: (await serve(answers)).dockerHost, reader: replay(recorded) });

  it('drops a container that vanished, and keeps one that could not be read', async () => {
    const vanished = await from(failing((path) => path.includes(gone), 404));
    expect(valueOf(vanished.containers)).toHaveLength(1);
    const broken = await from(failing((path) => path.includes(gone), 500, { message: 'layer is broken' }));
    expect(valueOf(broken.containers)?.find(({ id }) => id === gone)).toMatchObject({ spec: { status: 'unreadable', reason: expect.stringContaining('layer is broken') as string }, owner: { kind: 'none' } });
  });

  it('drops an image that vanished, and keeps one that could not be read', async () => {
    const [image] = recorded.engine.images;
    const path = `/images/${image?.['Id'] as string}`;
    expect(valueOf((await from(failing((asked) => asked === `${path}/json`, 404))).images)).toHaveLength(recorded.engine.images.length - 1);
    const broken = await from(failing((asked) => asked === `${path}/history`, 500, { message: 'layer is broken' }));
    expect(valueOf(broken.images)?.[0]).toMatchObject({
      config: { value: { user: '', env: [], healthcheck: null, command: ['sh'] } }, history: { status: 'unreadable', reason: expect.stringContaining('layer is broken') as string },
    });
  });

  const EXEC = 'e'.repeat(64);
  const withExecs = (ids: unknown): Answers => (path) => path === `/containers/${gone}/json`
    ? { status: 200, body: { ...recorded.engine.containers[0], ExecIDs: ids } } : usual(path);
  const execsOf = (facts: Facts) => valueOf(facts.containers)?.find(({ id }) => id === gone)?.execs;

  it('looks at sessions that are open, and only there', async () => {
    const withOne = withExecs([EXEC, '../../x', 7]);
    const answers: Answers = (path) => path === `/exec/${EXEC}/json`
      ? { status: 200, body: { ID: EXEC, ProcessConfig: { privileged: true, user: '0:0', entrypoint: 'mysql', arguments: ['--password=hunter2'] } } } : withOne(path);
    const { asked, dockerHost } = await serve(answers);
    const facts = await collect({ dockerHost, reader: replay(recorded) });
    expect(execsOf(facts)).toEqual(present([{ id: EXEC, privileged: true, user: '0:0' }]));
    expect(asked.filter((path) => path.startsWith('/exec/'))).toHaveLength(1);
    expect(JSON.stringify(facts)).not.toContain('hunter2');
    expect(valueOf(facts.containers)?.filter(({ id }) => id !== gone).map(({ execs }) => execs)).toEqual([present([])]);

    expect(execsOf(await from(withOne))).toEqual(present([]));
    const failed = withExecs([EXEC]);
    expect(execsOf(await from((path) => path.startsWith('/exec/') ? { status: 500, body: { message: 'boom' } } : failed(path)))).toMatchObject({ status: 'unreadable' });
    const many = await serve(withExecs(Array.from({ length: 100 }, (_, index) => index.toString(16).padStart(64, '0'))));
    await collect({ dockerHost: many.dockerHost, reader: replay(recorded) });
    expect(many.asked.filter((path) => path.startsWith('/exec/'))).toHaveLength(32);
  });

  const event = (time: number, action: string, id = gone): string => `${JSON.stringify({ Type: 'container', Action: action, Actor: { ID: id }, time })}\n`;
  const historyOf = async (body: string, engine: Partial<Recording['engine']> = {}): Promise<Facts['execHistory']> => {
    const answers = answersOf({ ...recorded, engine: { ...recorded.engine, ...engine } });
    return (await from((path) => path.startsWith('/events') ? { status: 200, body: path.startsWith('/events?since=0&') ? body : '' } : answers(path))).execHistory;
  };

  it('knows since when no session is missing among the events', async () => {
    const { startedAt } = valueOf(recorded.reads.find(({ request }) => request.kind === 'socketOwner')?.result as Observed<SocketOwner>) ?? { startedAt: '' };
    expect(await historyOf('')).toEqual(present({ since: startedAt, started: [] }));
    expect(await historyOf(event(1795000000, 'exec_create: sh -c x') + event(1795000001, 'exec_start: sh -c x'))).toEqual(present({ since: startedAt, started: [{ container: gone, at: '2026-11-18T11:06:40.000Z' }] }));
    // The buffer is full: older ones are lost.
    expect(await historyOf(event(1795000000, 'start').repeat(256))).toEqual(present({ since: '2026-11-18T11:06:40.000Z', started: [] }));
    expect(await historyOf(event(Number.NaN, 'start').repeat(256))).toEqual(present({ since: null, started: [] }));
    // Engines of which nobody knows how many they keep.
    expect(await historyOf('', { version: { ...recorded.engine.version, ApiVersion: '1.40' } })).toEqual(present({ since: null, started: [] }));
    expect(await historyOf('', { version: { ...recorded.engine.version, Components: [{ Name: 'Podman Engine' }] } })).toMatchObject({ status: 'unreadable' });
    expect(await historyOf('{"Type":')).toMatchObject({ status: 'unreadable' });
    expect((await from(usual)).execHistory).toMatchObject({ status: 'unreadable' });
  });

  it('asks for events up to the time that the engine\'s own clock shows, and for those that came meanwhile', async () => {
    let looks = 0;
    const { asked, dockerHost } = await serve((path) => path.startsWith('/events') ? { status: 200, body: event(1795000000, 'start').repeat(200) }
      : path === '/info' ? { status: 200, body: { ...recorded.engine.info, SystemTime: `2031-01-02T03:04:0${(looks += 1)}.000000009+00:00` } } : usual(path));
    const facts = await collect({ dockerHost, reader: replay(recorded) });
    expect(asked.filter((path) => path.startsWith('/events')).map((path) => path.replace(/\d+\.000000009/gu, 'T'))).toEqual(['/events?since=0&until=T', '/events?since=T&until=T']);
    // 200 and 200 are more than the engine keeps: some may be lost.
    expect(facts.execHistory).toEqual(present({ since: '2026-11-18T11:06:40.000Z', started: [] }));
    expect((await from((path) => path === '/info' ? { status: 200, body: { ...recorded.engine.info, SystemTime: null } } : usual(path))).execHistory).toMatchObject({ status: 'unreadable' });
  });

  const HELD = {
    limits: 'Limit                     Soft Limit           Hard Limit           Units     \nMax open files            100                  unlimited            files     \nMax nice priority         0                    0                    \nMax of what comes         1                    1\n',
    status: 'Name:\tsh\nNoNewPrivs:\t1\nSeccomp:\t2\nSeccomp_filters:\t1\nCapEff:\t0000000000000000\nCapBnd:\t0000020000002400\n',
  };
  const running = async (processes: Observed<unknown>): Promise<Facts> => collect({
    dockerHost: (await serve(usual)).dockerHost, reader: replay(recorded, (request) => request.kind === 'containerProcesses' ? processes : undefined),
  });
  const [first = 0, second = 0] = recorded.engine.containers.map(({ State }) => (State as JsonObject)['Pid'] as number);
  const other = recorded.engine.containers[1]?.['Id'] as string;

  it('tells processes and what holds for them by their cgroups', async () => {
    const facts = await running(present([
      { pid: first, containers: [gone], names: ['sh'], held: HELD }, { pid: 9001, containers: [gone, 'f'.repeat(64)], names: ['sshd', 'sh'] },
      // Another process has the number by now.
      { pid: second, containers: ['f'.repeat(64)], names: ['cron'], held: HELD },
    ]));
    const [one, two] = [gone, other].map((wanted) => valueOf(facts.containers)?.find(({ id }) => id === wanted));
    expect(one).toMatchObject({ processes: present(['sh', 'sshd']), inForce: present({
      ulimits: [{ name: 'nofile', soft: 100, hard: -1 }, { name: 'nice', soft: 0, hard: 0 }], seccomp: 'filter', noNewPrivileges: true, capabilities: ['NET_BIND_SERVICE', 'NET_RAW', '41'],
    }) });
    expect(two).toMatchObject({ processes: { status: 'unreadable', reason: expect.stringContaining('ended meanwhile') as string }, inForce: { status: 'unreadable' } });
  });

  it.each([
    ['nothing was read', absent], ['/proc is closed', unreadable('permission denied')], ['they are gone', present([])],
    ['the kernel is an old one', present([{ pid: first, containers: [gone], names: ['sh'], held: { limits: '', status: 'Name:\tsh\n' } }])],
  ])('knows not what holds for a process when %s', async (_, processes) => {
    expect(valueOf((await running(processes)).containers)?.map(({ inForce }) => inForce?.status)).toEqual(['unreadable', 'unreadable']);
  });

  it('asks an engine elsewhere what runs in its containers', async () => {
    const top: Readonly<Record<string, Answers>> = {
      [gone]: () => ({ status: 200, body: { Titles: ['UID', 'PID', 'CMD'], Processes: [['root', '1', '/usr/sbin/sshd -D'], ['root', '2', 'sshd: me [priv]'], ['root', '3', '-sh'], null] } }),
      [other]: () => ({ status: 404, body: { message: 'no such container' } }),
    };
    const answers: Answers = (path) => top[/^\/containers\/(\w+)\/top/.exec(path)?.[1] ?? '']?.(path) ?? usual(path);
    const { asked, dockerHost } = await serve(answers, true);
    const facts = await collect({ dockerHost, reader: replay(recorded) });
    const found = new Map(valueOf(facts.containers)?.map((container) => [container.id, container]));
    expect([found.get(gone)?.processes, found.get(other)?.processes]).toEqual([present(['sh', 'sshd']), unreadable('it ended meanwhile')]);
    expect([found.get(gone)?.inForce, asked.filter((path) => path.includes('/top')).length]).toEqual([undefined, 2]);
  });

  /** What an engine or a proxy may leave out of a container or an image, or write otherwise. */
  const damaged = (whole: JsonObject, depth = 3): readonly (readonly [what: string, damaged: JsonObject])[] => Object.entries(whole).flatMap(([key, value]) => [
    [`${key} missing`, { ...whole, [key]: undefined } as unknown as JsonObject] as const,
    [`${key} of another type`, { ...whole, [key]: typeof value === 'string' ? 7 : 'x' }] as const,
    ...(typeof value === 'object' && value !== null && !Array.isArray(value) && depth > 1
      ? damaged(value, depth - 1).map(([what, inner]) => [`${key}.${what}`, { ...whole, [key]: inner }] as const) : []),
  ]);

  const CHECKED = checks.filter(({ section }) => section === 'containers');
  const engines = ['20.10.24', '26.1.5'].map((engine) => JSON.parse(readFileSync(new URL(`../fixtures/raw/inspect/${engine}.json`, import.meta.url), 'utf8')) as Record<string, JsonObject>);
  const passing = (facts: Facts, container: JsonObject): readonly string[] => {
    const found: Facts = { ...facts, containers: present([parseInspect(container, { apiVersion: '1.45' })]) };
    return CHECKED.flatMap((check) => check.evaluate(found, defaultPolicy).some(({ outcome }) => outcome === 'pass') ? [check.id] : []);
  };

  it('judges no container better because something is missing in what the engine tells', async () => {
    const facts = await from(usual);
    const wrong = new Set<string>();
    for (const whole of engines.flatMap((cases) => Object.values(cases)).filter((_, index) => index % 24 === 0)) {
      const before = new Set(passing(facts, whole));
      for (const [what, container] of damaged(whole)) {
        // A port that is not there is not published.
        const better = passing(facts, container).filter((id) => !before.has(id) && !/PortBindings\.\S+ missing$/u.test(what));
        if (better.length > 0) wrong.add(`${better.join(' ')}: ${what}`);
      }
    }
    expect([...wrong]).toEqual([]);
  });

  it('survives images without anything, with a thousand layers, and names that try a terminal', async () => {
    const [image] = recorded.engine.images;
    const id = image?.['Id'] as string;
    const history = Array.from({ length: 1000 }, (_, index) => ({ CreatedBy: `RUN step ${index} \u001b[31m`, Created: index, Size: 1, Comment: null }));
    const facts = await from((path) => {
      if (path.startsWith('/images/json')) return { status: 200, body: [{ ...image, RepoTags: null, RepoDigests: null, Created: null, Size: '1' }] };
      if (path === `/images/${id}/json`) return { status: 200, body: { Id: id, Config: null } };
      if (path === `/images/${id}/history`) return { status: 200, body: history };
      if (path.startsWith('/containers/json')) return { status: 200, body: [{ Id: gone, Names: ['/a\u001b[2Jb\n'], Labels: { 'x\u0007': '\u001b]0;y', __proto__: 'z' } }] };
      return path === `/containers/${gone}/json` ? { status: 500, body: { message: 'no' } } : usual(path);
    });
    const found = valueOf(facts.images)?.[0];
    expect([found?.tags, found?.createdAt, found?.config?.status, valueOf(found?.history)?.length]).toEqual([[], '1970-01-01T00:00:00.000Z', 'unreadable', 1000]);
    const judged = checks.flatMap((check) => check.evaluate(facts, defaultPolicy).filter(({ target }) => target.id === id || target.id === gone).map(({ outcome, target }) => [check.id, target.kind, outcome]));
    expect(judged.filter(([check, kind, outcome]) => outcome === 'pass' && (kind === 'container' || check === 'image.user' || check === 'image.no-secrets'))).toEqual([]);

    const bare = await from((path) => path === `/images/${id}/history` ? { status: 200, body: null } : usual(path));
    expect(valueOf(bare.images)?.find((one) => one.id === id)?.history).toEqual(present([]));
  });

  it('asks a manager about its swarm, and keeps no token', async () => {
    const answers: Readonly<Record<string, unknown>> = {
      '/info': { ...recorded.engine.info, Swarm: { LocalNodeState: 'active', ControlAvailable: true } },
      '/swarm': { ID: 's', JoinTokens: { Worker: 'SWMTKN-secret' }, Spec: { CAConfig: { NodeCertExpiry: 7776000000000000 }, EncryptionConfig: { AutoLockManagers: true } }, TLSInfo: { TrustRoot: 'x' } },
      '/nodes': [{ ID: 'n', Spec: { Role: 'manager' }, ManagerStatus: null }],
      '/services': null,
    };
    const facts = await collect({
      dockerHost: (await serve((path) => Object.hasOwn(answers, path) ? { status: 200, body: answers[path] } : usual(path))).dockerHost,
      reader: replay(recorded, (request) => request.kind === 'text' && request.path === '/var/lib/docker/swarm/docker-state.json'
        ? present('{"ListenAddr":"0.0.0.0:2377","AdvertiseAddr":"10.0.0.1:2377","DataPathAddr":""}') : undefined),
    });
    expect(facts.swarm).toMatchObject({ value: {
      nodeCertExpiry: 7776000000000000, autoLock: true, ca: { status: 'unreadable' }, nodes: { value: [{ id: 'n', role: 'manager', reachability: '' }] }, services: { value: [] },
    } });
    expect(facts.swarmNode).toEqual(present({ listenAddress: '0.0.0.0:2377', advertiseAddress: '10.0.0.1:2377', dataPathAddress: '' }));
    expect(JSON.stringify(facts)).not.toContain('SWMTKN');
  });

  it('says what a proxy in front of the engine hides', async () => {
    const facts = await from(failing((path) => path.startsWith('/networks') || path === '/info', 403));
    expect(facts.engine.info).toMatchObject({ status: 'unreadable', reason: expect.stringContaining('HTTP 403') as string });
    expect(facts.networks).toMatchObject({ status: 'unreadable' });
    expect(facts.engine.version.status).toBe('present');
  });

  it.each([
    ['nothing is there', undefined, 'the socket does not exist'],
    ['it is no engine', (() => ({ status: 200, body: {} })) satisfies Answers, 'is not a Docker engine: /version has no ApiVersion'],
    ['it is a web server', (() => ({ status: 404, body: '<html>' })) satisfies Answers, 'is not a Docker engine: it answers with HTTP 404'],
    ['it fails', (() => ({ status: 500, body: { message: 'boom' } })) satisfies Answers, 'refused a request (HTTP 500): boom'],
    ['it lists ids that are paths', undefined, ''],
  ])('gives up when %s', async (_, answers: Answers | undefined, message) => {
    if (message === '') {
      const facts = await from((path) => path.startsWith('/containers/json') ? { status: 200, body: [{ Id: '../../x' }] } : usual(path));
      expect(facts.containers).toMatchObject({ status: 'unreadable', reason: expect.stringContaining('a container has no id') as string });
      return;
    }
    if (answers === undefined) await rm(socket, { force: true });
    else await serve(answers);
    const error: unknown = await collect({ dockerHost: `unix://${socket}`, reader: replay(recorded) }).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(EngineError);
    expect((error as Error).message).toContain(message);
    expect((error as Error).message.split('\n').length).toBeLessThanOrEqual(3);
  });

  it.each([
    ['/etc/docker/daemon.json', ''],
    ['/srv/d.json', 'ExecStart={ path=/usr/sbin/dockerd ; argv[]=/usr/sbin/dockerd -H fd:// --config-file=/srv/d.json ; ignore_errors=no }\n'],
  ])('looks for the reason in %s', async (path, stdout) => {
    await rm(socket, { force: true });
    const reader = replay(recorded, (request) => {
      if (request.kind === 'tool') return present({ code: 0, stdout, stderr: '' });
      return request.kind === 'text' && request.path === path ? present('{\n  "icc": false,\n}\n') : absent;
    });
    await expect(collect({ dockerHost: `unix://${socket}`, reader })).rejects.toThrow(`${path}, line 3, column 1`);
  });
});

describe('where the engine is', () => {
  const context = (name: string): string => join('contexts', 'meta', createHash('sha256').update(name).digest('hex'), 'meta.json');
  let config: string;
  beforeAll(async () => {
    config = join(directory, 'config');
    await mkdir(dirname(join(config, context('far'))), { recursive: true });
    await writeFile(join(config, context('far')), JSON.stringify({ Endpoints: { docker: { Host: 'tcp://far.test:2376', SkipTLSVerify: true } } }));
    await writeFile(join(config, 'config.json'), JSON.stringify({ currentContext: 'far' }));
  });

  it.each([
    ['the flag', 'unix:///a.sock', { DOCKER_HOST: 'tcp://b:1' }, { url: 'unix:///a.sock', socketPath: '/a.sock', source: '--docker-host' }],
    ['DOCKER_HOST', undefined, { DOCKER_HOST: 'b.test:2375', DOCKER_CONTEXT: 'nowhere' }, { url: 'tcp://b.test:2375', socketPath: null, tls: null }],
    ['no port', undefined, { DOCKER_HOST: 'tcp://[::1]' }, { url: 'tcp://[::1]:2375' }],
    ['TLS', undefined, { DOCKER_HOST: 'tcp://b.test', DOCKER_TLS_VERIFY: '1' }, { url: 'tcp://b.test:2376', tls: { verify: true } }],
    ['the current context', undefined, {}, { url: 'tcp://far.test:2376', tls: { verify: false }, source: 'the docker context far' }],
    ['the default context', undefined, { DOCKER_CONTEXT: 'default' }, { url: 'unix:///var/run/docker.sock', source: 'the default socket' }],
  ])('%s', async (_, flag, env, expected) => {
    expect(await resolveEndpoint(flag, { DOCKER_CONFIG: config, ...env })).toMatchObject(expected);
  });

  it.each([
    ['ssh://me@host', 'not supported yet'], ['npipe:////./pipe/x', 'not supported'], ['fd://', 'not supported'], ['unix://relative', 'no absolute path'], ['tcp://', 'not an address'],
  ])('refuses %s', async (address, message) => {
    await expect(resolveEndpoint(address, {})).rejects.toThrow(message);
  });

  it('refuses a context that is not there', async () => {
    await expect(resolveEndpoint(undefined, { DOCKER_CONFIG: config, DOCKER_CONTEXT: 'lost' })).rejects.toThrow(/the docker context lost: cannot read .*meta\.json/);
  });
});

describe('parsing', () => {
  it.each([
    [['12:pids:/x.service', '1:name=systemd:/system.slice/docker.service', '0::/'], 'docker.service'],
    [['0::/system.slice/snap.docker.dockerd.service'], 'snap.docker.dockerd.service'],
    [['0::/docker/0123/system.slice/docker.service/init'], 'docker.service'],
    [['0::/user.slice/user-1000.slice/user@1000.service/app.slice/docker.service'], null],
    [['0::/user.slice/user-0.slice/session-3.scope'], null],
    [[], null],
  ])('the unit of %j is %s', (cgroup, unit) => expect(systemUnit(cgroup)).toBe(unit));

  it('mountinfo with escapes and optional fields', () => {
    expect(parseMountInfo('22 1 8:1 / / rw shared:1 master:2 - ext4 /dev/sda1 rw\n23 22 0:5 / /mnt/a\\040b rw - tmpfs tmpfs rw\ngarbage\n')).toEqual([
      { mountPoint: '/', fsType: 'ext4', source: '/dev/sda1' }, { mountPoint: '/mnt/a b', fsType: 'tmpfs', source: 'tmpfs' },
    ]);
  });

  it('os-release with and without quotes', () => {
    expect(parseOsRelease('# x\nID=alpine\nVERSION_ID=3.20.1\nPRETTY_NAME="Alpine \\"Linux\\" v3"\n')).toEqual({ id: 'alpine', versionId: '3.20.1', name: 'Alpine "Linux" v3' });
    expect(parseOsRelease('')).toEqual({ id: 'linux', versionId: '', name: 'Linux' });
  });

  it('what other engines leave out or add', () => {
    expect(parseInfo({})).toMatchObject({ securityOptions: [], liveRestore: null, insecureRegistries: [], swarm: { state: '', manager: false } });
    expect(parseInfo({ RegistryConfig: { InsecureRegistryCIDRs: ['::1/128'], IndexConfigs: { 'r.test': { Secure: false }, 'docker.io': { Secure: true } }, Mirrors: null } }))
      .toMatchObject({ insecureRegistries: ['::1/128', 'r.test'], registryMirrors: [] });
    expect(parseVersion({ Version: '5.4.0', ApiVersion: '1.41', Components: [{ Name: 'Podman Engine' }], Platform: { Name: 'linux/amd64' } })).toMatchObject({ platform: 'Podman Engine' });
  });
});

describe('snapshots', () => {
  const facts = JSON.parse(readFileSync(new URL('../fixtures/hosts/stock-debian.json', import.meta.url), 'utf8')) as Facts;

  it('hold no secret, wherever it stands', async () => {
    const recorded = recording('trixie');
    const base = await collect({ dockerHost: (await serve(answersOf(recorded))).dockerHost, reader: replay(recorded) });
    const secret = 'hunter2-very-secret';
    const spec = valueOf(valueOf(base.containers)?.[0]?.spec ?? absent);
    const process = valueOf(base.daemon.process);
    if (spec === undefined || process === undefined) throw new Error('the recording has no container or no process');
    const config = { text: `{"log-opts": {"splunk-token": "${secret}"}}`, bom: false, parsed: { ok: true, value: { 'log-opts': { 'splunk-token': secret } } } } as const;
    const exported = JSON.stringify(exportSnapshot({
      ...base,
      daemon: {
        ...base.daemon,
        config: present(config), startedWith: present(config),
        process: present({ ...process, argv: ['dockerd', '--log-opt', `splunk-token=${secret}`, '--auth-token', secret] }),
        environmentFiles: { '/etc/default/docker': present(`HTTP_PROXY=http://me:${secret}@proxy:3128\n`) },
      },
      containers: present([{
        id: 'a', name: 'a', unmodelled: [], runtime: absent, owner: { kind: 'none' },
        spec: present({
          ...spec, env: [`PLAIN=${secret}`, 'BARE'], labels: { 'api-key': secret }, command: ['run', '--password', secret, `--token=${secret}`],
          healthcheck: { test: ['CMD', 'curl', `http://u:${secret}@localhost/`], interval: 0, timeout: 0, startPeriod: 0, startInterval: 0, retries: 0 },
          log: { driver: 'splunk', options: { 'splunk-token': secret } },
          mounts: [{ kind: 'volume', via: 'mounts', source: 'v', target: '/v', readOnly: false, options: '', details: { VolumeOptions: { DriverConfig: { Options: { o: `addr=x,password=${secret}` } } } }, volume: null }],
        }),
      }]),
    }));
    expect(exported).not.toContain(secret);
    expect(exported).toContain('"PLAIN=***","BARE"');
  });

  it('cannot reach a prototype', async () => {
    const path = join(directory, 'snapshot.json');
    await writeFile(path, JSON.stringify(facts).replace('{', '{"__proto__": {"polluted": true}, '));
    const loaded = await loadSnapshot(path) as unknown as Record<string, unknown>;
    expect({ ...loaded }['polluted'] ?? Object.hasOwn(loaded, '__proto__')).toBe(false);
  });
});
