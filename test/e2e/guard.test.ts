/** A run that has to be confirmed: undone by its guard when nobody does, whatever became of who made it; and what is left outside of our own journal. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bed, skipReason, titled, type SystemdHost } from './host.ts';
import { CEILINGS, harden, hardenJson, pids, tree, type CliResult } from './support.ts';

const STATE = '/var/lib/harden';
const CONFIG = '/etc/docker/daemon.json';
const apply = (seconds: number, checks: string, ...more: string[]): string[] => ['apply', '--yes', '-c', checks, ...CEILINGS, '--confirm-within', String(seconds), ...more];
const RELOAD = 'daemon.live-restore';
const RESTART = 'daemon.live-restore,daemon.userland-proxy';

interface Runs {
  runs: { runId: string; planId: string | null; closed: boolean; rolledBackBy: string | null; ticket: string | null; confirmation: { confirmedAt: string | null; notReverted: string | null } | null }[];
}

describe.skipIf(skipReason('systemd') !== null)(titled('a run that has to be confirmed', 'systemd'), () => {
  let host: SystemdHost;
  let before: { tree: string; pids: Record<string, string> };
  beforeAll(async () => {
    host = await bed.systemdHost({ name: 'guard' });
    await host.loadBusybox();
    await host.run('-d', '--name', 'plain', '--stop-signal', 'KILL', 'busybox:latest', 'sleep', '100000');
    await host.run('-d', '--name', 'always', '--stop-signal', 'KILL', '--restart', 'always', 'busybox:latest', 'sleep', '100000');
    await host.exec('ssh-keygen -q -t ed25519 -N "" -f /root/.ssh/id_ed25519 && cp /root/.ssh/id_ed25519.pub /root/.ssh/authorized_keys', { check: true });
    before = { tree: await tree(host), pids: await pids(host) };
  });
  afterAll(() => host.down());

  const newest = async (): Promise<Runs['runs'][number] | undefined> => (await hardenJson<Runs>(host, ['history'], [0])).runs.find(({ planId }) => planId !== null);
  /** Until the guard of the newest run has ended. */
  const guardEnded = async (): Promise<string> => {
    await host.exec('for i in $(seq 240); do systemctl -q is-active "harden-guard-*" || break; sleep 0.25; done; systemctl list-units --no-legend "harden-guard-*"', { check: true });
    return (await host.exec(`cat ${STATE}/runs/${(await newest())?.runId ?? ''}/guard.log`)).stdout;
  };
  const expectAsBefore = async (): Promise<void> => {
    expect(await tree(host)).toBe(before.tree);
    expect(await pids(host)).toEqual(before.pids);
    expect((await host.exec(['docker', 'info', '-f', '{{.LiveRestoreEnabled}}'])).stdout).toBe('false\n');
    const { runs } = await hardenJson<Runs>(host, ['history'], [0]);
    expect(runs.filter(({ closed }) => !closed)).toEqual([]);
  };
  const syslog = async (): Promise<string> => (await host.exec('journalctl -t harden -o cat --no-pager')).stdout;
  const ssh = (tty: string, command: string): string => `ssh ${tty} -o StrictHostKeyChecking=no -o UserKnownHostsFile=/run/known root@127.0.0.1 '${command}'`;

  test('nothing is written, and nobody is told, where nothing changes', async () => {
    for (const args of [apply(60, 'daemon.log-level', '--ticket', 'CHG-0'), ['rollback', '--yes'], ['recover', '--yes'], ['confirm'], ['gc', '--yes'], ['history']]) {
      expect(await harden(host, args)).toMatchObject({ code: 0 });
    }
    expect((await host.exec(['ls', STATE])).code).toBe(2);
    expect(await syslog()).not.toContain('action=');
  });

  test('is undone after its time although its login has ended, and leaves who, what and why in syslog', async () => {
    const { code, stdout, stderr } = await host.exec(['sh', '-c', ssh('-tt', `harden ${apply(4, RESTART, '--ticket', '"CHG 12"').join(' ')}`)]);
    expect({ code, said: stdout + stderr }).toMatchObject({ code: 0, said: expect.stringMatching(/is undone at \S+ unless it is confirmed before: harden confirm/u) as string });
    const second = await harden(host, ['apply', '--yes', '-c', 'daemon.icc', ...CEILINGS]);
    expect({ code: second.code, stderr: second.stderr }).toMatchObject({ code: 2, stderr: expect.stringMatching(/harden confirm|another harden/u) as string });
    expect(await guardEnded()).toContain('the guard ends: rolled back');
    await expectAsBefore();
    expect(await harden(host, ['confirm'])).toMatchObject({ code: 2, stderr: expect.stringContaining('Too late') as string });
    const run = await newest();
    expect(run).toMatchObject({ ticket: 'CHG 12', confirmation: { confirmedAt: null } });
    const lines = (await syslog()).split('\n').filter((line) => line.includes('action='));
    expect(lines.map((line) => line.replace(/ (?:plan|loginuid)=\S+/gu, '').replaceAll(run?.runId ?? '', 'RUN').replaceAll(run?.rolledBackBy ?? '', 'UNDO'))).toEqual([
      'action=apply phase=start run=RUN uid=0 ticket="CHG 12"', 'action=guard phase=start run=RUN uid=0 ticket="CHG 12"', 'action=apply phase=end run=RUN uid=0 result=applied exit=0 ticket="CHG 12"',
      'action=rollback phase=start run=UNDO undoes=RUN uid=0 ticket="CHG 12"', 'action=rollback phase=end run=UNDO undoes=RUN uid=0 result="rolled back" exit=0 ticket="CHG 12"',
      'action=guard phase=end run=RUN uid=0 result="rolled back" exit=0 ticket="CHG 12"',
    ]);
  });

  test('stays when it is confirmed', async () => {
    expect(await harden(host, apply(60, RELOAD))).toMatchObject({ code: 0 });
    expect((await harden(host, ['history'])).stdout).toContain('unconfirmed');
    expect((await harden(host, ['scan', '-c', RELOAD])).stderr).toContain('unless it is confirmed');
    const { code, stdout } = await harden(host, ['confirm', '--ticket', 'CHG-13']);
    expect({ code, stdout }).toMatchObject({ code: 0, stdout: expect.stringMatching(/stays: \d+ seconds of 60 were left/u) as string });
    expect(await guardEnded()).toContain('the guard ends: confirmed');
    expect((await host.exec(['docker', 'info', '-f', '{{.LiveRestoreEnabled}}'])).stdout).toBe('true\n');
    expect(await harden(host, ['confirm'])).toMatchObject({ code: 0, stdout: expect.stringContaining('confirmed already') as string });
    expect(await harden(host, ['rollback', '--yes'])).toMatchObject({ code: 0 });
    await expectAsBefore();
  });

  /** Starts something, and kills it once its journal announces a step. */
  const killAt = (kind: string, command: string): Promise<CliResult> => host.exec(['sh', '-c', `rm -rf ${STATE}; ${command} >/tmp/said 2>&1 & pid=$!
    while kill -0 $pid 2>/dev/null && ! cat ${STATE}/runs/*/journal.jsonl 2>/dev/null | grep -q '"kind":"${kind}"'; do sleep 0.02; done; kill -9 $pid; wait $pid`]);

  test('is undone at once when whoever makes it is killed half-way', async () => {
    expect((await killAt('restartDaemon', `harden ${apply(3600, RESTART).join(' ')}`)).code).toBe(137);
    expect(await guardEnded()).toMatch(/is gone, with the run half done: it is undone[^]*the guard ends: rolled back/u);
    await expectAsBefore();
  });

  test('takes itself back when its terminal goes away half-way', async () => {
    await killAt('reloadDaemon', ssh('-tt', `harden ${apply(3600, RESTART).join(' ')}`));
    expect(await guardEnded()).toMatch(/the guard ends: (?:nothing to undo|rolled back)/u);
    await expectAsBefore();
  });

  test('is undone although the daemon is down by then', async () => {
    expect(await harden(host, apply(8, RESTART))).toMatchObject({ code: 0 });
    await host.exec('systemctl stop docker.socket docker', { check: true });
    expect(await guardEnded()).toContain('the guard ends: rolled back');
    await expectAsBefore();
  });

  test('waits for a person when its guard is gone, as after a reboot', async () => {
    expect(await harden(host, apply(3600, RELOAD))).toMatchObject({ code: 0 });
    await host.exec('systemctl kill --kill-who=all -s KILL "harden-guard-*"', { check: true });
    const refused = await harden(host, ['apply', '--yes', '-c', 'daemon.icc', ...CEILINGS]);
    expect({ code: refused.code, stderr: refused.stderr }).toMatchObject({ code: 2, stderr: expect.stringMatching(/its guard is gone .* harden confirm\. .* harden recover/u) as string });
    expect(await harden(host, ['recover', '--yes'])).toMatchObject({ code: 0 });
    await expectAsBefore();
  });

  test('is refused, and named, where nothing could take it back', async () => {
    await host.run('--name', 'stale', 'busybox:latest', 'true');
    const { code, stderr } = await harden(host, [...apply(60, 'operations.container-sprawl'), '--max-impact', 'data', '--max-risk', 'irreversible',
      '--set', 'operations.stoppedContainerDays=0', '--set', 'operations.removeStoppedContainers=[stale]']);
    expect({ code, stderr }).toMatchObject({ code: 2, stderr: expect.stringContaining('--confirm-within: nothing takes back removed-containers') as string });
    expect((await host.exec(['docker', 'inspect', 'stale'])).code).toBe(0);
  });

  test('a host without syslog is told so, and that is all', async () => {
    await host.exec(`docker rm stale && mv /dev/log /dev/log.away`, { check: true });
    const { code, stderr } = await harden(host, ['apply', '--yes', '-c', RELOAD, '--format', 'json']);
    await host.exec('mv /dev/log.away /dev/log', { check: true });
    expect({ code, said: stderr.split('\n').filter((line) => line.includes('syslog')) }).toEqual({ code: 0, said: ['harden: Nothing about this run could be left in syslog: there is no /dev/log.'] });
    expect(await host.readFile(CONFIG)).toContain('live-restore');
    expect(await harden(host, ['rollback', '--yes'])).toMatchObject({ code: 0 });
    await expectAsBefore();
  });
});
