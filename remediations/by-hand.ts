import type { Check, Impact, ParameterSpec, Remediation, Risk } from '../src/model.ts';
import { defer, remedy } from './remedy.ts';

/** What a person does where harden makes no change. */
export interface ByHand {
  readonly effect: string;
  /** Why harden leaves it to a person. */
  readonly why: string;
  readonly steps: string;
  /** The steps where the finding is on a container, if they are others. */
  readonly inContainer?: string;
  readonly impact?: Impact;
  readonly risk?: Risk;
  /** Parameters that settle the finding: with one, it is a choice. */
  readonly parameters?: readonly ParameterSpec[];
}

/** A remediation that is a task for a person: every finding is deferred with the steps. */
export function byHand<D>(check: Check<D>, { effect, why, steps, inContainer, impact = 'none', risk = 'behaviour', parameters = [] }: ByHand): Remediation<D> {
  return remedy(check, {
    mode: 'manual', effect, impact, risk, parameters, manual: inContainer === undefined ? steps : `${steps} Where a container added it: ${inContainer}`,
    propose: ({ target }) => defer('manual', why, target.kind === 'container' ? inContainer ?? steps : steps),
  });
}
