import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { checks } from '../checks/index.ts';
import { remediations } from '../remediations/index.ts';
import { evaluate } from '../src/evaluate.ts';
import type { Facts, Finding, PlanDocument, Policy, Report, Waiver } from '../src/model.ts';
import { mapObserved } from '../src/model.ts';
import { defaultPolicy, waiverProblems } from '../src/policy.ts';
import { globMatches } from '../src/glob.ts';
import { matchesSelector, namePattern, requireTargets, subjectsOf } from '../src/targets.ts';
import { TOOL } from '../src/version.ts';
import { hostWith } from './hosts.ts';
import { harden } from './terminal.ts';

const image = (tags: string[], digit: string, labels: Record<string, string> | null): object => ({
  id: `sha256:${digit.repeat(64)}`, tags, digests: [], createdAt: '2026-11-01T00:00:00Z', sizeBytes: 1,
  config: labels === null ? { status: 'unreadable', reason: 'gone' }
    : { status: 'present', value: { user: '', env: [], healthcheck: null, labels, volumes: [], exposed: [], entrypoint: [], command: [] } },
  history: { status: 'present', value: [] },
});

/** Four containers and two images: plain, of compose, of swarm, and one that could not be inspected. */
const facts = hostWith('stock-debian', {
  containers: { value: [
    { name: 'web-1', spec: { image: { reference: 'nginx:1.25', id: `sha256:${'a'.repeat(64)}` }, labels: { tier: 'front', team: 'a,b' } } },
    {
      name: 'shop-db-1', spec: { image: { reference: 'ghcr.io/acme/db:9', id: `sha256:${'b'.repeat(64)}` }, labels: { tier: 'back' } },
      owner: { kind: 'compose', project: 'shop', service: 'db', files: [], workingDir: '/', configHash: '' },
    },
    { name: 'api.1.x', spec: { image: { reference: 'ghcr.io/acme/api:2' }, labels: {} }, owner: { kind: 'swarm', service: 'api', task: 'x' } },
    { id: 'gone', name: 'gone', spec: { status: 'unreadable', reason: 'it vanished' }, runtime: { status: 'unreadable', reason: 'it vanished' }, unmodelled: [], owner: { kind: 'none' } },
  ] },
  images: { value: [image(['nginx:1.25', 'mirror.local:5000/nginx:1'], 'a', { tier: 'front' }), image(['ghcr.io/acme/db:9'], 'b', {})] },
});

const run = (policy: Partial<Policy>, host = facts): { report: Report; findings: readonly Finding[] } =>
  evaluate(checks, remediations, host, { ...defaultPolicy, ...policy }, { now: new Date('2026-11-17T12:00:00Z'), durationMs: 0, tool: TOOL });
const none = { include: [], exclude: [], labels: [] };
const judged = (targets: Partial<Policy['targets']>, check = 'container.memory-limit'): string[] =>
  run({ targets: { ...none, ...targets } }).findings.filter((finding) => finding.check === check).map(({ target }) => target.name);
const images = (targets: Partial<Policy['targets']>): string[] => judged(targets, 'image.healthcheck');

describe('names', () => {
  test('globs are what they are in a shell, dots and slashes being plain characters', () => {
    const reference = (glob: string, text: string): boolean =>
      new RegExp(`^${Array.from(glob).map((c) => c === '*' ? '.*' : c === '?' ? '.' : c.replace(/[\\^$.|+()[\]{}/-]/u, String.raw`\$&`)).join('')}$`, 'su').test(text);
    const word = fc.array(fc.constantFrom('a', 'b', '*', '?', '.', '/', '😀'), { maxLength: 8 }).map((parts) => parts.join(''));
    fc.assert(fc.property(word, word, (glob, text) => globMatches(glob, text) === reference(glob, text)), { numRuns: 2000 });
  });

  test('neither globs nor expressions take long, whatever the name', () => {
    const start = performance.now();
    expect(globMatches(`${'a*'.repeat(100)}b`, 'a'.repeat(300))).toBe(false);
    for (const expression of ['/(a+)+$/', '/(a|a)*b$/', '/(.*)*x/', '/a*a*a*a*a*a*b/']) expect(namePattern(expression)(`${'a'.repeat(300)}!`)).toBe(false);
    expect(performance.now() - start).toBeLessThan(2000);
  });

  test('an expression is searched for, a glob is the whole name', () => {
    expect(namePattern('/^web|db$/')('web-1')).toBe(true);
    expect(namePattern('web')('web-1')).toBe(false);
    expect(namePattern(String.raw`/^ghcr\.io\/acme/`)('ghcr.io/acme/db:9')).toBe(true);
  });

  test.each(['/', '//', '/web', '/(/', '/[z-a]/', String.raw`/(a)\1/`, '/(?=a)/', '/(?<!a)b/', '/a{2000}/', `/${'a'.repeat(2000)}/`])('%s is refused, with what to write instead', (term) => {
    expect(() => namePattern(term)).toThrow(/\nWrite a name with \* and \?, or \/EXPRESSION\/ in RE2 syntax/u);
  });
});

describe('a selection of containers and images', () => {
  test('by name', () => {
    expect(judged({ include: ['web-*'] })).toEqual(['web-1']);
    expect(judged({ include: ['web-*', '/^shop-/'] })).toEqual(['web-1', 'shop-db-1']);
    expect(judged({ exclude: ['*-1'] })).toEqual(['api.1.x', 'gone']);
    expect(judged({ include: ['*-1'], exclude: ['web*'] })).toEqual(['shop-db-1']);
  });

  test.each([['nginx:1.25'], ['nginx'], ['mirror.local:5000/nginx'], ['*/nginx:1'], ['a'.repeat(12)], [`sha256:${'a'.repeat(64)}`], ['/^nginx/']])('an image by %s', (name) => {
    expect(images({ include: [name] })).toEqual(['nginx:1.25']);
    expect(images({ exclude: [name] })).toEqual(['ghcr.io/acme/db:9']);
  });

  test('by label; what could not be inspected may have it, and stays unknown', () => {
    expect(judged({ labels: ['tier'] })).toEqual(['web-1', 'shop-db-1', 'gone']);
    expect(judged({ labels: ['tier=front'] })).toEqual(['web-1', 'gone']);
    expect(judged({ labels: ['tier', 'team=a,b'] })).toEqual(['web-1', 'gone']);
    expect(images({ labels: ['tier=front'] })).toEqual(['nginx:1.25']);
    expect(judged({ labels: ['constructor'] })).toEqual(['gone']);
  });

  test('leaves out verdicts, not facts, and nothing but containers and images', () => {
    const all = run({}).report.results;
    const some = run({ targets: { ...none, include: ['web-1'] } }).report.results;
    expect(some.map(({ check }) => check)).toEqual(all.map(({ check }) => check));
    const others = (results: Report['results']): unknown[] => results.flatMap(({ check, findings }) =>
      findings.filter(({ target }) => target.kind !== 'container' && target.kind !== 'image').map((finding) => [check, finding]));
    expect(others(some)).toEqual(others(all));
    // That a container uses an image is still known when the container is not selected.
    const known: Facts = { ...facts, containers: mapObserved(facts.containers, (list) => list.filter(({ spec }) => spec.status === 'present').map((container) => ({
      ...container, spec: mapObserved(container.spec, (spec) => ({ ...spec, image: { ...spec.image, id: spec.image.id ?? 'sha256:c' } })) }))) };
    const sprawl = run({ targets: { ...none, include: ['ghcr.io/acme/db:9'] } }, known).findings.filter(({ check }) => check === 'operations.image-sprawl');
    expect(sprawl.map(({ target, message }) => [target.name, message])).toEqual([['ghcr.io/acme/db:9', 'A container uses it']]);
  });

  test('a check of which nothing is left is na, and says so; so is one that speaks of all images at once', () => {
    const { results } = run({ targets: { ...none, include: ['web-1'] } }).report;
    for (const id of ['image.healthcheck', 'image.minimal']) {
      expect(results.find(({ check }) => check === id)).toMatchObject({ outcome: 'na', reason: 'None of the images that it judges was selected' });
    }
    expect(run({ targets: { ...none, include: ['nginx'] } }).report.results.find(({ check }) => check === 'image.minimal')?.outcome).toBe('manual');
  });

  test('that names nothing is refused by name; what cannot be known is not', () => {
    const refuse = (targets: Partial<Policy['targets']>, host: Facts = facts): (() => void) => () => requireTargets({ ...none, ...targets }, host);
    expect(refuse({ include: ['web-1', 'wbe'] })).toThrow('no container or image matches --include wbe\n');
    expect(refuse({ exclude: ['nothing'], include: ['no*'] })).toThrow('--include no*, --exclude-name nothing');
    expect(refuse({ labels: ['tier=middle'] })).not.toThrow();
    const seen = hostWith('stock-debian', { containers: { value: [{ name: 'a', spec: { labels: { tier: 'x' } } }] }, images: { value: [] } });
    expect(refuse({ labels: ['tier=middle'] }, seen)).toThrow('--label tier=middle');
    expect(refuse({ include: ['*'] })).not.toThrow();
    expect(refuse({ include: ['no*'] }, hostWith('stock-debian', { containers: { status: 'unreadable', reason: 'no permission' } }))).not.toThrow();
  });
});

describe('a waiver', () => {
  const waived = (target: string, check = 'container.memory-limit'): string[] => {
    const waiver: Waiver = { check, target, reason: 'agreed', owner: 'team' };
    const { findings } = run({ waivers: [waiver] });
    const names = findings.filter((finding) => finding.waiver !== undefined).map(({ target: { name } }) => name);
    const problems = waiverProblems({ ...defaultPolicy, waivers: [waiver] }, findings, checks, new Date('2026-11-17'));
    expect(problems.length, problems.join()).toBe(names.length === 0 ? 1 : 0);
    return names;
  };

  test.each([
    ['label=tier', ['web-1', 'shop-db-1']], ['label=tier=back', ['shop-db-1']], ['label=team=a,b', ['web-1']], ['label=none', []],
    ['image=ghcr.io/acme/*', ['shop-db-1', 'api.1.x']], ['image=nginx:1.25', ['web-1']], ['image=nginx', []],
    ['project=shop', ['shop-db-1']], ['project=s*', ['shop-db-1']], ['service=db', ['shop-db-1']], ['service=a?i', ['api.1.x']], ['service=web', []],
    ['container:web-*', ['web-1']],
  ])('for %s', (target, names) => expect(waived(target)).toEqual(names));

  test('of images by tag and label', () => {
    expect(waived('image=mirror.local:5000/*', 'image.healthcheck')).toEqual(['nginx:1.25']);
    expect(waived('label=tier=front', 'image.healthcheck')).toEqual(['nginx:1.25']);
    expect(waived('project=shop', 'image.healthcheck')).toEqual([]);
  });

  test('of a service of the swarm', () => {
    const target = { kind: 'swarm', name: 'service api', id: 's1' } as const;
    expect(['service=api', 'service=a*', 'service=db', 'label=x'].map((selector) => matchesSelector(selector, target, subjectsOf(facts)))).toEqual([true, true, false, false]);
  });

  test('of what was not selected is not called out of order', () => {
    const policy: Policy = { ...defaultPolicy, targets: { ...none, include: ['web-1'] }, waivers: [{ check: 'container', target: 'project=shop', reason: 'r', owner: 'o' }] };
    expect(waiverProblems(policy, run(policy).findings, checks, new Date('2026-11-17'))).toEqual([]);
  });
});

describe('on the command line', () => {
  const directory = mkdtempSync(join(tmpdir(), 'harden-targets-'));
  afterAll(() => rmSync(directory, { recursive: true }));
  const HOST = join(directory, 'host.json');
  writeFileSync(HOST, JSON.stringify(facts));
  const containersOf = (text: string): string[] => (JSON.parse(text) as Report).results
    .find(({ check }) => check === 'container.memory-limit')?.findings.map(({ target }) => target.name) ?? [];

  test('-i, -x and -t reach scan and plan, texts say so, and commas within an expression stay', async () => {
    const scan = await harden(['scan', '--facts', HOST, '-i', 'web-1, /^s.{1,3}p-/ ,gone', '-x', 'gone', '--format', 'json']);
    expect(containersOf(scan.out)).toEqual(['web-1', 'shop-db-1']);
    expect((JSON.parse(scan.out) as Report).selection).toEqual({ include: [], exclude: [], level: 2, targets: { include: ['web-1', '/^s.{1,3}p-/', 'gone'], exclude: ['gone'], labels: [] } });
    expect(containersOf((await harden(['scan', '--facts', HOST, '-t', 'team=a,b', '-t', 'tier', '--format', 'json'])).out)).toEqual(['web-1', 'gone']);
    const line = /^Of the containers and images: only web-1; with label tier\n/mu;
    expect((await harden(['scan', '--facts', HOST, '-i', 'web-1', '-t', 'tier'])).out).toMatch(line);
    expect((await harden(['plan', '--facts', HOST, '-i', 'web-1', '-t', 'tier'])).out).toMatch(line);
  });

  test.each([
    [['-i', 'wbe'], /^harden: no container or image matches --include wbe\n/u],
    [['-x', '/(/'], /^harden: \/\(\/: error parsing regexp: .*\nWrite a name/u],
    [['-i', '/web'], /^harden: \/web: an expression stands between two slashes\n/u],
    [['-x', '/(?=web)/'], /^harden: \/\(\?=web\)\/: .*\nWrite a name/u],
  ])('%j exits 2', async (argv, expected) => {
    const { code, out, err } = await harden(['scan', '--facts', HOST, ...argv]);
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).toMatch(expected);
  });

  test('harden.yaml selects, and flags go before it, part by part', async () => {
    const policy = join(directory, 'harden.yaml');
    writeFileSync(policy, 'targets:\n  include: [web-*]\n  exclude: [gone]\n');
    const scan = async (...argv: string[]): Promise<string[]> => containersOf((await harden(['scan', '--facts', HOST, '--policy', policy, '--format', 'json', ...argv])).out);
    expect(await scan()).toEqual(['web-1']);
    expect(await scan('-i', '*')).toEqual(['web-1', 'shop-db-1', 'api.1.x']);
    writeFileSync(policy, 'targets:\n  include: ["/(/"]\n');
    expect((await harden(['scan', '--facts', HOST, '--policy', policy])).err).toMatch(/harden\.yaml:2:13: targets\.include\[0\] must be a name with \* and \?, or \/EXPRESSION\/ in RE2 syntax\n/u);
  });

  test('a saved plan keeps its selection: verify judges by it, flags are refused', async () => {
    const saved = join(directory, 'plan.json');
    expect((await harden(['plan', '--facts', HOST, '-i', 'web-1', '-o', saved])).code).toBe(0);
    const plan = JSON.parse(readFileSync(saved, 'utf8')) as PlanDocument;
    expect(plan.inputs.selection.targets).toEqual({ include: ['web-1'], exclude: [], labels: [] });
    expect(new Set(plan.deferred.filter(({ target }) => target.kind === 'container').map(({ target }) => target.name))).toEqual(new Set(['web-1']));
    const { out } = await harden(['verify', saved, '--facts', HOST, '--format', 'json']);
    expect((JSON.parse(out) as { results: { target: { kind: string; name: string } }[] }).results.filter(({ target }) => target.kind === 'container' && target.name !== 'web-1')).toEqual([]);
    for (const flags of [['-i', 'web-1'], ['-x', 'gone'], ['-t', 'tier']]) {
      const refused = await harden(['apply', saved, ...flags]);
      expect(refused).toMatchObject({ code: 2 });
      expect(refused.err).toMatch(/^harden: --(?:include|exclude-name|label): a saved plan keeps its own/u);
    }
    writeFileSync(saved, JSON.stringify({ ...plan, inputs: { ...plan.inputs, selection: { ...plan.inputs.selection, targets: { include: ['/(/'], exclude: [], labels: [] } } } }));
    expect((await harden(['apply', saved])).err).toMatch(/is not a plan of harden: inputs\.selection\.targets\.include\.0 must be/u);
  });

  test('a plan of an older harden, which knew no targets, is read', async () => {
    const saved = join(directory, 'old.json');
    await harden(['plan', '--facts', HOST, '-o', saved]);
    const { inputs: { selection: { targets: _, ...selection }, ...inputs }, ...plan } = JSON.parse(readFileSync(saved, 'utf8')) as PlanDocument;
    writeFileSync(saved, JSON.stringify({ ...plan, inputs: { ...inputs, selection } }));
    expect((await harden(['verify', saved, '--facts', HOST])).err).toBe('');
  });

  test('a scan of a part is no baseline for the rest', async () => {
    const baseline = join(directory, 'scan.json');
    await harden(['scan', '--facts', HOST, '-i', 'web-1', '--format', `json=${baseline}`]);
    const { out } = await harden(['verify', '--baseline', baseline, '--facts', HOST, '--format', 'json']);
    expect(JSON.parse(out)).toMatchObject({ summary: { regressed: 0 } });
  });
});
