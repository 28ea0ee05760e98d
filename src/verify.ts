import type { ChangeState, Finding, FindingState, Outcome, Promised, Target, VerifiedFinding } from './model.ts';
import { findingKey } from './model.ts';

/** What a verdict is held against: enough of a finding to be kept in a plan, a run or an earlier scan. */
export interface Baseline {
  readonly check: string;
  readonly target: Target;
  readonly outcome: Outcome;
}

export interface VerifyRequest {
  /** Verdicts before; findings missing here did not exist. */
  readonly before: readonly Baseline[];
  readonly after: readonly Finding[];
  readonly promises: readonly Promised[];
  /** State of the change that made a promise, by (check, target); a promise of a change that is not in is failed or reverted with it. */
  readonly stateOf?: (promise: Promised) => ChangeState;
}

const holds = (outcome: Outcome | null): boolean => outcome === null || outcome === 'pass' || outcome === 'na';

function judgePromise(after: Finding | undefined, state: ChangeState): Pick<VerifiedFinding, 'state' | 'reason'> {
  if (state === 'failed' || state === 'skipped') return { state: 'failed', reason: after?.message ?? 'the change was not made' };
  if (state === 'reverted') return { state: 'reverted', reason: after?.message ?? 'the change was taken back' };
  if (holds(after?.outcome ?? null)) return { state: 'fixed', reason: after?.message ?? 'no such target any more' };
  if (after?.pending !== undefined) return { state: 'pending', reason: `waits for ${after.pending.waitsFor}` };
  return { state: 'unmet', reason: after?.message ?? '' };
}

/**
 * Holds a rescan against what was promised and what was so before. Promised findings come first, in the plan's order; then
 * whatever became worse without being promised; then what still warns. Pure.
 */
export function verify({ before, after, promises, stateOf }: VerifyRequest): VerifiedFinding[] {
  const earlier = new Map(before.map((finding) => [findingKey(finding), finding.outcome]));
  const now = new Map(after.map((finding) => [findingKey(finding), finding]));
  const promised = new Set(promises.map(findingKey));
  const results: VerifiedFinding[] = promises.map((promise) => {
    const finding = now.get(findingKey(promise));
    return {
      check: promise.check, target: promise.target, before: earlier.get(findingKey(promise)) ?? null, after: finding?.outcome ?? null,
      ...judgePromise(finding, stateOf?.(promise) ?? 'applied'),
    };
  });
  for (const finding of after) {
    if (promised.has(findingKey(finding)) || finding.waiver !== undefined) continue;
    const was = earlier.get(findingKey(finding)) ?? null;
    // What newly applies and cannot be read is no worse than before; what passed and cannot be read any more is.
    const worse = (holds(was) && finding.outcome === 'warn') || (was === 'pass' && finding.outcome === 'unknown');
    if (worse || finding.outcome === 'warn') {
      results.push({
        check: finding.check, target: finding.target, before: was, after: finding.outcome, state: worse ? 'regressed' : 'unchanged', reason: finding.message,
      });
    }
  }
  return results;
}

const STATES: readonly FindingState[] = ['fixed', 'pending', 'unmet', 'failed', 'reverted', 'regressed', 'unchanged'];

export const countStates = (results: readonly VerifiedFinding[]): Record<FindingState, number> =>
  Object.fromEntries(STATES.map((state) => [state, results.filter((result) => result.state === state).length])) as Record<FindingState, number>;
