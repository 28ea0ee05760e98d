import { UsageError } from '../errors.ts';

/** One word of a command line, and where it stands in its text (UTF-16 code units, `end` after its last one). */
export interface Word {
  /** Without quotes and escapes. */
  readonly value: string;
  readonly start: number;
  readonly end: number;
}

/** A text that cannot be obeyed as it stands. Line and column count from 1. */
export class TextError extends UsageError {
  override readonly name = 'TextError';
  readonly offset: number;

  constructor(message: string, offset: number) {
    super(message);
    this.offset = offset;
  }
}

/** "LINE:COLUMN" of an offset in a text. */
export function placeOf(text: string, offset: number): string {
  const before = text.slice(0, offset);
  return `${before.split('\n').length}:${offset - before.lastIndexOf('\n')}`;
}

const OPERATORS: Readonly<Record<string, string>> = {
  ';': 'a second command', '&': 'a second command or the background', '|': 'a pipe', '<': 'a redirection', '>': 'a redirection', '(': 'a subshell', ')': 'a subshell',
};

/** What means nothing to a shell anywhere in a word. */
const PLAIN = /[\w@%+=:,./-]+/y;
/** An address in brackets, as in `-p [::1]:80:80`: a pattern to a shell, but no file is called like what it matches. */
const ADDRESS = /\[[0-9a-fA-F:.]*:[0-9a-fA-F:.]*\]/y;
/** What bash makes several words of: {a,b} and {1..3}. */
const BRACES = /\{[^{}\s'"\\]*(?:,|\.\.)[^{}\s'"\\]*\}/y;

/**
 * The commands of a text, each as its words, split as a POSIX shell does: quotes, escapes, line continuations, comments. Only what needs no
 * shell to know is read.
 * @throws TextError at the place of what a shell would have to work out, of a quote that is never closed, and of a NUL
 */
export function splitCommands(text: string): readonly (readonly Word[])[] {
  const commands: Word[][] = [];
  let words: Word[] = [];
  let at = 0;
  /** Looks for a pattern at one place only. */
  const matchAt = (pattern: RegExp, offset: number): string | undefined => {
    pattern.lastIndex = offset;
    return pattern.exec(text)?.[0];
  };

  const refuseExpansion = (offset: number): never => {
    const shown = matchAt(/\$(?:\(\(?|\{[^}\n]{0,40}\}?|[A-Za-z_]\w{0,40}|['"]|.?)|`/suy, offset) ?? text.charAt(offset);
    throw new TextError(`${shown} is for a shell to work out, and nothing is run here; write what it stands for, or put it in single quotes if it is meant as it is`, offset);
  };

  function quoted(from: number): string {
    const quote = text.charAt(from);
    const parts: string[] = [];
    let start = from + 1;
    for (let i = start; i < text.length; i += 1) {
      const char = text.charAt(i);
      if (char === quote) {
        parts.push(text.slice(start, i));
        at = i + 1;
        return parts.join('');
      }
      if (quote === '\'') continue;
      if (isExpansion(text, i, /[A-Za-z0-9_({@*#?$!-]/)) refuseExpansion(i);
      if (char === '\\' && '"\\$`\n'.includes(text.charAt(i + 1)) && i + 1 < text.length) {
        parts.push(text.slice(start, i), text.charAt(i + 1) === '\n' ? '' : text.charAt(i + 1));
        i += 1;
        start = i + 1;
      }
    }
    throw new TextError(`the quote ${quote} is never closed; close it, or escape it with a backslash`, from);
  }

  function word(): Word {
    const start = at;
    const parts: string[] = [];
    while (at < text.length) {
      const plain = matchAt(PLAIN, at);
      if (plain !== undefined) {
        parts.push(plain);
        at += plain.length;
        continue;
      }
      const char = text.charAt(at);
      if (char === ' ' || char === '\t' || char === '\n') break;
      if (char === '\'' || char === '"') {
        parts.push(quoted(at));
        continue;
      }
      if (char === '\\') {
        if (at + 1 >= text.length) throw new TextError('a backslash stands at the very end; remove it, or write what it is to escape', at);
        if (text.charAt(at + 1) === '\r') throw carriageReturn(at + 1);
        if (text.charAt(at + 1) !== '\n') parts.push(text.charAt(at + 1));
        at += 2;
        continue;
      }
      if (isExpansion(text, at, /[A-Za-z0-9_({'"@*#?$!-]/)) refuseExpansion(at);
      if (char in OPERATORS) throw new TextError(`"${char}" would start ${OPERATORS[char] ?? 'something else'}; leave only the docker command, or put it in quotes`, at);
      if (char === '~' && at === start) throw new TextError('~ is for a shell to work out; write the directory, or put it in quotes', at);
      const address = char === '[' ? matchAt(ADDRESS, at) : undefined;
      if (address !== undefined) {
        parts.push(address);
        at += address.length;
        continue;
      }
      if ('*?['.includes(char)) throw new TextError(`"${char}" may stand for names of files; put it in quotes if it is meant as it is`, at);
      if (char === '{' && matchAt(BRACES, at) !== undefined) throw new TextError('some shells make several words of {…}; put it in quotes if it is meant as it is', at);
      if (char === '\r') throw carriageReturn(at);
      if (char === '\0') throw new TextError('a NUL character cannot be in a command line', at);
      parts.push(char);
      at += 1;
    }
    return { value: parts.join(''), start, end: at };
  }

  const carriageReturn = (offset: number): TextError => new TextError('a carriage return, which is a character like any other to a shell; save the file with Unix line ends', offset);
  const nul = text.indexOf('\0');
  if (nul >= 0) throw new TextError('a NUL character cannot be in a command line', nul);

  while (at < text.length) {
    const char = text.charAt(at);
    if (char === '\n') {
      if (words.length > 0) commands.push(words);
      words = [];
      at += 1;
    } else if (char === ' ' || char === '\t') at += 1;
    else if (char === '\\' && text.charAt(at + 1) === '\n') at += 2;
    else if (char === '#') {
      const end = text.indexOf('\n', at);
      at = end < 0 ? text.length : end;
    } else words.push(word());
  }
  if (words.length > 0) commands.push(words);
  return commands;
}

/** A backquote; a dollar sign before what gives it a meaning, or before a line continuation that may hide it. Else it is a dollar sign. */
const isExpansion = (text: string, at: number, meaning: RegExp): boolean =>
  text.charAt(at) === '`' || (text.charAt(at) === '$' && (meaning.test(text.charAt(at + 1)) || text.startsWith('\\\n', at + 1)));
