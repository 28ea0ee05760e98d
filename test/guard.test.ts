import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { confirmRun, refuseUnconfirmed, unconfirmedRuns } from '../src/apply/confirm.ts';
import { guardRun, refuseIrreversible } from '../src/apply/guard.ts';
import type { Session } from '../src/apply/session.ts';
import { UsageError } from '../src/errors.ts';
import { createLocalReader } from '../src/host/local-reader.ts';
import { createLocalWriter } from '../src/host/local-writer.ts';
import type { Run } from '../src/journal.ts';
import { createRun, guardFiles, listRuns, readRun } from '../src/journal.ts';
import { acquireLock, processStamp } from '../src/lock.ts';
import { TOOL } from '../src/version.ts';
import { harden } from './terminal.ts';

const reader = createLocalReader();
const writer = createLocalWriter();
const ID = '20261122T101530Z-0000ff';
const USER = { uid: 0, loginuid: 1000, sudoUser: 'ann' };
let directory: string;
let stateDir: string;
let file: string;
let session: Session;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'harden-guard-'));
  stateDir = join(directory, 'state');
  file = join(directory, 'managed');
  // No engine answers: what a guard undoes here is a file.
  session = {
    stateDir, reader, writer, tool: TOOL, user: USER, ticket: null, endpoint: 'unix:///nowhere', restartCommand: undefined, checks: [], remediations: [],
    collect: () => Promise.reject(new UsageError('No engine answers')), ping: () => Promise.resolve(false), now: () => new Date(), interrupted: () => null, progress: () => undefined,
    record: () => Promise.resolve(),
  } as unknown as Session;
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

/** A run that has changed one file. */
async function changed(fields: { confirmWithin?: number; steps?: number } = {}): Promise<Run> {
  await (await acquireLock(stateDir, writer)).release();
  writeFileSync(file, 'old\n', { mode: 0o644 });
  const run = await createRun(stateDir, writer, { runId: ID, planId: 'plan', createdAt: '2026-11-22T10:15:30.000Z', tool: { ...TOOL }, user: USER, steps: 1, ...fields }, null);
  const before = await run.backup(await writer.snapshot(file));
  const after = { sha256: createHash('sha256').update('new\n').digest('hex'), mode: 0o644, uid: 0, gid: 0 };
  const step = await run.intent({ kind: 'replaceBytes', change: 'file', path: file, before, made: [], after });
  await writer.replace(file, Buffer.from('new\n'), { mode: 0o644, uid: 0, gid: 0 });
  await run.done(step);
  return run;
}
const said: string[] = [];
const guard = (patience = { retryMs: 10, giveUpMs: 100 }): ReturnType<typeof guardRun> => guardRun(session, ID, (text) => said.push(text), patience);
const content = (): string => readFileSync(file, 'utf8');

describe('a run that is to be confirmed', () => {
  it('is undone when nobody confirms it in time, and the journal says so', async () => {
    await (await changed({ confirmWithin: 1 })).close({ result: 'applied' });
    expect(await guard()).toBe('rolled back');
    expect(content()).toBe('old\n');
    expect((await readRun(stateDir, ID, reader)).rolledBackBy).toBe((await listRuns(stateDir, reader))[0]?.runId);
    expect(await harden(['confirm', '--state-dir', stateDir])).toMatchObject({ code: 2, err: expect.stringMatching(/^harden: Too late: run \S+ was to be confirmed by \S+, and was undone by /u) as string });
  });

  it('stays when somebody does, and nothing else may change the host before', async () => {
    await (await changed({ confirmWithin: 60 })).close({ result: 'applied' });
    const guarding = guard();
    while (!existsSync(guardFiles(stateDir, ID).process)) await sleep(10);
    expect(await unconfirmedRuns(session)).toMatchObject([{ runId: ID, guarded: true, confirmation: { within: 60, confirmedAt: null } }]);
    await expect(refuseUnconfirmed(session)).rejects.toThrow(`unless it is confirmed: harden confirm. To undo it now: harden rollback ${ID}`);
    const left = await confirmRun(session, ID);
    expect(left).toBeGreaterThan(50);
    expect(await guarding).toBe('confirmed');
    expect(content()).toBe('new\n');
    await expect(refuseUnconfirmed(session)).resolves.toBeUndefined();
    expect(await harden(['confirm', '--state-dir', stateDir])).toMatchObject({ code: 0, out: expect.stringMatching(/was confirmed already, at /u) as string });
    await expect(confirmRun(session, ID)).rejects.toThrow('is not as it was a moment ago');
  });

  it('is not undone while another harden is at work, but afterwards', async () => {
    await (await changed({ confirmWithin: 1 })).close({ result: 'applied' });
    const lock = await acquireLock(stateDir, writer);
    const guarding = guard();
    await sleep(1600);
    expect(content()).toBe('new\n');
    await lock.release();
    expect(await guarding).toBe('rolled back');
    expect(content()).toBe('old\n');
  });

  it('is undone at once when its process died half-way, and waits when all was in by then', async () => {
    await changed({ confirmWithin: 600, steps: 2 });
    expect(await guard()).toBe('rolled back');
    expect(content()).toBe('old\n');
    rmSync(stateDir, { recursive: true });
    await changed({ confirmWithin: 1 });
    expect(await guard()).toBe('rolled back');
    expect((await readRun(stateDir, ID, reader)).result).toMatchObject({ result: 'applied', recovered: true });
    expect(content()).toBe('old\n');
  });

  it('needs no guard when it took itself back, or a person did', async () => {
    await (await changed({ confirmWithin: 600 })).close({ result: 'reverted' });
    expect(await guard()).toBe('nothing to undo');
    expect(await unconfirmedRuns(session)).toEqual([]);
    expect(await harden(['confirm', '--state-dir', stateDir])).toMatchObject({ code: 0, out: `Nothing waits to be confirmed in ${stateDir}.\n` });
  });

  it('stays where an undo would lose what somebody did since; that is kept, and the next harden says it', async () => {
    await (await changed({ confirmWithin: 1 })).close({ result: 'applied' });
    writeFileSync(file, 'mine\n');
    expect(await guard()).toBe('not undone');
    expect(content()).toBe('mine\n');
    expect(await unconfirmedRuns(session)).toMatchObject([{ guarded: false, confirmation: { notReverted: expect.stringContaining('changed since') as string } }]);
    await expect(refuseUnconfirmed(session)).rejects.toThrow(/its guard could not undo it: .*harden recover/u);
  });

  it('waits for a person when its guard is gone; until then it can still be confirmed', async () => {
    await (await changed({ confirmWithin: 1 })).close({ result: 'applied' });
    writeFileSync(guardFiles(stateDir, ID).process, (await processStamp()).replace(/"bootId":"[^"]*"/u, '"bootId":"another"'));
    expect(await unconfirmedRuns(session)).toMatchObject([{ guarded: false }]);
    await expect(refuseUnconfirmed(session)).rejects.toThrow('its guard is gone (the machine went down, or somebody ended it). It is still in. Keep it: harden confirm. Undo it: harden recover');
    expect(await confirmRun({ ...session, now: () => new Date(Date.now() + 60_000) }, ID)).toBeLessThan(0);
  });

  it('is refused before anything is changed when nothing takes it back', () => {
    const change = { title: 'Unused images', undo: 'impossible' } as const;
    expect(() => refuseIrreversible([{ id: 'file:x', title: 'X', undo: 'reload' }])).not.toThrow();
    expect(() => refuseIrreversible([{ id: 'removed-images', ...change }])).toThrow('--confirm-within: nothing takes back removed-images (Unused images). Nothing was changed.');
  });
});

it.each([
  [['apply', '--confirm-within', '0'], 'a number of seconds from 1 to 86400'],
  [['apply', '--confirm-within', '90000'], 'a number of seconds from 1 to 86400'],
  [['apply', '--ticket', 'a\nb'], 'one line of text without control characters'],
  [['rollback', '--ticket', '\u202eabc'], 'one line of text without control characters'],
  [['confirm', '--ticket', ''], 'one line of text without control characters'],
  [['confirm', 'nowhere', '--state-dir', '/nonexistent'], 'There is no run nowhere'],
])('%j is refused', async (argv, why) => {
  expect(await harden(argv)).toMatchObject({ code: 2, out: '', err: expect.stringContaining(why) as string });
});
