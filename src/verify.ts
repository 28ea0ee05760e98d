import { taskService } from './container/service.ts';
import type { ChangeState, Finding, FindingState, Outcome, Promised, Target, VerifiedFinding } from './model.ts';
import { findingKey, OUTCOMES } from './model.ts';

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
  /** Services of the swarm that the host manages: their tasks have other names after an update, and one is as good as another. */
  readonly services?: readonly string[];
  /** State of the change that made a promise, by (check, target); a promise of a change that is not in is failed or reverted with it. */
  readonly stateOf?: (promise: Promised) => ChangeState;
}

/** Of several tasks of one service the worst counts. */
const worstLast = (a: { readonly outcome: Outcome }, b: { readonly outcome: Outcome }): number => OUTCOMES.indexOf(b.outcome) - OUTCOMES.indexOf(a.outcome);

/** A service of which nothing was seen: what became of its tasks elsewhere is not known here. */
const unseen = (service: string | null, seen: ReadonlySet<string | null>): string | null => (service === null || seen.has(service) ? null : service);

const holds = (outcome: Outcome | null): boolean => outcome === null || outcome === 'pass' || outcome === 'na';

function judgePromise(after: Finding | undefined, state: ChangeState, unseen: string | null): Pick<VerifiedFinding, 'state' | 'reason'> {
  if (state === 'failed' || state === 'skipped') return { state: 'failed', reason: after?.message ?? 'the change was not made' };
  if (state === 'reverted') return { state: 'reverted', reason: after?.message ?? 'the change was taken back' };
  if (unseen !== null) return { state: 'unmet', reason: `no task of the service ${unseen} runs here now: look on the nodes where they run` };
  if (holds(after?.outcome ?? null)) return { state: 'fixed', reason: after?.message ?? 'no such target any more' };
  if (after?.pending !== undefined) return { state: 'pending', reason: `waits for ${after.pending.waitsFor}` };
  return { state: 'unmet', reason: after?.message ?? '' };
}

/**
 * Holds a rescan against what was promised and what was so before. Promised findings come first, in the plan's order; then
 * whatever became worse without being promised; then what still warns. Pure.
 */
export function verify({ before, after, promises, services = [], stateOf }: VerifyRequest): VerifiedFinding[] {
  const serviceOf = ({ kind, name }: Target): string | null => (kind === 'container' ? taskService(name, services) : null);
  const keyOf = (finding: { readonly check: string; readonly target: Target }): string => {
    const service = serviceOf(finding.target);
    return service === null ? findingKey(finding) : `${finding.check}\0service\0${service}`;
  };
  const earlier = new Map([...before].sort(worstLast).map((finding) => [keyOf(finding), finding.outcome]));
  const now = new Map([...after].sort(worstLast).map((finding) => [keyOf(finding), finding]));
  const seen = new Set(after.map(({ target }) => serviceOf(target)));
  const promised = new Set(promises.map(keyOf));
  const results: VerifiedFinding[] = promises.map((promise) => {
    const finding = now.get(keyOf(promise));
    return {
      check: promise.check, target: promise.target, before: earlier.get(keyOf(promise)) ?? null, after: finding?.outcome ?? null,
      ...judgePromise(finding, stateOf?.(promise) ?? 'applied', unseen(serviceOf(promise.target), seen)),
    };
  });
  for (const finding of after) {
    if (promised.has(keyOf(finding)) || finding.waiver !== undefined) continue;
    const was = earlier.get(keyOf(finding)) ?? null;
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
