/**
 * What the script of a plan does on a host besides the plan: a new container that does not do, a run that is killed, tools that are missing, another harden at
 * the same time. And the kinds of changes that need a swarm or do not come back, held to what `harden apply` makes of them.
 */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { EQUIVALENCE } from '../../src/portable/equivalence.ts';
import { bed, skipReason, titled, type SystemdHost } from './host.ts';
import { played, type Play } from './playbook.ts';
import { harden, hardenJson, outcomes, scan, type CliResult, type OutcomesDocument, type PlanDocumentJson } from './support.ts';

const ALLOW = ['--max-impact', 'data', '--max-risk', 'irreversible'];
const settings = (...all: string[]): string[] => all.flatMap((setting) => ['--set', setting]);
const WATCHED = settings('container.watchSeconds=1', 'container.tmpfs=[/tmp]', 'container.memory=64m', 'container.cpuShares=512');
/** Counts its starts, and does SECOND at the second one: as the new container, not as the old one before and after. */
const counting = (second: string): string[] => ['sh', '-c', `n=$(cat /data/n 2>/dev/null || echo 0); echo $((n + 1)) > /data/n; if [ $n = 1 ]; then ${second}; fi; exec sleep 100000`];
/** A docker that kills the script, or holds it, at the command that KILL or HOLD says; with LATE it stops containers as a busy engine does: after it has said so. */
const DOCKER = `#!/bin/sh
case " $3 " in
  " \${KILL:-none} ") kill -9 "$(sed 's/^{"pid":\\([0-9]*\\).*/\\1/' /var/lib/harden/lock)"; exit 1 ;;
  " \${HOLD:-none} ") touch /run/held; until test -e /run/go; do sleep 0.1; done ;;
esac
if [ "$3\${LATE:-}" = stop1 ]; then (sleep 3; exec /usr/bin/docker "$@") >/dev/null 2>&1 </dev/null & exit 0; fi
exec /usr/bin/docker "$@"
`;

describe.skipIf(skipReason('systemd') !== null)(titled('the script on a host', 'systemd'), () => {
  let host: SystemdHost;
  const generate = async (...args: string[]): Promise<void> => { expect(await harden(host, ['generate', 'shell', ...ALLOW, ...WATCHED, ...args, '-o', '/root/harden.sh'])).toMatchObject({ code: 0 }); };
  const script = (args: readonly string[] = [], env: Record<string, string> = {}): Promise<CliResult> =>
    host.exec(['env', 'PATH=/root/bin:/usr/bin:/bin', ...Object.entries(env).map(([name, value]) => `${name}=${value}`), 'sh', '/root/harden.sh', ...args], { timeoutMs: 120_000 });
  const containers = async (): Promise<string> => (await host.exec('docker ps -a --no-trunc --format "{{.ID}} {{.Names}} {{.State}}" | sort; docker ps -aq | xargs docker inspect -f "{{.Name}} {{json .HostConfig}}" | sort', { check: true })).stdout;
  const daemonConfig = async (): Promise<string> => (await host.exec('cat /etc/docker/daemon.json; docker info -f "{{.LiveRestoreEnabled}}"')).stdout;

  beforeAll(async () => {
    host = await bed.systemdHost({ name: 'script', suite: 'trixie' });
    await host.loadBusybox();
    await host.writeFile('/root/bin/docker', DOCKER, { mode: 0o755 });
    const run = (name: string, ...args: string[]): Promise<unknown> => host.run('-d', '--name', name, '--restart', 'unless-stopped', '--stop-timeout', '1', '--env', 'A_TOKEN=s3cret', '-v', `${name}:/data`, ...args);
    await run('plain', '-p', '127.0.0.1:8080:80', 'busybox:latest', 'sleep', '100000');
    await run('ends', 'busybox:latest', ...counting('exit 1'));
    await run('ails', '--health-cmd', 'test ! -e /tmp/ill', '--health-interval', '1s', '--health-retries', '1', 'busybox:latest', ...counting('touch /tmp/ill'));
  });
  afterAll(() => host.down());

  test('is for root, for its host and its machine', async () => {
    await generate('-c', 'daemon.live-restore');
    const before = await daemonConfig();
    expect(await host.exec(['cp', '/root/harden.sh', '/tmp/harden.sh'])).toMatchObject({ code: 0 });
    expect(await host.exec('chmod 755 /tmp/harden.sh')).toMatchObject({ code: 0 });
    expect(await host.exec(['sh', '/tmp/harden.sh'], { user: 'nobody' })).toMatchObject({ code: 2, stderr: expect.stringContaining('run as root. Nothing was changed') as string });
    await host.exec('cp /etc/machine-id /root/machine-id; echo 0123456789abcdef0123456789abcdef > /tmp/id; cat /tmp/id > /etc/machine-id', { check: true });
    expect(await script()).toMatchObject({ code: 2, stderr: expect.stringContaining('another machine') as string });
    expect(await script(['--any-host', '--dry-run'])).toMatchObject({ code: 0 });
    await host.exec('cat /root/machine-id > /etc/machine-id', { check: true });
    expect(await daemonConfig()).toBe(before);
  });

  test('brings the old container back where the new one ends at once or is not healthy, and goes on', async () => {
    await generate('-c', 'container.capabilities');
    const before = await containers();
    const { code, stdout } = await script([], { LATE: '1' });
    expect({ code, stdout }).toMatchObject({ code: 3, stdout: expect.stringMatching(/^1 made, 0 as wanted, 0 not made, 2 failed\.$/mu) as string });
    expect(stdout).toMatch(/failed +container:ends .*\n.*it ended or restarted.*what it had done is taken back/u);
    expect(stdout).toMatch(/failed +container:ails .*\n.*its health check fails.*what it had done is taken back/u);
    expect((await host.exec('docker inspect -f "{{.HostConfig.CapDrop}}" plain ends ails')).stdout).toBe('[NET_RAW]\n[]\n[]\n');
    expect(await script(['--undo'], { LATE: '1' })).toMatchObject({ code: 0 });
    expect(await containers()).toBe(before);
  });

  test.each(['create', 'rename', 'start'])('killed at docker %s, it says so the next time, and is taken back', async (kill) => {
    await generate('-c', 'container.capabilities', '-i', 'plain');
    const before = await containers();
    expect((await script([], { KILL: kill })).code).toBe(137);
    expect(await script()).toMatchObject({ code: 2, stderr: expect.stringContaining('an earlier run ended in the middle') as string });
    const undone = await script(['--undo']);
    expect(undone).toMatchObject({ code: 0 });
    expect(await containers()).toBe(before);
  });

  test('killed between a new daemon.json and what it brings into force, it is taken back', async () => {
    await generate('-c', 'daemon.live-restore');
    const before = await daemonConfig();
    expect((await script([], { KILL: 'info' })).code).toBe(137);
    expect(await daemonConfig()).not.toBe(before);
    expect(await script(['--undo'])).toMatchObject({ code: 0 });
    expect(await daemonConfig()).toBe(before);
    expect(await script()).toMatchObject({ code: 0, stdout: expect.stringMatching(/^1 made, /mu) as string });
    expect(await script(['--undo'])).toMatchObject({ code: 0 });
  });

  test('a change whose target was changed, or whose tool is missing, is not made; the others are', async () => {
    await generate('-c', 'daemon.live-restore,container.capabilities', '-i', 'plain');
    await host.exec('mkdir -p /etc/docker && echo "{}" > /etc/docker/daemon.json', { check: true });
    const made = await script();
    expect(made).toMatchObject({ code: 1, stdout: expect.stringMatching(/^1 made, 0 as wanted, 1 not made, 0 failed\.$/mu) as string });
    expect(made.stdout).toMatch(/not made +file:\/etc\/docker\/daemon\.json .*\n.*is there already/u);
    expect(await script(['--undo'])).toMatchObject({ code: 0 });
    await host.exec('rm /etc/docker/daemon.json; mv /usr/bin/docker /usr/bin/docker.away; rm /root/bin/docker', { check: true });
    const before = (await host.exec('cat /etc/docker/daemon.json')).code;
    const lacking = await script();
    expect(lacking).toMatchObject({ code: 2, stdout: expect.stringContaining('docker is not here, which this change needs') as string });
    expect((await host.exec('cat /etc/docker/daemon.json')).code).toBe(before);
    await host.exec('mv /usr/bin/docker.away /usr/bin/docker', { check: true });
    await host.writeFile('/root/bin/docker', DOCKER, { mode: 0o755 });
  });

  test('audit rules where the kernel does not take them, or auditctl is missing, are not written', async () => {
    await host.writeFile('/root/facts.json', readFileSync('fixtures/hosts/debian-12.json', 'utf8'));
    await generate('--facts', '/root/facts.json', '-c', 'audit');
    const audit = async (): Promise<string> => (await host.exec('find /etc/audit -type f | sort | xargs sha256sum')).stdout;
    const before = await audit();
    expect(await script(['--any-host'])).toMatchObject({ code: 2, stdout: expect.stringContaining('the audit rules of the kernel cannot be read here') as string });
    await host.exec('mv /usr/sbin/auditctl /usr/sbin/auditctl.away', { check: true });
    expect(await script(['--any-host'])).toMatchObject({ code: 2, stdout: expect.stringContaining('auditctl is not here') as string });
    await host.exec('mv /usr/sbin/auditctl.away /usr/sbin/auditctl', { check: true });
    expect(await audit()).toBe(before);
  });

  test('never runs beside another one, nor beside apply', async () => {
    const selected = ['-c', 'container.capabilities', '-i', 'plain'];
    await generate(...selected);
    const held = script([], { HOLD: 'rename' });
    await host.exec('until test -e /run/held; do sleep 0.1; done', { check: true, timeoutMs: 30_000 });
    expect(await script()).toMatchObject({ code: 2, stderr: expect.stringMatching(/another harden \(process \d+\) has been changing this host since .*Nothing was changed/u) as string });
    expect(await harden(host, ['apply', '--yes', ...ALLOW, ...WATCHED, ...selected])).toMatchObject({ code: 2, stderr: expect.stringMatching(/another harden \(process \d+\) has been changing this host/u) as string });
    await host.exec('touch /run/go', { check: true });
    expect(await held).toMatchObject({ code: 0 });
    expect(await script(['--undo'])).toMatchObject({ code: 0 });
    const applied = harden(host, ['apply', '--yes', ...ALLOW, ...WATCHED, '--set', 'container.watchSeconds=3', ...selected]);
    await host.exec('until test -e /var/lib/harden/lock; do sleep 0.1; done', { check: true, timeoutMs: 30_000 });
    expect(await script()).toMatchObject({ code: 2, stderr: expect.stringMatching(/another harden \(process \d+\) has been changing this host/u) as string });
    expect(await applied).toMatchObject({ code: 0 });
    expect(await harden(host, ['rollback', '--yes'])).toMatchObject({ code: 0 });
    expect((await host.exec('ls -A /var/lib/harden | grep -c lock')).stdout).toBe('0\n');
  });

  describe('with a swarm and what nobody needs', () => {
    const KINDS = EQUIVALENCE.filter(({ compared }) => compared === 'script').map(({ kind }) => kind);
    const SELECTED = [
      '-c', 'file.docker-sock,swarm.autolock,swarm.node-cert-expiry,container.memory-limit,container.pids-limit,container.cpu-shares,container.readonly-rootfs,container.capabilities,operations.image-sprawl,operations.container-sprawl',
      '-x', 'plain', '-x', 'ends', '-x', 'ails', ...settings('swarm.certificateDays=30', 'swarm.unlockKeyFile=/root/swarm-key', 'operations.unusedImageDays=0', 'operations.stoppedContainerDays=0',
        'operations.removeUnusedImages=[junk*,reg.test/*]', 'operations.removeStoppedContainers=[stale*]'),
    ];
    const leftovers = (): Promise<unknown> => host.exec(`set -e
      mkdir -p /srv/junk && echo junk > /srv/junk/file && tar c -C /srv/junk . | docker import - junk:1 && docker tag junk:1 reg.test/junk:2
      docker run --name stale busybox:latest true`, { check: true });
    /** Without ids, times and the key itself; docker puts mounts into an order of its own. */
    const state = async (): Promise<unknown> => {
      const { stdout } = await host.exec('docker service inspect -f "{{json .Spec}}" web', { check: true });
      const { TaskTemplate: { ContainerSpec: { Mounts, ...spec }, ...task }, ...service } = JSON.parse(stdout) as { TaskTemplate: { ContainerSpec: { Mounts: unknown[] } } };
      const others = await host.exec(`docker service ls --format '{{.Replicas}}'; docker info -f '{{json .Swarm.Cluster.Spec.CAConfig}} {{json .Swarm.Cluster.Spec.EncryptionConfig}}'
        docker image ls --format '{{.Repository}}:{{.Tag}}' | sort; docker ps -a --format '{{.Names}}' | grep -v '^web\\.' | sort
        stat -c '%n %a %U:%G' /run/docker.sock /root/swarm-key; find /etc/systemd/system/docker.socket.d -type f -printf '%p %m %U:%G ' -exec sha256sum {} +`);
      // The engine takes neither of these back to "nothing said", only to what that means.
      const [{ HostConfig: { CpuShares, PidsLimit, ...live }, State: { Pid } }] = JSON.parse((await host.exec('docker inspect live', { check: true })).stdout) as [{ HostConfig: Record<string, unknown>; State: { Pid: number } }];
      return { live: { ...live, Pid, CpuShares: CpuShares === 0 ? 1024 : CpuShares, PidsLimit: PidsLimit ?? 0 }, service, task, spec, mounts: Mounts.map((mount) => JSON.stringify(mount)).sort(), others: others.stdout, scan: outcomes(await scan(host, ...SELECTED)) };
    };

    beforeAll(async () => {
      await host.exec(`set -e
        docker swarm init --advertise-addr 127.0.0.1 && docker tag busybox:latest 127.0.0.1:1/busy:1
        docker service create --detach --no-resolve-image --name web --replicas 2 --stop-grace-period 1s --update-monitor 2s --rollback-monitor 2s --restart-delay 1s --cap-add CHOWN --env API_TOKEN=hunter2hunter2 \\
          --mount type=volume,src=data,dst=/data 127.0.0.1:1/busy:1 sleep 100000
        docker run -d --name live --memory 64m --read-only --cap-drop NET_RAW --stop-timeout 1 busybox:latest sleep 100000
        mkdir -p /etc/systemd/system/docker.socket.d && printf '[Socket]\\nSocketMode=0666\\n' > /etc/systemd/system/docker.socket.d/own.conf && systemctl daemon-reload && chmod 666 /run/docker.sock
        until test "$(docker service ls --format '{{.Replicas}}')" = 2/2; do sleep 0.5; done`, { check: true, timeoutMs: 60_000 });
      await leftovers();
    });

    const play = async (...args: string[]): Promise<Play> => played(await host.exec(
      ['env', '-C', '/root/project', 'ANSIBLE_NOCOLOR=1', 'LC_ALL=C.UTF-8', 'ansible-playbook', '-i', 'inventory.example.yml', '-c', 'local', 'site.yml', ...args], { timeoutMs: 300_000 },
    ));
    /** What makes the plan besides apply: the script, and the playbook, which runs in the host. */
    const executors = [
      {
        format: 'shell', file: 'harden.sh', make: () => script(), undo: () => script(['--undo']),
        did: ({ stdout }: CliResult, made: number, wanted: number) => stdout.includes(`${made} made, ${wanted} as wanted, 0 not made, 0 failed.`),
      },
      { format: 'ansible', file: 'project', make: () => play(), undo: () => play('-e', 'harden_undo=true'), did: (result: CliResult, made: number) => played(result).changed > 0 === made > 0 && played(result).failed === 0 },
    ] as const;

    test('each leaves what apply leaves, has nothing left to do, and goes back to what was', async () => {
      const { changes } = await hardenJson<PlanDocumentJson>(host, ['plan', ...ALLOW, ...WATCHED, ...SELECTED], [0]);
      expect([...new Set(changes.map(({ kind }) => kind))].filter((kind) => kind !== 'metadata' && kind !== 'container').sort()).toEqual([...KINDS].sort());
      expect(changes.find(({ id }) => id === 'container:live')).toMatchObject({ impact: 'none' });
      const before = await state();
      const ends: unknown[] = [];
      for (const { format, file, make, undo, did } of executors) {
        expect(await harden(host, ['generate', format, ...ALLOW, ...WATCHED, ...SELECTED, '-o', `/root/${file}`])).toMatchObject({ code: 0 });
        expect((await host.exec(['grep', '-rl', 'hunter2', `/root/${file}`])).stdout).toBe('');
        const made = await make();
        expect({ ...made, did: did(made, changes.length, 0) }).toMatchObject({ code: 0, did: true });
        ends.push(await state());
        const again = await make();
        expect({ ...again, did: did(again, 0, changes.length) }).toMatchObject({ code: 0, did: true });
        const undone = await undo();
        expect(undone).toMatchObject({ code: 0 });
        for (const gone of ['the container stale is removed for good: it does not come back', 'the image junk:1 is removed for good']) expect(undone.stdout + undone.stderr).toContain(gone);
        await leftovers();
        expect({ format, state: await state() }).toEqual({ format, state: before });
      }

      const { changes: applied } = await hardenJson<OutcomesDocument>(host, ['apply', '--yes', ...ALLOW, ...WATCHED, ...SELECTED], [0]);
      expect(applied.map(({ id }) => id).sort()).toEqual(changes.map(({ id }) => id).sort());
      const after = await state();
      expect(ends).toEqual([after, after]);
    }, 480_000);
  });
});
