/** Whatever happens half-way (a kill, a signal, a full disk, a daemon that hangs), nothing is lost and the old state comes back. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { bed, skipReason, titled, type SystemdHost } from './host.ts';
import { harden, hardenJson, outcomes, pids, plan, scan, tree, type CliResult, type OutcomesDocument } from './support.ts';

const CEILINGS = ['--max-impact', 'restart', '--max-risk', 'behaviour'];
const CONFIG = '/etc/docker/daemon.json';
const STATE = '/var/lib/harden';
/** Ends up in front of the daemon's command line; whoever plays with it puts it back. */
const WRAPPER = '/usr/local/sbin/dockerd-wrapper';
const PLAIN_WRAPPER = '#!/bin/sh\nexec /usr/sbin/dockerd "$@"\n';

describe.skipIf(skipReason('systemd') !== null)(titled('safety', 'systemd'), () => {
  let host: SystemdHost;
  let before: { tree: string; pids: Record<string, string> };

  beforeAll(async () => {
    host = await bed.systemdHost({ name: 'safety' });
    await host.loadBusybox();
    await host.writeFile(WRAPPER, PLAIN_WRAPPER, { mode: 0o755 });
    await host.writeFile('/etc/systemd/system/docker.service.d/wrapper.conf', `[Service]\nExecStart=\nExecStart=${WRAPPER} -H fd://\n`);
    await host.exec('systemctl daemon-reload && systemctl restart docker', { check: true });
    const quick = ['-d', '--stop-signal', 'KILL'];
    await host.run(...quick, '--name', 'base', 'busybox:latest', 'sleep', '100000');
    await host.run(...quick, '--name', 'joined', '--network', 'container:base', 'busybox:latest', 'sleep', '100000');
    await host.run(...quick, '--name', 'on-failure', '--restart', 'on-failure', 'busybox:latest', 'sleep', '100000');
    await host.run(...quick, '--name', 'always', '--restart', 'always', 'busybox:latest', 'sleep', '100000');
    // The one that is joined now started after the one that joins it.
    await host.exec(['docker', 'restart', '-t', '0', 'base'], { check: true });
    before = { tree: await tree(host), pids: await pids(host) };
  });
  afterAll(() => host.down());
  afterEach(async () => {
    await host.writeFile(WRAPPER, PLAIN_WRAPPER, { mode: 0o755 });
    await host.exec(['rm', '-rf', STATE], { check: true });
  });

  const apply = (checks: string): Promise<CliResult> => harden(host, ['apply', '--yes', '-c', checks, ...CEILINGS]);
  const rollback = (): Promise<CliResult> => harden(host, ['rollback', '--yes']);
  const running = async (): Promise<string[]> => Object.entries(await pids(host)).filter(([, pid]) => pid !== 'stopped').map(([name]) => name).sort();
  const all = (): string[] => Object.keys(before.pids).sort();

  /** Starts harden, and once its journal announces a step does something to it (`$pid`); the exit code and all that was printed. */
  const during = async (kind: string, deed: string, ...args: string[]): Promise<{ code: number; said: string }> => {
    const script = `harden "$@" >/tmp/said 2>&1 & pid=$!
      while kill -0 $pid 2>/dev/null && ! cat ${STATE}/runs/*/journal.jsonl 2>/dev/null | grep -q '"kind":"${kind}"'; do sleep 0.02; done
      ${deed}
      wait $pid; code=$?; cat /tmp/said; rm -f /tmp/said; exit $code`;
    const { code, stdout, stderr } = await host.exec(['sh', '-c', script, 'during', ...args], { timeoutMs: 300_000 });
    return { code, said: stdout + stderr };
  };
  const LIVE = ['apply', '--yes', '-c', 'daemon.live-restore,daemon.userland-proxy', ...CEILINGS];

  for (const kind of ['restartDaemon']) {
    test(`killed at ${kind}: apply is refused until it is recovered, which brings everything back`, async () => {
      expect((await during(kind, 'kill -9 $pid', ...LIVE)).code).toBe(137);
      const again = await apply('daemon.icc');
      expect({ code: again.code, says: again.stderr.includes('harden recover') }).toEqual({ code: 2, says: true });
      expect(await harden(host, ['recover', '--yes'])).toMatchObject({ code: 0 });
      expect((await harden(host, ['history'])).stdout).not.toContain('unfinished');
      expect(await tree(host)).toBe(before.tree);
      expect(await pids(host)).toEqual(before.pids);
      expect((await host.exec(['docker', 'info', '-f', '{{.LiveRestoreEnabled}}'])).stdout).toBe('false\n');
    });
  }

  test('a rollback that is killed on its way can be finished, and nothing stays unfinished', async () => {
    expect(await harden(host, LIVE)).toMatchObject({ code: 0 });
    const killed = await during('rollback', `while grep -q userland-proxy ${CONFIG}; do :; done; kill -9 $pid`, 'rollback', '--yes');
    expect(killed.code).toBe(137);
    expect((await apply('daemon.icc')).stderr).toContain('rollback of run');
    expect(await rollback()).toMatchObject({ code: 0 });
    expect(await tree(host)).toBe(before.tree);
    expect(await pids(host)).toEqual(before.pids);
    expect((await harden(host, ['history'])).stdout).not.toContain('unfinished');
  });

  test('a rollback starts an engine that is down', async () => {
    expect((await during('restartDaemon', 'kill -9 $pid', ...LIVE)).code).toBe(137);
    await host.exec('systemctl stop docker.socket docker.service', { check: true });
    const elsewhere = await harden(host, ['rollback', '--yes', '--docker-host', 'unix:///run/other.sock']);
    expect({ code: elsewhere.code, says: elsewhere.stderr.includes('Name that daemon') }).toEqual({ code: 2, says: true });
    const { code, stderr } = await rollback();
    expect({ code, stderr }).toMatchObject({ code: 0 });
    expect(stderr).toContain('no engine answers');
    expect(await tree(host)).toBe(before.tree);
    expect(await pids(host)).toEqual(before.pids);
  });

  test('killed while a restart has stopped the containers: the rollback starts them again', async () => {
    expect((await during('awaitHealthy', 'kill -9 $pid', 'apply', '--yes', '-c', 'daemon.icc', ...CEILINGS)).code).toBe(137);
    expect(await rollback()).toMatchObject({ code: 0 });
    expect(await running()).toEqual(all());
    expect(await tree(host)).toBe(before.tree);
    before.pids = await pids(host);
  });

  for (const signal of ['TERM', 'HUP']) {
    test(`SIG${signal} during a step: the step ends, everything is taken back, and the exit code is 1`, async () => {
      const { code, said } = await during('reloadDaemon', `kill -${signal} $pid`, ...LIVE);
      expect({ code, said }).toMatchObject({ code: 1 });
      expect(said).toContain(`interrupted by SIG${signal}: the change that was under way is taken back`);
      expect(await tree(host)).toBe(before.tree);
      expect(await pids(host)).toEqual(before.pids);
      expect((await harden(host, ['history'])).stdout).toContain('reverted');
    });
  }

  test('a state directory that cannot be written any more ends the run in exit 3 with the old state, not in "nothing was changed"', async () => {
    await host.exec(`mkdir -m 0700 ${STATE} && mount -t tmpfs -o mode=0700 tmpfs ${STATE}`, { check: true });
    try {
      const { code, said } = await during('restartDaemon', `while ! mount -o remount,ro ${STATE} 2>/dev/null; do :; done`, ...LIVE);
      expect({ code, said }).toMatchObject({ code: 3 });
      expect(said).toContain('read-only');
      expect(await tree(host)).toBe(before.tree);
      expect(await pids(host)).toEqual(before.pids);
    } finally {
      await host.exec(['umount', STATE], { check: true });
    }
  });

  test('live-restore that the old file turns off itself: neither apply nor rollback stops a container', async () => {
    await host.writeFile(CONFIG, '{"live-restore": false}\n');
    await host.exec('systemctl reload docker', { check: true });
    expect(await harden(host, LIVE)).toMatchObject({ code: 0 });
    expect(await rollback()).toMatchObject({ code: 0 });
    expect(await host.readFile(CONFIG)).toBe('{"live-restore": false}\n');
    expect(await pids(host)).toEqual(before.pids);
    await host.exec(['rm', CONFIG], { check: true });
  });

  test('what a restart would remove is named, and there is no restart while it runs', async () => {
    await host.run('-d', '--rm', '--name', 'volatile', 'busybox:latest', 'sleep', '100000');
    const document = await plan(host, '-c', 'daemon.icc', ...CEILINGS);
    expect(document.deferred).toContainEqual(expect.objectContaining({ check: 'daemon.icc', reason: 'guard', explanation: expect.stringContaining('volatile') as string }));
    await host.exec(['docker', 'rm', '-f', 'volatile'], { check: true });
  });

  test('a directory that others can write is corrected first; the file in it waits for the next plan', async () => {
    await host.exec(['chmod', '0777', '/etc/docker'], { check: true });
    const loose = await tree(host);
    const checks = 'file.etc-docker.mode,daemon.live-restore';
    const first = await hardenJson<OutcomesDocument>(host, ['apply', '--yes', '-c', checks], [0]);
    expect(first.changes.map(({ id }) => id)).toEqual(['mode:/etc/docker']);
    const second = await hardenJson<OutcomesDocument>(host, ['apply', '--yes', '-c', checks], [0]);
    expect(second.changes.map(({ id }) => id)).toEqual([`file:${CONFIG}`]);
    expect(await harden(host, ['rollback', '--all', '--yes'])).toMatchObject({ code: 0 });
    expect(await tree(host)).toBe(loose);
    await host.exec(['chmod', '0755', '/etc/docker'], { check: true });
  });

  test('what an editor by hand does after a reload is unknown, never PASS', async () => {
    const restarted = 'systemctl restart docker; docker start base joined on-failure always';
    // What the tests before did to the directory is long after the start of a daemon that read no file, if the machine is busy.
    await host.exec(restarted, { check: true });
    expect(await apply('daemon.live-restore')).toMatchObject({ code: 0 });
    expect(outcomes(await scan(host, '-c', 'daemon.no-new-privileges,daemon.log-level'))).toEqual({ 'daemon.no-new-privileges': 'warn', 'daemon.log-level': 'pass' });
    await host.writeFile(CONFIG, '{"live-restore": true, "no-new-privileges": true, "log-level": "info"}\n');
    const seen = outcomes(await scan(host, '-c', 'daemon.no-new-privileges,daemon.log-level'));
    expect(Object.values(seen)).not.toContain('pass');
    expect((await rollback()).code).toBe(2);
    await host.exec(`rm ${CONFIG}; ${restarted}`, { check: true });
  });
});
