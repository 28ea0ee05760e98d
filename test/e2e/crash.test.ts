/**
 * harden is killed at the operations by which it changes a host: recovered, the host is as before or as after. Once per kind of step;
 * `npm run test:crash` (HARDEN_CRASH=all) at every operation, and with every failure of the disk.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { everyCrash, everyFailure, fromFirstStep, oneCrashPerKind, prepareFaults, stateOf, surviveAll, underFault, type Fault, type Operation, type Tally } from './crash.ts';
import { bed, skipReason, titled, type SystemdHost } from './host.ts';
import { harden } from './support.ts';

const ALL = process.env['HARDEN_CRASH'] === 'all';
const HOURS = 4 * 3600_000;
const ALLOW = ['--max-impact', 'recreate', '--max-risk', 'behaviour', '--set', 'container.watchSeconds=1'];
const FILES = ['file.etc-docker.mode', 'file.default-docker.mode', 'file.docker-sock.mode', 'daemon.live-restore'];
const RESTART = ['daemon.userland-proxy'];
const CONTAINERS = ['container.pids-limit', 'container.no-new-privileges'];
const apply = (checks: readonly string[], ...more: string[]): string[] => ['apply', '--yes', '-c', checks.join(','), ...more, ...ALLOW];

const COMPOSE = `services:
  app:
    image: busybox:latest   # by hand
    command: [sleep, "100000"]
    stop_signal: SIGKILL
    security_opt: [no-new-privileges:true]
`;

describe.skipIf(skipReason('systemd') !== null)(titled('crashes', 'systemd'), () => {
  let host: SystemdHost;
  let old: string;
  const seen = new Set<string>();

  beforeAll(async () => {
    host = await bed.systemdHost({ name: 'crash', suite: 'trixie' });
    await host.loadBusybox();
    await prepareFaults(host);
    await host.writeFile('/srv/shop/compose.yaml', COMPOSE, { mode: 0o640 });
    await host.writeFile('/etc/docker/daemon.json', '{\n  "log-level": "info",\n  "labels": ["a=b"]\n}\n', { mode: 0o640 });
    await host.writeFile('/etc/systemd/system/docker.socket.d/open.conf', '[Socket]\nSocketMode=0666\n');
    await host.exec(`python3 -c 'import os; [os.setxattr(p, "user.note", b"kept") for p in ("/etc/docker/daemon.json", "/etc/default/docker", "/srv/shop/compose.yaml")]'
      chmod 0775 /etc/docker && chmod 0666 /etc/default/docker /run/docker.sock && systemctl daemon-reload && systemctl reload docker && cd /srv/shop && docker compose up -d 2>&1`, { check: true });
    await host.run('-d', '--name', 'web', '--stop-signal', 'KILL', '--restart', 'unless-stopped', '--pids-limit', '100', '-p', '8080:80', 'busybox:latest', 'httpd', '-f', '-p', '80');
    await host.run('-d', '--name', 'plain', '--stop-signal', 'KILL', '--security-opt', 'no-new-privileges', 'busybox:latest', 'sleep', '100000');
    old = await stateOf(host);
    // The first run on a host makes the state directory: those that are compared all find one.
    await harden(host, ['apply', '--yes', '-c', 'file.default-docker.mode']);
    await harden(host, ['rollback', '--yes']);
  });
  afterAll(() => host.down());

  const crashes = (operations: readonly Operation[]): Fault[] => (ALL ? everyCrash(fromFirstStep(operations)) : oneCrashPerKind(operations, seen));

  /** Runs once to the end, numbering; then under each fault that is chosen of its operations. */
  async function survives(title: string, args: readonly string[], choose: (operations: readonly Operation[]) => Fault[], fresh = false): Promise<Tally> {
    if (fresh) await host.exec('rm -rf /var/lib/harden', { check: true });
    const whole = await underFault(host, args, null);
    expect(whole).toMatchObject({ code: 0 });
    const after = await stateOf(host);
    expect(after).not.toBe(old);
    expect(await harden(host, ['rollback', '--yes'])).toMatchObject({ code: 0 });
    expect((await stateOf(host)).split('\n')).toEqual(old.split('\n'));
    const tally = await surviveAll(host, args, { old, after }, choose(whole.operations), whole.operations, fresh);
    process.stderr.write(`crash points of ${title}: ${tally.survived} of ${tally.faults} survived (${tally.faults - tally.kept} as before, ${tally.kept} as after), ${whole.operations.length} operations in a whole run\n`);
    expect(tally.problems).toEqual([]);
    expect(tally.survived).toBe(tally.faults);
    expect(tally.faults).toBeGreaterThan(0);
    return tally;
  }

  test('files and the daemon', () => survives('files and the daemon', apply([...FILES, ...RESTART]), crashes), HOURS);
  test('containers', () => survives('containers', apply(CONTAINERS, '-i', 'web,plain'), crashes), HOURS);
  test('a compose project', () => survives('a compose project', apply(['container.pids-limit'], '-i', 'shop-*'), crashes), HOURS);
  test.runIf(ALL)('the first run on a host', () => survives('the first run on a host', apply(['file.default-docker.mode']), everyCrash, true), HOURS);
  test.runIf(ALL)('all of it in one run, once per kind of step', () =>
    survives('all in one run', apply([...FILES, ...RESTART, ...CONTAINERS]), (operations) => oneCrashPerKind(operations, new Set())), HOURS);
  test.runIf(ALL)('failures of the disk', () => survives('failures of the disk', apply(FILES), everyFailure), HOURS);
});
