import { describe, expect, test } from 'vitest';
import { carryOut } from '../remediations/containers/carry-out.ts';
import { parseInspect } from '../src/container/from-inspect.ts';
import { ownerOf } from '../src/container/owner.ts';
import { changedFields, deltaState, editService, fieldDelta, isSpentTask, serviceDefinition, serviceFields, serviceOfTask, takenBack, withServiceFields } from '../src/container/service.ts';
import type { ContainerFacts, Facts, ImageFacts, Json, JsonObject, SpecEdit, SwarmService } from '../src/model.ts';
import { absent, present } from '../src/model.ts';
import { buildObjectChanges } from '../src/plan/object-changes.ts';
import { predictObjects } from '../src/plan/predict-objects.ts';
import { loadHost } from './hosts.ts';

const TEMPLATE: JsonObject = {
  ContainerSpec: {
    Image: 'shop/web:1', Env: ['TOKEN=secret'], CapabilityAdd: ['CAP_NET_ADMIN', 'chown'], Ulimits: [{ Name: 'nofile', Soft: 1, Hard: 2 }],
    Mounts: [{ Type: 'bind', Source: '/srv', Target: '/srv/' }, { Type: 'volume', Target: '/cifs', VolumeOptions: { DriverConfig: { Options: { o: 'password=x' } } } }],
  },
  Resources: { Limits: {} }, ForceUpdate: 3,
};
const bind = { kind: 'bind', via: 'mounts', source: '/srv', target: '/srv', readOnly: false, options: '', details: null, volume: null };
const tmpfs = (options: string): JsonObject => ({ kind: 'tmpfs', via: 'tmpfs', source: '', target: '/run', readOnly: false, options, details: null, volume: null });
const after = (edits: readonly SpecEdit[], api = '1.44'): Json => {
  const before = serviceFields(TEMPLATE);
  const edited = editService(before, edits, api);
  return 'refused' in edited ? edited.refused : Object.fromEntries(changedFields(before, edited.fields).map((field) => [field, edited.fields[field] ?? null]));
};

describe('an edit of a task\'s specification in the definition of its service', () => {
  test.each<[string, SpecEdit[], Json]>([
    ['a root file system', [{ op: 'set', path: 'security.readonlyRootfs', value: true }], { 'ContainerSpec.ReadOnly': true }],
    ['capabilities by any spelling', [{ op: 'remove', path: 'security.capAdd', value: 'CHOWN' }, { op: 'add', path: 'security.capDrop', value: 'ALL' }, { op: 'add', path: 'security.capAdd', value: 'NET_ADMIN' }],
      { 'ContainerSpec.CapabilityAdd': ['CAP_NET_ADMIN'], 'ContainerSpec.CapabilityDrop': ['ALL'] }],
    ['ulimits', [{ op: 'remove', path: 'resources.ulimits', value: { name: 'nofile', soft: 1, hard: 2 } }, { op: 'add', path: 'resources.ulimits', value: { name: 'core', soft: 0, hard: 0 } }],
      { 'ContainerSpec.Ulimits': [{ Name: 'core', Soft: 0, Hard: 0 }] }],
    ['memory, with the swap that a task gets by it', [{ op: 'set', path: 'resources.memory', value: 64 }, { op: 'set', path: 'resources.memorySwap', value: 128 }], { 'Resources.Limits.MemoryBytes': 64 }],
    ['another limit of swap', [{ op: 'set', path: 'resources.memory', value: 64 }, { op: 'set', path: 'resources.memorySwap', value: 64 }], 'has no limit of swap'],
    ['processes and CPUs', [{ op: 'set', path: 'resources.pidsLimit', value: 100 }, { op: 'set', path: 'resources.nanoCpus', value: 5e8 }], { 'Resources.Limits.Pids': 100, 'Resources.Limits.NanoCPUs': 5e8 }],
    ['a health check', [{ op: 'set', path: 'healthcheck', value: { test: ['CMD', 'true'], interval: 5, timeout: 0, startPeriod: 0, startInterval: 0, retries: 3 } }],
      { 'ContainerSpec.Healthcheck': { Test: ['CMD', 'true'], Interval: 5, Retries: 3 } }],
    ['a log', [{ op: 'set', path: 'log', value: { driver: 'json-file', options: { 'max-size': '1m' } } }], { LogDriver: { Name: 'json-file', Options: { 'max-size': '1m' } } }],
    ['a tmpfs', [{ op: 'add', path: 'mounts', value: tmpfs('rw,nosuid,nodev,noexec,size=16m,mode=755') }],
      { 'ContainerSpec.Mounts': [...(TEMPLATE['ContainerSpec'] as { Mounts: Json[] }).Mounts, { Type: 'tmpfs', Target: '/run', TmpfsOptions: { SizeBytes: 16 * 1024 ** 2, Mode: 0o755 } }] }],
    ['a tmpfs with programs', [{ op: 'add', path: 'mounts', value: tmpfs('exec') }], 'knows no option "exec" of a tmpfs'],
    ['a mount less', [{ op: 'remove', path: 'mounts', value: bind }], { 'ContainerSpec.Mounts': [(TEMPLATE['ContainerSpec'] as { Mounts: Json[] }).Mounts[1] ?? null] }],
    ['a mount that propagates less', [{ op: 'replace', path: 'mounts', value: bind, by: { ...bind, details: { BindOptions: { Propagation: 'rslave' } } } }],
      { 'ContainerSpec.Mounts': [{ Type: 'bind', Source: '/srv', Target: '/srv/', BindOptions: { Propagation: 'rslave' } }, (TEMPLATE['ContainerSpec'] as { Mounts: Json[] }).Mounts[1] ?? null] }],
    ['a mount of something else', [{ op: 'replace', path: 'mounts', value: bind, by: { ...bind, source: '/' } }], 'cannot mount /srv otherwise from here'],
    ['a mount of its image less', [{ op: 'remove', path: 'mounts', value: { ...bind, target: '/image' } }], 'does not mount /image itself: its image or its driver does'],
    ['a mount with a password less', [{ op: 'remove', path: 'mounts', value: { ...bind, target: '/cifs' } }], 'mounts /cifs with options of a driver, which harden does not keep'],
    ['an image', [{ op: 'set', path: 'image.reference', value: 'shop/web@sha256:1' }], { 'ContainerSpec.Image': 'shop/web@sha256:1' }],
    ['no new privileges', [{ op: 'set', path: 'security.noNewPrivileges', value: true }], { 'ContainerSpec.Privileges.NoNewPrivileges': true }],
    ['CPU shares', [{ op: 'set', path: 'resources.cpuShares', value: 2 }], 'has no CPU shares, only limits and reservations of CPUs'],
    ['an address', [{ op: 'replace', path: 'network.ports', value: {}, by: {} }], 'publishes on every address of a node, or of all nodes'],
    ['a host namespace', [{ op: 'set', path: 'namespaces.pid', value: '' }], 'has no such setting (namespaces.pid)'],
  ])('%s', (_name, edits, expected) => {
    expect(after(edits)).toEqual(expected);
  });

  test('what an older engine would leave out without a word is refused', () => {
    expect(after([{ op: 'set', path: 'security.noNewPrivileges', value: true }], '1.43')).toBe('cannot say this before API 1.44 (Docker 25); this engine has 1.43');
  });

  test('what it does not concern stays, and taking back gives the same again', () => {
    const before = serviceFields(TEMPLATE);
    const edited = editService(before, [
      { op: 'set', path: 'security.noNewPrivileges', value: true }, { op: 'remove', path: 'mounts', value: bind }, { op: 'set', path: 'resources.memory', value: 64 },
      { op: 'add', path: 'security.capDrop', value: 'NET_RAW' }, { op: 'remove', path: 'security.capAdd', value: 'NET_ADMIN' },
    ], '1.44');
    if ('refused' in edited) throw new Error(edited.refused);
    const changed = changedFields(before, edited.fields);
    const deltas = Object.fromEntries(changed.map((field) => [field, fieldDelta(before[field] ?? null, edited.fields[field] ?? null)]));
    expect(JSON.stringify(deltas)).not.toContain('password');
    const done = withServiceFields(TEMPLATE, Object.fromEntries(changed.map((field) => [field, edited.fields[field] ?? null])));
    expect(done).toMatchObject({ ForceUpdate: 3, ContainerSpec: { Env: ['TOKEN=secret'], Privileges: { NoNewPrivileges: true } } });
    const now = serviceFields(done);
    expect(changed.map((field) => deltaState(now[field] ?? null, deltas[field] ?? {}))).toEqual(changed.map(() => 'in'));
    expect(withServiceFields(done, Object.fromEntries(changed.map((field) => [field, takenBack(now[field] ?? null, deltas[field] ?? {})])))).toEqual(TEMPLATE);
    expect(changed.map((field) => deltaState(before[field] ?? null, deltas[field] ?? {}))).toEqual(changed.map(() => 'out'));
    expect(deltaState(96, deltas['Resources.Limits.MemoryBytes'] ?? {})).toBe('other');
  });
});

const ID = 'a'.repeat(25);
const nameOf = (slot: string, task: string): string => `web.${slot}.${task.repeat(25)}`;
const labels = (name: string, id = ID): Record<string, string> => ({ 'com.docker.swarm.service.id': id, 'com.docker.swarm.service.name': 'web', 'com.docker.swarm.task.name': name });
function task(name: string, { own = labels(name), state = 'running', changes = [] as readonly { kind: 'added'; path: string }[] } = {}): ContainerFacts {
  const { spec, unmodelled, runtime } = parseInspect({
    Id: name, Name: `/${name}`, Image: 'sha256:1', Config: { Image: 'shop/web:1', Labels: own }, Mounts: [], NetworkSettings: { Networks: {} },
    HostConfig: {
      Privileged: false, NetworkMode: 'default', PidMode: '', IpcMode: 'private', UTSMode: '', UsernsMode: '', Binds: null, CapAdd: null, CapDrop: null, Devices: null, SecurityOpt: null,
      Ulimits: [], PortBindings: {}, RestartPolicy: { Name: '', MaximumRetryCount: 0 },
    },
    State: { Status: state, Running: state === 'running' },
  }, { apiVersion: '1.41' });
  return { id: name, name, spec, unmodelled, runtime, owner: ownerOf(own), evidence: { changes: present(changes), memory: absent, pids: absent } };
}
const swarmOf = (services: readonly SwarmService[]): Facts['swarm'] => present({
  id: 's', createdAt: '', nodeCertExpiry: null, autoLock: null, ca: absent, rootRotationInProgress: false, nodes: absent, services: present(services),
});
const service = (raw: JsonObject = {}): SwarmService => ({ id: ID, name: 'web', env: [], secrets: [], definition: serviceDefinition({ Spec: { TaskTemplate: TEMPLATE, Mode: { Replicated: {} } }, ...raw }) });
const factsOf = (containers: readonly ContainerFacts[], services: readonly SwarmService[] | null = [service()]): Facts => {
  const { swarm: _none, ...rest } = loadHost('stock-debian');
  const images = present([{ id: 'sha256:1', tags: ['shop/web:1'], digests: [] }] as unknown as readonly ImageFacts[]);
  return { ...rest, images, containers: present(containers), ...(services === null ? {} : { swarm: swarmOf(services) as NonNullable<Facts['swarm']> }) };
};

describe('a task', () => {
  const one = task(nameOf('1', 'b'));
  test('is one only where its manager knows the service, and all names agree', () => {
    expect(serviceOfTask(one, factsOf([one]))?.name).toBe('web');
    expect(serviceOfTask(one, factsOf([one], null))).toBeNull();
    expect(serviceOfTask(one, factsOf([one], []))).toBeNull();
    for (const liar of [task('web'), task(nameOf('1', 'b'), { own: labels(nameOf('1', 'c')) }), task(nameOf('1', 'b'), { own: labels(nameOf('1', 'b'), 'other') }), task('web.1.x', { own: labels('web.1.x') })]) {
      expect(serviceOfTask(liar, factsOf([liar]))).toBeNull();
    }
  });

  test('that has ended starts no more', () => {
    const ended = task(nameOf('2', 'c'), { state: 'exited' });
    const facts = factsOf([one, ended]);
    expect([isSpentTask(one, facts), isSpentTask(ended, facts), isSpentTask(ended, factsOf([ended], null))]).toEqual([false, true, false]);
  });

  const wish = (edits: readonly SpecEdit[], container: ContainerFacts, facts: Facts): ReturnType<typeof carryOut> => carryOut({ edits, note: `${container.name} notices.` }, {
    facts, container, spec: container.spec.status === 'present' ? container.spec.value : (() => { throw new Error('no spec'); })(),
    policy: { parameters: {} } as Parameters<typeof carryOut>[1]['policy'], risk: 'behaviour', byHand: { defer: 'manual', explanation: 'by hand', needs: 'docker service update' },
  });
  const dropped: SpecEdit[] = [{ op: 'add', path: 'security.capDrop', value: 'NET_RAW' }, { op: 'set', path: 'resources.pidsLimit', value: 10 }];

  test('is changed in its service, and all of them by one change that takes the largest amount', () => {
    const tasks = [one, task(nameOf('2', 'c'))];
    const facts = factsOf(tasks);
    const planned = tasks.map((container, index) => {
      const proposal = wish(index === 0 ? dropped : [...dropped.slice(0, 1), { op: 'set', path: 'resources.pidsLimit', value: 20 }], container, facts);
      if ('defer' in proposal) throw new Error(proposal.explanation);
      return { finding: { check: 'c', target: { kind: 'container', name: container.name, id: container.id } }, remediation: { effect: 'E.' }, edit: proposal.edits[0] };
    });
    const changes = buildObjectChanges(planned as unknown as Parameters<typeof buildObjectChanges>[0], facts, { parameters: {} } as Parameters<typeof buildObjectChanges>[2]);
    expect(changes).toMatchObject([{ id: 'service:web', impact: 'recreate', effect: 'E. web notices.', diff: '+ ContainerSpec.CapabilityDrop: "CAP_NET_RAW"\n+ Resources.Limits.Pids: 20\n' }]);
    expect(changes[0]?.because).toHaveLength(2);
    const predicted = predictObjects(facts, changes).containers;
    expect(predicted.status === 'present' && predicted.value.map(({ spec }) => spec.status === 'present' && [spec.value.security.capDrop, spec.value.resources.pidsLimit])).toEqual([[['NET_RAW'], 20], [['NET_RAW'], 20]]);
  });

  test.each<[string, Partial<Parameters<typeof task>[1]>, readonly SwarmService[] | null, string, string]>([
    ['of a swarm that is not managed here', {}, null, 'manual', 'by hand'],
    ['of a job', {}, [service({ Spec: { TaskTemplate: TEMPLATE, Mode: { ReplicatedJob: {} } } })], 'guard', 'is a job'],
    ['of a service that is being updated', {}, [service({ UpdateStatus: { State: 'updating' } })], 'guard', 'not finished (updating)'],
    ['that wrote files', { changes: [{ kind: 'added', path: '/data/file' }] }, [service()], 'guard', '/data/file'],
  ])('%s is deferred', (_name, options, services, reason, says) => {
    const container = task(nameOf('1', 'b'), options);
    expect(wish(dropped, container, factsOf([container], services))).toMatchObject({ defer: reason, explanation: expect.stringContaining(says) as string });
  });

  test('whose service cannot say it is deferred with the reason', () => {
    expect(wish([{ op: 'set', path: 'resources.cpuShares', value: 2 }], one, factsOf([one]))).toEqual({
      defer: 'unsupported', explanation: 'It is a task of the service web, and a service has no CPU shares, only limits and reservations of CPUs.', needs: 'docker service update',
    });
  });
});
