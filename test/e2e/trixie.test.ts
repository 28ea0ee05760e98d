/** The loop on a newer host: Docker 26 with its own validator, systemd 257, auditd 4, everything below /usr. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bed, skipReason, titled, type SystemdHost } from './host.ts';
import { CEILINGS, expectAllSections, expectContainersKept, harden, hardenJson, outcomes, pids, plan, promised, scan, startContainers, tree, type OutcomesDocument } from './support.ts';

const CONFIG = '/etc/docker/daemon.json';

describe.skipIf(skipReason('systemd') !== null)(titled('the loop on Debian trixie', 'systemd'), () => {
  let host: SystemdHost;
  let before: { tree: string; pids: Record<string, string> };
  beforeAll(async () => {
    host = await bed.systemdHost({ name: 'trixie', suite: 'trixie' });
    await host.loadBusybox();
    await startContainers(host);
    before = { tree: await tree(host), pids: await pids(host) };
  });
  afterAll(() => host.down());

  test('scan has a verdict for each of the 61 recommendations; what a container\'s kernel keeps from it is unknown', async () => {
    const document = await scan(host);
    expectAllSections(document);
    expect(document.host.engine).toMatchObject({ local: true, version: '26.1.5+dfsg1' });
    const found = Object.entries(outcomes(document));
    expect(new Set(found.flatMap(([check, outcome]) => (check.startsWith('audit.') ? [outcome] : [])))).toEqual(new Set(['unknown', 'na']));
    // Audit is all that cannot be read here.
    expect(found.filter(([check, outcome]) => outcome === 'unknown' && !check.startsWith('audit.'))).toEqual([]);
    expect(outcomes(document)).toMatchObject({
      'daemon.icc': 'warn', 'daemon.live-restore': 'warn', 'daemon.log-level': 'pass', 'file.docker-socket-unit.mode': 'pass', 'file.docker-sock.mode': 'pass',
    });
    expect(await tree(host)).toBe(before.tree);
  });

  test('apply leaves every promised finding PASS or pending; containers and ports never stop', async () => {
    const document = await hardenJson<OutcomesDocument>(host, ['apply', '--yes', ...CEILINGS], [1]);
    expect(promised(document)).toEqual({
      'daemon.icc': 'pending', 'daemon.live-restore': 'fixed', 'daemon.userland-proxy': 'fixed', 'daemon.no-new-privileges': 'fixed', 'container.pids-limit': 'fixed',
    });
    expect(document.results.find(({ check }) => check === 'daemon.icc')?.reason).toContain('container');
    await expectContainersKept(host, before.pids);
    expect(outcomes(await scan(host))).toMatchObject({ 'daemon.live-restore': 'pass', 'daemon.userland-proxy': 'pass', 'daemon.no-new-privileges': 'pass', 'daemon.icc': 'warn' });
  });

  test('a second apply has nothing to do', async () => {
    expect((await hardenJson<OutcomesDocument>(host, ['apply', '--yes', ...CEILINGS], [0])).changes).toEqual([]);
  });

  test('rollback leaves every touched path as it was, and the containers running', async () => {
    const { code, stdout, stderr } = await harden(host, ['rollback', '--yes']);
    expect({ code, stdout, stderr }).toMatchObject({ code: 0 });
    expect(await tree(host)).toBe(before.tree);
    await expectContainersKept(host, before.pids);
  });

  // None of these is for us to judge: each takes the daemon's own eyes.
  const refused: Record<string, { text: string; says: string }> = {
    'a certificate that is not there': { text: '{"tls": true, "tlscert": "/no/such/cert.pem", "tlskey": "/no/such/key.pem"}\n', says: 'Could not load X509 key pair' },
    'a search domain that is none': { text: '{"dns-search": ["a b c!!"]}\n', says: 'a b c!! is not a valid domain' },
  };
  for (const [name, { text, says }] of Object.entries(refused)) {
    test(`${name}, beside what we change: refused in the daemon's own words before anything is changed`, async () => {
      await host.writeFile(CONFIG, text);
      const broken = await tree(host);
      expect((await plan(host, '-c', 'daemon.live-restore')).changes.map(({ kind }) => kind)).toEqual(['daemon-config']);
      const { code, stderr } = await harden(host, ['apply', '--yes', '-c', 'daemon.live-restore']);
      expect({ code, stderr }).toMatchObject({ code: 2, stderr: expect.stringContaining(says) as string });
      expect(stderr).toContain(CONFIG);
      expect(await tree(host)).toBe(broken);
      expect((await host.exec(['docker', 'info', '-f', '{{.LiveRestoreEnabled}}'])).stdout).toBe('false\n');
      await host.exec(['rm', CONFIG], { check: true });
      expect(await harden(host, ['rollback'])).toMatchObject({ code: 0, stdout: expect.stringContaining('Nothing to roll back') as string });
    });
  }
});
