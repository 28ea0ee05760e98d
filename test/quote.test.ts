import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { shellLine, shellWord } from '../src/quote.ts';

/** What a shell makes of a line's words. */
function wordsOf(shell: readonly string[], line: string): string[] {
  const [file = '', ...flags] = shell;
  return execFileSync(file, [...flags, '-c', `printf '%s\\0' ${line}`], { encoding: 'utf8', env: { PATH: process.env['PATH'], x: 'expanded', HOME: '/home' } }).split('\0').slice(0, -1);
}

const HOSTILE = [
  '', ' ', '\n', '\t', 'a b', 'a\nb', '\'', '\'\'', '"', '\\', '\\\'', '$x', '$(id)', '`id`', '${x}', '*', '/*', '?', '[a]', '{a,b}', '~', '~root', '-x', '--', '#', ';', '&', '|', '>', '<', '!', '!!',
  '=', 'A=b', '$\'\\n\'', 'é', '日本', '\u202e', '\u001b[31m', 'a\r\nb', '%s', '\\0',
];

describe('shellWord', () => {
  test.each([
    ['docker', 'docker'], ['--cap-drop', '--cap-drop'], ['8080:80/tcp', '8080:80/tcp'], ['', '\'\''], ['it\'s', '\'it\'\\\'\'s\''], ['a b', '\'a b\''], ['=x', '\'=x\''], ['***', '\'***\''],
  ])('%j is written %s', (text, written) => expect(shellWord(text)).toBe(written));

  test('a character that no argument can hold is refused', () => expect(() => shellWord('a\0b')).toThrow(RangeError));

  // Debian's sh is dash; bash reads the same words in both of its modes.
  test.each(['sh', 'bash', 'bash --posix'])('%s reads back what was written', (command) => {
    const shell = command.split(' ');
    expect(wordsOf(shell, shellLine(HOSTILE))).toEqual(HOSTILE);
    const word = fc.oneof(fc.string({ unit: 'grapheme' }), fc.string({ unit: 'binary' }), fc.constantFrom(...HOSTILE), fc.string({ unit: fc.constantFrom(...'\'"\\$`*?[]{}()!#&;|<>~ \n-='.split('')) }))
      .map((text) => text.replace(/\0|[\ud800-\udfff]/gu, ''));
    fc.assert(fc.property(fc.array(word, { minLength: 50, maxLength: 300 }), (words) => {
      expect(wordsOf(shell, shellLine(words))).toEqual(words);
    }), { numRuns: 5 });
  }, 30_000);
});
