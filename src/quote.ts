/** What no shell reads as anything but itself, wherever it stands after the command's name. */
const PLAIN = /^[\w.@%+:,/-][\w.@%+=:,/-]*$/;

/**
 * One word for a POSIX shell, whatever is in it: quotes, newlines, `$(…)`, globs. Throws a RangeError on NUL, which no argument can hold.
 * It does not make a word that begins with "-" an operand: that is for the command's own "--".
 */
export function shellWord(text: string): string {
  if (text.includes('\0')) throw new RangeError('no argument of a command can hold a NUL character');
  return PLAIN.test(text) ? text : `'${text.replaceAll('\'', '\'\\\'\'')}'`;
}

/** A command for a POSIX shell. The first word is the command's name, which the caller knows: none that is a keyword or holds "=". */
export const shellLine = (argv: readonly string[]): string => argv.map(shellWord).join(' ');

/** A word of a line that a person reads. The engine keeps NUL in labels and commands; as no line can say it, it is shown as the symbol for it. */
export const shownWord = (text: string): string => shellWord(text.replaceAll('\0', '\u2400'));

export const shownLine = (argv: readonly string[]): string => argv.map(shownWord).join(' ');
