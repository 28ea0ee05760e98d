import type { Ask, Check, DeferReason, ParameterUse, Proposal, ProposedEdit, Remediation } from '../src/model.ts';

/** Binds a remediation to its check, so that `detail` is typed by the check that made the finding. */
export function remedy<D>(check: Check<D>, remediation: Omit<Remediation<D>, 'check'>): Remediation<D> {
  return { check, ...remediation };
}

export const edits = (list: readonly ProposedEdit[], parameters: readonly ParameterUse[] = []): Proposal => ({ edits: list, parameters });

export const defer = (reason: DeferReason, explanation: string, needs?: string, asks: readonly Ask[] = []): Proposal =>
  ({ defer: reason, explanation, ...(needs === undefined ? {} : { needs }), ...(asks.length === 0 ? {} : { asks }) });

/** The question for one parameter, by its dotted path. */
export const ask = (parameter: string, suggested: string | null, evidence = ''): Ask => ({ parameter: parameter.split('.'), suggested, evidence });
