import { existsSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { GcWish } from '../src/apply/gc.ts';
import { findKept, removeKept } from '../src/apply/gc.ts';
import { DEFAULT_RETENTION } from '../src/apply/retention.ts';
import type { Session } from '../src/apply/session.ts';
import { keptName } from '../src/container/kept.ts';
import { createLocalReader } from '../src/host/local-reader.ts';
import { createLocalWriter } from '../src/host/local-writer.ts';
import { createRun, listRuns } from '../src/journal.ts';
import type { ContainerFacts, ContainerRuntime, ContainerSpec, Facts } from '../src/model.ts';
import { present } from '../src/model.ts';
import { renderGc, renderKept } from '../src/render/gc.ts';
import { PLAIN } from '../src/render/layout.ts';
import { jsonSchema } from '../src/schemas.ts';
import { TOOL } from '../src/version.ts';
import { loadHost } from './hosts.ts';

const NOW = new Date('2026-11-28T00:00:00Z');
const NEVER = '0001-01-01T00:00:00Z';
const daysAgo = (days: number): string => new Date(NOW.getTime() - days * 86_400_000).toISOString();
const OLD = 'a'.repeat(64);
const NEW = 'b'.repeat(64);

const container = (id: string, name: string, runtime: Partial<ContainerRuntime>): ContainerFacts => ({
  id, name, spec: present({ restart: { name: 'no', maximumRetryCount: 0 } } as ContainerSpec), unmodelled: [], owner: { kind: 'none' },
  runtime: present({ state: 'running', pid: 1, startedAt: NEVER, createdAt: daysAgo(100), finishedAt: NEVER, health: 'none', ports: [], networks: [], ...runtime }),
});
const kept = (finishedDaysAgo: number, fields: Partial<ContainerRuntime> = {}): ContainerFacts =>
  container(OLD, keptName(OLD), { state: 'exited', finishedAt: daysAgo(finishedDaysAgo), ...fields });

let stateDir: string;
let removed: string[];
beforeEach(() => {
  stateDir = mkdtempSync(join(tmpdir(), 'harden-gc-'));
  removed = [];
});
afterEach(() => rmSync(stateDir, { recursive: true, force: true }));

/** The journal of a run that replaced a container, and saved its writable layer. */
async function replacedAt(at: string, fields: { started?: boolean; closed?: boolean } = {}): Promise<string> {
  const run = await createRun(stateDir, createLocalWriter(), {
    runId: '20261101T000000Z-0000ff', planId: 'plan', createdAt: at, tool: { ...TOOL }, user: { uid: 0, loginuid: null, sudoUser: null },
  }, null);
  const about = { container: OLD, name: 'web' };
  const path = join(stateDir, 'runs', run.runId, 'backups', 'web-layer.tar');
  writeFileSync(path, 'tar');
  const acts: [object, object][] = [
    [{ kind: 'createReplacement', ...about, edits: [], follows: [] }, { file: `runs/${run.runId}/backups/web+new-layer.tar` }],
    [{ kind: 'saveLayer', ...about }, { file: `runs/${run.runId}/backups/web-layer.tar` }], [{ kind: 'swapContainers', ...about }, { replacement: NEW }],
    ...(fields.started === false ? [] : [[{ kind: 'startReplacement', ...about, watchSeconds: 1 }, {}] as [object, object]]),
  ];
  for (const [action, before] of acts) await run.done(await run.intent({ kind: 'act', change: 'container:web', action, before } as Parameters<typeof run.intent>[0]));
  if (fields.closed !== false) await run.close({ result: 'applied' });
  return path;
}

function sessionWith(containers: readonly ContainerFacts[], fails = false): { session: Session; facts: Facts } {
  const facts: Facts = { ...loadHost('stock-debian'), containers: present(containers) };
  const engine = { removeContainer: (id: string) => {
    if (fails) return Promise.reject(new Error('device or resource busy'));
    removed.push(id);
    return Promise.resolve();
  } };
  return { facts, session: { stateDir, reader: createLocalReader(), writer: createLocalWriter(), tool: TOOL, collect: () => Promise.resolve(facts), now: () => NOW, record: () => Promise.resolve(), user: { uid: 0, loginuid: null, sudoUser: null }, ticket: null, engine } as unknown as Session };
}

const WEEK: GcWish = { olderThanDays: 7, named: [], retention: DEFAULT_RETENTION };
const find = async (containers: readonly ContainerFacts[], wish = WEEK): Promise<string[]> => {
  const { session, facts } = sessionWith(containers);
  const { containers: found, layers } = await findKept(session, facts, wish);
  return [...found.map(({ name, spared }) => `${name}: ${spared ?? 'goes'}`), ...layers.map(({ spared }) => `layer: ${spared ?? 'goes'}`)];
};
const web = (fields: Partial<ContainerRuntime> = {}): ContainerFacts => container(NEW, 'web', fields);

/** As if the journal had been written so many days ago. */
const journalled = async (days: number, fields: Parameters<typeof replacedAt>[1] = {}): Promise<string> => {
  const path = await replacedAt(daysAgo(days), fields);
  const journal = join(stateDir, 'runs', '20261101T000000Z-0000ff', 'journal.jsonl');
  writeFileSync(journal, readFileSync(journal, 'utf8').replace(/"at":"[^"]*"/g, `"at":"${daysAgo(days)}"`));
  return path;
};

describe('what is kept for an undo', () => {
  const name = keptName(OLD);

  it('goes when it is old enough and its replacement does well; its layer stays as long as it does', async () => {
    await journalled(8);
    expect(await find([kept(8), web()])).toEqual([`${name}: goes`, 'layer: Its container is still there.']);
    expect(await find([web()])).toEqual(['layer: goes']);
  });

  it('is as old as its replacement, however long ago it ended or was made', async () => {
    await journalled(2);
    expect(await find([kept(90), web()])).toEqual([`${name}: It is kept for less than 7 days.`, 'layer: Its container is still there.']);
    expect(await find([kept(90), web()], { ...WEEK, olderThanDays: 0 })).toEqual([`${name}: goes`, 'layer: Its container is still there.']);
    expect(await find([web()])).toEqual(['layer: It is kept for less than 7 days.']);
  });

  it('what its replacement wrote, which a rollback saved, is as old as that', async () => {
    const later = (await journalled(90)).replace('web-layer', 'web+new-layer');
    expect(await find([web()])).toEqual(['layer: goes']);
    writeFileSync(later, 'tar');
    for (const [days, why] of [[2, 'It is kept for less than 7 days.'], [8, 'goes']] as const) {
      utimesSync(later, new Date(daysAgo(days)), new Date(daysAgo(days)));
      expect(await find([web()])).toEqual([`layer: ${why}`, 'layer: goes']);
    }
  });

  it.each([
    ['is gone', [], 'There is no container web any more.'],
    ['ended', [web({ state: 'exited' })], 'web, which took its place, does not run (exited).'],
    ['restarts over and over', [web({ state: 'restarting' })], 'web, which took its place, does not run (restarting).'],
    ['is ill', [web({ health: 'unhealthy' })], 'web, which took its place, is not healthy (unhealthy).'],
  ])('stays when what took its place %s, unless it is named', async (_, others, why) => {
    await journalled(8);
    expect((await find([kept(8), ...others]))[0]).toBe(`${name}: ${why}`);
    expect(await find([kept(8), ...others], { ...WEEK, named: [name] })).toEqual([`${name}: goes`]);
  });

  it('stays when no journal tells what took its place', async () => {
    expect(await find([kept(8), web()])).toEqual([`${name}: No journal tells what took its place.`]);
  });

  it('need not have a replacement that runs when it did not run itself', async () => {
    await journalled(8, { started: false });
    expect((await find([kept(90), web({ state: 'created' })]))[0]).toBe(`${name}: goes`);
  });

  it('is only what bears its own id and can not start by itself', async () => {
    await journalled(8);
    expect(await find([container(NEW, keptName(OLD), { state: 'exited' }), container(OLD, 'web', { state: 'exited' })])).toEqual(['layer: Its container is still there.']);
    await expect(find([web()], { ...WEEK, named: ['web'] })).rejects.toThrow('There is no kept container web. Nothing was removed.');
  });
});

describe('its removal', () => {
  it('is noted as a run that is finished, and its document fits the schema', async () => {
    await journalled(8);
    const { session, facts } = sessionWith([kept(8), web()]);
    const shown = await findKept(session, facts, WEEK);
    expect(renderKept(shown, PLAIN)).toBe([
      'Stays (1)', `  ${shown.layers[0]?.path ?? ''}  what web had written  since ${daysAgo(8).replace('.000', '')}`, '    Its container is still there.',
      'Is removed for good, its volumes stay (1)', `  ${keptName(OLD).padEnd(shown.layers[0]?.path.length ?? 0)}  web took its place    since ${daysAgo(8).replace('.000', '')}`,
      'The runs that kept it can then not be rolled back any more.', '1 run stays in the history.', '',
    ].join('\n'));
    const document = { schemaVersion: 1, tool: TOOL, olderThanDays: 7, ...await removeKept(session, shown, WEEK) } as const;
    expect(removed).toEqual([OLD]);
    expect(new Ajv2020({ strict: false }).validate(jsonSchema('gc', true), document)).toBe(true);
    expect(document.containers.map(({ state }) => state)).toEqual(['removed']);
    expect(renderGc(document, PLAIN)).toBe('Removed: 1 container or saved layer.\n');
    const [run] = await listRuns(stateDir, createLocalReader());
    expect(run).toMatchObject({ planId: null, closed: true, result: { result: 'removed' } });
  });

  it('takes the layer once its container is gone, and nothing that is not as it was shown any more', async () => {
    const path = await journalled(8);
    const { session, facts } = sessionWith([web()]);
    const shown = await findKept(session, facts, WEEK);
    expect((await removeKept(sessionWith([kept(8), web()]).session, shown, WEEK)).layers.map(({ state }) => state)).toEqual(['kept']);
    expect(existsSync(path)).toBe(true);
    expect((await removeKept(session, shown, WEEK)).layers.map(({ state }) => state)).toEqual(['removed']);
    expect(existsSync(path)).toBe(false);
  });

  it('says what could not be removed', async () => {
    await journalled(8);
    const { session, facts } = sessionWith([kept(8), web()], true);
    const { containers } = await removeKept(session, await findKept(session, facts, WEEK), WEEK);
    expect(containers).toMatchObject([{ state: 'failed', reason: 'device or resource busy' }]);
  });

  it('waits for a run that is not finished', async () => {
    await journalled(8, { closed: false });
    const { session, facts } = sessionWith([kept(8), web()]);
    await expect(removeKept(session, await findKept(session, facts, WEEK), WEEK)).rejects.toThrow('harden recover');
    expect(removed).toEqual([]);
  });

  it('takes runs that are too old with it, and says which way back goes; never one that kept a container that is still there', async () => {
    await journalled(8);
    for (const n of [1, 2, 3]) {
      const run = await createRun(stateDir, createLocalWriter(), {
        runId: `2026010${n}T000000Z-0000ff`, planId: `plan-${n}`, createdAt: `2026-01-0${n}T00:00:00.000Z`, tool: { ...TOOL }, user: { uid: 0, loginuid: null, sudoUser: null },
      }, {});
      if (n !== 3) await run.close({ result: n === 1 ? 'applied' : 'reverted' });
      else await run.close({ result: 'applied' });
    }
    const { session, facts } = sessionWith([kept(2), web()]);
    const wish: GcWish = { ...WEEK, retention: { keep: 50, maxAgeDays: 20 } };
    const shown = await findKept(session, facts, wish);
    expect(shown.runs.map(({ runId, undoable, spared }) => [runId.slice(0, 8), undoable, spared === null])).toEqual([
      ['20261101', true, false], ['20260103', true, true], ['20260102', false, true], ['20260101', true, true],
    ]);
    expect(renderKept(shown, PLAIN)).toContain([
      'Journals and backups of runs, removed for good (3)', '  20260103T000000Z-0000ff  plan plan-3  can then not be rolled back any more', '  20260102T000000Z-0000ff  plan plan-2',
      '  20260101T000000Z-0000ff  plan plan-1  can then not be rolled back any more', '1 run stays in the history.', '',
    ].join('\n'));
    const document = { schemaVersion: 1, tool: TOOL, olderThanDays: 7, ...await removeKept(session, shown, wish) } as const;
    expect(new Ajv2020({ strict: false }).validate(jsonSchema('gc', true), document)).toBe(true);
    expect(document.runs.map(({ state }) => state)).toEqual(['kept', 'removed', 'removed', 'removed']);
    expect((await listRuns(stateDir, createLocalReader())).map(({ planId }) => planId)).toEqual([null, 'plan']);
    // Its container is the last that is left of what it replaced: by now another run is the last one.
    expect((await findKept(session, facts, { ...wish, retention: { keep: 1, maxAgeDays: 1 } })).runs[1]?.spared).toBe('It is the last run that can be rolled back.');
  });
});
