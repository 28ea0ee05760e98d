import { z } from 'zod';
import { checks } from '../checks/index.ts';
import type { Check, Facts, Policy } from '../src/model.ts';
import { DEFER_REASONS, OUTCOMES } from '../src/model.ts';
import { defaultPolicy } from '../src/policy.ts';
import { hostWith, policyWith, readFixture } from './hosts.ts';

const caseSchema = z.strictObject({
  host: z.string(),
  check: z.string().optional(),
  facts: z.record(z.string(), z.json()).optional(),
  policy: z.record(z.string(), z.json()).optional(),
  findings: z.array(z.strictObject({
    target: z.string(), outcome: z.enum(OUTCOMES), message: z.string().optional(), pending: z.string().optional(),
  })).min(1),
  edits: z.array(z.record(z.string(), z.json())).min(1).optional(),
  defer: z.union([z.enum(DEFER_REASONS), z.array(z.enum(DEFER_REASONS)).min(2)]).optional(),
  explanation: z.string().optional(),
});
export type CaseSpec = z.infer<typeof caseSchema>;

/** A case of fixtures/cases/ with its check, the facts and the policy that it describes. Throws on an unknown check or field. */
export function caseOf(path: string): { spec: CaseSpec; check: Check; facts: Facts; policy: Policy } {
  const spec = caseSchema.parse(readFixture(`cases/${path}`));
  const folder = path.split('/')[0] ?? '';
  const id = spec.check ?? folder;
  const check = checks.find((candidate) => candidate.id === id);
  if (!check) throw new Error(`${path}: there is no check ${id}`);
  if (spec.check === folder) throw new Error(`${path}: "check" repeats the folder`);
  if (spec.explanation !== undefined && spec.defer === undefined) throw new Error(`${path}: "explanation" needs "defer"`);
  return { spec, check, facts: hostWith(spec.host, spec.facts), policy: policyWith(spec.policy, defaultPolicy) };
}
