/** From edits of containers and compose projects to changes with their actions, and to the facts that these would leave. */
import { describe, expect, test } from 'vitest';
import { exactSpec, surroundingsOf } from '../src/container/chosen.ts';
import type { Action, ContainerFacts, Facts, ObjectChange, Policy, SpecEdit } from '../src/model.ts';
import { present, unreadable, valueOf } from '../src/model.ts';
import { composeChange } from '../src/plan/compose-changes.ts';
import { containerChange } from '../src/plan/container-changes.ts';
import type { EditOf } from '../src/plan/planned.ts';
import { objectClaims } from '../src/plan/object-changes.ts';
import { predictObjects } from '../src/plan/predict-objects.ts';
import { defaultPolicy } from '../src/policy.ts';
import { hostWith } from './hosts.ts';

const evidence = (...paths: string[]) => ({
  changes: present(paths.map((path) => ({ kind: 'added', path }))), memory: present({ current: 1, anonymous: 1, peak: null }), pids: present(1),
});
const factsWith = (containers: readonly object[], patch: object = {}): Facts => hostWith('stock-debian', { containers: { status: 'present', value: containers }, ...patch });
const containerOf = (facts: Facts, name: string): ContainerFacts => {
  const found = valueOf(facts.containers)?.find((one) => one.name === name);
  if (found === undefined) throw new Error(`no container ${name}`);
  return found;
};
const specOf = (facts: Facts, name: string) => valueOf(containerOf(facts, name).spec);
const wish = (container: string, ...edits: SpecEdit[]): EditOf<'changeContainer'> => ({
  kind: 'changeContainer', container, by: 'recreate', edits, impact: 'recreate', risk: 'safe', undo: 'recreate',
});
const policyFor = (containers: NonNullable<Policy['parameters']['containers']>): Policy => ({ ...defaultPolicy, parameters: { containers } });
const kinds = (actions: readonly Action[] = []): string[] => actions.map((action) => `${action.kind} ${'name' in action ? action.name : ''}`.trim());

const readOnly: SpecEdit = { op: 'set', path: 'security.readonlyRootfs', value: true };
const pids: SpecEdit = { op: 'set', path: 'resources.pidsLimit', value: 2048 };

describe('the change of a container', () => {
  test('is an update where the engine can, and recreates nothing', () => {
    const facts = factsWith([{ name: 'app', spec: {} }]);
    const change = containerChange([wish('app', pids)], facts, defaultPolicy);
    expect(kinds(change?.actions)).toEqual(['updateContainer app']);
    expect(change).toMatchObject({ id: 'container:app', title: 'Changed while it runs', diff: '+ --pids-limit 2048\n' });
  });

  test('is one new container, with what could have been an update', () => {
    const facts = factsWith([{ name: 'app', spec: {} }]);
    const change = containerChange([wish('app', pids), wish('app', readOnly)], facts, policyFor({ 'a*': { watchSeconds: 7 } }));
    expect(kinds(change?.actions)).toEqual(['createReplacement app', 'retireContainer app', 'stopContainer app', 'swapContainers app', 'startReplacement app']);
    expect(change?.actions).toMatchObject([{ edits: [pids, readOnly], follows: [] }, {}, {}, {}, { watchSeconds: 7 }]);
    expect(change?.diff.trim().split('\n').sort()).toEqual(['+ --pids-limit 2048', '+ --read-only']);
  });

  test('neither stops nor starts what does not run, and is none where nothing would be different', () => {
    const facts = factsWith([{ name: 'app', spec: { security: { readonlyRootfs: true } } }, { name: 'off', spec: {}, runtime: { state: 'exited' } }]);
    expect(kinds(containerChange([wish('off', readOnly)], facts, defaultPolicy)?.actions)).toEqual(['createReplacement off', 'retireContainer off', 'swapContainers off']);
    expect(containerChange([wish('app', readOnly)], facts, defaultPolicy)).toBeNull();
    expect(containerChange([wish('gone', readOnly)], facts, defaultPolicy)).toBeNull();
  });

  test('takes those along that live in its namespaces or are linked to it, in their order, the last one stopped first', () => {
    const facts = factsWith([
      { name: 'front', spec: { network: { links: ['/side:/front/side'] } } },
      { name: 'app', spec: {} },
      { name: 'side', spec: { namespaces: { network: 'container:app' } } },
      { name: 'other', spec: {} },
    ]);
    const change = containerChange([wish('app', readOnly)], facts, defaultPolicy);
    expect(kinds(change?.actions)).toEqual([
      'createReplacement app', 'retireContainer app', 'stopContainer front', 'stopContainer side', 'stopContainer app', 'swapContainers app', 'startReplacement app',
      'createReplacement side', 'retireContainer side', 'swapContainers side', 'startReplacement side', 'createReplacement front', 'retireContainer front', 'swapContainers front', 'startReplacement front',
    ]);
    const created = (change?.actions ?? []).flatMap((action) => (action.kind === 'createReplacement' ? [action] : []));
    expect(created.map(({ edits, follows }) => ({ edits, follows: follows.map(({ name }) => name) }))).toEqual([
      { edits: [readOnly], follows: [] }, { edits: [{ op: 'set', path: 'namespaces.network', value: 'container:app' }], follows: ['app'] }, { edits: [], follows: ['app', 'side'] },
    ]);
    expect(change?.title).toContain('with it what depends on it: side, front');
  });

  test('saves what was written only where the policy says so, before anything else', () => {
    const facts = factsWith([{ name: 'app', spec: {}, evidence: evidence('/srv', '/srv/file', '/tmp/x') }]);
    expect(kinds(containerChange([wish('app', readOnly)], facts, defaultPolicy)?.actions)[0]).toBe('createReplacement app');
    const saved = containerChange([wish('app', readOnly)], facts, policyFor({ app: { writableLayer: 'save' } }));
    expect(kinds(saved?.actions).slice(0, 2)).toEqual(['saveLayer app', 'createReplacement app']);
    expect(saved?.title).toContain('app-layer.tar');
    const nothing = factsWith([{ name: 'app', spec: {}, evidence: evidence('/tmp/x') }]);
    expect(kinds(containerChange([wish('app', readOnly)], nothing, policyFor({ app: { writableLayer: 'save' } }))?.actions)[0]).toBe('createReplacement app');
  });

  test('shows what the daemon will add by itself', () => {
    const daemon = { daemon: { config: present({ text: '{"log-opts": {"max-size": "10m"}, "no-new-privileges": true}' }) } };
    const change = containerChange([wish('app', readOnly)], factsWith([{ name: 'app', spec: {} }], daemon), defaultPolicy);
    expect(change?.actions[0]).toMatchObject({ edits: [readOnly, { path: 'log', value: { driver: 'json-file', options: { 'max-size': '10m' } } }, { path: 'security.noNewPrivileges', value: true }] });
  });

  test('masks what is secret, and keeps hostile text on its line', () => {
    const facts = factsWith([{ name: 'app', spec: { env: ['API_TOKEN=hunter2'], labels: { __proto__: null, 'x\n- gone': '$(id)' } } }]);
    const change = containerChange([wish('app', { op: 'set', path: 'image.reference', value: 'web@sha256:\u001b[31m' })], facts, defaultPolicy);
    expect(change?.diff).not.toContain('hunter2');
    expect(change?.diff.trim().split('\n').filter((line) => !/^[-+] /.test(line))).toEqual([]);
  });
});

describe('what edits claim', () => {
  test('two of one field meet at the field, two of one item of a list at the item', () => {
    const drop = (value: string): SpecEdit => ({ op: 'add', path: 'security.capDrop', value });
    expect(objectClaims(wish('app', pids, drop('ALL'), { op: 'remove', path: 'security.capDrop', value: 'MKNOD' }))).toEqual([
      ['container app: resources.pidsLimit', 2048], ['container app: security.capDrop "ALL"', true], ['container app: security.capDrop "MKNOD"', false],
    ]);
  });
});

const SHOP = { project: 'shop', workingDir: '/srv/shop', files: ['/srv/shop/compose.yaml'], environmentFiles: [] };
const TEXT = 'services:\n  web:\n    image: app:1\n    environment: { API_TOKEN: hunter2 }   # old\n  db:\n    image: app:1\n';
const owned = (name: string, service: string, more: object = {}) => ({ name, spec: {}, owner: { kind: 'compose', ...SHOP, service, configHash: 'h', oneOff: false }, ...more });
const project = (unchanged: readonly string[], more: object = {}) => ({
  compose: present([{ ...SHOP, texts: { '/srv/shop/compose.yaml': present(TEXT) }, reads: [], rehearsal: present({ tool: 'docker', unchanged }), ...more }]),
});
const service = (name: string, container: string, ...edits: SpecEdit[]): EditOf<'changeComposeService'> => ({
  kind: 'changeComposeService', project: 'shop', service: name, container, edits, impact: 'recreate', risk: 'safe', undo: 'recreate',
});

describe('the change of a compose project', () => {
  const containers = [owned('shop-web-1', 'web'), owned('shop-web-2', 'web'), owned('shop-db-1', 'db', { runtime: { state: 'exited' } })];
  const facts = factsWith(containers, project(['shop-web-1', 'shop-web-2', 'shop-db-1']));

  test('is one action with one diff of its files, an edit of each service once, whoever asked', () => {
    const change = composeChange([service('web', 'shop-web-1', readOnly), service('web', 'shop-web-2', readOnly, pids), service('db', 'shop-db-1', pids)], facts, policyFor({ 'shop-web-2': { watchSeconds: 44 } }));
    expect(change?.actions).toMatchObject([{
      kind: 'changeComposeProject', watchSeconds: 44, others: [],
      services: [
        { name: 'web', edits: [readOnly, pids], start: true, containers: [{ name: 'shop-web-1' }, { name: 'shop-web-2' }] }, { name: 'db', edits: [pids], start: false, containers: [{ name: 'shop-db-1' }] },
      ],
    }]);
    expect(change?.diff.split('\n').filter((line) => /^[-+](?![-+])/.test(line))).toEqual(['+    read_only: true', '+    pids_limit: 2048', '+    pids_limit: 2048']);
    expect(change?.diff).not.toContain('hunter2');
  });

  test('is none where an edit is ambiguous, or somebody else\'s edit would go live with it', () => {
    const alias = 'x-a: &a { image: app:1 }\nservices:\n  web: *a\n';
    expect(composeChange([service('web', 'shop-web-1', readOnly)], factsWith(containers, project(['shop-web-1', 'shop-web-2', 'shop-db-1'], { texts: { '/srv/shop/compose.yaml': present(alias) } })), defaultPolicy)).toBeNull();
    expect(composeChange([service('web', 'shop-web-1', readOnly)], factsWith(containers, project(['shop-web-1'])), defaultPolicy)).toBeNull();
    expect(composeChange([service('web', 'shop-web-1', readOnly)], factsWith(containers, project([], { rehearsal: unreadable('not asked') })), defaultPolicy)).toBeNull();
  });

  test('leaves, as predicted, each of its containers with the edits, those that do not run as they are else', () => {
    const change = composeChange([service('web', 'shop-web-1', readOnly), service('db', 'shop-db-1', pids)], facts, defaultPolicy);
    const after = predictObjects(facts, [{ actions: change?.actions ?? [] } as unknown as ObjectChange]);
    expect(['shop-web-1', 'shop-web-2', 'shop-db-1'].map((name) => [specOf(after, name)?.security.readonlyRootfs, specOf(after, name)?.resources.pidsLimit, valueOf(containerOf(after, name).runtime)?.state]))
      .toEqual([[true, null, 'running'], [true, null, 'running'], [false, 2048, 'exited']]);
  });
});

describe('what actions leave', () => {
  test('a new container has the ports, networks and health that its specification says, and nobody in it', () => {
    const facts = factsWith([{
      name: 'app', spec: { healthcheck: { test: ['CMD', 'true'], interval: 0, timeout: 0, startPeriod: 0, startInterval: 0, retries: 0 }, network: { ports: [{ ip: '0.0.0.0', hostPort: '80', containerPort: 80, protocol: 'tcp' }] } },
      runtime: { health: 'unhealthy', ports: [{ ip: '0.0.0.0', hostPort: 80, containerPort: 80, protocol: 'tcp' }] }, execs: present([{ id: 'e' }]),
    }]);
    const edit: SpecEdit = { op: 'replace', path: 'network.ports', value: { ip: '0.0.0.0', hostPort: '80', containerPort: 80, protocol: 'tcp' }, by: { ip: '127.0.0.1', hostPort: '80', containerPort: 80, protocol: 'tcp' } };
    const network: SpecEdit = { op: 'set', path: 'namespaces.network', value: 'front' };
    const change = containerChange([wish('app', edit, network)], facts, defaultPolicy);
    const after = containerOf(predictObjects(facts, [{ actions: change?.actions ?? [] } as unknown as ObjectChange]), 'app');
    expect(valueOf(after.runtime)).toMatchObject({ health: 'healthy', ports: [{ ip: '127.0.0.1', hostPort: 80 }] });
    expect(valueOf(after.runtime)?.networks.map(({ name }) => name)).toContain('front');
    expect(after.execs).toEqual(present([]));
  });

  test('a live update says nothing of what was not looked at again, and touches no other', () => {
    const facts = factsWith([{ name: 'app', spec: {}, runtime: { health: 'unhealthy' } }, { name: 'other', spec: {} }]);
    const after = predictObjects(facts, [{ actions: containerChange([wish('app', pids)], facts, defaultPolicy)?.actions ?? [] } as unknown as ObjectChange]);
    expect([specOf(after, 'app')?.resources.pidsLimit, valueOf(containerOf(after, 'app').runtime)?.health]).toEqual([2048, 'unhealthy']);
    expect(containerOf(after, 'other')).toEqual(containerOf(facts, 'other'));
    expect(predictObjects(facts, [])).toEqual(facts);
  });

  test('members, containers and images that go are gone', () => {
    const facts = factsWith([{ name: 'app', spec: {} }, { name: 'old', spec: {} }]);
    const image = valueOf(facts.images)?.[0]?.id ?? '';
    const after = predictObjects(facts, [{ actions: [{ kind: 'removeContainer', container: 'old', name: 'old', finishedAt: '' }, { kind: 'removeImage', image, name: 'x', references: [] }] } as unknown as ObjectChange]);
    expect(valueOf(after.containers)?.map(({ name }) => name)).toEqual(['app']);
    expect(valueOf(after.images)?.some(({ id }) => id === image)).toBe(false);
  });
});

test('what is sent again of a container does not depend on what the daemon gives others', () => {
  const facts = factsWith([{ name: 'app', spec: { log: { driver: 'json-file', options: {} } } }]);
  const spec = specOf(facts, 'app');
  if (spec === undefined) throw new Error('no spec');
  expect(exactSpec(spec, surroundingsOf(facts, spec)).log).toEqual(spec.log);
});
