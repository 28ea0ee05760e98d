/** The main job on a stock Debian host with systemd: detect, plan, apply, verify, roll back. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bed, skipReason, titled, type SystemdHost } from './host.ts';
import { CEILINGS, expectAllSections, expectContainersKept, harden, hardenJson, outcomes, pids, plan, promised, scan, startContainers, tree, type OutcomesDocument } from './support.ts';

describe.skipIf(skipReason('systemd') !== null)(titled('the loop on a stock host', 'systemd'), () => {
  let host: SystemdHost;
  let before: { tree: string; pids: Record<string, string> };
  beforeAll(async () => {
    host = await bed.systemdHost({ name: 'loop' });
    await host.loadBusybox();
    await startContainers(host);
    before = { tree: await tree(host), pids: await pids(host) };
  });
  afterAll(() => host.down());

  test('scan has a verdict for each of the 61 recommendations and changes nothing', async () => {
    const document = await scan(host);
    expectAllSections(document);
    expect(outcomes(document)).toMatchObject({
      'daemon.icc': 'warn', 'daemon.live-restore': 'warn', 'daemon.userland-proxy': 'warn', 'daemon.no-new-privileges': 'warn',
      'daemon.log-level': 'pass', 'daemon.iptables': 'pass', 'daemon.tls': 'na', 'audit.etc-docker': 'unknown', 'file.etc-docker.mode': 'pass',
      'file.daemon-json.mode': 'na', 'file.docker-sock.mode': 'pass',
    });
    expect(await tree(host)).toBe(before.tree);
  });

  test('plan answers every WARN, with one diff for daemon.json, and changes nothing', async () => {
    const document = await plan(host, ...CEILINGS);
    const config = document.changes.filter(({ kind }) => kind === 'daemon-config');
    expect(config).toHaveLength(1);
    expect(config[0]?.diff).toContain('+  "icc": false');
    expect(document.summary.warns).toBe(document.summary.fixable + document.summary.deferred);
    expect(document.deferred.every(({ explanation }) => explanation.length > 10)).toBe(true);
    expect(await tree(host)).toBe(before.tree);
  });

  test('without a terminal and without --yes, apply declines and changes nothing', async () => {
    const { code, stderr } = await harden(host, ['apply', ...CEILINGS]);
    expect(code).toBe(2);
    expect(stderr).toContain('--yes');
    expect(await tree(host)).toBe(before.tree);
  });

  test('apply leaves every promised finding PASS or pending with its reason; containers and ports never stop', async () => {
    const document = await hardenJson<OutcomesDocument>(host, ['apply', '--yes', ...CEILINGS], [1]);
    expect(promised(document)).toEqual({
      'daemon.icc': 'pending', 'daemon.live-restore': 'fixed', 'daemon.userland-proxy': 'fixed', 'daemon.no-new-privileges': 'fixed', 'container.pids-limit': 'fixed',
    });
    expect(document.results.find(({ check }) => check === 'daemon.icc')?.reason).toMatch(/no container.*running|container/);
    await expectContainersKept(host, before.pids);
    const after = outcomes(await scan(host));
    expect(after).toMatchObject({ 'daemon.live-restore': 'pass', 'daemon.userland-proxy': 'pass', 'daemon.no-new-privileges': 'pass', 'daemon.icc': 'warn', 'file.daemon-json.mode': 'pass' });
  });

  test('a second apply has nothing to do', async () => {
    const document = await hardenJson<OutcomesDocument>(host, ['apply', '--yes', ...CEILINGS], [0]);
    expect(document.changes).toEqual([]);
    expect((await plan(host, ...CEILINGS)).deferred).toContainEqual(expect.objectContaining({ check: 'daemon.icc', reason: 'pending' }));
  });

  test('icc is in force once no container runs at a start of the daemon, as the pending finding says', async () => {
    await host.exec('docker stop -t 1 web data plain && systemctl restart docker && docker start data plain web', { check: true });
    expect(outcomes(await scan(host))['daemon.icc']).toBe('pass');
  });

  test('rollback leaves every touched path as it was, and the containers running', async () => {
    const running = await pids(host);
    const shown = await harden(host, ['rollback']);
    expect(shown.code).toBe(2);
    const { code, stdout, stderr } = await harden(host, ['rollback', '--yes']);
    expect({ code, stdout, stderr }).toMatchObject({ code: 0 });
    expect(await tree(host)).toBe(before.tree);
    expect(await pids(host)).toEqual(running);
    expect((await host.exec(['docker', 'info', '-f', '{{.LiveRestoreEnabled}}'])).stdout).toBe('false\n');
    expect(outcomes(await scan(host))).toMatchObject({ 'daemon.live-restore': 'warn', 'daemon.log-level': 'pass' });
    const history = await harden(host, ['history']);
    expect(history.stdout).toContain('rolled back');
  });

  test('a saved plan is applied as it was shown, and refused once the host has changed', async () => {
    expect((await harden(host, ['plan', '-c', 'daemon.live-restore', '--format', 'json', '-o', '/root/plan.json'])).code).toBe(0);
    expect((await host.exec(['stat', '-c', '%a %U', '/root/plan.json'])).stdout).toBe('600 root\n');
    await host.writeFile('/etc/docker/daemon.json', '{"debug": false}\n');
    const stale = await harden(host, ['apply', '/root/plan.json', '--yes']);
    expect(stale.code).toBe(2);
    expect(stale.stderr).toContain('/etc/docker/daemon.json');
    expect(await host.readFile('/etc/docker/daemon.json')).toBe('{"debug": false}\n');
    await host.exec(['rm', '/etc/docker/daemon.json'], { check: true });
    expect((await harden(host, ['apply', '/root/plan.json', '--yes'])).code).toBe(0);
    expect((await host.exec(['docker', 'info', '-f', '{{.LiveRestoreEnabled}}'])).stdout).toBe('true\n');
    expect((await harden(host, ['verify', '/root/plan.json'])).code).toBe(0);
    // Nothing was restarted, so what the daemon runs with is known from what harden noted.
    expect(outcomes(await scan(host))).toMatchObject({ 'daemon.log-level': 'pass', 'daemon.iptables': 'pass', 'daemon.live-restore': 'pass' });
    expect((await harden(host, ['rollback', '--yes'])).code).toBe(0);
    expect((await host.exec(['docker', 'info', '-f', '{{.LiveRestoreEnabled}}'])).stdout).toBe('false\n');
    expect((await harden(host, ['verify', '/root/plan.json'])).code).toBe(1);
  });
});
