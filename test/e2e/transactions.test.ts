/** What is no file is changed and taken back too, each change by itself: group members and settings of a swarm on a real host. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bed, skipReason, titled, type SystemdHost } from './host.ts';
import { harden, hardenJson, outcomes, scan, type OutcomesDocument, type PlanDocumentJson } from './support.ts';

const CHECKS = ['host.docker-group', 'swarm.node-cert-expiry', 'file.etc-docker.mode'];
const ALLOW = ['--max-risk', 'behaviour', '-c', CHECKS.join(','), '--set', 'trustedUsers=[deploy]', '--set', 'swarm.certificateDays=30'];
const DAYS_30 = 30 * 86_400e9;
const DAYS_90 = 90 * 86_400e9;

describe.skipIf(skipReason('systemd') !== null)(titled('changes that are no files', 'systemd'), () => {
  let host: SystemdHost;
  const members = async (): Promise<string[]> => (await host.exec(['getent', 'group', 'docker'], { check: true })).stdout.trim().split(':')[3]?.split(',') ?? [];
  const expiry = async (): Promise<number> =>
    Number((await host.exec('docker info --format "{{printf \\"%d\\" .Swarm.Cluster.Spec.CAConfig.NodeCertExpiry}}"', { check: true })).stdout);
  const apply = (codes: readonly number[]): Promise<OutcomesDocument> => hardenJson(host, ['apply', '--yes', ...ALLOW], codes);
  const states = ({ changes }: OutcomesDocument): Record<string, string> => Object.fromEntries(changes.map(({ id, state }) => [id, state]));

  beforeAll(async () => {
    host = await bed.systemdHost({ name: 'transactions' });
    await host.exec('useradd deploy; useradd mallory; gpasswd -a deploy docker; gpasswd -a mallory docker; chmod 0777 /etc/docker', { check: true });
    await host.exec(['docker', 'swarm', 'init', '--advertise-addr', '127.0.0.1'], { check: true });
  });
  afterAll(() => host.down());

  test('are planned beside the files, and nothing is chosen for anybody', async () => {
    const unasked = await hardenJson<PlanDocumentJson>(host, ['plan', '--max-risk', 'behaviour', '-c', CHECKS.join(',')], [0]);
    expect(unasked.deferred.map(({ check, reason }) => `${check} ${reason}`).sort()).toEqual([
      'host.docker-group choice', 'host.docker-group choice', 'swarm.node-cert-expiry choice',
    ]);
    const { changes, promises } = await hardenJson<PlanDocumentJson>(host, ['plan', ...ALLOW], [0]);
    expect(changes.map(({ id, diff }) => [id, diff])).toEqual([
      ['mode:/etc/docker', '- mode 0777\n+ mode 0755\n'],
      ['group:docker', '- member mallory\n'],
      ['swarm', '- lifetime of node certificates: 90 days\n+ lifetime of node certificates: 30 days\n'],
    ]);
    expect([...promises].sort()).toEqual([...CHECKS].sort());
  });

  test('one that fails is taken back, those before it stay, those after it are skipped', async () => {
    await host.exec('dpkg-divert --local --rename --add /usr/bin/gpasswd && printf "#!/bin/sh\\necho no >&2; exit 1\\n" > /usr/bin/gpasswd && chmod +x /usr/bin/gpasswd', { check: true });
    expect(states(await apply([3]))).toEqual({ 'mode:/etc/docker': 'applied', 'group:docker': 'reverted', swarm: 'skipped' });
    expect([await members(), await expiry()]).toEqual([['deploy', 'mallory'], DAYS_90]);
    expect((await harden(host, ['history'])).stdout).toContain('applied in part');
    await host.exec('rm /usr/bin/gpasswd && dpkg-divert --local --rename --remove /usr/bin/gpasswd', { check: true });
  });

  test('are made, proven, and need no second run', async () => {
    const done = await apply([0]);
    expect(states(done)).toEqual({ 'group:docker': 'applied', swarm: 'applied' });
    expect([await members(), await expiry()]).toEqual([['deploy'], DAYS_30]);
    expect(outcomes(await scan(host, '-c', CHECKS.join(','), '--set', 'trustedUsers=[deploy]', '--set', 'swarm.certificateDays=30'))).toEqual(
      Object.fromEntries(CHECKS.map((check) => [check, 'pass'])));
    expect((await apply([0])).changes).toEqual([]);
  });

  test('are not taken back over what somebody did since', async () => {
    await host.exec(['docker', 'swarm', 'update', '--cert-expiry', '48h'], { check: true });
    const { code, stderr } = await harden(host, ['rollback', '--yes']);
    expect({ code, stderr }).toMatchObject({ code: 2, stderr: expect.stringContaining('The lifetime of the swarm\'s certificates was changed since') as string });
    await host.exec(['docker', 'swarm', 'update', '--cert-expiry', '720h'], { check: true });
  });

  test('are taken back run by run', async () => {
    const { code, stdout, stderr } = await harden(host, ['rollback', '--all', '--yes']);
    expect(`${stdout}${stderr}`).toContain('taking mallory out of the group docker');
    expect(code).toBe(0);
    expect([(await members()).sort(), await expiry(), (await host.exec(['stat', '-c', '%a', '/etc/docker'])).stdout.trim()]).toEqual([['deploy', 'mallory'], DAYS_90, '777']);
  });

  describe('autolock', () => {
    const LOCK = ['-c', 'swarm.autolock', '--max-risk', 'behaviour', '--set', 'swarm.unlockKeyFile=/root/unlock-key'];
    const locking = async (): Promise<string> => (await host.exec('docker info --format "{{.Swarm.Cluster.Spec.EncryptionConfig.AutoLockManagers}}"', { check: true })).stdout.trim();
    const keyFile = async (): Promise<string> => (await host.exec('stat -c "%a %U" /root/unlock-key && cat /root/unlock-key')).stdout;

    test('waits for somebody who keeps the key', async () => {
      const { changes, deferred } = await hardenJson<PlanDocumentJson>(host, ['plan', '-c', 'swarm.autolock', '--max-risk', 'behaviour'], [0]);
      expect([changes, deferred.map(({ check, reason }) => [check, reason])]).toEqual([[], [['swarm.autolock', 'choice']]]);
    });

    test('is not turned on where the key would not be safe, or something is there already', async () => {
      await host.exec('mkdir -m 0777 /srv/open; echo mine > /root/unlock-key', { check: true });
      for (const file of ['/root/unlock-key', '/srv/open/key', '/nowhere/key']) {
        await hardenJson(host, ['apply', '--yes', '-c', 'swarm.autolock', '--max-risk', 'behaviour', '--set', `swarm.unlockKeyFile=${file}`], [3]);
      }
      expect([await locking(), (await host.exec('cat /root/unlock-key; ls /srv/open; rm /root/unlock-key')).stdout]).toEqual(['false', 'mine\n']);
    });

    test('writes a key that unlocks, and nowhere else', async () => {
      const { stdout, stderr, code } = await harden(host, ['apply', '--yes', ...LOCK]);
      expect({ code, stdout, stderr }).toMatchObject({ code: 0, stdout: expect.stringContaining('carry it off this host') as string });
      const key = /^600 root\n(SWMKEY-1-\S+)\n$/u.exec(await keyFile())?.[1] ?? '';
      expect(key).not.toBe('');
      expect(`${stdout}${stderr}${(await host.exec('cat /var/lib/harden/runs/*/*')).stdout}`).not.toContain(key.slice('SWMKEY-1-'.length));
      expect(outcomes(await scan(host, '-c', 'swarm.autolock'))).toEqual({ 'swarm.autolock': 'pass' });
      // What needs a restart of the daemon waits: it would leave this manager locked.
      const waiting = await hardenJson<PlanDocumentJson>(host, ['plan', '-c', 'daemon.userland-proxy', '--max-impact', 'restart', '--max-risk', 'behaviour'], [0]);
      expect([waiting.changes, waiting.deferred.map(({ check, reason }) => `${check} ${reason}`)]).toEqual([[], ['daemon.userland-proxy guard']]);
      await host.exec('systemctl restart docker', { check: true });
      expect((await host.exec('docker info --format "{{.Swarm.LocalNodeState}}"')).stdout.trim()).toBe('locked');
      await host.exec('docker swarm unlock < /root/unlock-key', { check: true });
    });

    test('is taken back with the file of the key that opens nothing any more', async () => {
      const { code, stdout, stderr } = await harden(host, ['rollback', '--yes']);
      expect({ code, stdout, stderr }).toMatchObject({ code: 0 });
      expect([await locking(), await keyFile()]).toEqual(['false', '']);
    });
  });

  describe('and what nobody needs is removed for good', () => {
    const SPRAWL = ['-c', 'operations.image-sprawl,operations.container-sprawl', '--set', 'operations.unusedImageDays=0', '--set', 'operations.stoppedContainerDays=0'];
    const CHOSEN = ['--set', 'operations.removeUnusedImages=[junk*,reg.test/*]', '--set', 'operations.removeStoppedContainers=[stale*]'];
    const RAISED = ['--max-impact', 'data', '--max-risk', 'irreversible'];
    const kept = async (): Promise<string[]> => [
      ...(await host.exec('docker ps -a --format "{{.Names}}"; docker image ls --format "{{.Repository}}:{{.Tag}}"; docker volume ls -q', { check: true })).stdout.trim().split('\n'),
    ].map((name) => name.replace(/[0-9a-f]{12}$/u, 'ID')).sort();

    beforeAll(async () => {
      await host.loadBusybox();
      await host.exec(`set -e
        mkdir -p /srv/junk && echo junk > /srv/junk/file && for name in junk:1 own:1 saved:1; do echo $name > /srv/junk/name; tar c -C /srv/junk . | docker import - $name; done
        docker tag junk:1 reg.test/junk:2
        docker create --name anchor saved:1 x && docker rename anchor harden-kept-$(docker inspect -f '{{.Id}}' anchor | cut -c1-12)`, { check: true });
      await host.run('--name', 'stale', '-v', 'data:/data', 'busybox:latest', 'sh', '-c', 'echo lost > /written; echo stays > /data/file');
      await host.run('-d', '--name', 'used', 'busybox:latest', 'sleep', '100000');
      await host.run('--name', 'other', 'busybox:latest', 'true');
    });

    test('only within the ceilings, and only what was named', async () => {
      const { changes, deferred } = await hardenJson<PlanDocumentJson>(host, ['plan', ...SPRAWL, ...CHOSEN], [0]);
      expect(changes).toEqual([]);
      expect(deferred.map(({ target, reason }) => `${target.name} ${reason}`).sort()).toEqual(['junk:1 ceiling', 'other choice', 'own:1 choice', 'stale ceiling']);
    });

    test('not when somebody used it since it was shown', async () => {
      await harden(host, ['plan', ...SPRAWL, ...CHOSEN, ...RAISED, '-o', '/root/removal.json']);
      await host.exec('docker start -a stale', { check: true });
      const { code, stderr } = await harden(host, ['apply', '--yes', '/root/removal.json']);
      expect({ code, stderr }).toMatchObject({ code: 2, stderr: expect.stringContaining('changed since the plan was made') as string });
    });

    test('with the list shown; what else is there stays', async () => {
      const { changes } = await hardenJson<PlanDocumentJson>(host, ['plan', ...SPRAWL, ...CHOSEN, ...RAISED], [0]);
      expect(changes.map(({ id, undo, diff }) => [id, undo, diff.replaceAll(/[0-9a-f]{12}/gu, 'ID')])).toEqual([
        ['removed-containers', 'impossible', '- stale (ID, busybox:latest, stopped since today; wrote /written)\n'],
        ['removed-images', 'impossible', expect.stringMatching(/^- junk:1, reg\.test\/junk:2 \(sha256:ID, 0\.0 MB, unused since today\)\n$/u)],
      ]);
      const before = await kept();
      expect(states(await hardenJson(host, ['apply', '--yes', ...SPRAWL, ...CHOSEN, ...RAISED], [0]))).toEqual({ 'removed-containers': 'applied', 'removed-images': 'applied' });
      expect(await kept()).toEqual(before.filter((name) => !['stale', 'junk:1', 'reg.test/junk:2'].includes(name)));
      expect(before).toEqual(expect.arrayContaining(['stale', 'junk:1', 'reg.test/junk:2', 'harden-kept-ID', 'saved:1', 'own:1', 'other', 'used', 'data']));
    });

    test('and a rollback says what does not come back', async () => {
      const { code, stdout } = await harden(host, ['rollback', '--yes']);
      expect({ code, stdout }).toMatchObject({ code: 0, stdout: expect.stringContaining('The container stale is removed for good: it does not come back') as string });
      expect(stdout).toContain('The image junk:1 is removed for good');
      expect(stdout).toContain('is undone, all but what was removed for good');
    });
  });
});
