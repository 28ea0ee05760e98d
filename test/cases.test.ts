import { describe, expect, test } from 'vitest';
import { checks } from '../checks/index.ts';
import { remediationFor } from '../remediations/index.ts';
import type { Finding, ProposedEdit } from '../src/model.ts';
import { caseOf } from './cases.ts';
import { casePaths, octalModes, readFixture } from './hosts.ts';

/**
 * fixtures/cases/<check>/<case>.json:
 *   host       a recorded host of fixtures/hosts/
 *   facts      RFC 7396 patch over it
 *   policy     patch over the default policy
 *   check      the check's id, where the folder is named after a table
 *   findings   every finding of the check: target (its id), outcome, and substrings of message and pending
 *   edits      what all warn findings together propose, in order; each entry is a subset of an edit
 *   defer      the reason, or all the reasons, why warn findings propose none, and `explanation`, a substring of why and of what would release it
 */
describe.each(casePaths())('%s', (path) => {
  test('findings and proposals are as the case says', () => {
    const { spec, check, facts, policy } = caseOf(path);
    const verdicts = check.evaluate(facts, policy);

    const byTarget = (a: { target: string }, b: { target: string }): number => a.target.localeCompare(b.target);
    expect(verdicts.map((verdict) => ({ target: verdict.target.id, outcome: verdict.outcome, message: verdict.message })).sort(byTarget)).toEqual(
      spec.findings.map(({ target, outcome, message }) => ({ target, outcome, message: expect.stringContaining(message ?? '') as unknown })).sort(byTarget));
    for (const verdict of verdicts) {
      const wanted = spec.findings.find((finding) => finding.target === verdict.target.id)?.pending;
      if (wanted === undefined) expect(verdict.pending, 'the case does not say pending').toBeUndefined();
      else expect(verdict.pending?.waitsFor).toContain(wanted);
    }

    const warns: Finding[] = verdicts.filter(({ outcome }) => outcome === 'warn').map((verdict) => ({ ...verdict, check: check.id }));
    const remediation = remediationFor(check.id);
    const proposed: ProposedEdit[] = [];
    const reasons = new Set<string>();
    let explanations = '';
    for (const warn of remediation ? warns : []) {
      const proposal = remediation?.propose(warn, facts, policy);
      if (proposal && 'edits' in proposal) {
        expect(proposal.edits, 'a proposal without edits must say why').not.toHaveLength(0);
        proposed.push(...proposal.edits);
      } else if (proposal) {
        reasons.add(proposal.defer);
        explanations += `${proposal.explanation} ${proposal.needs ?? ''}\n`;
      }
    }
    expect([...reasons].sort()).toEqual([spec.defer ?? []].flat().sort());
    if (spec.explanation !== undefined) expect(explanations).toContain(spec.explanation);
    expect(proposed).toHaveLength(spec.edits?.length ?? 0);
    expect(proposed).toMatchObject(octalModes(spec.edits ?? []) as object[]);
  });
});

test('no two cases are the same', () => {
  const seen = new Map<string, string>();
  for (const path of casePaths()) {
    const text = `${caseOf(path).check.id} ${JSON.stringify(readFixture(`cases/${path}`))}`;
    expect(seen.get(text), path).toBeUndefined();
    seen.set(text, path);
  }
});

test('every check of a case is registered once', () => {
  const ids = checks.map(({ id }) => id);
  expect(new Set(ids).size).toBe(ids.length);
});
