/**
 * One plan for audit rules, several executors, one after the other on the one host that can load them: each leaves the same files and the same rules in the
 * kernel, finds nothing left to do, and takes it back. The playbook runs in the host, with a local connection.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { EQUIVALENCE, EXECUTOR_NAMES } from '../../src/portable/equivalence.ts';
import { bed, skipReason, titled, type AuditHost } from './host.ts';
import { played } from './playbook.ts';
import { harden, outcomes, plan, scan, type CliResult } from './support.ts';

const PLAN = ['-c', 'audit', '--set', 'audit.dataRoot=all', '--set', 'audit.runContainerd=true'];
const OTHERS = '-w /etc/passwd -p wa -k identity\n';

interface Executor {
  readonly name: (typeof EXECUTOR_NAMES)[number];
  readonly make: () => Promise<CliResult>;
  readonly nothing: (result: CliResult) => boolean;
  readonly undo: () => Promise<CliResult>;
}

describe.skipIf(skipReason('audit') !== null)(titled('executors load the same audit rules', 'audit'), () => {
  let host: AuditHost;
  const script = (...args: string[]): Promise<CliResult> => host.exec(['sh', '/root/harden.sh', ...args]);
  const play = (...args: string[]): Promise<CliResult> => host.exec(
    ['env', '-C', '/root/project', 'ansible-playbook', '-i', 'inventory.example.yml', '-c', 'local', 'site.yml', ...args],
    { env: { ANSIBLE_NOCOLOR: '1', LC_ALL: 'C.UTF-8' }, timeoutMs: 300_000 },
  );
  const executors: readonly Executor[] = [
    {
      name: 'apply',
      make: () => harden(host, ['apply', '--yes', ...PLAN, '--format', 'json']),
      nothing: ({ stdout }) => (JSON.parse(stdout) as { changes: unknown[] }).changes.length === 0,
      undo: () => harden(host, ['rollback', '--yes']),
    },
    { name: 'script', make: () => script(), nothing: ({ stdout }) => /^0 made, \d+ as wanted, 0 not made, 0 failed\.$/mu.test(stdout), undo: () => script('--undo') },
    { name: 'playbook', make: () => play(), nothing: (result) => played(result).changed === 0, undo: () => play('-e', 'harden_undo=true') },
  ];

  /** The rules that the kernel has, the files that it has them from, and what the scan says of them. */
  const state = async (): Promise<{ readonly kernel: string[]; readonly files: string; readonly verdicts: Record<string, string> }> => ({
    kernel: (await host.exec(['auditctl', '-l'], { check: true })).stdout.trim().split('\n').sort(),
    files: (await host.exec(['sh', '-c', 'find "$@" -printf "%y %m %U:%G %p\\n" | sort; find "$@" -type f ! -name "*.prev" -print0 | sort -z | xargs -0 sha256sum', 'tree', '/etc/audit', '/etc/tmpfiles.d'], { check: true })).stdout,
    verdicts: outcomes(await scan(host, '-c', 'audit')),
  });

  beforeAll(async () => {
    host = await bed.auditHost({
      name: 'audit-equal', suite: 'trixie',
      prepare: async (early) => {
        await early.writeFile('/etc/docker/daemon.json', '{}\n');
        await early.writeFile('/etc/audit/rules.d/30-early.rules', OTHERS, { mode: 0o640 });
        await early.exec(['augenrules', '--load'], { check: true });
      },
    });
    // Both are of the plan that apply makes first.
    expect(await harden(host, ['generate', 'shell', ...PLAN, '-o', '/root/harden.sh'])).toMatchObject({ code: 0 });
    expect(await harden(host, ['generate', 'ansible', ...PLAN, '-o', '/root/project'])).toMatchObject({ code: 0 });
  });
  afterAll(() => host.down());

  test('the plan has the kinds that are said to be compared', async () => {
    const { changes } = await plan(host, ...PLAN);
    expect([...new Set(changes.map(({ kind }) => kind))].sort()).toEqual(EQUIVALENCE.filter(({ compared }) => compared === 'audit-equivalence').map(({ kind }) => kind).sort());
    expect(executors.map(({ name }) => name)).toEqual(EXECUTOR_NAMES);
  });

  test('made by one after the other, and taken back in between', async () => {
    const before = await state();
    expect(before.kernel).toEqual([OTHERS.trim()]);
    const ends: unknown[] = [];
    for (const { name, make, nothing, undo } of executors) {
      const made = await make();
      expect({ name, ...made }).toMatchObject({ code: 0 });
      const after = await state();
      expect(after.kernel.length).toBeGreaterThan(15);
      expect(Object.values(after.verdicts)).not.toContain('warn');
      ends.push(after);
      const again = await make();
      expect({ name, ...again, nothing: nothing(again) }).toMatchObject({ code: 0, nothing: true });
      expect({ name, state: await state() }).toEqual({ name, state: after });
      const undone = await undo();
      expect({ name, ...undone }).toMatchObject({ code: 0 });
      expect({ name, state: await state() }).toEqual({ name, state: before });
    }
    for (const end of ends) expect(end).toEqual(ends[0]);
  });
});
