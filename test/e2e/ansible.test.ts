/** A plan as an Ansible project, carried out over ssh on a real host: made, made again, taken back, and taken back by itself when the daemon does not start. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bed, skipReason, titled, type SystemdHost } from './host.ts';
import { ansibleProject, onControl, type Play } from './playbook.ts';
import { expectContainersKept, harden, outcomes, pids, scan, startContainers, tree } from './support.ts';

const ALLOW = ['--max-impact', 'restart', '--max-risk', 'behaviour', '--set', 'container.memory=256m'];
const HOSTILE = 'x {{ lookup("pipe", "touch /tmp/canary") }} $(touch /tmp/canary) `touch /tmp/canary` \'; touch /tmp/canary; \' {% raw %}';

describe.skipIf(skipReason('systemd') !== null)(titled('an Ansible project', 'systemd'), () => {
  let host: SystemdHost;
  const project = ansibleProject('machine');
  const play = async (...args: string[]): Promise<Play & { readonly out: string }> => {
    const result = await project.play(...args);
    return { ...result, out: result.stdout + result.stderr };
  };
  const generate = (...args: string[]): Promise<void> => project.generate(host, ...ALLOW, ...args);

  beforeAll(async () => {
    host = await bed.systemdHost({
      name: 'ansible',
      prepare: async (made) => {
        await made.writeFile('/etc/systemd/system/docker.service.d/flags.conf', '[Service]\nExecStart=\nExecStart=/usr/sbin/dockerd -H fd:// --containerd=/run/containerd/containerd.sock --icc=true\n');
      },
    });
    await project.reach(host);
    await host.loadBusybox();
    await startContainers(host);
    await host.run('-d', '--name', 'hostile', '--label', `evil=${HOSTILE}`, '-e', `EVIL=${HOSTILE}`, 'busybox:latest', 'sleep', '100000');
  });
  afterAll(async () => {
    project.remove();
    await host.down();
  });

  test('is carried out as apply would, needs no second run, and is taken back', async () => {
    await generate();
    const before = await tree(host);
    const running = await pids(host);
    const first = outcomes(await scan(host));
    expect(first).toMatchObject({ 'daemon.icc': 'warn', 'container.memory-limit': 'warn' });

    const look = await play('--check', '--diff');
    expect(look, look.out).toMatchObject({ code: 0, failed: 0 });
    expect(look.changed).toBeGreaterThan(0);
    expect(look.out).toContain('live-restore');
    expect(await tree(host)).toBe(before);

    const made = await play();
    expect(made, made.out).toMatchObject({ code: 0, failed: 0 });
    expect(made.changed).toBeGreaterThan(0);
    expect(made.out.match(/RUNNING HANDLER \[harden : Validate the new configuration of the daemon/gu)).toHaveLength(1);
    await expectContainersKept(host, running);
    expect(outcomes(await scan(host))).toMatchObject({ 'daemon.live-restore': 'pass', 'daemon.no-new-privileges': 'pass', 'container.memory-limit': 'pass' });
    // What apply would still do is nothing.
    expect((await harden(host, ['plan', ...ALLOW, '--exit-code'])).code).toBe(0);

    const again = await play();
    expect(again, again.out).toMatchObject({ code: 0, changed: 0, failed: 0 });

    const undone = await play('-e', 'harden_undo=true');
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
    const failed = await play();
    expect(failed.code, failed.out).not.toBe(0);
    expect(failed).toMatchObject({ failed: 1 });
    expect(failed.out).toMatch(/failed\s+file:.*daemon\.json/u);
    await host.exec('rm /etc/systemd/system/docker.service.d/trap.conf; systemctl daemon-reload', { check: true });
    expect(await tree(host)).toBe(before);
    await expectContainersKept(host, running);
    expect((await host.exec('docker inspect -f "{{.HostConfig.PidsLimit}}" plain', { check: true })).stdout.trim()).toBe('2048');
  });

  test('makes the changes of a tag alone: a check, a section, what it costs', async () => {
    const unit = '/lib/systemd/system/docker.service';
    await host.exec(['chmod', '664', unit], { check: true });
    await generate();
    const listed = await onControl('machine', project.directory, ['ansible-playbook', '-i', 'inventory.yml', 'site.yml', '--list-tags']);
    for (const tag of ['file.docker-service.mode', 'daemon.icc', 'container.memory-limit', 'files', 'daemon', 'none', 'restart']) expect(listed.stdout).toMatch(new RegExp(`[ \\[]${tag.replace('.', '\\.')}[,\\]]`, 'u'));
    const before = await tree(host);
    const mode = async (): Promise<string> => (await host.exec(['stat', '-c', '%a', unit])).stdout.trim();

    const made = await play('--tags', 'file.docker-service.mode');
    expect(made, made.out).toMatchObject({ code: 0, changed: 1 });
    expect(await mode()).toBe('644');
    const section = await play('--tags', 'files', '-e', 'harden_undo=true');
    expect(section, section.out).toMatchObject({ code: 0, changed: 1 });
    expect(await tree(host)).toBe(before);
    // Everything but what costs a restart, which the configuration of the daemon does.
    const rest = await play('--skip-tags', 'restart');
    expect(rest, rest.out).toMatchObject({ code: 0, failed: 0 });
    expect(await mode()).toBe('644');
    expect((await host.exec('test -e /etc/docker/daemon.json')).code).toBe(1);
  });

  test('leaves alone what was changed since the plan, says so, and fails', async () => {
    await generate('-c', 'file,daemon.live-restore', '--max-impact', 'reload', '--max-risk', 'safe');
    await host.exec('mkdir -p /etc/docker && printf \'{"debug": true}\\n\' > /etc/docker/daemon.json', { check: true });
    const refused = await play();
    expect(refused.code, refused.out).not.toBe(0);
    expect(refused.out).toMatch(/was changed since the plan was made|is there already/u);
    expect(await host.readFile('/etc/docker/daemon.json')).toBe('{"debug": true}\n');
  });
});
