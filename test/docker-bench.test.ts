import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { checks } from '../checks/index.ts';
import type { Finding, Outcome, Report } from '../src/model.ts';
import type { DockerBenchDocument, DockerBenchResult } from '../src/render/docker-bench.ts';
import { dockerBench } from '../src/render/docker-bench.ts';
import { harden } from './terminal.ts';

const HOST = 'fixtures/hosts/debian-12.json';
const directory = mkdtempSync(join(tmpdir(), 'harden-docker-bench-'));
afterAll(() => rmSync(directory, { recursive: true }));

const printed = async (...args: string[]): Promise<DockerBenchDocument> =>
  JSON.parse((await harden(['scan', '--facts', HOST, '--format', 'docker-bench', ...args])).out) as DockerBenchDocument;
const idsOf = ({ tests }: DockerBenchDocument): string[] => tests.flatMap(({ results }) => results.map(({ id }) => id));

describe('harden scan --format docker-bench', () => {
  it('has the 117 recommendations of CIS 1.6.0 in their order, whatever edition the scan is numbered by', async () => {
    const numbers = checks.flatMap(({ cis }) => cis['1.6.0'] ?? []).sort((a, b) => a.localeCompare(b, 'en', { numeric: true }));
    expect(numbers).toHaveLength(117);
    const document = await printed();
    expect(idsOf(document)).toEqual(numbers);
    expect(document.checks).toBe(117);
    expect(document.tests.map(({ id }) => id)).toEqual(['1', '2', '3', '4', '5', '6', '7']);
    for (const { id, results } of document.tests) expect(results.every((result) => result.id.startsWith(`${id}.`))).toBe(true);
    expect(idsOf(await printed('--benchmark', '1.2.0', '-c', '2.1,4'))).toEqual(['2.2', '4.1', '4.2', '4.3', '4.4', '4.5', '4.6', '4.7', '4.8', '4.9', '4.10', '4.11']);
  });

  it('has what parsers of the original read', async () => {
    const { dockerbenchsecurity, start, tests, score, end } = await printed();
    expect({ dockerbenchsecurity, whole: [start, score, end].every(Number.isInteger) }).toEqual({ dockerbenchsecurity: '1.6.0', whole: true });
    expect(end).toBeGreaterThanOrEqual(start);
    for (const { id, desc, result, details, items } of tests.flatMap(({ results }) => results)) {
      // DefectDojo takes the title from id and desc, the severity from result, and skips what says "(Manual)".
      expect({ id, text: desc.length > 0, manual: desc.includes('(Manual)') }).toEqual({ id, text: true, manual: false });
      if (result === 'PASS') expect({ details, items }).toEqual({});
      else expect(details).not.toBe('');
    }
    const privileged = tests.flatMap(({ results }) => results).find(({ id }) => id === '4.6');
    expect(privileged).toMatchObject({ result: 'WARN', items: expect.arrayContaining([expect.any(String)]) as unknown, remediation: expect.stringContaining('HEALTHCHECK') as unknown });
  });

  it('goes to a file next to other formats', async () => {
    const file = join(directory, 'bench.json');
    const { out } = await harden(['scan', '--facts', HOST, '--format', 'table', '--format', `docker-bench=${file}`, '-c', 'daemon']);
    expect(out).toContain('daemon.icc');
    expect(idsOf(JSON.parse(readFileSync(file, 'utf8')) as DockerBenchDocument)).toContain('2.2');
  });

  it('prints hostile names as JSON that no terminal acts on', async () => {
    const facts = JSON.parse(readFileSync(HOST, 'utf8')) as { images: { value: { tags: string[] }[] } };
    for (const image of facts.images.value) image.tags = ['a"b\u001b[31m, c:1'];
    const hostile = join(directory, 'hostile.json');
    writeFileSync(hostile, JSON.stringify(facts));
    const { out } = await harden(['scan', '--facts', hostile, '--format', 'docker-bench', '-c', 'image.healthcheck']);
    expect(out).not.toContain('\u001b');
    expect((JSON.parse(out) as DockerBenchDocument).tests[0]?.results[0]?.items).toEqual(['a"b\u001b[31m, c:1']);
  });
});

describe('verdicts', () => {
  type ShownFinding = Omit<Finding, 'check' | 'detail'>;
  const finding = (outcome: Outcome, name: string, waived = false): ShownFinding => ({
    target: { kind: 'container', name, id: name }, outcome, message: `${name} is ${outcome}`,
    ...(waived && { waiver: { reason: 'agreed', owner: 'team', expires: '2027-01-01' } }),
  });
  const report = (outcome: Outcome, findings: readonly ShownFinding[]): Report => ({
    schemaVersion: 1, tool: { name: 'harden', version: '1.0.0' }, benchmark: '1.8.0', startedAt: '2026-11-17T12:00:00.900Z', durationMs: 200,
    selection: { include: [], exclude: [], level: 2, targets: { include: [], exclude: [], labels: [] } },
    host: { hostname: 'h', os: 'o', kernel: 'k', engine: { endpoint: 'e', local: true, version: '1', apiVersion: '1', rootless: false, storageDriver: 's' } },
    summary: { pass: 0, warn: 0, na: 0, manual: 0, unknown: 0, waived: 0, score: 0 },
    results: [{
      check: 'container.x', cis: '5.99', section: 'containers', title: 'X', level: 1, severity: 'low', outcome, reason: findings[0]?.message ?? 'all are waived', findings,
      remediation: { mode: 'manual', impact: 'recreate', risk: 'safe' },
    }],
  });
  const shown = (outcome: Outcome, findings: readonly ShownFinding[], number = '5.4', limit: number | null = null): DockerBenchResult & { score: number } => {
    const { tests, score } = dockerBench(report(outcome, findings), new Map([['container.x', { number, remediation: 'Do it.' }]]), limit);
    return { ...tests[0]?.results[0] as DockerBenchResult, score };
  };
  const base = { id: '5.4', desc: 'X' };

  it('are PASS, WARN with its items and remedy, INFO, and NOTE', () => {
    expect(shown('pass', [finding('pass', 'a')])).toEqual({ ...base, result: 'PASS', score: 1 });
    expect(shown('warn', [finding('warn', 'a'), finding('warn', 'b'), finding('pass', 'c')])).toEqual({
      ...base, result: 'WARN', details: 'a is warn', items: ['a', 'b'], remediation: 'Do it.', 'remediation-impact': 'impact recreate, risk safe', score: -1,
    });
    expect(shown('na', [finding('na', 'a')])).toEqual({ ...base, result: 'INFO', details: 'a is na', score: 0 });
    expect(shown('manual', [finding('manual', 'a')])).toEqual({ ...base, result: 'NOTE', details: 'a is manual', items: ['a'], score: 0 });
    expect(shown('unknown', [finding('unknown', 'a')])).toEqual({ ...base, result: 'NOTE', details: 'Could not be read: a is unknown', items: ['a'], score: 0 });
  });

  it('are INFO where every WARN was waived, and leave waived ones out of the items', () => {
    expect(shown('na', [finding('warn', 'a', true)])).toEqual({ ...base, result: 'INFO', details: 'Accepted by team until 2027-01-01: agreed', score: 0 });
    expect(shown('pass', [finding('pass', 'b'), finding('warn', 'a', true)])).toMatchObject({ result: 'INFO', score: 0 });
    expect(shown('warn', [finding('warn', 'b'), finding('warn', 'a', true)])).toMatchObject({ result: 'WARN', items: ['b'], score: -1 });
  });

  it('count for the score where they do in the original', () => {
    expect(shown('warn', [finding('warn', 'a')], '5.18').score).toBe(0);
    expect(shown('pass', [finding('pass', 'a')], '4.7').score).toBe(0);
    expect(shown('warn', [finding('warn', 'a')], '5.9').score).toBe(-1);
  });

  it('shorten their items to the limit, and say so', () => {
    expect(shown('warn', ['a', 'b', 'c'].map((name) => finding('warn', name)), '5.4', 2).items).toEqual(['a', 'b', '(truncated)']);
    expect(shown('warn', ['a', 'b'].map((name) => finding('warn', name)), '5.4', 0).items).toEqual(['a', 'b']);
  });

  it('leave out what CIS 1.6.0 lacks', () => {
    expect(dockerBench(report('warn', [finding('warn', 'a')]), new Map([['container.x', { number: undefined, remediation: null }]]), null)).toEqual({
      dockerbenchsecurity: '1.6.0', start: 1794916800, tests: [], checks: 0, score: 0, end: 1794916801,
    });
  });
});
