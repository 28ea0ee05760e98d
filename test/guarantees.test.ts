/** README.md promises nothing that no test holds. */
import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { hostileTexts } from './support/hostile.ts';

const read = (path: string): string => readFileSync(new URL(`../${path}`, import.meta.url), 'utf8');
const [, section = ''] = /\n### Each of these is held by a test\n([^]*?)\n#/.exec(read('README.md')) ?? [];
const rows = section.split('\n').filter((line) => line.startsWith('| ')).slice(1).map((line) => {
  const [, guarantee = '', held = ''] = line.split('|').map((cell) => cell.trim());
  return { guarantee, path: /\]\((test\/[\w./-]+\.test\.ts)\)/.exec(held)?.[1] ?? '', title: /“([^”]+)”/.exec(held)?.[1] ?? '' };
});

describe('the guarantees', () => {
  test('are there', () => expect(rows.length).toBeGreaterThan(10));

  test.each(rows.map((row) => [row.guarantee, row] as const))('%s', (_, { path, title, guarantee }) => {
    expect(existsSync(new URL(`../${path}`, import.meta.url)), path).toBe(true);
    // A title that is made of a variable is told by the part of it that is not.
    expect(read(path).replaceAll("\\'", "'").includes(title) && title.length > 10, title).toBe(true);
    for (const [, link = ''] of guarantee.matchAll(/\]\(([^)]+)\)/g)) expect(existsSync(new URL(`../${link}`, import.meta.url)), link).toBe(true);
  });

  test('count what they count', () => {
    const numberIn = (pattern: RegExp): number => Number(pattern.exec(section)?.[1]);
    const attacks = /const ATTACKS[^]*?\n\];/.exec(read('test/plan-tampering.test.ts'))?.[0].match(/^ {2}\['/gmu)?.length;
    expect(section.match(/\d+(?= hostile texts)/g)).toEqual([0, 1].map(() => String(hostileTexts('/x').length)));
    expect(numberIn(/words for (\d+) shells/)).toBe(/const SHELLS = \[(.*)\]/.exec(read('test/quote.test.ts'))?.[1]?.split(',').length);
    expect(numberIn(/in (\d+) ways and at random/)).toBe(attacks);
    const [, secrets = '', outputs = ''] = /(\d+) secrets in (\d+) outputs/.exec(section) ?? [];
    expect(read('test/e2e/hostile.test.ts')).toContain(`GUARANTEED = { secrets: ${secrets}, outputs: ${outputs} }`);
  });
});
