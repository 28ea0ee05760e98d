import { describe, expect, test } from 'vitest';
import { readCompose } from '../src/collect/compose.ts';
import { Round } from '../src/collect/round.ts';
import { newContainer, unchangedContainers, upArguments } from '../src/compose/call.ts';
import { composeEdit } from '../src/compose/container.ts';
import type { HostReader, ToolResult } from '../src/host/port.ts';
import { maskSecretsInYamlText } from '../src/mask.ts';
import type { ComposeFacts, ContainerFacts, Facts, FileStat, Observed, SpecEdit } from '../src/model.ts';
import { absent, present, unreadable, valueOf } from '../src/model.ts';
import { exportSnapshot } from '../src/snapshot.ts';
import { hostWith } from './hosts.ts';

const ENDPOINT = 'unix:///var/run/docker.sock';
const SHOP = { project: 'shop', workingDir: '/srv/shop', files: ['/srv/shop/compose.yaml', '/srv/shop/more.yaml'], environmentFiles: [] };
const TEXT = 'services:\n  web:\n    image: x\n    env_file: web.env\n  worker:\n    extends: { file: base.yaml, service: app }\n';

const owner = (service: string, more: object = {}) => ({ kind: 'compose', ...SHOP, service, configHash: 'h', oneOff: false, ...more });
const factsWith = (containers: readonly object[], patch: object = {}): Facts => hostWith('debian-12', { containers: { status: 'present', value: containers }, ...patch });
const containersOf = (facts: Facts): readonly ContainerFacts[] => valueOf(facts.containers) ?? [];

describe('the call of Compose', () => {
  test('names all that the project was made with, and nothing that builds, pulls, removes or touches others', () => {
    expect(upArguments('docker', ENDPOINT, { ...SHOP, environmentFiles: ['/srv/shop/prod.env'] }, [{ name: 'web', containers: 2 }], { step: 'make' })).toEqual([
      '--host', ENDPOINT, 'compose', '--ansi', 'never', '--project-directory', '/srv/shop', '--project-name', 'shop', '--file', '/srv/shop/compose.yaml',
      '--file', '/srv/shop/more.yaml', '--env-file', '/srv/shop/prod.env', 'up', '--no-start', '--no-build', '--pull', 'never', '--remove-orphans=false',
      '--scale', 'web=2', '--', 'web',
    ]);
    expect(upArguments('docker-compose', ENDPOINT, SHOP, [{ name: 'web', containers: 1 }], { step: 'make', dryRun: true }).slice(0, 4)).toEqual(['--host', ENDPOINT, '--dry-run', '--ansi']);
    expect(upArguments('docker', ENDPOINT, SHOP, [{ name: 'web', containers: 1 }], { step: 'start' }).slice(13)).toEqual([
      'up', '--detach', '--no-deps', '--no-recreate', '--no-build', '--pull', 'never', '--remove-orphans=false', '--scale', 'web=1', '--', 'web',
    ]);
  });

  test('a rehearsal tells which containers stay', () => {
    // As Compose 2.26 says it, of a running, a stopped, a changed and a new container, and of one too many.
    const said = [
      ' DRY-RUN MODE -  Container shop-web-1  Running ', ' DRY-RUN MODE -  Container shop-off-1  Created ', ' DRY-RUN MODE -  Container shop-off-1  Starting ',
      ' DRY-RUN MODE -  Container shop-db-1  Recreate ', ' DRY-RUN MODE -  Container shop-db-1  Recreated ', ' DRY-RUN MODE -  Container 63135396f511_shop-db-1  Starting ',
      ' DRY-RUN MODE -  Container shop-new-1  Creating ', ' DRY-RUN MODE -  Container shop-new-1  Created ', ' DRY-RUN MODE -  Container shop-web-2  Stopping ',
    ].join('\n');
    const named = (isNew: boolean, ...names: string[]): { name: string; isNew: boolean }[] => names.map((name) => ({ name, isNew }));
    expect(unchangedContainers(said, named(false, 'shop-web-1', 'shop-off-1', 'shop-db-1', 'shop-new-1', 'shop-web-2', 'other'))).toEqual(['shop-web-1', 'shop-off-1']);
    expect(unchangedContainers('', named(false, 'shop-web-1'))).toEqual([]);
    // Of one that was created and never started nothing is said, unless it would be made anew.
    expect(unchangedContainers(said, named(true, 'shop-db-1', 'other'))).toEqual(['other']);
    expect(newContainer(said, ['shop-web-1'])).toBe('shop-new-1');
    expect(newContainer(said, ['shop-new-1'])).toBeUndefined();
  });
});

describe('what is known of projects', () => {
  const stat = (path: string, more: object = {}): FileStat => ({
    type: /\.(?:yaml|env)$/.test(path) ? 'file' : 'directory', realPath: path, mode: 0o755, uid: 0, gid: 0, dev: 1, ino: 1, nlink: 1, mtimeMs: 0, ctimeMs: 0, ...more,
  });
  const running: ToolResult = { code: 0, stdout: '', stderr: ' DRY-RUN MODE -  Container shop-web-1  Running \n' };

  /** Reads as the collector does, from a host that is made of these. */
  async function look(containers: readonly object[], { texts = {}, stats = {}, tools = { docker: present(running) } }: {
    texts?: Record<string, string>; stats?: Record<string, object | null>; tools?: Record<string, Observed<ToolResult>>;
  } = {}): Promise<{ readonly projects: readonly ComposeFacts[]; readonly ran: readonly string[][] }> {
    const ran: string[][] = [];
    const all: Record<string, string> = { '/srv/shop/compose.yaml': TEXT, '/srv/shop/more.yaml': 'services: {}\n', ...texts };
    const reader = {
      observe: (requests: readonly { kind: string; path?: string; tool?: string; args?: string[] }[]) => Promise.resolve(requests.map(({ kind, path = '', tool = '', args = [] }) => {
        if (kind === 'text') return Object.hasOwn(all, path) ? present(all[path]) : absent;
        if (kind === 'stat') return stats[path] === null || (path.endsWith('/.env') && stats[path] === undefined) ? absent : present(stat(path, stats[path] ?? {}));
        ran.push([tool, ...args]);
        return tools[tool] ?? absent;
      })),
    } as unknown as HostReader;
    const answers = new Map<string, () => Observed<FileStat>>();
    const store = {
      need: (round: Round, paths: readonly string[]) => { for (const path of paths) if (!answers.has(path)) answers.set(path, round.stat(path)); },
      at: (path: string) => valueOf(answers.get(path)?.()),
    };
    const second = new Round();
    const { third } = readCompose(second, store, containersOf(factsWith(containers)), 0);
    await second.read(reader);
    const round = new Round(second);
    const projects = third(round, ENDPOINT);
    await round.read(reader);
    return { projects: projects(), ran };
  }

  const web = { name: 'shop-web-1', spec: {}, owner: owner('web') };

  test('files, what they name, and one rehearsal per project', async () => {
    const { projects, ran } = await look([web, { name: 'shop-worker-1', spec: {}, owner: owner('worker') }, { name: 'once', spec: {}, owner: owner('web', { oneOff: true }) }],
      { texts: { '/srv/shop/base.yaml': 'services: { app: { image: y } }\n' } });
    expect(projects).toEqual([{
      ...SHOP, texts: { '/srv/shop/compose.yaml': present(TEXT), '/srv/shop/more.yaml': present('services: {}\n'), '/srv/shop/base.yaml': present('services: { app: { image: y } }\n') },
      reads: ['/srv/shop/web.env'], rehearsal: present({ tool: 'docker', unchanged: ['shop-web-1'] }),
    }]);
    expect(ran.map(([tool, , , first]) => [tool, first])).toEqual([['docker', 'compose'], ['docker-compose', '--dry-run']]);
    expect(ran[0]?.slice(-2)).toEqual(['web', 'worker']);
  });

  test('without the plugin the program of its own is asked; without both it is not known', async () => {
    const none: ToolResult = { code: 125, stdout: '', stderr: "unknown flag: --project-directory\nSee 'docker --help'.\n" };
    const rehearsal = async (tools: Record<string, Observed<ToolResult>>) => (await look([web], { tools })).projects[0]?.rehearsal;
    expect(await rehearsal({ docker: present(none), 'docker-compose': present(running) })).toMatchObject({ value: { tool: 'docker-compose' } });
    expect(await rehearsal({})).toEqual(unreadable('Docker Compose is not installed here'));
    expect(await rehearsal({ docker: present({ code: 1, stdout: '', stderr: 'no such service: web\n' }) })).toEqual(unreadable('docker compose: no such service: web'));
  });

  test('of containers of Compose 1 it is not asked: it cannot rehearse, and a later one would make them anew', async () => {
    const { projects, ran } = await look([{ ...web, owner: owner('web', { files: ['compose.yaml', 'more.yaml'], version: '1.29.2' }) }]);
    expect(ran).toEqual([]);
    expect(projects[0]?.files).toEqual(SHOP.files);
    expect(projects[0]?.rehearsal).toEqual(unreadable(expect.stringMatching(/^its containers were made by Compose 1\.29\.2, /) as string));
  });

  const doubtful: Record<string, [containers: readonly object[], options: Parameters<typeof look>[1], why: string]> = {
    'a file of somebody else': [[web], { stats: { '/srv/shop/more.yaml': { uid: 1000 } } }, '/srv/shop/more.yaml belongs to uid 1000, who would decide what root runs'],
    'a directory that others write': [[web], { stats: { '/srv/shop': { mode: 0o777 } } }, '/srv/shop can be written by everybody'],
    'a sticky directory as the project\'s own': [[web], { stats: { '/srv/shop': { mode: 0o1777 } } }, '/srv/shop can be written by everybody'],
    'a link': [[web], { stats: { '/srv/shop/compose.yaml': { realPath: '/home/x/compose.yaml' } } }, '/srv/shop/compose.yaml is reached through a symbolic link (/home/x/compose.yaml)'],
    'a device': [[web], { stats: { '/srv/shop/compose.yaml': { type: 'device' } } }, '/srv/shop/compose.yaml is not a regular file'],
    'an .env of somebody else': [[web], { stats: { '/srv/shop/.env': { uid: 5, type: 'file' } } }, '/srv/shop/.env belongs to uid 5, who would decide what root runs'],
    'a file that is gone': [[web], { stats: { '/srv/shop/more.yaml': null } }, '/srv/shop/more.yaml is not there'],
    'a path that goes up': [[{ ...web, owner: owner('web', { files: ['/srv/shop/../x.yaml'] }) }], {}, 'its containers name files by paths that are not absolute'],
    'no path at all': [[{ ...web, owner: owner('web', { files: [] }) }], {}, 'its containers do not name its files'],
    'a service called like an option': [[{ ...web, owner: owner('--privileged') }], {}, 'its containers have names that Compose does not give'],
    'a project called like an option': [[{ ...web, owner: owner('web', { project: '-x' }) }], {}, 'its containers have names that Compose does not give'],
    'containers of other files': [[web, { name: 'b', spec: {}, owner: owner('b', { files: ['/b.yaml'] }) }], {}, 'its containers name different files: they were made with different options'],
    'what is no compose file': [[web], { texts: { '/srv/shop/more.yaml': 'a: {' } }, '/srv/shop/more.yaml:1:5: Flow map in block collection must be sufficiently indented and end with a }'],
    'a file from elsewhere': [[web], { texts: { '/srv/shop/more.yaml': 'include: [ "oci://x/y" ]\nservices: {}\n' } }, '/srv/shop/more.yaml takes in oci://x/y, which Compose may have to fetch from elsewhere'],
    'a file that a variable names': [[web], { texts: { '/srv/shop/more.yaml': 'include: [ "${WHERE}" ]\nservices: {}\n' } }, '/srv/shop/more.yaml takes in ${WHERE}, which Compose may have to fetch from elsewhere'],
  };
  test.each(Object.entries(doubtful))('nothing is run for %s', async (_, [containers, options, why]) => {
    const { projects, ran } = await look(containers, options);
    expect(projects[0]?.rehearsal).toMatchObject({ status: 'unreadable', reason: expect.stringContaining(why.slice(0, 60)) as string });
    expect(ran).toEqual([]);
  });

  test('paths of Compose 1 start from its directory', async () => {
    const { projects } = await look([{ ...web, owner: owner('web', { files: ['compose.yaml', 'more.yaml'] }) }]);
    expect(projects[0]).toMatchObject({ files: SHOP.files, rehearsal: { status: 'present' } });
  });
});

describe('an edit of a container that Compose manages', () => {
  const compose = (more: Partial<ComposeFacts> = {}) => ({
    compose: present([{ ...SHOP, texts: { '/srv/shop/compose.yaml': present(`${TEXT}    # kept\n`), '/srv/shop/more.yaml': present('services: {}\n') }, reads: ['/srv/shop/web.env'],
      rehearsal: present({ tool: 'docker', unchanged: ['shop-web-1', 'shop-web-2'] }), ...more }]),
  });
  const edits: readonly SpecEdit[] = [{ op: 'set', path: 'security.readonlyRootfs', value: true }];
  const web = { name: 'shop-web-1', spec: {}, owner: owner('web') };
  const edit = (containers: readonly object[], patch: object): ReturnType<typeof composeEdit> => {
    const facts = factsWith(containers, patch);
    const [first] = containersOf(facts);
    if (first === undefined) throw new Error('no container');
    return composeEdit(facts, first, edits);
  };

  test('is an edit of its file and a re-up of all containers of its service', () => {
    const result = edit([web, { ...web, name: 'shop-web-2' }], compose());
    if (!('files' in result)) throw new Error(JSON.stringify(result));
    expect(result.files).toEqual([{ path: '/srv/shop/compose.yaml', before: `${TEXT}    # kept\n`, after: `${TEXT.replace('web.env\n', 'web.env\n    read_only: true\n')}    # kept\n` }]);
    expect(result.up.map((words) => words.slice(-4))).toEqual([['--scale', 'web=2', '--', 'web'], ['--scale', 'web=2', '--', 'web']]);
    expect(result.up.map((words) => words.find((word) => ['--no-start', '--detach'].includes(word)))).toEqual(['--no-start', '--detach']);
    const stopped = edit([{ ...web, runtime: { state: 'exited' } }], compose());
    expect('up' in stopped && stopped.up.map((words) => words.includes('--no-start'))).toEqual([true]);
    const others = edit([web, { ...web, name: 'shop-db-1', owner: owner('db') }], compose({ rehearsal: present({ tool: 'docker', unchanged: ['shop-web-1', 'shop-db-1'] }) }));
    expect('up' in others && others.up.map((words) => words.slice(words.indexOf('--scale')))).toEqual([['--scale', 'web=1', '--scale', 'db=1', '--', 'web', 'db'], ['--scale', 'web=1', '--', 'web']]);
  });

  test.each<[string, readonly object[], object, string]>([
    ['an edit of somebody else waits', [web], compose({ rehearsal: present({ tool: 'docker', unchanged: [] }) }), '`up` would already make another container of shop-web-1'],
    ['Compose is not there', [web], compose({ rehearsal: unreadable('Docker Compose is not installed here') }), 'is not known: Docker Compose is not installed here'],
    ['another is made anew with it', [web, { name: 'shop-front-1', spec: { labels: { 'com.docker.compose.depends_on': 'db:service_started:true,web:service_healthy:true' } }, owner: owner('front') }],
      compose({ rehearsal: present({ tool: 'docker', unchanged: ['shop-web-1', 'shop-front-1'] }) }), 'shop-front-1 is made anew with it'],
    ['another of the project waits to be made anew', [web, { name: 'shop-db-1', spec: {}, owner: owner('db') }], compose(), '`up` would already make another container of shop-db-1'],
    ['it is paused', [{ ...web, runtime: { state: 'paused' } }], compose(), 'the containers of the service are paused'],
    ['one runs and one does not', [web, { ...web, name: 'shop-web-2', runtime: { state: 'exited' } }], compose(), 'running and exited'],
    ['it was never started', [{ ...web, runtime: { state: 'created', createdAt: '2999-01-01T00:00:00Z' } }], compose(), 'shop-web-1 of its compose project shop was made a moment ago and never started'],
    ['another of the project waits to be started', [web, { name: 'shop-db-1', spec: {}, owner: owner('db'), runtime: { state: 'created', createdAt: '2999-01-01T00:00:00Z' } }],
      compose({ rehearsal: present({ tool: 'docker', unchanged: ['shop-web-1', 'shop-db-1'] }) }), 'shop-db-1 of its compose project shop was made a moment ago and never started'],
    ['it was made by `run`', [{ ...web, owner: owner('web', { oneOff: true }) }], compose(), 'it was made by `compose run`'],
    ['nobody looked at the files', [web], {}, 'were not looked at'],
    ['a snapshot has no texts', [web], compose({ texts: {} }), 'the texts of its compose files are not known'],
    ['another lives in its network', [web, { name: 'side', spec: { namespaces: { network: 'container:shop-web-1' } } }], compose(), 'the container side shares a namespace'],
    ['its env file is somebody else\'s', [web], { ...compose(), files: { '/srv/shop/web.env': present({ uid: 1000 }) } }, '/srv/shop/web.env belongs to uid 1000'],
    ['it is no compose file', [web], compose({ texts: { '/srv/shop/compose.yaml': present('a'), '/srv/shop/more.yaml': present('services: {}') } }), '/srv/shop/compose.yaml:1:1: '],
  ])('is refused where %s', (_, containers, patch, why) => {
    expect(edit(containers, patch)).toEqual({ refused: expect.stringContaining(why) as string });
  });

  test('no snapshot holds what the files say', () => {
    const facts = factsWith([web], compose({ texts: { '/srv/shop/compose.yaml': present('services: { web: { environment: { A: hunter2 } } }') } }));
    const exported = exportSnapshot(facts);
    expect(JSON.stringify(exported)).not.toContain('hunter2');
    expect(exported['compose']).toMatchObject({ value: [{ files: SHOP.files, texts: { '/srv/shop/compose.yaml': { status: 'unreadable' } } }] });
  });
});

test('secrets of a YAML text are masked in their lines', () => {
  const text = [
    'services:', '  db:', '    environment:', '      POSTGRES_PASSWORD: hunter2 # old', '      API_TOKEN: "hun\\"ter2"', '      - SECRET_KEY=hunter2', '      PRIVATE_KEY: |', '        hunter2', '', '        hunter2',
    '      PORT: 80', '    labels: {a.token: hunter2, b: keep}', '    command: --password=hunter2', '    secrets: [db]', 'secrets:', '  db:', '    file: ./kept', '',
  ].join('\n');
  const masked = maskSecretsInYamlText(text);
  expect(masked).not.toContain('hunter2');
  expect(masked.split('\n')).toHaveLength(text.split('\n').length);
  for (const kept of ['PORT: ***', 'b: keep', 'file: ./kept', 'secrets: [db]']) expect(masked).toContain(kept);
});
