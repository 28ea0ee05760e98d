import { basename, dirname, isAbsolute, join, normalize } from 'node:path/posix';
import type { Json, JsonObject } from '../model.ts';
import { isObject, parseCompose, servicesOf, valueAt } from './document.ts';
import type { ComposeDocument } from './document.ts';
import { dependsOnVariable, deviceOf, listOf, recordOf, volumeOf } from './values.ts';

export interface ComposeText {
  readonly path: string;
  readonly text: string;
}

/** The files that a project is made of, parsed. */
export interface ComposeProject {
  /** In the order of `-f`: later ones win. */
  readonly documents: readonly ComposeDocument[];
  /** Files that `extends` names, as far as they are known, by path. */
  readonly related: ReadonlyMap<string, ComposeDocument>;
  /** What relative paths of mounts start from. */
  readonly directory: string;
  /** As Compose names it, where nothing else is asked for: by the files, else by their directory. */
  readonly name: string;
}

/** What one file says about a service. */
export interface Layer {
  readonly document: ComposeDocument;
  readonly data: JsonObject;
  /** False for what the service takes over from another one (`extends`): editing it would change that one, too. */
  readonly own: boolean;
}

/** A service as its files say it, the weakest first. */
export interface Service {
  readonly name: string;
  readonly layers: readonly Layer[];
  /** All layers as one, by the rules of Compose; variables unresolved. */
  readonly data: JsonObject;
  /** What it takes over from files that are not known. */
  readonly missing: readonly string[];
}

/**
 * Parses the files of a project.
 * @throws ComposeError at the first place that is wrong
 */
export function parseProject(
  files: readonly ComposeText[],
  { directory = dirname(files[0]?.path ?? '.'), name, related = [] }: { readonly directory?: string; readonly name?: string; readonly related?: readonly ComposeText[] } = {},
): ComposeProject {
  const documents = files.map(({ path, text }) => parseCompose(path, text));
  const named = documents.flatMap(({ data }) => (typeof data['name'] === 'string' && !dependsOnVariable(data['name']) ? [data['name']] : [])).at(-1);
  return {
    documents,
    related: new Map(related.map(({ path, text }) => [normalize(path), parseCompose(path, text)])),
    directory,
    name: name ?? named ?? basename(directory).toLowerCase().replaceAll(/[^a-z0-9_-]/g, '').replace(/^[_-]+/, ''),
  };
}

/** What a network or a volume of the files is called in the engine. */
export function engineName({ documents, name }: ComposeProject, kind: 'networks' | 'volumes', key: string): string {
  const declared = documents.map(({ data }) => valueAt(data, [kind, key])).filter(isObject).at(-1);
  const chosen = declared?.['name'];
  if (typeof chosen === 'string') return chosen;
  return declared?.['external'] === true || name === '' ? key : `${name}_${key}`;
}

/** The names of the services that the project's own files define, in their order. */
export const serviceNames = ({ documents }: ComposeProject): readonly string[] => [...new Set(documents.flatMap((document) => Object.keys(servicesOf(document))))];

/** A service of the project; null when none of its files has it. */
export function serviceOf(project: ComposeProject, name: string): Service | null {
  const missing: string[] = [];
  const layers = project.documents.flatMap((document) => layersIn(project, document, name, missing, new Set()));
  if (!layers.some(({ own }) => own)) return null;
  return { name, layers, missing, data: layers.reduce<JsonObject>((merged, { data }) => mergeService(merged, data), {}) };
}

function layersIn(project: ComposeProject, document: ComposeDocument, name: string, missing: string[], seen: Set<string>): Layer[] {
  const services = servicesOf(document);
  if (!Object.hasOwn(services, name)) return [];
  const service = services[name];
  const data = isObject(service) ? service : {};
  const base = baseOf(data['extends']);
  const layers: Layer[] = [];
  if (base !== null) {
    const path = base.file === null ? document.path : resolvePath(document.path, base.file);
    const source = base.file === null ? document : project.related.get(path) ?? project.documents.find((other) => normalize(other.path) === path);
    const key = `${path}\0${base.service}`;
    const inherited = source === undefined || seen.has(key) ? [] : layersIn(project, source, base.service, missing, new Set([...seen, key]));
    if (inherited.length === 0) missing.push(`${base.service} of ${path}`);
    layers.push(...inherited.map((layer) => ({ ...layer, own: false, data: withoutUninherited(layer.data) })));
  }
  return [...layers, { document, data, own: true }];
}

/** Where a path that a file names leads to. */
export const resolvePath = (from: string, path: string): string => normalize(isAbsolute(path) ? path : join(dirname(from), path));

/** `extends: NAME`, or `extends: { service, file }`. */
function baseOf(value: Json | undefined): { readonly service: string; readonly file: string | null } | null {
  if (typeof value === 'string') return { service: value, file: null };
  if (!isObject(value) || typeof value['service'] !== 'string') return null;
  return { service: value['service'], file: typeof value['file'] === 'string' ? value['file'] : null };
}

/** What `extends` does not take over. */
const withoutUninherited = ({ depends_on: _, links: __, volumes_from: ___, ...rest }: JsonObject): JsonObject => rest;

/** Lists that are replaced as a whole. */
const REPLACED = new Set(['command', 'entrypoint', 'extends']);
/** A mapping, or a list of NAME=VALUE that stands for one. */
const RECORDS = new Set(['environment', 'labels', 'annotations', 'sysctls', 'extra_hosts']);

function mergeService(base: JsonObject, over: JsonObject): JsonObject {
  const merged: JsonObject = { ...base };
  for (const [key, value] of Object.entries(over)) {
    const old = merged[key];
    if (value === null && old !== undefined) continue;
    if (old === undefined || old === null || REPLACED.has(key)) merged[key] = value;
    else if (RECORDS.has(key)) merged[key] = { ...recordOf(old), ...recordOf(value) };
    else merged[key] = mergeValue(key, old, value);
  }
  return merged;
}

function mergeValue(key: string, old: Json, value: Json): Json {
  if (key === 'healthcheck' && isObject(old) && isObject(value)) return { ...old, ...value };
  if (key === 'logging' && isObject(old) && isObject(value) && value['driver'] !== undefined && old['driver'] !== undefined && value['driver'] !== old['driver']) return value;
  if (key === 'networks' && (isObject(old) || isObject(value))) return { ...networksOf(old), ...networksOf(value) };
  if (isObject(old) && isObject(value)) {
    const merged: JsonObject = { ...old };
    for (const [name, inner] of Object.entries(value)) {
      const before = Object.hasOwn(merged, name) ? merged[name] : undefined;
      merged[name] = before === undefined || before === null ? inner : mergeValue('', before, inner);
    }
    return merged;
  }
  if (!Array.isArray(old) && !Array.isArray(value)) return key === 'tmpfs' || key === 'dns' || key === 'dns_search' || key === 'env_file' ? [old, value] : value;
  const identity = IDENTITY[key] ?? ((item: Json): string => JSON.stringify(item));
  const byIdentity = new Map([...listOf(old), ...listOf(value)].map((item) => [identity(item), item]));
  return [...byIdentity.values()];
}

/** What makes two items of a list one, of which the later wins. */
const IDENTITY: Readonly<Record<string, (item: Json) => string>> = {
  volumes: (item) => volumeOf(item)?.target ?? JSON.stringify(item),
  devices: (item) => deviceOf(item)?.container ?? JSON.stringify(item),
};

/** `networks` of a service as a mapping. */
export const networksOf = (value: Json | undefined): JsonObject =>
  isObject(value) ? value : Object.fromEntries(listOf(value).filter((name) => typeof name === 'string').map((name) => [name, null]));
/** What a project's files name besides themselves. `path` is as written, `from` the file that names it. */
export interface Reference {
  readonly kind: 'extends' | 'include' | 'env_file' | 'label_file';
  readonly path: string;
  readonly from: string;
}

/** The files that are read when Compose reads this file: those of all services, also of ones that do not run. */
export function referencesOf(document: ComposeDocument): readonly Reference[] {
  const from = document.path;
  const of = (kind: Reference['kind'], value: Json | undefined): Reference[] =>
    listOf(value).flatMap((item) => {
      const path = isObject(item) ? item['path'] ?? item['file'] : item;
      return listOf(path).filter((one) => typeof one === 'string').map((one) => ({ kind, path: one, from }));
    });
  const included = listOf(document.data['include']).flatMap((item) => [...of('include', item), ...(isObject(item) ? of('env_file', item['env_file']) : [])]);
  const named = Object.values(servicesOf(document)).filter(isObject).flatMap((service) => {
    const base = baseOf(service['extends']);
    return [...(base?.file === null || base === null ? [] : of('extends', base.file)), ...of('env_file', service['env_file']), ...of('label_file', service['label_file'])];
  });
  return [...included, ...named];
}

/** True for what Compose would fetch from elsewhere: a git repository, an OCI artifact. */
export const isRemote = (path: string): boolean => /^(?:[a-z][a-z0-9+.-]*:|git@|github\.com\/)/i.test(path);
