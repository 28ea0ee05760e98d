/** A saved plan is a file that somebody else may have edited: it is made again from its inputs, and what it says otherwise is refused or means nothing. */
import fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import { checks } from '../checks/index.ts';
import { remediations } from '../remediations/index.ts';
import { refuseStale } from '../src/apply/apply.ts';
import { planFrom } from '../src/commands/documents.ts';
import { policyOf } from '../src/commands/planning.ts';
import { refuseOddPromises } from '../src/commands/verify.ts';
import { StalePlanError, UsageError } from '../src/errors.ts';
import type { Change, Facts, Plan, PlanDocument, Policy } from '../src/model.ts';
import { makePlan, planDocument } from '../src/plan.ts';
import { defaultPolicy } from '../src/policy.ts';
import { selectChecks } from '../src/selection.ts';
import { TOOL } from '../src/version.ts';
import { caseOf } from './cases.ts';
import { loadHost } from './hosts.ts';
import { fuzzRuns, hostileJson, pollution } from './support/hostile.ts';

afterEach(() => expect(pollution()).toEqual([]));

const CANARY = '/nonexistent/canary';
const now = new Date('2026-11-22T10:00:00Z');
const WILLING: Policy = { ...defaultPolicy, maxImpact: 'data', maxRisk: 'irreversible' };

const planned = (facts: Facts, policy: Policy, picks: readonly string[] | null): Plan => makePlan({
  facts, policy, checks: selectChecks(checks, policy).selected, remediations, tool: TOOL, now, restart: { kind: 'systemd', unit: 'docker.service' }, picks,
}).plan;

/** A plan as `plan -o` saved it, of a host that is as it was since. */
interface Saved {
  readonly name: string;
  readonly facts: Facts;
  readonly changes: readonly Change[];
  readonly text: string;
}

function savedPlan(name: string, facts: Facts, parameters: Policy['parameters']): Saved {
  const plan = planned(facts, { ...WILLING, parameters }, null);
  return { name, facts, changes: plan.changes, text: JSON.stringify(planDocument(plan)) };
}

const SAVED: readonly Saved[] = [
  savedPlan('a stock host', loadHost('stock-debian'), { logDriver: { driver: 'syslog', options: { 'syslog-address': 'udp://10.0.0.5:514' } } }),
  ...['container.pids-limit/many-now', 'container.readonly-rootfs/chosen', 'host.docker-group/one-too-many', 'operations.container-sprawl/chosen', 'operations.image-sprawl/chosen', 'swarm.autolock/off-and-somebody-keeps-the-key']
    .map((path) => {
      const { facts, policy } = caseOf(`${path}.json`);
      return savedPlan(path, facts, policy.parameters);
    }),
];

type Loose = Record<string, unknown>;
type Verdict = { readonly refused: string } | { readonly changes: readonly Change[] };

/** What `apply PLAN` would make of a text: why it is refused, or the changes that it would carry out. Anything but a UsageError is a fault. */
async function load(text: string, facts: Facts): Promise<Verdict> {
  try {
    const plan = await planFrom(JSON.parse(text), 'plan.json');
    const fresh = planned(facts, policyOf(plan, defaultPolicy), plan.inputs.picks);
    refuseStale(plan, fresh, facts);
    return { changes: fresh.changes };
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    return { refused: error instanceof StalePlanError ? `${error.message}\n${error.comparison}` : error.message };
  }
}

interface Editable {
  id: unknown;
  createdAt: string;
  tool: Loose;
  host: Loose;
  inputs: { selection: Loose; maxImpact: string; maxRisk: string; picks: unknown; parameters: Loose[]; policyParameters: Loose };
  changes: Loose[];
  deferred: unknown[];
  promises: unknown[];
  restart: unknown;
  summary: Loose;
}

const firstOf = (plan: Editable): Loose => plan.changes[0] as Loose;
const eachChange = (edit: Loose) => (plan: Editable): void => {
  for (const change of plan.changes) Object.assign(change, edit);
};
const files = ['/etc/shadow', '/etc/cron.d/owned', '/root/.ssh/authorized_keys'];

/** What an attacker does to the plan of a stock host, and what comes of it: what the refusal names, or null: nothing, the plan does what it did. */
const ATTACKS: readonly (readonly [what: string, edit: (plan: Editable) => void, named: RegExp | null])[] = [
  ['another path as the id of a change', (plan) => { firstOf(plan)['id'] = `file:${files[0]}`; }, /changed since the plan was made|Now no such change/],
  ['another path as the target', (plan) => { firstOf(plan)['target'] = { kind: 'file', name: files[0], id: files[0] }; }, /another target of /],
  ['another path as a key of its own', eachChange({ path: files[1], realPath: files[2] }), null],
  ['other bytes as keys of their own', eachChange({ after: { content: 'root::0:0::/:/bin/sh\n', mode: 0o4777, uid: 1000, gid: 1000, bom: false }, before: null }), null],
  ['another mode', eachChange({ mode: 0o4777, uid: 1000 }), null],
  ['commands', eachChange({ actions: [{ kind: 'run', tool: 'sh', args: ['-c', `touch ${CANARY}`] }], activations: ['restartDaemon'], steps: [{ kind: 'sh', command: `touch ${CANARY}` }] }), null],
  ['a template by its absolute name', eachChange({ template: '/etc/passwd', render: '../../etc/passwd' }), null],
  ['a harmless diff over what is done', (plan) => { firstOf(plan)['diff'] = '+ nothing\n'; }, /another diff of /],
  ['a harmless title', (plan) => { firstOf(plan)['title'] = 'Nothing at all'; }, /another title of /],
  ['a cost that is not its own', eachChange({ impact: 'none', risk: 'safe', undo: 'none' }), /another impact, risk of |another (?:impact|risk|undo)/],
  ['another kind', (plan) => { firstOf(plan)['kind'] = 'metadata'; }, /another kind of |kind/],
  ['another digest', (plan) => { firstOf(plan)['fingerprint'] = 'a'.repeat(64); }, /changed since the plan was made/],
  ['digests changed round', (plan) => { [plan.changes[0], plan.changes[1]] = [{ ...plan.changes[0], fingerprint: plan.changes[1]?.['fingerprint'] }, { ...plan.changes[1], fingerprint: plan.changes[0]?.['fingerprint'] }]; }, /changed since the plan was made/],
  ['a change more', (plan) => { plan.changes.push({ ...firstOf(plan), id: `file:${files[1]}` }); }, /\/etc\/cron\.d\/owned|changed since the plan was made/],
  ['a change twice', (plan) => { plan.changes.push(firstOf(plan)); }, null],
  ['a change less', (plan) => { plan.changes.pop(); }, /would be changed now, and the plan does not show it/],
  ['no changes', (plan) => { plan.changes = []; }, /would be changed now, and the plan does not show it/],
  ['what it needs left out', eachChange({ requires: ['file:/nowhere'] }), /another requires of /],
  ['other promises', (plan) => { plan.promises = []; for (const change of plan.changes) change['promises'] = []; }, null],
  ['other reasons', eachChange({ because: [] }), null],
  ['another effect', eachChange({ effect: '\u001b[2J' }), null],
  ['containers hidden that a restart stops', (plan) => { plan.restart = null; }, null],
  ['another host', (plan) => { plan.host['hostname'] = '$(id)'; }, null],
  ['another benchmark', (plan) => { (plan as unknown as Loose)['benchmark'] = '../1.8.0'; }, /benchmark/],
  ['a higher ceiling', (plan) => { plan.inputs.maxImpact = 'everything'; }, /maxImpact/],
  ['a lower ceiling', (plan) => { plan.inputs.maxImpact = 'none'; }, /Now no such change would be made/],
  ['other picks', (plan) => { plan.inputs.picks = [`file:${files[0]}`]; }, /Now no such change would be made/],
  ['a selection of nothing', (plan) => { plan.inputs.selection['include'] = ['nothing.at.all']; }, /nothing\.at\.all/],
  ['another selection', (plan) => { plan.inputs.selection['include'] = ['daemon.live-restore']; }, /Now no such change would be made/],
  ['an expression without end', (plan) => { plan.inputs.selection['targets'] = { include: ['/(a+)+$(?=b)/'], exclude: [], labels: [] }; }, /RE2/],
  ['another log driver', (plan) => { plan.inputs.policyParameters['logDriver'] = { driver: 'fluentd', options: { 'fluentd-address': 'evil.test:24224' } }; }, /changed since the plan was made/],
  ['a log option of two lines', (plan) => { plan.inputs.policyParameters['logDriver'] = { driver: 'a\nb' }; }, /logDriver/],
  ['a parameter that there is not', (plan) => { plan.inputs.policyParameters['execute'] = `touch ${CANARY}`; }, /execute/],
  ['a profile by a relative name', (plan) => { plan.inputs.policyParameters['seccompProfile'] = '../../etc/shadow'; }, /absolute path/],
  ['more trust', (plan) => { plan.inputs.policyParameters['insecureRegistries'] = ['evil.test']; plan.inputs.policyParameters['experimental'] = true; }, null],
  ['a measured value', (plan) => { plan.inputs.parameters.push({ check: 'container.pids-limit', target: { kind: 'container', name: 'x', id: 'x' }, name: 'container.pidsLimit', value: 1, source: 'evidence', evidence: '\u001b[2J' }); }, null],
  ['keys that reach a prototype', (plan) => { Object.assign(plan, JSON.parse('{"constructor":{"prototype":{"polluted":1}}}')); Object.defineProperty(plan.inputs.policyParameters, '__proto__', { value: { trustedUsers: ['mallory'], polluted: 1 }, enumerable: true }); }, null],
  ['a container parameter for __proto__', (plan) => { plan.inputs.policyParameters['containers'] = JSON.parse('{"__proto__":{"memory":"64m"}}') as Loose; }, null],
  ['an older schema', (plan) => { (plan as unknown as Loose)['schemaVersion'] = 0; }, /schemaVersion/],
  ['a newer schema', (plan) => { (plan as unknown as Loose)['schemaVersion'] = 2; }, /newer harden/],
  ['another tool', (plan) => { plan.tool['name'] = 'hardon'; }, /tool\.name/],
];

describe('a plan that somebody edited', () => {
  const [stock] = SAVED;
  if (stock === undefined) throw new Error('no plan');

  test.each(ATTACKS)('%s', async (_, edit, named) => {
    const plan = JSON.parse(stock.text) as Editable;
    edit(plan);
    const text = JSON.stringify(plan);
    expect(text).not.toBe(stock.text);
    const verdict = await load(text, stock.facts);
    if (named === null) expect(verdict).toEqual({ changes: stock.changes });
    else expect(verdict).toEqual({ refused: expect.stringMatching(named) as string });
  });

  test('verify holds a host to no promise that a change is not made for', () => {
    const plan = JSON.parse(stock.text) as PlanDocument;
    expect(refuseOddPromises(plan, 'plan.json')).toBe(plan);
    const promised = plan.changes.find(({ promises }) => promises.length > 0)?.promises[0];
    if (promised === undefined) throw new Error('no promise');
    for (const odd of [{ ...promised, check: 'no.such-check' }, { ...promised, check: 'swarm.autolock' }, { ...promised, target: { kind: 'host', name: '\u001b[2J', id: 'x' } } as const]) {
      const edited = { ...plan, changes: plan.changes.map((change) => ({ ...change, promises: [...change.promises, odd] })) };
      expect(() => refuseOddPromises(edited, 'plan.json')).toThrow(/^plan\.json: the change \S+ promises .* which it is not made for/u);
    }
  });

  test('the plans that are attacked do something, and do it when nobody edited them', async () => {
    for (const { name, facts, changes, text } of SAVED) {
      expect([name, changes.length]).not.toEqual([name, 0]);
      expect(await load(text, facts), name).toEqual({ changes });
    }
    expect(new Set(SAVED.flatMap(({ changes }) => changes.map(({ kind }) => kind))).size).toBeGreaterThanOrEqual(7);
  });

  /** Every place in a document, as [parent, key]. */
  function places(node: unknown, found: [Loose, string][] = []): [Loose, string][] {
    if (typeof node !== 'object' || node === null) return found;
    for (const [key, child] of Object.entries(node)) {
      found.push([node as Loose, key]);
      places(child, found);
    }
    return found;
  }

  const value = fc.oneof(hostileJson(CANARY), fc.constantFrom<unknown>('/etc/shadow', 0o4777, -1, 1e308, 'data', 'irreversible', 'policy', [], {}, null, true, 'file:/etc/docker/daemon.json', 'container'));
  const mutation = fc.record({ at: fc.nat(), from: fc.nat(), how: fc.constantFrom('set', 'set', 'delete', 'add', 'move', 'twice'), value });

  test('is refused by name, or does what it did: whatever was changed in it', { timeout: 60_000 }, async () => {
    const seen = { refused: 0, same: 0 };
    await fc.assert(fc.asyncProperty(fc.nat(), fc.array(mutation, { minLength: 1, maxLength: 4 }), async (index, mutations) => {
      const { facts, changes, text } = SAVED[index % SAVED.length] ?? stock;
      const plan = JSON.parse(text) as PlanDocument;
      for (const { at, from, how, value: given } of mutations) {
        const all = places(plan);
        const [parent, key] = all[at % all.length] ?? [{}, ''];
        const [other, otherKey] = all[from % all.length] ?? [{}, ''];
        if (how === 'set') parent[key] = given;
        else if (how === 'delete') Reflect.deleteProperty(parent, key);
        else if (how === 'move') parent[key] = structuredClone(other[otherKey]);
        else if (how === 'twice' && Array.isArray(parent)) parent.push(structuredClone(parent[Number(key)]));
        else Object.defineProperty(parent, ['__proto__', 'constructor', 'path', 'command', '0'][at % 5] ?? 'x', { value: given, enumerable: true, writable: true, configurable: true });
      }
      const verdict = await load(JSON.stringify(plan), facts);
      if ('refused' in verdict) {
        seen.refused += 1;
        expect(verdict.refused.length).toBeGreaterThan(10);
      } else {
        seen.same += 1;
        expect(verdict.changes).toEqual(changes);
      }
    }), { numRuns: fuzzRuns(60), endOnFailure: true, interruptAfterTimeLimit: 30_000 });
    expect(seen.refused).toBeGreaterThan(0);
    expect(seen.same).toBeGreaterThan(0);
  });
});
