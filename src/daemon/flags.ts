import type { Json, JsonObject } from '../model.ts';
import { flagTarget } from './keys.ts';
import type { KeyType } from './keys.ts';

/** One flag of a dockerd command line. */
export interface DaemonFlag {
  /** The daemon.json key that it sets ("hosts" for -H); its own name when it sets none. */
  readonly key: string;
  /** As written, without its value: "--icc", "-H". */
  readonly flag: string;
  /** Typed as daemon.json types the key; a list's or a map's flag carries its one element. The raw text when it does not fit. */
  readonly value: Json;
  /** The value as written; null when a bool flag has none. */
  readonly raw: string | null;
  /** Of the word that holds the flag, in the list that was parsed. */
  readonly index: number;
  /** How many words it takes: 2 when the value is the next word. */
  readonly words: 1 | 2;
  /** False for a flag that the table has no name for: how many words it takes is then a guess. */
  readonly known: boolean;
}

/** strconv.ParseBool. */
function parseGoBool(text: string): boolean | null {
  if (['1', 't', 'T', 'TRUE', 'true', 'True'].includes(text)) return true;
  if (['0', 'f', 'F', 'FALSE', 'false', 'False'].includes(text)) return false;
  return null;
}

function pair(text: string): [string, string] {
  const at = text.indexOf('=');
  return at === -1 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)];
}

const single = (name: string, value: Json): JsonObject => Object.fromEntries([[name, value]]);

function typed(type: KeyType, raw: string): Json {
  switch (type) {
    case 'bool': return parseGoBool(raw) ?? raw;
    case 'int': return /^[+-]?\d+$/.test(raw) ? Number(raw) : raw;
    case 'string':
    case 'bytes': return raw;
    case 'strings':
    case 'ips': return [raw];
    case 'stringMap': return single(...pair(raw));
    case 'boolMap': {
      const [name, value] = pair(raw);
      return single(name, raw.includes('=') ? parseGoBool(value) ?? value : true);
    }
    case 'mapMap': {
      const [driver, rest] = pair(raw);
      return single(driver, single(...pair(rest)));
    }
    case 'ulimits': {
      const [name, limits] = pair(raw);
      const [soft, hard] = limits.split(':').map(Number);
      return single(name, { Name: name, Soft: soft ?? 0, Hard: hard ?? soft ?? 0 });
    }
    case 'pools': {
      const fields = Object.fromEntries(raw.split(',').map(pair));
      return [{ ...fields, ...(fields['size'] === undefined ? {} : { size: Number(fields['size']) }) }];
    }
    case 'runtimes': {
      const [name, path] = pair(raw);
      return single(name, { path });
    }
    case 'object': return raw;
  }
}

/**
 * The flags of a dockerd command line as pflag reads them. `argv` is without the program. Accepts --name=value, --name value, a bool's
 * --name, -lVALUE, -l=VALUE, -l VALUE, and combined one-letter flags (-Dl debug); "--" ends the flags; words that belong to no flag are
 * dropped (dockerd refuses to start with one).
 */
export function parseDaemonFlags(argv: readonly string[]): DaemonFlag[] {
  const flags: DaemonFlag[] = [];
  for (let index = 0; index < argv.length; index += 1) {
    const word = argv[index] ?? '';
    if (word === '--') break;
    if (!word.startsWith('-') || word === '-') continue;
    const found = word.startsWith('--') ? parseLong(argv, index) : parseShorts(argv, index);
    flags.push(...found);
    index += Math.max(...found.map((flag) => flag.words)) - 1;
  }
  return flags;
}

function parseLong(argv: readonly string[], index: number): [DaemonFlag] {
  const word = argv[index] ?? '';
  const [name, inline] = word.includes('=') ? pair(word.slice(2)) : [word.slice(2), null];
  const target = flagTarget(name.length === 1 ? '' : name);
  const flag = `--${name}`;
  if (target === undefined) return [{ key: name, flag, value: inline ?? true, raw: inline, index, words: 1, known: false }];
  return [withValue(argv, index, flag, target, inline)];
}

function withValue(argv: readonly string[], index: number, flag: string, target: { key: string; type: KeyType }, inline: string | null): DaemonFlag {
  const base = { key: target.key, flag, index, known: true };
  if (inline !== null) return { ...base, value: typed(target.type, inline), raw: inline, words: 1 };
  if (target.type === 'bool') return { ...base, value: true, raw: null, words: 1 };
  const next = argv[index + 1];
  return next === undefined ? { ...base, value: null, raw: null, words: 1 } : { ...base, value: typed(target.type, next), raw: next, words: 2 };
}

function parseShorts(argv: readonly string[], index: number): DaemonFlag[] {
  const found: DaemonFlag[] = [];
  let rest = (argv[index] ?? '').slice(1);
  while (rest !== '') {
    const letter = rest[0] ?? '';
    rest = rest.slice(1);
    const target = flagTarget(letter);
    const flag = `-${letter}`;
    if (target === undefined) return [...found, { key: letter, flag, value: rest === '' ? true : rest, raw: rest === '' ? null : rest, index, words: 1, known: false }];
    const inline = rest.startsWith('=') ? rest.slice(1) : rest;
    if (target.type === 'bool' && !rest.startsWith('=')) {
      found.push({ key: target.key, flag, value: true, raw: null, index, words: 1, known: true });
    } else {
      return [...found, withValue(argv, index, flag, target, rest === '' ? null : inline)];
    }
  }
  return found;
}

/** The value that all flags of one key amount to: lists and maps add up, of scalars the last counts. undefined: no flag sets the key. */
export function flagValue(flags: readonly DaemonFlag[], key: string): Json | undefined {
  return flags.filter((flag) => flag.key === key).map((flag) => flag.value).reduce<Json | undefined>((sum, value) => {
    if (Array.isArray(sum) && Array.isArray(value)) return [...sum, ...value];
    if (typeof sum === 'object' && sum !== null && !Array.isArray(sum) && typeof value === 'object' && value !== null && !Array.isArray(value)) {
      return { ...sum, ...value };
    }
    return value;
  }, undefined);
}
