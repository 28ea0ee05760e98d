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
});
