import { describe, expect, test } from 'vitest';
import { checks } from '../checks/index.ts';
import { remediations } from '../remediations/index.ts';
import type { ContainerFacts, ContainerRuntime, Facts, SwarmFacts } from '../src/model.ts';
import { absent, present, unreadable, valueOf } from '../src/model.ts';
import { makePlan } from '../src/plan.ts';
import { lockedByRestart } from '../src/plan/restart.ts';
import { defaultPolicy } from '../src/policy.ts';
import { loadHost } from './hosts.ts';

const host = loadHost('stock-debian');

/** The recorded host as part of a swarm. */
function inSwarm(state: string, manager: boolean, swarm: Facts['swarm']): Facts {
  const info = valueOf(host.engine.info);
  if (info === undefined) throw new Error('the host has no /info');
  return { ...host, ...(swarm !== undefined && { swarm }), engine: { ...host.engine, info: present({ ...info, swarm: { state, manager } }) } };
}
const swarmWith = (autoLock: boolean | null): Facts['swarm'] => present({ autoLock } as SwarmFacts);

describe('a manager that would start locked', () => {
  test.each([
    ['autolock is on', inSwarm('active', true, swarmWith(true)), 'somebody enters the unlock key'],
    ['autolock is off', inSwarm('active', true, swarmWith(false)), null],
    ['nobody can say', inSwarm('active', true, swarmWith(null)), 'is not known'],
    ['the swarm did not answer', inSwarm('active', true, unreadable('no quorum')), 'is not known'],
    ['a worker holds no key', inSwarm('active', false, absent), null],
    ['it is locked already', inSwarm('locked', true, absent), null],
    ['it is in no swarm', host, null],
  ])('%s', (_, facts, expected) => {
    const why = lockedByRestart(facts);
    if (expected === null) expect(why).toBeNull();
    else expect(why).toContain(expected);
  });

  const planOf = (facts: Facts): ReturnType<typeof makePlan>['plan'] => makePlan({
    facts, policy: { ...defaultPolicy, maxImpact: 'restart', maxRisk: 'irreversible' }, checks: checks.filter(({ id }) => id === 'daemon.userland-proxy'), remediations,
    tool: host.tool, now: new Date(host.collectedAt), restart: { kind: 'systemd', unit: 'docker.service' },
  }).plan;

  test('is not restarted, and the plan says what to do', () => {
    expect(planOf(inSwarm('active', true, swarmWith(false))).changes).toHaveLength(1);
    const { changes, deferred } = planOf(inSwarm('active', true, swarmWith(true)));
    expect(changes).toEqual([]);
    expect(deferred).toMatchObject([{ check: 'daemon.userland-proxy', reason: 'guard', needs: expect.stringContaining('docker swarm update --autolock=false') as string }]);
  });
});

test('a restart is planned with the ports and plugins that have to be back', () => {
  const ports = [{ ip: '0.0.0.0', hostPort: 8080, containerPort: 80, protocol: 'tcp' }, { ip: '::', hostPort: 8080, containerPort: 80, protocol: 'tcp' }, { ip: '0.0.0.0', hostPort: 53, containerPort: 53, protocol: 'udp' }];
  const containers = (valueOf(host.containers) ?? []).slice(0, 1).map((container): ContainerFacts => ({ ...container, runtime: present({ ...(valueOf(container.runtime) as ContainerRuntime), state: 'running', ports }) }));
  const plugins = present([{ name: 'store:latest', enabled: true, types: ['volumedriver'] }, { name: 'off:latest', enabled: false, types: [] }]);
  const { restart } = makePlan({
    facts: { ...host, containers: present(containers), plugins }, policy: { ...defaultPolicy, maxImpact: 'restart', maxRisk: 'irreversible' }, checks: checks.filter(({ id }) => id === 'daemon.userland-proxy'), remediations,
    tool: host.tool, now: new Date(host.collectedAt), restart: { kind: 'systemd', unit: 'docker.service' },
  }).plan;
  expect(restart).toMatchObject({ ports: [{ container: containers[0]?.name, port: 8080 }], plugins: ['store:latest'] });
});
