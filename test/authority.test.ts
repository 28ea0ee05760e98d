/** What harden reads, runs and asks stands in the tables that docs/authority.md is made of. */
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CHANGING_COMMANDS, CHANGING_ROUTES, FIXED_PATHS, NAMED_PATHS, READING_COMMANDS, READING_ROUTES } from '../src/authority.ts';
import { collect } from '../src/collect.ts';
import { directoriesAbove } from '../src/collect/paths.ts';
import { isReadingCommand, routeOf } from '../src/host/authority.ts';
import { connectEngine } from '../src/host/engine.ts';
import { createLocalReader } from '../src/host/local-reader.ts';
import type { HostReader, ReadRequest, Tool } from '../src/host/port.ts';
import type { Facts, Observed } from '../src/model.ts';
import { absent, valueOf } from '../src/model.ts';
import { hostileText } from './support/hostile.ts';

interface Recording {
  readonly engine: Readonly<Record<string, unknown>>;
  readonly reads: readonly { readonly request: ReadRequest; readonly result: Observed<unknown> }[];
}

const fixed = (how: string): ReadonlySet<string> => new Set(FIXED_PATHS.flatMap((row) => (row.how === how ? row.paths : [])));

/** What the engine, the daemon or a unit names on a host. */
function named(facts: Facts, stateDir: string): { readonly texts: ReadonlySet<string>; readonly roots: readonly string[] } {
  const unit = valueOf(facts.daemon.unit);
  const socket = valueOf(facts.daemon.socketUnit);
  const root = valueOf(facts.engine.info)?.dockerRootDir ?? '';
  const texts = new Set([
    facts.daemon.configPath, ...(unit?.sources.map(({ path }) => path) ?? []), ...Object.keys(facts.daemon.environmentFiles), ...Object.keys(facts.managed ?? {}),
    join(stateDir, 'started-with.json'), `${root}/swarm/docker-state.json`, ...(valueOf(facts.audit.persistent) ?? []).flatMap(({ source }) => source?.path ?? []),
  ]);
  return { texts, roots: [...texts, root, socket?.fragmentPath ?? '', ...(socket?.dropInPaths ?? []), ...(valueOf(facts.daemon.process)?.argv.slice(0, 1) ?? []), ...(valueOf(facts.registryCerts) ?? []), ...[...fixed('stat')]] };
}

describe.each(['bookworm', 'trixie'])('a recorded host: %s', (name) => {
  const recorded = JSON.parse(readFileSync(new URL(`../fixtures/raw/systemd/${name}.json`, import.meta.url), 'utf8')) as Recording;
  const requests: ReadRequest[] = [];
  const asked: string[] = [];
  let directory: string;
  let facts: Facts;

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'harden-authority-'));
    const socket = join(directory, 'engine.sock');
    const lists: Readonly<Record<string, unknown>> = { '/version': recorded.engine['version'], '/info': recorded.engine['info'], '/images/json': recorded.engine['images'], '/networks': recorded.engine['networks'], '/volumes': recorded.engine['volumes'] };
    const containers = recorded.engine['containers'] as { Id: string; Name: string }[];
    const server = createServer((request, response) => {
      asked.push(`${request.method ?? ''} ${request.url ?? ''}`);
      const path = (request.url ?? '').replace(/\?.*/, '');
      const body = path === '/containers/json' ? containers.map(({ Id, Name }) => ({ Id, Names: [Name] })) : containers.find(({ Id }) => path === `/containers/${Id}/json`) ?? lists[path];
      response.writeHead(body === undefined ? 404 : 200, { 'content-type': 'application/json' }).end(JSON.stringify(body ?? { message: 'page not found' }));
    });
    await new Promise<void>((resolve) => server.listen(socket, resolve));
    const known = new Map(recorded.reads.map(({ request, result }) => [JSON.stringify(request), result]));
    const reader: HostReader = {
      observe: (wanted) => {
        requests.push(...wanted);
        return Promise.resolve(wanted.map((request) => known.get(JSON.stringify(request.kind === 'socketOwner' ? { ...request, path: '/var/run/docker.sock' } : request)) ?? absent) as never);
      },
    };
    facts = await collect({ dockerHost: `unix://${socket}`, reader, evidence: true, stateDir: '/var/lib/harden' });
    server.closeAllConnections();
    server.close();
  });
  afterAll(() => rm(directory, { recursive: true, force: true }));

  test('reads no text, and runs no command, that is not in the tables', () => {
    const { texts, roots } = named(facts, '/var/lib/harden');
    const composed = (valueOf(facts.compose ?? absent) ?? []).flatMap(({ files, environmentFiles }) => [...files, ...environmentFiles]);
    const isBelow = (path: string): boolean => roots.some((root) => root !== '' && (path === root || path.startsWith(`${root}/`) || directoriesAbove(root).includes(path)));
    const others = requests.filter((request) => {
      switch (request.kind) {
        case 'tool': return !isReadingCommand(request.tool, request.args);
        case 'text': return !fixed('text').has(request.path) && !texts.has(request.path) && !composed.includes(request.path) && !/^\/etc\/audit\/rules\.d\/[^/]+\.rules$/.test(request.path);
        case 'list': return !fixed('list').has(request.path) && !/\/systemd\/system\/[^/]+\.d$/.test(request.path) && !request.path.endsWith('/certs.d');
        case 'stat': return !fixed('stat').has(request.path) && !isBelow(request.path) && !request.path.startsWith(directory) && !directory.startsWith(request.path);
        case 'owners': return true;
        case 'socketOwner': case 'containerProcesses': return false;
      }
    });
    expect(others).toEqual([]);
    expect(requests.length).toBeGreaterThan(50);
  });

  test('the tables name nothing that is not looked at', () => {
    for (const how of ['text', 'stat', 'list'] as const) {
      const done = new Set(requests.flatMap((request) => (request.kind === how ? [request.path] : [])));
      expect([how, [...fixed(how)].filter((path) => !done.has(path))]).toEqual([how, []]);
    }
  });

  test('asks the engine nothing but GET, and nothing that is not in the table', () => {
    expect(asked.filter((line) => routeOf(READING_ROUTES, line.split(' ')[0] ?? '', line.replace(/^\S+ /, '')) === null)).toEqual([]);
    expect(asked.length).toBeGreaterThan(8);
  });
});

test('the page in docs has every row of the tables', () => {
  const page = readFileSync(new URL('../docs/authority.md', import.meta.url), 'utf8');
  const rows = [
    ...READING_COMMANDS.map(({ tool, args }) => `\`${[tool, ...args].join(' ')}\``), ...[...READING_ROUTES, ...CHANGING_ROUTES].map(({ method, path }) => `\`${method} ${path}\``), ...FIXED_PATHS.flatMap(({ paths }) => paths.map((path) => `\`${path}\``)),
    ...NAMED_PATHS.map(({ named: what }) => what), ...Object.entries(CHANGING_COMMANDS).flatMap(([tool, why]) => (why === null ? [] : [`| \`${tool}\` |`])),
  ];
  expect(rows.filter((row) => !page.includes(row))).toEqual([]);
});

describe('what is not in the tables', () => {
  const reader = createLocalReader();

  test.each<readonly [Tool, readonly string[]]>([
    ['sh', ['-c', 'true']], ['docker', ['ps']], ['docker', ['--host', 'unix:///x', 'compose', '--ansi', 'never', 'up']], ['systemctl', ['restart', 'docker']], ['auditctl', ['-D']], ['gpasswd', ['-d', 'a', 'b']],
    ['getent', ['shadow']], ['systemctl', ['show', '--no-pager', '--property=x', '--', 'a', '\0']],
  ])('%s %j is not run to look', async (tool, args) => {
    expect(isReadingCommand(tool, args)).toBe(false);
    const [answer] = await reader.observe([{ kind: 'tool', tool, args }]);
    expect(answer).toMatchObject({ status: 'unreadable', reason: expect.stringContaining('is not among the commands') as string });
  });

  test('no word of a command makes it another one', () => {
    fc.assert(fc.property(hostileText('/nowhere'), hostileText('/nowhere'), (one, other) => {
      expect(isReadingCommand('auditctl', [one])).toBe(['-v', '-s', '-l'].includes(one));
      expect(isReadingCommand('docker', ['--host', one, 'compose', '--ansi', 'never', '--project-directory', other, '--project-name', 'x', 'up', '--', 'y'])).toBe(false);
      expect(isReadingCommand('getent', ['group', '--', one])).toBe(!one.includes('\0'));
    }));
  });

  test('the client that looks at an engine sends nothing that changes it', async () => {
    const sent: string[] = [];
    const server = createServer((request, response) => {
      sent.push(`${request.method ?? ''} ${request.url ?? ''}`);
      response.writeHead(200, { 'content-type': 'application/json' }).end('{"ApiVersion":"1.45"}');
    });
    const directory = await mkdtemp(join(tmpdir(), 'harden-authority-'));
    const socket = join(directory, 'engine.sock');
    await new Promise<void>((resolve) => server.listen(socket, resolve));
    const engine = await connectEngine({ dockerHost: `unix://${socket}`, env: {} });
    try {
      await engine.version();
      // What is meant to change an engine has a client of its own.
      await engine.control.startContainer('a'.repeat(64));
      expect(sent).toEqual(['GET /version', expect.stringMatching(/^POST \/containers\/a+\/start/) as string]);
    } finally {
      engine.close();
      server.closeAllConnections();
      server.close();
      await rm(directory, { recursive: true });
    }
  });

  test.each([
    ['looks', READING_ROUTES, ['/containers/x/exec', '/containers/x/attach', '/build', '/swarm/unlockkey', '/containers/x/archive', '/containers/x/archive?path=%2Fetc%2Fshadow', '/containers/x/archive?path=%2Fetc%2Fpasswd&path=x', '/secrets', '/configs/x', '/volumes/prune', '/../info', '/containers/a/b/json']],
    ['makes changes', CHANGING_ROUTES, ['/containers/x/exec', '/exec/x/start', '/containers/x/attach', '/containers/x/kill', '/build', '/volumes/x', '/networks/x', '/swarm/leave', '/secrets/create', '/containers/a/b/start', '/plugins/x/disable']],
  ] as const)('has no route for a client that %s', (_, routes, paths) => {
    for (const path of paths) for (const method of ['GET', 'HEAD', 'POST', 'PUT', 'DELETE']) expect([method, path, routeOf(routes, method, path)]).toEqual([method, path, null]);
    for (const path of ['/containers/prune', '/images/create', '/images/prune']) expect(routeOf(routes, 'POST', path)).toBeNull();
    expect(new Set(routes.map(({ method, path }) => `${method} ${path}`)).size).toBe(routes.length);
  });

  test('the client that changes an engine asks for every request in its table, and for no other', async () => {
    const sent: string[] = [];
    const server = createServer((request, response) => {
      sent.push(`${request.method ?? ''} ${request.url ?? ''}`);
      const stat = Buffer.from(JSON.stringify({ mode: 0 })).toString('base64');
      response.writeHead(request.url?.includes('/create') === true ? 201 : request.method === 'DELETE' && request.url?.startsWith('/containers/') === true || /start|stop|rename/.test(request.url ?? '') ? 204 : 200, { 'content-type': 'application/json', 'x-docker-container-path-stat': stat })
        .end(request.method === 'HEAD' ? '' : /(?:changes|tasks|containers\/json)\b/.test(request.url ?? '') ? '[]' : '{"Id":"a","Spec":{},"Version":{"Index":1}}');
    });
    const directory = await mkdtemp(join(tmpdir(), 'harden-authority-'));
    const socket = join(directory, 'engine.sock');
    await new Promise<void>((resolve) => server.listen(socket, resolve));
    const engine = await connectEngine({ dockerHost: `unix://${socket}`, env: {} });
    const { control } = engine;
    try {
      await control.apiVersion();
      await control.memoryBytes();
      await control.usersOfImage('sha256:a');
      await control.inspectImage('a/b:c');
      await control.removeImage('a.example/b:c');
      await control.createContainer({ name: 'x', body: {}, connect: [{ network: 'a/b', endpoint: {} }] });
      await control.startContainer('a');
      await control.stopContainer('a');
      await control.renameContainer('a', 'b');
      await control.updateContainer('a', {});
      await control.containerChanges('a');
      for await (const chunk of await control.exportContainer('a')) expect(chunk).toBeDefined();
      expect(await control.isSocketIn('a', '/x/y')).toBe(false);
      await control.removeContainer('a');
      await control.service('a/b');
      await control.tasks('a');
      await control.updateService('a', 1, {});
      await control.unlockKey();
      await control.updateSwarm((spec) => spec);
    } finally {
      engine.close();
      server.closeAllConnections();
      server.close();
      await rm(directory, { recursive: true });
    }
    const taken = sent.map((line) => routeOf(CHANGING_ROUTES, line.split(' ')[0] ?? '', line.replace(/^\S+ /, '')));
    expect(sent.filter((_, index) => taken[index] === null)).toEqual([]);
    expect(CHANGING_ROUTES.filter((route) => !taken.includes(route))).toEqual([]);
  });
});
