import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import type { Document, LineCounter, Node } from 'yaml';
import { editDistance } from './edit-distance.ts';
import { parametersFor } from './container/parameters.ts';
import type { Ask, Check, Edition, Finding, Impact, Json, JsonObject, Parameters, Policy, Risk, TargetSelection, Waiver } from './model.ts';
import { messageOf, PolicyError } from './errors.ts';
import { matchesTerm, parseEdition } from './selection.ts';
import { compileTargets, selectsTargets } from './targets.ts';

/** What decides when neither a flag nor a policy file does. */
export const defaultPolicy: Policy = {
  benchmark: '1.8.0', level: 2, include: [], exclude: [], targets: { include: [], exclude: [], labels: [] }, maxImpact: 'reload', maxRisk: 'safe', parameters: {}, waivers: [],
};

/** The command line's share of the policy; what is undefined was not given. */
export interface PolicyFlags {
  readonly policy?: string | undefined;
  readonly benchmark?: string | undefined;
  readonly level?: 1 | 2 | undefined;
  readonly check?: readonly string[] | undefined;
  readonly exclude?: readonly string[] | undefined;
  /** Names of containers and images. */
  readonly include?: readonly string[] | undefined;
  readonly excludeName?: readonly string[] | undefined;
  readonly label?: readonly string[] | undefined;
  readonly maxImpact?: Impact | undefined;
  readonly maxRisk?: Risk | undefined;
  readonly trustedUsers?: readonly string[] | undefined;
  /** NAME=VALUE, in order. */
  readonly set?: readonly string[] | undefined;
}

export interface PolicyOptions {
  readonly flags: PolicyFlags;
  /** Where ./harden.yaml is looked for. */
  readonly cwd: string;
  /** Effective uid: decides whose ./harden.yaml is obeyed. */
  readonly euid: number;
  readonly systemPath?: string;
}

/** The policy in force and the file it came from (null: none). */
export interface LoadedPolicy {
  readonly policy: Policy;
  readonly path: string | null;
}

/** harden.yaml after validation; waivers know where they stand. */
type PolicyFile = Partial<Omit<Policy, 'parameters'>> & { readonly parameters?: Parameters };

/** A YAML file larger than this is no policy. */
const MAX_BYTES = 1 << 20;
/** Keys that reach an object's prototype when copied carelessly. No policy needs them. */
const FORBIDDEN_KEYS: ReadonlySet<string> = new Set(['__proto__', 'constructor', 'prototype']);

/**
 * Flags over the policy file over the defaults. The file is `--policy`, else ./harden.yaml, else /etc/harden/harden.yaml;
 * one that was not named must not be writable by others, for it may waive findings and allow risks.
 * @throws PolicyError with every problem, each with file, line and column
 */
export async function loadPolicy({ flags, cwd, euid, systemPath = '/etc/harden/harden.yaml' }: PolicyOptions): Promise<LoadedPolicy> {
  const found = await findPolicy(flags.policy, [join(cwd, 'harden.yaml'), systemPath], cwd, euid);
  const file = found === null ? {} : await parsePolicy(found.text, found.path);
  const parameters = await setParameters(file.parameters ?? {}, flags);
  return {
    path: found?.path ?? null,
    policy: {
      benchmark: flags.benchmark === undefined ? (file.benchmark ?? defaultPolicy.benchmark) : parseEdition(flags.benchmark),
      level: flags.level ?? file.level ?? defaultPolicy.level,
      include: flags.check ?? file.include ?? defaultPolicy.include,
      exclude: flags.exclude ?? file.exclude ?? defaultPolicy.exclude,
      targets: targetsOf(flags, file.targets ?? defaultPolicy.targets),
      maxImpact: flags.maxImpact ?? file.maxImpact ?? defaultPolicy.maxImpact,
      maxRisk: flags.maxRisk ?? file.maxRisk ?? defaultPolicy.maxRisk,
      parameters,
      waivers: file.waivers ?? defaultPolicy.waivers,
      ...(file.history !== undefined && { history: file.history }),
    },
  };
}

/** Flags over the file, part by part; expressions are tried, so that a mistake in one costs no look at the host. */
function targetsOf({ include, excludeName, label }: PolicyFlags, file: TargetSelection): TargetSelection {
  const targets = { include: include ?? file.include, exclude: excludeName ?? file.exclude, labels: label ?? file.labels };
  compileTargets(targets);
  return targets;
}

/**
 * Reads harden.yaml.
 * @throws PolicyError with every problem
 */
export async function parsePolicy(text: string, path: string): Promise<PolicyFile> {
  const yaml = await import('yaml');
  const lines = new yaml.LineCounter();
  const document = yaml.parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const problems = new Problems(path, lines);
  for (const error of document.errors) problems.add(error.pos[0], sentence(error.message));
  problems.stop();
  yaml.visit(document, {
    Pair(_, { key }) {
      if (!yaml.isScalar(key)) problems.add(yaml.isNode(key) ? (key.range?.[0] ?? 0) : 0, 'a key must be plain text');
      else if (FORBIDDEN_KEYS.has(String(key.value))) problems.add(key.range?.[0] ?? 0, `the key "${String(key.value)}" is not allowed`);
    },
  });
  problems.stop();

  const positions = new Positions(document, yaml);
  const value: unknown = toPlain(document, problems) ?? {};
  const { policyFile } = await import('./schemas.ts');
  const checked = policyFile.safeParse(value);
  for (const issue of checked.error?.issues ?? []) {
    for (const { at, text: problem } of describe(issue, value, policyFile)) {
      problems.add(at === undefined ? positions.ofValue(issue.path) : positions.ofKey(issue.path, at), problem);
    }
  }
  let benchmark: Edition | undefined;
  if (checked.data?.benchmark !== undefined) {
    try {
      benchmark = parseEdition(checked.data.benchmark);
    } catch (error) {
      problems.add(positions.ofValue(['benchmark']), `benchmark: ${messageOf(error)}`);
    }
  }
  problems.stop();
  if (checked.data === undefined) throw new PolicyError(`${path} is no policy`);
  const { benchmark: _, waivers, parameters, include, exclude, targets, history, ...rest } = checked.data;
  return {
    ...rest,
    ...(benchmark !== undefined && { benchmark }),
    ...(include && { include }),
    ...(exclude && { exclude }),
    ...(targets && { targets: { ...defaultPolicy.targets, ...targets } }),
    ...(parameters && { parameters }),
    ...(history && { history }),
    ...(waivers && {
      waivers: waivers.map((waiver, index): Waiver => {
        const { line, col } = lines.linePos(positions.ofValue(['waivers', index]));
        return { ...waiver, source: { path, line, column: col } };
      }),
    }),
  };
}

/**
 * What is wrong with waivers, which shows only once findings exist: for a check that does not exist, expired, or waiving
 * nothing of what its check looked at. `checks` is the whole catalogue; waivers of checks that were not selected are left alone.
 */
export function waiverProblems(policy: Policy, findings: readonly Finding[], checks: readonly Check[], now: Date): string[] {
  const judged = new Set(findings.map(({ check }) => check));
  return policy.waivers.flatMap((waiver) => {
    const meant = checks.filter((check) => matchesTerm(check, waiver.check, policy.benchmark));
    const problem = ((): string | null => {
      if (meant.length === 0) return `waives ${waiver.check}, and there is no such check${suggest(waiver.check, checks.map(({ id }) => id))}`;
      if (isExpired(waiver, now)) return `the waiver of ${waiver.check} expired on ${waiver.expires ?? ''}: its findings count again; renew it or remove it`;
      // What it waives may be among what was left out.
      if (!meant.some(({ id }) => judged.has(id)) || selectsTargets(policy.targets)) return null;
      const used = findings.some((finding) => meant.some(({ id }) => id === finding.check) && isWaivedBy(finding, waiver));
      if (used) return null;
      return `the waiver of ${waiver.check}${waiver.target === undefined ? '' : ` for ${waiver.target}`} waives nothing: no WARN matches it, or an earlier waiver does; correct it or remove it`;
    })();
    if (problem === null) return [];
    const { source } = waiver;
    return [source === undefined ? problem : `${source.path}:${source.line}:${source.column}: ${problem}`];
  });
}

const isWaivedBy = ({ waiver: applied }: Finding, { reason, owner, expires }: Waiver): boolean =>
  applied !== undefined && applied.reason === reason && applied.owner === owner && applied.expires === (expires ?? null);

/** A waiver holds through the whole of its last day, in UTC. */
const isExpired = ({ expires }: Waiver, now: Date): boolean => expires !== undefined && now.toISOString().slice(0, 10) > expires;

async function findPolicy(
  named: string | undefined, candidates: readonly string[], cwd: string, euid: number,
): Promise<{ readonly path: string; readonly text: string } | null> {
  if (named !== undefined) {
    const text = await readPolicy(isAbsolute(named) ? named : join(cwd, named), null);
    if (text === null) throw new PolicyError(`--policy ${named}: no such file`);
    return { path: named, text };
  }
  for (const path of candidates) {
    const text = await readPolicy(path, euid);
    if (text !== null) return { path, text };
  }
  return null;
}

/** null when there is no such file. With a uid, the file must be that user's or root's own. */
async function readPolicy(path: string, euid: number | null): Promise<string | null> {
  let file;
  try {
    file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw new PolicyError(`${path} cannot be read: ${messageOf(error)}`, { cause: error });
  }
  try {
    const stat = await file.stat();
    const { uid, mode } = stat;
    if (!stat.isFile()) throw new PolicyError(`${path} is not a regular file`);
    if (stat.size > MAX_BYTES) throw new PolicyError(`${path} is larger than 1 MiB: this is no policy`);
    if (euid !== null) {
      const strangers = euid === 0 ? 0o022 : 0o002;
      const doubt = uid !== 0 && uid !== euid ? `belongs to uid ${uid}` : (mode & strangers) !== 0 ? 'can be written by others' : null;
      if (doubt !== null) {
        throw new PolicyError(
          `${path} ${doubt}, and a policy can waive findings and allow risks.\nTo use it all the same, name it: --policy ${path}`,
        );
      }
    }
    return await file.readFile('utf8');
  } finally {
    await file.close();
  }
}

/** The file's parameters with `--set` and `--trusted-users` over them, validated together. */
async function setParameters(parameters: Parameters, { set = [], trustedUsers }: PolicyFlags): Promise<Parameters> {
  const withUsers = trustedUsers === undefined ? parameters : { ...parameters, trustedUsers };
  if (set.length === 0) return withUsers;
  const yaml = await import('yaml');
  const merged = structuredClone(withUsers) as JsonObject;
  const paths = set.map((assignment) => {
    const equals = assignment.indexOf('=');
    const path = assignment.slice(0, equals).split('.');
    if (equals < 1 || path.some((key) => key === '' || FORBIDDEN_KEYS.has(key))) {
      throw new PolicyError(`--set ${assignment}: write NAME=VALUE, where NAME is a dotted path under parameters of harden.yaml`);
    }
    const value = yamlValue(yaml, assignment.slice(equals + 1), `--set ${assignment}`);
    let parent = merged;
    for (const key of path.slice(0, -1)) {
      const next = parent[key] ?? {};
      if (typeof next !== 'object' || Array.isArray(next)) throw new PolicyError(`--set ${assignment}: ${key} is not a mapping`);
      parent = parent[key] = next;
    }
    parent[path.at(-1) ?? ''] = value;
    return { path, assignment };
  });
  const { policyParameters } = await import('./schemas.ts');
  const checked = policyParameters.safeParse(merged);
  if (checked.data !== undefined) return checked.data;
  const problems = checked.error.issues.flatMap((issue) => describe(issue, merged, policyParameters).map(({ at, text }) => {
    const where = at === undefined ? issue.path : [...issue.path, at];
    const culprit = paths.findLast(({ path }) => path.every((key, index) => index >= where.length || String(where[index]) === key));
    return `--set ${culprit?.assignment ?? where.join('.')}: ${text}`;
  }));
  throw new PolicyError([...new Set(problems)].join('\n'));
}

/**
 * One value of a line.
 * @throws PolicyError, beginning with `where`
 */
function yamlValue(yaml: typeof import('yaml'), text: string, where: string): Json {
  const document = yaml.parseDocument(text, { prettyErrors: false });
  const problem = document.errors[0];
  if (problem !== undefined) throw new PolicyError(`${where}: ${sentence(problem.message)}`);
  yaml.visit(document, {
    Pair(_, { key }) {
      if (!yaml.isScalar(key) || FORBIDDEN_KEYS.has(String(key.value))) throw new PolicyError(`${where}: the key "${String(key)}" is not allowed`);
    },
  });
  try {
    return document.toJS({ maxAliasCount: 100 }) as Json;
  } catch (error) {
    throw new PolicyError(`${where}: ${messageOf(error)}`, { cause: error });
  }
}

/** What somebody said when harden asked for a parameter. */
export interface Answer {
  readonly parameter: readonly string[];
  readonly value: Json;
  /** What they were told with the question. */
  readonly evidence: string;
}

/**
 * What a person typed for a parameter, validated as harden.yaml is.
 * @throws PolicyError
 */
export async function readAnswer({ parameter, suggested, evidence }: Ask, text: string, policy: Policy): Promise<Answer> {
  const yaml = await import('yaml');
  const answer: Answer = {
    parameter, value: yamlValue(yaml, text, parameter.join('.')), evidence: suggested === null ? evidence : `${suggested} was suggested${evidence === '' ? '' : `: ${evidence}`}`,
  };
  const { parameters } = withAnswers(policy, [answer]);
  const { policyParameters } = await import('./schemas.ts');
  const problems = policyParameters.safeParse(parameters).error?.issues.flatMap((issue) => describe(issue, parameters, policyParameters)) ?? [];
  if (problems.length > 0) throw new PolicyError([...new Set(problems.map((problem) => problem.text))].join('\n'));
  return answer;
}

/** The policy with answers over what it said. Pure. */
export const withAnswers = (policy: Policy, answers: readonly Answer[]): Policy => answers.reduce((current, { parameter, value, evidence }): Policy => ({
  ...current,
  parameters: withParameter(current, parameter, value),
  asked: [...(current.asked ?? []).filter((other) => other.parameter.join('\0') !== parameter.join('\0')), { parameter, evidence }],
}), policy);

function withParameter(policy: Policy, [head = '', ...path]: readonly string[], value: Json): Parameters {
  const { parameters } = policy;
  if (head !== 'containers') return withMember(parameters as JsonObject, [head, ...path], value);
  const [name = '', key = ''] = path;
  // The last glob that matches counts: the answer goes behind all of them, with what they said of this container.
  const { [name]: _, ...others } = parameters.containers ?? {};
  return { ...parameters, containers: { ...others, [name]: { ...parametersFor(name, policy), [key]: value } } };
}

function withMember(whole: JsonObject, [key = '', ...path]: readonly string[], value: Json): JsonObject {
  const inner = whole[key];
  return { ...whole, [key]: path.length === 0 ? value : withMember(typeof inner === 'object' && inner !== null && !Array.isArray(inner) ? inner : {}, path, value) };
}

/** Collects problems with their place, and throws them together, in the order of the file. */
class Problems {
  readonly #found: { readonly offset: number; readonly text: string }[] = [];
  readonly #path: string;
  readonly #lines: LineCounter;

  constructor(path: string, lines: LineCounter) {
    this.#path = path;
    this.#lines = lines;
  }

  add(offset: number, text: string): void {
    this.#found.push({ offset, text });
  }

  stop(): void {
    if (this.#found.length === 0) return;
    const messages = this.#found.toSorted((a, b) => a.offset - b.offset).map(({ offset, text }) => {
      const { line, col } = this.#lines.linePos(offset);
      return `${this.#path}:${line}:${col}: ${text}`;
    });
    throw new PolicyError([...new Set(messages)].join('\n'));
  }
}

type Path = readonly PropertyKey[];

/** Where keys and values stand in a YAML text, by their path; what cannot be found stands where its parent does. */
class Positions {
  readonly #document: Document;
  readonly #yaml: typeof import('yaml');

  constructor(document: Document, yaml: typeof import('yaml')) {
    this.#document = document;
    this.#yaml = yaml;
  }

  ofValue(path: Path): number {
    return this.#walk(path).offset;
  }

  ofKey(path: Path, key: string): number {
    const { node, offset } = this.#walk(path);
    return this.#pair(node, key)?.key.range?.[0] ?? offset;
  }

  #pair(node: unknown, key: PropertyKey): { readonly key: Node; readonly value: unknown } | undefined {
    if (!this.#yaml.isMap(node)) return undefined;
    const pair = node.items.find((item) => this.#yaml.isScalar(item.key) && String(item.key.value) === String(key));
    return pair !== undefined && this.#yaml.isNode(pair.key) ? { key: pair.key, value: pair.value } : undefined;
  }

  #walk(path: Path): { readonly node: unknown; readonly offset: number } {
    let node: unknown = this.#document.contents;
    let offset = this.#yaml.isNode(node) ? (node.range?.[0] ?? 0) : 0;
    for (const step of path) {
      const parent: unknown = this.#yaml.isAlias(node) ? node.resolve(this.#document) : node;
      const pair = this.#pair(parent, step);
      node = this.#yaml.isSeq(parent) ? parent.items[Number(step)] : pair?.value;
      const place = this.#yaml.isNode(node) ? node : pair?.key;
      if (place === undefined) break;
      offset = place.range?.[0] ?? offset;
    }
    return { node: this.#yaml.isAlias(node) ? node.resolve(this.#document) : node, offset };
  }
}

/** The document's value; an alias bomb is a problem like any other. */
function toPlain(document: Document, problems: Problems): unknown {
  try {
    return document.toJS({ maxAliasCount: 100 });
  } catch (error) {
    problems.add(0, messageOf(error));
    problems.stop();
    return undefined;
  }
}

const EXPECTED: Readonly<Record<string, string>> = {
  array: 'a list', boolean: 'true or false', int: 'a whole number', number: 'a number', object: 'a mapping', record: 'a mapping',
};

interface Issue {
  readonly code: string;
  readonly path: Path;
  readonly message: string;
  readonly expected?: string;
  readonly keys?: readonly string[];
  readonly values?: readonly unknown[];
}

/** One schema issue in a person's words. `at` is the key below the issue's path that is meant, when it is a key. */
function describe(issue: Issue, value: unknown, schema: unknown): { readonly at?: string; readonly text: string }[] {
  const name = nameOf(issue.path);
  const actual = issue.path.reduce<unknown>((inner, key) => (inner as Record<PropertyKey, unknown> | undefined)?.[key], value);
  if (issue.code === 'unrecognized_keys') {
    const known = keysOf(issue.path.reduce(innerSchema, schema));
    return (issue.keys ?? []).map((key) => ({
      at: key, text: `unknown key "${key}"${name === '' ? '' : ` in ${name}`}${suggest(key, known) || `; known are ${known.join(', ')}`}`,
    }));
  }
  const prefix = name === '' ? '' : `${name} `;
  if (actual === undefined) return [{ text: `${nameOf(issue.path.slice(0, -1))} lacks "${String(issue.path.at(-1))}"` }];
  if (issue.message.startsWith('must ')) return [{ text: prefix + issue.message }];
  if (issue.code === 'invalid_value') {
    const values = (issue.values ?? []).map(String);
    return [{ text: `${prefix}must be one of ${values.join(', ')}${typeof actual === 'string' ? suggest(actual, values) : ''}` }];
  }
  if (issue.code === 'invalid_type' && issue.expected === 'string') {
    return [{ text: `${prefix}must be text${typeof actual === 'number' ? ': write it in quotes, a number loses its last zeros' : ''}` }];
  }
  if (issue.code === 'invalid_type') {
    return [{ text: `${prefix === '' ? 'the policy ' : prefix}must be ${EXPECTED[issue.expected ?? ''] ?? issue.expected ?? 'something else'}` }];
  }
  return [{ text: `${prefix}${issue.message}` }];
}

const nameOf = (path: Path): string =>
  path.map((step, index) => (typeof step === 'number' ? `[${step}]` : `${index === 0 ? '' : '.'}${String(step)}`)).join('');

/** The parts of a zod schema that tell which keys it knows. */
interface SchemaShape {
  readonly shape?: Readonly<Record<string, unknown>>;
  readonly element?: unknown;
  readonly keyType?: { readonly options?: readonly string[] };
  readonly valueType?: unknown;
  unwrap?(): unknown;
}

function bare(schema: unknown): SchemaShape {
  let inner = schema as SchemaShape | undefined;
  while (inner !== undefined && inner.element === undefined && inner.unwrap !== undefined) inner = inner.unwrap() as SchemaShape;
  return inner ?? {};
}

function innerSchema(schema: unknown, step: PropertyKey): unknown {
  const { shape, element, valueType } = bare(schema);
  return shape?.[String(step)] ?? element ?? valueType;
}

function keysOf(schema: unknown): readonly string[] {
  const { shape, keyType } = bare(schema);
  return shape === undefined ? (keyType?.options ?? []) : Object.keys(shape);
}

const sentence = (message: string): string => (message.split('\n')[0] ?? '').replace(/[.:]$/, '');

/** `; did you mean "x"?`, or nothing when nothing is near. */
function suggest(word: string, known: readonly string[]): string {
  const normal = (text: string): string => text.toLowerCase().replaceAll(/[-_.\s]/g, '');
  const [best] = known
    .map((candidate) => ({ candidate, distance: editDistance(normal(word), normal(candidate)) }))
    .sort((a, b) => a.distance - b.distance);
  return best !== undefined && best.distance < word.length && best.distance <= Math.max(2, Math.floor(best.candidate.length / 3)) ? `; did you mean "${best.candidate}"?` : '';
}
