import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { checks } from '../checks/index.ts';
import { remediations } from '../remediations/index.ts';
import { parseConfigFile } from '../src/daemon/json-edit.ts';
import { UsageError } from '../src/errors.ts';
import { evaluate } from '../src/evaluate.ts';
import { factsDocument } from '../src/facts-schema.ts';
import type { Facts } from '../src/model.ts';
import { present } from '../src/model.ts';
import { makePlan, planDocument } from '../src/plan.ts';
import { restartMethod } from '../src/plan/restart.ts';
import { defaultPolicy } from '../src/policy.ts';
import { escapeLine } from '../src/render/escape.ts';
import { exportSnapshot, snapshotFrom } from '../src/snapshot.ts';
import { TOOL } from '../src/version.ts';
import { caseOf } from './cases.ts';
import { casePaths, loadHost } from './hosts.ts';
import { harden } from './terminal.ts';
import { fuzzRuns } from './support/hostile.ts';

const NOW = new Date('2026-11-22T10:00:00Z');
const directory = mkdtempSync(join(tmpdir(), 'harden-snapshot-'));
afterAll(() => rmSync(directory, { recursive: true }));
const file = (name: string, text: string): string => {
  const path = join(directory, name);
  writeFileSync(path, text);
  return path;
};
const facts = loadHost('debian-12');
const text = JSON.stringify(facts, null, 2);

describe('a snapshot is refused, with the place and the reason, when it', () => {
  const after = (needle: string, length: number): string => text.slice(0, text.indexOf(needle) + length);
  it.each<[title: string, message: RegExp, text: string]>([
    ['is empty', /is not JSON: .*/, ''],
    ['is cut off', /is not JSON: line 16, column \d+: /, after('"version": {', 12)],
    ['is no JSON', /is not JSON: line 2, column 3: /, '{\n  nope\n}'],
    ['is another document', /is no snapshot/, '[]'],
    ['is of another tool', /was not written by harden/, JSON.stringify({ ...facts, tool: { name: 'other', version: '1' } })],
    ['is of another document of harden', /is no snapshot: line 1, column 1: /, JSON.stringify({ schemaVersion: 1, tool: TOOL, results: [] })],
    ['has a newer schema', /was written by a newer harden \(schema 2; this one reads schema 1\)/, JSON.stringify({ ...facts, schemaVersion: 2 })],
    ['is of a newer harden', /was written by a newer harden \(0\.10\.0; this is /, JSON.stringify({ ...facts, tool: { name: 'harden', version: '0.10.0' } })],
    ['is of a newer harden by far', /was written by a newer harden \(9{200}…; this is /, JSON.stringify({ ...facts, tool: { name: 'harden', version: `${'9'.repeat(9000)}.0.0` } })],
    ['has no schema version', /it has no schemaVersion/, JSON.stringify({ ...facts, schemaVersion: undefined })],
    ['lacks a part', /line 1, column 1: audit: Invalid input: expected object, received undefined/, JSON.stringify({ ...facts, audit: undefined })],
    ['has a wrong type', /line 13, column 16: engine\.local\.value\.pid: Invalid input: expected number, received string/, text.replace(/"pid": 86/, '"pid": "1; reboot"')],
    ['has an unknown status', /engine\.local\.status: Invalid/, text.replace('"status": "present"', '"status": "perhaps"')],
    ['has a value nobody can have', /files\./, JSON.stringify({ ...facts, files: { '/x': present({ type: 'file' }) } })],
    ['has no end of brackets', /is nested too deeply/, `{"tool": ${'['.repeat(200_000)}`],
    ['is nested without end', /is nested too deeply/, JSON.stringify({ ...facts, extra: 0 }).replace('"extra":0', `"extra":${'['.repeat(100_000)}${']'.repeat(100_000)}`)],
    ['has nesting that only readers of its parts would meet', /is nested too deeply/, JSON.stringify({ ...facts, extra: 0 }).replace('"extra":0', `"extra":${'['.repeat(300)}${']'.repeat(300)}`)],
  ])('%s', async (title, message, content) => {
    const path = file(`${title.replaceAll(' ', '-')}.json`, content);
    for (const command of ['scan', 'plan']) {
      const { code, out, err } = await harden([command, '--facts', path]);
      expect({ code, out }).toEqual({ code: 2, out: '' });
      expect(err).toMatch(message);
      expect(err.split('\n').length).toBeLessThanOrEqual(3);
      expect(err.length).toBeLessThan(1000);
    }
  });

  it('is not there, is no file, or has no end', async () => {
    expect(await harden(['scan', '--facts', join(directory, 'none.json')])).toMatchObject({ code: 2, err: expect.stringContaining('cannot be read') as unknown });
    expect(await harden(['scan', '--facts', directory])).toMatchObject({ code: 2, err: expect.stringContaining('is not a regular file') as unknown });
    expect(await harden(['scan', '--facts', '/dev/zero'])).toMatchObject({ code: 2, err: expect.stringContaining('is not a regular file') as unknown });
  });
});

it('what an older harden wrote, and what a later one of the same schema added, is read', async () => {
  const missing = Object.fromEntries(['managed', 'execHistory', 'volumes', 'swarm', 'swarmNode', 'compose', 'contentTrust'].map((key) => [key, undefined]));
  const older = { ...facts, ...missing, tool: { name: 'harden', version: '0.0.9' }, addedLater: 1 };
  const read = await snapshotFrom(JSON.stringify(older), 'x');
  expect(read.containers).toEqual(facts.containers);
  expect(Object.hasOwn(read, 'addedLater')).toBe(false);
});

type Tree = null | boolean | number | string | Tree[] | { [key: string]: Tree };
type Path = readonly (string | number)[];

const isBranch = (value: Tree): value is Tree[] | { [key: string]: Tree } => typeof value === 'object' && value !== null;

/** The paths of all values of a tree. */
function pathsOf(tree: Tree): Path[] {
  return isBranch(tree) ? Object.entries(tree).flatMap(([key, value]) => [[key], ...pathsOf(value).map((path) => [key, ...path])]) : [];
}

/** Calls `change` with what holds the value at a path. */
function at(tree: Tree, path: Path, change: (holder: Record<string, Tree>, key: string) => void): void {
  const holder = path.slice(0, -1).reduce<Tree>((inner, key) => (isBranch(inner) ? (inner as Record<string, Tree>)[key] ?? null : null), tree);
  if (isBranch(holder)) change(holder as Record<string, Tree>, String(path.at(-1)));
}


/** Whole hosts: cases may leave out what their check does not look at. */
const HOSTS: readonly Tree[] = [facts, loadHost('stock-debian'), ...casePaths().map((path) => caseOf(path).facts)].map((host) => JSON.parse(JSON.stringify(host)) as Tree)
  .filter((host) => factsDocument.safeParse(host).success);

it('nothing of a host is lost', async () => {
  expect(HOSTS.length).toBeGreaterThan(casePaths().length * 0.9);
  for (const host of HOSTS) expect(factsDocument.parse(host)).toEqual(host);
  expect(await snapshotFrom(text, 'x')).toEqual(facts);
});

it('a daemon.json is what its text says, whatever the snapshot claims that it says', async () => {
  const lie = { ...facts, daemon: { ...facts.daemon, config: present({ text: '{"icc": true}', bom: false, parsed: { ok: true, value: { icc: false } } }) } };
  expect((await snapshotFrom(JSON.stringify(lie), 'x')).daemon.config).toEqual(present({ text: '{"icc": true}', bom: false, parsed: { ok: true, value: { icc: true } } }));
  const deep = { ...facts, daemon: { ...facts.daemon, config: present({ text: '['.repeat(1e5) + ']'.repeat(1e5), bom: false, parsed: { ok: true, value: {} } }) } };
  expect((await snapshotFrom(JSON.stringify(deep), 'x')).daemon.config).toMatchObject({ value: { parsed: { ok: false } } });
});

it('what would be written into a file with secrets is not said without them', async () => {
  const path = facts.daemon.configPath;
  const secretive = { ...facts, daemon: { ...facts.daemon, config: present(parseConfigFile('{"registry-mirrors": ["https://me:hunter2@mirror.example"]}')) } } as const;
  const snapshot = exportSnapshot(secretive);
  expect(snapshot).toMatchObject({ masked: [path] });
  expect(JSON.stringify(snapshot)).not.toContain('hunter2');
  const ceilings = ['--max-impact', 'restart', '--max-risk', 'behaviour', '--format', 'json'];
  const planned = async (from: unknown): Promise<{ changes: { id: string }[]; deferred: { check: string; explanation: string }[] }> =>
    JSON.parse((await harden(['plan', '--facts', file('secretive.json', JSON.stringify(from)), ...ceilings])).out) as never;
  const { changes, deferred } = await planned(snapshot);
  expect(changes.map(({ id }) => id)).not.toContain(`file:${path}`);
  expect(deferred.find(({ check }) => check === 'daemon.icc')?.explanation).toContain(`${path} holds secrets, which the snapshot does not have`);
  // The same host without a secret in the file is planned.
  const plain = exportSnapshot(facts);
  expect(plain['masked']).toBeUndefined();
  expect((await planned(plain)).changes.map(({ id }) => id)).toContain(`file:${path}`);
});

/* ---- hostile snapshots ---- */

const HUGE = '`$(touch /canary)` {{ 7*7 }} \u001b[2J\u202e' + 'x'.repeat(1 << 20);
const value = fc.oneof(
  fc.constantFrom<Tree>(null, true, false, 0, -1, 1e308, 2 ** 53, '', '0', '__proto__', 'constructor', '\u0000', '/', '../..', '*', '0.0.0.0', 'container:', [], {}, [null], { status: 'absent' }, { status: 'present' }),
  fc.constantFrom<Tree>({ status: 'unreadable', reason: '\u001b]0;title\u0007' }, HUGE),
  fc.string({ unit: 'binary' }),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
);
const where = fc.nat({ max: HOSTS.length - 1 }).chain((host) => fc.record({ host: fc.constant(host), path: fc.constantFrom(...pathsOf(HOSTS[host] ?? null)) }));

const judged = (host: Facts): ReturnType<typeof evaluate> => evaluate(checks, remediations, host, defaultPolicy, { now: NOW, durationMs: 0, tool: TOOL });

/** The facts of a snapshot; null: it is refused, and by nothing but a sentence for people. */
async function readOrRefused(tree: unknown): Promise<Facts | null> {
  try {
    return await snapshotFrom(JSON.stringify(tree), 'x.json');
  } catch (error) {
    expect(error).toBeInstanceOf(UsageError);
    return null;
  }
}

describe('whatever a snapshot says', () => {
  it('it is refused as a snapshot, or judged and planned on without a fault', async () => {
    await fc.assert(fc.asyncProperty(where, value, fc.constantFrom('set', 'add', 'delete'), fc.string({ unit: 'binary' }), async ({ host, path }, changed, how, key) => {
      const tree = structuredClone(HOSTS[host] ?? null);
      at(tree, path, (holder, name) => {
        if (how === 'delete') Reflect.deleteProperty(holder, name);
        else if (how === 'set') holder[name] = changed;
        else Object.defineProperty(holder, key === '' ? '__proto__' : key, { value: changed, enumerable: true, configurable: true, writable: true });
      });
      const read = await readOrRefused(tree);
      if (read === null) return;
      expect(Object.getPrototypeOf(read)).toBe(Object.prototype);
      const { plan } = makePlan({
        facts: read, policy: { ...defaultPolicy, maxImpact: 'data', maxRisk: 'irreversible' }, checks, remediations, tool: TOOL, now: NOW, restart: restartMethod(read, undefined),
      });
      expect(JSON.parse(JSON.stringify(planDocument(plan)))).toMatchObject({ schemaVersion: 1 });
      for (const { diff } of plan.changes) expect(diff).toBe(diff.split('\n').map((line) => line.split('\t').map(escapeLine).join('\t')).join('\n'));
      exportSnapshot(read);
    }), { numRuns: fuzzRuns(60) });
  }, 60_000);

  it('what it does not know makes no PASS', async () => {
    const observed = fc.nat({ max: HOSTS.length - 1 }).chain((host) => fc.record({
      host: fc.constant(host),
      path: fc.constantFrom(...pathsOf(HOSTS[host] ?? null).filter((path) => path.at(-1) === 'status').map((path) => path.slice(0, -1))),
    }));
    await fc.assert(fc.asyncProperty(observed, fc.boolean(), async ({ host, path }, gone) => {
      const known = HOSTS[host] ?? null;
      const tree = structuredClone(known);
      at(tree, path, (holder, name) => {
        // A file that nobody looked at, and a part that nobody asked for, are missing.
        if (gone && !Array.isArray(holder)) Reflect.deleteProperty(holder, name);
        else holder[name] = { status: 'unreadable', reason: 'nobody could' };
      });
      const read = await readOrRefused(tree);
      if (read === null) return;
      const before = judged(known as unknown as Facts).report.results;
      const passes = judged(read).report.results.filter(({ outcome }) => outcome === 'pass').map(({ check }) => check);
      const could = new Set(before.filter(({ outcome }) => outcome === 'pass').map(({ check }) => check));
      expect(passes.filter((check) => !could.has(check)), path.join('.')).toEqual([]);
    }), { numRuns: fuzzRuns(50) });
  }, 60_000);
});
