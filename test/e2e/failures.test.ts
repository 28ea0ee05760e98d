/** A daemon that does not survive its new configuration: the old one comes back, with its containers, and exit 3 says so. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bed, skipReason, titled, type SystemdHost } from './host.ts';
import { CEILINGS, answers, harden, pids, tree } from './support.ts';


/** A wrapper in the unit that plays the daemon which breaks once its file says userland-proxy: false. */
const wrapper = (broken: string): string => `#!/bin/sh
if grep -q userland-proxy /etc/docker/daemon.json 2>/dev/null; then
  ${broken}
fi
exec /usr/sbin/dockerd "$@"
`;

/** A plugin made of nothing but the host's own Python: a socket that says that it drives volumes. */
const VOLUME_PLUGIN = `mkdir -p /srv/plugin/rootfs/usr /srv/plugin/rootfs/lib /srv/plugin/rootfs/lib64 /srv/plugin/rootfs/run/docker/plugins
cat >/srv/plugin/serve.py <<'PYTHON'
import socket
server = socket.socket(socket.AF_UNIX)
server.bind('/run/docker/plugins/store.sock')
server.listen(5)
answer = b'{"Implements": ["VolumeDriver"]}'
while True:
    client, _ = server.accept()
    client.recv(4096)
    client.send(b'HTTP/1.1 200 OK\\r\\nContent-Type: application/vnd.docker.plugins.v1.1+json\\r\\nConnection: close\\r\\nContent-Length: %d\\r\\n\\r\\n' % len(answer) + answer)
    client.close()
PYTHON
mv /srv/plugin/serve.py /srv/plugin/rootfs/serve.py
python3 - >/srv/plugin/config.json <<'PYTHON'
import json
mounts = [{"name": path[1:], "source": path, "destination": path, "type": "bind", "options": ["rbind", "ro"]} for path in ("/usr", "/lib", "/lib64")]
print(json.dumps({"description": "", "documentation": "", "entrypoint": ["/usr/bin/python3", "/serve.py"], "network": {"type": "none"}, "linux": {"capabilities": []}, "env": None,
  "args": {"name": "args", "description": "", "settable": None, "value": None}, "interface": {"types": ["docker.volumedriver/1.0"], "socket": "store.sock"}, "mounts": mounts}))
PYTHON
docker plugin create store /srv/plugin && docker plugin enable store`;

describe.skipIf(skipReason('systemd') !== null)(titled('failures', 'systemd'), () => {
  let host: SystemdHost;
  let before: { tree: string; pids: Record<string, string> };
  beforeAll(async () => {
    host = await bed.systemdHost({ name: 'failures' });
    await host.loadBusybox();
    await host.writeFile('/usr/local/sbin/dockerd-wrapper', wrapper('true'), { mode: 0o755 });
    await host.writeFile('/etc/systemd/system/docker.service.d/wrapper.conf', '[Service]\nExecStart=\nExecStart=/usr/local/sbin/dockerd-wrapper -H fd://\nTimeoutStartSec=10\n');
    await host.exec('systemctl daemon-reload && systemctl restart docker', { check: true });
    await host.run('-d', '--name', 'web', '-p', '8080:80', 'busybox:latest', 'sh', '-c', 'echo hello > /index.html && httpd -f -p 80 -h /');
    await host.run('-d', '--name', 'plain', 'busybox:latest', 'sleep', '100000');
    before = { tree: await tree(host), pids: await pids(host) };
  });
  afterAll(() => host.down());

  const expectTakenBack = async (said: RegExp): Promise<void> => {
    const { code, stdout, stderr } = await harden(host, ['apply', '--yes', ...CEILINGS]);
    expect({ code, said: code === 3 ? '' : stdout + stderr }).toEqual({ code: 3, said: '' });
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

  test('a daemon that hangs at its start', async () => {
    await host.writeFile('/usr/local/sbin/dockerd-wrapper', wrapper('exec sleep 100000'), { mode: 0o755 });
    await expectTakenBack(/restart/);
  });

  test('a daemon that comes up, ends, and is started again, over and over', async () => {
    await host.writeFile('/usr/local/sbin/dockerd-wrapper', wrapper('(sleep 2.5; kill -9 $$) &'), { mode: 0o755 });
    await expectTakenBack(/does not stay up|does not answer any more|did not answer within|The restart of the daemon failed/);
  });

  test.runIf(process.env['HARDEN_CRASH'] === 'all')('a daemon that comes up, and then answers nothing for ever', async () => {
    await host.writeFile('/usr/local/sbin/dockerd-wrapper', wrapper('(sleep 3.5; kill -STOP $$) &'), { mode: 0o755 });
    await expectTakenBack(/does not answer any more|did not answer within|The restart of the daemon failed/);
  }, 600_000);

  test('a daemon that comes up while a published port stays dead', async () => {
    // A rule that swallows the port's packets comes with the new configuration and goes with the old one.
    const rule = 'OUTPUT -p tcp --dport 8080 -j DROP';
    const dead = `iptables -t raw -I ${rule}; else iptables -t raw -D ${rule} 2>/dev/null || true`;
    await host.writeFile('/usr/local/sbin/dockerd-wrapper', wrapper(dead), { mode: 0o755 });
    await expectTakenBack(/8080/);
  });

  test('a daemon that comes up without a plugin that was enabled', async () => {
    await host.exec(['sh', '-euc', VOLUME_PLUGIN], { check: true });
    const said = (enabled: boolean): string => `sed -i 's/"Enabled":${String(!enabled)}/"Enabled":${String(enabled)}/' /var/lib/docker/plugins/*/config.json`;
    await host.writeFile('/usr/local/sbin/dockerd-wrapper', wrapper(`${said(false)}; else ${said(true)}`), { mode: 0o755 });
    const { stdout } = await harden(host, ['plan', ...CEILINGS]);
    expect(stdout).toContain('or all is undone: the API, what runs now, every network, the published ports that answer now (8080 of web), the plugin store:latest.');
    await expectTakenBack(/plugin store:latest is not enabled any more/);
    expect((await host.exec(['docker', 'plugin', 'ls', '--format', '{{.Name}} {{.Enabled}}'])).stdout).toBe('store:latest true\n');
  });
});
