/** Audit rules against the real kernel, on a host that shares it. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { expectSurvival, oneCrashPerKind, prepareFaults, stateOf } from './crash.ts';
import { bed, skipReason, titled, type AuditHost } from './host.ts';
import { harden, hardenJson, plan, scan, tree, type OutcomesDocument } from './support.ts';

const DROP_IN = '/etc/audit/rules.d/50-docker-harden.rules';
const ALL = ['-c', 'audit', '--set', 'audit.dataRoot=all', '--set', 'audit.runContainerd=true'];
/** Other people's rules, before and after ours in load order; the first file lacks its final newline. */
const OTHERS = { '/etc/audit/rules.d/30-early.rules': '-w /etc/passwd -p wa -k identity', '/etc/audit/rules.d/70-late.rules': '\n-w /etc/shadow -p wa -k identity\n' };

describe.skipIf(skipReason('audit') !== null)(titled('audit rules', 'audit'), () => {
  let host: AuditHost;
  let before: string;
  beforeAll(async () => {
    host = await bed.auditHost({
      name: 'audit',
      prepare: async (early) => {
        await early.writeFile('/etc/docker/daemon.json', '{}\n');
        for (const [path, text] of Object.entries(OTHERS)) await early.writeFile(path, text, { mode: 0o640 });
        await early.exec(['augenrules', '--load'], { check: true });
      },
    });
    before = await tree(host);
  });
  afterAll(() => host.down());

  const kernel = async (): Promise<string[]> => (await host.exec(['auditctl', '-l'], { check: true })).stdout.trim().split('\n').sort();
  const verdicts = async (): Promise<Record<string, number>> => {
    const counts: Record<string, number> = {};
    for (const { cis, outcome } of (await scan(host, '-c', '1.1.3,1.1.4,1.1.5,1.1.6,1.1.7,1.1.8,1.1.9,1.1.10,1.1.11,1.1.12,1.1.13,1.1.14,1.1.15,1.1.16,1.1.17,1.1.18')).results) {
      if (cis !== null) counts[outcome] = (counts[outcome] ?? 0) + 1;
    }
    return counts;
  };

  test('no rule of the 15 that apply here is there at first', async () => {
    expect(await verdicts()).toEqual({ warn: 15, na: 1 });
  });

  test('a plan is refused by the rules that the kernel has since', async () => {
    expect(await harden(host, ['plan', ...ALL, '-o', '/root/audit-plan.json'])).toMatchObject({ code: 0 });
    const rules = await kernel();
    await host.exec('auditctl -w /etc/hostname -p wa -k by-hand', { check: true });
    const { code, stderr } = await harden(host, ['apply', '/root/audit-plan.json', '--yes']);
    expect({ code, stderr }).toMatchObject({ code: 2, stderr: expect.stringMatching(/the audit rules in the kernel changed since the plan was made\. Nothing was done[^]*\n\+ -w \/etc\/hostname -p wa -k by-hand\n/) as string });
    await host.exec('auditctl -W /etc/hostname -p wa -k by-hand && rm /root/audit-plan.json', { check: true });
    expect(await kernel()).toEqual(rules);
    expect((await host.exec(['ls', DROP_IN])).code).not.toBe(0);
  });

  test('apply turns all 15 from WARN to PASS, and leaves what others load alone', async () => {
    const { results, changes } = await hardenJson<OutcomesDocument>(host, ['apply', '--yes', ...ALL], [0]);
    expect(changes.map(({ state }) => state)).toEqual(changes.map(() => 'applied'));
    expect(new Set(results.map(({ state }) => state))).toEqual(new Set(['fixed']));
    expect(await verdicts()).toEqual({ pass: 15, na: 1 });
    expect(await kernel()).toEqual(expect.arrayContaining(['-w /etc/passwd -p wa -k identity', '-w /etc/shadow -p wa -k identity']));
    const text = await host.readFile(DROP_IN);
    expect(text.startsWith('\n') && text.endsWith('\n')).toBe(true);
    expect((await host.exec(['stat', '-c', '%a %U:%G', DROP_IN])).stdout).toBe('640 root:root\n');
  });

  test('a second run adds nothing', async () => {
    const rules = await kernel();
    const text = await host.readFile(DROP_IN);
    const { changes } = await hardenJson<OutcomesDocument>(host, ['apply', '--yes', ...ALL], [0]);
    expect(changes).toEqual([]);
    expect(await kernel()).toEqual(rules);
    expect(await host.readFile(DROP_IN)).toBe(text);
  });

  test('a rule that only the kernel lost is a WARN, and is loaded again', async () => {
    await host.exec('auditctl -W /etc/docker -p rwxa -k docker', { check: true });
    expect((await scan(host, '-c', 'audit.etc-docker')).results[0]?.outcome).toBe('warn');
    const { results } = await hardenJson<OutcomesDocument>(host, ['apply', '--yes', '-c', 'audit.etc-docker'], [0]);
    expect(results.map(({ state }) => state)).toEqual(['fixed']);
  });

  test('rules that only the kernel has survive our load', async () => {
    await host.exec('auditctl -w /etc/hostname -p wa -k by-hand && auditctl -W /etc/docker -p rwxa -k docker', { check: true });
    await hardenJson<OutcomesDocument>(host, ['apply', '--yes', '-c', 'audit.etc-docker'], [0]);
    expect(await kernel()).toContain('-w /etc/hostname -p wa -k by-hand');
    await host.exec('auditctl -W /etc/hostname -p wa -k by-hand', { check: true });
  });

  test('with auditing switched off nothing counts as covered', async () => {
    await host.exec('auditctl -e 0', { check: true });
    try {
      expect((await verdicts()).pass).toBeUndefined();
    } finally {
      await host.exec('auditctl -e 1', { check: true });
    }
  });

  test('rollback restores files and kernel', async () => {
    expect((await harden(host, ['rollback', '--all', '--yes'])).code).toBe(0);
    expect(await tree(host)).toBe(before);
    expect(await kernel()).toEqual(['-w /etc/passwd -p wa -k identity', '-w /etc/shadow -p wa -k identity']);
  });

  test('killed at each kind of step, the host is as before or as after', async () => {
    await prepareFaults(host);
    await expectSurvival(host, await stateOf(host), { title: 'audit rules', args: ['apply', '--yes', ...ALL], choose: (operations) => oneCrashPerKind(operations, new Set()) });
  });

  test('a line of somebody else at which loading ends: nothing is written behind it, and the plan names the line', async () => {
    const broken = '/etc/audit/rules.d/40-broken.rules';
    await host.writeFile(broken, '\n-w /no/such/directory/file -p wa -k broken\n', { mode: 0o640 });
    const rules = await kernel();
    const { deferred, changes } = await plan(host, '-c', 'audit');
    const { code } = await harden(host, ['apply', '--yes', '-c', 'audit']);
    await host.exec(['rm', broken], { check: true });
    expect({ code, changes }).toEqual({ code: 0, changes: [] });
    const guarded = deferred.filter(({ reason }) => reason === 'guard').map(({ explanation, needs }) => `${explanation} ${needs ?? ''}`);
    expect(guarded.length).toBeGreaterThan(10);
    for (const text of guarded) expect(text).toContain(broken);
    expect(await kernel()).toEqual(rules);
  });

  test('the rules load again in boot order, with /run empty', async () => {
    await hardenJson<OutcomesDocument>(host, ['apply', '--yes', ...ALL], [0]);
    const rules = await kernel();
    expect(await host.rebootRules()).toMatchObject({ code: 0 });
    expect(await kernel()).toEqual(rules);
  });
});
