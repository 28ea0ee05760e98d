/**
 * What a plan becomes for each who carries it out or reads it, whole, for a few plans: fixtures/plans/CASE/case.json says the host, a merge patch over it and
 * the policy; beside it is what came of it. `npx vitest run --project unit test/golden.test.ts -u` writes it anew: read each line that changed.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { checks } from '../checks/index.ts';
import { remediations } from '../remediations/index.ts';
import { evaluate } from '../src/evaluate.ts';
import type { Json, Policy } from '../src/model.ts';
import { makePlan } from '../src/plan.ts';
import { restartMethod } from '../src/plan/restart.ts';
import { defaultPolicy } from '../src/policy.ts';
import { portablePlan } from '../src/portable/plan.ts';
import { hostVariables } from '../src/render/ansible.ts';
import { PLAIN } from '../src/render/layout.ts';
import { renderPlan } from '../src/render/plan.ts';
import { renderScript } from '../src/render/shell.ts';
import { renderTemplate } from '../src/templates.ts';
import { hostWith } from './hosts.ts';

interface Case {
  readonly host: string;
  readonly facts: Record<string, Json>;
  /** Ids of checks. */
  readonly checks: readonly string[];
  readonly policy: Partial<Policy>;
}

const ROOT = 'fixtures/plans';
/** The same for all versions and plans. */
const TOOL = { name: 'harden', version: '0.0.0' } as const;

const now = new Date('2026-11-22T10:00:00Z');

describe.each(readdirSync(ROOT))('the plan %s', (name) => {
  const { host, facts: patch, checks: ids, policy: own } = JSON.parse(readFileSync(join(ROOT, name, 'case.json'), 'utf8')) as Case;
  const facts = hostWith(host, patch);
  const method = restartMethod(facts, undefined);
  const policy = { ...defaultPolicy, ...own };
  const selected = checks.filter(({ id }) => ids.includes(id));
  const { report } = evaluate(selected, remediations, facts, policy, { now, durationMs: 1, tool: TOOL });
  const { plan } = makePlan({ facts, policy, checks: selected, remediations, tool: TOOL, now, restart: method });
  const portable = portablePlan(plan, { facts, method, fromSnapshot: false });

  test('is told to a person', async () => { await expect(renderPlan(plan, report, PLAIN, null)).toMatchFileSnapshot(join('..', ROOT, name, 'plan.txt')); });
  test('is a script', async () => {
    const library = renderTemplate('script-library.sh', {});
    const script = renderScript(plan, portable, facts);
    expect(script.split(library)).toHaveLength(2);
    await expect(script.replace(library, () => '# … the library …\n')).toMatchFileSnapshot(join('..', ROOT, name, 'script.sh'));
  });
  test('is variables for Ansible', async () => {
    // The script is in them, line by line; what it is of is above.
    const [variables = ''] = hostVariables(plan, portable, facts).split('\nharden_script_head:');
    await expect(variables.replace(/^harden_library: .*$/mu, 'harden_library: …')).toMatchFileSnapshot(join('..', ROOT, name, 'host_vars.yml'));
  });
});
