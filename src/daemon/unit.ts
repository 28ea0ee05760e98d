import type { Facts, Json, Observed, UnitFacts } from '../model.ts';
import { present, statOf, unreadable } from '../model.ts';
import { parseDaemonFlags } from './flags.ts';
import type { DaemonFlag } from './flags.ts';

/** Text of which every character knows where it stands in its file: offsets in UTF-16 code units, -1 for one that stands nowhere. */
interface Traced {
  readonly text: string;
  readonly offsets: readonly number[];
}

interface Place {
  readonly path: string;
  readonly start: number;
  readonly end: number;
}

/** One word of the command line that the next start of the daemon gets. */
interface CommandWord {
  readonly text: string;
  /** Where exactly these characters stand in a file; null when quotes, escapes or a mixture made them. */
  readonly place: Place | null;
  /** Where the word stands in the ExecStart line, when it stands there itself and not in a variable. */
  readonly inExecStart: { readonly start: number; readonly end: number } | null;
}

/** The value of one ExecStart= in force, with lines joined and nothing expanded. */
interface ExecStart {
  readonly path: string;
  readonly value: Traced;
}

/** How the daemon will be started next, as far as files say it. */
interface CommandLine {
  readonly origin: 'unit' | 'initScript' | 'process';
  readonly words: readonly CommandWord[];
  readonly flags: readonly DaemonFlag[];
  readonly execStart: ExecStart | null;
}

interface Assignment {
  readonly section: string;
  readonly name: string;
  readonly value: Traced;
}

const slice = (traced: Traced, start: number, end?: number): Traced => ({ text: traced.text.slice(start, end), offsets: traced.offsets.slice(start, end) });

function trim(traced: Traced): Traced {
  const start = traced.text.search(/\S/);
  return start === -1 ? { text: '', offsets: [] } : slice(traced, start, traced.text.trimEnd().length);
}

/** Lines with continuations joined by a space; comment lines inside a continued one are left out (systemd.syntax(7)). */
function logicalLines(text: string): Traced[] {
  const lines: Traced[] = [];
  let chars = '';
  let offsets: number[] = [];
  let continued = false;
  let start = 0;
  for (const raw of text.split('\n')) {
    const line = raw.endsWith('\r') ? raw.slice(0, -1) : raw;
    const comment = /^\s*[#;]/.test(line);
    if (!comment) {
      const open = line.endsWith('\\');
      const kept = open ? line.slice(0, -1) : line;
      chars += open ? `${kept} ` : kept;
      for (let i = 0; i < kept.length; i += 1) offsets.push(start + i);
      if (open) offsets.push(-1);
      continued = open;
    }
    if (!continued) {
      if (!comment) lines.push({ text: chars, offsets });
      chars = '';
      offsets = [];
    }
    start += raw.length + 1;
  }
  if (chars !== '') lines.push({ text: chars, offsets });
  return lines;
}

/** NAME=VALUE lines of a unit file or drop-in, in order. */
function assignments(text: string): Assignment[] {
  let section = '';
  return logicalLines(text).flatMap((line) => {
    const header = /^\s*\[([^\]]*)\]\s*$/.exec(line.text);
    if (header !== null) {
      section = header[1] ?? '';
      return [];
    }
    const at = line.text.indexOf('=');
    return at === -1 ? [] : [{ section, name: line.text.slice(0, at).trim(), value: trim(slice(line, at + 1)) }];
  });
}

interface Word extends Traced {
  readonly start: number;
  readonly end: number;
  /** No quotes and no escapes: the text is what stands there. */
  readonly verbatim: boolean;
}

const ESCAPES: Readonly<Record<string, string>> = { a: '\x07', b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v', s: ' ' };

/** Splits as systemd does: white space separates, quotes of both kinds group, backslashes escape as in C. null: a quote is not closed. */
function splitWords(value: Traced): Word[] | null {
  const words: Word[] = [];
  const { text, offsets } = value;
  let i = 0;
  while (i < text.length) {
    if (/\s/.test(text[i] ?? '')) {
      i += 1;
      continue;
    }
    const start = i;
    let chars = '';
    const at: number[] = [];
    let quote = '';
    let verbatim = true;
    while (i < text.length && (quote !== '' || !/\s/.test(text[i] ?? ''))) {
      const char = text[i] ?? '';
      if (char === quote) {
        quote = '';
      } else if (quote === '' && (char === '"' || char === "'")) {
        quote = char;
        verbatim = false;
      } else if (char === '\\') {
        i += 1;
        const escaped = text[i] ?? '';
        chars += ESCAPES[escaped] ?? escaped;
        at.push(offsets[i] ?? -1);
        verbatim = false;
      } else {
        chars += char;
        at.push(offsets[i] ?? -1);
      }
      i += 1;
    }
    if (quote !== '') return null;
    words.push({ text: chars, offsets: at, start, end: i, verbatim });
  }
  return words;
}

/** A stretch of a file in which the characters follow each other without a gap. */
function placeOf(path: string, traced: Traced): Place | null {
  const [start] = traced.offsets;
  if (start === undefined || start < 0 || traced.offsets.some((offset, i) => offset !== start + i)) return null;
  return { path, start, end: start + traced.text.length };
}

interface Variable {
  readonly path: string;
  readonly value: Traced;
}

/** One variable per line, as systemd reads an EnvironmentFile= (systemd.exec(5)); a shell reads the simple cases alike. Later lines win. */
function parseEnvironmentFile(path: string, text: string): Map<string, Variable> {
  const variables = new Map<string, Variable>();
  let i = 0;
  while (i < text.length) {
    const lineEnd = text.indexOf('\n', i) === -1 ? text.length : text.indexOf('\n', i);
    const name = /^[ \t]*(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_]*)=/.exec(text.slice(i, lineEnd));
    if (name?.[1] === undefined) {
      i = lineEnd + 1;
      continue;
    }
    const read = readEnvironmentValue(text, i + name[0].length);
    variables.set(name[1], { path, value: read.value });
    i = read.next;
  }
  return variables;
}

function readEnvironmentValue(text: string, from: number): { readonly value: Traced; readonly next: number } {
  let chars = '';
  const offsets: number[] = [];
  let quote = '';
  let trailing = 0;
  let i = from;
  for (; i < text.length; i += 1) {
    const char = text[i] ?? '';
    if (quote === '' && char === '\n') break;
    if (char === '\r' && text[i + 1] === '\n') continue;
    if (char === '\\' && quote !== "'") {
      i += 1;
      if (text[i] === '\n') continue;
      chars += text[i] ?? '';
      offsets.push(i);
      trailing = 0;
    } else if (char === quote) {
      quote = '';
      trailing = 0;
    } else if (quote === '' && (char === '"' || char === "'")) {
      quote = char;
    } else {
      if (quote === '' && /[ \t]/.test(char)) {
        if (chars === '') continue;
        trailing += 1;
      } else {
        trailing = 0;
      }
      chars += char;
      offsets.push(i);
    }
  }
  const end = chars.length - trailing;
  return { value: { text: chars.slice(0, end), offsets: offsets.slice(0, end) }, next: i + 1 };
}

interface Environment {
  readonly variables: ReadonlyMap<string, Variable>;
  /** Why a variable may have another value than is known here; null when all files were read. */
  readonly unread: string | null;
}

function unitEnvironment(facts: Facts, unit: { readonly sources: readonly { path: string; text: string }[]; readonly environmentFiles: readonly { path: string }[] }): Environment {
  const variables = new Map<string, Variable>();
  for (const { path, text } of unit.sources) {
    for (const { section, name, value } of assignments(text)) {
      if (section !== 'Service' || name !== 'Environment') continue;
      if (value.text === '') variables.clear();
      for (const word of splitWords(value) ?? []) {
        const at = word.text.indexOf('=');
        if (at > 0) variables.set(word.text.slice(0, at), { path, value: slice(word, at + 1) });
      }
    }
  }
  let unread: string | null = null;
  for (const { path } of unit.environmentFiles) {
    const file = facts.daemon.environmentFiles[path];
    if (file?.status === 'present') {
      for (const [name, variable] of parseEnvironmentFile(path, file.value)) variables.set(name, variable);
    } else if (file?.status !== 'absent') {
      unread = `${path}: ${file?.reason ?? 'was not read'}`;
    }
  }
  return { variables, unread };
}

/** The ExecStart= lines that are left when the fragment and its drop-ins are read in order; an empty one resets the list. */
function execStarts(sources: readonly { readonly path: string; readonly text: string }[]): ExecStart[] {
  let list: ExecStart[] = [];
  for (const { path, text } of sources) {
    for (const { section, name, value } of assignments(text)) {
      if (section !== 'Service' || name !== 'ExecStart') continue;
      list = value.text === '' ? [] : [...list, { path, value }];
    }
  }
  return list;
}

/** %-specifiers of systemd.unit(5) that need no knowledge of the running manager. */
function specifier(letter: string, unitName: string): string | null {
  const stem = unitName.replace(/\.[^.]*$/, '');
  const known: Readonly<Record<string, string>> = {
    '%': '%', n: unitName, N: stem, p: stem.replace(/@.*$/, ''), i: /@(.*)$/.exec(stem)?.[1] ?? '', t: '/run', S: '/var/lib', C: '/var/cache', L: '/var/log', E: '/etc',
  };
  return known[letter] ?? null;
}

/** A word with ${NAME}, $$ and %-specifiers put in, or the reason why not. */
function expand(word: Word, environment: Environment, unitName: string, substitute: boolean): { readonly text: string } | { readonly reason: string } {
  let reason = null as string | null;
  const text = word.text.replace(/%(.)|\$\{([A-Za-z_][A-Za-z0-9_]*)\}|\$\$/g, (match: string, letter: string | undefined, name: string | undefined) => {
    if (letter !== undefined) {
      const value = specifier(letter, unitName);
      if (value === null) reason = `the specifier ${match} is not resolved here`;
      return value ?? match;
    }
    if (!substitute) return match;
    if (name === undefined) return '$';
    if (environment.unread !== null) reason = environment.unread;
    return environment.variables.get(name)?.value.text ?? '';
  });
  return reason === null ? { text } : { reason };
}

/** Words of an ExecStart line as the process gets them, without the program. */
function commandWords(execStart: ExecStart, environment: Environment, unitName: string): { readonly program: string; readonly words: CommandWord[] } | { readonly reason: string } {
  const split = splitWords(execStart.value);
  if (split === null) return { reason: `a quote is not closed in the ExecStart= of ${execStart.path}` };
  const [first, ...others] = split;
  if (first === undefined) return { reason: `the ExecStart= of ${execStart.path} is empty` };
  const prefix = /^[-@:+!|]*/.exec(first.text)?.[0] ?? '';
  const program = expand({ ...first, text: first.text.slice(prefix.length) }, environment, unitName, false);
  if ('reason' in program) return program;
  const rest = prefix.includes('@') ? others.slice(1) : others;
  const substitute = !prefix.includes(':');
  if (rest.some((word) => word.verbatim && word.text === ';')) return { reason: `the ExecStart= of ${execStart.path} holds several commands` };
  const words: CommandWord[] = [];
  for (const word of rest) {
    const variable = substitute ? /^\$([A-Za-z_][A-Za-z0-9_]*)$/.exec(word.text)?.[1] : undefined;
    if (variable !== undefined) {
      if (environment.unread !== null) return { reason: environment.unread };
      const found = environment.variables.get(variable);
      const parts = found === undefined ? [] : splitWords(found.value);
      if (found === undefined || parts === null) {
        if (parts === null) return { reason: `a quote is not closed in the variable ${variable}` };
        continue;
      }
      words.push(...parts.map((part) => ({ text: part.text, place: part.verbatim ? placeOf(found.path, part) : null, inExecStart: null })));
      continue;
    }
    const expanded = expand(word, environment, unitName, substitute);
    if ('reason' in expanded) return expanded;
    const asWritten = word.verbatim && expanded.text === word.text;
    words.push({
      text: expanded.text,
      place: asWritten ? placeOf(execStart.path, word) : null,
      inExecStart: asWritten ? { start: word.start, end: word.end } : null,
    });
  }
  return { program: program.text, words };
}

const basename = (path: string): string => path.slice(path.lastIndexOf('/') + 1);

function fromProcess(facts: Facts): Observed<CommandLine> {
  const { process } = facts.daemon;
  if (process.status === 'unreadable') return process;
  if (process.status === 'absent') return unreadable('no daemon process was found, and nothing says how it is started');
  const words = process.value.argv.slice(1).map((text) => ({ text, place: null, inExecStart: null }));
  return present({ origin: 'process', words, flags: parseDaemonFlags(words.map((word) => word.text)), execStart: null });
}

/** A program that runs dockerd gives it the flags that it gave it last time, unless what the unit says has changed since. */
function fromWrapper(facts: Facts, unit: UnitFacts, program: string): Observed<CommandLine> {
  const started = facts.daemon.process.status === 'present' ? Date.parse(facts.daemon.process.value.startedAt) : Number.NaN;
  for (const { path } of [...unit.sources, ...unit.environmentFiles]) {
    const stat = statOf(facts, path);
    if (stat?.status === 'absent') continue;
    if (stat?.status !== 'present' || !(stat.value.mtimeMs <= started)) return unreadable(`${unit.name} starts the daemon through ${program}, and ${path} may say something else since`);
  }
  return fromProcess(facts);
}

/** Debian's init script runs `dockerd -p PIDFILE $DOCKER_OPTS`, a variable that /etc/default/docker sets. */
const INIT_OPTIONS = { path: '/etc/default/docker', variable: 'DOCKER_OPTS' };

function fromInitScript(facts: Facts): Observed<CommandLine> {
  const file = facts.daemon.environmentFiles[INIT_OPTIONS.path];
  if (file?.status === 'unreadable') return unreadable(`${INIT_OPTIONS.path}: ${file.reason}`);
  const options = file?.status === 'present' ? parseEnvironmentFile(INIT_OPTIONS.path, file.value).get(INIT_OPTIONS.variable) : undefined;
  if (options !== undefined && /[$`\\]/.test(options.value.text)) {
    return unreadable(`${INIT_OPTIONS.variable} in ${INIT_OPTIONS.path} is made by the shell`);
  }
  const words = options === undefined ? [] : splitWords(options.value);
  if (words === null) return unreadable(`a quote is not closed in ${INIT_OPTIONS.variable} of ${INIT_OPTIONS.path}`);
  const own = words.map((word) => ({ text: word.text, place: word.verbatim ? placeOf(INIT_OPTIONS.path, word) : null, inExecStart: null }));
  return present({ origin: 'initScript', words: own, flags: parseDaemonFlags(own.map((word) => word.text)), execStart: null });
}

/**
 * The command line of the daemon's next start: from its systemd unit with drop-ins and environment files, from /etc/default/docker under
 * sysvinit, and otherwise (started by hand, by a wrapper, by a user's unit) that of the running process. Never absent.
 */
export function commandLine(facts: Facts): Observed<CommandLine> {
  const { unit } = facts.daemon;
  if (unit.status === 'unreadable') return unit;
  if (unit.status === 'present') {
    const starts = execStarts(unit.value.sources);
    const [execStart] = starts;
    if (execStart === undefined || starts.length > 1) return unreadable(`${unit.value.name} has ${starts.length === 0 ? 'no' : 'several'} ExecStart= lines`);
    const command = commandWords(execStart, unitEnvironment(facts, unit.value), unit.value.name);
    if ('reason' in command) return unreadable(`the command line of ${unit.value.name} cannot be told: ${command.reason}`);
    if (basename(command.program) !== 'dockerd') return fromWrapper(facts, unit.value, command.program);
    return present({ origin: 'unit', words: command.words, flags: parseDaemonFlags(command.words.map((word) => word.text)), execStart });
  }
  const manager = facts.host.serviceManager;
  return manager.status === 'present' && manager.value === 'sysvinit' ? fromInitScript(facts) : fromProcess(facts);
}

/** Where a flag of the daemon is written. */
type FlagLocation =
  /** In one place of the owner's own; `expected` is what stands at `offset`, flag and value; `gap` the blanks right before it. */
  | { readonly kind: 'splice'; readonly path: string; readonly offset: number; readonly expected: string; readonly gap: string; readonly line: number }
  /** In a packaged unit, which only a drop-in may override: `offset` and `length` of flag and value in its whole command line. */
  | { readonly kind: 'vendorUnit'; readonly unit: string; readonly execStart: string; readonly offset: number; readonly length: number }
  | { readonly kind: 'unclear'; readonly explanation: string };

const sameFlag = (a: DaemonFlag, b: DaemonFlag): boolean => a.key === b.key && a.flag === b.flag && a.raw === b.raw;

const fileText = (facts: Facts, path: string): string | undefined => {
  const unit = facts.daemon.unit.status === 'present' ? facts.daemon.unit.value.sources.find((source) => source.path === path)?.text : undefined;
  const environment = facts.daemon.environmentFiles[path];
  return unit ?? (environment?.status === 'present' ? environment.value : undefined);
};

/** Where a flag of the daemon's next command line stands. `flag` comes from commandLine(facts).flags. */
export function locateFlag(facts: Facts, flag: DaemonFlag): FlagLocation {
  const line = commandLine(facts);
  if (line.status !== 'present') return { kind: 'unclear', explanation: line.status === 'absent' ? 'the command line is not known' : line.reason };
  const { words, flags, origin, execStart } = line.value;
  const found = flags[flags.findIndex((candidate) => sameFlag(candidate, flag) && candidate.index === flag.index)];
  const first = found === undefined ? undefined : words[found.index];
  const last = found === undefined ? undefined : words[found.index + found.words - 1];
  if (origin === 'process') return { kind: 'unclear', explanation: 'it was given on the command line of the running daemon, and no file is known to hold it' };
  if (found === undefined || first === undefined || last === undefined) return { kind: 'unclear', explanation: 'it is not on the command line of the next start' };
  if (flags.some((other) => other !== found && other.index === found.index)) {
    return { kind: 'unclear', explanation: `it is written together with other one-letter flags in "${first.text}"` };
  }
  const { place } = first;
  if (place === null || last.place === null || last.place.path !== place.path || last.place.end <= place.start) {
    return { kind: 'unclear', explanation: 'it is put together from variables, quotes or escapes' };
  }
  const unit = facts.daemon.unit.status === 'present' ? facts.daemon.unit.value : undefined;
  if (unit !== undefined && execStart !== null && /^\/(usr\/)?lib\//.test(place.path)) {
    const [from, to] = [first.inExecStart, last.inExecStart];
    if (place.path === unit.fragmentPath && from !== null && to !== null) {
      return { kind: 'vendorUnit', unit: unit.name, execStart: execStart.value.text, offset: from.start, length: to.end - from.start };
    }
    return { kind: 'unclear', explanation: `it stands in ${place.path}, which belongs to a package` };
  }
  const text = fileText(facts, place.path);
  if (text === undefined || !place.path.startsWith('/etc/')) return { kind: 'unclear', explanation: `it stands in ${place.path}, which is not below /etc` };
  const before = text.slice(0, place.start);
  return {
    kind: 'splice', path: place.path, offset: place.start, expected: text.slice(place.start, last.place.end),
    gap: /[ \t]*$/.exec(before)?.[0] ?? '', line: before.split('\n').length,
  };
}

/** The flags that say `value`; null when a command line cannot say it in a way that needs no quoting. */
export function flagText(flag: string, value: Json): string | null {
  const words = flagValues(value)?.map((text) => `--${flag}=${text}`);
  return words?.every((word) => /^[\w./:=,@+-]+$/.test(word)) === true ? words.join(' ') : null;
}

function flagValues(value: Json): string[] | null {
  if (Array.isArray(value)) return value.every((item) => typeof item === 'string') ? value : null;
  if (value === null) return [];
  if (typeof value !== 'object') return [String(value)];
  const words = Object.entries(value).map(([name, member]) => (typeof member === 'string' || typeof member === 'boolean' ? `${name}=${String(member)}` : null));
  return words.every((word) => word !== null) ? words : null;
}
