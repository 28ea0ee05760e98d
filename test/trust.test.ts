import { describe, expect, test } from 'vitest';
import { checks } from '../checks/index.ts';
import { remediations } from '../remediations/index.ts';
import type { Plan } from '../src/model.ts';
import { isFileChange } from '../src/model.ts';
import { makePlan } from '../src/plan.ts';
import { defaultPolicy } from '../src/policy.ts';
import { hostWith } from './hosts.ts';

const CLIENT_KEY = '/etc/docker/certs.d/r/client.key';

/** A host on which daemon.json and a registry's key are open to all, with a patch for the directories above them. */
function planWith(directories: Readonly<Record<string, object>>): Plan {
  const facts = hostWith('stock-debian', {
    daemon: { config: { status: 'present', value: { text: '{"icc": true}' } } },
    registryCerts: { status: 'present', value: ['/etc/docker/certs.d/r', CLIENT_KEY] },
    files: {
      '/etc/docker/daemon.json': { status: 'present', value: { mode: '0666' } },
      '/etc/docker/certs.d': { status: 'present', value: { type: 'directory', mode: '0755' } },
      '/etc/docker/certs.d/r': { status: 'present', value: { type: 'directory', mode: '0755' } },
      [CLIENT_KEY]: { status: 'present', value: { mode: '0644' } },
      ...directories,
    },
  });
  return makePlan({
    facts, policy: { ...defaultPolicy, maxImpact: 'restart', maxRisk: 'behaviour' }, checks, remediations,
    tool: { name: 'harden', version: '1.2.3' }, now: new Date('2026-11-17T12:00:00Z'), restart: { kind: 'systemd', unit: 'docker.service' },
  }).plan;
}
const paths = (plan: Plan): readonly string[] => plan.changes.filter(isFileChange).map(({ path }) => path);

describe('what others could exchange while it is changed', () => {
  test('is planned where only root can write', () => {
    expect(paths(planWith({}))).toEqual(expect.arrayContaining(['/etc/docker/daemon.json', CLIENT_KEY]));
  });

  test.each([
    ['belongs to somebody', { uid: 1000 }, 'belongs to uid 1000'],
    ['is open to all', { mode: '0777' }, 'can be written by everybody'],
    ['is open to a group', { mode: '0775', gid: 105 }, 'can be written by group 105'],
  ])('waits for a directory above it that %s, and so does every restart', (_, value, why) => {
    const plan = planWith({ '/etc/docker': { status: 'present', value: { type: 'directory', mode: '0755', ...value } } });
    expect(paths(plan)).toContain('/etc/docker');
    expect(paths(plan).filter((path) => path.startsWith('/etc/docker/'))).toEqual([]);
    expect(plan.restart).toBeNull();
    for (const check of ['file.registry-certs.mode', 'daemon.icc', 'file.daemon-json.mode']) {
      expect(plan.deferred.find((deferred) => deferred.check === check)).toMatchObject({ reason: 'guard', explanation: expect.stringContaining(`/etc/docker ${why}`) as string });
    }
    expect(plan.summary.warns).toBe(plan.summary.fixable + plan.summary.deferred);
  });

  test('waits for a directory nearer to it, too, but then the rest does not', () => {
    const plan = planWith({ '/etc/docker/certs.d/r': { status: 'present', value: { type: 'directory', mode: '0777' } } });
    expect(paths(plan)).toEqual(expect.arrayContaining(['/etc/docker/certs.d/r', '/etc/docker/daemon.json']));
    expect(paths(plan)).not.toContain(CLIENT_KEY);
  });

  test('may be in a directory that is sticky', () => {
    expect(paths(planWith({ '/etc/docker/certs.d': { status: 'present', value: { type: 'directory', mode: '1777' } } }))).toContain(CLIENT_KEY);
  });
});
