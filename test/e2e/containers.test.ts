/** Containers on a real engine, each wrong in one family, and one that is right in all. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bed, skipReason, titled, type Suite, type SystemdHost } from './host.ts';
import { plan, scan, type PlanDocumentJson, type ScanDocument } from './support.ts';

const IDLE = ['busybox:latest', 'sleep', '100000'] as const;
const NAMED = ['--network', 'own'] as const;

/** Name, options of `docker run`, command. */
const CONTAINERS: readonly (readonly [name: string, options: readonly string[], command?: readonly string[]])[] = [
  ['right', [
    ...NAMED, '--cap-drop', 'ALL', '--read-only', '--memory', '64m', '--cpus', '0.5', '--pids-limit', '50', '--security-opt', 'no-new-privileges',
    '--restart', 'on-failure:5', '--health-cmd', 'true', '--health-interval', '1s', '--log-opt', 'max-size=1m', '-p', '127.0.0.1:8080:80', '-v', '/srv/data:/data',
  ]],
  ['stock', []],
  ['shared', ['--network', 'host', '--pid', 'host', '--ipc', 'host', '--uts', 'host']],
  ['joined', ['--network', 'container:shared', '--pid', 'container:shared', '--ipc', 'container:shared']],
  ['capable', ['--cap-add', 'NET_ADMIN', '--security-opt', 'no-new-privileges:false']],
  ['unconfined', ['--security-opt', 'seccomp=unconfined', '--userns', 'host']],
  ['mounting', ['-v', '/etc/ssl:/keys:ro', '-v', '/var/run:/host-run:ro']],
  ['inheriting', ['--volumes-from', 'mounting']],
  ['propagating', ['--mount', 'type=bind,source=/mnt/shared,target=/s,bind-propagation=rshared']],
  ['published', ['-p', '80:80', '-P', '--expose', '81']],
  ['restarted', ['--restart', 'always', '--cgroup-parent', 'elsewhere.slice']],
  ['ill', ['--health-cmd', 'false', '--health-interval', '1s', '--health-retries', '1']],
  ['unchecked', ['--no-healthcheck', '--cpuset-cpus', '0']],
  ['ssh', [], ['busybox:latest', 'sh', '-c', 'test -x /usr/sbin/sshd; sleep 100000']],
  ['quota', ['--cpu-quota', '50000']],
  ['device', ['--device', '/dev/fuse', '--device-cgroup-rule', 'c 10:229 r']],
  ['older', [], ['old:1', 'sleep', '100000']],
  // What the command does not name, its processes do: busybox is what it is called, and here its file is called sshd.
  ['hidden', [], ['busybox:latest', 'sh', '-c', 'd=ss; d=/tmp/${d}hd; cp /bin/busybox $d; ln -s $d /tmp/sleep; exec /tmp/sleep 100000']],
];

/** What does not start on a host in a container, but is judged all the same. */
const CREATED: readonly (readonly [name: string, options: readonly string[]])[] = [
  ['privileged', ['--privileged']],
  ['loose', ['--ulimit', 'core=-1:-1']],
  ['unstarted', ['--cap-drop', 'NET_RAW', '--device', '/dev/null']],
];

/** Checks that this host can show in both states: a container that passes, those that warn. */
const SHOWN: Readonly<Record<string, { readonly pass: readonly string[]; readonly warn: readonly string[] }>> = {
  'container.capabilities': { pass: ['right', 'unstarted'], warn: ['stock', 'capable', 'privileged'] },
  'container.privileged': { pass: ['right'], warn: ['privileged'] },
  'container.sensitive-mounts': { pass: ['right'], warn: ['mounting', 'inheriting'] },
  'container.privileged-ports': { pass: ['right'], warn: ['published'] },
  'container.needed-ports': { pass: ['stock'], warn: ['published'] },
  'container.host-network': { pass: ['right'], warn: ['shared', 'joined'] },
  'container.memory-limit': { pass: ['right'], warn: ['stock'] },
  'container.cpu-shares': { pass: ['right', 'quota'], warn: ['stock'] },
  'container.readonly-rootfs': { pass: ['right'], warn: ['stock'] },
  'container.bind-interface': { pass: ['right'], warn: ['published'] },
  'container.restart-policy': { pass: ['right', 'stock'], warn: ['restarted'] },
  'container.host-pid': { pass: ['right'], warn: ['shared', 'joined'] },
  'container.host-ipc': { pass: ['right'], warn: ['shared', 'joined'] },
  'container.devices': { pass: ['right', 'unstarted'], warn: ['device', 'privileged'] },
  'container.ulimits': { pass: ['right'], warn: ['loose'] },
  'container.mount-propagation': { pass: ['right', 'mounting'], warn: ['propagating'] },
  'container.host-uts': { pass: ['right'], warn: ['shared'] },
  'container.seccomp': { pass: ['right'], warn: ['unconfined', 'privileged'] },
  'container.cgroup-parent': { pass: ['right'], warn: ['restarted'] },
  'container.no-new-privileges': { pass: ['right'], warn: ['stock', 'capable'] },
  'container.healthcheck': { pass: ['right'], warn: ['ill', 'unchecked', 'stock'] },
  'container.pids-limit': { pass: ['right'], warn: ['stock'] },
  'container.default-bridge': { pass: ['right', 'shared'], warn: ['stock'] },
  'container.docker-socket': { pass: ['right', 'stock'], warn: ['mounting', 'inheriting'] },
  'container.log-rotation': { pass: ['right'], warn: ['stock'] },
  'operations.exec-privileged': { pass: ['unstarted', 'capable'], warn: ['stock'] },
  'operations.exec-root': { pass: ['unstarted', 'capable'], warn: ['quota'] },
  'container.sshd': { pass: ['right', 'stock'], warn: ['ssh', 'hidden'] },
  'container.image-pinning': { pass: [], warn: ['older'] },
  'container.host-userns': { pass: [], warn: ['unconfined'] },
};

/** Posts a body to the engine, some times. */
const API = `const [path, body, times] = process.argv.slice(1);
const post = (left) => require('node:http').request({ socketPath: '/var/run/docker.sock', method: 'POST', path, headers: { 'content-type': 'application/json' } }, (answer) => {
  if (answer.statusCode >= 300) process.exit(1);
  answer.resume().on('end', () => { if (left > 1) post(left - 1); });
}).end(body);
post(Number(times));`;

describe.skipIf(skipReason('systemd') !== null).each<Suite>(['bookworm', 'trixie'])(titled('containers of a real engine, %s', 'systemd'), (suite) => {
  let host: SystemdHost;
  let ids: Map<string, string>;
  let report: ScanDocument;
  let planned: PlanDocumentJson;
  const found = (check: string, name: string) =>
    report.results.find((result) => result.check === check)?.findings.find(({ target }) => target.id === ids.get(name));

  beforeAll(async () => {
    host = await bed.systemdHost({ name: `containers-${suite}`, suite });
    await host.loadBusybox();
    await host.exec('mkdir -p /srv/data /mnt/shared && mount --bind /mnt/shared /mnt/shared && mount --make-shared /mnt/shared', { check: true });
    await host.exec('test -e /dev/fuse || mknod /dev/fuse c 10 229; docker network create own; docker tag busybox:latest old:1', { check: true });
    for (const [name, options, command = IDLE] of CONTAINERS) await host.run('-d', '--name', name, ...options, ...command);
    for (const [name, options] of CREATED) await host.exec(['docker', 'create', '--name', name, ...options, ...IDLE], { check: true });
    await host.exec('echo "FROM busybox:latest\nLABEL newer=1" | docker build -t old:1 -', { check: true });
    await host.exec('for i in $(seq 100); do test "$(docker inspect -f "{{.State.Health.Status}}" ill)" = unhealthy && exit 0; sleep 0.2; done; exit 1', { check: true });
    const { stdout } = await host.exec('docker inspect -f "{{.Name}} {{.Id}}" $(docker ps -aq)', { check: true });
    ids = new Map(stdout.trim().split('\n').map((line) => line.slice(1).split(' ') as [string, string]));
    // A container in such a host cannot start a privileged session; what was asked for is judged all the same.
    await host.exec(['node', '-e', API, '/containers/stock/exec', '{"Cmd": ["sleep", "1000"], "Privileged": true}', '1'], { check: true });
    await host.exec(['docker', 'exec', '-d', '--user', '0:0', 'quota', 'sleep', '1000'], { check: true });
    report = await scan(host);
    planned = await plan(host);
  });
  afterAll(() => host.down());

  test.each(Object.entries(SHOWN))('%s', (check, { pass, warn }) => {
    const outcomes = Object.fromEntries([...pass, ...warn].map((name) => [name, found(check, name)?.outcome]));
    expect(outcomes).toEqual(Object.fromEntries([...pass.map((name) => [name, 'pass']), ...warn.map((name) => [name, 'warn'])]));
  });

  test('the right one warns nowhere', () => {
    expect(report.results.filter(({ check }) => found(check, 'right')?.outcome === 'warn').map(({ check }) => check)).toEqual([]);
  });

  test('what this kernel does not have does not apply, and what nobody can see is left to a person', () => {
    expect(found('container.apparmor', 'right')?.outcome).toBe('na');
    expect(found('container.selinux', 'right')?.outcome).toBe('na');
    expect(found('container.privileged-ports', 'shared')?.outcome).toBe('na');
    expect(found('container.host-userns', 'right')?.outcome).toBe('na');
    // Its health checks are sessions, and what they were is not kept.
    for (const check of ['container.image-pinning', 'operations.exec-privileged', 'operations.exec-root']) {
      expect({ check, outcome: found(check, 'right')?.outcome }).toEqual({ check, outcome: 'manual' });
    }
    expect(found('operations.exec-root', 'right')?.message).toContain('health checks included');
  });

  test('an exec session that is open is judged, and one that ended is remembered as long as the engine remembers it', async () => {
    expect(found('operations.exec-privileged', 'quota')).toMatchObject({ outcome: 'manual', message: expect.stringContaining('No open docker exec session has --privileged') as string });
    await host.exec(['docker', 'exec', 'capable', 'true'], { check: true });
    const judged = await scan(host, '-c', 'operations.exec-root');
    const capable = judged.results[0]?.findings.find(({ target }) => target.id === ids.get('capable'));
    expect(capable).toMatchObject({ outcome: 'manual', message: expect.stringContaining('1 was started since it was created') as string });
    // The engine keeps 256 events: after these, it cannot say any more that nothing happened before.
    await host.exec(['node', '-e', API, '/containers/shared/exec', '{"Cmd": ["true"]}', '260'], { check: true });
    const later = await scan(host, '-c', 'operations.exec-root');
    expect(later.results[0]?.findings.find(({ target }) => target.id === ids.get('device'))?.message).toContain('whose events reach back to');
  });

  test('every warning of a container says what to do', () => {
    const waiting = planned.deferred.filter(({ target }) => [...ids.values()].includes(target.id));
    expect(waiting.length).toBeGreaterThan(50);
    expect(waiting.filter(({ needs }) => needs === null)).toEqual([]);
  });

  test('the swarm check follows the engine, and a container made under the daemon\'s default gains no privileges', async () => {
    const outcomeOf = async (check: string): Promise<string | undefined> => (await scan(host, '-c', check)).results[0]?.outcome;
    expect(await outcomeOf('swarm.disabled')).toBe('pass');
    await host.exec(['docker', 'swarm', 'init', '--advertise-addr', '127.0.0.1'], { check: true });
    expect(await outcomeOf('swarm.disabled')).toBe('warn');
    await host.exec(['docker', 'swarm', 'leave', '--force'], { check: true });

    // With live-restore a container keeps what it was started with, whatever the daemon's defaults are by then.
    await host.writeFile('/etc/docker/daemon.json', '{"live-restore": true}\n');
    await host.exec(['systemctl', 'reload', 'docker'], { check: true });
    await host.writeFile('/etc/docker/daemon.json', '{"live-restore": true, "no-new-privileges": true, "default-ulimits": {"nofile": {"Name": "nofile", "Soft": 512, "Hard": 1024}}}\n');
    await host.exec(['systemctl', 'restart', 'docker'], { check: true });
    await host.run('-d', '--name', 'newer', ...IDLE);
    // What the engine really gave them.
    const pid = async (name: string): Promise<string> => (await host.exec(['docker', 'inspect', '-f', '{{.State.Pid}}', name], { check: true })).stdout.trim();
    const flag = async (name: string): Promise<string> => (await host.exec(['grep', 'NoNewPrivs', `/proc/${await pid(name)}/status`])).stdout.trim();
    expect([await flag('newer'), await flag('stock')]).toEqual(['NoNewPrivs:\t1', 'NoNewPrivs:\t0']);
    ids.set('newer', (await host.exec(['docker', 'inspect', '-f', '{{.Id}}', 'newer'], { check: true })).stdout.trim());
    report = await scan(host, '-c', 'container.no-new-privileges,container.ulimits');
    for (const check of ['container.no-new-privileges', 'container.ulimits']) {
      expect([check, found(check, 'newer')?.outcome, found(check, 'stock')?.outcome]).toEqual([check, 'pass', 'warn']);
    }
    expect(found('container.ulimits', 'stock')).toMatchObject({ pending: { waitsFor: 'a restart of the container' } });
  });
});
