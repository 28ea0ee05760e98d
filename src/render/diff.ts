import { escapeBlock } from './escape.ts';
import type { Layout } from './layout.ts';
import { styleFor } from './layout.ts';

/** A unified diff for a terminal: escaped, indented, `+` green and `-` red. */
export function renderDiff(diff: string, layout: Layout, indent: number): string[] {
  const style = styleFor(layout);
  return escapeBlock(diff).replace(/\n$/, '').split('\n').map((line) => {
    const text = ' '.repeat(indent) + line;
    if (/^(---|\+\+\+) /.test(line)) return style.bold(text);
    if (line.startsWith('@@')) return style.cyan(text);
    if (line.startsWith('+')) return style.green(text);
    return line.startsWith('-') ? style.red(text) : text;
  });
}
