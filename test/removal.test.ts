import { expect, test } from 'vitest';
import { checks } from '../checks/index.ts';
import { remediations } from '../remediations/index.ts';
import type { ContainerFacts, Facts, Plan, Policy } from '../src/model.ts';
import { present, valueOf } from '../src/model.ts';
import { makePlan } from '../src/plan.ts';
import { defaultPolicy } from '../src/policy.ts';
import { caseOf } from './cases.ts';

const IMAGE = `sha256:${'a'.repeat(64)}`;

/** One container that is old and stopped, of an image that nothing else uses. */
function hostWithOld(change: Partial<ContainerFacts> = {}): Facts {
  const { facts } = caseOf('operations.container-sprawl/old-young-and-running.json');
  const images = caseOf('operations.image-sprawl/used-young-old-and-dangling.json').facts.images;
  const containers = (valueOf(facts.containers) ?? []).filter(({ name }) => name === 'old').map((container) => ({ ...container, ...change }));
  return { ...facts, containers: present(containers), images: present((valueOf(images) ?? []).filter(({ id }) => id === IMAGE)) };
}

function planFor(facts: Facts, policy: Partial<Policy> = {}): Plan {
  const chosen: Policy = {
    ...defaultPolicy, maxImpact: 'data', maxRisk: 'irreversible', parameters: { operations: { removeUnusedImages: ['*'], removeStoppedContainers: ['*'] } }, ...policy,
  };
  return makePlan({
    facts, policy: chosen, checks, remediations, tool: { name: 'harden', version: '0' }, now: new Date(facts.collectedAt), restart: { kind: 'systemd', unit: 'docker.service' },
  }).plan;
}

const removals = ({ changes }: Plan) => changes.filter(({ kind }) => kind.startsWith('removed-'));

test('an image goes after the last container that used it, each list as one change', () => {
  const plan = planFor(hostWithOld({ evidence: { changes: present([{ kind: 'modified', path: '/tmp' }, { kind: 'added', path: '/tmp/a\n- web' }]), memory: present({ current: 0, anonymous: 0, peak: null }), pids: present(0) } }));
  expect(removals(plan).map(({ id, impact, risk, undo, diff }) => ({ id, impact, risk, undo, diff }))).toEqual([
    { id: 'removed-containers', impact: 'data', risk: 'irreversible', undo: 'impossible', diff: '- old (old000000000, a:1, stopped for 320 days; wrote /tmp/a\\n- web)\n' },
    { id: 'removed-images', impact: 'data', risk: 'irreversible', undo: 'impossible', diff: expect.stringMatching(/^- a:1 \(sha256:aaaaaaaaaaaa, .* MB, unused for \d+ days\)\n$/u) as string },
  ]);
  expect(plan.promises).toContain('operations.container-sprawl');
});

test('a container that is removed is not changed as well, and what was found of it is answered', () => {
  const plan = planFor(hostWithOld(), { parameters: { operations: { removeStoppedContainers: ['old'] }, container: { memory: '64m', pidsLimit: 50 } } });
  expect(plan.changes.filter(({ target }) => target.kind === 'container').map(({ id }) => id)).toEqual(['removed-containers']);
  expect(removals(plan)[0]?.because.map(({ check }) => check)).toEqual(expect.arrayContaining(['operations.container-sprawl', 'container.pids-limit']));
});

test('nothing is removed below the ceilings, without a choice, or where harden keeps it', () => {
  expect(removals(planFor(hostWithOld(), { maxImpact: 'recreate' }))).toEqual([]);
  expect(removals(planFor(hostWithOld(), { maxRisk: 'behaviour' }))).toEqual([]);
  expect(removals(planFor(hostWithOld(), { parameters: {} }))).toEqual([]);
  const [old] = valueOf(hostWithOld().containers) ?? [];
  const spec = valueOf(old?.spec);
  if (old === undefined || spec === undefined) throw new Error('the case has a container');
  const kept = hostWithOld({ name: `harden-kept-${old.id.slice(0, 12)}`, spec: present({ ...spec, restart: { name: 'no', maximumRetryCount: 0 } }) });
  expect(removals(planFor(kept))).toEqual([]);
});

test('a removal that waits a day is the same plan', () => {
  const later = (facts: Facts): Facts => ({ ...facts, collectedAt: new Date(Date.parse(facts.collectedAt) + 86_400_000).toISOString() });
  const prints = (plan: Plan): string[] => removals(plan).map(({ fingerprint }) => fingerprint);
  expect(prints(planFor(later(hostWithOld())))).toEqual(prints(planFor(hostWithOld())));
});
