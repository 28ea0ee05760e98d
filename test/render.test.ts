import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checks } from '../checks/index.ts';
import { remediations } from '../remediations/index.ts';
import { ceilingOffers } from '../src/ceilings.ts';
import { evaluate } from '../src/evaluate.ts';
import type { Change, Facts, Finding, Plan, Report } from '../src/model.ts';
import { makePlan } from '../src/plan.ts';
import { defaultPolicy } from '../src/policy.ts';
import { renderDiff } from '../src/render/diff.ts';
import { escapeBlock, escapeLine } from '../src/render/escape.ts';
import { renderHistory } from '../src/render/history.ts';
import { PLAIN, paragraph, widthOf } from '../src/render/layout.ts';
import { renderOutcomes } from '../src/render/outcomes.ts';
import { renderPlan } from '../src/render/plan.ts';
import { renderTable } from '../src/render/table.ts';
import { countStates } from '../src/verify.ts';
import { TOOL } from '../src/version.ts';
import { hostileText, terminalDanger } from './support/hostile.ts';

const facts = JSON.parse(readFileSync('fixtures/hosts/stock-debian.json', 'utf8')) as Facts;
const now = new Date('2026-11-22T10:00:00Z');
const { report } = evaluate(checks, remediations, facts, defaultPolicy, { now, durationMs: 1, tool: TOOL });
const { plan } = makePlan({ facts, policy: defaultPolicy, checks, remediations, tool: TOOL, now, restart: { kind: 'systemd', unit: 'docker.service' } });

const HOSTILE = '\u001b]0;owned\u0007\u001b[2J\u202ePASS\u2066\r\n2.2  PASS\u0085\u200b\u009b31m';

describe('escaping', () => {
  it('leaves nothing that moves, recolours, reorders or hides text', () => {
    fc.assert(fc.property(hostileText('/nowhere'), (text) => {
      expect(terminalDanger(escapeLine(text))).toBeNull();
      expect(escapeLine(text)).not.toContain('\n');
      expect(terminalDanger(escapeBlock(text).replaceAll('\t', ''))).toBeNull();
      expect(escapeLine(escapeLine(text))).toBe(escapeLine(text));
    }));
  });

  it('shows what it escaped and leaves ordinary text of any script alone', () => {
    expect(escapeLine('a\u001b[31m\nb\u202e')).toBe('a\\e[31m\\nb\\u{202e}');
    expect(escapeBlock('a\n\tb\u0007')).toBe('a\n\tb\\u{7}');
    expect(escapeLine('Grüße, 東京 🐳 C:\\x')).toBe('Grüße, 東京 🐳 C:\\x');
  });

  it('reaches every place where a hostile name or value can stand', () => {
    const target = { kind: 'container', name: HOSTILE, id: HOSTILE } as const;
    const finding: Omit<Finding, 'check' | 'detail'> = {
      target, outcome: 'warn', message: HOSTILE, pending: { waitsFor: HOSTILE }, waiver: { reason: HOSTILE, owner: HOSTILE, expires: HOSTILE },
    };
    const host = { ...report.host, hostname: HOSTILE, os: HOSTILE, kernel: HOSTILE, engine: { ...report.host.engine, endpoint: HOSTILE, version: HOSTILE } };
    const hostile: Report = { ...report, host, results: report.results.map((result) => ({ ...result, outcome: 'warn', findings: [finding, { ...finding, pending: { waitsFor: HOSTILE } }] })) };
    const reference = { check: 'daemon.icc', target };
    const change: Change = {
      id: HOSTILE, kind: 'metadata', target, path: HOSTILE, title: HOSTILE, before: null, after: { content: null, bom: false, mode: 0, uid: 0, gid: 0 },
      activations: [], impact: 'none', risk: 'safe', undo: 'none', effect: HOSTILE, because: [reference],
      promises: [{ ...reference, expect: 'pending', waitsFor: HOSTILE }], requires: [HOSTILE], diff: `--- a\n+++ b\n+${HOSTILE}`, fingerprint: '',
    };
    const hostilePlan: Plan = {
      ...plan, id: HOSTILE, host, changes: [change],
      deferred: (['ceiling', 'guard'] as const).map((reason) => ({ ...reference, reason, explanation: HOSTILE, needs: HOSTILE })),
      restart: { containersSurvive: false, stops: [{ name: HOSTILE, restartPolicy: HOSTILE, startedByHarden: true }] },
    };
    const results = (['fixed', 'pending', 'regressed'] as const).map((state) => ({ ...reference, before: 'warn' as const, after: 'pass' as const, state, reason: HOSTILE }));
    const outcomes = {
      schemaVersion: 1 as const, tool: TOOL, runId: HOSTILE, planId: null, changes: [{ id: HOSTILE, state: 'failed' as const, reason: HOSTILE }], results, summary: countStates(results),
    };
    const runs = [{ runId: HOSTILE, planId: HOSTILE, createdAt: HOSTILE, closed: true, result: { result: HOSTILE, failure: HOSTILE }, rolledBackBy: HOSTILE, unreadable: HOSTILE,
      user: { uid: 0, loginuid: 1000, sudoUser: HOSTILE }, ticket: HOSTILE, confirmation: { within: 1, by: HOSTILE, confirmedAt: null, notReverted: HOSTILE } },
    { runId: HOSTILE, planId: null, createdAt: null, closed: true, result: null, rolledBackBy: null, unreadable: null, user: null, ticket: null,
      confirmation: { within: 1, by: HOSTILE, confirmedAt: HOSTILE, notReverted: null } }];
    for (const text of [
      renderTable(hostile, PLAIN, null), renderPlan(hostilePlan, hostile, PLAIN, null),
      renderOutcomes(outcomes, 'first', (check) => check, PLAIN, null), renderHistory(runs, HOSTILE, PLAIN),
    ]) {
      expect(terminalDanger(text)).toBeNull();
      expect(text).not.toMatch(/^2\.2 {2}PASS/m);
    }
  });
});

describe('layout', () => {
  it('wraps to the width of the terminal and loses no word', () => {
    fc.assert(fc.property(fc.string({ unit: 'grapheme' }), fc.integer({ min: 40, max: 120 }), (text, width) => {
      const lines = paragraph(text, { color: false, width }, 4, '· ');
      expect(lines.map((line) => line.trim()).join(' ').replaceAll(/\s+/g, ' ').trim()).toBe(`· ${escapeLine(text)}`.replaceAll(/\s+/g, ' ').trim());
      for (const line of lines) if (line.slice(6).includes(' ')) expect(widthOf(line)).toBeLessThanOrEqual(Math.max(width, 26));
    }));
  });

  it('adds nothing but colour on a terminal', () => {
    const color = { color: true, width: Infinity };
     
    const bare = (text: string): string => text.replaceAll(/\u001b\[\d+m/g, '');
    expect(bare(renderTable(report, color, null))).toBe(renderTable(report, PLAIN, null));
    expect(bare(renderPlan(plan, report, color, null))).toBe(renderPlan(plan, report, PLAIN, null));
    expect(renderPlan(plan, report, color, null)).not.toBe(renderPlan(plan, report, PLAIN, null));
  });

  it('colours a diff by line, and only the lines that changed', () => {
    expect(renderDiff('@@ -1 +1 @@\n-a\n+b\n c\n', { color: true, width: 80 }, 0)).toEqual(['\u001b[36m@@ -1 +1 @@\u001b[39m', '\u001b[31m-a\u001b[39m', '\u001b[32m+b\u001b[39m', ' c']);
  });
});

describe('the table', () => {
  const lines = renderTable(report, PLAIN, null).split('\n');

  it('names the engine, and whether it is this host\'s, in its first line', () => {
    expect(lines[0]).toBe('Docker 20.10.24+dfsg1 at unix:///var/run/docker.sock (local) · stock-debian · Debian GNU/Linux 12 (bookworm) · CIS 1.8.0');
    const remote = { ...report, host: { ...report.host, engine: { ...report.host.engine, endpoint: 'tcp://10.0.0.9:2376', local: false } } };
    expect(renderTable(remote, PLAIN, null)).toMatch(/^Docker \S+ at tcp:\/\/10\.0\.0\.9:2376 \(remote\)/);
  });

  it('has every result once, in the order of the numbers', () => {
    const numbers = lines.flatMap((line) => /^ {2}(\d[\d.]+) +(?:PASS|WARN|N\/A|MANUAL|UNKNOWN) /.exec(line)?.[1] ?? []);
    expect(numbers).toEqual(report.results.flatMap(({ cis }) => cis ?? []).sort((a, b) => a.localeCompare(b, 'en', { numeric: true })));
    expect(numbers.indexOf('2.10')).toBeGreaterThan(numbers.indexOf('2.9'));
  });

  it('shows what is pending and what is waived, and shortens lists when asked', () => {
    const target = (name: string): Finding['target'] => ({ kind: 'container', name, id: name });
    const [result] = report.results;
    if (result === undefined) throw new Error('no result');
    const text = (limit: number | null): string => renderTable({
      ...report, results: [{
        ...result, outcome: 'warn', findings: [
          { target: target('web'), outcome: 'warn', message: 'is open', pending: { waitsFor: 'a restart' } },
          { target: target('db'), outcome: 'warn', message: 'is open too', waiver: { reason: 'until June', owner: 'me', expires: '2027-06-30' } },
          { target: target('ok'), outcome: 'pass', message: 'is closed' },
        ],
      }],
    }, PLAIN, limit);
    expect(text(null)).toContain('· container web: is open\n');
    expect(text(null)).toContain('pending: waits for a restart');
    expect(text(null)).toContain('· waived container db: is open too\n');
    expect(text(null)).toContain('accepted by me, until 2027-06-30: until June');
    expect(text(null)).not.toContain('is closed');
    expect(text(1)).not.toContain('is open too');
    expect(text(1)).toContain('… and 1 more');
  });
});

describe('the plan', () => {
  it('shows each change with its cost, its diff and its promises, and each deferred finding with what it needs', () => {
    const text = renderPlan(plan, report, PLAIN, null);
    for (const { diff, effect, impact, risk, undo } of plan.changes) {
      expect(text).toContain(`impact ${impact} · risk ${risk} · undo ${undo}`);
      expect(text).toContain(effect);
      for (const line of diff.trimEnd().split('\n')) expect(text).toContain(line);
    }
    for (const { check, explanation } of plan.deferred) {
      expect(text).toContain(check);
      expect(text).toContain(explanation.split('\n')[0]);
    }
  });

  it('offers each higher ceiling once, lowest first, with what it releases', () => {
    const target = { kind: 'daemon', name: 'dockerd', id: 'dockerd' } as const;
    const deferred = (check: string, needs: string): Plan['deferred'][number] => ({ check, target, reason: 'ceiling', explanation: '', needs });
    const offers = ceilingOffers({
      inputs: plan.inputs,
      deferred: [
        deferred('a', '--max-impact restart --max-risk behaviour'), deferred('b', '--max-impact restart'), deferred('c', '--max-impact restart'),
        { ...deferred('d', 'something else'), reason: 'manual' },
      ],
    });
    expect(offers.map(({ flags, adds }) => [flags, adds.map(({ check }) => check)])).toEqual([
      ['--max-impact restart', ['b', 'c']], ['--max-impact restart --max-risk behaviour', ['a']],
    ]);
  });

  it('says what a restart does to the containers that run', () => {
    const restart = { containersSurvive: false, stops: [{ name: 'web', restartPolicy: 'always', startedByHarden: false }, { name: 'job', restartPolicy: 'no', startedByHarden: true }] };
    const text = renderPlan({ ...plan, restart }, report, PLAIN, null);
    expect(text).toContain('web (restart policy always) comes back by itself');
    expect(text).toContain('job (restart policy no) would stay down, so harden starts it again');
    expect(renderPlan({ ...plan, restart: { containersSurvive: true, stops: [] } }, report, PLAIN, null)).toContain('keep running');
  });
});

it('outcomes go from worst to best, before → after, and say what to do next', () => {
  const target = { kind: 'daemon', name: 'dockerd', id: 'dockerd' } as const;
  const results = [
    { check: 'a', target, before: 'warn' as const, after: 'pass' as const, state: 'fixed' as const, reason: 'off' },
    { check: 'b', target, before: 'warn' as const, after: 'warn' as const, state: 'pending' as const, reason: 'waits for no container on docker0' },
    { check: 'c', target, before: 'pass' as const, after: 'warn' as const, state: 'regressed' as const, reason: 'is open' },
  ];
  const text = renderOutcomes(
    { schemaVersion: 1, tool: TOOL, runId: 'R1', planId: 'P', changes: [{ id: 'file:/x', state: 'applied', reason: null }], results, summary: countStates(results) },
    'Docker', (check) => check, PLAIN, null,
  );
  expect(text).toMatch(/^Docker\nRun R1\n {2}applied {3}file:\/x\n/);
  expect(text.indexOf('PASS → WARN  c')).toBeLessThan(text.indexOf('WARN → WARN  b'));
  expect(text.indexOf('WARN → WARN  b')).toBeLessThan(text.indexOf('WARN → PASS  a'));
  expect(text).toContain('waits for no container on docker0');
  expect(text).toContain('3 findings: 1 regressed, 1 pending, 1 fixed.');
  expect(text).toContain('`harden rollback R1` undoes it');
});
