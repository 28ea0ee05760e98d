/**
 * An engine that notices late that a container has ended: while the start of an exec hangs, as on a busy host the next health check does, containerd keeps the
 * end of a container's first process to itself. Meanwhile the engine says that it is stopped, shows it as running, and keeps its ports.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bed, skipReason, titled, type SystemdHost } from './host.ts';
import { harden, type CliResult } from './support.ts';

const COMPOSE_FILE = '/srv/shop/compose.yaml';
const COMPOSE = `services:
  web:
    image: busybox:latest
    command: [sleep, "100000"]
    stop_grace_period: 1s
    ports: [ "127.0.0.1:8081:80" ]
`;
/** Longer than the engine waits for a container that it killed. */
const RUNC = `#!/bin/sh
case " $* " in *" exec "*) [ ! -e /run/slow ] || sleep 18 ;; esac
exec /usr/sbin/runc.real "$@"
`;
const ALLOW = ['-c', 'container.no-new-privileges', '--max-impact', 'recreate', '--max-risk', 'behaviour', '--set', 'container.watchSeconds=1'];

describe.skipIf(skipReason('systemd') !== null)(titled('an engine that notices late', 'systemd'), () => {
  let host: SystemdHost;
  beforeAll(async () => {
    host = await bed.systemdHost({ name: 'busy', suite: 'trixie' });
    await host.loadBusybox();
    await host.exec('mv /usr/sbin/runc /usr/sbin/runc.real', { check: true });
    await host.writeFile('/usr/sbin/runc', RUNC, { mode: 0o755 });
    await host.writeFile(COMPOSE_FILE, COMPOSE);
    await host.run('-d', '--name', 'plain', '--restart', 'unless-stopped', '--stop-timeout', '1', '-p', '127.0.0.1:8080:80', 'busybox:latest', 'sleep', '100000');
    await host.exec('cd /srv/shop && docker compose up -d 2>&1', { check: true });
  });
  afterAll(() => host.down());

  const LOOK = 'docker inspect -f "{{.State.Running}} {{.HostConfig.RestartPolicy.Name}} {{.HostConfig.SecurityOpt}}" plain shop-web-1; cat /srv/shop/compose.yaml';
  const standing = async (): Promise<string> => (await host.exec(LOOK, { check: true })).stdout;
  /** Does something while an exec hangs in each container from the moment at which it is replaced. */
  const late = async (...command: string[]): Promise<CliResult> => {
    const hangs = (name: string, when: string): string => `(until ${when}; do sleep 0.1; done; exec docker exec ${name} true) >/dev/null 2>&1 </dev/null &`;
    const script = `touch /run/slow
      ${hangs('plain', 'docker ps -a --format "{{.Names}}" | grep -q harden-new-')}
      ${hangs('shop-web-1', `grep -q no-new ${COMPOSE_FILE}`)}
      "$@"; code=$?; rm /run/slow; exit $code`;
    return host.exec(['sh', '-c', script, 'late', ...command], { timeoutMs: 200_000 });
  };
  /** That it took long shows that the engine did notice late. */
  const noticedLate = async (since: number): Promise<void> => {
    expect((await host.exec(`journalctl -u docker --since @${since} --no-pager | grep -c "failed to exit within 10s of kill"`)).stdout.trim()).not.toBe('0');
  };
  const now = async (): Promise<number> => Number((await host.exec('date +%s')).stdout);

  test('is waited for by apply, also where Compose does not', async () => {
    const [before, since] = [await standing(), await now()];
    const { code, stdout, stderr } = await late('harden', 'apply', '--yes', ...ALLOW);
    expect(code, stdout + stderr).toBe(0);
    await noticedLate(since);
    expect(await standing()).toMatch(/^true unless-stopped \[no-new-privileges=true\]\ntrue no \[no-new-privileges:true\]\n[^]*no-new-privileges:true/u);
    const undone = await harden(host, ['rollback', '--yes']);
    expect(undone.code, undone.stderr).toBe(0);
    expect(await standing()).toBe(before);
    expect((await host.exec('cd /srv/shop && docker compose up --dry-run -d 2>&1 | grep -c Recreate')).stdout).toBe('0\n');
    await host.exec('docker ps -aq --filter name=harden- | xargs -r docker rm -f; rm -rf /var/lib/harden', { check: true });
  });

  test('is waited for by the script', async () => {
    const [before, since] = [await standing(), await now()];
    expect(await harden(host, ['generate', 'shell', ...ALLOW, '-o', '/root/harden.sh'])).toMatchObject({ code: 0 });
    const { code, stdout, stderr } = await late('sh', '/root/harden.sh');
    expect(code, stdout + stderr).toBe(0);
    await noticedLate(since);
    expect(await standing()).toMatch(/^true unless-stopped \[no-new-privileges=true\]\ntrue no \[no-new-privileges:true\]\n[^]*no-new-privileges:true/u);
    const undone = await host.exec(['sh', '/root/harden.sh', '--undo'], { timeoutMs: 120_000 });
    expect(undone.code, undone.stdout + undone.stderr).toBe(0);
    expect(await standing()).toBe(before);
  });
});
