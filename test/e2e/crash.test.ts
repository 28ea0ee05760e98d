/**
 * harden is killed at the operations by which it changes a host: recovered, the host is as before or as after. Once per kind of step;
 * `npm run test:crash` (HARDEN_CRASH=all) at every operation, and with every failure of the disk.
 */
import { afterAll, beforeAll, describe, test } from 'vitest';
import { everyCrash, everyFailure, expectSurvival, fromFirstStep, oneCrashPerKind, prepareFaults, stateOf, type Fault, type Operation } from './crash.ts';
import { bed, skipReason, titled, type AuditHost, type SystemdHost } from './host.ts';

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

describe.skipIf(skipReason('systemd') !== null)(titled('killed in a run', 'systemd'), () => {
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
  });
  afterAll(() => host.down());

  const crashes = (operations: readonly Operation[]): Fault[] => (ALL ? everyCrash(fromFirstStep(operations)) : oneCrashPerKind(operations, seen));
  const survives = (title: string, args: readonly string[], choose: (operations: readonly Operation[]) => Fault[], first = false): Promise<void> => expectSurvival(host, old, { title, args, choose, first });

  test('files and the daemon', () => survives('files and the daemon', apply([...FILES, ...RESTART]), crashes), HOURS);
  test('containers', () => survives('containers', apply(CONTAINERS, '-i', 'web,plain'), crashes), HOURS);
  test('a compose project', () => survives('a compose project', apply(['container.pids-limit'], '-i', 'shop-*'), crashes), HOURS);
  test.runIf(ALL)('the first run on a host', () => survives('the first run on a host', apply(['file.default-docker.mode']), everyCrash, true), HOURS);
  test.runIf(ALL)('all of it in one run, once per kind of step', () =>
    survives('all in one run', apply([...FILES, ...RESTART, ...CONTAINERS]), (operations) => oneCrashPerKind(operations, new Set())), HOURS);
  test.runIf(ALL)('failures of the disk', () => survives('failures of the disk', apply(FILES), everyFailure), HOURS);
});

// `audit.test.ts` has the crash for every day, on the host that it has.
describe.skipIf(!ALL || skipReason('audit') !== null)(titled('killed in a run', 'audit'), () => {
  let host: AuditHost;
  beforeAll(async () => {
    host = await bed.auditHost({ name: 'crash' });
    await prepareFaults(host);
  });
  afterAll(() => host.down());

  test('audit rules', async () =>
    expectSurvival(host, await stateOf(host), { title: 'audit rules', args: ['apply', '--yes', '-c', 'audit'], choose: (operations) => everyCrash(fromFirstStep(operations)) }), HOURS);
});
