import { execFileSync, spawnSync } from 'node:child_process';
import { dirname } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { shellLine, shellWord } from '../src/quote.ts';
import { asArgument, HUGE, hostileText, hostileTexts, makeCanary } from './support/hostile.ts';

const canary = makeCanary();
afterAll(() => canary.remove());

/** What a shell makes of a line's words. The line is its input: one argument of a command holds 128 KiB at most. */
function wordsOf(shell: readonly string[], line: string): string[] {
  const [file = '', ...flags] = shell;
  const written = execFileSync(file, [...flags, '-s'], {
    input: `printf '%s\\0' ${line}\n`, encoding: 'utf8', env: { PATH: process.env['PATH'], x: 'expanded', HOME: '/home' }, maxBuffer: 1 << 28,
  });
  return written.split('\0').slice(0, -1);
}

// Debian's sh is dash; bash reads the same words in both of its modes, and busybox is what a small image has.
const SHELLS = ['sh', 'dash', 'bash', 'bash --posix', 'busybox sh'];
const works = (shell: string): boolean => spawnSync('sh', ['-c', `${shell} -c :`]).status === 0;

describe('shellWord', () => {
  test.each([
    ['docker', 'docker'], ['--cap-drop', '--cap-drop'], ['8080:80/tcp', '8080:80/tcp'], ['', '\'\''], ['it\'s', '\'it\'\\\'\'s\''], ['a b', '\'a b\''], ['=x', '\'=x\''], ['***', '\'***\''],
  ])('%j is written %s', (text, written) => expect(shellWord(text)).toBe(written));

  test('a character that no argument can hold is refused', () => expect(() => shellWord('a\0b')).toThrow(RangeError));

  for (const shell of SHELLS) {
    const missing = !works(shell);
    test.skipIf(missing)(`${shell} reads back what was written, and runs none of it${missing ? ' [skipped: it is not installed]' : ''}`, () => {
      const argv = shell.split(' ');
      const listed = [...hostileTexts(canary.path).map(asArgument), HUGE];
      expect(wordsOf(argv, shellLine(listed))).toEqual(listed);
      fc.assert(fc.property(fc.array(hostileText(canary.path).map(asArgument), { minLength: 50, maxLength: 300 }), (words) => {
        expect(wordsOf(argv, shellLine(words))).toEqual(words);
      }), { numRuns: 5 });
      expect(canary.touched()).toBe(false);
    });
  }

  test('the same texts do harm where nobody quotes them', () => {
    const ran = hostileTexts(canary.path).filter((text) => text.includes(canary.path)).filter((text) => {
      spawnSync('sh', ['-c', `: ${text}`], { cwd: dirname(canary.path) });
      const touched = canary.touched();
      if (touched) execFileSync('rm', [canary.path]);
      return touched;
    });
    expect(ran.length).toBeGreaterThan(10);
  });
});
