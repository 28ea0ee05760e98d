/** Lines that `harden rewrite` wrote, run on a real engine: what they promise is so. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bed, skipReason, titled, type SystemdHost } from './host.ts';
import { harden, scan } from './support.ts';
import type { RewriteDocument } from '../../src/render/rewrite.ts';

const LINE = [
  'docker', 'run', '-d', '--name', 'web', '-p', '8080:80', '-v', '/srv/data:/data', '-e', 'GREETING=it\'s "$HOME" `x`', '--label=a=b c', '--hostname', 'front',
  'busybox:latest', 'sh', '-c', 'echo "$GREETING" >/data/greeting; touch /tmp/x; sleep 100000',
];
const CHOICES = ['container.memory=64m', 'container.cpuShares=512', 'container.tmpfs=[/tmp, /run]', 'container.log={maxSize: 1m, maxFile: 2}', 'container.publishAddress=127.0.0.1']
  .flatMap((choice) => ['--set', choice]);

describe.skipIf(skipReason('systemd'))(titled('rewritten lines on Docker 20.10', 'systemd'), () => {
  let host: SystemdHost;

  beforeAll(async () => {
    host = await bed.systemdHost({ name: 'rewrite' });
    await host.loadBusybox();
    await host.exec('mkdir -p /srv/data', { check: true });
  });
  afterAll(() => host.down());

  test('a line runs as before and passes what the rewrite put right', async () => {
    const told = await harden(host, ['rewrite', ...CHOICES, '--format', 'json', '--', ...LINE]);
    expect(told.code).toBe(1);
    const fixed = (JSON.parse(told.stdout) as RewriteDocument).files[0]?.containers[0]?.fixed.map(({ check }) => check) ?? [];
    expect(fixed).toEqual(expect.arrayContaining([
      'container.memory-limit', 'container.cpu-shares', 'container.readonly-rootfs', 'container.bind-interface', 'container.capabilities',
      'container.no-new-privileges', 'container.pids-limit', 'container.log-rotation',
    ]));

    const { stdout: line } = await harden(host, ['rewrite', ...CHOICES, '--format', 'text', '--', ...LINE]);
    await host.exec(line, { check: true });
    const greeting = 'it\'s "$HOME" `x`\n';
    await expect.poll(async () => (await host.exec(['cat', '/srv/data/greeting'])).stdout, { timeout: 10_000 }).toBe(greeting);
    const { stdout: seen } = await host.exec(['docker', 'inspect', '-f', '{{.State.Running}} {{.Config.Hostname}} {{index .Config.Labels "a"}}', 'web'], { check: true });
    expect(seen.trim()).toBe('true front b c');

    const report = await scan(host, '-c', fixed.join(','));
    expect(report.results.map(({ check, outcome }) => [check, outcome])).toEqual(report.results.map(({ check }) => [check, 'pass']));
    expect(report.results).toHaveLength(fixed.length);
  });

  test('nobody has to be root or have an engine, and a rewritten line is left alone', async () => {
    await host.exec('useradd dev; systemctl stop docker.socket docker', { check: true });
    await host.writeFile('/tmp/line.sh', '#!/bin/sh\ndocker run -d \\\n  nginx\n');
    const rewrite = (...args: string[]): ReturnType<SystemdHost['exec']> => host.exec(['su', 'dev', '-s', '/bin/sh', '-c', `harden rewrite ${args.join(' ')}`]);
    const first = await rewrite('--format', 'text', '/tmp/line.sh');
    expect(first.code).toBe(1);
    await host.writeFile('/tmp/line.sh', first.stdout);
    expect(first.stdout).toBe('#!/bin/sh\ndocker run -d \\\n  --pids-limit 2048 \\\n  --cap-drop NET_RAW \\\n  --security-opt no-new-privileges=true \\\n  nginx\n');
    expect(await rewrite('/tmp/line.sh')).toMatchObject({ code: 0, stdout: '' });
  });
});
