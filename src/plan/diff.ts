import { createTwoFilesPatch } from 'diff';
import type { FileState } from '../model.ts';
import { octal } from '../octal.ts';

/**
 * What a person is shown of a change: mode and owner as `-`/`+` lines, then a unified diff of masked content.
 * `mask` must give the same text for the same stretch before and after, so that only real changes show.
 */
export function diffOf(path: string, before: FileState | null, after: FileState, mask: (text: string) => string): string {
  const metadata: string[] = [];
  if (before === null) metadata.push(`+ new file, mode ${octal(after.mode)}, owner ${after.uid}:${after.gid}`);
  else {
    if (before.mode !== after.mode) metadata.push(`- mode ${octal(before.mode)}`, `+ mode ${octal(after.mode)}`);
    if (before.uid !== after.uid || before.gid !== after.gid) {
      metadata.push(`- owner ${before.uid}:${before.gid}`, `+ owner ${after.uid}:${after.gid}`);
    }
  }
  const header = metadata.length > 0 ? `${metadata.join('\n')}\n` : '';
  if (after.content === null || before?.content === after.content) return header;
  const patch = createTwoFilesPatch(
    before === null ? '/dev/null' : path, path, mask(before?.content ?? ''), mask(after.content), undefined, undefined, { context: 3 },
  );
  return header + patch.replace(/^(Index: .*\n)?=+\n/, '');
}
