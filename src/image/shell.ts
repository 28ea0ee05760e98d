/** One simple command of a shell line: its words without quotes, and what stands between it and the one before. */
export interface Command {
  readonly words: readonly string[];
  /** True when the output of the command before is its input. */
  readonly piped: boolean;
}

/** Words that stand before a command and leave it what it is. */
const PREFIXES: ReadonlySet<string> = new Set(['sudo', 'exec', 'env', 'command', 'time', 'nice', 'then', 'else', 'do', 'if', 'while', '!', '{', '(']);
const SHELLS: ReadonlySet<string> = new Set(['sh', 'bash', 'dash', 'ash', 'zsh', 'ksh']);
/** `sh -c` inside `sh -c`: deeper than anyone writes. */
const MAX_DEPTH = 4;

const isAssignment = (word: string): boolean => /^[A-Za-z_]\w*=/u.test(word);
const baseName = (word: string): string => word.slice(word.lastIndexOf('/') + 1);

/**
 * The commands of a shell line, those of `sh -c '…'` in it included, in order. Quotes and escapes are honoured; nothing is expanded. It reads
 * what people write in RUN instructions and gives up on nothing: what it cannot parse is a word like any other.
 */
export function commandsOf(line: string, depth = 0): readonly Command[] {
  const commands = split(line);
  return depth >= MAX_DEPTH ? commands : commands.flatMap((command) => {
    const script = shellScript(command.words);
    return script === undefined ? [command] : [command, ...commandsOf(script, depth + 1)];
  });
}

function split(line: string): readonly Command[] {
  const commands: Command[] = [];
  let words: string[] = [];
  let word: string | null = null;
  let piped = false;
  let quote = '';
  const endWord = (): void => {
    if (word !== null) words.push(word);
    word = null;
  };
  const endCommand = (pipe: boolean): void => {
    endWord();
    if (words.length > 0) commands.push({ words, piped });
    words = [];
    piped = pipe;
  };
  for (let i = 0; i < line.length; i += 1) {
    const char = line.charAt(i);
    if (quote !== '') {
      if (char === quote) quote = '';
      else if (char === '\\' && quote === '"' && '"\\$`'.includes(line.charAt(i + 1))) word = (word ?? '') + line.charAt(i += 1);
      else word = (word ?? '') + char;
    } else if (char === '"' || char === '\'') {
      quote = char;
      word ??= '';
    } else if (char === '\\') {
      i += 1;
      if (line.charAt(i) !== '\n') word = (word ?? '') + line.charAt(i);
    } else if (char === '#' && word === null) {
      while (i + 1 < line.length && line.charAt(i + 1) !== '\n') i += 1;
    } else if (char === '\n' || char === ';') endCommand(false);
    else if (char === '&' && line.charAt(i + 1) === '&') {
      endCommand(false);
      i += 1;
    } else if (char === '|') {
      const or = line.charAt(i + 1) === '|';
      if (or || line.charAt(i + 1) === '&') i += 1;
      endCommand(!or);
    } else if (/\s/u.test(char)) endWord();
    else word = (word ?? '') + char;
  }
  endCommand(false);
  return commands;
}

/** A command without what may stand before it: assignments, `sudo`, `then`, an opening bracket. */
export function bareCommand(words: readonly string[]): readonly string[] {
  let start = 0;
  while (start < words.length) {
    const word = words[start] ?? '';
    const afterPrefix = start > 0 && PREFIXES.has(words[start - 1] ?? '') && word.startsWith('-');
    if (!isAssignment(word) && !PREFIXES.has(word) && !afterPrefix) break;
    start += 1;
  }
  const [tool = '', ...rest] = words.slice(start);
  return tool === '' ? [] : [baseName(tool.replace(/^[({]+/u, '')), ...rest.map((word) => word.replace(/\)+$/u, ''))];
}

export const isShell = (tool: string): boolean => SHELLS.has(tool);

/** What `sh -c SCRIPT`, `bash -euxo pipefail -c SCRIPT` runs. */
function shellScript(words: readonly string[]): string | undefined {
  const [tool = '', ...args] = bareCommand(words);
  if (!isShell(tool)) return undefined;
  const flag = args.findIndex((word) => /^-[a-z]*c$/u.test(word));
  return flag === -1 ? undefined : args[flag + 1];
}

/** Assignments that a command sets for itself, exports, or passes to env: NAME=value. */
export function assignmentsOf(words: readonly string[]): readonly string[] {
  const before: string[] = [];
  for (const word of words) {
    if (isAssignment(word)) before.push(word);
    else if (!PREFIXES.has(word) && word !== 'export' && word !== 'declare' && word !== 'readonly' && !word.startsWith('-')) break;
  }
  return before;
}
