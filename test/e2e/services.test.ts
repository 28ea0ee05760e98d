/** Services of a swarm are hardened in their definition: swarm makes their tasks anew, some always run, and a way back is a way back. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bed, skipReason, titled, type SystemdHost } from './host.ts';
import { pushed } from './registry.ts';
import { harden, hardenJson, type OutcomesDocument, type PlanDocumentJson } from './support.ts';

/** Nobody answers there, so that no node waits for a registry. */
const IMAGE = '127.0.0.1:1/busy:1';
const FIXES = ['container.capabilities', 'container.memory-limit', 'container.pids-limit', 'container.readonly-rootfs', 'container.no-new-privileges', 'container.cpu-shares'];
const ALLOW = ['--max-impact', 'recreate', '--max-risk', 'behaviour'];
const SETTINGS = ['memory=64m', 'tmpfs=[/tmp]', 'cpuShares=512', 'watchSeconds=2'].flatMap((setting) => ['--set', `container.${setting}`]);
const UNHEALTHY = ['--set', 'container.healthcheck={test: "false", interval: 1s, timeout: 1s, retries: 1, startPeriod: 1s}', '--set', 'container.watchSeconds=2'];

interface Service {
  readonly Spec: { readonly TaskTemplate: { readonly ContainerSpec: Record<string, unknown> } };
}

describe.skipIf(skipReason('systemd') !== null).each([
  { suite: 'bookworm', confines: false }, { suite: 'trixie', confines: true },
] as const)(titled('services on Debian $suite', 'systemd'), ({ suite, confines }) => {
  let host: SystemdHost;
  let original: Service['Spec'];
  const about = (service: string): string[] => ['-t', `com.docker.swarm.service.name=${service}`];
  const spec = async (service: string): Promise<Service['Spec']> =>
    (JSON.parse((await host.exec(['docker', 'service', 'inspect', service], { check: true })).stdout) as [Service])[0].Spec;
  const replicas = async (service: string): Promise<string> =>
    (await host.exec(['docker', 'service', 'ls', '--filter', `name=${service}`, '--format', '{{.Replicas}}'], { check: true })).stdout.trim();
  const create = (name: string, ...options: string[]): Promise<unknown> => host.exec(['docker', 'service', 'create', '--detach', '--no-resolve-image', '--name', name,
    '--stop-grace-period', '1s', '--update-monitor', '2s', '--rollback-monitor', '2s', '--restart-delay', '1s', '--cap-add', 'CHOWN', ...options, IMAGE, 'sleep', '100000'], { check: true });
  const states = (document: OutcomesDocument): Record<string, string[]> => {
    const found = document.results.filter(({ check, state }) => FIXES.includes(check) && state !== 'unchanged');
    return Object.fromEntries(FIXES.map((check) => [check, found.filter((result) => result.check === check).map(({ state }) => state)]));
  };
  const fixed = (count: number): Record<string, string[]> => Object.fromEntries(FIXES.map((check) =>
    [check, check === 'container.cpu-shares' || (check === 'container.no-new-privileges' && !confines) ? [] : Array.from({ length: count }, () => 'fixed')]));

  beforeAll(async () => {
    host = await bed.systemdHost({ name: `services-${suite}`, suite });
    await host.loadBusybox();
    await host.exec(`docker swarm init --advertise-addr 127.0.0.1 && docker tag busybox:latest ${IMAGE}`, { check: true });
    await create('web', '--replicas', '3', '--env', 'API_TOKEN=hunter2hunter2', '--mount', 'type=volume,src=data,dst=/data');
    await create('agent', '--mode', 'global', '--update-failure-action', 'rollback');
    await host.exec('until test "$(docker service ls --format "{{.Replicas}}" | sort | tr "\\n" " ")" = "1/1 3/3 "; do sleep 0.5; done', { check: true, timeoutMs: 60_000 });
    original = await spec('web');
  });
  afterAll(() => host.down());

  test('the findings of all tasks are one change; what a service cannot say is deferred and says why', async () => {
    const { changes, deferred } = await hardenJson<PlanDocumentJson>(host, ['plan', ...ALLOW, ...SETTINGS, ...about('web'), '-c', FIXES.join(',')], [0]);
    expect(changes.map(({ id, kind, impact }) => ({ id, kind, impact }))).toEqual([{ id: 'service:web', kind: 'service', impact: 'recreate' }]);
    expect(changes[0]?.because).toHaveLength(3 * (confines ? 5 : 4));
    expect(changes[0]?.diff.trim().split('\n').sort()).toEqual([
      '+ ContainerSpec.CapabilityDrop: "CAP_NET_RAW"', '+ ContainerSpec.Mounts: {"Type":"tmpfs","Target":"/tmp","TmpfsOptions":{"SizeBytes":67108864,"Mode":1023}}',
      ...(confines ? ['+ ContainerSpec.Privileges.NoNewPrivileges: true'] : []),
      '+ ContainerSpec.ReadOnly: true', '+ Resources.Limits.MemoryBytes: 67108864', '+ Resources.Limits.Pids: 2048',
    ]);
    const reasons = new Set(deferred.map(({ check, reason, explanation }) => `${check} ${reason}: ${explanation}`));
    expect([...reasons].sort()).toEqual([
      'container.cpu-shares unsupported: It is a task of the service web, and a service has no CPU shares, only limits and reservations of CPUs.',
      ...(confines ? [] : ['container.no-new-privileges unsupported: It is a task of the service web, and a service cannot say this before API 1.44 (Docker 25); this engine has 1.41.']),
    ]);
  });

  test('a rolling update keeps the replicas, and what was promised is so for the new tasks', async () => {
    await host.exec('(while test ! -e /tmp/enough; do docker ps -q --filter label=com.docker.swarm.service.name=web --filter status=running | wc -l; sleep 0.2; done) > /tmp/counts 2>/dev/null &', { check: true });
    const done = await hardenJson<OutcomesDocument>(host, ['apply', '--yes', ...ALLOW, ...SETTINGS, ...about('web'), '-c', FIXES.join(',')], [0]);
    await host.exec('touch /tmp/enough', { check: true });
    expect(done.changes.map(({ id, state }) => [id, state])).toEqual([['service:web', 'applied']]);
    expect(states(done)).toEqual(fixed(3));
    const counts = (await host.exec(['cat', '/tmp/counts'])).stdout.trim().split('\n').map(Number);
    expect(counts.length).toBeGreaterThan(10);
    expect(Math.min(...counts)).toBeGreaterThanOrEqual(2);
    expect(await replicas('web')).toBe('3/3');
    // Nothing else of it changed.
    const { ReadOnly, CapabilityDrop, Mounts, Privileges, ...rest } = (await spec('web')).TaskTemplate.ContainerSpec;
    expect({ ReadOnly, CapabilityDrop }).toEqual({ ReadOnly: true, CapabilityDrop: ['CAP_NET_RAW'] });
    expect(Mounts).toHaveLength(2);
    expect(Privileges === undefined).toBe(!confines);
    const { Mounts: mounted, Privileges: confined, ...before } = original.TaskTemplate.ContainerSpec;
    expect([mounted, confined]).toEqual([[{ Type: 'volume', Source: 'data', Target: '/data' }], undefined]);
    expect(rest).toEqual(before);
    expect((await host.exec('grep -rl hunter2 /var/lib/harden')).stdout).toBe('');
    expect((await hardenJson<OutcomesDocument>(host, ['apply', '--yes', ...ALLOW, ...SETTINGS, ...about('web'), '-c', FIXES.join(',')], [0])).changes).toEqual([]);
    const { code, stdout } = await harden(host, ['verify']);
    expect({ code, stdout }).toMatchObject({ code: 0 });
  });

  test.skipIf(confines)('is not taken back over what somebody did since; what does not concern it stays', async () => {
    await host.exec(['docker', 'service', 'update', '--detach', '--limit-memory', '96m', 'web'], { check: true });
    const { code, stderr } = await harden(host, ['rollback', '--yes']);
    expect({ code, stderr }).toMatchObject({ code: 2, stderr: expect.stringContaining('The service web was changed since (Resources.Limits.MemoryBytes)') as string });
    await host.exec(['docker', 'service', 'update', '--detach', '--limit-memory', '64m', 'web'], { check: true });
  });

  test('is taken back by a rollback', async () => {
    const { code, stdout, stderr } = await harden(host, ['rollback', '--yes']);
    expect({ code, stdout, stderr }).toMatchObject({ code: 0 });
    expect(await replicas('web')).toBe('3/3');
    expect((await spec('web')).TaskTemplate).toEqual(original.TaskTemplate);
  });

  test.skipIf(confines).each(['web', 'agent'])('an update of %s whose tasks fail leaves it as it was, by whatever failure action', async (service) => {
    const before = await spec(service);
    const { changes } = await hardenJson<OutcomesDocument>(host, ['apply', '--yes', ...ALLOW, ...UNHEALTHY, ...about(service), '-c', 'container.healthcheck'], [3]);
    expect(changes).toEqual([{ id: `service:${service}`, state: 'reverted', reason: expect.stringContaining(`The update of the service ${service} failed`) as string }]);
    expect((await spec(service)).TaskTemplate).toEqual(before.TaskTemplate);
    expect(await replicas(service)).toBe(service === 'web' ? '3/3' : '1/1');
  });

  test.skipIf(confines)('a service on every node is updated too; a container that only claims to be a task is not', async () => {
    await host.exec(['docker', 'run', '-d', '--name', 'liar', '--label', 'com.docker.swarm.service.name=agent', '--label', 'com.docker.swarm.service.id=none', IMAGE, 'sleep', '100000'], { check: true });
    const done = await hardenJson<OutcomesDocument>(host, ['apply', '--yes', ...ALLOW, ...SETTINGS, ...about('agent'), '-c', FIXES.join(',')], [0, 1]);
    expect(done.changes.map(({ id, state }) => [id, state])).toEqual([['service:agent', 'applied']]);
    expect(states(done)).toEqual(fixed(1));
    expect(await replicas('agent')).toBe('1/1');
  });

  test.skipIf(!confines)('what only its owner can choose is so for its tasks, and is taken back', async () => {
    const image = '127.0.0.1:5000/shop/app:1';
    const digest = await pushed(host, 'busybox:latest', image);
    await host.exec('docker service rm web agent; mkdir -p /srv/shared /dev/net && mknod /dev/net/tun c 10 200; mount --bind /srv/shared /srv/shared && mount --make-shared /srv/shared', { check: true });
    await host.writeFile('/root/open.yaml', `parameters:
  containers:
    open.*: { watchSeconds: 1, pinImage: true, withoutMounts: [/keys, /dev/net], healthcheck: { test: "true", interval: 1s }, log: { maxSize: 10m, maxFile: 3 }, publishAddress: 127.0.0.1, hostPorts: { 81: 8081 } }
`);
    const bound = ['/srv/shared:/shared:rshared', '/etc/ssl:/keys:rprivate', '/dev/net:/dev/net:rprivate'].map((mount) => mount.split(':'))
      .flatMap(([source, target, propagation]) => ['--mount', `type=bind,src=${source},dst=${target},bind-propagation=${propagation}`]);
    await host.exec(['docker', 'service', 'create', '--detach', '--no-resolve-image', '--name', 'open', '--stop-grace-period', '1s', '--update-monitor', '1s', '--rollback-monitor', '1s', '--restart-delay', '1s',
      '--publish', 'mode=host,published=81,target=80', '--mount', 'type=volume,src=data,dst=/data', ...bound, image, 'sh', '-c', 'test -e /data/file || echo kept >/data/file; exec sleep 100000'], { check: true });
    await host.exec('until test "$(docker service ls --format "{{.Replicas}}")" = 1/1; do sleep 0.2; done', { check: true, timeoutMs: 60_000 });
    const before = await spec('open');
    const checks = ['image-pinning', 'sensitive-mounts', 'devices', 'mount-propagation', 'healthcheck', 'log-rotation', 'no-new-privileges'].map((check) => `container.${check}`);
    const choices = ['--policy', '/root/open.yaml', ...ALLOW, ...about('open'), '-c', [...checks, 'container.bind-interface', 'container.privileged-ports'].join(',')];
    const { deferred } = await hardenJson<PlanDocumentJson>(host, ['plan', ...choices], [0]);
    expect(deferred.map(({ check, reason, explanation }) => `${check} ${reason}: ${explanation}`).sort()).toEqual(['bind-interface', 'privileged-ports'].map((check) =>
      `container.${check} unsupported: It is a task of the service open, and a service publishes on every address of a node, or of all nodes.`));
    const done = await hardenJson<OutcomesDocument>(host, ['apply', '--yes', ...choices], [0]);
    expect(done.changes.map(({ id, state }) => [id, state])).toEqual([['service:open', 'applied']]);
    expect(done.results.flatMap(({ check, state }) => (state === 'fixed' ? [check] : [])).sort()).toEqual([...checks].sort());
    const { Image, Mounts, Privileges, Healthcheck, ...rest } = (await spec('open')).TaskTemplate.ContainerSpec;
    expect([Image, Mounts]).toEqual([digest, [{ Type: 'volume', Source: 'data', Target: '/data' }, { Type: 'bind', Source: '/srv/shared', Target: '/shared', BindOptions: { Propagation: 'rslave' } }]]);
    expect([Privileges, Healthcheck]).toEqual([expect.objectContaining({ NoNewPrivileges: true }), expect.objectContaining({ Test: ['CMD-SHELL', 'true'] })]);
    expect(before.TaskTemplate.ContainerSpec).toMatchObject(rest);
    const task = (await host.exec('docker ps -q --filter name=open.', { check: true })).stdout.trim();
    expect((await host.exec(['docker', 'exec', task, 'cat', '/data/file'])).stdout).toBe('kept\n');
    expect((await hardenJson<OutcomesDocument>(host, ['apply', '--yes', ...choices], [0])).changes).toEqual([]);
    const { code, stdout, stderr } = await harden(host, ['rollback', '--yes']);
    expect({ code, said: code === 0 ? '' : stdout + stderr }).toEqual({ code: 0, said: '' });
    expect((await spec('open')).TaskTemplate).toEqual(before.TaskTemplate);
    expect(await replicas('open')).toBe('1/1');
  });
});
