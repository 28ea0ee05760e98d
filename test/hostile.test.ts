/** Hostile facts, files and documents: whatever a name or a value says, it moves no terminal, breaks no document, and reaches no prototype. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { checks } from '../checks/index.ts';
import { remediations } from '../remediations/index.ts';
import { evaluate } from '../src/evaluate.ts';
import type { Facts, Json, Policy } from '../src/model.ts';
import { makePlan, planDocument } from '../src/plan.ts';
import { defaultPolicy } from '../src/policy.ts';
import { dockerBench } from '../src/render/docker-bench.ts';
import { printJson } from '../src/render/escape.ts';
import { PLAIN } from '../src/render/layout.ts';
import { renderPlan } from '../src/render/plan.ts';
import { renderTable } from '../src/render/table.ts';
import { exportSnapshot } from '../src/snapshot.ts';
import { TOOL } from '../src/version.ts';
import { maskJson } from '../src/mask.ts';
import { caseOf } from './cases.ts';
import { casePaths, loadHost } from './hosts.ts';
import { harden } from './terminal.ts';
import { fuzzRuns, HUGE, hostileCorpus, hostileJson, hostileText, INVALID_UTF8, makeCanary, pollution, terminalDanger } from './support/hostile.ts';

const canary = makeCanary();
afterAll(() => canary.remove());
afterEach(() => {
  expect(pollution()).toEqual([]);
  expect(canary.touched()).toBe(false);
});

const now = new Date('2026-11-22T10:00:00Z');
const COLOUR = { color: true, width: 100 };
/** Everything that harden can do, so that every renderer is reached. */
const WILLING: Policy = { ...defaultPolicy, maxImpact: 'data', maxRisk: 'irreversible' };

describe('documents', () => {
  test('say the same to a JSON parser, and nothing to a terminal', () => {
    fc.assert(fc.property(hostileJson(canary.path), (value) => {
      const text = printJson(value);
      expect(JSON.parse(text)).toEqual(value);
      expect(terminalDanger(text)).toBeNull();
    }));
    expect(JSON.parse(printJson({ HUGE }))).toEqual({ HUGE });
  });

  test('are masked whatever their keys are', () => {
    fc.assert(fc.property(hostileJson(canary.path), (value) => {
      const masked = maskJson({ password: value, token: 'x', other: value } as { [key: string]: Json }) as { [key: string]: Json };
      expect(masked['token']).toBe('***');
      const values = (node: unknown): unknown[] => (typeof node === 'object' && node !== null ? Object.values(node).flatMap(values) : [node]);
      for (const each of values(masked['password'])) expect(['', '***', true, false, null]).toContain(each);
    }));
    for (const key of hostileCorpus(canary.path).key) expect(Object.keys(maskJson(JSON.parse(`{"${key}":{"polluted":1}}`) as Json) as object)).toEqual([key]);
  });
});

type Node = Record<string, unknown>;
/** What the collector itself writes: no outsider chooses it. */
const OURS = new Set(['status', 'kind', 'schemaVersion', 'tool', 'type', 'state', 'architecture', 'takenAt', 'collectedAt']);
/** Records whose keys somebody else chose. */
const KEYED = new Set(['labels', 'options', 'annotations', 'files', 'attachments', 'sysctls', 'environmentFiles', 'texts']);

/** The facts with some of their strings, and keys that outsiders choose, replaced. */
function spoiled(facts: Facts, texts: readonly string[], every: number): Facts {
  let at = 0;
  const next = (text: string): string => ((at += 1) % every === 0 ? (texts[(at / every) % texts.length] ?? text) : text);
  const walk = (value: unknown, keyed: boolean): unknown => {
    if (typeof value === 'string') return next(value);
    if (Array.isArray(value)) return value.map((item) => walk(item, false));
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(Object.entries(value as Node).map(([key, inner]) => [keyed ? next(key) : key, OURS.has(key) ? inner : walk(inner, KEYED.has(key))]));
  };
  return walk(facts, false) as Facts;
}

describe('facts', () => {
  const cases = casePaths();
  const bases = [loadHost('stock-debian'), loadHost('debian-12'), ...cases.filter((_, index) => index % 5 === 0).map((path) => caseOf(path).facts)];

  test('of a hostile host make no output that a terminal acts on, and no document that is none', { timeout: 60_000 }, () => {
    const counts = { changes: 0, deferred: 0 };
    fc.assert(fc.property(fc.nat(), fc.array(hostileText(canary.path), { minLength: 1, maxLength: 40 }), fc.integer({ min: 1, max: 9 }), (base, texts, every) => {
      const facts = spoiled(bases[base % bases.length] as Facts, texts, every);
      const { report } = evaluate(checks, remediations, facts, WILLING, { now, durationMs: 1, tool: TOOL });
      const { plan } = makePlan({ facts, policy: WILLING, checks, remediations, tool: TOOL, now, restart: { kind: 'systemd', unit: 'docker.service' } });
      counts.changes += plan.changes.length;
      counts.deferred += plan.deferred.length;
      for (const text of [renderTable(report, PLAIN, null), renderPlan(plan, report, PLAIN, null)]) expect(terminalDanger(text)).toBeNull();
      for (const text of [renderTable(report, COLOUR, null), renderPlan(plan, report, COLOUR, null)]) expect(terminalDanger(text, { color: true })).toBeNull();
      for (const document of [report, planDocument(plan), dockerBench(report, new Map(checks.map(({ id, cis }) => [id, { number: cis['1.6.0'], remediation: null }])), null), exportSnapshot(facts)]) {
        const text = printJson(document);
        expect(terminalDanger(text)).toBeNull();
        expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(document)));
      }
    }), { numRuns: fuzzRuns(25), endOnFailure: true, interruptAfterTimeLimit: 15_000 });
    expect(counts.changes).toBeGreaterThan(0);
    expect(counts.deferred).toBeGreaterThan(0);
  });
});

describe('files', () => {
  const directory = mkdtempSync(join(tmpdir(), 'harden-hostile-'));
  afterAll(() => rmSync(directory, { recursive: true, force: true }));
  const facts = join('fixtures', 'hosts', 'stock-debian.json');
  const written = (name: string, content: string | Buffer): string => {
    const path = join(directory, name);
    writeFileSync(path, content, { mode: 0o600 });
    return path;
  };
  /** Each way in which a file gets into a command. */
  const WAYS: Readonly<Record<string, (content: string | Buffer) => string[]>> = {
    'harden.yaml': (content) => ['scan', '--facts', facts, '--policy', written('harden.yaml', content)],
    snapshot: (content) => ['scan', '--facts', written('facts.json', content)],
    plan: (content) => ['verify', written('plan.json', content), '--facts', facts],
    baseline: (content) => ['verify', '--baseline', written('report.json', content), '--facts', facts],
    vulnerabilities: (content) => ['scan', '--facts', facts, '--vulnerabilities', written('scan.json', content)],
    'compose file': (content) => ['rewrite', written('compose.yaml', content)],
    'docker run line': (content) => ['rewrite', written('run.sh', content)],
  };

  test.each(Object.entries(WAYS))('%s: what is no text, and keys that reach a prototype, end in one clear error', async (_, command) => {
    const nested = JSON.stringify({ schemaVersion: 1, tool: { name: 'harden', version: '1' } }).replace('"tool"', '"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}},"tool"');
    for (const content of [...INVALID_UTF8, '\0', '\u001b]0;x\u0007', nested, '{"__proto__":{"polluted":1}}', '['.repeat(100_000), 'services: {x: {image: y, __proto__: {polluted: 1}}}', HUGE]) {
      const { code, out, err } = await harden(command(content));
      expect([0, 1, 2]).toContain(code);
      expect(err).not.toContain('a fault in harden');
      expect([terminalDanger(out), terminalDanger(err)]).toEqual([null, null]);
      expect(err.split('\n').length).toBeLessThan(40);
    }
  });
});
