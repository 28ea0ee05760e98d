import { describe, expect, test } from 'vitest';
import { checks } from '../checks/index.ts';
import { evaluate } from '../src/evaluate.ts';
import type { Check, Finding, Outcome, Policy, Remediation, Report, Target, Verdict, Waiver } from '../src/model.ts';
import { OUTCOMES } from '../src/model.ts';
import { defaultPolicy } from '../src/policy.ts';
import { parseEdition, selectChecks, SelectionError } from '../src/selection.ts';
import { loadHost } from './hosts.ts';

const facts = loadHost('stock-debian');
const now = new Date('2026-11-17T12:00:00Z');

const file = (name: string): Target => ({ kind: 'file', name, id: name });
const verdict = (outcome: Outcome, name: string = outcome): Verdict<unknown> => ({ target: file(name), outcome, message: `${name} is ${outcome}`, detail: null });

const check = (id: string, judge: readonly Verdict<unknown>[] | (() => never), cis: Check['cis'] = { '1.8.0': '9.1' }, level: 1 | 2 = 1): Check => ({
  id, title: id, rationale: '', evidence: '', passes: '', section: 'files', severity: 'low', level, cis,
  evaluate: () => typeof judge === 'function' ? judge() : judge,
});

function run(list: readonly Check[], policy: Partial<Policy> = {}, remediations: readonly Remediation[] = []): { report: Report; findings: readonly Finding[] } {
  return evaluate(list, remediations, facts, { ...defaultPolicy, ...policy }, { now, durationMs: 12, tool: { name: 'harden', version: '1.2.3' } });
}

const waiver = (overrides: Partial<Waiver>): Partial<Policy> => ({ waivers: [{ check: 'file.one', reason: 'agreed', owner: 'team', ...overrides }] });
const isWaived = (overrides: Partial<Waiver>): boolean => {
  const one = check('file.one', [{ ...verdict('warn'), target: { kind: 'file', name: '/etc/docker/daemon.json', id: 'f1' } }]);
  return run([one], waiver(overrides)).findings[0]?.waiver !== undefined;
};

describe('evaluate', () => {
  test('a check that throws, or judges nothing, is unknown and does not stop the others', () => {
    const { report } = run([
      check('file.bad', () => { throw new TypeError('no such field'); }), check('file.empty', []), check('file.good', [verdict('pass')]),
    ]);
    expect(report.results.map(({ check: id, outcome, reason }) => ({ id, outcome, reason }))).toEqual([
      { id: 'file.bad', outcome: 'unknown', reason: 'check failed: no such field' },
      { id: 'file.empty', outcome: 'unknown', reason: 'check failed: it judged nothing' },
      { id: 'file.good', outcome: 'pass', reason: 'pass is pass' },
    ]);
  });

  test('the worst finding decides', () => {
    for (const [index, worst] of OUTCOMES.entries()) {
      const rest = OUTCOMES.slice(index).map((outcome) => verdict(outcome));
      expect(run([check('file.one', [...rest].reverse())]).report.results[0]).toMatchObject({ outcome: worst, reason: `${worst} is ${worst}` });
    }
  });

  test('the summary counts each check once; the score is PASS minus WARN', () => {
    const of = (outcome: Outcome, id: string): Check => check(`file.${id}`, [verdict(outcome)]);
    const { summary } = run([of('pass', 'a'), of('pass', 'b'), of('pass', 'c'), of('warn', 'd'), of('na', 'e'), of('manual', 'f'), of('unknown', 'g')]).report;
    expect(summary).toEqual({ pass: 3, warn: 1, na: 1, manual: 1, unknown: 1, waived: 0, score: 2 });
  });

  test('numbers are those of the edition, null where it lacks the check', () => {
    const list = [check('file.one', [verdict('pass')], { '1.8.0': '3.2', '1.5.0': '3.9' }), check('file.own', [verdict('pass')], {})];
    expect(run(list, { benchmark: '1.5.0' }).report.results.map(({ cis }) => cis)).toEqual(['3.9', null]);
  });

  test('a result holds neither the details nor the id that it repeats, and says what would fix it', () => {
    const one = check('file.one', [verdict('warn')]);
    const remediation: Remediation = { check: one, mode: 'auto', effect: 'Fixes it.', impact: 'reload', risk: 'safe', parameters: [], propose: () => ({ edits: [], parameters: [] }) };
    const [withFix, without] = [run([one], {}, [remediation]), run([one])].map(({ report }) => report.results[0]);
    expect(withFix?.findings).toEqual([{ target: file('warn'), outcome: 'warn', message: 'warn is warn' }]);
    expect(withFix?.remediation).toEqual({ mode: 'auto', impact: 'reload', risk: 'safe' });
    expect(without?.remediation.mode).toBe('none');
  });

  test('the document says what was looked at, and when', () => {
    expect(run([check('file.one', [verdict('pass')])]).report).toMatchObject({
      schemaVersion: 1, tool: { name: 'harden', version: '1.2.3' }, benchmark: '1.8.0', startedAt: facts.collectedAt, durationMs: 12,
      host: { hostname: 'stock-debian', engine: { endpoint: 'unix:///var/run/docker.sock', local: true, version: '20.10.24+dfsg1', rootless: false, storageDriver: 'overlay2' } },
    });
  });
});

describe('waivers', () => {
  test('a waived warn is shown and counted apart; it is no WARN and no PASS', () => {
    const { report } = run([check('file.one', [verdict('warn')])], waiver({}));
    expect(report.results[0]).toMatchObject({ outcome: 'na', reason: 'waived: agreed', findings: [{ outcome: 'warn', waiver: { reason: 'agreed', owner: 'team', expires: null } }] });
    expect(report.summary).toEqual({ pass: 0, warn: 0, na: 1, manual: 0, unknown: 0, waived: 1, score: 0 });
  });

  test('the rest decides, and one open warn keeps the WARN', () => {
    const two = (outcome: Outcome): Check => check('file.one', [verdict('warn', 'warn'), verdict(outcome, 'other')]);
    expect(run([two('pass')], waiver({ target: 'file:warn' })).report.summary).toMatchObject({ pass: 1, warn: 0, waived: 1 });
    expect(run([two('unknown')], waiver({ target: 'file:warn' })).report.summary).toMatchObject({ unknown: 1, warn: 0, waived: 1 });
    expect(run([two('warn')], waiver({ target: 'file:warn' })).report.summary).toMatchObject({ warn: 1, waived: 0 });
  });

  test('only a warn can be waived', () => {
    for (const outcome of ['unknown', 'manual', 'pass', 'na'] as const) {
      expect(run([check('file.one', [verdict(outcome)])], waiver({})).findings[0]?.waiver, outcome).toBeUndefined();
    }
  });

  test.each([
    ['the id', { check: 'file.one' }, true],
    ['a prefix by segment', { check: 'file' }, true],
    ['a prefix within a segment', { check: 'file.o' }, false],
    ['the number', { check: '9.1' }, true],
    ['a number that only starts the same', { check: '9.10' }, false],
    ['another check', { check: 'file.two' }, false],
    ['a glob over the name', { target: 'file:/etc/docker/*' }, true],
    ['a glob over the id', { target: 'file:f?' }, true],
    ['another kind', { target: 'container:*' }, false],
    ['a glob that matches a part', { target: 'file:/etc/docker' }, false],
    ['a glob with characters of a pattern', { target: 'file:/etc/docker/(daemon|other).json' }, false],
    ['its last day', { expires: '2026-11-17' }, true],
    ['the day after', { expires: '2026-11-16' }, false],
    ['a date that is none', { expires: 'soon' }, false],
  ] satisfies [string, Partial<Waiver>, boolean][])('by %s', (_title, overrides, expected) => {
    expect(isWaived(overrides)).toBe(expected);
  });
});

describe('selection', () => {
  const all = { include: [], exclude: [], level: 2, benchmark: '1.8.0' } as const;
  const ids = (selection: Partial<Parameters<typeof selectChecks>[1]>): string[] => selectChecks(checks, { ...all, ...selection }).selected.map(({ id }) => id);
  const failure = (selection: Partial<Parameters<typeof selectChecks>[1]>): string => {
    try {
      ids(selection);
    } catch (error) {
      if (error instanceof SelectionError) return error.message;
    }
    throw new Error('no SelectionError was thrown');
  };

  test('without terms: what the edition numbers, in registry order', () => {
    expect(ids({})).toEqual(checks.filter(({ cis }) => cis['1.8.0'] !== undefined || Object.keys(cis).length === 0).map(({ id }) => id));
    expect(ids({ benchmark: 'd1.6' })).toContain('file.legacy.3.9');
    expect(ids({})).not.toContain('file.legacy.3.9');
  });

  test('terms are ids, prefixes and numbers by segment; the order stays the registry\'s', () => {
    expect(ids({ include: ['file.tlskey.mode', 'host.partition'] })).toEqual(['host.partition', 'file.tlskey.mode']);
    expect(ids({ include: ['file.docker-sock'] })).toEqual(['file.docker-sock.owner', 'file.docker-sock.mode']);
    expect(ids({ include: ['3.1'] })).toEqual(['file.docker-service.owner']);
    expect(ids({ include: ['3'] })).toHaveLength(24);
    expect(ids({ include: ['3.15'], benchmark: 'd1.6' })).toEqual(['file.etc-docker.owner']);
    expect(ids({ include: ['file', '3.16'], exclude: ['file.docker-sock'] })).toHaveLength(22);
  });

  test('codes of Dockle select a check, in any case, whatever the edition numbers', () => {
    expect(ids({ include: ['CIS-DI-0001'] })).toEqual(['image.user']);
    expect(ids({ include: ['cis-di-0001', 'image.healthcheck'], exclude: ['Cis-Di-0006'] })).toEqual(['image.user']);
    expect(ids({ include: ['CIS-DI-0006'], benchmark: 'd1.6' })).toEqual(['image.healthcheck']);
    expect(failure({ include: ['CIS-DI-000'] })).toContain('no check matches "CIS-DI-000"');
    expect(failure({ include: ['CIS-DI'] })).toContain('no check matches');
  });

  test('a retired check is selected by its own id, or where nothing current matches', () => {
    expect(ids({ include: ['file.legacy.3.9'] })).toEqual(['file.legacy.3.9']);
    expect(ids({ include: ['file.legacy'] })).toHaveLength(8);
    expect(ids({ include: ['file'] })).toHaveLength(24);
  });

  test('the level holds for all', () => {
    expect(ids({ level: 1, include: ['file.daemon-json', 'file.etc-docker'] })).toEqual(['file.etc-docker.owner', 'file.etc-docker.mode']);
    expect(failure({ level: 1, include: ['file.daemon-json'] })).toContain('nothing is left to check');
  });

  test('a number of another edition names it; a misspelt id names its neighbours', () => {
    expect(failure({ include: ['3.26'] })).toContain('edition 1.8.0 has no check 3.26; d1.6 has');
    expect(failure({ include: ['file.tls-key.mode'] })).toContain('file.tlskey.mode');
    expect(failure({ exclude: ['docker-group'] })).toContain('did you mean host.docker-group');
    expect(failure({ include: ['no such thing'] })).not.toContain('did you mean');
    expect(failure({ include: ['__proto__'] })).toContain('no check matches');
  });

  test('editions by the catalogue\'s name and by the title page', () => {
    expect(['1.8.0', 'd1.11', '1.11.0', '1.13.0', '1.6.0', 'd1.6'].map(parseEdition)).toEqual(['1.8.0', 'd1.11', 'd1.11', 'd1.13', '1.6.0', 'd1.6']);
    for (const wrong of ['1.6', '2.0.0', '', 'constructor']) expect(() => parseEdition(wrong)).toThrow(/use one of d1\.6, .*1\.8\.0/u);
  });
});
