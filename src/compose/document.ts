import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument, visit } from 'yaml';
import type { Document, Node } from 'yaml';
import { UsageError } from '../errors.ts';
import type { Json, JsonObject } from '../model.ts';

/** A compose file that cannot be read as one. The message begins with PATH:LINE:COLUMN, both counted from 1. */
export class ComposeError extends UsageError {
  override readonly name = 'ComposeError';
  readonly line: number;
  readonly column: number;

  constructor(path: string, { line, column }: Place, problem: string) {
    super(`${path}:${line}:${column}: ${problem}`);
    this.line = line;
    this.column = column;
  }
}

/** Counted from 1, columns in UTF-16 units. */
export interface Place {
  readonly line: number;
  readonly column: number;
}

/** One compose file, parsed: what it says, and where each part of it stands. */
export interface ComposeDocument {
  /** As the caller named it. */
  readonly path: string;
  /** The whole text, byte order mark included. */
  readonly text: string;
  /** The text without its byte order mark: what the ranges of `tree` count in. */
  readonly body: string;
  readonly tree: Document.Parsed;
  /** Aliases and merge keys resolved, variables not. */
  readonly data: JsonObject;
  /** Where an offset of `body` is. */
  place(offset: number): Place;
}

/** Larger files are no compose files that people write, and would take the parser minutes. */
const MAX_LENGTH = 1024 * 1024;
/** Nobody nests deeper; parsers of YAML recurse, and a text that is nothing but brackets ends the whole process. */
const MAX_DEPTH = 100;
const MAX_ALIASES = 1000;

const TOP_LEVEL = ['version', 'name', 'include', 'services', 'networks', 'volumes', 'secrets', 'configs', 'models'];
/** Keys that would become something else than a member of the object that they are copied into. */
const FORBIDDEN_KEYS = new Set(['__proto__']);

const BOM = '\ufeff';

/**
 * The text of a compose file from its bytes.
 * @throws ComposeError when they are no UTF-8, or too many
 */
export function decodeCompose(path: string, bytes: Uint8Array): string {
  if (bytes.length > MAX_LENGTH) throw tooLarge(path);
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    const lossy = new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes);
    // A replacement character may stand in the text itself: the first one that is not is where re-encoding differs.
    const encoded = new TextEncoder().encode(lossy);
    const same = encoded.findIndex((byte, index) => byte !== bytes[index]);
    const before = new TextDecoder('utf-8', { ignoreBOM: true }).decode(encoded.slice(0, same)).split('\n');
    throw new ComposeError(path, { line: before.length, column: (before.at(-1) ?? '').length + 1 }, 'this is not UTF-8 text. Save the file as UTF-8');
  }
}

const tooLarge = (path: string): ComposeError =>
  new ComposeError(path, { line: 1, column: 1 }, `the file is larger than ${MAX_LENGTH / 1024 / 1024} MiB. A compose file that people edit is not: name the right file`);

/**
 * Reads a compose file. Variables stay as they are written.
 * @throws ComposeError for what is no YAML, no single document, holds a key twice, or has an unknown top-level key
 */
export function parseCompose(path: string, text: string): ComposeDocument {
  if (text.length > MAX_LENGTH) throw tooLarge(path);
  const body = text.startsWith(BOM) ? text.slice(BOM.length) : text;
  const lines = new LineCounter();
  const place = (offset: number): Place => {
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(1, line), column: Math.max(1, col) };
  };
  const fail = (offset: number, problem: string): ComposeError => new ComposeError(path, place(offset), problem);

  const deep = tooDeepAt(body);
  if (deep !== null) throw new ComposeError(path, placeIn(body, deep), `nested deeper than ${MAX_DEPTH} levels`);
  // The library's own search for duplicate keys compares all with all.
  const tree = parseDocument(body, { lineCounter: lines, prettyErrors: false, keepSourceTokens: true, merge: true, uniqueKeys: false });
  const [error] = tree.errors;
  if (error !== undefined) {
    throw fail(error.pos[0], error.code === 'MULTIPLE_DOCS' ? 'a second document begins here. Put each into a file of its own' : sentence(error.message));
  }
  visit(tree, { Map: (_, { items }) => refuseBadKeys(items.map(({ key }) => key), fail) });
  const { contents } = tree;
  if (contents === null || (isScalar(contents) && contents.value === null)) throw fail(0, 'the file is empty. A compose file has "services:"');
  if (!isMap(contents)) throw fail(contents.range[0], 'a compose file is a mapping that begins with "services:"');
  for (const { key } of contents.items) {
    const name = isScalar(key) ? String(key.value) : '';
    if (!TOP_LEVEL.includes(name) && !name.startsWith('x-')) {
      throw fail(startOf(key), `"${name.slice(0, 60)}" is no top-level key of a compose file. Known are ${TOP_LEVEL.join(', ')} and x-…`);
    }
  }
  const data = plain(tree, fail);
  const services: Json | undefined = data['services'];
  if (services !== undefined && services !== null && !isObject(services)) throw fail(valueStart(contents, 'services'), 'services must be a mapping');
  for (const [name, service] of Object.entries(isObject(services) ? services : {})) {
    if (service !== null && !isObject(service)) throw fail(valueStart(contents, 'services', name), `the service ${JSON.stringify(name)} must be a mapping`);
  }
  return { path, text, body, tree, data, place };
}

/** A mapping of a YAML or JSON document. */
export const isObject = (value: Json | undefined): value is JsonObject => typeof value === 'object' && value !== null && !Array.isArray(value);

/** The services of a file by name; {} for one that only names networks or volumes. */
export const servicesOf = ({ data }: ComposeDocument): JsonObject => (isObject(data['services']) ? data['services'] : {});

/** The value at a path of a document's data; undefined where there is none. */
export function valueAt(data: Json | undefined, path: readonly (string | number)[]): Json | undefined {
  return path.reduce<Json | undefined>((inner, step) => {
    if (Array.isArray(inner)) return inner[Number(step)];
    return isObject(inner) && Object.hasOwn(inner, step) ? inner[step] : undefined;
  }, data);
}

/** The node that a path leads to, and where it stands; undefined where there is none. Aliases are not followed. */
export function nodeAt(document: ComposeDocument, path: readonly (string | number)[]): Node | undefined {
  let node: unknown = document.tree.contents;
  for (const step of path) {
    if (isSeq(node)) node = node.items[Number(step)];
    else if (isMap(node)) node = node.items.find(({ key }) => isScalar(key) && String(key.value) === String(step))?.value;
    else return undefined;
  }
  return isMap(node) || isSeq(node) || isScalar(node) || isAlias(node) ? node : undefined;
}

/** Where a service's key, or the service itself, stands; null when the file does not have it. */
export function placeOf(document: ComposeDocument, path: readonly string[]): Place | null {
  const parent = nodeAt(document, path.slice(0, -1));
  const key = isMap(parent) ? parent.items.find((pair) => isScalar(pair.key) && String(pair.key.value) === path.at(-1))?.key : undefined;
  return key === undefined ? null : document.place(startOf(key));
}

const startOf = (node: unknown): number => (isScalar(node) || isMap(node) || isSeq(node) || isAlias(node) ? node.range?.[0] ?? 0 : 0);

function valueStart(map: unknown, ...path: readonly string[]): number {
  let node: unknown = map;
  for (const step of path) node = isMap(node) ? node.items.find(({ key }) => isScalar(key) && key.value === step)?.value : undefined;
  return startOf(node);
}

function refuseBadKeys(keys: readonly unknown[], fail: (offset: number, problem: string) => ComposeError): void {
  const seen = new Set<string>();
  for (const key of keys) {
    if (!isScalar(key)) throw fail(startOf(key), 'a key must be plain text');
    const name = String(key.value);
    const shown = JSON.stringify(name.slice(0, 60));
    if (FORBIDDEN_KEYS.has(name)) throw fail(startOf(key), `the key ${shown} is not allowed`);
    if (seen.has(name)) throw fail(startOf(key), `the key ${shown} is here twice. Remove one`);
    seen.add(name);
  }
}

function plain(tree: Document.Parsed, fail: (offset: number, problem: string) => ComposeError): JsonObject {
  try {
    return tree.toJS({ maxAliasCount: MAX_ALIASES }) as JsonObject;
  } catch (error) {
    let offset = 0;
    visit(tree, { Alias: (_, alias) => { offset = startOf(alias); return visit.BREAK; } });
    throw fail(offset, error instanceof Error ? sentence(error.message) : 'the file cannot be resolved');
  }
}

const sentence = (message: string): string => (message.split('\n')[0] ?? '').replace(/[.:]$/, '');

function placeIn(text: string, offset: number): Place {
  const before = text.slice(0, offset).split('\n');
  return { line: before.length, column: (before.at(-1) ?? '').length + 1 };
}

/** Where a text is nested deeper than any that people write, by its brackets and indentation alone; null when it is not. */
function tooDeepAt(text: string): number | null {
  const indents: number[] = [];
  let brackets = 0;
  for (let start = 0; start < text.length;) {
    const newline = text.indexOf('\n', start);
    const end = newline === -1 ? text.length : newline;
    const line = text.slice(start, end);
    const [lead = ''] = /^(?:[ \t]|[-?:](?=[ \t]))*/.exec(line) ?? [];
    const compact = lead.replaceAll(/[ \t]/g, '').length;
    if (compact > 0 || lead.length < line.trimEnd().length) {
      while ((indents.at(-1) ?? -1) >= lead.length) indents.pop();
      indents.push(lead.length);
      if (indents.length + compact > MAX_DEPTH) return start;
    }
    for (const { 0: bracket, index } of line.matchAll(/[[\]{}]/g)) {
      brackets = bracket === '[' || bracket === '{' ? brackets + 1 : Math.max(0, brackets - 1);
      if (brackets > MAX_DEPTH) return start + index;
    }
    start = end + 1;
  }
  return null;
}
