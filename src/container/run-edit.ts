import { isDeepStrictEqual } from 'node:util';
import type { ContainerSpec, Json, JsonObject, SpecEdit } from '../model.ts';
import { UsageError } from '../errors.ts';
import type { FlagGroup, GivenFlag, RunCommand } from './from-run.ts';
import { parseRunText, specOfFlags } from './from-run.ts';
import { shellWord } from '../quote.ts';
import { applySpecEdits } from './spec-edit.ts';
import type { RunOption } from './to-run.ts';
import { runOptions } from './to-run.ts';

/** One place of a text and what is to stand there. */
interface Splice {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

/** All networks are said with --network, as from engine 25 on. */
const API = '1.50';

/** The flags that say a specification, one by one, without the ports that a published port exposes by itself. */
const optionsOf = (spec: ContainerSpec): readonly string[] => runOptions(withoutExposed(spec), API).map((option) => JSON.stringify(option));
const optionOf = (key: string): RunOption => JSON.parse(key) as RunOption;
const flagOf = (key: string): string => optionOf(key)[0].split('=')[0] ?? '';

const withoutExposed = (spec: ContainerSpec): ContainerSpec => ({ ...spec, network: { ...spec.network, exposed: [] } });

/** For what a line cannot tell apart: not chosen and the empty choice, and the order of what is no list to the engine. */
function comparable(spec: ContainerSpec): Json {
  const normal = (value: Json): Json => {
    if (Array.isArray(value)) return value.map(normal).map((item) => JSON.stringify(item)).toSorted();
    if (typeof value !== 'object' || value === null) return value === '' || value === false || value === 0 || value === 'default' ? null : value;
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, normal(inner)] as const).toSorted(([a], [b]) => (a < b ? -1 : 1)));
  };
  return { ...normal(withoutExposed(spec) as unknown as Json) as JsonObject, command: spec.command as Json, entrypoint: spec.entrypoint as Json };
}

/** Takes an item out of a list; false when it is not there. */
function take(list: string[], item: string | undefined): boolean {
  const at = item === undefined ? -1 : list.indexOf(item);
  if (at >= 0) list.splice(at, 1);
  return at >= 0;
}

/** What of one list is not in the other, items that come twice counted. */
function without(list: readonly string[], other: readonly string[]): string[] {
  const left = [...other];
  return list.filter((item) => !take(left, item));
}

/**
 * The text with the edits made in the one command: flags changed, removed and added in its own layout, everything else as it is. null when
 * the line cannot say them: the new text is read again, and has to mean exactly the edited specification.
 */
export function editRun(command: RunCommand, edits: readonly SpecEdit[]): string | null {
  const wanted = applySpecEdits(command.spec, edits);
  const splices = splicesFor(command, wanted);
  if (splices === null) return null;
  const text = splices.toSorted((a, b) => b.start - a.start)
    .reduce((edited, { start, end, text: by }) => edited.slice(0, start) + by + edited.slice(end), command.text);
  return means(text, command, wanted) ? text : null;
}

function means(text: string, command: RunCommand, wanted: ContainerSpec): boolean {
  try {
    const same = parseRunText(text, command.source).find(({ start }) => start === command.start);
    return same !== undefined && isDeepStrictEqual(comparable(same.spec), comparable(wanted));
  } catch (error) {
    if (error instanceof UsageError) return false;
    throw error;
  }
}

function splicesFor(command: RunCommand, wanted: ContainerSpec): Splice[] | null {
  const { spec, image, groups, verbEnd } = command;
  const before = optionsOf(spec);
  const after = optionsOf(wanted);
  const removed = without(before, after);
  const added = without(after, before);
  const shadowed = shadowedBy(groups, removed);
  const splices: Splice[] = [];
  groups.forEach((group, index) => {
    const results = group.given.map((given) => ({ given, options: shadowed.has(given) ? [] : rewrite(given, removed, added) }));
    if (results.every(({ options }) => options === null)) return;
    const from = groups[index - 1]?.end ?? verbEnd;
    const kept = results.filter(({ options }) => options === null || options.length > 0);
    if (kept.length === 0) splices.push({ start: from, end: group.end, text: '' });
    else splices.push(...inPlace(command, group, results));
  });
  if (removed.length > 0) return null;
  const at = groups.at(-1)?.end ?? verbEnd;
  const space = separator(command);
  if (added.length > 0) splices.push({ start: at, end: at, text: added.map((key) => space + printed(optionOf(key))).join('') });
  if (wanted.image.reference !== spec.image.reference) splices.push({ start: image.start, end: image.end, text: shellWord(wanted.image.reference) });
  return merged(splices);
}

/** What is inserted where something ends that is removed comes after the removal. */
function merged(splices: readonly Splice[]): Splice[] {
  const result: Splice[] = [];
  for (const splice of splices) {
    const last = result.at(-1);
    if (last !== undefined && last.end === splice.start) result[result.length - 1] = { start: last.start, end: splice.end, text: last.text + splice.text };
    else result.push(splice);
  }
  return result;
}

/** Flags that count once: with the last one gone, an earlier one would count. */
function shadowedBy(groups: readonly FlagGroup[], removed: readonly string[]): ReadonlySet<GivenFlag> {
  const gone = new Set(removed.map(flagOf));
  const all = groups.flatMap(({ given }) => given).filter(({ flag }) => gone.has(`--${flag.name}`) && !['list', 'map', 'ulimit', 'mount', 'network', 'gpu-request'].includes(flag.type));
  return new Set(all.filter(({ flag }, index) => all.slice(index + 1).some((later) => later.flag === flag)));
}

/** What is to stand for one flag: null, itself; else these options, of which the ones that are taken leave `removed` and `added`. */
function rewrite({ flag, value, spelling }: GivenFlag, removed: string[], added: string[]): readonly RunOption[] | null {
  const name = `--${flag.name}`;
  const says = saidBy({ flag, value, spelling });
  const substitute = (): string | undefined => {
    const found = added.find((key) => flagOf(key) === name);
    return take(added, found) ? found : undefined;
  };
  // A flag that says what is so anyhow (--read-only=false, --restart no) gives its place to one that says more.
  if (says.length === 0) {
    const found = flag.type === 'list' ? undefined : substitute();
    return found === undefined ? null : [optionOf(found)];
  }
  const goes = says.map((key) => take(removed, key));
  if (!goes.includes(true)) return null;
  return says.flatMap((key, index) => {
    const by = goes[index] === true ? substitute() : key;
    return by === undefined ? [] : [optionOf(by)];
  });
}

/** The options that one flag by itself stands for. */
function saidBy(given: GivenFlag): readonly string[] {
  const spec = specOfFlags([given]);
  return spec === null ? [] : optionsOf(spec);
}

const printed = ([flag, value]: RunOption): string => (value === undefined ? flag : `${flag} ${shellWord(value)}`);

/** One group written anew, as far as it changes: a value alone where that is all, else its flags one after the other. */
function inPlace(command: RunCommand, group: FlagGroup, results: readonly { readonly given: GivenFlag; readonly options: readonly RunOption[] | null }[]): Splice[] {
  const last = results.at(-1);
  const others = results.slice(0, -1);
  const [option, ...more] = last?.options ?? [];
  if (last !== undefined && option !== undefined && more.length === 0 && others.every(({ options }) => options === null) && sameFlag(option, last.given)) {
    const [, value] = option;
    const start = group.valueStart ?? group.start;
    if (value === undefined) return [{ start: group.start, end: group.end, text: [...clusterOf(others), option[0]].join(' ') }];
    if (group.joint === 'space') return [{ start, end: group.end, text: quotedLike(command.text.slice(start, group.end), value) }];
    const joint = group.joint === 'equals' ? '=' : '';
    const head = last.given.spelling.startsWith('--') ? last.given.spelling : `-${others.map(({ given }) => given.spelling.slice(1)).join('')}${last.given.spelling.slice(1)}`;
    return [{ start: group.start, end: group.end, text: `${head}${joint}${shellWord(value)}` }];
  }
  const unchanged = results.filter(({ options }) => options === null);
  const anew = results.flatMap(({ options }) => options ?? []).map(printed);
  return [{ start: group.start, end: group.end, text: [...clusterOf(unchanged), ...anew].join(separator(command)) }];
}

const sameFlag = ([flag]: RunOption, { flag: { name } }: GivenFlag): boolean => flag.replace(/=.*$/s, '') === `--${name}`;

/** Flags as they were spelled; short switches in one word again. */
function clusterOf(results: readonly { readonly given: GivenFlag }[]): readonly string[] {
  const isSwitch = ({ given }: { readonly given: GivenFlag }): boolean => given.flag.type === 'bool' && given.value === 'true' && !given.spelling.startsWith('--');
  const letters = results.filter(isSwitch).map(({ given }) => given.spelling.slice(1)).join('');
  const rest = results.filter((result) => !isSwitch(result)).map(({ given: { flag, spelling, value } }) =>
    (flag.type === 'bool' ? `${spelling}=${shellWord(value)}` : `${spelling} ${shellWord(value)}`));
  return [...(letters === '' ? [] : [`-${letters}`]), ...rest];
}

/** In quotes of the kind that stood there, where that is possible. */
function quotedLike(old: string, value: string): string {
  if (/^"[^"]*"$/s.test(old) && !/["$`\\\n]/.test(value)) return `"${value}"`;
  return /^'[^']*'$/s.test(old) && !value.includes('\'') ? `'${value}'` : shellWord(value);
}

/** What stands between flags in the line's own layout: where some begin a line, the last of those breaks; else that before the image. */
function separator({ text, groups, verbEnd, image }: RunCommand): string {
  const ends = [verbEnd, ...groups.map(({ end }) => end)];
  const gaps = [...groups.map(({ start }) => start), image.start].map((start, index) => text.slice(ends[index], start).match(/^[ \t]*(?:\\\n[ \t]*)+/)?.[0]);
  const broken = gaps.slice(0, groups.length).filter((gap) => gap !== undefined);
  return (broken.at(-1) ?? gaps.at(-1) ?? ' ').replace(/(?:[ \t]*\\\n)+/, ' \\\n');
}
