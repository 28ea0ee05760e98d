/** A plan as an Ansible project, carried out over ssh on a real host: made, made again, taken back, and taken back by itself when the daemon does not start. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bed, skipReason, titled, type SystemdHost } from './host.ts';
import { expectContainersKept, harden, outcomes, pids, scan, startContainers, tree } from './support.ts';

const ALLOW = ['--max-impact', 'restart', '--max-risk', 'behaviour', '--set', 'container.memory=256m'];
const HOSTILE = 'x {{ lookup("pipe", "touch /tmp/canary") }} $(touch /tmp/canary) `touch /tmp/canary` \'; touch /tmp/canary; \' {% raw %}';

describe.skipIf(skipReason('systemd') !== null)(titled('an Ansible project', 'systemd'), () => {
  let host: SystemdHost;
  const directory = mkdtempSync(join(tmpdir(), 'harden-e2e-ansible-'));
  const project = join(directory, 'project');
  const key = join(directory, 'key');

  const play = (...args: string[]): { code: number | null; out: string; changed: number; failed: number } => {
    const { status, stdout, stderr } = spawnSync('ansible-playbook', ['-i', 'inventory.yml', 'site.yml', ...args], {
      cwd: project, encoding: 'utf8', timeout: 300_000,
      env: { ...process.env, HOME: directory, ANSIBLE_HOME: join(directory, '.ansible'), ANSIBLE_NOCOLOR: '1', ANSIBLE_HOST_KEY_CHECKING: 'false', LC_ALL: 'C.UTF-8' },
    });
    const recap = /changed=(\d+).*failed=(\d+)/u.exec(stdout);
    return { code: status, out: stdout + stderr, changed: Number(recap?.[1] ?? -1), failed: Number(recap?.[2] ?? -1) };
  };

  /** The plan of the host as it is now, generated there and fetched. */
  const generate = async (...args: string[]): Promise<string> => {
    const { code, stderr } = await harden(host, ['generate', 'ansible', ...ALLOW, ...args, '-o', '/root/project']);
    expect({ code, stderr }).toMatchObject({ code: 0 });
    const archive = await host.exec('tar -C /root -cf - project | base64 -w0; rm -r /root/project', { check: true });
    rmSync(project, { recursive: true, force: true });
    execFileSync('tar', ['-C', directory, '-xf', '-'], { input: Buffer.from(archive.stdout, 'base64') });
    writeFileSync(join(project, 'inventory.yml'), JSON.stringify({ all: { hosts: { [host.name]: { ansible_host: host.address, ansible_user: 'root', ansible_remote_tmp: '/tmp/ansible', ansible_ssh_private_key_file: key } } } }));
    return stderr;
  };

  beforeAll(async () => {
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', key]);
    host = await bed.systemdHost({
      name: 'ansible',
      prepare: async (made) => {
        await made.writeFile('/etc/systemd/system/docker.service.d/flags.conf', '[Service]\nExecStart=\nExecStart=/usr/sbin/dockerd -H fd:// --containerd=/run/containerd/containerd.sock --icc=true\n');
      },
    });
    await host.writeFile('/root/.ssh/authorized_keys', readFileSync(`${key}.pub`, 'utf8'), { mode: 0o600 });
    await host.exec('systemctl start ssh', { check: true });
    await host.loadBusybox();
    await startContainers(host);
    await host.run('-d', '--name', 'hostile', '--label', `evil=${HOSTILE}`, '-e', `EVIL=${HOSTILE}`, 'busybox:latest', 'sleep', '100000');
  });
  afterAll(async () => {
    rmSync(directory, { recursive: true, force: true });
    await host.down();
  });

  test('is carried out as apply would, needs no second run, and is taken back', async () => {
    await generate();
    const before = await tree(host);
    const running = await pids(host);
    const first = outcomes(await scan(host));
    expect(first).toMatchObject({ 'daemon.icc': 'warn', 'container.memory-limit': 'warn' });

    const look = play('--check', '--diff');
    expect(look, look.out).toMatchObject({ code: 0, failed: 0 });
    expect(look.changed).toBeGreaterThan(0);
    expect(look.out).toContain('live-restore');
    expect(await tree(host)).toBe(before);

    const made = play();
    expect(made, made.out).toMatchObject({ code: 0, failed: 0 });
    expect(made.changed).toBeGreaterThan(0);
    await expectContainersKept(host, running);
    expect(outcomes(await scan(host))).toMatchObject({ 'daemon.live-restore': 'pass', 'daemon.no-new-privileges': 'pass', 'container.memory-limit': 'pass' });
    // What apply would still do is nothing.
    expect((await harden(host, ['plan', ...ALLOW, '--exit-code'])).code).toBe(0);

    const again = play();
    expect(again, again.out).toMatchObject({ code: 0, changed: 0, failed: 0 });

    const undone = play('-e', 'harden_undo=true');
    expect(undone, undone.out).toMatchObject({ code: 0, failed: 0 });
    expect(await tree(host)).toBe(before);
    await expectContainersKept(host, running);
    // A limit of memory cannot be cleared while a container runs, and the daemon that was restarted knows nothing of past sessions.
    const lasting = (all: Record<string, string>) => Object.fromEntries(Object.entries(all).filter(([check]) => !/^(container\.memory-limit|operations\.exec-)/u.test(check)));
    expect(lasting(outcomes(await scan(host)))).toEqual(lasting(first));
    expect((await host.exec('test -e /tmp/canary')).code).toBe(1);
  });

  test('takes back what the daemon does not start with, fails, and goes on with the others', async () => {
    await generate();
    const before = await tree(host);
    const running = await pids(host);
    // The new configuration stops the daemon: a start with "live-restore" in it fails.
    await host.writeFile('/etc/systemd/system/docker.service.d/trap.conf', '[Service]\nExecStartPre=/bin/sh -c "! grep -q no-new-privileges /etc/docker/daemon.json || [ -e /run/spared ]"\n');
    await host.exec('systemctl daemon-reload', { check: true });
    const failed = play();
    expect(failed.code, failed.out).not.toBe(0);
    expect(failed).toMatchObject({ failed: 1 });
    expect(failed.out).toMatch(/failed\s+file:.*daemon\.json/u);
    await host.exec('rm /etc/systemd/system/docker.service.d/trap.conf; systemctl daemon-reload', { check: true });
    expect(await tree(host)).toBe(before);
    await expectContainersKept(host, running);
    expect((await host.exec('docker inspect -f "{{.HostConfig.PidsLimit}}" plain', { check: true })).stdout.trim()).toBe('2048');
  });

  test('leaves alone what was changed since the plan, says so, and fails', async () => {
    await generate('-c', 'file,daemon.live-restore', '--max-impact', 'reload', '--max-risk', 'safe');
    await host.exec('mkdir -p /etc/docker && printf \'{"debug": true}\\n\' > /etc/docker/daemon.json', { check: true });
    const refused = play();
    expect(refused.code, refused.out).not.toBe(0);
    expect(refused.out).toMatch(/was changed since the plan was made|is there already/u);
    expect(await host.readFile('/etc/docker/daemon.json')).toBe('{"debug": true}\n');
  });
});
