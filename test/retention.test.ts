import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DEFAULT_RETENTION, judgeRuns, pruneRuns } from '../src/apply/retention.ts';
import { createLocalReader } from '../src/host/local-reader.ts';
import { createLocalWriter } from '../src/host/local-writer.ts';
import type { RunSummary } from '../src/journal.ts';
import { createRun, listRuns } from '../src/journal.ts';
import { TOOL } from '../src/version.ts';

const NOW = new Date('2026-11-28T00:00:00Z');
const idAt = (daysAgo: number): string => `${new Date(NOW.getTime() - daysAgo * 86_400_000).toISOString().replace(/[-:]|\.\d+/gu, '')}-0000ff`;
const waits = { within: 60, by: '2026-11-28T00:00:00Z', confirmedAt: null, notReverted: null };

const run = (daysAgo: number, fields: Partial<RunSummary> = {}): RunSummary => ({
  runId: idAt(daysAgo), planId: 'plan', createdAt: 'then', closed: true, result: { result: 'applied' }, rolledBackBy: null, user: null, ticket: null, confirmation: null, unreadable: null, ...fields,
});
const undone = { rolledBackBy: 'other' };
const spared = (runs: readonly RunSummary[], retention = DEFAULT_RETENTION): string[] => judgeRuns(runs, retention, NOW).map(({ spared: why }) => why ?? 'goes');

describe('a run', () => {
  it('that can be rolled back goes by its age alone, any other also by the number of newer ones', () => {
    expect(spared([run(0, undone), run(1), run(2), run(3, undone), run(400), run(401, undone)], { keep: 2, maxAgeDays: 365 })).toEqual([
      'It is the last run.', 'It is the last run that can be rolled back.', 'It can be rolled back, and is younger than 365 days.', 'goes', 'goes', 'goes',
    ]);
    expect(spared([run(0), run(1, undone), run(2, { result: { result: 'reverted' } }), run(3, { planId: null, result: { result: 'removed' } })], { keep: 3, maxAgeDays: 365 })).toEqual([
      'It is the last run.', 'It is one of the last 3, and younger than 365 days.', 'It is one of the last 3, and younger than 365 days.', 'goes',
    ]);
  });

  it('that is not finished, not readable or not confirmed stays whatever its age', () => {
    expect(spared([run(0), run(900, { closed: false }), run(901, { closed: false, unreadable: 'damaged' }), run(902, { confirmation: waits }), run(903, { confirmation: { ...waits, confirmedAt: 'then' } })])).toEqual([
      'It is the last run.', 'It is not finished.', 'Its journal cannot be read, so what it did is not known.', 'It waits to be confirmed.', 'goes',
    ]);
  });

  it('that is the last, or the last that can be rolled back, stays, whatever the policy says', () => {
    const some = fc.record({ days: fc.integer({ min: 0, max: 5000 }), undone: fc.boolean() });
    fc.assert(fc.property(fc.array(some, { minLength: 1 }), fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 99 }), (list, keep, maxAgeDays) => {
      const runs = [...list].sort((a, b) => a.days - b.days).map((one) => run(one.days, one.undone ? undone : {}));
      const judged = judgeRuns(runs, { keep, maxAgeDays }, NOW);
      expect(judged[0]?.spared).not.toBeNull();
      const first = judged.find(({ undoable }) => undoable);
      if (first !== undefined) expect(first.spared).not.toBeNull();
    }));
  });
});

it('an apply removes by itself only what nobody can roll back', async () => {
  const stateDir = mkdtempSync(join(tmpdir(), 'harden-retention-'));
  const ports = { stateDir, reader: createLocalReader(), writer: createLocalWriter(), now: () => NOW };
  try {
    for (const [daysAgo, result] of [[1, 'applied'], [2, 'reverted'], [900, 'applied'], [901, 'reverted']] as const) {
      const header = { runId: idAt(daysAgo), planId: 'plan', createdAt: NOW.toISOString(), tool: { ...TOOL }, user: { uid: 0, loginuid: null, sudoUser: null } };
      await (await createRun(stateDir, ports.writer, header, null)).close({ result });
    }
    expect(await pruneRuns(ports, { keep: 1, maxAgeDays: 365 })).toEqual([idAt(2), idAt(901)]);
    expect((await listRuns(stateDir, ports.reader)).map(({ runId }) => runId)).toEqual([idAt(1), idAt(900)]);
  } finally {
    rmSync(stateDir, { recursive: true, force: true });
  }
});
