import type { Target, ToolStamp } from './base.ts';
import type { Outcome } from './report.ts';

export type ChangeState = 'applied' | 'skipped' | 'failed' | 'reverted';

/** fixed: promised and PASS. pending: done, not in force yet. unmet: promised, still WARN. regressed: was not WARN, is now. */
export type FindingState = 'fixed' | 'pending' | 'unmet' | 'failed' | 'reverted' | 'regressed' | 'unchanged';

export interface VerifiedFinding {
  readonly check: string;
  readonly target: Target;
  /** null: there was no such finding. */
  readonly before: Outcome | null;
  readonly after: Outcome | null;
  readonly state: FindingState;
  readonly reason: string;
}

/** The document of `harden apply` and `harden verify`. */
export interface Outcomes {
  readonly schemaVersion: 1;
  readonly tool: ToolStamp;
  /** null for verify against a plan or a baseline. */
  readonly runId: string | null;
  readonly planId: string | null;
  readonly changes: readonly { readonly id: string; readonly state: ChangeState; readonly reason: string | null }[];
  readonly results: readonly VerifiedFinding[];
  readonly summary: Readonly<Record<FindingState, number>>;
}
