/** Hostile facts, files and documents: whatever a name or a value says, it moves no terminal, breaks no document, and reaches no prototype. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { checks } from '../checks/index.ts';
import { remediations } from '../remediations/index.ts';
import type { Kepts } from '../src/apply/gc.ts';
import type { RollbackPlan } from '../src/apply/rollback.ts';
import { maskedRunLines, runCommands } from '../src/container/to-run.ts';
import { evaluate } from '../src/evaluate.ts';
import type { RunSummary } from '../src/journal.ts';
import { maskJson } from '../src/mask.ts';
import type { ContainerSpec, Facts, FileState, Json, Policy } from '../src/model.ts';
import { makePlan, planDocument } from '../src/plan.ts';
import { diffOf } from '../src/plan/diff.ts';
import { defaultPolicy } from '../src/policy.ts';
import { shellLine } from '../src/quote.ts';
import { renderDiff } from '../src/render/diff.ts';
import { dockerBench } from '../src/render/docker-bench.ts';
import { escapeLine, printJson } from '../src/render/escape.ts';
import { renderKept } from '../src/render/gc.ts';
import { renderHistory, renderRollback } from '../src/render/history.ts';
import { PLAIN } from '../src/render/layout.ts';
import { renderPlan } from '../src/render/plan.ts';
import { renderTable } from '../src/render/table.ts';
import { exportSnapshot } from '../src/snapshot.ts';
import { TOOL } from '../src/version.ts';
import { caseOf } from './cases.ts';
import { casePaths, loadHost, readFixture } from './hosts.ts';
import { harden } from './terminal.ts';
import { asArgument, fuzzRuns, HUGE, hostileCorpus, hostileJson, hostileText, INVALID_UTF8, makeCanary, pollution, terminalDanger } from './support/hostile.ts';

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
    }), { numRuns: fuzzRuns(12), endOnFailure: true, interruptAfterTimeLimit: 15_000 });
    expect(counts.changes).toBeGreaterThan(0);
    expect(counts.deferred).toBeGreaterThan(0);
  });
});

describe('a docker run line', () => {
  const plain = readFixture('containers/plain.json') as { spec: ContainerSpec };
  const text = hostileText(canary.path);
  const container = fc.record({
    name: text, command: fc.array(text, { maxLength: 5 }), env: fc.array(fc.tuple(text, text).map(([name, value]) => `${name}=${value}`), { maxLength: 5 }),
    labels: fc.array(fc.tuple(text, text), { maxLength: 5 }).map((entries) => Object.fromEntries(entries)), workingDir: text, target: text,
  }).map(({ target, ...own }): ContainerSpec => ({
    ...plain.spec, ...own, mounts: [{ via: 'binds', kind: 'bind', source: target, target: `/${target}`, readOnly: false, options: '', details: {} } as unknown as ContainerSpec['mounts'][number]],
  }));

  test.each(['sh', 'bash'])('means to %s what it means to us, whatever the container is called and made of', (shell) => {
    fc.assert(fc.property(fc.array(container, { minLength: 5, maxLength: 20 }), (specs) => {
      const commands = specs.flatMap((spec) => runCommands(spec, '1.45')).map((words) => words.map(asArgument));
      const script = `docker() { printf '%s\\0' docker "$@" END; }\n${commands.map(shellLine).join('\n')}\n`;
      const read = execFileSync(shell, ['-s'], { input: script, encoding: 'utf8', cwd: '/', maxBuffer: 1 << 28 }).split('\0END\0').slice(0, -1).map((words) => words.split('\0'));
      expect(read).toEqual(commands);
    }), { numRuns: 5 });
  });

  test('shows no value of its environment, and is one line that a terminal can print', () => {
    fc.assert(fc.property(container, (spec) => {
      const env = ['PLAIN=zqcanary1', 'DB_PASSWORD=zqcanary2', 'URL=http://u:zqcanary3@x'];
      const lines = maskedRunLines({ ...spec, env: [...spec.env, ...env] }, '1.45').map(escapeLine);
      for (const line of lines) expect([terminalDanger(line), line.includes('\n'), /zqcanary/.test(line)]).toEqual([null, false, false]);
    }), { numRuns: fuzzRuns(50) });
  });
});

describe('a diff', () => {
  const lines = (texts: readonly string[]): string => texts.map((one) => `${one.replaceAll('\0', '').replace(/\p{Cs}/gu, '')}\n`).join('');
  const state = (content: string): FileState => ({ content, bom: false, mode: 0o644, uid: 0, gid: 0 });
  const text = hostileText(canary.path);

  test('is what patch(1) makes the new text of, whatever stands in the file', () => {
    const directory = mkdtempSync(join(tmpdir(), 'harden-diff-'));
    try {
      fc.assert(fc.property(fc.array(text, { maxLength: 12 }), fc.array(text, { maxLength: 3 }), fc.nat(), (old, added, at) => {
        const place = at % (old.length + 1);
        const [before, after] = [lines(old), lines([...old.slice(0, place), ...added, ...old.slice(place)])];
        const diff = diffOf('/etc/docker/daemon.json', state(before), state(after), (same) => same);
        if (before === after) return;
        const path = join(directory, 'file');
        writeFileSync(path, before);
        execFileSync('patch', ['--quiet', '--binary', '--posix', path], { input: diff, cwd: directory });
        expect(readFileSync(path, 'utf8')).toBe(after);
        expect(readdirSync(directory)).toEqual(['file']);
      }), { numRuns: fuzzRuns(30) });
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  test('shows a terminal nothing but text, line breaks and tabs', () => {
    fc.assert(fc.property(text, text, text, (path, before, after) => {
      const shown = renderDiff(diffOf(path, state(before), state(after), (same) => same), { color: true, width: 80 }, 4).join('\n');
      expect(terminalDanger(shown.replaceAll('\t', ''), { color: true })).toBeNull();
    }), { numRuns: fuzzRuns(100) });
  });
});

describe('lists', () => {
  test('of runs, of what is undone and of what is kept are clean', () => {
    fc.assert(fc.property(hostileText(canary.path), hostileText(canary.path), (one, other) => {
      const runs = [{ runId: one, planId: other, createdAt: one, closed: true, result: { result: other, failure: one }, rolledBackBy: other, unreadable: one, user: other, ticket: one, confirmation: null }] as unknown as RunSummary[];
      const container = { id: one, name: other, replaced: one, since: other, spared: null } as unknown as Kepts['containers'][number];
      const layer = { runId: one, container: other, path: one, since: other, spared: one } as unknown as Kepts['layers'][number];
      const rollback = {
        runId: one, createdAt: other, restores: [{ path: one, action: 'restore' }], takesBack: [other], lost: [one], saved: [other], daemon: 'restart', effects: { method: { kind: 'command', command: other } }, facts: null,
      } as unknown as RollbackPlan;
      for (const text of [renderHistory(runs, other, COLOUR), renderKept({ containers: [container], layers: [layer], runs: [] }, COLOUR), renderRollback(rollback, COLOUR)]) {
        expect(terminalDanger(text, { color: true })).toBeNull();
      }
    }), { numRuns: fuzzRuns(100) });
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
