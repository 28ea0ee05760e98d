import { RE2JS } from 're2js';
import { messageOf, UsageError } from './errors.ts';
import { globMatches } from './glob.ts';
import type { ContainerFacts, Facts, ImageFacts, Owner, Target, TargetSelection } from './model.ts';
import { valueOf } from './model.ts';

/** A container or an image as selections and waivers see it. What is not known is null or empty. */
interface Subject {
  readonly kind: 'container' | 'image';
  /** By which a person would call it. Of an image: its tags with and without the part after the colon, its digests and its id. */
  readonly names: readonly string[];
  /** null: it could not be inspected. */
  readonly labels: Readonly<Record<string, string>> | null;
  /** Of a container: what its image is called there. Of an image: its names. */
  readonly images: readonly string[];
  readonly project: string | null;
  readonly service: string | null;
}

type Pattern = (name: string) => boolean;

/** Nobody writes a longer one for names of at most 255 characters. */
const MAX_PATTERN = 1000;

/**
 * A term for names: a glob over the whole name, or `/expression/` that is searched for in it. Names are written by whoever makes containers and
 * images, so expressions run in an engine whose time is linear: it has no back-references and no look-around.
 * @throws UsageError
 */
export function namePattern(term: string): Pattern {
  if (!term.startsWith('/')) return (name) => globMatches(term, name);
  const failed = (why: string): UsageError =>
    new UsageError(`${term}: ${why}\nWrite a name with * and ?, or /EXPRESSION/ in RE2 syntax (no look-around, no back-references).`);
  if (term.length < 3 || !term.endsWith('/')) throw failed('an expression stands between two slashes');
  if (term.length > MAX_PATTERN) throw failed(`an expression has at most ${MAX_PATTERN} characters`);
  try {
    const expression = RE2JS.compile(term.slice(1, -1));
    return (name) => expression.matcher(name).find();
  } catch (error) {
    throw failed(messageOf(error));
  }
}

/** `key`, or `key=value`, as `docker ps --filter label=` takes it. */
const hasLabel = (labels: Readonly<Record<string, string>>, term: string): boolean => {
  const equals = term.indexOf('=');
  const key = equals === -1 ? term : term.slice(0, equals);
  return Object.hasOwn(labels, key) && (equals === -1 || labels[key] === term.slice(equals + 1));
};

function membership(owner: Owner): Pick<Subject, 'project' | 'service'> {
  switch (owner.kind) {
    case 'compose': return { project: owner.project, service: owner.service };
    case 'swarm': return { project: null, service: owner.service };
    // Both tell the compose project that they took over.
    case 'portainer':
    case 'podman': return { project: owner.name, service: null };
    case 'kubernetes':
    case 'nomad':
    case 'systemd':
    case 'none': return { project: null, service: null };
  }
}

function containerSubject({ name, spec, owner }: ContainerFacts): Subject {
  const known = valueOf(spec);
  return { kind: 'container', names: [name], labels: known?.labels ?? null, images: known === undefined ? [] : [known.image.reference], ...membership(owner) };
}

function imageSubject({ id, tags, digests, config }: ImageFacts): Subject {
  const hex = id.replace(/^sha256:/u, '');
  const repositories = tags.map((tag) => tag.replace(/:[^:/]*$/u, ''));
  const names = [...tags, ...repositories, ...digests, id, hex, hex.slice(0, 12)];
  return { kind: 'image', names, labels: valueOf(config)?.labels ?? null, images: names, project: null, service: null };
}

/** By kind and id of the target. */
export type Subjects = ReadonlyMap<string, Subject>;

const keyOf = (kind: string, id: string): string => `${kind}\0${id}`;

/** Every container and image of a host. */
export const subjectsOf = ({ containers, images }: Facts): Subjects => new Map([
  ...(valueOf(containers) ?? []).map((container) => [keyOf('container', container.id), containerSubject(container)] as const),
  ...(valueOf(images) ?? []).map((image) => [keyOf('image', image.id), imageSubject(image)] as const),
]);

/** Whether anything is left out. */
export const selectsTargets = ({ include, exclude, labels }: TargetSelection): boolean => include.length + exclude.length + labels.length > 0;

interface Compiled {
  readonly include: readonly Pattern[];
  readonly exclude: readonly Pattern[];
  readonly labels: readonly string[];
}

/** @throws UsageError for an expression that is none */
export const compileTargets = ({ include, exclude, labels }: TargetSelection): Compiled =>
  ({ include: include.map(namePattern), exclude: exclude.map(namePattern), labels });

/** One of the names, none of the excluded names, all of the labels. What could not be inspected may have them: it stays, as unknown. */
const isSelected = ({ include, exclude, labels }: Compiled, { names, labels: own }: Subject): boolean =>
  (include.length === 0 || include.some((matches) => names.some(matches)))
  && !exclude.some((matches) => names.some(matches))
  && (own === null || labels.every((term) => hasLabel(own, term)));

/**
 * Whether verdicts on a target are wanted. Only containers and images are ever left out. A target that stands for all containers or all images
 * is wanted as long as one of them is.
 */
export function targetFilter(selection: TargetSelection, facts: Facts): (target: Target) => boolean {
  if (!selectsTargets(selection)) return () => true;
  const compiled = compileTargets(selection);
  const subjects = subjectsOf(facts);
  const selected = new Map([...subjects].map(([key, subject]) => [key, isSelected(compiled, subject)]));
  const remains = (kind: Subject['kind']): boolean => {
    const all = [...subjects].filter(([, subject]) => subject.kind === kind);
    return all.length === 0 || all.some(([key]) => selected.get(key) === true);
  };
  const left = { container: remains('container'), image: remains('image') };
  return ({ kind, id }) => (kind !== 'container' && kind !== 'image') || (selected.get(keyOf(kind, id)) ?? left[kind]);
}

/**
 * Refuses a selection of which a part names nothing: a slip of the pen would pass for a clean host.
 * @throws UsageError naming the part
 */
export function requireTargets(selection: TargetSelection, facts: Facts): void {
  if (!selectsTargets(selection)) return;
  const compiled = compileTargets(selection);
  if (facts.containers.status !== 'present' || facts.images.status !== 'present') return;
  const subjects = [...subjectsOf(facts).values()];
  const unmatched = (option: string, terms: readonly string[], matches: (subject: Subject, index: number) => boolean): string[] =>
    terms.filter((_, index) => !subjects.some((subject) => matches(subject, index))).map((term) => `${option} ${term}`);
  const lost = [
    ...unmatched('--include', selection.include, ({ names }, index) => names.some((name) => compiled.include[index]?.(name))),
    ...unmatched('--exclude-name', selection.exclude, ({ names }, index) => names.some((name) => compiled.exclude[index]?.(name))),
    ...unmatched('--label', selection.labels, ({ labels }, index) => labels === null || hasLabel(labels, selection.labels[index] ?? '')),
  ];
  if (lost.length > 0) throw new UsageError(`no container or image matches ${lost.join(', ')}\n\`docker ps -a\` and \`docker images\` show their names.`);
}

/** The selection in words, for texts; null where all are judged. */
export function describeTargets({ include, exclude, labels }: TargetSelection): string | null {
  const parts = [
    ...(include.length === 0 ? [] : [`only ${include.join(', ')}`]),
    ...(exclude.length === 0 ? [] : [`not ${exclude.join(', ')}`]),
    ...(labels.length === 0 ? [] : [`with label ${labels.join(' and ')}`]),
  ];
  return parts.length === 0 ? null : `Of the containers and images: ${parts.join('; ')}`;
}

/** Where a waiver holds: `kind:glob` over the name or id of a target, or a property of a container or image; undefined: everywhere. */
export function matchesSelector(selector: string | undefined, target: Target, subjects: Subjects): boolean {
  if (selector === undefined) return true;
  const property = /^(label|image|project|service)=(.*)$/su.exec(selector);
  if (property === null) {
    const colon = selector.indexOf(':');
    if (colon === -1 || selector.slice(0, colon) !== target.kind) return false;
    const glob = selector.slice(colon + 1);
    return globMatches(glob, target.name) || globMatches(glob, target.id);
  }
  const [, name, value = ''] = property;
  if (target.kind === 'swarm') return name === 'service' && globMatches(`service ${value}`, target.name);
  const subject = subjects.get(keyOf(target.kind, target.id));
  if (subject === undefined) return false;
  if (name === 'label') return subject.labels !== null && hasLabel(subject.labels, value);
  if (name === 'image') return subject.images.some((image) => globMatches(value, image));
  const own = name === 'project' ? subject.project : subject.service;
  return own !== null && globMatches(value, own);
}
