import { UsageError } from '../errors.ts';

/**
 * A Dockerfile as stretches of its text, as BuildKit's parser reads it (frontend/dockerfile/parser): joined together, the stretches are the
 * text, so that what nobody edits stays byte for byte. Offsets are UTF-16 code units.
 */
export interface Dockerfile {
  readonly text: string;
  readonly pieces: readonly Piece[];
  /** The character that continues a line and escapes: "\", or what `# escape=` says. */
  readonly escape: string;
  /** Number of build stages; the last one is what a build without --target makes. */
  readonly stages: number;
}

/** Blank lines, comments and parser directives are one piece for each line. An instruction has all its lines, its final line end included. */
type Piece = { readonly kind: 'blank' | 'comment' | 'directive'; readonly start: number; readonly end: number } | DockerfileInstruction;

export interface DockerfileInstruction {
  readonly kind: 'instruction';
  readonly start: number;
  readonly end: number;
  /** Upper case. */
  readonly name: string;
  readonly nameStart: number;
  readonly nameEnd: number;
  /** Leading --name[=value] words, as written. */
  readonly flags: readonly string[];
  /** Where what follows name and flags begins: its first character that is neither blank nor continuation nor comment; contentEnd if there is none. */
  readonly argsStart: number;
  /** Where the instruction's own text ends, before trailing blanks and the line end; here-documents come after it. */
  readonly contentEnd: number;
  /** What follows name and flags, as one line: continuations joined, comments left out. */
  readonly args: string;
  /** Names of its here-documents, in order. */
  readonly heredocs: readonly string[];
  /** Counted from 0; -1 before the first FROM. */
  readonly stage: number;
}

interface Line {
  readonly start: number;
  /** Without the line end. */
  readonly contentEnd: number;
  readonly end: number;
  readonly text: string;
}

function linesOf(text: string): readonly Line[] {
  const lines: Line[] = [];
  for (let start = 0; start < text.length;) {
    const feed = text.indexOf('\n', start);
    const end = feed === -1 ? text.length : feed + 1;
    const contentEnd = feed === -1 ? end : feed - (feed > start && text.charAt(feed - 1) === '\r' ? 1 : 0);
    lines.push({ start, contentEnd, end, text: text.slice(start, contentEnd) });
    start = end;
  }
  return lines;
}

const DIRECTIVE = /^#\s*([A-Za-z][A-Za-z0-9]*)\s*=\s*(.+?)\s*$/u;
const isComment = (line: string): boolean => /^\s*#/u.test(line);
const isBlank = (line: string): boolean => line.trim() === '';

/** Names after << and <<- of a line, outside of quotes that the shell takes away: `<<EOF`, `3<<-"EOF"`; not `<<<`. */
const HEREDOC = /(?:^|[\s;&|(])\d*<<(-?)(?:"([^"<]+)"|'([^'<]+)'|([A-Za-z_][\w.-]*))(?=$|[\s;&|)>])/gu;
/** What is between quotes cannot start a here-document; quoted names after << stay. */
const withoutQuoted = (line: string): string => line.replace(/(<<-?)?("(?:[^"\\]|\\.)*"|'[^']*')/gu, (match, opens: string | undefined) => (opens === undefined ? ' '.repeat(match.length) : match));

const heredocsOf = (args: string): readonly { readonly name: string; readonly tabs: boolean }[] =>
  [...withoutQuoted(args).matchAll(HEREDOC)].map(([, dash, double, single, bare]) => ({ name: double ?? single ?? bare ?? '', tabs: dash === '-' }));

/**
 * Parses a Dockerfile. `source` names it in errors.
 * @throws UsageError where it has no FROM, a here-document has no end, or a line ends in a way that builders read differently
 */
export function parseDockerfile(text: string, source: string): Dockerfile {
  const lines = linesOf(text);
  const pieces: Piece[] = [];
  const directives = new Set<string>();
  let escape = '\\';
  let stage = -1;
  let index = 0;
  for (; index < lines.length; index += 1) {
    const { text: line, start, end } = lines[index] as Line;
    const [, key = '', value = ''] = DIRECTIVE.exec(index === 0 ? line.replace(/^\ufeff/u, '') : line) ?? [];
    const name = key.toLowerCase();
    if (!['syntax', 'escape', 'check'].includes(name) || directives.has(name)) break;
    if (name === 'escape') {
      escape = value;
      if (escape !== '\\' && escape !== '`') throw new UsageError(`${source}, line ${index + 1}: the escape character is \\ or \`\nCorrect the directive \`# escape=\`.`);
    }
    directives.add(name);
    pieces.push({ kind: 'directive', start, end });
  }
  while (index < lines.length) {
    const first = lines[index] as Line;
    if (isBlank(first.text) || isComment(first.text)) {
      pieces.push({ kind: isBlank(first.text) ? 'blank' : 'comment', start: first.start, end: first.end });
      index += 1;
      continue;
    }
    const { instruction, next } = readInstruction(lines, index, escape, stage, source);
    stage = instruction.stage;
    pieces.push(instruction);
    index = next;
  }
  if (stage === -1) throw new UsageError(`${source} has no FROM, so it is no Dockerfile\nGive the Dockerfile that the image is built from.`);
  return { text, pieces, escape, stages: stage + 1 };
}

/** A run of text that belongs to the instruction, with where it stands. */
interface Run {
  readonly start: number;
  readonly text: string;
}

function readInstruction(lines: readonly Line[], from: number, escape: string, stage: number, source: string): { readonly instruction: DockerfileInstruction; readonly next: number } {
  const runs: Run[] = [];
  let index = from;
  let last = lines[from] as Line;
  for (; index < lines.length; index += 1) {
    const line = lines[index] as Line;
    if (index > from && (isBlank(line.text) || isComment(line.text))) continue;
    const trimmed = line.text.replace(/[ \t]+$/u, '');
    if (trimmed.endsWith(escape + escape)) {
      throw new UsageError(`${source}, line ${index + 1} ends with ${escape + escape}: old builders take that for a line that goes on, new ones do not\nWrite it so that it cannot be read in two ways.`);
    }
    last = line;
    if (!trimmed.endsWith(escape)) {
      runs.push({ start: line.start, text: line.text });
      index += 1;
      break;
    }
    runs.push({ start: line.start, text: trimmed.slice(0, -1) });
  }
  // The text as one line, and where each of its characters stands.
  const joined = runs.map(({ text }) => text).join('');
  const at = (offset: number): number => {
    let rest = offset;
    for (const run of runs) {
      if (rest < run.text.length) return run.start + rest;
      rest -= run.text.length;
    }
    const end = runs.at(-1);
    return end === undefined ? last.start : end.start + end.text.length;
  };
  const keyword = /^[\s\ufeff]*([^\s]+)/u.exec(joined);
  const name = (keyword?.[1] ?? '').toUpperCase();
  let position = keyword?.[0].length ?? 0;
  const flags: string[] = [];
  for (;;) {
    const flag = /^\s+(--[a-z][a-z-]*(?:=(?:"(?:[^"\\]|\\.)*"|'[^']*'|\S)*)?)(?=\s|$)/u.exec(joined.slice(position));
    if (flag === null) break;
    flags.push(flag[1] ?? '');
    position += flag[0].length;
  }
  position += /^\s*/u.exec(joined.slice(position))?.[0].length ?? 0;
  const args = joined.slice(position).trimEnd();
  const takesHeredocs = ['RUN', 'COPY', 'ADD'].includes(name) || (name === 'ONBUILD' && /^(?:RUN|COPY|ADD)\s/iu.test(args));
  const heredocs = takesHeredocs && !args.startsWith('[') ? heredocsOf(args) : [];
  let end = index > 0 ? (lines[index - 1] as Line).end : 0;
  for (const { name: delimiter, tabs } of heredocs) {
    const isEnd = ({ text }: Line): boolean => (tabs ? text.replace(/^\t+/u, '') : text) === delimiter;
    const begins = index;
    while (index < lines.length && !isEnd(lines[index] as Line)) index += 1;
    const closing = lines[index];
    if (closing === undefined) throw new UsageError(`${source}, line ${begins}: the here-document ${delimiter} has no end\nEnd it with a line that is ${delimiter} and nothing else.`);
    end = closing.end;
    index += 1;
  }
  const nameStart = at((keyword?.[0].length ?? 0) - (keyword?.[1]?.length ?? 0));
  return {
    instruction: {
      kind: 'instruction', start: (lines[from] as Line).start, end, name, nameStart, nameEnd: nameStart + name.length, flags,
      argsStart: at(position), contentEnd: at(position + args.length - 1) + (args === '' ? 0 : 1), args, heredocs: heredocs.map((heredoc) => heredoc.name),
      stage: name === 'FROM' ? stage + 1 : stage,
    },
    next: index,
  };
}

export const instructionsIn = ({ pieces }: Dockerfile): readonly DockerfileInstruction[] =>
  pieces.filter((piece) => piece.kind === 'instruction');

/** Line numbers as people count them. */
export const lineAt = (text: string, offset: number): number => text.slice(0, offset).split('\n').length;

/** What `FROM IMAGE AS NAME` says. */
export function baseOf({ args }: DockerfileInstruction): { readonly image: string; readonly name: string | null } {
  const [image = '', as, name] = args.split(/\s+/u);
  return { image, name: as?.toUpperCase() === 'AS' ? (name ?? null) : null };
}

/** The stages whose instructions end up in the image: the last one, what it is FROM, what that is FROM. */
export function stagesOfImage(dockerfile: Dockerfile): ReadonlySet<number> {
  const froms = instructionsIn(dockerfile).filter(({ name }) => name === 'FROM').map(baseOf);
  const chain = new Set<number>();
  for (let stage = dockerfile.stages - 1; stage !== -1;) {
    chain.add(stage);
    const image = froms[stage]?.image.toLowerCase();
    stage = froms.slice(0, stage).findLastIndex(({ name }) => name?.toLowerCase() === image);
  }
  return chain;
}

/** A JSON array of strings, or null where it is something else: then an instruction is in shell form. */
export function jsonForm(args: string): readonly string[] | null {
  if (!args.startsWith('[')) return null;
  try {
    const value: unknown = JSON.parse(args);
    return Array.isArray(value) && value.every((item) => typeof item === 'string') ? value : null;
  } catch {
    return null;
  }
}
