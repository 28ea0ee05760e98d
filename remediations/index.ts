import type { Remediation } from '../src/model.ts';

/** Every remediation, in the order of its check. */
export const remediations: readonly Remediation[] = [];

/** The remediation of a check; undefined for a check that has none. */
export const remediationFor = (checkId: string): Remediation | undefined => remediations.find(({ check }) => check.id === checkId);
