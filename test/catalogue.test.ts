import { describe, expect, test } from 'vitest';
import { CHECKLISTS } from '../checks/checklists.ts';
import { checks } from '../checks/index.ts';
import { remediationFor } from '../remediations/index.ts';
import type { Edition } from '../src/model.ts';
import { EDITIONS } from '../src/model.ts';
import { selectChecks } from '../src/selection.ts';
import { readFixture } from './hosts.ts';
import { harden } from './terminal.ts';

/** Every recommendation of every edition, live or retired: its number in each edition that has it. */
const RECOMMENDATIONS = readFixture('recommendations.json') as readonly Partial<Record<Edition, string>>[];
const numbersOf = (edition: Edition): readonly string[] => RECOMMENDATIONS.flatMap((numbers) => numbers[edition] ?? []);
const select = (edition: Edition, term: string): string[] =>
  selectChecks(checks, { include: [term], exclude: [], level: 2, benchmark: edition }).selected.map(({ id }) => id);

describe('every edition', () => {
  test('the list of recommendations is whole', () => {
    expect(RECOMMENDATIONS).toHaveLength(150);
    expect(RECOMMENDATIONS.filter((numbers) => numbers['1.8.0'] !== undefined)).toHaveLength(118);
  });

  test('each recommendation is one check, with the same numbers', () => {
    const known = new Map(checks.map((check) => [JSON.stringify(EDITIONS.map((edition) => check.cis[edition] ?? null)), check.id]));
    const missing = RECOMMENDATIONS.filter((numbers) => !known.has(JSON.stringify(EDITIONS.map((edition) => numbers[edition] ?? null))));
    expect(missing).toEqual([]);
    expect(checks.filter(({ cis }) => Object.keys(cis).length > 0)).toHaveLength(RECOMMENDATIONS.length);
  });

  test.each(EDITIONS)('%s: each number selects its check, and an unnumbered one none', (edition) => {
    for (const number of numbersOf(edition)) {
      const own = checks.find(({ cis }) => cis[edition] === number);
      expect(select(edition, number), number).toContain(own?.id);
      expect(select(edition, number).filter((id) => !checks.find((check) => check.id === id)?.cis[edition]?.startsWith(number)), number).toEqual([]);
    }
  });

  test('a number that an edition lacks is answered with those that have it', () => {
    const isIn = (number: string, edition: Edition): boolean => numbersOf(edition).some((other) => other === number || other.startsWith(`${number}.`));
    for (const edition of EDITIONS) {
      for (const number of new Set(EDITIONS.flatMap(numbersOf))) {
        if (isIn(number, edition)) continue;
        const having = EDITIONS.filter((other) => isIn(number, other));
        expect(() => select(edition, number)).toThrow(`edition ${edition} has no check ${number}; ${having.join(', ')} ${having.length === 1 ? 'has' : 'have'}`);
      }
    }
  });

  test('on the command line', async () => {
    expect((await harden(['list', 'checks', '--benchmark', '1.2.0', '-c', '8.1.1'])).out).toMatch(/^ {2}8\.1\.1 {3}enterprise\.directory /mu);
    const { code, err } = await harden(['scan', '--facts', 'fixtures/hosts/stock-debian.json', '-c', '8.1.1']);
    expect({ code, err }).toEqual({ code: 2, err: 'harden: edition 1.8.0 has no check 8.1.1; 1.2.0 has\nselect the edition with --benchmark\n' });
  });
});

describe('the SANS checklist', () => {
  const sans = CHECKLISTS.get('sans');
  const boxes = sans?.lists.flatMap((list) => list.boxes) ?? [];

  test('has seven lists; every box names checks that exist, or says what to do', () => {
    expect(sans?.lists.map(({ id }) => id)).toEqual(['host', 'provenance', 'monitoring', 'non-root', 'secrets', 'base-images', 'limits']);
    for (const { text, checks: terms, manual } of boxes) {
      expect(terms.length + (manual?.length ?? 0), text).toBeGreaterThan(0);
      for (const term of terms) expect(checks.filter(({ id }) => id === term || id.startsWith(`${term}.`)).length, `${text}: ${term}`).toBeGreaterThan(0);
    }
    expect(new Set(boxes.map(({ text }) => text)).size).toBe(boxes.length);
  });

  test.each(EDITIONS)('is listed with the numbers of %s', async (edition) => {
    const { code, out } = await harden(['list', 'checks', '--checklist', 'sans', '--benchmark', edition, '--format', 'json']);
    expect(code).toBe(0);
    const shown = (JSON.parse(out) as { lists: { boxes: { text: string; checks: { check: string; cis: string | null }[]; manual: string | null }[] }[] }).lists.flatMap((list) => list.boxes);
    expect(shown.map(({ text }) => text)).toEqual(boxes.map(({ text }) => text));
    expect(shown.filter(({ checks: own, manual }) => own.length === 0 && manual === null)).toEqual([]);
    const memory = shown.find(({ text }) => text === 'Memory');
    expect(memory?.checks).toMatchObject([{ check: 'container.memory-limit', cis: checks.find(({ id }) => id === 'container.memory-limit')?.cis[edition] ?? null }]);
  });

  test('as text, and what is asked wrongly', async () => {
    const { out } = await harden(['list', 'checks', '--checklist', 'sans']);
    expect(out).toMatch(/^Limits of resources\n {2}\[ \] Memory\n {6}checks {3}container\.memory-limit \(5\.11\)\n/mu);
    expect(out).toMatch(/^ {6}by hand {2}docker stats/mu);
    for (const [argv, expected] of [
      [['checks', '--checklist', 'nist'], 'harden: there is no checklist "nist"\nharden knows sans\n'],
      [['remediations', '--checklist', 'sans'], 'harden: --checklist maps to checks: `harden list checks --checklist NAME`\n'],
      [['checks', '--checklist', 'sans', '-c', 'image'], 'harden: --checklist lists all of its boxes; leave out --check, --exclude and --level\n'],
    ] as const) expect(await harden(['list', ...argv])).toEqual({ code: 2, out: '', err: expected });
  });
});

test('every code of Dockle is one check', () => {
  const codes = ([['CIS-DI', 11], ['DKL-DI', 6], ['DKL-LI', 3]] as const)
    .flatMap(([group, count]) => Array.from({ length: count }, (_, index) => `${group}-${String(index + 1).padStart(4, '0')}`));
  expect(Object.fromEntries(codes.map((code) => [code, select('1.8.0', code).length]))).toEqual(Object.fromEntries(codes.map((code) => [code, 1])));
  expect(select('1.8.0', 'dkl-li-0001')).toEqual(select('1.8.0', 'DKL-LI-0001'));
});

test('every check has a remediation, and list shows its kind', async () => {
  expect(checks.filter(({ id }) => remediationFor(id) === undefined).map(({ id }) => id)).toEqual([]);
  for (const edition of EDITIONS) {
    const { out } = await harden(['list', 'checks', '--benchmark', edition, '--format', 'json']);
    const listed = (JSON.parse(out) as { checks: { check: string; remediation: { mode: string } }[] }).checks;
    expect(listed.filter(({ remediation: { mode } }) => !['auto', 'choice', 'manual'].includes(mode))).toEqual([]);
    expect(listed.length).toBeGreaterThanOrEqual(numbersOf(edition).length);
  }
});
