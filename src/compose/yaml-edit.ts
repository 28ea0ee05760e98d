import { isDeepStrictEqual } from 'node:util';
import { isAlias, isMap, isScalar, isSeq, visit } from 'yaml';
import type { Node, Pair, Scalar, YAMLMap, YAMLSeq } from 'yaml';
import type { Json, JsonObject } from '../model.ts';
import { isObject, nodeAt, parseCompose, valueAt } from './document.ts';
import type { ComposeDocument } from './document.ts';

type Path = readonly (string | number)[];

/** The value that a document shall hold at a path; undefined: the key shall be gone. */
export interface YamlChange {
  readonly path: Path;
  readonly value: Json | undefined;
}

/** A change that cannot be made in these lines without touching, or guessing, something else. The message says why. */
export class AmbiguousEdit extends Error {
  override readonly name = 'AmbiguousEdit';
}

/** One replacement in a text. */
interface Splice {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

const MAX_SPLICES = 500;

/**
 * Makes changes in the text of a document and nowhere else: comments, layout, quotes, line ends and order stay byte for byte. Every splice
 * is followed by a new parse; in the end the document must hold what it held, plus the changes.
 * @throws AmbiguousEdit when a text like that cannot be made
 */
export function changeYaml(source: ComposeDocument, changes: readonly YamlChange[]): ComposeDocument {
  let document = source;
  for (const { path, value } of changes) {
    for (let count = 0; ; count++) {
      const splice = nextSplice(document, document.tree.contents, path, 0, value);
      if (splice === null) break;
      if (count === MAX_SPLICES) throw new AmbiguousEdit('the lines cannot be brought to what they should say');
      document = spliced(document, splice);
    }
  }
  const expected = changes.reduce<Json>((data, { path, value }) => withValue(data, path, value), source.data);
  if (!isDeepStrictEqual(document.data, expected)) throw new AmbiguousEdit('an anchor, an alias or a merge key shares these lines with another part of the file');
  return document;
}

function spliced(document: ComposeDocument, { start, end, text }: Splice): ComposeDocument {
  const bom = document.text.slice(0, document.text.length - document.body.length);
  try {
    return parseCompose(document.path, bom + document.body.slice(0, start) + text + document.body.slice(end));
  } catch (error) {
    throw new AmbiguousEdit('the lines around it do not allow the change', { cause: error });
  }
}

/** The data with a value at a path; mappings on the way are made. */
function withValue(data: Json | undefined, [step, ...rest]: Path, value: Json | undefined): Json {
  if (step === undefined) return value ?? null;
  if (Array.isArray(data)) return data.map((item, index) => (index === step ? withValue(item, rest, value) : item));
  const { [step]: inner, ...others } = isObject(data) ? data : {};
  if (rest.length === 0 && value === undefined) return others;
  if (value === undefined && inner === undefined) return others;
  return { ...others, [step]: withValue(inner, rest, value) };
}

/** The first replacement that brings a document nearer to holding `value` at `path`; null when it does. `node` is at path[0…depth]. */
function nextSplice(document: ComposeDocument, node: unknown, path: Path, depth: number, value: Json | undefined): Splice | null {
  const step = path[depth];
  if (step === undefined) throw new AmbiguousEdit('there is nothing to change');
  if (isAlias(node)) throw new AmbiguousEdit(`${named(path.slice(0, depth))} is the alias *${node.source}, whose lines serve others too`);
  refuseTag(node, path.slice(0, depth));
  if (isSeq(node) && typeof step === 'number') {
    const item = node.items[step];
    return depth === path.length - 1 ? reconcileItem(document, item, path, value, node.flow === true) : nextSplice(document, item, path, depth + 1, value);
  }
  if (!isMap(node)) throw new AmbiguousEdit(`${named(path.slice(0, depth))} is no mapping`);
  const key = String(step);
  const pair = node.items.find((candidate) => isScalar(candidate.key) && String(candidate.key.value) === key);
  if (pair === undefined) {
    if (value === undefined && valueAt(document.data, path) === undefined) return null;
    const merged = valueAt(document.data, path.slice(0, depth + 1));
    const wanted = nested(path.slice(depth + 1), value);
    if (merged !== undefined && (value === undefined || typeof wanted === 'object')) throw new AmbiguousEdit(`${named(path.slice(0, depth + 1))} comes from a merge key (<<)`);
    return insertPair(document, node, path.slice(0, depth), key, wanted);
  }
  if (depth === path.length - 1) return reconcile(document, node, pair, path, value);
  if (!isEmpty(pair.value)) return nextSplice(document, pair.value, path, depth + 1, value);
  return value === undefined ? null : replaceValue(node, pair, nested(path.slice(depth + 1), value));
}

const nested = (path: Path, value: Json | undefined): Json => path.reduceRight<Json>((inner, step) => ({ [step]: inner }), value ?? null);

const named = (path: Path): string => (path.length === 0 ? 'the file' : path.filter((step, index) => !(index === 0 && step === 'services')).join('.'));

function reconcile(document: ComposeDocument, map: YAMLMap, pair: Pair, path: Path, value: Json | undefined): Splice | null {
  const current = valueAt(document.data, path);
  if (current !== undefined && value !== undefined && isDeepStrictEqual(current, value)) return null;
  refuseShared(pair.value, path);
  if (value === undefined) {
    refuseVariables(pair.value, path);
    return deletePair(document, map, pair, path);
  }
  if (isMap(pair.value) && isObject(value) && isObject(current)) return reconcileMap(document, pair.value, path, current, value);
  if (isSeq(pair.value) && Array.isArray(value) && Array.isArray(current)) return reconcileList(document, pair.value, path, current, value);
  refuseVariables(pair.value, path);
  return replaceValue(map, pair, value);
}

function reconcileMap(document: ComposeDocument, node: YAMLMap, path: Path, current: JsonObject, value: JsonObject): Splice | null {
  for (const [key, wanted] of Object.entries(value)) {
    if (!Object.hasOwn(current, key) || !isDeepStrictEqual(current[key], wanted)) return nextSplice(document, node, [...path, key], path.length, wanted);
  }
  const gone = Object.keys(current).find((key) => !Object.hasOwn(value, key));
  return gone === undefined ? null : nextSplice(document, node, [...path, gone], path.length, undefined);
}

/** Items are replaced in their place, removed, or added at the end. */
function reconcileList(document: ComposeDocument, node: YAMLSeq, path: Path, current: readonly Json[], value: readonly Json[]): Splice | null {
  const first = value.findIndex((wanted, index) => !isDeepStrictEqual(wanted, current[index]));
  const index = first === -1 ? value.length : first;
  if (value.length > current.length && index === current.length) return appendItem(document, node, value[index] ?? null);
  if (value.length < current.length) return removeItem(document, node, index, path);
  return reconcileItem(document, node.items[index], [...path, index], value[index], node.flow === true);
}

function reconcileItem(document: ComposeDocument, item: unknown, path: Path, value: Json | undefined, flow: boolean): Splice | null {
  refuseShared(item, path);
  const current = valueAt(document.data, path);
  if (value === undefined) throw new AmbiguousEdit('an item of a list is removed with its list');
  if (isMap(item) && isObject(current) && isObject(value)) return reconcileMap(document, item, path, current, value);
  if (!isScalar(item) || !isPlainScalar(item)) throw new AmbiguousEdit(`${named(path)} is written in a way that is not replaced safely`);
  const [start, end] = rangeOf(item);
  return { start, end, text: typeof value === 'object' ? inline(value) : scalar(value, { flow, quote: quoteOf(item) }) };
}

// ── replacing, inserting, removing ──────────────────────────────────────────

function replaceValue(map: YAMLMap, pair: Pair, value: Json): Splice {
  const node = pair.value;
  const flow = map.flow === true;
  if (isEmpty(node)) {
    const colon = colonOf(pair);
    return { start: colon + 1, end: colon + 1, text: ` ${typeof value === 'object' ? inline(value) : scalar(value, { flow })}` };
  }
  if (isScalar(node) && isPlainScalar(node)) {
    const [start, end] = rangeOf(node);
    return { start, end, text: typeof value === 'object' ? inline(value) : scalar(value, { flow, quote: quoteOf(node) }) };
  }
  if ((isMap(node) || isSeq(node)) && node.flow === true) {
    const [start, end] = rangeOf(node);
    return { start, end, text: inline(value) };
  }
  throw new AmbiguousEdit('its lines are a block that is not replaced safely');
}

function insertPair(document: ComposeDocument, map: YAMLMap, at: Path, key: string, value: Json): Splice {
  if (map.flow === true) return insertInFlow(map, map.items.map(pairRange), `${scalar(key, { flow: true })}: ${inline(value)}`, ' ');
  const [first] = map.items;
  const last = map.items.at(-1);
  if (first === undefined || last === undefined) throw new AmbiguousEdit(`${named(at)} is empty`);
  const column = document.place(pairRange(first).start).column - 1;
  const lines = blockPair(key, value, ' '.repeat(column), layoutOf(document, at));
  return insertAfter(document, pairRange(last).end, lines);
}

function appendItem(document: ComposeDocument, list: YAMLSeq, value: Json): Splice {
  const last: unknown = list.items.at(-1);
  const quote = isScalar(last) ? quoteOf(last) : undefined;
  if (list.flow === true) {
    return insertInFlow(list, list.items.map(itemRange), typeof value === 'object' ? inline(value) : scalar(value, { flow: true, quote }), '');
  }
  const dash = dashesOf(list).at(-1);
  if (dash === undefined) throw new AmbiguousEdit('the list is written in a way that is not added to safely');
  const indent = ' '.repeat(document.place(dash).column - 1);
  return insertAfter(document, itemRange(last).end, [`${indent}- ${typeof value === 'object' ? inline(value) : scalar(value, { flow: false, quote })}`]);
}

/** Behind the last item of `[…]` or `{…}`; `pad` is what stands inside the braces of an empty one. */
function insertInFlow(collection: YAMLMap | YAMLSeq, items: readonly Range[], text: string, pad: string): Splice {
  const last = items.at(-1);
  if (last !== undefined) return { start: last.end, end: last.end, text: `, ${text}` };
  const [start, end] = rangeOf(collection);
  return { start: start + 1, end: end - 1, text: pad + text + pad };
}

/** Whole lines below the line on which something ends. */
function insertAfter({ body }: ComposeDocument, offset: number, lines: readonly string[]): Splice {
  const end = lineEnd(body, offset);
  const eol = lineBreak(body);
  return { start: end, end, text: lines.map((line) => eol + line).join('') };
}

function deletePair(document: ComposeDocument, map: YAMLMap, pair: Pair, path: Path): Splice {
  const { body } = document;
  const { start, end } = pairRange(pair);
  if (map.flow === true) return deleteFromFlow(map.items.map(pairRange), map.items.indexOf(pair), map);
  const from = lineStart(body, start);
  if (body.slice(from, start).trim() !== '') throw new AmbiguousEdit(`${named(path)} stands on the line of something else`);
  if (map.items.length > 1) return withoutLines(body, from, end);
  // The last key of a mapping: what stays is an empty one, since a key without a value is no mapping.
  const colon = colonAbove(document, path);
  const until = lineEnd(body, end);
  const between = body.slice(colon + 1, from).replace(/\r?\n$/, '');
  return { start: colon + 1, end: until, text: ` {}${between}` };
}

function removeItem(document: ComposeDocument, list: YAMLSeq, index: number, path: Path): Splice {
  const item: unknown = list.items[index];
  refuseShared(item, [...path, index]);
  if (list.flow === true) return deleteFromFlow(list.items.map(itemRange), index, list);
  const dash = dashesOf(list)[index];
  if (dash === undefined) throw new AmbiguousEdit('the list is written in a way that nothing is removed from safely');
  const from = lineStart(document.body, dash);
  if (document.body.slice(from, dash).trim() !== '') throw new AmbiguousEdit(`${named(path)} stands on the line of something else`);
  return withoutLines(document.body, from, itemRange(item).end);
}

function deleteFromFlow(items: readonly Range[], index: number, collection: YAMLMap | YAMLSeq): Splice {
  const [before, here, after] = [items[index - 1], items[index], items[index + 1]];
  if (here === undefined) throw new AmbiguousEdit('the list is written in a way that nothing is removed from safely');
  if (before !== undefined) return { start: before.end, end: here.end, text: '' };
  if (after !== undefined) return { start: here.start, end: after.start, text: '' };
  const [start, end] = rangeOf(collection);
  return { start: start + 1, end: end - 1, text: '' };
}

/** The lines from `from` to the one on which `end` is, with their line break; at the end of a text without a last one, with the one before. */
function withoutLines(body: string, from: number, end: number): Splice {
  const until = lineEnd(body, end);
  const next = /^\r?\n/.exec(body.slice(until, until + 2));
  if (next !== null) return { start: from, end: until + next[0].length, text: '' };
  const before = /\r?\n$/.exec(body.slice(Math.max(0, from - 2), from));
  return { start: from - (before?.[0].length ?? 0), end: until, text: '' };
}

// ── what may not be touched ─────────────────────────────────────────────────

/** `${VAR}`, `$VAR`; `$$` is a dollar sign. */
export const isInterpolated = (text: string): boolean => /\$[A-Za-z_{]/.test(text.replaceAll('$$', ''));

function refuseTag(node: unknown, path: Path): void {
  if ((isMap(node) || isSeq(node) || isScalar(node)) && node.tag?.startsWith('!') === true && !node.tag.startsWith('!!')) {
    throw new AmbiguousEdit(`${named(path)} has the tag ${node.tag}`);
  }
}

/** Lines that are about to be replaced or removed: others may use what is in them, or what they say is not known. */
function refuseShared(value: unknown, path: Path): void {
  if (!isNode(value)) return;
  const refuse = (node: Node): void => {
    if (isAlias(node)) throw new AmbiguousEdit(`${named(path)} uses the alias *${node.source}`);
    refuseTag(node, path);
    if (isScalar(node) && typeof node.value === 'string' && isInterpolated(node.value)) throw new AmbiguousEdit(`${named(path)} depends on a variable: ${node.value.slice(0, 80)}`);
  };
  // In a list or a mapping, only what is touched counts, which the next steps look at.
  if (isScalar(value) || isAlias(value)) refuse(value);
  else refuseTag(value, path);
}

const isNode = (value: unknown): value is Node => isMap(value) || isSeq(value) || isScalar(value) || isAlias(value);

/** Refuses when something in a node that goes as a whole depends on a variable. */
function refuseVariables(node: unknown, path: Path): void {
  if (!isNode(node)) return;
  visit(node, {
    Scalar: (_, { value }) => {
      if (typeof value === 'string' && isInterpolated(value)) throw new AmbiguousEdit(`${named(path)} depends on a variable: ${value.slice(0, 80)}`);
    },
  });
}

// ── where things stand ──────────────────────────────────────────────────────

interface Range {
  readonly start: number;
  readonly end: number;
}

/** Without the blank lines, and the last line break, that a block scalar's range holds. */
function rangeOf(node: Node): readonly [number, number] {
  const { range } = node;
  if (range === undefined || range === null) throw new AmbiguousEdit('its place in the file is not known');
  return [range[0], range[1]];
}

const isEmpty = (node: unknown): boolean => node === null || node === undefined || (isScalar(node) && node.value === null && node.source === '');

/** On one place in one piece: neither a block scalar nor with an anchor that others may use. */
const isPlainScalar = ({ type, anchor }: Scalar): boolean => anchor === undefined && (type === 'PLAIN' || type === 'QUOTE_DOUBLE' || type === 'QUOTE_SINGLE');

function endOf(node: unknown): number {
  if (isMap(node) && node.flow !== true) return pairRange(node.items.at(-1)).end;
  if (isSeq(node) && node.flow !== true) return itemRange(node.items.at(-1)).end;
  if (!isNode(node)) throw new AmbiguousEdit('its place in the file is not known');
  return rangeOf(node)[1];
}

function pairRange(pair: Pair | undefined): Range {
  if (pair === undefined || !isNode(pair.key)) throw new AmbiguousEdit('its place in the file is not known');
  const [start, keyEnd] = rangeOf(pair.key);
  if (!isNode(pair.value) || isEmpty(pair.value)) return { start, end: pair.srcToken?.sep === undefined ? keyEnd : colonOf(pair) + 1 };
  return { start, end: trimmedEnd(pair.value) };
}

const itemRange = (item: unknown): Range => {
  if (!isNode(item)) throw new AmbiguousEdit('its place in the file is not known');
  return { start: isMap(item) && item.flow !== true ? pairRange(item.items[0]).start : rangeOf(item)[0], end: trimmedEnd(item) };
};

/** A block scalar's range ends where the next thing begins: on the line before it, then. */
function trimmedEnd(node: Node): number {
  const end = endOf(node);
  const isBlock = isScalar(node) && (node.type === 'BLOCK_LITERAL' || node.type === 'BLOCK_FOLDED');
  return isBlock ? Math.max(rangeOf(node)[0], end - 1) : end;
}

function colonOf(pair: Pair): number {
  const token = pair.srcToken?.sep?.find(({ type }) => type === 'map-value-ind');
  if (token === undefined) throw new AmbiguousEdit('its place in the file is not known');
  return token.offset;
}

/** The colon of the key whose only child stands at `path`. */
function colonAbove(document: ComposeDocument, path: Path): number {
  let node: unknown = document.tree.contents;
  let pair: Pair | undefined;
  for (const step of path.slice(0, -1)) {
    pair = isMap(node) ? node.items.find(({ key }) => isScalar(key) && String(key.value) === String(step)) : undefined;
    node = pair?.value ?? (isSeq(node) ? node.items[Number(step)] : undefined);
  }
  if (pair === undefined || (isMap(node) && node.anchor !== undefined)) throw new AmbiguousEdit(`${named(path)} is the only key there`);
  return colonOf(pair);
}

function dashesOf(list: YAMLSeq): readonly number[] {
  const token = list.srcToken;
  if (token?.type !== 'block-seq') throw new AmbiguousEdit('its place in the file is not known');
  const dashes = token.items.flatMap(({ start }) => start.find(({ type }) => type === 'seq-item-ind')?.offset ?? []);
  if (dashes.length !== list.items.length) throw new AmbiguousEdit('the list is written in a way that is not changed safely');
  return dashes;
}

const lineStart = (body: string, offset: number): number => body.lastIndexOf('\n', offset - 1) + 1;

function lineEnd(body: string, offset: number): number {
  const newline = body.indexOf('\n', offset);
  if (newline === -1) return body.length;
  return body[newline - 1] === '\r' && newline > offset ? newline - 1 : newline;
}

/** As the file's first line ends. */
const lineBreak = (body: string): string => (/\r?\n/.exec(body)?.[0] ?? '\n');

// ── writing ─────────────────────────────────────────────────────────────────

/** How far a mapping is indented below its key, and a list's dashes. */
interface Layout {
  readonly step: string;
  readonly dash: string;
}

/** As the neighbours do it: the nearest block below the same mapping, else anything in the file. */
function layoutOf(document: ComposeDocument, at: Path): Layout {
  const found: { step?: number; dash?: number } = {};
  const look = (root: unknown): void => {
    if (!isNode(root)) return;
    visit(root, {
      Pair: (_, { key, value }) => {
        if (!isScalar(key)) return;
        const column = document.place(rangeOf(key)[0]).column;
        if (isSeq(value) && value.flow !== true && value.items.length > 0) {
          const [dash] = dashesOf(value);
          if (dash !== undefined) found.dash ??= document.place(dash).column - column;
        } else if (isMap(value) && value.flow !== true && value.items.length > 0) {
          const below = document.place(pairRange(value.items[0]).start).column - column;
          if (below > 0) found.step ??= below;
        }
      },
    });
  };
  look(nodeAt(document, at));
  look(nodeAt(document, ['services']));
  look(document.tree.contents);
  const step = Math.max(1, found.step ?? 2);
  return { step: ' '.repeat(step), dash: ' '.repeat(Math.max(0, found.dash ?? step)) };
}

/** A key with its value as lines of a block mapping. */
export function blockPair(key: string, value: Json, indent: string, layout: Layout): readonly string[] {
  const head = `${indent}${scalar(key, { flow: false })}:`;
  if (Array.isArray(value) && value.length > 0) {
    return [head, ...value.map((item) => `${indent}${layout.dash}- ${typeof item === 'object' ? inline(item) : scalar(item, { flow: false })}`)];
  }
  if (isObject(value) && Object.keys(value).length > 0) {
    return [head, ...Object.entries(value).flatMap(([name, inner]) => blockPair(name, inner, indent + layout.step, layout))];
  }
  return [`${head} ${inline(value)}`];
}

/** A value on one line. */
function inline(value: Json): string {
  if (Array.isArray(value)) return `[${value.map(inline).join(', ')}]`;
  if (!isObject(value)) return scalar(value, { flow: true });
  const members = Object.entries(value).map(([key, inner]) => `${scalar(key, { flow: true })}: ${inline(inner)}`);
  return members.length === 0 ? '{}' : `{ ${members.join(', ')} }`;
}

/** Words that some reader of YAML takes for something else than text. */
const RESERVED = /^(?:true|false|yes|no|on|off|null|y|n)$/i;
const PLAIN = /^(?:[A-Za-z_/]|\.{1,2}\/)[\w./@=+-]*(?::[\w./@=+-]+)*$/;
/** Sizes and durations. */
const WITH_UNIT = /^\d+(?:b|k|m|g|t|h|s|ms|us|ns)$/;
const PLAIN_IN_BLOCK = /^(?:[A-Za-z_/]|\.{1,2}\/)[\w./@=+,-]*(?::[\w./@=+,-]+)*$/;

function scalar(value: Exclude<Json, Json[] | JsonObject>, { flow, quote }: { readonly flow: boolean; readonly quote?: string | undefined }): string {
  if (typeof value !== 'string') return String(value);
  if (quote === '\'' && !/[^\x20-\x7e]/.test(value)) return `'${value.replaceAll('\'', '\'\'')}'`;
  const plainly = quote === undefined && !RESERVED.test(value) && ((flow ? PLAIN : PLAIN_IN_BLOCK).test(value) || WITH_UNIT.test(value));
  // JSON's strings are YAML's, but for the characters that YAML wants escaped.
  return plainly ? value : JSON.stringify(value).replaceAll(/[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]/g, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

const quoteOf = ({ type }: Scalar): string | undefined => (type === 'QUOTE_DOUBLE' ? '"' : type === 'QUOTE_SINGLE' ? '\'' : undefined);
