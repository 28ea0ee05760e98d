/** A daemon that does not survive its new configuration: the old one comes back, with its containers, and exit 3 says so. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bed, skipReason, titled, type SystemdHost } from './host.ts';
import { CEILINGS, answers, harden, pids, tree } from './support.ts';


/** A wrapper in the unit that plays the daemon which breaks once its file says userland-proxy: false. */
const wrapper = (broken: string): string => `#!/bin/sh
if grep -q userland-proxy /etc/docker/daemon.json 2>/dev/null; then ${broken}; fi
exec /usr/sbin/dockerd "$@"
`;

describe.skipIf(skipReason('systemd') !== null)(titled('failures', 'systemd'), () => {
  let host: SystemdHost;
  let before: { tree: string; pids: Record<string, string> };
  beforeAll(async () => {
    host = await bed.systemdHost({ name: 'failures' });
    await host.loadBusybox();
    await host.writeFile('/usr/local/sbin/dockerd-wrapper', wrapper('true'), { mode: 0o755 });
    await host.writeFile('/etc/systemd/system/docker.service.d/wrapper.conf', '[Service]\nExecStart=\nExecStart=/usr/local/sbin/dockerd-wrapper -H fd://\n');
    await host.exec('systemctl daemon-reload && systemctl restart docker', { check: true });
    await host.run('-d', '--name', 'web', '-p', '8080:80', 'busybox:latest', 'sh', '-c', 'echo hello > /index.html && httpd -f -p 80 -h /');
    await host.run('-d', '--name', 'plain', 'busybox:latest', 'sleep', '100000');
    before = { tree: await tree(host), pids: await pids(host) };
  });
  afterAll(() => host.down());

  const expectTakenBack = async (said: RegExp): Promise<void> => {
    const { code, stdout, stderr } = await harden(host, ['apply', '--yes', ...CEILINGS]);
    expect({ code, stdout, stderr }).toMatchObject({ code: 3 });
    expect(stdout + stderr).toMatch(said);
    expect(await tree(host)).toBe(before.tree);
    expect(await pids(host)).toEqual(before.pids);
    expect(await answers(host, 'http://127.0.0.1:8080/')).toBe(true);
    expect((await host.exec(['docker', 'info', '-f', '{{.LiveRestoreEnabled}}'])).stdout).toBe('false\n');
  };

  test('a daemon that refuses to start', async () => {
    await host.writeFile('/usr/local/sbin/dockerd-wrapper', wrapper('exit 1'), { mode: 0o755 });
    await expectTakenBack(/restart/);
  });

  test('a daemon that comes up while a published port stays dead', async () => {
    // A rule that swallows the port's packets comes with the new configuration and goes with the old one.
    const rule = 'OUTPUT -p tcp --dport 8080 -j DROP';
    const dead = `iptables -t raw -I ${rule}; else iptables -t raw -D ${rule} 2>/dev/null || true`;
    await host.writeFile('/usr/local/sbin/dockerd-wrapper', wrapper(dead), { mode: 0o755 });
    await expectTakenBack(/8080/);
  });
});
