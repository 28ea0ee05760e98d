import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { chosenSpec, daemonDefaults, exactSpec, gains, imageToCreateFrom, NO_DEFAULTS, surroundingsOf, type DaemonDefaults, type Surroundings } from '../src/container/chosen.ts';
import { differences } from '../src/container/differences.ts';
import { parseInspect } from '../src/container/from-inspect.ts';
import { inexpressible } from '../src/container/inexpressible.ts';
import { applySpecEdits } from '../src/container/spec-edit.ts';
import { toCreateOptions } from '../src/container/to-create.ts';
import { maskedRunLines, optionChanges, runCommands } from '../src/container/to-run.ts';
import type { ContainerSpec, ImageConfig, ImageFacts, Json, JsonObject, NetworkAttachment } from '../src/model.ts';
import { valueOf } from '../src/model.ts';
import { loadHost } from './hosts.ts';

const recorded = Object.fromEntries(['20.10.24', '26.1.5'].map((engine) =>
  [engine, JSON.parse(readFileSync(new URL(`../fixtures/raw/inspect/${engine}.json`, import.meta.url), 'utf8')) as Record<string, JsonObject>]));
const rawOf = (name: string, engine = '26.1.5'): JsonObject => recorded[engine]?.[name] ?? {};
const specOf = (raw: JsonObject, apiVersion = '1.45'): ContainerSpec => valueOf(parseInspect(raw, { apiVersion }).spec) as ContainerSpec;

const IMAGE: ImageConfig = {
  user: '', env: ['PATH=/bin', 'A=1'], healthcheck: null, labels: { of: 'image' }, volumes: [], exposed: ['80/tcp'], entrypoint: ['/entry'], command: ['serve'], workingDir: '/w', stopSignal: 'SIGQUIT',
};
const DEFAULTS: DaemonDefaults = {
  hostname: 'box', logDriver: 'json-file', logOptions: { 'max-size': '10m' }, ulimits: [{ name: 'nofile', soft: 1, hard: 2 }], shmSize: 67_108_864, ipcMode: 'private', cgroupnsMode: 'host',
  runtime: 'runc', noNewPrivileges: true,
};
const around = (image: Partial<ImageConfig> = {}, defaults: Partial<DaemonDefaults> = {}): Surroundings => ({ image: { ...IMAGE, ...image }, defaults: { ...DEFAULTS, ...defaults } });

const plain = specOf(rawOf('plain'));
const chosen = (spec: ContainerSpec, surroundings = around()): ContainerSpec => chosenSpec(exactSpec(spec, surroundings), surroundings);
const line = (spec: ContainerSpec, apiVersion = '1.45'): string => maskedRunLines(spec, apiVersion).join('\n');

describe('exactSpec', () => {
  const cases: readonly (readonly [string, Partial<ContainerSpec>, Partial<ContainerSpec>])[] = [
    ['keeps what may be a default', { log: { driver: 'json-file', options: {} }, runtime: 'runc' }, { log: { driver: 'json-file', options: {} }, runtime: 'runc' }],
    ['takes an entrypoint away that the image would give back', { entrypoint: null }, { entrypoint: [''] }],
    ['has no name for what shares another\'s network', { hostname: 'x', namespaces: { ...plain.namespaces, network: 'container:y' } }, { hostname: null }],
    ['has no name for what shares the host\'s UTS namespace', { hostname: 'x', namespaces: { ...plain.namespaces, uts: 'host' } }, { hostname: null }],
    ['does not freeze the host\'s name', { hostname: 'box', namespaces: { ...plain.namespaces, network: 'host' } }, { hostname: null }],
    ['keeps a name of its own on the host\'s network', { hostname: 'x', namespaces: { ...plain.namespaces, network: 'host' } }, { hostname: 'x' }],
  ];
  test.each(cases)('%s', (_, given, expected) => expect(exactSpec({ ...plain, ...given }, around())).toMatchObject(expected));

  test('leaves out what the engine makes of the rest, so that it goes with it', () => {
    const privileged = { ...plain.security, privileged: true, labels: ['disable'] };
    expect(exactSpec({ ...plain, security: privileged }, around()).security.labels).toEqual([]);
    expect(exactSpec({ ...plain, security: { ...privileged, privileged: false } }, around()).security.labels).toEqual(['disable']);
    expect(exactSpec({ ...plain, security: { ...privileged, labels: ['disable', 'type:x'] } }, around()).security.labels).toEqual(['disable', 'type:x']);
    const swap = (memory: number | null, memorySwap: number | null): number | null => exactSpec({ ...plain, resources: { ...plain.resources, memory, memorySwap } }, around()).resources.memorySwap;
    expect([swap(5, 10), swap(5, 5), swap(5, -1), swap(null, null)]).toEqual([null, 5, -1, null]);
  });

  test('follows the daemon in the limits that it sets at each start, when they are known', () => {
    const ulimits = [{ name: 'nofile', soft: 1, hard: 2 }, { name: 'nproc', soft: 3, hard: 3 }];
    const spec = { ...plain, resources: { ...plain.resources, ulimits } };
    expect(exactSpec(spec, around()).resources.ulimits).toEqual([ulimits[1]]);
    expect(exactSpec(spec, { image: undefined, defaults: NO_DEFAULTS }).resources.ulimits).toEqual(ulimits);
  });

  test('without its image and the daemon nothing is guessed', () => {
    expect(exactSpec(plain, { image: undefined, defaults: NO_DEFAULTS })).toEqual(plain);
  });
});

test('what the daemon adds to a container that is created again is named', () => {
  expect(gains(plain, DEFAULTS)).toEqual([{ path: 'HostConfig.LogConfig.Config[max-size]', value: '10m' }, { path: 'NoNewPrivileges', value: 'true' }]);
  expect(gains({ ...plain, log: { driver: 'local', options: {} }, security: { ...plain.security, noNewPrivileges: false } }, DEFAULTS)).toEqual([]);
  expect(gains({ ...plain, log: { driver: 'json-file', options: { 'max-size': '1m' } } }, { ...DEFAULTS, noNewPrivileges: false })).toEqual([]);
  expect(gains(plain, NO_DEFAULTS)).toEqual([]);
});

describe('chosenSpec', () => {
  const cases: readonly (readonly [string, Partial<ContainerSpec>, Partial<ContainerSpec>])[] = [
    ['entrypoint and command of the image', { entrypoint: ['/entry'], command: ['serve'] }, { entrypoint: null, command: null }],
    ['another command', { entrypoint: ['/entry'], command: ['other'] }, { entrypoint: null, command: ['other'] }],
    ['the same command after another entrypoint', { entrypoint: ['/own'], command: ['serve'] }, { entrypoint: ['/own'], command: ['serve'] }],
    ['the same entrypoint, which keeps the image\'s command away', { entrypoint: ['/entry'], command: null }, { entrypoint: ['/entry'], command: null }],
    ['no entrypoint', { entrypoint: null, command: ['serve'] }, { entrypoint: [''], command: ['serve'] }],
    ['variables', { env: ['PATH=/bin', 'A=2', 'B'] }, { env: ['A=2', 'B'] }],
    ['labels', { labels: { of: 'image', own: '' } }, { labels: { own: '' } }],
    ['a changed label', { labels: { of: 'me' } }, { labels: { of: 'me' } }],
    ['directory, user and signal', { workingDir: '/w', user: '', stopSignal: 'SIGQUIT' }, { workingDir: null, user: null, stopSignal: null }],
    ['another signal', { stopSignal: 'SIGTERM' }, { stopSignal: 'SIGTERM' }],
    ['the daemon\'s log options', { log: { driver: 'json-file', options: { 'max-size': '10m' } } }, { log: null }],
    ['log options of its own', { log: { driver: 'json-file', options: { 'max-size': '10m', tag: 'x' } } }, { log: { driver: 'json-file', options: { tag: 'x' } } }],
    ['another log driver', { log: { driver: 'local', options: { 'max-size': '10m' } } }, { log: { driver: 'local', options: { 'max-size': '10m' } } }],
    ['runtime and isolation', { runtime: 'runc', isolation: 'default' }, { runtime: null, isolation: null }],
    ['ports of the image', { network: { ...plain.network, exposed: ['80/tcp', '81/udp'] } }, { network: { ...plain.network, exposed: ['81/udp'], attachments: {} } }],
  ];
  test.each(cases)('%s', (_, given, expected) => expect(chosen({ ...plain, ...given })).toMatchObject(expected));

  const image = { test: ['CMD', 'ok'], interval: 5, timeout: 0, startPeriod: 0, startInterval: 0, retries: 3 };
  test.each([
    ['that of the image', image, null],
    ['its times only', { ...image, interval: 6 }, { ...image, test: [], interval: 6, retries: 0 }],
    ['none', { ...image, test: ['NONE'] }, { ...image, test: ['NONE'], interval: 0, retries: 0 }],
  ])('health check: %s', (_, healthcheck, expected) => expect(chosen({ ...plain, healthcheck }, around({ healthcheck: image })).healthcheck).toEqual(expected));

  test('what the daemon does by itself is not chosen, what it would not do is', () => {
    const spec = { ...plain, namespaces: { ...plain.namespaces, network: 'default' } };
    expect(chosen(spec)).toMatchObject({ namespaces: { network: 'default', ipc: '', cgroup: '' }, resources: { shmSize: null }, network: {} });
    expect(chosen(spec).network.attachments).toEqual({});
    expect(chosen(spec, around({}, { shmSize: 1, ipcMode: 'shareable', cgroupnsMode: 'private' })))
      .toMatchObject({ namespaces: { ipc: 'private', cgroup: 'host' }, resources: { shmSize: 67_108_864 } });
    expect(chosen(spec, { image: undefined, defaults: NO_DEFAULTS })).toMatchObject({ namespaces: { ipc: 'private', cgroup: 'host' }, runtime: 'runc', log: { driver: 'json-file' } });
  });

  test('references to containers are readable', () => {
    const spec = { ...plain, namespaces: { ...plain.namespaces, network: 'container:abc', pid: 'container:def' } };
    expect(chosenSpec(spec, around(), new Map([['abc', 'web']])).namespaces).toMatchObject({ network: 'container:web', pid: 'container:def' });
  });

  test.each(Object.keys(recorded))('what was created on engine %s prints as it was asked for', (engine) => {
    const apiVersion = engine === '20.10.24' ? '1.41' : '1.45';
    const none = { image: undefined, defaults: { ...DEFAULTS, logOptions: {}, ulimits: [], noNewPrivileges: false, hostname: 'host1' } };
    const cases = (JSON.parse(readFileSync(new URL('../fixtures/raw/inspect/cases.json', import.meta.url), 'utf8')) as { cases: { name: string; args: string[] }[] }).cases;
    const printed = (name: string): readonly string[] => runCommands(chosen(specOf(rawOf(name, engine), apiVersion), none), apiVersion)[0] ?? [];
    // Where the flags are in our order and spelling already, the very words come back.
    for (const name of ['plain', 'mount-bind', 'tmpfs', 'docker-socket', 'bind-with-space', 'named-volume', 'volumes-from', 'hostname', 'health', 'health-none', 'stop', 'restart-always', 'devices', 'mac-address', 'link']) {
      const args = cases.find((one) => one.name === name)?.args ?? [];
      const long = args.flatMap((word) => ({ '-v': ['--volume'], '-it': ['--interactive', '--tty'] })[word] ?? [word]);
      expect(printed(name).slice(2).filter((word) => word !== '--detach').slice(2).map((word) => word.replace(/^type=bind,source=\/srv,target=/, 'type=bind,src=/srv,dst=').replace('60000000000ns', '60s').replace(/^1m$/, '60s')).toSorted())
        .toEqual(long.toSorted());
    }
  });
});

test('the daemon\'s defaults are those that its file and flags prove', () => {
  const facts = loadHost('debian-12');
  expect(daemonDefaults(facts)).toMatchObject({ logDriver: 'json-file', runtime: 'runc', ipcMode: 'private', shmSize: 67_108_864 });
  const remote = { ...facts, daemon: { ...facts.daemon, config: { status: 'unreadable' as const, reason: 'the engine is remote' }, process: { status: 'unreadable' as const, reason: 'the engine is remote' } } };
  expect(daemonDefaults(remote)).toMatchObject({ logOptions: null, ulimits: null, shmSize: null, ipcMode: null, cgroupnsMode: null, runtime: null, noNewPrivileges: null });
  expect(surroundingsOf(facts, { ...plain, image: { reference: 'x', id: 'sha256:none' } }).image).toBeUndefined();
});

test('the image is named by its reference while that stands for it', () => {
  const images = [{ id: 'sha256:aa', tags: ['web:1'], digests: ['web@sha256:dd'] }, { id: 'sha256:bb', tags: ['busybox:latest'], digests: [] }] as unknown as readonly ImageFacts[];
  const named = (reference: string, id: string | null): string => imageToCreateFrom({ ...plain, image: { reference, id } }, images);
  expect([named('web:1', 'sha256:aa'), named('docker.io/library/busybox', 'sha256:bb'), named('web:1@sha256:dd', 'sha256:aa')]).toEqual(['web:1', 'docker.io/library/busybox', 'web:1@sha256:dd']);
  expect([named('web:1', 'sha256:bb'), named('gone', 'sha256:aa'), named('web', 'sha256:cc'), named('aa', 'sha256:aa'), named('web', null)]).toEqual(['sha256:bb', 'sha256:aa', 'sha256:cc', 'aa', 'web']);
});

describe('toCreateOptions', () => {
  const attachment: NetworkAttachment = { aliases: [], links: [], ipv4: null, ipv6: null, linkLocalIps: [], macAddress: null, driverOptions: {}, gatewayPriority: null };
  const networked = { ...plain, namespaces: { ...plain.namespaces, network: 'a' }, network: { ...plain.network, macAddress: '02:42:de:ad:be:ef', attachments: { b: { ...attachment, aliases: ['x'] }, a: { ...attachment, ipv4: '10.0.0.2' } } } };

  test('an old API takes one network at creation, and the MAC address of the container', () => {
    expect(toCreateOptions(networked, '1.41')).toMatchObject({
      body: { MacAddress: '02:42:de:ad:be:ef', NetworkingConfig: { EndpointsConfig: { a: { IPAMConfig: { IPv4Address: '10.0.0.2' } } } } }, connect: [{ network: 'b', endpoint: { Aliases: ['x'] } }],
    });
    const options = toCreateOptions(networked, '1.44');
    expect(options.connect).toEqual([]);
    expect(options.body).not.toHaveProperty('MacAddress');
    expect(options.body).toMatchObject({ NetworkingConfig: { EndpointsConfig: { a: { MacAddress: '02:42:de:ad:be:ef' }, b: { Aliases: ['x'] } } } });
    expect(runCommands(networked, '1.41').map(([, command]) => command)).toEqual(['create', 'network', 'start']);
    expect(runCommands(networked, '1.44').map(([, command]) => command)).toEqual(['run']);
    expect(runCommands({ ...networked, openStdin: true }, '1.41').map(([, command]) => command)).toEqual(['run', 'network']);
  });

  test('an anonymous volume stays the same volume, and a read-only mount says so in either spelling', () => {
    const mounts = [
      { kind: 'volume', via: 'image', source: '', target: '/a', readOnly: false, options: '', details: null, volume: 'f'.repeat(64) },
      { kind: 'volume', via: 'image', source: '', target: '/new', readOnly: false, options: '', details: null, volume: null },
      { kind: 'bind', via: 'binds', source: '/x', target: '/b', readOnly: true, options: 'z', details: null, volume: null },
      { kind: 'bind', via: 'binds', source: '/x', target: '/c', readOnly: false, options: 'ro,z', details: null, volume: null },
      { kind: 'volume', via: 'mounts', source: '', target: '/d', readOnly: true, options: '', details: { VolumeOptions: { Labels: { a: 'b' } } }, volume: 'e'.repeat(64) },
      { kind: 'tmpfs', via: 'tmpfs', source: '', target: '/t', readOnly: true, options: 'size=1m', details: null, volume: null },
    ] as const;
    expect(toCreateOptions({ ...plain, mounts }, '1.45').body).toMatchObject({
      Volumes: { '/a': {}, '/new': {} },
      HostConfig: {
        Binds: [`${'f'.repeat(64)}:/a:nocopy`, '/x:/b:z,ro', '/x:/c:z'],
        Mounts: [{ Type: 'volume', Source: 'e'.repeat(64), Target: '/d', ReadOnly: true, VolumeOptions: { Labels: { a: 'b' }, NoCopy: true } }],
        Tmpfs: { '/t': 'size=1m,ro' },
      },
    });
  });

  test('nothing but what was chosen is sent, and zero and false where they are chosen', () => {
    const bare = chosen(plain, { image: undefined, defaults: DEFAULTS });
    expect(toCreateOptions(bare, '1.45').body).toEqual({ Image: 'busybox', Cmd: ['sleep', '1d'], HostConfig: { NetworkMode: 'default' }, NetworkingConfig: { EndpointsConfig: { bridge: {} } } });
    expect(toCreateOptions({ ...bare, init: false, stopTimeoutSeconds: 0, resources: { ...bare.resources, memorySwappiness: 0 } }, '1.45').body)
      .toMatchObject({ StopTimeout: 0, HostConfig: { Init: false, MemorySwappiness: 0 } });
  });

  test('a container that changes its network leaves the old one', () => {
    const move = (spec: ContainerSpec, value: string): string[] => Object.keys(applySpecEdits(spec, [{ op: 'set', path: 'namespaces.network', value }]).network.attachments);
    expect([move(networked, 'c'), move(networked, 'host'), move(networked, 'a'), move(plain, 'own')]).toEqual([['b'], [], ['b', 'a'], []]);
  });

  test('names such as __proto__ are names', () => {
    const labels = JSON.parse('{"__proto__": "x", "constructor": "y"}') as Record<string, string>;
    expect(JSON.stringify(toCreateOptions({ ...plain, labels }, '1.45').body['Labels'])).toBe('{"__proto__":"x","constructor":"y"}');
    expect(runCommands({ ...plain, labels }, '1.45')[0]).toContain('__proto__=x');
  });
});

describe('differences', () => {
  test.each(Object.entries(recorded).flatMap(([engine, cases]) => Object.keys(cases).map((name) => [engine, name])))('%s, %s: none to itself under other ids', (engine = '', name = '') => {
    const raw = rawOf(name, engine);
    const { id } = parseInspect(raw, { apiVersion: '1.45' });
    const other = JSON.parse(JSON.stringify(raw).replaceAll(id, 'a'.repeat(64)).replaceAll(id.slice(0, 12), 'a'.repeat(12))) as JsonObject;
    expect(differences(raw, { ...other, Created: 'later', Name: '/other' }, engine === '20.10.24' ? '1.41' : '1.45')).toEqual([]);
  });

  test.each<readonly [string, Readonly<Record<string, Json>>, ...string[]]>([
    ['a limit', { HostConfig: { Memory: 1 } }, 'HostConfig.Memory'],
    ['a field that nobody knows yet', { HostConfig: { NewField: { a: 1 } } }, 'HostConfig.NewField.a'],
    ['init off is not the default', { HostConfig: { Init: false } }, 'HostConfig.Init'],
    ['no masked paths', { HostConfig: { MaskedPaths: [] } }, 'HostConfig.MaskedPaths'],
    ['a swappiness of 0', { HostConfig: { MemorySwappiness: 0 } }, 'HostConfig.MemorySwappiness'],
    ['an empty label', { Config: { Labels: { 'a.b': '' } } }, 'Config.Labels[a.b]'],
    ['a log option', { HostConfig: { LogConfig: { Type: 'json-file', Config: { 'max-size': '' } } } }, 'HostConfig.LogConfig.Config[max-size]'],
    ['an exposed port', { Config: { ExposedPorts: { '1/tcp': {} } } }, 'Config.ExposedPorts[1/tcp]'],
    ['its image', { Image: 'sha256:other' }, 'Image'],
    ['a mount in force', { Mounts: [{ Type: 'bind', Source: '/x', Destination: '/y', RW: true }] }, 'Mounts[/y].Type', 'Mounts[/y].Source', 'Mounts[/y].RW', 'Mounts[/y].Propagation'],
    ['its name', { Config: { Hostname: 'other' } }, 'Config.Hostname'],
    ['an address', { NetworkSettings: { Networks: { bridge: { IPAMConfig: { IPv4Address: '10.0.0.2' } } } } }, 'Networks.bridge.ipv4'],
  ])('%s', (_, given, ...paths) => {
    const patch = given as unknown as JsonObject;
    const raw = rawOf('plain');
    const patched = Object.fromEntries([...new Set([...Object.keys(raw), ...Object.keys(patch)])].map((key): [string, Json] => {
      const [before, change] = [raw[key] ?? null, patch[key]];
      return [key, change === undefined ? before : Array.isArray(change) || typeof change !== 'object' ? change : { ...(before as JsonObject), ...change as JsonObject }];
    }));
    expect(differences(raw, patched, '1.45')).toEqual(paths);
    expect(differences(patched, raw, '1.45')).toEqual(paths);
  });

  test('a volume is the same by its name, and a different one is not', () => {
    const volume = 'f'.repeat(64);
    const mount = (name: string): JsonObject => ({ Type: 'volume', Name: name, Destination: '/d', RW: true, Propagation: '' });
    const made = (host: JsonObject, config: JsonObject, name = volume): JsonObject => ({ ...rawOf('plain'), Mounts: [mount(name)], HostConfig: { ...rawOf('plain')['HostConfig'] as JsonObject, ...host }, Config: { ...rawOf('plain')['Config'] as JsonObject, ...config } });
    const anonymous = made({}, { Volumes: { '/d': {} } });
    expect(differences(anonymous, made({ Binds: [`${volume}:/d:nocopy`] }, {}), '1.45')).toEqual([]);
    expect(differences(anonymous, made({}, { Volumes: { '/d': {} } }, 'e'.repeat(64)), '1.45')).toEqual(['Mounts[/d].Source']);
  });

  test('never throws, whatever an engine answers', () => {
    const answer = fc.record({ Id: fc.jsonValue(), Config: fc.jsonValue(), Mounts: fc.jsonValue(), HostConfig: fc.oneof(fc.jsonValue(), fc.record({ Mounts: fc.jsonValue(), Binds: fc.jsonValue(), Ulimits: fc.jsonValue(), DeviceRequests: fc.jsonValue() })), NetworkSettings: fc.record({ Networks: fc.dictionary(fc.string(), fc.jsonValue()) }) }, { requiredKeys: [] });
    fc.assert(fc.property(answer, (raw) => {
      expect(differences(raw as JsonObject, structuredClone(raw) as JsonObject, '1.45')).toEqual([]);
    }));
  });
});

describe('inexpressible', () => {
  const cases: readonly (readonly [string, Partial<ContainerSpec>, string])[] = [
    ['a profile that only the API takes', { security: { ...plain.security, seccomp: '{}' } }, 'HostConfig.SecurityOpt'],
    ['a health check without a shell', { healthcheck: { test: ['CMD', 'x'], interval: 0, timeout: 0, startPeriod: 0, startInterval: 0, retries: 0 } }, 'Config.Healthcheck.Test'],
    ['a label with "=" in its name', { labels: { 'a=b': 'c' } }, 'Config.Labels[a=b]'],
    ['a variable without a name', { env: ['=x'] }, 'Config.Env[]'],
    ['a device with a colon', { resources: { ...plain.resources, devices: [{ host: '/dev/a:b', container: '/dev/a', permissions: 'r' }] } }, 'HostConfig.Devices[/dev/a:b]'],
    ['a device request that is no GPU', { resources: { ...plain.resources, deviceRequests: [{ Driver: 'x', Capabilities: [['y']] }] } }, 'HostConfig.DeviceRequests'],
    ['a mount option without a flag', { mounts: [{ kind: 'bind', via: 'mounts', source: '/x', target: '/y', readOnly: false, options: '', details: { BindOptions: { CreateMountpoint: true } }, volume: null }] }, 'HostConfig.Mounts[/y]'],
    ['standard input that is closed but ends', { stdinOnce: true }, 'Config.StdinOnce'],
  ];
  test.each(cases)('in a line: %s', (_, given, expected) => {
    const found = inexpressible({ ...plain, ...given }, 'run', '1.45');
    expect(found).toHaveLength(1);
    expect(found[0]).toContain(expected);
    expect(inexpressible({ ...plain, ...given }, 'api', '1.45')).toEqual([]);
  });

  test('what an older engine would ignore', () => {
    const spec: ContainerSpec = {
      ...plain, annotations: { a: 'b' }, healthcheck: { test: ['CMD-SHELL', 'x'], interval: 0, timeout: 0, startPeriod: 0, startInterval: 1e9, retries: 0 },
      network: { ...plain.network, attachments: { bridge: { aliases: [], links: [], ipv4: null, ipv6: null, linkLocalIps: [], macAddress: '02:00:00:00:00:01', driverOptions: {}, gatewayPriority: 1 } } },
    };
    expect(inexpressible(spec, 'api', '1.41')).toEqual([
      'HostConfig.Annotations (needs API 1.43)', 'Config.Healthcheck.StartInterval (needs API 1.44)', 'NetworkSettings.Networks[bridge].MacAddress (needs API 1.44)', 'NetworkSettings.Networks: GwPriority (needs API 1.48)',
    ]);
    expect(inexpressible(spec, 'api', '1.48')).toEqual([]);
  });
});

describe('a printed line', () => {
  const secret: ContainerSpec = {
    ...plain, env: ['DB_PASSWORD=hunter 2\'x', 'PLAIN=ok'], labels: { 'api-key': 'abc123' }, log: { driver: 'splunk', options: { 'splunk-token': 'tok-1', 'splunk-url': 'https://u:pw@h' } },
    entrypoint: ['/e', '--token=t0k'], command: ['--password', 'p4ss', '--user', 'me'],
  };

  test('hides secrets wherever they stand', () => {
    const shown = line(secret);
    for (const value of ['hunter', 'abc123', 'tok-1', 'pw@', 't0k', 'p4ss']) expect(shown).not.toContain(value);
    expect(shown).toContain('PLAIN=***');
    expect(shown).toContain('--user me');
    expect(line(plain)).toBe(`docker run --detach --name plain ${line(plain).split('--name plain ')[1] ?? ''}`);
  });

  test('changes are shown option by option, without secrets', () => {
    const before = chosen(secret, { image: undefined, defaults: DEFAULTS });
    const after = applySpecEdits(before, [
      { op: 'set', path: 'security.readonlyRootfs', value: true }, { op: 'set', path: 'resources.memory', value: 512 * 1024 ** 2 }, { op: 'add', path: 'security.capDrop', value: 'NET_RAW' },
      { op: 'set', path: 'restart', value: { name: 'on-failure', maximumRetryCount: 5 } },
    ]);
    expect(optionChanges(before, after, '1.45')).toEqual({ removed: [], added: ['--restart on-failure:5', '--memory 512m', '--cap-drop NET_RAW', '--read-only'] });
    expect(optionChanges(before, { ...before, env: ['DB_PASSWORD=other', 'PLAIN=ok'] }, '1.45')).toEqual({ removed: ['--env \'DB_PASSWORD=***\''], added: ['--env \'DB_PASSWORD=***\''] });
    expect(optionChanges(after, before, '1.45').removed).toEqual(optionChanges(before, after, '1.45').added);
    expect(optionChanges(before, { ...before, command: ['x'] }, '1.45')).toEqual({ removed: ['busybox \'--token=***\' --password \'***\' --user me'], added: ['busybox \'--token=***\' x'] });
  });

  test.each([
    ['--cpus 0.333', { nanoCpus: 333_000_000 }], ['--cpus 2', { nanoCpus: 2_000_000_000 }], ['--cpus 10', { nanoCpus: 10_000_000_000 }], ['--memory 1g', { memory: 1024 ** 3 }],
    ['--memory 1025', { memory: 1025 }], ['--memory-swap -1', { memorySwap: -1 }], ['--memory-swappiness 0', { memorySwappiness: 0 }],
  ])('%s', (expected, resources) => expect(line({ ...plain, resources: { ...plain.resources, ...resources } })).toContain(`${expected} `));
});
