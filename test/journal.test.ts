import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createLocalReader } from '../src/host/local-reader.ts';
import { createLocalWriter } from '../src/host/local-writer.ts';
import type { FileSnapshot } from '../src/host/port.ts';
import { createRun, listRuns, markRolledBack, newRunId, readBackup, readRun, readRunPlan, removeRun, resumeRun, type JournalEntry, type RunHeader, type StepRecord } from '../src/journal.ts';

const reader = createLocalReader();
const writer = createLocalWriter();
let stateDir: string;
beforeEach(() => {
  stateDir = mkdtempSync(join(tmpdir(), 'harden-journal-'));
});
afterEach(() => rmSync(stateDir, { recursive: true, force: true }));

const idOf = (n: number): string => `20261122T1015${String(n).padStart(2, '0')}Z-0000ff`;
const headerOf = (runId: string, planId: string | null = 'plan-1'): RunHeader => ({
  runId, planId, createdAt: '2026-11-22T10:15:30.000Z', tool: { name: 'harden', version: '1.2.3' }, user: { uid: 0, loginuid: null, sudoUser: 'ann' }, benchmark: '1.8.0',
});
const fileOf = (content: string | null): FileSnapshot => ({ realPath: '/etc/docker/daemon.json', content: content === null ? null : Buffer.from(content), mode: 0o640, uid: 3, gid: 4 });
const step: StepRecord = { change: 'file:/etc/docker/daemon.json', kind: 'replaceBytes', path: '/etc/docker/daemon.json' };
const journalOf = (runId: string): string => join(stateDir, 'runs', runId, 'journal.jsonl');
const bare = ({ at: _, ...entry }: JournalEntry): object => entry;

describe('a run', () => {
  it('is read back as it was written, bytes and metadata of backups included, and everything is private', async () => {
    const run = await createRun(stateDir, writer, headerOf(idOf(1)), { id: 'plan-1' });
    const before = await run.backup(fileOf('{"icc": true}\u0000\ufeff'));
    const first = await run.intent({ ...step, before });
    await run.done(first, { sha256: 'abc' });
    const second = await run.intent({ change: null, kind: 'restartDaemon' });
    await run.failed(second, 'the daemon did not come up');
    await run.reverted(first);
    await run.close({ result: 'reverted', exitCode: 3 });

    const record = await readRun(stateDir, run.runId, reader);
    expect(record).toMatchObject({ header: headerOf(run.runId), closed: true, result: { result: 'reverted', exitCode: 3 }, rolledBackBy: null });
    expect(record.entries.map(bare)).toEqual([
      { type: 'intent', seq: 1, step: { ...step, before } },
      { type: 'done', seq: 1, note: { sha256: 'abc' } },
      { type: 'intent', seq: 2, step: { change: null, kind: 'restartDaemon' } },
      { type: 'failed', seq: 2, error: 'the daemon did not come up' },
      { type: 'reverted', seq: 1 },
      { type: 'closed', result: { result: 'reverted', exitCode: 3 } },
    ]);
    expect(await readBackup(stateDir, run.runId, before, writer)).toEqual(fileOf('{"icc": true}\u0000\ufeff'));
    expect(await readRunPlan(stateDir, run.runId, reader)).toEqual({ id: 'plan-1' });
    expect(readFileSync(journalOf(run.runId), 'utf8')).not.toContain('icc');
    for (const path of readdirSync(stateDir, { recursive: true, encoding: 'utf8' })) {
      const stat = statSync(join(stateDir, path));
      expect([path, stat.mode & 0o7777]).toEqual([path, stat.isDirectory() ? 0o700 : 0o600]);
    }
    await expect(createRun(stateDir, writer, headerOf(run.runId), null)).rejects.toThrow('exists already');
  });

  it('keeps absence and things without bytes, and never hands out bytes that are not the ones it kept', async () => {
    const run = await createRun(stateDir, writer, headerOf(idOf(1)), null);
    expect(await run.backup(null)).toBeNull();
    expect(await readBackup(stateDir, run.runId, await run.backup(fileOf(null)), writer)).toEqual(fileOf(null));
    const ref = await run.backup(fileOf('bytes'));
    await expect(readBackup(stateDir, run.runId, { ...ref, file: '../../../etc/passwd' }, writer)).rejects.toThrow('is not a backup');
    const path = join(stateDir, 'runs', run.runId, ref.file ?? '');
    writeFileSync(path, 'bytez');
    await expect(readBackup(stateDir, run.runId, ref, writer)).rejects.toThrow(/is damaged.*Restore \/etc\/docker\/daemon.json by hand/);
    rmSync(path);
    await expect(readBackup(stateDir, run.runId, ref, writer)).rejects.toThrow('is gone');
    expect(await readRunPlan(stateDir, run.runId, reader)).toBeNull();
  });

  it('can be read and taken up again wherever its writer was killed: what was acknowledged is there, nothing else', async () => {
    const run = await createRun(stateDir, writer, headerOf(idOf(1)), null);
    await run.backup(fileOf('one'));
    const steps = ['ä', '💥', '\n"\\'].map((text) => ({ ...step, text }));
    for (const record of steps) await run.done(await run.intent(record));
    const whole = readFileSync(journalOf(run.runId));
    const { entries } = await readRun(stateDir, run.runId, reader);
    const linesIn = (length: number): number => whole.subarray(0, length).toString('latin1').split('\n').length - 1;
    for (let length = 0; length <= whole.length; length += 1) {
      writeFileSync(journalOf(run.runId), whole.subarray(0, length));
      if (linesIn(length) > 0) expect((await readRun(stateDir, run.runId, reader)).entries).toEqual(entries.slice(0, linesIn(length) - 1));
      else await expect(readRun(stateDir, run.runId, reader)).rejects.toThrow('killed before its first step');
    }
    writeFileSync(journalOf(run.runId), whole.subarray(0, 20));
    expect(await listRuns(stateDir, reader)).toMatchObject([{ runId: run.runId, closed: true, createdAt: null, unreadable: null }]);
    await fc.assert(fc.asyncProperty(fc.integer({ min: whole.indexOf('\n') + 1, max: whole.length }), async (length) => {
      writeFileSync(journalOf(run.runId), whole.subarray(0, length));
      const kept = entries.slice(0, linesIn(length) - 1);
      const resumed = await resumeRun(stateDir, run.runId, writer, reader);
      expect(await resumed.intent(step)).toBe(1 + kept.filter(({ type }) => type === 'intent').length);
      expect((await resumed.backup(fileOf('two'))).file).not.toBe('backups/001');
      await resumed.close({ result: 'reverted', exitCode: 3 });
      const after = await readRun(stateDir, run.runId, reader);
      expect(after.closed).toBe(true);
      expect(after.entries.slice(0, -2)).toEqual(kept);
    }), { numRuns: 10 });
  }, 60_000);
});

describe('the list of runs', () => {
  it('is newest first, and says which are unfinished, undone, or unreadable', async () => {
    expect(await listRuns(stateDir, reader)).toEqual([]);
    for (const [n, planId] of [[1, 'plan-1'], [3, 'plan-3'], [2, 'plan-2'], [5, 'plan-5'], [4, null]] as const) await createRun(stateDir, writer, headerOf(idOf(n), planId), null);
    await (await resumeRun(stateDir, idOf(4), writer, reader)).close({ result: 'rolled back', exitCode: 0 });
    await markRolledBack(stateDir, idOf(3), idOf(4), writer);
    writeFileSync(journalOf(idOf(2)), `${readFileSync(journalOf(idOf(2)), 'utf8')}{"type":"intent"}\n`);
    mkdirSync(join(stateDir, 'runs', 'notes'));
    const runs = await listRuns(stateDir, reader);
    expect(runs.map(({ runId, planId, closed, rolledBackBy, unreadable }) => [runId, planId, closed, rolledBackBy, unreadable !== null])).toEqual([
      [idOf(5), 'plan-5', false, null, false],
      [idOf(4), null, true, null, false],
      [idOf(3), 'plan-3', true, idOf(4), false],
      [idOf(2), null, false, null, true],
      [idOf(1), 'plan-1', false, null, false],
    ]);
    expect(runs[3]?.unreadable).toContain('damaged in line 2');
  });

  it('is removed whole with its backups, but not while it holds what a container wrote', async () => {
    for (const n of [1, 2]) await (await createRun(stateDir, writer, headerOf(idOf(n)), { id: 'p' })).backup(fileOf('bytes'));
    writeFileSync(join(stateDir, 'runs', idOf(2), 'backups', 'web-layer.tar'), 'tar');
    expect([await removeRun(stateDir, idOf(1), writer, reader), await removeRun(stateDir, idOf(2), writer, reader)]).toEqual([true, false]);
    expect(readdirSync(join(stateDir, 'runs'))).toEqual([idOf(2)]);
    expect(existsSync(journalOf(idOf(2)))).toBe(true);
  });

  it('takes ids only in the form that it gives them', async () => {
    const now = new Date('2026-11-22T10:15:30.789Z');
    expect(newRunId(now)).toMatch(/^20261122T101530Z-[0-9a-f]{6}$/);
    for (const id of ['', '..', '../../etc', `${idOf(1)}/../x`, `${idOf(1)}\n`, idOf(1).toLowerCase()]) {
      await expect(readRun(stateDir, id, reader)).rejects.toThrow('is not a run id');
      await expect(markRolledBack(stateDir, id, idOf(1), writer)).rejects.toThrow('is not a run id');
    }
    await expect(readRun(stateDir, idOf(9), reader)).rejects.toThrow('there is no run');
    await expect(markRolledBack(stateDir, idOf(9), idOf(1), writer)).rejects.toThrow('does not exist');
    expect(existsSync(join(stateDir, 'runs'))).toBe(false);
  });

  it('does not grow in a directory that others can write', async () => {
    chmodSync(stateDir, 0o777);
    await expect(createRun(stateDir, writer, headerOf(idOf(1)), null)).rejects.toThrow('can be written by everybody');
  });
});

describe('a state that others could have written', () => {
  it.each([
    ['the state directory', ''], ['the directory of the runs', 'runs'], ['the directory of a run', join('runs', idOf(1))], ['a journal', join('runs', idOf(1), 'journal.jsonl')],
  ])('%s: the run is not believed, and harden says whose it is', async (_, part) => {
    const run = await createRun(stateDir, writer, headerOf(idOf(1)), { id: 'plan-1' });
    await run.close({ result: 'applied' });
    const path = join(stateDir, part);
    const { mode } = statSync(path);
    chmodSync(path, 0o777);
    await expect(readRun(stateDir, run.runId, reader)).rejects.toThrow(`${path} can be written by others`);
    expect(await listRuns(stateDir, reader)).toMatchObject([{ runId: run.runId, closed: false, unreadable: expect.stringContaining('is not believed') as string }]);
    chmodSync(path, mode & 0o7777);
    expect((await readRun(stateDir, run.runId, reader)).closed).toBe(true);
    if (process.geteuid?.() !== 0) return;
    chownSync(path, 12345, 12345);
    await expect(readRun(stateDir, run.runId, reader)).rejects.toThrow(`${path} belongs to uid 12345`);
  });

  it('a plan in it is not believed either', async () => {
    const run = await createRun(stateDir, writer, headerOf(idOf(1)), { id: 'plan-1' });
    chmodSync(join(stateDir, 'runs', run.runId, 'plan.json'), 0o666);
    await expect(readRunPlan(stateDir, run.runId, reader)).rejects.toThrow('can be written by others');
  });
});
