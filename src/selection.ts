import { UsageError } from './errors.ts';
import type { Check, Edition, Policy, Selection } from './model.ts';
import { EDITIONS } from './model.ts';
import { editDistance } from './edit-distance.ts';

/** A term or an edition that names nothing. */
export class SelectionError extends UsageError {
  override readonly name = 'SelectionError';
}

/** How the early documents, which the catalogue names after the Docker release, print their own version. */
const EDITION_ALIASES: Readonly<Record<string, Edition>> = { '1.11.0': 'd1.11', '1.12.0': 'd1.12', '1.13.0': 'd1.13' };

/**
 * An edition of the benchmark by its name in the catalogue, or by the number on its title page.
 * @throws SelectionError listing the editions
 */
export function parseEdition(text: string): Edition {
  const edition = EDITIONS.find((candidate) => candidate === text) ?? new Map(Object.entries(EDITION_ALIASES)).get(text);
  if (edition) return edition;
  throw new SelectionError(`there is no edition "${text}" of the CIS Docker Benchmark\nuse one of ${EDITIONS.join(', ')}`);
}

/** What a policy selects, for the record. */
export const selectionOf = ({ include, exclude, level, targets }: Policy): Selection => ({ include, exclude, level, targets });

const isPrefix = (term: string, dotted: string): boolean => dotted === term || dotted.startsWith(`${term}.`);

/** Whether a term is a code of another tool for the check. */
const isAlias = ({ aliases = [] }: Check, term: string): boolean => aliases.some((alias) => alias.toLowerCase() === term.toLowerCase());

/** An id or an id prefix by dotted segment; a CIS number, or number prefix, of the edition; a code of another tool. */
export const matchesTerm = (check: Check, term: string, edition: Edition): boolean =>
  isPrefix(term, check.id) || (check.cis[edition] !== undefined && isPrefix(term, check.cis[edition])) || isAlias(check, term);

/** A check of the edition, or one of our own. */
const isCurrent = (check: Check, edition: Edition): boolean => check.cis[edition] !== undefined || Object.keys(check.cis).length === 0;

/**
 * The checks to run, in registry order. Without `include`: those of the edition, and our own. A term selects the current checks that it
 * matches; retired ones only where it is the very id or alias of one, or matches nothing else. The level holds for all.
 * @throws SelectionError for a term that matches nothing, and for a selection that leaves nothing
 */
export function selectChecks(
  checks: readonly Check[], { include, exclude, level, benchmark }: Pick<Policy, 'include' | 'exclude' | 'level' | 'benchmark'>,
): { readonly selected: readonly Check[] } {
  const included = include.length === 0 ? checks.filter((check) => isCurrent(check, benchmark))
    : include.flatMap((term) => {
      const matched = matching(checks, term, benchmark);
      const current = matched.filter((check) => check.id === term || isAlias(check, term) || isCurrent(check, benchmark));
      return current.length > 0 ? current : matched;
    });
  const excluded = new Set(exclude.flatMap((term) => matching(checks, term, benchmark)));
  const wanted = new Set(included.filter((check) => !excluded.has(check) && check.level <= level));
  if (wanted.size === 0) throw new SelectionError(`nothing is left to check: --check ${include.join(',') || '(all)'}, --exclude ${exclude.join(',') || '(none)'}, --level ${level}`);
  return { selected: checks.filter((check) => wanted.has(check)) };
}

function matching(checks: readonly Check[], term: string, edition: Edition): readonly Check[] {
  const matched = checks.filter((check) => matchesTerm(check, term, edition));
  if (matched.length > 0) return matched;
  const elsewhere = EDITIONS.filter((other) => checks.some(({ cis }) => cis[other] !== undefined && isPrefix(term, cis[other])));
  if (elsewhere.length > 0) {
    throw new SelectionError(`edition ${edition} has no check ${term}; ${elsewhere.join(', ')} ${elsewhere.length === 1 ? 'has' : 'have'}\nselect the edition with --benchmark`);
  }
  const near = nearest(term, checks);
  throw new SelectionError(`no check matches "${term}"${near.length > 0 ? `; did you mean ${near.join(', ')}?` : ''}\nharden list checks shows all ids and numbers`);
}

const MAX_SUGGESTIONS = 3;

/** Ids and id prefixes that a slip of the pen away could be meant, nearest first. */
function nearest(term: string, checks: readonly Check[]): readonly string[] {
  const words = new Set(checks.flatMap(({ id }) => {
    const segments = id.split('.');
    return segments.map((_, index) => segments.slice(0, index + 1).join('.'));
  }));
  const tail = (id: string): string => id.slice(id.indexOf('.') + 1);
  return [...words]
    .map((word) => ({ word, distance: Math.min(editDistance(term, word), term.length > 3 ? editDistance(term, tail(word)) : Infinity) }))
    .filter((candidate) => candidate.distance <= Math.max(1, Math.floor(term.length / 3)))
    .sort((a, b) => a.distance - b.distance)
    .slice(0, MAX_SUGGESTIONS)
    .map(({ word }) => word);
}
