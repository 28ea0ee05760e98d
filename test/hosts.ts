import { readFileSync, readdirSync } from 'node:fs';
import mergePatch from 'json-merge-patch';
import type { Facts, Policy } from '../src/model.ts';

const root = new URL('../fixtures/', import.meta.url);

const merged = (base: unknown, patch: unknown): unknown => mergePatch.apply(structuredClone(base) as object, patch ?? {});

/** JSON with octal modes written as strings, as cases hold them. */
type Loose = null | boolean | number | string | Loose[] | { [key: string]: Loose };

const isObject = (value: unknown): value is Record<string, Loose> => typeof value === 'object' && value !== null && !Array.isArray(value);

export const readFixture = (path: string): unknown => JSON.parse(readFileSync(new URL(path, root), 'utf8'));

/** A recorded host of fixtures/hosts/, by its name without `.json`. A new value on every call. */
export const loadHost = (name: string): Facts => readFixture(`hosts/${name}.json`) as Facts;

/** The paths of all cases, as "folder/case.json", sorted. */
export function casePaths(): readonly string[] {
  return readdirSync(new URL('cases/', root), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .flatMap((entry) => readdirSync(new URL(`cases/${entry.name}/`, root)).map((file) => `${entry.name}/${file}`))
    .sort();
}

export const policyWith = (patch: unknown, base: Policy): Policy => merged(base, patch) as Policy;

/** Reads "0644" as the number 0o644 wherever a `mode` is written so. */
export function octalModes(value: Loose): Loose {
  if (Array.isArray(value)) return value.map(octalModes);
  if (!isObject(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [
    key, key === 'mode' && typeof inner === 'string' && /^0[0-7]+$/u.test(inner) ? Number.parseInt(inner, 8) : octalModes(inner),
  ]));
}

/** An Observed that a patch turned from one status into another keeps only what its status has. */
function tidyObserved(value: Loose): Loose {
  if (Array.isArray(value)) return value.map(tidyObserved);
  if (!isObject(value)) return value;
  if (value['status'] === 'absent') return { status: 'absent' };
  if (value['status'] === 'unreadable' && typeof value['reason'] === 'string') return { status: 'unreadable', reason: value['reason'] };
  if (value['status'] === 'present' && value['value'] !== undefined) return { status: 'present', value: tidyObserved(value['value']) };
  if ((value['status'] === 'present' || value['status'] === 'unreadable') && Object.keys(value).every((key) => ['status', 'value', 'reason'].includes(key))) {
    throw new Error(`an Observed is incomplete: ${JSON.stringify(value)}`);
  }
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, tidyObserved(inner)]));
}

/** Records by path, and fields that a host may lack. */
const FREE_KEYS = new Set(['files', 'environmentFiles', 'managed']);
const OPTIONAL = new Set(['audit.bootEnabled', 'compose', 'contentTrust', 'daemon.otherSockets', 'daemon.startedWith', 'diskUsage', 'execHistory', 'managed', 'plugins', 'swarm', 'swarmNode', 'volumes', 'vulnerabilities']);

/** A patch with a misspelt field would silently test nothing. */
function refuseUnknownFields(patched: Loose, original: Loose, at: string, depth: number): void {
  if (!isObject(patched) || !isObject(original) || 'status' in original || depth === 0) return;
  for (const [key, value] of Object.entries(patched)) {
    const known = original[key];
    if (known === undefined && OPTIONAL.has(`${at}${key}`)) continue;
    if (known === undefined) throw new Error(`the facts have no ${at}${key}`);
    if (!FREE_KEYS.has(key)) refuseUnknownFields(value, known, `${at}${key}.`, depth - 1);
  }
}

const REGULAR_FILE = { type: 'file', mode: 0o644, uid: 0, gid: 0, dev: 2049, ino: 1, nlink: 1, mtimeMs: 0, ctimeMs: 0 };

/** A container as `docker create IMAGE` makes it, running. */
const PLAIN_CONTAINER = readFixture('containers/plain.json') as { spec: object; runtime: object };

/** A container of a case: one whose `spec` is no Observed holds only what differs from a plain container, and its id is its name. */
function completeContainer(container: Loose): Loose {
  if (!isObject(container) || !isObject(container['spec']) || 'status' in container['spec']) return container;
  const { name, spec, runtime, ...rest } = container;
  return {
    id: name, name, unmodelled: [], owner: { kind: 'none' }, ...rest,
    spec: { status: 'present', value: merged(PLAIN_CONTAINER.spec, { name, ...spec }) as Loose },
    runtime: isObject(runtime) && 'status' in runtime ? runtime
      : { status: 'present', value: merged(PLAIN_CONTAINER.runtime, runtime) as Loose },
  } as Loose;
}

/** What the collector would make of a daemon.json of which a case gives only the text. */
const withParsed = (config: Record<string, Loose>): Loose => ({
  bom: false, ...('parsed' in config ? {} : { parsed: { ok: true, value: JSON.parse(config['text'] as string) as Loose } }), ...config,
});

/**
 * A host with an RFC 7396 patch over it. For short cases: a mode may be written "0644"; a file that the host lacks needs only
 * what differs from a regular file 0644 root:root at its own path, last changed in 1970; a changed status drops what belongs
 * to the old one; a daemon.json needs only its `text` when that is valid, and is then a file, too; a container needs only what
 * differs from a plain one.
 */
export function hostWith(name: string, patch: unknown): Facts {
  const original = loadHost(name) as unknown as Loose;
  const patched = octalModes(tidyObserved(merged(original, patch) as Loose)) as Record<string, Loose>;
  refuseUnknownFields(patched, original, '', 2);
  const containers = patched['containers'] as Record<string, Loose>;
  if (Array.isArray(containers['value'])) containers['value'] = containers['value'].map(completeContainer);
  const files = patched['files'] as Record<string, Loose>;
  const daemon = patched['daemon'] as { configPath: string; config: Record<string, Loose> };
  if (isObject(daemon.config['value'])) {
    daemon.config['value'] = withParsed(daemon.config['value']);
    if (!isObject(files[daemon.configPath]) || (files[daemon.configPath] as { status: string }).status === 'absent') {
      files[daemon.configPath] = { status: 'present', value: {} };
    }
  }
  for (const [path, stat] of Object.entries(files)) {
    if (isObject(stat) && isObject(stat['value'])) stat['value'] = { ...REGULAR_FILE, realPath: path, ...stat['value'] };
  }
  return patched as unknown as Facts;
}
