import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { applyPlan, type ApplyResult } from '../src/apply/apply.ts';
import { finishRun, unfinishedRuns } from '../src/apply/recover.ts';
import { rollback, runsToUndo } from '../src/apply/rollback.ts';
import type { Session } from '../src/apply/session.ts';
import { HostError, type ToolResult } from '../src/host/port.ts';
import { listRuns } from '../src/journal.ts';
import type { Change, FileChange, JsonObject, ObjectChange, Plan } from '../src/model.ts';
import { planDocument, type PlanResult } from '../src/plan.ts';
import { CONFIG, Life, newWorld, PLAIN, RULES, sessionOn, WEB, worldState, type MemoryFault, type When, type World } from './memory-host.ts';

/** No test waits: who sleeps, makes the time pass. */
const clock = vi.hoisted(() => ({ ms: Date.parse('2026-11-17T10:00:00Z') }));
vi.mock('node:timers/promises', () => ({ setTimeout: (ms: number) => { clock.ms += ms; return Promise.resolve(); } }));

let stateDir: string;
beforeEach(() => {
  stateDir = mkdtempSync(join(tmpdir(), 'harden-crash-'));
  vi.spyOn(performance, 'now').mockImplementation(() => clock.ms);
  vi.spyOn(Date, 'now').mockImplementation(() => clock.ms);
});
afterEach(() => {
  vi.restoreAllMocks();
  rmSync(stateDir, { recursive: true, force: true });
});

const base = { impact: 'recreate', risk: 'safe', undo: 'recreate', effect: '', because: [], promises: [], requires: [], diff: '', fingerprint: 'x', title: '' } as const;
const fileChange = (change: Pick<FileChange, 'kind' | 'path' | 'before' | 'after' | 'activations'>): FileChange =>
  ({ ...base, ...change, id: `file:${change.path}`, target: { kind: 'file', name: change.path, id: change.path } });
const objectChange = (id: string, kind: ObjectChange['kind'], actions: ObjectChange['actions']): ObjectChange =>
  ({ ...base, id, kind, actions, target: { kind: 'container', name: id, id } });
const root = { uid: 0, gid: 0 };

const CHANGES: readonly Change[] = [
  fileChange({ kind: 'metadata', path: '/etc/docker', before: { content: null, bom: false, mode: 0o775, ...root }, after: { content: null, bom: false, mode: 0o755, ...root }, activations: [] }),
  fileChange({ kind: 'audit-rules', path: RULES, before: null, after: { content: '-w /etc/docker -p wa -k docker\n', bom: false, mode: 0o640, ...root }, activations: ['loadAudit'] }),
  fileChange({ kind: 'unit-drop-in', path: '/etc/systemd/system/docker.service.d/zz.conf', before: null, after: { content: '[Service]\n', bom: false, mode: 0o644, ...root }, activations: ['systemdReload'] }),
  fileChange({
    kind: 'daemon-config', path: CONFIG, before: { content: '{"log-level": "info"}\n', bom: false, mode: 0o640, ...root },
    after: { content: '{"log-level": "info", "live-restore": true, "userland-proxy": false}\n', bom: false, mode: 0o640, ...root }, activations: ['reloadDaemon', 'restartDaemon'],
  }),
  objectChange('group:docker', 'group-members', [{ kind: 'removeGroupMember', group: 'docker', user: 'mallory' }]),
  objectChange('container:plain', 'container', [{ kind: 'updateContainer', container: PLAIN, name: 'plain', edits: [{ op: 'set', path: 'resources.pidsLimit', value: 100 }] }]),
  objectChange('container:web', 'container', [
    { kind: 'createReplacement', container: WEB, name: 'web', edits: [{ op: 'set', path: 'security.noNewPrivileges', value: true }], follows: [] },
    { kind: 'retireContainer', container: WEB, name: 'web' },
    { kind: 'stopContainer', container: WEB, name: 'web' },
    { kind: 'swapContainers', container: WEB, name: 'web' },
    { kind: 'startReplacement', container: WEB, name: 'web', watchSeconds: 1 },
  ]),
];

const PLAN = {
  schemaVersion: 1, tool: { name: 'harden', version: '0' }, id: 'plan', createdAt: '2026-11-17T10:00:00.000Z', changes: CHANGES, promises: [], deferred: [],
  restart: { containersSurvive: true, stops: [] },
} as unknown as Plan;
const planned = (): PlanResult => ({ plan: PLAN, findings: [] }) as unknown as PlanResult;

/** A dead process holds no lock: this one, which plays many, lives on. */
const buried = (): void => rmSync(join(stateDir, 'lock'), { force: true });

/** What a process comes to: its result or its error; "died" when its fault ended it. */
async function lived<T>(life: Life, work: Promise<T>): Promise<T | Error | 'died'> {
  const result = await Promise.race([work.catch((error: unknown) => error as Error), life.died.then(() => 'died' as const)]);
  if (result === 'died') buried();
  return result;
}

const apply = (world: World, fault: MemoryFault | null): Promise<ApplyResult | Error | 'died'> => {
  const life = new Life(fault);
  return lived(life, applyPlan(planDocument(PLAN), sessionOn(world, life, stateDir), planned));
};

/** As `harden recover --yes`. */
async function recover(world: World, fault: MemoryFault | null = null): Promise<number | Error | 'died'> {
  const life = new Life(fault);
  const session = sessionOn(world, life, stateDir);
  return lived(life, (async () => {
    for (const { runId, state } of await unfinishedRuns(session)) {
      if (state !== 'begun') await finishRun(session, runId);
      else if ((await rollback(session, runId)).exitCode !== 0) return 4;
    }
    return 0;
  })());
}

const stateOf = (world: World): string[] => worldState(world, stateDir);
const OLD = (): string[] => stateOf(newWorld());

async function wholeRun(): Promise<{ after: string[]; operations: readonly string[] }> {
  const world = newWorld();
  const life = new Life(null);
  const result = await applyPlan(planDocument(PLAN), sessionOn(world, life, stateDir), planned);
  expect(result).toMatchObject({ exitCode: 0, failure: null, remarks: [] });
  buried();
  return { after: stateOf(world), operations: life.operations };
}

/** As `harden rollback --yes`: of a run that stays in part. */
async function undoLast(world: World): Promise<number> {
  const session = sessionOn(world, new Life(null), stateDir);
  const [last] = await runsToUndo(session, undefined, false);
  return last === undefined ? -1 : (await rollback(session, last)).exitCode;
}

/** Old or new, nothing unfinished, and another run can be made. */
async function expectWell(world: World, after: readonly string[], what: string): Promise<'old' | 'new'> {
  const now = stateOf(world);
  const isNew = now.join('\n') === after.join('\n');
  if (!isNew) expect({ what, now }).toEqual({ what, now: OLD() });
  const session = sessionOn(world, new Life(null), stateDir);
  expect({ what, unfinished: await unfinishedRuns(session) }).toEqual({ what, unfinished: [] });
  const runs = await listRuns(stateDir, session.reader);
  expect(runs.filter(({ closed }) => !closed)).toEqual([]);
  if (isNew) {
    const [last] = runs.filter(({ planId, rolledBackBy }) => planId !== null && rolledBackBy === null);
    expect({ what, ...await rollback(session, last?.runId ?? '') }).toMatchObject({ what, exitCode: 0, leftovers: [] });
    expect({ what, now: stateOf(world) }).toEqual({ what, now: OLD() });
  }
  expect({ what, again: await apply(world, null) }).toMatchObject({ what, again: { exitCode: 0 } });
  expect({ what, now: stateOf(world) }).toEqual({ what, now: after });
  return isNew ? 'new' : 'old';
}

/** The lines of a world's state that a change is about. */
const ABOUT: Readonly<Record<string, RegExp>> = {
  'file:/etc/docker': /^\/etc\/docker /, [`file:${RULES}`]: /^\/etc\/audit|^rules/, 'file:/etc/systemd/system/docker.service.d/zz.conf': /^\/etc\/systemd/,
  [`file:${CONFIG}`]: /daemon/, 'group:docker': /^members/, 'container:plain': /^container \/plain/, 'container:web': /^container \/(?:web|harden)/,
};

const WHENS: readonly When[] = ['before', 'torn', 'after'];
/** `npm run test:crash` tries every stage of every operation; otherwise one of them, by turns, and what takes two faults at some operations only. */
const ALL = process.env['HARDEN_CRASH'] === 'all';
const stagesOf = (at: number): readonly When[] => (ALL ? WHENS : [WHENS[at % 3] ?? 'before']);
const everywhere = (operations: readonly string[]): { at: number; when: When; what: string }[] =>
  operations.flatMap((operation, index) => stagesOf(index + 1).map((when) => ({ at: index + 1, when, what: `${when} ${index + 1}: ${operation}` })));
const said = (title: string, ends: readonly ('old' | 'new')[]): boolean =>
  process.stderr.write(`${title}: ${ends.length} survived (${ends.filter((end) => end === 'old').length} as before, ${ends.filter((end) => end === 'new').length} as after)\n`);

describe('a daemon that does not bear its new configuration', () => {
  const isNew = (world: World): boolean => world.daemon.startedWith?.includes('userland-proxy') === true;
  async function applied(change: (session: Session, world: World) => Partial<Session>): Promise<{ world: World; result: ApplyResult }> {
    const world = newWorld();
    const session = sessionOn(world, new Life(null), stateDir);
    return { world, result: await applyPlan(planDocument(PLAN), { ...session, ...change(session, world) }, planned) };
  }
  const runs = (session: Session, what: string, then: (plainly: () => Promise<ToolResult>) => Promise<ToolResult>): Partial<Session> => ({
    writer: { ...session.writer, run: (tool, args, options) => (`${tool} ${args.join(' ')}`.startsWith(what) ? then(() => session.writer.run(tool, args, options)) : session.writer.run(tool, args, options)) },
  });

  it.each<[string, RegExp, (session: Session, world: World) => Partial<Session>]>([
    ['refuses it', /failed \(exit 1\)/, (session, world) => runs(session, 'systemctl restart', async (plainly) => ({ ...await plainly(), code: isNew(world) ? 1 : 0 }))],
    ['hangs in the restart', /did not finish/, (session, world) => runs(session, 'systemctl restart', async (plainly) => {
      const result = await plainly();
      if (isNew(world)) throw new HostError('systemctl did not finish within 120 s and was ended');
      return result;
    })],
    ['never answers again', /did not answer within 60 s/, (_, world) => ({ ping: () => Promise.resolve(!isNew(world)) })],
    ['ends over and over', /does not stay up: process \d+, which the restart made, has ended, and another one/, (session, world) => ({
      collect: () => {
        if (isNew(world) && clock.ms > restartedAt + 3_000) world.daemon.pid += 1;
        return session.collect();
      },
      ...runs(session, 'systemctl restart', (plainly) => {
        restartedAt = clock.ms;
        return plainly();
      }),
    })],
    ['comes up without its containers', /container plain does not run/, (session, world) => runs(session, 'systemctl restart', async (plainly) => {
      const result = await plainly();
      if (isNew(world)) {
        const raw = world.containers.get(PLAIN);
        if (raw !== undefined) world.containers.set(PLAIN, { ...raw, State: { ...raw['State'] as JsonObject, Status: 'exited', Running: false } });
      }
      return result;
    })],
  ])('%s: the old one comes back by itself', async (_, failure, change) => {
    const { world, result } = await applied(change);
    expect(result).toMatchObject({ exitCode: 3, leftovers: [], failure: expect.stringMatching(failure) as string });
    expect(stateOf(world)).toEqual(OLD());
  });
  let restartedAt = 0;
});

describe('a run on a host in memory', () => {
  it('survives its end at every operation', async () => {
    const { after, operations } = await wholeRun();
    const ends: ('old' | 'new')[] = [];
    for (const { what, ...fault } of everywhere(operations)) {
      const world = newWorld();
      expect({ what, came: await apply(world, fault) }).toEqual({ what, came: 'died' });
      expect({ what, recovered: await recover(world) }).toEqual({ what, recovered: 0 });
      ends.push(await expectWell(world, after, what));
    }
    expect(ends.length).toBe(operations.length * (ALL ? 3 : 1));
    expect(new Set(ends)).toEqual(new Set(['old', 'new']));
    said('ends at the host port', ends);
  }, 600_000);

  it('survives the end of what recovers it, at every operation of that', async () => {
    const { after, operations } = await wholeRun();
    const ends: ('old' | 'new')[] = [];
    // Half-way through the daemon's part, through that of the containers, and all but closed.
    const firsts = [/systemctl restart/, /^stop /, /^start /, /"closed"/].map((pattern) => operations.findIndex((operation) => pattern.test(operation)) + 1);
    for (const first of firsts) {
      expect(first).toBeGreaterThan(0);
      for (let at = 1; ; at += ALL ? 1 : 4) {
        let ended = false;
        for (const when of stagesOf(at)) {
          const what = `${first}, then ${when} ${at}`;
          const world = newWorld();
          expect(await apply(world, { at: first, when: 'after' })).toBe('died');
          const recovered = await recover(world, { at, when });
          ended = recovered === 0;
          if (!ended) expect({ what, recovered }).toEqual({ what, recovered: 'died' });
          expect({ what, recovered: await recover(world) }).toEqual({ what, recovered: 0 });
          if (!ended) ends.push(await expectWell(world, after, what));
        }
        if (ended) break;
      }
    }
    expect(ends.length).toBeGreaterThan(firsts.length);
    said('ends of a recovery at the host port', ends);
  }, 600_000);

  it('takes back what was done when an operation fails, done or half done', async () => {
    const { after, operations } = await wholeRun();
    const ends: ('old' | 'new')[] = [];
    for (const { what, ...fault } of everywhere(operations)) {
      const world = newWorld();
      const came = await apply(world, { ...fault, fail: 'EIO' });
      buried();
      const code = came === 'died' ? came : came instanceof Error ? 2 : came.exitCode;
      // A last word that cannot be written is no reason to take back what is in.
      expect({ what, isKnown: [0, 1, 2, 3].includes(Number(code)) }).toEqual({ what, isKnown: true });
      const isIn = (id: string): boolean => typeof came === 'object' && !(came instanceof Error) && came.outcomes.changes.some((change) => change.id === id && change.state === 'applied');
      for (const { id } of CHANGES) {
        const about = (lines: readonly string[]): string[] => lines.filter((line) => ABOUT[id]?.test(line));
        expect({ what, id, lines: about(stateOf(world)) }).toEqual({ what, id, lines: about(isIn(id) ? after : OLD()) });
      }
      expect({ what, recovered: await recover(world) }).toEqual({ what, recovered: 0 });
      if (stateOf(world).join() !== after.join() && stateOf(world).join() !== OLD().join()) expect({ what, undone: await undoLast(world) }).toEqual({ what, undone: 0 });
      ends.push(await expectWell(world, after, what));
    }
    said('single failures at the host port', ends);
  }, 600_000);

  it('can be taken back later when from some operation on everything fails', async () => {
    const { after, operations } = await wholeRun();
    const ends: ('old' | 'new')[] = [];
    for (const { what, ...fault } of everywhere(operations).filter(({ at }) => ALL || at % 4 === 1)) {
      const world = newWorld();
      const came = await apply(world, { ...fault, from: true, fail: 'EROFS' });
      buried();
      if (!(came instanceof Error) && came !== 'died' && came.exitCode === 4) expect(came.leftovers.length).toBeGreaterThan(0);
      expect({ what, recovered: await recover(world) }).toEqual({ what, recovered: 0 });
      if (stateOf(world).join() !== after.join() && stateOf(world).join() !== OLD().join()) expect({ what, undone: await undoLast(world) }).toEqual({ what, undone: 0 });
      ends.push(await expectWell(world, after, what));
    }
    said('lasting failures at the host port', ends);
  }, 600_000);
});
