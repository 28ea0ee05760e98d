import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { refuseUnfinished, unfinishedRuns } from '../src/apply/recover.ts';
import { createLocalReader } from '../src/host/local-reader.ts';
import { createLocalWriter } from '../src/host/local-writer.ts';
import type { Run } from '../src/journal.ts';
import { createRun, markRolledBack } from '../src/journal.ts';

const reader = createLocalReader();
const writer = createLocalWriter();
let stateDir: string;
beforeEach(() => {
  stateDir = mkdtempSync(join(tmpdir(), 'harden-recover-'));
});
afterEach(() => rmSync(stateDir, { recursive: true, force: true }));

const idOf = (n: number): string => `20261122T1015${String(n).padStart(2, '0')}Z-0000ff`;
const begin = (n: number, fields: { planId: string | null; steps?: number; undoes?: string }): Promise<Run> => createRun(stateDir, writer, {
  runId: idOf(n), createdAt: '2026-11-22T10:15:30.000Z', tool: { name: 'harden', version: '1.2.3' }, user: { uid: 0, loginuid: null, sudoUser: null }, ...fields,
}, null);
const applying = (n: number, steps: number): Promise<Run> => begin(n, { planId: 'plan', steps });
const step = { kind: 'systemdReload', change: null };
const found = async (): Promise<string[]> => (await unfinishedRuns({ stateDir, reader })).map(({ runId, state, rollingBack }) => `${runId.slice(13, 15)} ${state}${rollingBack ? ' rolling back' : ''}`);

describe('what was not finished', () => {
  it('is nothing where every run said its last word, or did not begin', async () => {
    expect(await found()).toEqual([]);
    const run = await applying(1, 1);
    await run.done(await run.intent(step));
    await run.close({ result: 'applied' });
    expect(await found()).toEqual([]);
    await expect(refuseUnfinished({ stateDir, reader })).resolves.toBeUndefined();
  });

  it('is complete only when as many steps are done as the run set out to do', async () => {
    const run = await applying(1, 2);
    expect(await found()).toEqual(['01 begun']);
    await run.done(await run.intent(step));
    expect(await found()).toEqual(['01 begun']);
    const last = await run.intent(step);
    expect(await found()).toEqual(['01 begun']);
    await run.done(last);
    expect(await found()).toEqual(['01 complete']);
    await expect(refuseUnfinished({ stateDir, reader })).rejects.toThrow(`Run ${idOf(1)} was not finished (killed, or the machine went down). Finish or undo it first: harden recover`);
  });

  it.each(['failed', 'reverted'] as const)('is not complete when a step %s', async (what) => {
    const run = await applying(1, 1);
    const only = await run.intent(step);
    await run.done(only);
    await (what === 'failed' ? run.failed(only, 'no') : run.reverted(only));
    expect(await found()).toEqual(['01 begun']);
  });

  it('is not complete when nobody wrote down how many steps there are', async () => {
    const run = await begin(1, { planId: 'plan' });
    await run.done(await run.intent(step));
    expect(await found()).toEqual(['01 begun']);
  });

  it('is the run whose rollback was killed, once, whether it was closed or not', async () => {
    const run = await applying(1, 1);
    await run.done(await run.intent(step));
    await begin(2, { planId: null, undoes: run.runId });
    await begin(3, { planId: null, undoes: run.runId });
    expect(await found()).toEqual(['01 begun rolling back']);
    await run.close({ result: 'applied' });
    expect(await found()).toEqual(['01 begun rolling back']);
    await expect(refuseUnfinished({ stateDir, reader })).rejects.toThrow(`The rollback of run ${idOf(1)} was not finished`);
    await markRolledBack(stateDir, run.runId, idOf(3), writer);
    expect(await found()).toEqual(['03 undone', '02 undone']);
    await expect(refuseUnfinished({ stateDir, reader })).resolves.toBeUndefined();
  });

  it('stops at a journal that cannot be read', async () => {
    await applying(1, 1);
    writeFileSync(join(stateDir, 'runs', idOf(1), 'journal.jsonl'), '{}\n');
    await expect(refuseUnfinished({ stateDir, reader })).rejects.toThrow('is damaged in line 1');
  });
});
