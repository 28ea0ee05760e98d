import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { planRollback, rollback } from '../src/apply/rollback.ts';
import type { Session } from '../src/apply/session.ts';
import { UsageError } from '../src/errors.ts';
import { createLocalReader } from '../src/host/local-reader.ts';
import { createLocalWriter } from '../src/host/local-writer.ts';
import { createRun } from '../src/journal.ts';
import { acquireLock } from '../src/lock.ts';
import type { Action, JsonObject } from '../src/model.ts';
import { TOOL } from '../src/version.ts';

const reader = createLocalReader();
const writer = createLocalWriter();
const USER = { uid: 0, loginuid: null, sudoUser: null };
const idOf = (n: number): string => `20261122T10153${n}Z-0000ff`;
let directory: string;
let stateDir: string;
let session: Session;
beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'harden-rollback-'));
  stateDir = join(directory, 'state');
  session = {
    stateDir, reader, writer, tool: TOOL, user: USER, ticket: null, endpoint: 'unix:///nowhere', collect: () => Promise.reject(new UsageError('No engine answers')), ping: () => Promise.resolve(false),
    now: () => new Date(), progress: () => undefined, record: () => Promise.resolve(),
  } as unknown as Session;
  await (await acquireLock(stateDir, writer)).release();
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

/** The n-th run: it wrote `content` into a file, and did these actions. */
async function changed(n: number, name: string, content: string, actions: readonly Action[] = []): Promise<void> {
  const path = join(directory, name);
  const run = await createRun(stateDir, writer, { runId: idOf(n), planId: `plan-${n}`, createdAt: `2026-11-22T10:15:3${n}.000Z`, tool: { ...TOOL }, user: USER }, null);
  const before = await run.backup(await writer.snapshot(path));
  const metadata = { mode: 0o644, uid: 0, gid: 0 };
  await run.done(await run.intent({ kind: 'replaceBytes', change: 'file', path, before, made: [], after: { sha256: createHash('sha256').update(content).digest('hex'), ...metadata } }));
  await writer.replace(path, Buffer.from(content), metadata);
  for (const action of actions) await run.done(await run.intent({ kind: 'act', change: 'object', action: action as unknown as JsonObject, before: { members: ['ann', 'bob', 'eve'] } }));
  await run.close({ result: 'applied' });
}
const inDirectory = (name: string): string => join(directory, name);

it('is refused where a later run changed the same, naming it and the run; once that one is undone it goes', async () => {
  await changed(1, 'a', 'first\n');
  await changed(2, 'b', 'other\n');
  await changed(3, 'a', 'first\n');
  await expect(planRollback(session, idOf(1))).rejects.toThrow(`Run ${idOf(1)} cannot be rolled back: changed since by a later run or by hand: ${inDirectory('a')} (by run ${idOf(3)}). Nothing was done.`);
  await expect(planRollback(session, idOf(2))).resolves.toMatchObject({ restores: [{ path: inDirectory('b'), action: 'remove' }] });
  expect(await rollback(session, idOf(3))).toMatchObject({ exitCode: 0 });
  expect(await rollback(session, idOf(1))).toMatchObject({ exitCode: 0 });
});

it.each<[string, Action, Action]>([
  ['the group docker', { kind: 'removeGroupMember', group: 'docker', user: 'bob' }, { kind: 'removeGroupMember', group: 'docker', user: 'eve' }],
  ['the container web', { kind: 'updateContainer', container: 'aaa', name: 'web', edits: [] }, { kind: 'swapContainers', container: 'bbb', name: 'web' }],
  ['the service api', { kind: 'updateService', service: 's1', name: 'api', edits: [], watchSeconds: 1 }, { kind: 'updateService', service: 's1', name: 'api', edits: [], watchSeconds: 1 }],
  ['the lifetime of the swarm\'s certificates', { kind: 'setSwarmCertificates', nodeCertExpiry: 1 }, { kind: 'setSwarmCertificates', nodeCertExpiry: 2 }],
  ['the lock of the swarm\'s managers', { kind: 'lockSwarm', keyFile: '/root/a' }, { kind: 'lockSwarm', keyFile: '/root/b' }],
])('names %s too', async (subject, first, second) => {
  await changed(1, 'a', 'first\n', [first]);
  await changed(2, 'b', 'other\n', [second]);
  await expect(planRollback(session, idOf(1))).rejects.toThrow(`by a later run or by hand: ${subject} (by run ${idOf(2)}).`);
});

it('is refused where somebody wrote the file since', async () => {
  await changed(1, 'a', 'first\n');
  writeFileSync(inDirectory('a'), 'mine\n');
  await expect(planRollback(session, idOf(1))).rejects.toThrow(`by hand: ${inDirectory('a')}. Nothing was done.`);
  expect(readFileSync(inDirectory('a'), 'utf8')).toBe('mine\n');
});

it('is refused in words where an engine that does not answer would have to say what was changed since', async () => {
  const dead = { ...session, engine: { inspectContainer: () => Promise.reject(new UsageError('No engine answers')) } } as unknown as Session;
  await changed(1, 'a', 'first\n', [{ kind: 'swapContainers', container: 'aaa', name: 'web' }]);
  await expect(planRollback(dead, idOf(1))).rejects.toThrow(`Run ${idOf(1)} cannot be rolled back now: whether the container web was changed since is not known (No engine answers). Nothing was done.`);
});
