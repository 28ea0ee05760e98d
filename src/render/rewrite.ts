import { createTwoFilesPatch } from 'diff';
import { maskSecretsInText } from '../mask.ts';
import type { Deferred, Edition, Target, ToolStamp } from '../model.ts';
import type { Advice, Fix } from '../rewrite.ts';
import { renderDiff } from './diff.ts';
import { escapeLine } from './escape.ts';
import type { Layout } from './layout.ts';
import { paragraph, plural, styleFor } from './layout.ts';

/** What became of one container of a text. */
export interface RewrittenUnit {
  readonly target: Target;
  readonly fixes: readonly Fix[];
  readonly deferred: readonly Deferred[];
  readonly unknown: Advice['unknown'];
  /** What of the text is elsewhere, so that nobody judged it. */
  readonly unseen: readonly string[];
}

/** One text, before and after. */
export interface Rewrite {
  readonly name: string;
  readonly benchmark: Edition;
  readonly before: string;
  readonly after: string;
  /** Takes the secrets out of a text of its kind. */
  readonly mask: (text: string) => string;
  readonly units: readonly RewrittenUnit[];
}

/** `harden rewrite --format json`. */
export interface RewriteDocument {
  readonly schemaVersion: 1;
  readonly tool: ToolStamp;
  readonly benchmark: Edition;
  readonly files: readonly {
    readonly file: string;
    readonly changed: boolean;
    /** Unified, secrets masked. */
    readonly diff: string;
    readonly containers: readonly {
      readonly target: Target;
      readonly fixed: readonly { readonly check: string; readonly message: string; readonly effect: string }[];
      readonly deferred: readonly Deferred[];
      readonly unknown: Advice['unknown'];
      readonly unseen: readonly string[];
    }[];
  }[];
  readonly summary: { readonly files: number; readonly changed: number; readonly fixed: number; readonly deferred: number };
}

const ended = (text: string): string => text.replace(/\n?$/, '\n');

/** The diffs, secrets masked; or what was put right, what was not and why. */
export function renderRewrites(rewrites: readonly Rewrite[], layout: Layout, part: 'diff' | 'rest'): string {
  if (part === 'diff') {
    return rewrites.filter(({ before, after }) => before !== after).map(({ name, before, after, mask }) => {
      const patch = createTwoFilesPatch(name, name, mask(ended(before)), mask(ended(after)), undefined, undefined, { context: 3 });
      return `${renderDiff(patch.replace(/^(Index: .*\n)?=+\n/, ''), layout, 0).join('\n')}\n`;
    }).join('');
  }
  const style = styleFor(layout);
  return rewrites.flatMap(({ name, units }) => units.flatMap(({ target, fixes, deferred, unknown, unseen }) => [
    style.bold(`${escapeLine(target.name)} (${escapeLine(name)}): ${plural(fixes.length, 'finding')} put right, ${deferred.length} left`),
    ...fixes.flatMap(({ check, note }) => paragraph(`${check}: ${note}`, layout, 2, '+ ')),
    ...deferred.flatMap(({ check, reason, explanation, needs }) => paragraph(`${check} (${reason}): ${explanation}${needs === null ? '' : ` [${needs}]`}`, layout, 2, '- ')),
    ...(unseen.length === 0 ? [] : paragraph(`not looked at: ${unseen.map(maskSecretsInText).join(', ')}`, layout, 2, '? ')),
    ...(unknown.length === 0 ? [] : paragraph(`only an engine or the image can tell: ${unknown.map(({ check }) => check).join(', ')}`, layout, 2, '? ')),
  ])).map((line) => `${line}\n`).join('');
}
