/**
 * The model of a container against real engines: what `docker create` made is read, modelled and created again, through the API and through
 * the printed line, and inspects as before.
 */
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseImages } from '../../src/collect/engine-api.ts';
import { chosenSpec, daemonDefaults, exactSpec, gains, type DaemonDefaults } from '../../src/container/chosen.ts';
import { differences } from '../../src/container/differences.ts';
import { parseInspect } from '../../src/container/from-inspect.ts';
import { inexpressible } from '../../src/container/inexpressible.ts';
import { toCreateOptions, type CreateOptions } from '../../src/container/to-create.ts';
import { runCommands } from '../../src/container/to-run.ts';
import type { ContainerSpec, Facts, ImageFacts, Json, JsonObject } from '../../src/model.ts';
import { present, valueOf } from '../../src/model.ts';
import { shellLine } from '../../src/quote.ts';
import { bed, skipReason, titled, type Suite, type SystemdHost } from './host.ts';
import { harden } from './support.ts';

interface Case {
  readonly name: string;
  readonly args: readonly string[];
  readonly after?: readonly (readonly string[])[];
}

const recorded = JSON.parse(readFileSync(new URL('../../fixtures/raw/inspect/cases.json', import.meta.url), 'utf8')) as { setup: string[][]; cases: Case[] };

const IDLE = ['busybox', 'sleep', '1d'] as const;

/** Of an image that says all that an image can say; `docker build` on standard input. */
const DOCKERFILE = [
  'FROM busybox:latest', 'ENV A=1 B="two words"', 'LABEL of=image both=image', 'WORKDIR /w', 'USER 1', 'STOPSIGNAL SIGINT', 'SHELL ["/bin/sh","-ec"]', 'EXPOSE 80 81/udp', 'VOLUME /vol/',
  'ENTRYPOINT ["env","X=1"]', 'CMD ["sleep","1d"]', 'HEALTHCHECK --interval=9s CMD ["true"]', '',
].join('\n');

const CASES: readonly Case[] = [
  ...recorded.cases,
  ...Object.entries<readonly string[]>({
    'image-only': ['full'],
    'image-command': ['full', 'sleep', '1d'],
    'image-other-command': ['full', 'sleep', '2d'],
    'entrypoint-same': ['--entrypoint', 'env', 'full', 'X=1', 'sleep', '1d'],
    'entrypoint-reset': ['--entrypoint', '', 'full', 'sleep', '1d'],
    'entrypoint-alone': ['--entrypoint', '/bin/sh', 'full'],
    'image-overridden': ['-e', 'A=9', '-e', 'B=two words', '-e', 'C=é\n"\'$(id) `x` \\', '-e', 'BARE', '--label', 'both=mine', '--label', 'empty=', '--user', '2:3', '-w', '/with space', '--stop-signal', 'SIGTERM', '--expose', '82', 'full'],
    'health-partly': ['--health-interval', '90s', '--health-retries', '7', 'full'],
    'health-off': ['--no-healthcheck', 'full'],
    'image-volume-bound': ['-v', 'rec-data:/vol', 'full'],
    'image-volume-and-more': ['-v', '/more', '-v', '/srv:/srv:rw,rslave', 'full'],
    'tricky-words': ['busybox', 'sh', '-c', 'echo "$(id)" \'x\'\n`y` *', '', '--', '-x', '~', '{a,b}', 'é'],
    'hostile-values': ['--label', 'a.b/c=it\'s "x"\n$(id)', '--log-opt', 'tag={{.Name}} "x" $y', '-e', 'PASSWORD=a b\'c', ...IDLE],
    'none-network': ['--network', 'none', ...IDLE],
    'host-network': ['--network', 'host', ...IDLE],
    'host-network-named': ['--network', 'host', '--hostname', 'other', '-p', '8080:80', ...IDLE],
    'uts-host': ['--uts', 'host', ...IDLE],
    'pid-of-other': ['--pid', 'container:plain', '--ipc', 'container:shared', ...IDLE],
    shared: ['--ipc', 'shareable', ...IDLE],
    'network-by-id': ['--network', '$ID_OF_REC_A', '--ip', '172.28.0.77', ...IDLE],
    'network-options': ['--network', 'name=rec-a,alias=x,driver-opt=a.b=c', '--ip', '172.28.0.78', '--link-local-ip', '169.254.9.9', ...IDLE],
    'network-link': ['--network', 'rec-a', '--link', 'plain:p', '--mac-address', '02:42:de:ad:be:01', ...IDLE],
    'range-and-random': ['-p', '18000-18003:80', '-p', '81', '-p', '[::1]::82', '-p', '53:53/udp', '-p', '127.0.0.1:53:53/udp', ...IDLE],
    'own-shm': ['--shm-size', '64m', '--runtime', 'runc', '--ulimit', 'nofile=1024:2048', '--ulimit', 'core=-1', ...IDLE],
    'swap-equal': ['-m', '100m', '--memory-swap', '100m', '--cpus', '0.333', '--init=false', '--stop-timeout', '0', '--log-driver', 'none', ...IDLE],
    'nofile-other': ['--ulimit', 'nofile=5:6', '--log-opt', 'max-size=1k', ...IDLE],
    'mount-all': [
      '--mount', 'type=bind,src=/srv,dst=/a,readonly,bind-propagation=rslave', '--mount', 'type=tmpfs,dst=/t,tmpfs-size=1048576,tmpfs-mode=1770',
      '--mount', '"type=volume","src=rec-opt","dst=/v","volume-label=a=b,c","volume-opt=type=tmpfs","volume-opt=device=tmpfs","volume-opt=o=size=1m,uid=5"',
      '--mount', 'type=volume,dst=/anon', '--mount', 'type=bind,src=/srv,dst=/nr,bind-nonrecursive', ...IDLE,
    ],
    'block-io': ['--device-read-bps', '/dev/null:1mb', '--device-write-iops', '/dev/null:7', ...IDLE],
    gpu: ['--gpus', '"device=0,1",driver=nvidia,"capabilities=compute,utility"', '--gpus', 'all', ...IDLE],
    'no-limits': ['--pids-limit', '0', '--blkio-weight', '300', '--cpuset-mems', '0', '--cpu-rt-runtime', '0', ...IDLE],
    'security-mix': ['--security-opt', 'label:disable', '--security-opt', 'label=level:s0', '--security-opt', 'no-new-privileges:true', '--pid', 'host', '--cap-add', 'ALL', '--cap-drop', 'NET_RAW', ...IDLE],
    interactive: ['-i', ...IDLE],
    'with-terminal': ['-it', ...IDLE],
    'isolated': ['--isolation', 'default', '--domainname', 'd.test', '--group-add', 'audio', ...IDLE],
    'volumes-of-others': ['--volumes-from', 'image-only:ro', '--volumes-from', 'named-volume', 'full'],
  }).map(([name, args]) => ({ name, args })),
];

/** What only a newer client and engine have. */
const NEWER: readonly Case[] = [
  { name: 'three-networks', args: ['--network', 'name=rec-a,ip=172.28.0.80,alias=a1,mac-address=02:42:ac:00:00:01', '--network', 'name=rec-b,alias=b1,mac-address=02:42:ac:00:00:02', ...IDLE] },
  { name: 'health-start-interval', args: ['--health-cmd', 'true', '--health-start-interval', '2s', ...IDLE] },
  { name: 'volume-subpath', args: ['--mount', 'type=volume,src=rec-data,dst=/d,volume-subpath=sub', ...IDLE] },
  { name: 'recursive-read-only', args: ['--mount', 'type=bind,src=/srv,dst=/d,readonly,bind-propagation=rprivate,bind-recursive=writable', ...IDLE] },
  { name: 'cdi-device', args: ['--device', 'vendor.example/class=name', ...IDLE] },
];

/** Run, not only created: with addresses, ports, aliases that the engine gave. */
const RUNNING: readonly Case[] = [
  { name: 'running', args: ['-p', '127.0.0.1:18080:80', '-v', '/anonymous', ...IDLE] },
  { name: 'running-networks', args: ['--network', 'rec-b', '--network-alias', 'z', '--mac-address', '02:42:de:ad:be:02', ...IDLE], after: [['network', 'connect', '--alias', 'y', '--ip', '172.28.0.90', 'rec-a', 'running-networks']] },
  { name: 'running-joined', args: ['--network', 'container:running', ...IDLE] },
  { name: 'running-linked', args: ['--link', 'running:r', ...IDLE] },
];

const PROGRAM = `
const http = require('http');
const call = ({ method, path, body }) => new Promise((resolve, reject) => {
  const request = http.request({ socketPath: '/var/run/docker.sock', method, path, headers: { 'content-type': 'application/json' } }, (answer) => {
    let text = ''; answer.setEncoding('utf8'); answer.on('data', (part) => { text += part; });
    answer.on('end', () => resolve({ status: answer.statusCode, body: text === '' ? null : JSON.parse(text) }));
  });
  request.on('error', reject); request.end(body === undefined ? undefined : JSON.stringify(body));
});
let input = ''; process.stdin.setEncoding('utf8'); process.stdin.on('data', (part) => { input += part; });
process.stdin.on('end', async () => { const answers = []; for (const one of JSON.parse(input)) answers.push(await call(one)); process.stdout.write(JSON.stringify(answers)); });
`;

interface Request { readonly method: 'GET' | 'POST' | 'DELETE'; readonly path: string; readonly body?: JsonObject }
interface Answer { readonly status: number; readonly body: Json }

const CONFIG = {
  'log-opts': { 'max-size': '10m' }, 'default-ulimits': { nofile: { Name: 'nofile', Soft: 1024, Hard: 2048 } }, 'default-shm-size': '32M',
};

describe.skipIf(skipReason('systemd') !== null).each<readonly [Suite, string]>([['bookworm', '1.41'], ['trixie', '1.45']])(titled('the model on %s', 'systemd'), (suite, apiVersion) => {
  let host: SystemdHost;
  let images: readonly ImageFacts[];
  let defaults: DaemonDefaults;
  const cases = [...CASES.filter(({ name }) => suite === 'trixie' || name !== 'annotation'), ...(suite === 'trixie' ? NEWER : [])];
  const all = [...cases, ...RUNNING];

  const api = async (requests: readonly Request[]): Promise<readonly Answer[]> =>
    JSON.parse((await host.exec(['node', '-e', PROGRAM], { input: JSON.stringify(requests), check: true })).stdout) as Answer[];
  const inspect = async (names: readonly string[]): Promise<readonly JsonObject[]> =>
    (await api(names.map((name) => ({ method: 'GET', path: `/containers/${name}/json` })))).map(({ status, body }) => status === 200 ? body as JsonObject : { failed: body });
  const creation = ({ name, body, connect }: CreateOptions): readonly Request[] => [
    { method: 'POST', path: `/v${apiVersion}/containers/create?name=${name}`, body },
    ...connect.map(({ network, endpoint }): Request => ({ method: 'POST', path: `/v${apiVersion}/networks/${network}/connect`, body: { Container: name, EndpointConfig: endpoint } })),
  ];
  const exactOf = (raw: JsonObject): ContainerSpec => {
    const spec = valueOf(parseInspect(raw, { apiVersion }).spec) as ContainerSpec;
    return exactSpec(spec, { image: imageOf(spec), defaults });
  };
  const nameOf = (raw: JsonObject): string => parseInspect(raw, { apiVersion }).name;
  const imageOf = ({ image: { id } }: ContainerSpec) => {
    const config = images.find((image) => image.id === id)?.config;
    return config === undefined ? undefined : valueOf(config);
  };
  const chosenOf = (raw: JsonObject): ContainerSpec => {
    const exact = exactOf(raw);
    return chosenSpec(exact, { image: imageOf(exact), defaults });
  };
  const lineOf = (raw: JsonObject, name: string): readonly (readonly string[])[] => {
    const chosen = { ...chosenOf(raw), name };
    const [[docker = '', , ...words] = [], ...more] = runCommands(chosen, apiVersion);
    return [[docker, 'create', ...words.filter((word, index) => index > 0 || word !== '--detach')], ...more.filter(([, command]) => command !== 'start')];
  };
  /** What `docker create` cannot say although `docker run --detach` can: standard input that stays open. */
  const ofCreate = (raw: JsonObject): readonly string[] => {
    const { openStdin, stdinOnce } = exactOf(raw);
    return openStdin && !stdinOnce ? ['Config.StdinOnce'] : [];
  };
  /** The differences between containers and those that were created again as NAME + suffix, by name. */
  const compared = async (names: readonly string[], ending: string): Promise<Record<string, readonly string[]>> => {
    const [before, after] = [await inspect(names), await inspect(names.map((name) => `${name}${ending}`))];
    return Object.fromEntries(names.map((name, index) => [name, differences(before[index] ?? {}, after[index] ?? {}, apiVersion)]));
  };
  const nothing = (names: readonly string[]): Record<string, readonly string[]> => Object.fromEntries(names.map((name) => [name, []]));

  beforeAll(async () => {
    host = await bed.systemdHost({ name: `model-${suite}`, suite, prepare: (made) => made.writeFile('/etc/docker/daemon.json', JSON.stringify(CONFIG)) });
    await host.loadBusybox();
    await host.exec('docker build -q -t full -', { input: DOCKERFILE, check: true });
    await host.exec("mkdir -p '/srv/with space'; docker network create --subnet 172.28.0.0/16 rec-a && docker network create rec-b", { check: true });
    const id = (await host.exec(['docker', 'network', 'inspect', '-f', '{{.Id}}', 'rec-a'], { check: true })).stdout.trim();
    // shared is what pid-of-other names.
    const ordered = all.toSorted((a, b) => Number(b.name === 'shared') - Number(a.name === 'shared'));
    const lines = ordered.flatMap(({ name, args, after = [] }) => {
      const command = RUNNING.some((one) => one.name === name) ? ['docker', 'run', '-d'] : ['docker', 'create'];
      return [[...command, '--name', name, ...args.map((word) => word.replace('$ID_OF_REC_A', id))], ...after.map((words) => ['docker', ...words])].map(shellLine);
    });
    const { stderr } = await host.exec(['sh', '-c', lines.map((line) => `${line} >/dev/null || echo FAILED ${shellLine([line])} >&2`).join('\n')], { check: true });
    expect(stderr.split('\n').filter((line) => /FAILED|rror/.test(line))).toEqual([]);

    const [listed, ...inspected] = await api([{ method: 'GET', path: '/images/json' }, { method: 'GET', path: '/images/full/json' }, { method: 'GET', path: '/images/busybox/json' }]);
    images = parseImages((listed?.body as JsonObject[]).map((image) => ({
      listed: image, inspect: present(inspected.map(({ body }) => body as JsonObject).find(({ Id }) => Id === image['Id']) ?? {}), history: present([]),
    })));
    expect((await harden(host, ['collect', '-o', '/tmp/facts.json'])).code).toBe(0);
    defaults = daemonDefaults(JSON.parse(await host.readFile('/tmp/facts.json')) as Facts);
    expect(defaults).toMatchObject({ logDriver: 'json-file', logOptions: { 'max-size': '10m' }, ulimits: [{ name: 'nofile', soft: 1024, hard: 2048 }], shmSize: 33_554_432, runtime: 'runc' });
  });
  afterAll(() => host.down());

  test('created again through the API, every container inspects as before', async () => {
    const names = all.map(({ name }) => name);
    const before = await inspect(names);
    const named = before.map((raw) => ({ name: nameOf(raw), unmodelled: parseInspect(raw, { apiVersion }).unmodelled, lost: inexpressible(exactOf(raw), 'api', apiVersion), gained: gains(exactOf(raw), defaults) }));
    expect(named.filter(({ unmodelled, lost, gained }) => unmodelled.length + lost.length + gained.length > 0).map(({ name, unmodelled }) => [name, unmodelled]))
      .toEqual([['volume-driver', ['HostConfig.VolumeDriver']]]);
    const answers = await api(before.flatMap((raw) => creation({ ...toCreateOptions(exactOf(raw), apiVersion), name: `${nameOf(raw)}-again` })));
    expect(answers.filter(({ status }) => status > 201)).toEqual([]);
    expect(await compared(names, '-again')).toEqual({ ...nothing(names), 'volume-driver': ['HostConfig.VolumeDriver'] });
  });

  test('created again by the printed line, too', async () => {
    const names = all.map(({ name }) => name);
    const before = await inspect(names);
    const lines = before.flatMap((raw) => lineOf(raw, `${nameOf(raw)}-line`).map(shellLine));
    const { stderr } = await host.exec(['sh', '-c', lines.map((line) => `${line} >/dev/null || echo FAILED ${shellLine([line])} >&2`).join('\n')], { check: true });
    expect(stderr.split('\n').filter((line) => /FAILED|rror/.test(line))).toEqual([]);
    expect(await compared(names, '-line')).toEqual({ ...nothing(names), 'volume-driver': ['HostConfig.VolumeDriver'] });
  });

  test('so are generated ones', async () => {
    const seed = Number(process.env['MODEL_SEED'] ?? Date.now() % 1_000_000);
    process.stderr.write(`MODEL_SEED=${seed} (${suite})\n`);
    const bodies = fc.sample(generated, { seed, numRuns: 60 }).map((body) => ({ ...body, Image: 'full' }));
    const made = await api(bodies.map((body, index) => ({ method: 'POST', path: `/v${apiVersion}/containers/create?name=made-${index}`, body: body as unknown as JsonObject })));
    const names = made.flatMap(({ status }, index) => (status === 201 ? [`made-${index}`] : []));
    expect({ seed, refused: made.filter(({ status }) => status !== 201).map(({ body }) => body) }).toEqual({ seed, refused: [] });
    const before = await inspect(names);
    const again = await api(before.flatMap((raw, index) => creation({ ...toCreateOptions(exactOf(raw), apiVersion), name: `${names[index] ?? ''}-again` })));
    expect(again.filter(({ status }) => status !== 201)).toEqual([]);
    expect({ seed, ...await compared(names, '-again') }).toEqual({ seed, ...nothing(names) });

    const printable = names.filter((_, index) => inexpressible(chosenOf(before[index] ?? {}), 'run', apiVersion).length === 0);
    expect(printable.length).toBeGreaterThan(20);
    const lines = printable.flatMap((name) => lineOf(before[names.indexOf(name)] ?? {}, `${name}-line`).map(shellLine));
    const { stderr } = await host.exec(['sh', '-c', lines.map((line) => `${line} >/dev/null || echo FAILED ${shellLine([line])} >&2`).join('\n')], { check: true });
    expect({ seed, failed: stderr.split('\n').filter((line) => /FAILED|rror/.test(line)) }).toEqual({ seed, failed: [] });
    expect({ seed, ...await compared(printable, '-line') }).toEqual({
      seed, ...Object.fromEntries(printable.map((name) => [name, ofCreate(before[names.indexOf(name)] ?? {})])),
    });
  });
});

const some = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(arbitrary, { nil: undefined });
const value = fc.oneof(fc.string({ maxLength: 12 }), fc.string({ unit: 'grapheme', maxLength: 6 }), fc.constantFrom('', 'a b', 'it\'s', '$(id)', '"', '\\', '\n', '-x', '{{.Name}}')).map((text) => text.replace(/\0|[\ud800-\udfff]/gu, ''));
const word = fc.stringMatching(/^[a-z][a-z0-9_.]{0,8}[a-z]$/);
const record = fc.dictionary(word, value, { maxKeys: 3, noNullPrototype: true });
const MB = 1024 * 1024;

/** Bodies of POST /containers/create that an engine takes. */
const generated = fc.record({
  Env: some(fc.uniqueArray(fc.tuple(word, value), { maxLength: 4, selector: ([name]) => name }).map((pairs) => pairs.map((pair) => pair.join('=')))),
  Labels: some(record),
  Cmd: some(fc.array(value, { minLength: 1, maxLength: 3 })),
  Entrypoint: some(value.filter((text) => text !== '').map((text) => [text])),
  User: some(fc.constantFrom('5', '1000:1000', 'nobody')),
  WorkingDir: some(fc.constantFrom('/', '/a b', '/x/y')),
  Tty: some(fc.boolean()),
  OpenStdin: some(fc.boolean()),
  StopSignal: some(fc.constantFrom('SIGTERM', 'SIGKILL', 'SIGRTMIN+3')),
  StopTimeout: some(fc.integer({ min: 0, max: 100 })),
  Hostname: some(word),
  Domainname: some(fc.constant('d.test')),
  Healthcheck: some(fc.oneof(
    fc.constant({ Test: ['NONE'] }),
    fc.record({ Test: fc.oneof(value.map((line) => ['CMD-SHELL', line]), fc.constant(['CMD', 'true', '$x'])), Interval: fc.integer({ min: 1, max: 9999 }).map((ms) => ms * 1e6), Retries: fc.integer({ min: 0, max: 9 }) }),
  )),
  ExposedPorts: some(fc.constantFrom({ '80/tcp': {}, '90/udp': {} }, { '7/sctp': {} })),
  HostConfig: fc.record({
    Binds: some(fc.subarray(['/srv:/b1', '/srv/with space:/b2:ro', 'vol-x:/b3:nocopy', '/srv:/b4:rslave,z'])),
    Mounts: some(fc.subarray([
      { Type: 'bind', Source: '/srv', Target: '/m1', ReadOnly: true }, { Type: 'volume', Source: 'vol-y', Target: '/m2', VolumeOptions: { NoCopy: true, Labels: { 'a': 'b,"c"' } } },
      { Type: 'volume', Target: '/m3' }, { Type: 'tmpfs', Target: '/m4', TmpfsOptions: { SizeBytes: MB, Mode: 0o750 } },
    ])),
    Tmpfs: some(fc.constantFrom({ '/t1': '' }, { '/t1': 'rw,size=1m', '/t2': 'ro,noexec' })),
    PortBindings: some(fc.constantFrom(
      { '80/tcp': [{ HostIp: '127.0.0.1', HostPort: '1' }, { HostIp: '', HostPort: '2-4' }] }, { '81/udp': [{ HostIp: '::1', HostPort: '' }] }, { '9/sctp': [{ HostIp: '', HostPort: '' }] },
    )),
    PublishAllPorts: some(fc.boolean()),
    NetworkMode: some(fc.constantFrom('default', 'bridge', 'rec-a', 'none')),
    Dns: some(fc.constant(['10.0.0.1', 'fd00::1'])),
    DnsOptions: some(fc.constant(['ndots:1'])),
    DnsSearch: some(fc.constant(['a.test', 'b.test'])),
    ExtraHosts: some(fc.constantFrom(['h:10.0.0.1', 'i:fd00::1'], ['k:host-gateway'])),
    RestartPolicy: some(fc.constantFrom({ Name: 'always' }, { Name: 'on-failure', MaximumRetryCount: 4 }, { Name: 'unless-stopped' }, { Name: 'no' })),
    LogConfig: some(fc.oneof(
      fc.constantFrom({ Type: 'none', Config: {} }, { Type: 'journald', Config: { tag: 'x' } }, { Type: 'local', Config: { 'max-size': '2m' } }),
      value.map((tag) => ({ Type: 'json-file', Config: { tag, 'max-file': '3' } })),
    )),
    CapAdd: some(fc.subarray(['NET_ADMIN', 'cap_chown', 'CAP_SYS_PTRACE'])),
    CapDrop: some(fc.constantFrom(['ALL'], ['NET_RAW', 'mknod'])),
    Privileged: some(fc.boolean()),
    ReadonlyRootfs: some(fc.boolean()),
    SecurityOpt: some(fc.subarray(['no-new-privileges', 'apparmor=unconfined', 'seccomp=unconfined', 'label=type:x_t', 'seccomp={"defaultAction":"SCMP_ACT_ALLOW"}'])
      .filter((options) => options.filter((option) => option.startsWith('seccomp')).length < 2)),
    GroupAdd: some(fc.constant(['10', 'audio'])),
    Memory: some(fc.integer({ min: 6 * MB, max: 900 * MB })),
    CpuShares: some(fc.integer({ min: 2, max: 4096 })),
    NanoCpus: some(fc.integer({ min: 10_000_000, max: 1_000_000_000 })),
    CpusetCpus: some(fc.constantFrom('0', '0-1')),
    PidsLimit: some(fc.integer({ min: -1, max: 5000 })),
    ShmSize: some(fc.integer({ min: 1, max: 100 * MB })),
    OomScoreAdj: some(fc.integer({ min: -1000, max: 1000 })),
    OomKillDisable: some(fc.boolean()),
    MemorySwappiness: some(fc.integer({ min: 0, max: 100 })),
    Ulimits: some(fc.subarray([{ Name: 'nofile', Soft: 10, Hard: 20 }, { Name: 'nproc', Soft: 5, Hard: 5 }, { Name: 'core', Soft: -1, Hard: -1 }])),
    Devices: some(fc.subarray([{ PathOnHost: '/dev/null', PathInContainer: '/dev/null', CgroupPermissions: 'rwm' }, { PathOnHost: '/dev/zero', PathInContainer: '/dev/z', CgroupPermissions: 'r' }])),
    DeviceCgroupRules: some(fc.constant(['c 1:3 rw'])),
    CgroupParent: some(fc.constant('/x')),
    Init: some(fc.boolean()),
    IpcMode: some(fc.constantFrom('none', 'private', 'shareable', 'host')),
    PidMode: some(fc.constant('host')),
    CgroupnsMode: some(fc.constantFrom('host', 'private')),
    UTSMode: some(fc.constant('')),
    UsernsMode: some(fc.constant('host')),
    Sysctls: some(fc.constant({ 'net.ipv4.ip_forward': '1' })),
    AutoRemove: some(fc.constant(false)),
  }, { requiredKeys: [] }),
}, { requiredKeys: ['HostConfig'] });
