import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseInspect } from '../src/container/from-inspect.ts';
import { ownerOf } from '../src/container/owner.ts';
import type { Json, JsonObject } from '../src/model.ts';
import { valueOf } from '../src/model.ts';

interface Case {
  readonly name: string;
  readonly args: readonly string[];
  /** What the specification must hold; "<64 hex>" and "<plain>" stand for an id, "<id>" for that of another case. */
  readonly expect: JsonObject;
  readonly unmodelled?: readonly string[];
}

const fixture = (path: string): unknown => JSON.parse(readFileSync(new URL(`../fixtures/raw/inspect/${path}`, import.meta.url), 'utf8'));

const { cases } = fixture('cases.json') as { cases: readonly Case[] };
const ENGINES = { '20.10.24': '1.41', '26.1.5': '1.45' };

describe.each(Object.entries(ENGINES))('docker create on engine %s, read back', (engine, apiVersion) => {
  const recorded = fixture(`${engine}.json`) as Record<string, JsonObject>;
  const ids = new Map(Object.entries(recorded).map(([name, raw]) => [raw['Id'] as string, name]));
  const named = (value: unknown): unknown => JSON.parse(JSON.stringify(value).replace(/[0-9a-f]{64}/g, (id) => `<${ids.get(id) ?? '64 hex'}>`));

  it.each(cases.filter(({ name }) => name in recorded))('$name: $args', ({ name, expect: expected, unmodelled }) => {
    const facts = parseInspect(recorded[name] ?? {}, { apiVersion });
    expect(named(valueOf(facts.spec))).toMatchObject(expected);
    expect(facts.unmodelled).toEqual(unmodelled ?? []);
    expect(facts).toMatchObject({ name, owner: { kind: 'none' }, runtime: { status: 'present', value: { state: 'created', pid: 0 } } });
  });

  it('leaves no case out but those for a newer client', () => {
    expect(cases.map(({ name }) => name).filter((name) => !(name in recorded))).toEqual(engine === '20.10.24' ? ['annotation'] : []);
  });
});

describe('parseInspect', () => {
  const plain = (fixture('26.1.5.json') as Record<string, JsonObject>)['plain'] ?? {};
  const withHost = (fields: JsonObject): JsonObject => ({ ...plain, HostConfig: { ...(plain['HostConfig'] as JsonObject), ...fields } });
  const names = (raw: JsonObject): readonly string[] => parseInspect(raw, { apiVersion: '1.45' }).unmodelled;

  it('names every field with a value that the model has no place for', () => {
    const value = fc.oneof(fc.string({ minLength: 1 }), fc.integer({ min: 1 }), fc.constant(true), fc.constant([1]), fc.constant({ a: null })) as fc.Arbitrary<Json>;
    fc.assert(fc.property(fc.string({ minLength: 8 }), value, (field, chosen) => {
      expect(names(withHost({ [`New${field}`]: chosen }))).toEqual([`HostConfig.New${field}`]);
    }));
    expect(names(withHost({ New: null, NewList: [], NewText: '', NewFlag: false, NewNumber: 0, NewObject: {} }))).toEqual([]);
  });

  it.each([
    ['a restart policy of another kind', { RestartPolicy: { Name: 'sometimes' } }, ['HostConfig.RestartPolicy.Name']],
    ['its own masked paths', { MaskedPaths: ['/proc/x'] }, ['HostConfig.MaskedPaths']],
    ['one of the two path lists empty', { MaskedPaths: [] }, ['HostConfig.MaskedPaths']],
    ['memory for the kernel', { KernelMemory: 1 }, ['HostConfig.KernelMemory']],
  ])('names %s', (_, fields, expected) => expect(names(withHost(fields))).toEqual(expected));

  it('names a mount that nothing asked for', () => {
    expect(names({ ...plain, Mounts: [{ Type: 'bind', Source: '/x', Destination: '/y' }] })).toEqual(['Mounts[/y]']);
  });

  it('never throws, whatever an engine answers', () => {
    const skeleton = fc.record({
      Id: fc.jsonValue(), Name: fc.jsonValue(), Config: fc.jsonValue(), Mounts: fc.jsonValue(),
      HostConfig: fc.oneof(fc.jsonValue(), fc.record({ Mounts: fc.jsonValue(), Binds: fc.jsonValue(), SecurityOpt: fc.jsonValue(), PortBindings: fc.jsonValue() })),
      State: fc.jsonValue(),
      NetworkSettings: fc.record({ Ports: fc.jsonValue(), Networks: fc.dictionary(fc.string(), fc.jsonValue()) }),
    }, { requiredKeys: [] });
    fc.assert(fc.property(skeleton, (raw) => {
      expect(['present', 'unreadable']).toContain(parseInspect(raw as JsonObject, { apiVersion: '' }).spec.status);
    }));
  });

  it('keeps block I/O limits, which many kernels make the engine drop', () => {
    const raw = withHost({ BlkioWeight: 300, BlkioDeviceWriteBps: [{ Path: '/dev/null', Rate: 1 }], BlkioDeviceReadBps: [] });
    expect(valueOf(parseInspect(raw, { apiVersion: '1.45' }).spec)?.resources)
      .toMatchObject({ blkioWeight: 300, blkioDevices: { BlkioDeviceWriteBps: [{ Path: '/dev/null', Rate: 1 }] } });
  });

  it('says so when it does not know the state', () => {
    expect(parseInspect({ ...plain, State: { Status: 'melting' } }, { apiVersion: '1.45' }).runtime)
      .toEqual({ status: 'unreadable', reason: 'the engine reports the unknown state "melting"' });
    expect(parseInspect({ ...plain, State: { Status: 'configured' } }, { apiVersion: '1.41' }).runtime).toMatchObject({ value: { state: 'created' } });
  });
});

describe('ownerOf', () => {
  const compose = { 'com.docker.compose.project': 'shop', 'com.docker.compose.service': 'web', 'com.docker.compose.config-hash': 'abc' };
  it.each([
    ['nobody', {}, { kind: 'none' }],
    ['compose', { ...compose, 'com.docker.compose.project.config_files': '/srv/a.yml,/srv/b.yml', 'com.docker.compose.project.working_dir': '/srv' },
      { kind: 'compose', project: 'shop', service: 'web', files: ['/srv/a.yml', '/srv/b.yml'], environmentFiles: [], workingDir: '/srv', configHash: 'abc', oneOff: false }],
    ['labels that say little', compose, { kind: 'compose', project: 'shop', service: 'web', files: [], environmentFiles: [], workingDir: '', configHash: 'abc', oneOff: false }],
    // As docker-compose 1.29.2 of Debian bookworm sets them.
    ['compose 1', {
      ...compose, 'com.docker.compose.container-number': '1', 'com.docker.compose.oneoff': 'False', 'com.docker.compose.project.config_files': 'docker-compose.yml',
      'com.docker.compose.project.working_dir': '/srv/shop', 'com.docker.compose.version': '1.29.2',
    }, { kind: 'compose', project: 'shop', service: 'web', files: ['docker-compose.yml'], environmentFiles: [], workingDir: '/srv/shop', configHash: 'abc', oneOff: false, version: '1.29.2' }],
    ['a stack of Portainer', { ...compose, 'com.docker.compose.project.working_dir': '/data/compose/7' }, { kind: 'portainer', name: 'shop' }],
    ['swarm', { 'com.docker.swarm.service.name': 'web', 'com.docker.swarm.task.name': 'web.1.x' }, { kind: 'swarm', service: 'web', task: 'web.1.x' }],
    ['Kubernetes, which wins', { ...compose, 'io.kubernetes.pod.name': 'p', 'io.kubernetes.pod.namespace': 'n' }, { kind: 'kubernetes', namespace: 'n', pod: 'p' }],
    ['Nomad', { 'com.hashicorp.nomad.alloc_id': 'a-1' }, { kind: 'nomad', name: 'a-1' }],
    ['a unit', { PODMAN_SYSTEMD_UNIT: 'web.service' }, { kind: 'systemd', name: 'web.service' }],
  ])('%s', (_, labels, owner) => expect(ownerOf(labels)).toEqual(owner));
});
