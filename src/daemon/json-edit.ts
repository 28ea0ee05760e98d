import { isDeepStrictEqual } from 'node:util';
import { apply as applyMergePatch } from 'json-merge-patch';
import { applyEdits, parseTree, printParseErrorCode } from 'jsonc-parser';
import type { Edit, Node, ParseError } from 'jsonc-parser';
import type { ConfigFile, Json, JsonObject } from '../model.ts';

/** A text that cannot be edited safely: not JSON, or a touched key stands in it twice. The message says where and what to do. */
export class JsonEditError extends Error {
  override readonly name = 'JsonEditError';
}

/** Names that json-merge-patch refuses, because they reach a prototype. No daemon.json key is called so. */
const UNSAFE_KEYS = new Set(['__proto__', 'constructor', 'prototype']);

export const isObject = (value: Json | undefined): value is JsonObject => typeof value === 'object' && value !== null && !Array.isArray(value);

/** Own property only: a JSON text may hold keys like "toString" or "__proto__". */
export const own = (object: JsonObject, key: string): Json | undefined => (Object.hasOwn(object, key) ? object[key] : undefined);

export function positionAt(text: string, offset: number): { readonly line: number; readonly column: number } {
  const before = text.slice(0, offset).split(/\r\n|\n|\r/);
  return { line: before.length, column: (before.at(-1) ?? '').length + 1 };
}

type Parsed = ConfigFile['parsed'];

const ERROR_TEXTS: Readonly<Record<string, string>> = {
  InvalidSymbol: 'this is not JSON',
  InvalidNumberFormat: 'this is not a JSON number',
  PropertyNameExpected: 'a key in double quotes is expected here (JSON allows no comma before "}")',
  ValueExpected: 'a value is expected here (JSON allows no comma before "]")',
  ColonExpected: '":" is expected here',
  CommaExpected: '"," is expected here',
  CloseBraceExpected: '"}" is missing',
  CloseBracketExpected: '"]" is missing',
  EndOfFileExpected: 'nothing may follow the closing "}"',
  InvalidCommentToken: 'JSON has no comments',
  UnexpectedEndOfComment: 'JSON has no comments',
  UnexpectedEndOfString: 'a string is not closed',
  UnexpectedEndOfNumber: 'a number ends too early',
  InvalidUnicode: 'a \\u escape needs four hexadecimal digits',
  InvalidEscapeCharacter: 'unknown escape in a string',
  InvalidCharacter: 'control characters must be escaped in a string',
};

function parseErrorOf(text: string, thrown: unknown): Parsed {
  const errors: ParseError[] = [];
  parseTree(text, errors, { disallowComments: true, allowTrailingComma: false });
  const [first] = errors;
  if (first !== undefined) {
    const code = printParseErrorCode(first.error);
    return { ok: false, error: ERROR_TEXTS[code] ?? code, ...positionAt(text, first.offset) };
  }
  const message = thrown instanceof Error ? thrown.message : 'this is not JSON';
  const offset = /position (\d+)/.exec(message)?.[1];
  return { ok: false, error: 'this is not JSON', ...positionAt(text, offset === undefined ? text.length : Number(offset)) };
}

interface DuplicateKey {
  readonly key: string;
  /** Line of the later one. */
  readonly line: number;
}

function propertiesOf(object: Node): { readonly key: string; readonly property: Node; readonly value: Node }[] {
  return (object.children ?? []).flatMap((property) => {
    const [name, value] = property.children ?? [];
    return name === undefined || value === undefined ? [] : [{ key: name.value as string, property, value }];
  });
}

/** Keys that stand twice at the top level. dockerd reads on: the last scalar or list counts, objects are merged. */
export function duplicateKeys(text: string): DuplicateKey[] {
  const root = parseTree(text);
  if (root?.type !== 'object') return [];
  const seen = new Set<string>();
  return propertiesOf(root).flatMap(({ key, property }) => {
    if (!seen.has(key)) {
      seen.add(key);
      return [];
    }
    return [{ key, line: positionAt(text, property.offset).line }];
  });
}

/** What dockerd makes of keys that stand twice: Go's decoder fills one struct, so maps merge and null leaves what is there. */
function withDuplicates(text: string, value: JsonObject, duplicates: readonly DuplicateKey[]): JsonObject {
  const root = parseTree(text);
  if (root === undefined || duplicates.length === 0) return value;
  const merged: JsonObject = { ...value };
  for (const name of new Set(duplicates.map(({ key }) => key))) {
    let result = null as Json;
    for (const { key, value: node } of propertiesOf(root)) {
      if (key !== name) continue;
      const next = JSON.parse(text.slice(node.offset, node.offset + node.length)) as Json;
      if (isObject(result) && isObject(next)) result = { ...result, ...next };
      else if (next !== null) result = next;
    }
    Object.defineProperty(merged, name, { value: result, writable: true, enumerable: true, configurable: true });
  }
  return merged;
}

/**
 * daemon.json as dockerd reads it. `raw` may begin with a byte order mark. An empty or blank text and `null` count as {}: engines
 * from 23.0 start with them; 20.10 refuses an empty file and one with a byte order mark (fixtures/raw/daemon/start.json), which
 * validateCandidate says.
 */
export function parseConfigFile(raw: string): ConfigFile {
  const bom = raw.startsWith('\ufeff');
  const text = bom ? raw.slice(1) : raw;
  try {
    return { text, bom, parsed: parseText(text) };
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return { text, bom, parsed: { ok: false, error: 'it is nested too deeply', line: 1, column: 1 } };
  }
}

function parseText(text: string): Parsed {
  if (text.trim() === '') return { ok: true, value: {} };
  let value: Json;
  try {
    value = JSON.parse(text) as Json;
  } catch (error) {
    return parseErrorOf(text, error);
  }
  if (value === null) return { ok: true, value: {} };
  if (!isObject(value)) {
    return { ok: false, error: 'the top level must be an object, {…}', ...positionAt(text, text.search(/[^ \t\r\n]/)) };
  }
  return { ok: true, value: withDuplicates(text, value, duplicateKeys(text)) };
}

/** How a text is laid out, seen from its first lines. */
interface Layout {
  readonly eol: string;
  /** One level. */
  readonly indent: string;
  /** Between ":" and the value. */
  readonly colon: string;
  /** Between two members that share a line. */
  readonly comma: string;
}

function layoutOf(text: string, root: Node): Layout {
  const eol = /\r\n|\n|\r/.exec(text)?.[0] ?? '\n';
  const properties = propertiesOf(root);
  const first = properties.find(({ property }) => indentationAt(text, property.offset) !== null);
  const indent = first === undefined ? null : indentationAt(text, first.property.offset);
  const outer = indentationAt(text, root.offset) ?? '';
  const [example] = properties;
  const gap = example === undefined ? null : /:([ \t]*)$/.exec(text.slice(example.property.offset, example.value.offset));
  const between = properties[1] === undefined || example === undefined
    ? null
    : text.slice(example.property.offset + example.property.length, properties[1].property.offset);
  return {
    eol,
    indent: indent?.startsWith(outer) === true && indent.length > outer.length ? indent.slice(outer.length) : '  ',
    colon: gap?.[1] ?? ' ',
    comma: between === ',' ? '' : ' ',
  };
}

/** The white space before `offset` when nothing else stands before it on its line, else null. */
function indentationAt(text: string, offset: number): string | null {
  const lineStart = Math.max(text.lastIndexOf('\n', offset - 1), text.lastIndexOf('\r', offset - 1)) + 1;
  const before = text.slice(lineStart, offset);
  return /^[ \t]*$/.test(before) ? before : null;
}

/** `indentation` is that of the line the value begins on; null writes all on one line. */
function print(value: Json, layout: Layout, indentation: string | null): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const members = Array.isArray(value)
    ? value.map((item) => [null, item] as const)
    : Object.entries(value);
  const [open, close] = Array.isArray(value) ? ['[', ']'] : ['{', '}'];
  if (members.length === 0) return open + close;
  const inner = indentation === null ? null : indentation + layout.indent;
  const printed = members.map(([key, member]) =>
    (key === null ? '' : `${JSON.stringify(key)}:${layout.colon}`) + print(member, layout, inner));
  return indentation === null
    ? `${open}${printed.join(`,${layout.comma}`)}${close}`
    : `${open}${layout.eol}${printed.map((line) => `${inner ?? ''}${line}`).join(`,${layout.eol}`)}${layout.eol}${indentation}${close}`;
}

/** Indentation of the line on which `offset` stands. */
function lineIndentation(text: string, offset: number): string {
  const lineStart = Math.max(text.lastIndexOf('\n', offset - 1), text.lastIndexOf('\r', offset - 1)) + 1;
  return /^[ \t]*/.exec(text.slice(lineStart))?.[0] ?? '';
}

function addMember(text: string, object: Node, key: string, value: Json, layout: Layout): Edit {
  const last = propertiesOf(object).at(-1);
  const name = `${JSON.stringify(key)}:${layout.colon}`;
  if (last === undefined) {
    const outer = lineIndentation(text, object.offset);
    return { offset: object.offset, length: object.length, content: print({ [key]: value }, layout, outer) };
  }
  const indentation = indentationAt(text, last.property.offset);
  const separator = indentation === null ? layout.comma : layout.eol + indentation;
  return { offset: last.property.offset + last.property.length, length: 0, content: `,${separator}${name}${print(value, layout, indentation)}` };
}

function removeMember(object: Node, index: number): Edit {
  const properties = propertiesOf(object);
  const [before, self, after] = [properties[index - 1]?.property, properties[index]?.property, properties[index + 1]?.property];
  if (self === undefined) throw new JsonEditError('The key to remove is not there.');
  const end = self.offset + self.length;
  if (before !== undefined) {
    const start = before.offset + before.length;
    return { offset: start, length: end - start, content: '' };
  }
  if (after !== undefined) return { offset: self.offset, length: after.offset - self.offset, content: '' };
  return { offset: object.offset, length: object.length, content: '{}' };
}

function replaceValue(text: string, old: Node, value: Json, layout: Layout): Edit {
  const spansLines = /[\r\n]/.test(text.slice(old.offset, old.offset + old.length));
  const emptyBefore = (old.children ?? []).length === 0;
  const indentation = indentationAt(text, old.parent?.offset ?? old.offset);
  const multiLine = spansLines || (indentation !== null && (emptyBefore || old.type !== 'array'));
  return { offset: old.offset, length: old.length, content: print(value, layout, multiLine ? lineIndentation(text, old.offset) : null) };
}

/** The member's value without the keys that a merge patch sets to null (RFC 7396: a patch over nothing). */
function withoutNulls(value: Json): Json {
  if (!isObject(value)) return value;
  return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== null).map(([key, member]) => [key, withoutNulls(member)]));
}

function rejectUnsafeKeys(patch: JsonObject): void {
  for (const [key, value] of Object.entries(patch)) {
    if (UNSAFE_KEYS.has(key)) throw new JsonEditError(`The key "${key}" cannot be set.`);
    if (isObject(value)) rejectUnsafeKeys(value);
  }
}

function nodeAt(text: string, path: readonly string[]): Node {
  let node = parseTree(text);
  for (const key of path) node = node === undefined ? undefined : propertiesOf(node).find((member) => member.key === key)?.value;
  if (node === undefined) throw new JsonEditError(`There is no "${path.join('.')}" in the text.`);
  return node;
}

function patchObject(text: string, path: readonly string[], patch: JsonObject, layout: Layout): string {
  let current = text;
  for (const [key, value] of Object.entries(patch)) {
    const object = nodeAt(current, path);
    const properties = propertiesOf(object);
    const matches = properties.filter((member) => member.key === key);
    if (matches.length > 1) {
      const lines = matches.map((member) => positionAt(current, member.property.offset).line).join(' and ');
      throw new JsonEditError(`The key "${[...path, key].join('.')}" stands there more than once (lines ${lines}). Remove all but one, then run again.`);
    }
    const [member] = matches;
    if (member === undefined) {
      if (value !== null) current = applyEdits(current, [addMember(current, object, key, withoutNulls(value), layout)]);
    } else if (value === null) {
      current = applyEdits(current, [removeMember(object, properties.indexOf(member))]);
    } else if (isObject(value) && member.value.type === 'object') {
      current = patchObject(current, [...path, key], value, layout);
    } else {
      const old = current.slice(member.value.offset, member.value.offset + member.value.length);
      if (!isDeepStrictEqual(JSON.parse(old), value)) {
        current = applyEdits(current, [replaceValue(current, member.value, withoutNulls(value), layout)]);
      }
    }
  }
  return current;
}

/**
 * RFC 7396 merge patch over a text that keeps its own layout: indentation, key order, line endings, final newline, unknown keys. Only the
 * lines of touched keys change (and the one before a new last key, which gets a comma). A blank text becomes a two-space object with
 * a final newline. The text must not begin with a byte order mark.
 *
 * The edits are made here and not by jsonc-parser's `modify`: that one reformats the whole lines it touches, untouched keys included.
 *
 * @throws JsonEditError when the text is not a JSON object, when a touched key stands in it twice, or when the result is not what
 * json-merge-patch makes of it.
 */
export function mergeJson(text: string, patch: JsonObject): string {
  rejectUnsafeKeys(patch);
  if (Object.keys(patch).length === 0) return text;
  const parsed = parseText(text);
  if (!parsed.ok) throw new JsonEditError(`Line ${parsed.line}, column ${parsed.column}: ${parsed.error}.`);
  const blank = text.trim() === '' || text.trim() === 'null';
  const start = blank ? '{}\n' : text;
  const result = patchObject(start, [], patch, layoutOf(start, nodeAt(start, [])));
  // The oracle mutates its target.
  const expected: unknown = applyMergePatch(JSON.parse(start), structuredClone(patch));
  if (!isDeepStrictEqual(JSON.parse(result), JSON.parse(JSON.stringify(expected)))) {
    throw new JsonEditError('The edited text does not hold what was asked for. Please report this; the file was not changed.');
  }
  return blank && isDeepStrictEqual(expected, {}) ? text : result;
}
