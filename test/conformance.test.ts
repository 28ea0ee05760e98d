import { readdirSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { fileStatPaths } from '../checks/files/files.ts';
import { checks } from '../checks/index.ts';
import { remediationFor, remediations } from '../remediations/index.ts';
import { auditStatPaths } from '../src/collect/audit.ts';
import { STAT_PATHS } from '../src/collect/paths.ts';
import { evaluate } from '../src/evaluate.ts';
import type { Check, Facts, Outcome, Policy } from '../src/model.ts';
import { EDITIONS, OUTCOMES } from '../src/model.ts';
import { defaultPolicy } from '../src/policy.ts';
import { matchesTerm } from '../src/selection.ts';
import { caseOf } from './cases.ts';
import { casePaths, loadHost } from './hosts.ts';
import { fuzzRuns } from './support/hostile.ts';

/** The live recommendations of edition 1.8.0: section, and how many it has. */
const LIVE = [['1.1', 18], ['1.2', 2], ['2', 19], ['3', 24], ['4', 12], ['5', 32], ['6', 2], ['7', 9]] as const;
const LIVE_NUMBERS = LIVE.flatMap(([section, count]) => Array.from({ length: count }, (_, index) => `${section}.${index + 1}`));

const cases = casePaths().map((path) => ({ path, ...caseOf(path) }));
const worst = (verdicts: readonly { outcome: Outcome }[]): Outcome | undefined =>
  OUTCOMES.find((outcome) => verdicts.some((verdict) => verdict.outcome === outcome));

describe('the catalogue', () => {
  test('has each of the 118 live recommendations once', () => {
    expect(LIVE_NUMBERS).toHaveLength(118);
    expect(checks.flatMap(({ cis }) => cis['1.8.0'] ?? []).sort()).toEqual([...LIVE_NUMBERS].sort());
  });

  test('is in the order of the edition', () => {
    const numbers = checks.flatMap(({ cis }) => cis['1.8.0'] ?? []);
    expect(numbers).toEqual(numbers.toSorted((a, b) => a.localeCompare(b, 'en', { numeric: true })));
  });

  test.each(EDITIONS)('uses each number of %s once', (edition) => {
    const numbers = checks.flatMap(({ cis }) => cis[edition] ?? []);
    expect(numbers.filter((number, index) => numbers.indexOf(number) !== index)).toEqual([]);
  });

  test('ids are unique', () => {
    expect(new Set(checks.map(({ id }) => id)).size).toBe(checks.length);
    expect(new Set(remediations.map(({ check }) => check.id)).size).toBe(remediations.length);
  });

  test('codes of other tools are unique, and are no id or number', () => {
    const aliases = checks.flatMap(({ aliases: own = [] }) => own.map((alias) => alias.toLowerCase()));
    expect(aliases.filter((alias, index) => aliases.indexOf(alias) !== index)).toEqual([]);
    for (const alias of aliases) expect(checks.filter((check) => matchesTerm(check, alias, '1.8.0')), alias).toHaveLength(1);
  });

  test('every remediation is of a registered check', () => {
    expect(remediations.filter(({ check }) => !checks.includes(check)).map(({ check }) => check.id)).toEqual([]);
  });
});

test('what the tables of checks look at is collected on every host', () => {
  const collected = new Set([...STAT_PATHS, ...auditStatPaths]);
  expect(fileStatPaths.filter((path) => !collected.has(path))).toEqual([]);
});

describe.each(checks.map((check) => [check.id, check] as const))('%s', (id, check) => {
  const own = cases.filter((one) => one.check === check);

  test('has a slug, a title that states the compliant condition, and words for people', () => {
    expect(id).toMatch(/^[a-z]+(\.[a-z\d]+(-[a-z\d]+)*)+$/u);
    expect(check.title).not.toMatch(/^Ensure\b|\.$/u);
    for (const text of [check.rationale, check.passes]) expect(text).toMatch(/^\S.*\.$/su);
    expect(check.evidence).not.toBe('');
    expect([1, 2]).toContain(check.level);
  });

  test('has a remediation, and steps where that is left to a person', () => {
    const remediation = remediationFor(id);
    expect(remediation).toBeDefined();
    expect(remediation?.effect).toMatch(/^[A-Z`].*\.$/su);
    if (remediation?.mode === 'manual') expect(remediation.manual).toMatch(/\S/u);
    if (remediation?.mode === 'choice') expect(remediation.parameters.length + (remediation.manual?.length ?? 0)).toBeGreaterThan(0);
  });

  test('its cases are in a folder that names it or its table', () => {
    for (const { path } of own) {
      const folder = path.split('/')[0] ?? '';
      expect(id === folder || id.startsWith(`${folder}.`), path).toBe(true);
    }
  });

  test('its cases reach pass, warn and, because it reads facts, unknown; one that only a person can answer reaches neither pass nor warn', () => {
    const reached = new Set(own.flatMap(({ spec }) => spec.findings.map(({ outcome }) => outcome)));
    if (check.passes.startsWith('Never by itself: ')) {
      expect(reached).toContain('manual');
      expect([...reached].filter((outcome) => outcome === 'pass' || outcome === 'warn')).toEqual([]);
    } else expect([...reached]).toEqual(expect.arrayContaining(['pass', 'warn', 'unknown']));
  });
});

/** Facts that a check reads, and without which it may pass on a target all the same: other facts decide, and why they may. */
const DECIDED_OTHERWISE: readonly (readonly [check: RegExp, fact: RegExp, because: string])[] = [
  [/^daemon\.(?:log-level|iptables|insecure-registries|storage-\w+|cgroup-parent|base-device-size|seccomp-profile|no-tcp)$/u, /^engine\.version$/u,
    'the version tells defaults apart that changed; those of these keys did not'],
  [/^daemon\.(?:insecure-registries|storage-\w+|seccomp-profile|experimental)$/u, /^(?:daemon\.process|files\.\/etc\/docker)$/u,
    'GET /info says what the running daemon does, and unit and file what the next start does'],
  [/^file\.containerd-sock\./u, /^files\.\/var\/run\/docker\/containerd\/containerd\.sock$/u, 'each socket is a target of its own'],
  [/^container\.sensitive-mounts$/u, /^engine\.info$/u, 'a container without mounts of the host has none of the data root either'],
  [/^container\.docker-socket$/u, /^daemon\.socketUnit$/u, 'a container without mounts of the host has no socket, wherever it is'],
  [/^container\.ulimits$/u, /^(?:daemon\.(?:config|unit|process|environmentFiles\..*)|engine\.version|files\.\/etc\/docker)$/u,
    'a container without ulimits of its own has the defaults, whatever they are; what holds for its process was not recorded'],
];

describe('what cannot be read', () => {
  type Path = readonly string[];

  const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null;
  const isObserved = (value: unknown): boolean =>
    isObject(value) && typeof value['status'] === 'string' && ['present', 'absent', 'unreadable'].includes(value['status']);

  /** Every Observed that holds no other: those of containers are leaves, the list of containers is one as well. */
  function observedPaths(value: unknown, at: Path = []): readonly Path[] {
    if (!isObject(value)) return [];
    const inner = Object.entries(value).flatMap(([key, child]) => observedPaths(child, [...at, key]));
    return isObserved(value) ? [at, ...inner] : inner;
  }

  /** The facts with another value at a path; the rest is shared. */
  function withAt(facts: Facts, path: Path, value: unknown): Facts {
    const set = (node: unknown, depth: number): unknown => {
      const key = path[depth];
      if (key === undefined) return value;
      const child = set((node as Record<string, unknown>)[key], depth + 1);
      return Array.isArray(node) ? node.with(Number(key), child) as unknown[] : { ...(node as object), [key]: child };
    };
    return set(facts, 0) as Facts;
  }

  const at = (facts: Facts, path: Path): unknown =>
    path.reduce<unknown>((node, key) => isObject(node) ? node[key] : undefined, facts);

  /** Everything that any case holds at a path. */
  const seenAt = new Map<string, Map<string, unknown>>();
  for (const { facts } of cases) {
    for (const path of observedPaths(facts)) {
      const value = at(facts, path);
      const seen = seenAt.get(path.join('\0')) ?? new Map<string, unknown>();
      seenAt.set(path.join('\0'), seen.set(JSON.stringify(value), value));
    }
  }

  const ABSENT = '{"status":"absent"}';

  /** What other facts prove to be there: the auditctl that listed the kernel's rules, the directories above a file. */
  const cannotBeAbsent = ([area, name]: Path, facts: Facts): boolean =>
    (area === 'audit' && name === 'version' && facts.audit.loaded.status === 'present')
    || (area === 'files' && Object.entries(facts.files).some(([path, stat]) => stat.status === 'present' && path.startsWith(`${name ?? ''}/`)));

  /** The facts that a check looks at: all others cannot matter to it. */
  function readBy(check: Check, facts: Facts, policy: Policy): readonly Path[] {
    const read = new Map<string, Path>();
    const watched = (node: unknown, path: Path): unknown => {
      if (!isObject(node)) return node;
      if (Array.isArray(node)) return node.map((child, index) => watched(child, [...path, String(index)]));
      const copy = Object.fromEntries(Object.entries(node).map(([key, child]) => [key, watched(child, [...path, key])]));
      const { status } = node;
      return isObserved(node) ? Object.defineProperty(copy, 'status', { enumerable: true, get: () => (read.set(path.join('\0'), path), status) }) : copy;
    };
    check.evaluate(watched(facts, []) as Facts, policy);
    return [...read.values()];
  }

  const HOSTS = readdirSync(new URL('../fixtures/hosts/', import.meta.url)).filter((name) => name.endsWith('.json')).map((name) => name.replace(/\.json$/u, ''));

  test.each(HOSTS)('is never taken for right on the recorded host %s', (name) => {
    const facts = loadHost(name);
    const doubtful = new Set<string>();
    const used = new Set<(typeof DECIDED_OTHERWISE)[number]>();
    for (const check of checks) {
      const passed = new Map(check.evaluate(facts, defaultPolicy).filter(({ outcome }) => outcome === 'pass').map((verdict) => [verdict.target.id, verdict]));
      if (passed.size === 0) continue;
      for (const path of readBy(check, facts, defaultPolicy)) {
        const [part = '', index = '', value = '', inner = ''] = path;
        // What is said of one container or image concerns no other.
        const owner = ['containers', 'images'].includes(part) && inner !== '' ? (at(facts, [part, index, value, 'id']) as string) : null;
        const after = check.evaluate(withAt(facts, path, { status: 'unreadable', reason: 'made unreadable' }), defaultPolicy);
        for (const { outcome, target } of after) {
          if (outcome !== 'pass' || !passed.has(target.id) || (owner !== null && owner !== target.id)) continue;
          const reasons = DECIDED_OTHERWISE.filter(([checkId, fact]) => checkId.test(check.id) && fact.test(path.join('.')));
          for (const reason of reasons) used.add(reason);
          if (reasons.length === 0) doubtful.add(`${check.id} ${path.join('.')} ${target.id}`);
        }
      }
    }
    expect([...doubtful]).toEqual([]);
    expect(DECIDED_OTHERWISE.filter((reason) => !used.has(reason))).toEqual([]);
  });

  test.each(cases.map(({ path, check, facts, policy }) => [path, check, facts, policy] as const))('never helps %s to pass', (_path, check, facts, policy) => {
    const before = check.evaluate(facts, policy);
    const notPassed = new Set(before.filter(({ outcome }) => outcome !== 'pass').map(({ target }) => target.id));
    for (const path of readBy(check, facts, policy)) {
      const where = path.join('.');
      const after = check.evaluate(withAt(facts, path, { status: 'unreadable', reason: 'made unreadable' }), policy);
      expect(after.length, where).toBeGreaterThan(0);
      const newPasses = after.filter(({ outcome, target }) => outcome === 'pass' && notPassed.has(target.id));
      expect(newPasses, `${where} unreadable turns a finding into a pass`).toEqual([]);
      if (worst(after) !== 'pass') continue;
      expect(worst(before), `${where} unreadable turns the check into a pass`).toBe('pass');
      // It passes without knowing: then it must pass whatever is there.
      for (const [text, value] of seenAt.get(path.join('\0')) ?? []) {
        if (text === ABSENT && cannotBeAbsent(path, facts)) continue;
        const otherwise = worst(check.evaluate(withAt(facts, path, value), policy));
        expect(['pass', 'na', 'manual'], `passes with ${where} unreadable, but with ${text.slice(0, 200)} it does not`).toContain(otherwise);
      }
    }
  });
});

describe('hostile facts', () => {
  type Node = Record<string | number, unknown>;

  /** Every place in the facts, as [parent, key]. */
  function places(node: unknown, found: [Node, string][] = []): [Node, string][] {
    if (typeof node !== 'object' || node === null) return found;
    for (const [key, child] of Object.entries(node)) {
      if (key !== 'status' && key !== 'schemaVersion') found.push([node as Node, key]);
      places(child, found);
    }
    return found;
  }

  const replacement = fc.record({
    text: fc.oneof(fc.string(), fc.constantFrom('', '/', '../..', '__proto__', 'a'.repeat(5000), '\u001b[31m', '0', '-1', 'unix://', '\n', '[(*')),
    number: fc.oneof(fc.integer(), fc.constantFrom(0, -1, Number.MAX_SAFE_INTEGER)),
  });

  /** Another value of the same kind. */
  function mutate(parent: Node, key: string, { text, number }: { text: string; number: number }): void {
    const value = parent[key];
    if (typeof value === 'string') parent[key] = text;
    else if (typeof value === 'number') parent[key] = number;
    else if (typeof value === 'boolean') parent[key] = !value;
    else if (Array.isArray(value)) parent[key] = number % 2 === 0 ? [] : [...value as unknown[], ...value as unknown[]];
    else if (typeof value === 'object' && value !== null && 'status' in value) parent[key] = number % 2 === 0 ? { status: 'absent' } : { status: 'unreadable', reason: text };
  }

  test('make no check and no remediation throw, and no verdict disappear', { timeout: 60_000 }, () => {
    const bases = [loadHost('stock-debian'), ...cases.filter((_, index) => index % 7 === 0).map(({ facts }) => facts)];
    fc.assert(fc.property(fc.nat(), fc.array(fc.tuple(fc.nat(), replacement), { minLength: 1, maxLength: 6 }), (base, changes) => {
      const facts = structuredClone(bases[base % bases.length]) as Facts;
      for (const [at, value] of changes) {
        const all = places(facts);
        const [parent, key] = all[at % all.length] ?? [{}, ''];
        mutate(parent, key, value);
      }
      const { report, findings } = evaluate(checks, remediations, facts, defaultPolicy, { now: new Date(0), durationMs: 0, tool: { name: 'harden', version: '0.0.0' } });
      expect(findings.filter(({ message }) => message.startsWith('check failed')).map(({ check, message }) => `${check}: ${message}`)).toEqual([]);
      const { pass, warn, na, manual, unknown } = report.summary;
      expect(pass + warn + na + manual + unknown).toBe(checks.length);
      for (const finding of findings.filter(({ outcome }) => outcome === 'warn')) remediationFor(finding.check)?.propose(finding, facts, defaultPolicy);
    }), { numRuns: fuzzRuns(50), endOnFailure: true, interruptAfterTimeLimit: 30_000 });
  });
});

describe('purity', () => {
  const root = new URL('../', import.meta.url);
  const sources = (folder: string): readonly string[] => readdirSync(new URL(`${folder}/`, root), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts')).map((name) => `${folder}/${name}`);
  const textOf = (path: string): string => readFileSync(new URL(path, root), 'utf8');
  /** What a module needs when it runs: types are erased. */
  const importsOf = (path: string): readonly string[] =>
    [...textOf(path).matchAll(/^(?:import|export)\s(?!type\b)([^;]*?)\bfrom\s*'([^']+)'|\bimport\(?\s*'([^']+)'/gmu)]
      .filter((match) => !PURE.some((statement) => statement.test(match[0]))).map((match) => match[2] ?? match[3] ?? '');
  /** Functions of text that Node has among its I/O. */
  const PURE = [/\{ isIP(?:v[46])?(?:, isIPv[46])* \} from 'node:net'/u, /'node:(?:path|path\/posix|crypto|util)'/u];
  /** Reads files of this package, which are as constant as its code. */
  const TEMPLATES = 'src/templates.ts';
  const isRelative = (name: string): boolean => /^\.\.?\//u.test(name);

  /** A module and all that it imports, and theirs. */
  function closure(path: string, seen = new Set<string>()): ReadonlySet<string> {
    if (seen.has(path)) return seen;
    seen.add(path);
    for (const name of importsOf(path).filter(isRelative)) closure(new URL(name, new URL(path, root)).href.slice(root.href.length), seen);
    return seen;
  }

  test.each([...sources('checks'), ...sources('remediations')])('%s does no I/O, knows no time, and imports only our own modules', (path) => {
    expect(importsOf(path).filter((name) => !isRelative(name))).toEqual([]);
    for (const module of closure(path)) {
      if (module === TEMPLATES) continue;
      expect(importsOf(module).filter((name) => /^(?:node:|dockerode$|inquirer$|commander$)/u.test(name)), module).toEqual([]);
      expect(textOf(module), module).not.toMatch(/\bDate\.now\b|\bnew Date\(\)|\bMath\.random\b|\bprocess\.(?:env|argv|cwd)\b/u);
    }
  });
});
