import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { OUTCOMES } from '../src/model.ts';
import { caseOf } from './cases.ts';
import { casePaths } from './hosts.ts';

/** checks/differences.json, from which `npm run docs` makes docs/differences.md. */
const file = z.strictObject({
  of: z.literal('docker-bench-security'),
  commit: z.string(),
  version: z.string(),
  edition: z.literal('1.6.0'),
  differences: z.array(z.strictObject({
    check: z.string(),
    when: z.string().regex(/^\S.*[^.]$/u),
    theirs: z.strictObject({
      result: z.enum(['PASS', 'WARN', 'INFO', 'NOTE', 'none']),
      source: z.string().regex(/^(?:tests\/\d_[a-z_]+|docker-bench-security)\.sh:\d+$/u),
    }),
    ours: z.strictObject({ outcome: z.enum(OUTCOMES), target: z.string(), case: z.string() }),
    why: z.string().regex(/^\S.*[^.]$/u),
  })),
});
const { differences } = file.parse(JSON.parse(readFileSync('checks/differences.json', 'utf8')));

/** What an outcome is called there. */
const THERE = { pass: 'PASS', warn: 'WARN', na: 'INFO', manual: 'NOTE', unknown: 'NOTE' } as const;

describe.each(differences.map((difference) => [`${difference.check}: ${difference.when}`, difference] as const))('%s', (_, { check: id, theirs, ours }) => {
  it('has a case of its check, with the outcome that is stated, and it is another than theirs', () => {
    expect(casePaths()).toContain(`${ours.case}.json`);
    const { check, facts, policy } = caseOf(`${ours.case}.json`);
    expect(check.id).toBe(id);
    expect(check.cis['1.6.0'], 'docker-bench-security has the numbers of 1.6.0').toBeDefined();
    const found = check.evaluate(facts, policy).filter(({ target }) => target.id === ours.target);
    expect(found.map(({ outcome }) => outcome)).toEqual([ours.outcome]);
    expect(THERE[ours.outcome]).not.toBe(theirs.result);
  });
});

it('no two rows are the same', () => {
  const keys = differences.map(({ ours, when }) => `${ours.case} ${ours.target} ${when}`);
  expect(new Set(keys).size).toBe(keys.length);
});
